//! A server in this process, and clients that share no code with it but the standard library's sockets.
#![allow(dead_code, reason = "each test binary uses its part of this")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use crosspoint_codec::PayloadValues;
use crosspoint_codec::frame::rawsocket::MaxLength;
use crosspoint_codec::frame::websocket::handshake::{Origins, Upgrade};
use crosspoint_core::authorize::{Allow, Disclose, Permission, Role};
use crosspoint_core::config::{Access, Anonymous, Limits, RealmConfig, RouterConfig};
use crosspoint_core::payload::Format;
use crosspoint_net::{
    Address, Endpoint, HandoffFn, HttpSpec, ListenerSpec, RawSocketSpec, Route, Running, ServerSpec,
    WebSocketSpec, start,
};
use crosspoint_shard::ShardConfig;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket};

/// Longer than anything takes that is to happen; a test that waits for this has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Longest message that test servers take.
pub(crate) const MAX_MESSAGE: usize = 1 << 20;

pub(crate) fn websocket_spec() -> WebSocketSpec {
    WebSocketSpec {
        testee: false,
        upgrade: Upgrade {
            origins: Origins::new(["http://*.example.com:80"], false),
            ..Upgrade::default()
        },
        access: access(),
        max_message_size: MAX_MESSAGE,
        closing_timeout: Duration::from_millis(300),
        auto_ping: None,
        tcp_nodelay: true,
    }
}

/// A listener for everything, with WebSocket at `/ws`.
pub(crate) fn listener(endpoint: Endpoint) -> ListenerSpec {
    ListenerSpec {
        endpoint,
        max_connections: 1000,
        opening_timeout: PATIENCE,
        rawsocket: Some(RawSocketSpec {
            formats: vec![Format::Json, Format::MsgPack],
            access: access(),
            max_message: MaxLength::at_least(MAX_MESSAGE),
        }),
        http: Some(HttpSpec {
            server: "Crosspoint".to_owned(),
            routes: vec![Route {
                path: "/ws".to_owned(),
                websocket: Some(Arc::new(websocket_spec())),
            }],
        }),
    }
}

pub(crate) fn loopback() -> Endpoint {
    Endpoint::Tcp {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        backlog: 128,
    }
}

pub(crate) fn spec(shards: u16) -> ServerSpec {
    let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
    let everything = Permission::from_starred("*", Allow::ALL, Disclose::default());
    let realm = RealmConfig::new("realm1", vec![Role::new("anonymous", [everything], hasher)]);
    ServerSpec {
        shards: NonZeroU16::new(shards).unwrap(),
        spin: crosspoint_shard::rt::SPIN,
        pin: false,
        router: Arc::new(RouterConfig {
            limits: Limits {
                goodbye_timeout: Duration::from_millis(200),
                ..Limits::default()
            },
            ..RouterConfig::new(vec![realm], [1, 2], &PayloadValues)
        }),
        seed: 7,
        storage: None,
        shard: ShardConfig::default(),
        listeners: vec![listener(loopback())],
        handoff: None,
    }
}

pub(crate) fn access() -> Arc<Access> {
    let anonymous = Anonymous {
        role: "anonymous".to_owned(),
        realm: None,
        authid: None,
    };
    Arc::new(Access {
        anonymous: Some(anonymous),
    })
}

/// A server and where its first listener is.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(spec: ServerSpec) -> Self {
        let running = start(spec).unwrap();
        let address = match &running.addresses()[0] {
            Address::Tcp(address) => *address,
            Address::Unix(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        Self { running, address }
    }

    pub(crate) fn with_handoff(shards: u16, handoff: HandoffFn) -> Self {
        Self::start(ServerSpec {
            handoff: Some(handoff),
            ..spec(shards)
        })
    }

    pub(crate) fn connect(&self) -> Patient<TcpStream> {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Patient(stream)
    }

    /// A client whose kernel takes little that it has not read.
    pub(crate) fn small_client(&self) -> Client<Patient<TcpStream>> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.connect(&self.address.into()).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Client::over(Patient(socket.into()))
    }

    pub(crate) fn client(&self) -> Client<Patient<TcpStream>> {
        Client::over(self.connect())
    }

    /// The whole answer to a request, until the server closes.
    pub(crate) fn answer(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        String::from_utf8(read_to_end(&mut stream)).unwrap()
    }

    pub(crate) fn stop(self) {
        self.running.shutdown(PATIENCE).unwrap();
    }
}

/// A stream whose reads go on when they are interrupted, as those with a timeout are by the executors' work.
pub(crate) struct Patient<S>(pub(crate) S);

impl<S: Read> Read for Patient<S> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.0.read(buf) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl<S: Write> Write for Patient<S> {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.0.write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Everything until the peer closes; that it resets the connection counts too.
pub(crate) fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error} after {bytes:?}"),
        _ => bytes,
    }
}

/// A WAMP client: JSON over tungstenite's WebSocket.
pub(crate) struct Client<S>(pub(crate) WebSocket<S>);

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Self {
        let mut request = "ws://127.0.0.1/ws".into_client_request().unwrap();
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", "wamp.2.json".parse().unwrap());
        Self(tungstenite::client(request, stream).unwrap().0)
    }

    /// Opens a session; returns its id.
    pub(crate) fn join(&mut self) -> u64 {
        let roles = json!({"publisher": {}, "subscriber": {}, "caller": {}, "callee": {}});
        self.send(&json!([1, "realm1", {"roles": roles}]));
        let welcome = self.receive();
        assert_eq!(welcome[0], 2, "{welcome}");
        welcome[1].as_u64().unwrap()
    }

    pub(crate) fn subscribe(&mut self, topic: &str) -> u64 {
        self.send(&json!([32, 1, {}, topic]));
        let subscribed = self.receive();
        assert_eq!(subscribed[0], 33, "{subscribed}");
        subscribed[2].as_u64().unwrap()
    }

    pub(crate) fn publish(&mut self, topic: &str, argument: &str) {
        self.send(&json!([16, 2, {"acknowledge": true}, topic, [argument]]));
        let published = self.receive();
        assert_eq!(published[0], 17, "{published}");
    }

    /// The argument of the next event.
    pub(crate) fn event(&mut self) -> String {
        let event = self.receive();
        assert_eq!(event[0], 36, "{event}");
        event[4][0].as_str().unwrap().to_owned()
    }

    pub(crate) fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Value {
        loop {
            match self.0.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code of the close frame that comes next, and that the server then ends the connection.
    pub(crate) fn closed(&mut self) -> Option<u16> {
        let code = loop {
            match self.0.read() {
                Ok(Message::Close(frame)) => break frame.map(|CloseFrame { code, .. }| code.into()),
                Ok(_) => {}
                Err(error) => panic!("no close frame: {error}"),
            }
        };
        match self.0.read() {
            Err(tungstenite::Error::ConnectionClosed) => code,
            other => panic!("after the close frame: {other:?}"),
        }
    }
}
