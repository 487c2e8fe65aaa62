//! What needs an executor and a shard, but no server.

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use crosspoint_codec::PayloadValues;
use crosspoint_codec::frame::websocket::handshake::Upgrade;
use crosspoint_codec::frame::websocket::{Decoder, Role, pong};
use crosspoint_core::config::RouterConfig;
use crosspoint_core::ids::{ConnKey, ShardId};
use crosspoint_core::payload::Format;
use crosspoint_core::router::Router;
use crosspoint_shard::rt::{Watcher, reactor_turn};
use crosspoint_shard::{Hangup, Mesh, MeshLimits, MonotonicClock, Shard, ShardConfig, Wire};
use glommio::LocalExecutorBuilder;

use crate::connection::next_read;
use crate::fd;
use crate::inbox::Inbox;
use crate::link::Link;
use crate::listen::Endpoint;
use crate::local::{Local, spawn};
use crate::opening::Opened;
use crate::protocol::Protocol;
use crate::scratch::{CHUNK, Received};
use crate::spec::{AutoPing, ListenerSpec, ServerSpec, WebSocketSpec};
use crate::wire::SocketWire;

fn local() -> Rc<Local> {
    let router = Arc::new(RouterConfig::new(Vec::new(), [1, 2], &PayloadValues));
    let (mesh, _mailboxes) = Mesh::new(1, MeshLimits::default());
    let rules = Router::new(ShardId(0), 1, Arc::clone(&router), 7);
    let clock = Box::new(MonotonicClock::start());
    let shard = Shard::new(ShardId(0), mesh, rules, clock, ShardConfig::default());
    let listener = ListenerSpec {
        endpoint: Endpoint::Tcp {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            backlog: 1,
        },
        max_connections: 1,
        opening_timeout: Duration::from_secs(10),
        rawsocket: None,
        http: None,
    };
    let spec = ServerSpec {
        shards: NonZeroU16::MIN,
        spin: Duration::ZERO,
        pin: false,
        router,
        seed: 7,
        storage: None,
        shard: ShardConfig::default(),
        listeners: vec![listener],
        handoff: None,
    };
    let shard = Rc::new(shard.into());
    Local::new(
        shard,
        Watcher::default(),
        Arc::new(spec),
        Arc::default(),
        Inbox::default(),
    )
}

fn run(test: impl Future<Output = ()>) {
    LocalExecutorBuilder::default().make().unwrap().run(test);
}

/// From our close to the peer's.
const CLOSING_TIMEOUT: Duration = Duration::from_millis(200);

fn far() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[test]
fn others_have_a_turn_between_full_reads_from_a_peer_that_was_closed() {
    run(async {
        let local = local();
        let (mut peer, ours) = UnixStream::pair().unwrap();
        peer.set_nonblocking(true).unwrap();
        // As much as is there before anybody reads: reads of it need not wait.
        let mut sent = 0;
        while let Ok(more) = peer.write(&[0; CHUNK]) {
            sent += more;
        }
        assert!(sent > 2 * CHUNK, "{sent} octets");
        let link = Link::new(fd::stream(ours.into()));
        let turns = Rc::new(Cell::new(0));
        for read in 1..=sent / CHUNK {
            let others = Rc::clone(&turns);
            spawn(async move { others.set(others.get() + 1) });
            assert_eq!(next_read(&local, &link, far()).await.unwrap().len(), CHUNK);
            assert_eq!(turns.get(), read);
        }
    });
}

/// An open connection that is sent pings, and its peer.
async fn attach(local: &Rc<Local>) -> (Rc<dyn Wire>, UnixStream) {
    let websocket = WebSocketSpec {
        testee: false,
        upgrade: Upgrade::default(),
        access: Arc::default(),
        max_message_size: 1000,
        closing_timeout: CLOSING_TIMEOUT,
        auto_ping: Some(Arc::new(AutoPing {
            interval: Duration::from_secs(60),
            timeout: Some(Duration::from_secs(60)),
            size: 4,
            restart_on_any_traffic: false,
        })),
        tcp_nodelay: true,
    };
    let opened = Opened {
        reply: Bytes::new(),
        // What a server sends is not masked, so that it is easier to write here.
        protocol: Protocol::WebSocket(Decoder::new(Role::Client, 1000)),
        format: Format::Json,
        access: Arc::default(),
        deflate: None,
        peer_max_bytes: usize::MAX,
        websocket: Some(Arc::new(websocket)),
    };
    let (peer, ours) = UnixStream::pair().unwrap();
    peer.set_nonblocking(true).unwrap();
    SocketWire::attach(local, ours.into(), opened, Received::default(), None).await;
    let found = local.shard.borrow().wire(0, |_| true);
    let (ConnKey { .. }, wire) = found.unwrap();
    (wire, peer)
}

#[test]
fn a_peer_whose_answer_nobody_has_read_is_not_dead() {
    run(async {
        let local = local();
        let (wire, mut peer) = attach(&local).await;
        let is_open = |mut peer: &UnixStream| {
            let read = peer.read(&mut [0; 100]);
            read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        };
        // A ping, which is answered while nothing is read from anybody.
        wire.timer();
        peer.write_all(&pong(b"1234")).unwrap();
        for _ in 0..3 {
            wire.timer();
            assert!(is_open(&peer));
        }
        wire.readable(Hangup::No);
        // The answer was heard; the next ping has none.
        wire.timer();
        assert!(is_open(&peer));
        wire.timer();
        assert!(!is_open(&peer));
    });
}

#[test]
fn the_time_to_close_begins_when_that_is_asked_for() {
    run(async {
        let local = local();
        let (wire, mut peer) = attach(&local).await;
        peer.write_all(&[0; CHUNK]).unwrap();
        wire.close();
        // The shard is busy elsewhere: with others that it closed, perhaps.
        std::thread::sleep(CLOSING_TIMEOUT);
        for _ in 0..10 {
            reactor_turn().await;
        }
        let error = peer.write(&[0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

/// Lets others work until there is what is waited for.
async fn until(condition: impl Fn() -> bool) {
    let deadline = far();
    while !condition() {
        assert!(Instant::now() < deadline);
        reactor_turn().await;
    }
}

#[test]
fn nobody_waits_for_a_connection_in_its_handshake_that_is_silent() {
    run(async {
        let local = local();
        let watcher = local.watcher.clone();
        let (mut peer, ours) = UnixStream::pair().unwrap();
        let read = Rc::new(RefCell::new(Vec::new()));
        let reads = Rc::clone(&read);
        spawn(async move {
            let link = Rc::new(Link::new(fd::stream(ours.into())));
            let mut place = local.opening(&link);
            for deadline in [Some(far()), None] {
                let octets = place.read(deadline).await.unwrap();
                assert!(local.watcher.has_openings());
                reads.borrow_mut().push(octets);
            }
            let error = place
                .read(Some(Instant::now() + Duration::from_millis(100)))
                .await;
            assert_eq!(error.unwrap_err().kind(), ErrorKind::TimedOut);
            reads.borrow_mut().push(BytesMut::new());
        });
        for octets in [&b"GET"[..], b" /"] {
            until(|| watcher.has_openings()).await;
            until(|| !watcher.has_openings()).await;
            let before = read.borrow().len();
            peer.write_all(octets).unwrap();
            until(|| read.borrow().len() > before).await;
            assert_eq!(read.borrow()[before], octets);
        }
        until(|| read.borrow().len() == 3).await;
        assert!(!watcher.has_openings());
    });
}
