//! What a handler can do with connections.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use anyhow::anyhow;
use crosspoint_codec::core::ids::RequestId;
use crosspoint_codec::core::message::{Goodbye, Hello, Message};
use crosspoint_codec::core::payload::Format;
use crosspoint_codec::core::value::{Dict, Value};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, Socket, Type};

use super::conn::{Conn, ConnId, Stage};
use super::dialect;
use super::tls::{Tls, Trust};
use crate::target::Target;

/// Connections of one source address before the next is used. Linux has 28,232 ports for each by default, and looks
/// through those that are taken: with half of them taken, that is most of what opening a connection costs.
const PER_SOURCE: usize = 1_000;

/// What is wrong where the system finds no port, and what helps.
const NO_PORT: &str = "no port is free at the address to connect from: net.ipv4.ip_local_port_range says how many each \
                       address has, and --source A,B,... names more addresses of this machine";

/// Where and as what sessions are opened.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) target: Target,
    pub(crate) address: SocketAddr,
    /// The addresses to connect from, which are taken in turn; without any, the system chooses.
    pub(crate) sources: Vec<IpAddr>,
    /// Set where the target is reached over TLS.
    pub(crate) trust: Option<Trust>,
    pub(crate) realm: String,
}

impl Identity {
    /// The address that a connection comes from, counted from 0, unless the system is to choose. On loopback there are
    /// enough.
    fn source(&self, nth: usize) -> Option<IpAddr> {
        if let Some(turn) = nth.checked_rem(self.sources.len()) {
            return self.sources.get(turn).copied();
        }
        let block = (nth / PER_SOURCE) as u32;
        match self.address.ip() {
            IpAddr::V4(ip) if ip.is_loopback() && block > 0 => {
                Some(Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + block).into())
            }
            _ => None,
        }
    }
}

/// The connections of one driver.
pub(crate) struct Io {
    pub(super) conns: Vec<Conn>,
    /// Connections with output that the next flush is to write.
    pub(super) dirty: Vec<ConnId>,
    pub(super) registry: Registry,
    pub(super) identity: Identity,
    /// Connections that are neither open nor at their end.
    pub(super) opening: usize,
    /// Why the run cannot go on: something was to be said that the protocol has no words for.
    pub(super) refused: Option<anyhow::Error>,
    epoch: Instant,
}

impl Io {
    pub(super) fn new(identity: Identity, registry: Registry) -> Self {
        Self {
            conns: Vec::new(),
            dirty: Vec::new(),
            registry,
            identity,
            opening: 0,
            refused: None,
            epoch: Instant::now(),
        }
    }

    /// The run's clock, in nanoseconds.
    pub(crate) fn now(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }

    /// How many connections were begun.
    pub(crate) fn len(&self) -> usize {
        self.conns.len()
    }

    /// How many connections are on their way to a session.
    pub(crate) fn opening(&self) -> usize {
        self.opening
    }

    pub(crate) fn stage(&self, conn: ConnId) -> Stage {
        self.conns[conn.0].stage
    }

    pub(crate) fn format(&self, conn: ConnId) -> Format {
        self.conns[conn.0].dialect.format()
    }

    /// When a connection was begun, or should have been.
    pub(crate) fn begun(&self, conn: ConnId) -> u64 {
        self.conns[conn.0].begun
    }

    /// Octets that wait to be written.
    pub(crate) fn queued(&self, conn: ConnId) -> usize {
        self.conns[conn.0].queued()
    }

    /// A new request id.
    pub(crate) fn request(&mut self, conn: ConnId) -> RequestId {
        let conn = &mut self.conns[conn.0];
        conn.last_request += 1;
        RequestId(conn.last_request)
    }

    /// Begins one more connection; `begun` is what [`Io::begun`] will say.
    pub(crate) fn connect(&mut self, format: Format, begun: u64) -> anyhow::Result<ConnId> {
        let id = ConnId(self.conns.len());
        let mut stream = connect(self.identity.address, self.identity.source(id.0))?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.registry.register(&mut stream, Token(id.0), interest)?;
        let dialect = dialect::new(&self.identity.target, format);
        let tls = self
            .identity
            .trust
            .as_ref()
            .map(Tls::new)
            .transpose()?
            .map(Box::new);
        self.conns.push(Conn::new(stream, tls, dialect, begun));
        self.opening += 1;
        Ok(id)
    }

    /// Queues a message; it is written at the end of the turn. Dropped where the connection is closed. A message that
    /// the protocol has nothing like ends the run.
    pub(crate) fn send(&mut self, id: ConnId, message: &Message) {
        let conn = &mut self.conns[id.0];
        if conn.stage == Stage::Closed {
            return;
        }
        match conn.dialect.write(message, &mut conn.output) {
            Ok(()) => self.mark_dirty(id),
            Err(error) => self.refused = Some(error),
        }
    }

    /// Says GOODBYE; nothing that happens to the connection from now on is reported.
    pub(crate) fn leave(&mut self, id: ConnId) {
        if self.stage(id) != Stage::Open {
            return self.drop_conn(id);
        }
        let goodbye = Goodbye {
            details: Dict::new(),
            reason: "wamp.close.close_realm".into(),
        };
        self.send(id, &Message::Goodbye(goodbye));
        self.conns[id.0].stage = Stage::Leaving;
        // Its answer is to be read.
        self.conns[id.0].paused = false;
    }

    /// Stops reading; the kernel's buffers fill up, and then the router's.
    pub(crate) fn pause(&mut self, id: ConnId) {
        self.conns[id.0].paused = true;
    }

    pub(super) fn write(&mut self, id: ConnId, frame: &[u8]) {
        let conn = &mut self.conns[id.0];
        if conn.stage == Stage::Closed {
            return;
        }
        conn.output.extend_from_slice(frame);
        self.mark_dirty(id);
    }

    pub(super) fn mark_dirty(&mut self, id: ConnId) {
        let conn = &mut self.conns[id.0];
        if !conn.dirty && !conn.blocked {
            conn.dirty = true;
            self.dirty.push(id);
        }
    }

    /// TCP is there: queues what the transport's handshake begins with.
    pub(super) fn begin_upgrade(&mut self, id: ConnId) {
        let conn = &mut self.conns[id.0];
        conn.stage = Stage::Upgrading;
        if conn.dialect.greet(&self.identity.target, &mut conn.output) {
            self.say_hello(id);
        }
    }

    pub(super) fn say_hello(&mut self, id: ConnId) {
        let hello = Hello {
            realm: self.identity.realm.as_str().into(),
            details: hello_details(),
        };
        self.conns[id.0].stage = Stage::Joining;
        self.send(id, &Message::Hello(hello));
    }

    /// Closes a connection at once.
    pub(super) fn drop_conn(&mut self, id: ConnId) {
        let conn = &mut self.conns[id.0];
        if matches!(conn.stage, Stage::Connecting | Stage::Upgrading | Stage::Joining) {
            self.opening -= 1;
        }
        conn.stage = Stage::Closed;
        conn.output.clear();
        if let Some(mut stream) = conn.stream.take() {
            // Closing the socket takes it out of epoll anyway.
            let _ = self.registry.deregister(&mut stream);
        }
    }
}

/// Begins to connect, without waiting.
fn connect(address: SocketAddr, source: Option<IpAddr>) -> anyhow::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(ip) = source {
        let bound = socket.bind(&SocketAddr::from((ip, 0)).into());
        bound.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => anyhow!("connecting to {address} from {ip}: {error}: {NO_PORT}"),
            _ => anyhow!("connecting from {ip} (--source): {error}"),
        })?;
    }
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Err(not_connected(address, &error))
        }
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

fn not_connected(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::AddrNotAvailable => anyhow!("connecting to {address}: {error}: {NO_PORT}"),
        _ => anyhow!("connecting to {address}: {error}"),
    }
}

fn hello_details() -> Dict {
    let role = |features: &[&'static str]| {
        let on = features.iter().map(|name| ((*name).into(), Value::Bool(true)));
        Dict::new().with("features", Dict(on.collect()))
    };
    let roles = Dict::new()
        .with("publisher", role(&[]))
        .with("subscriber", role(&[]))
        .with("caller", role(&[]))
        .with("callee", role(&["shared_registration"]));
    Dict::new()
        .with(
            "agent",
            concat!("crosspoint-loadtest/", env!("CARGO_PKG_VERSION")),
        )
        .with("roles", roles)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn identity(address: SocketAddr, sources: &[&str]) -> Identity {
        Identity {
            target: "rs://localhost".parse().unwrap(),
            address,
            sources: sources.iter().map(|source| source.parse().unwrap()).collect(),
            trust: None,
            realm: String::new(),
        }
    }

    #[test]
    fn many_connections_come_from_several_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let from = |nth: usize, sources: &[&str]| {
            let identity = identity(address, sources);
            let _stream = connect(address, identity.source(nth)).unwrap();
            let (_, peer) = listener.accept().unwrap();
            peer.ip().to_string()
        };
        assert_eq!(from(999, &[]), "127.0.0.1");
        assert_eq!(from(1_000, &[]), "127.0.0.2");
        assert_eq!(from(300_000, &[]), "127.0.1.45");
        let named = ["127.0.0.7", "127.0.0.9"];
        assert_eq!(
            [0, 1, 2].map(|nth| from(nth, &named)),
            ["127.0.0.7", "127.0.0.9", "127.0.0.7"]
        );
    }

    #[test]
    fn an_address_that_is_not_of_this_machine_is_named() {
        let address = SocketAddr::from(([127, 0, 0, 1], 9));
        let error = connect(address, Some(IpAddr::from([203, 0, 113, 9]))).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("from 203.0.113.9 (") && text.contains("--source"),
            "{text}"
        );
    }

    #[test]
    fn where_no_port_is_free_more_addresses_are_advised() {
        let address = SocketAddr::from(([192, 0, 2, 1], 8080));
        let text = |kind: ErrorKind| not_connected(address, &kind.into()).to_string();
        let none = text(ErrorKind::AddrNotAvailable);
        assert!(
            none.contains("192.0.2.1:8080")
                && none.contains("ip_local_port_range")
                && none.contains("--source"),
            "{none}"
        );
        assert!(!text(ErrorKind::ConnectionRefused).contains("--source"));
    }
}
