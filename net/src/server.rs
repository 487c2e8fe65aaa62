//! The server as a whole: start, addresses, end.

use std::fmt;
use std::io;
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crosspoint_shard::rt::{self, Options, Runtime, Stuck};
use crosspoint_shard::{Mesh, MeshLimits};

use crate::accept::{TcpSeat, UnixAcceptor, accept_handed, accept_tcp};
use crate::connector::Connector;
use crate::counters::ConnectionCounters;
use crate::inbox::Inbox;
use crate::listen::{Address, BindError, Bound, SocketFile, bind};
use crate::local::{Local, spawn};
use crate::permit::Permits;
use crate::probe::{Unavailable, probe};
use crate::spec::ServerSpec;

/// Why a server does not start.
#[derive(Debug)]
pub enum StartError {
    /// The system cannot run shards.
    Unavailable(Unavailable),
    /// An endpoint cannot be listened on.
    Bind(BindError),
    /// A shard cannot be started.
    Shard(rt::StartError),
    /// A thread cannot be started.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(unavailable) => write!(f, "{unavailable}"),
            Self::Bind(error) => write!(f, "{error}"),
            Self::Shard(error) => write!(f, "{error}"),
            Self::Thread(error) => write!(f, "cannot start a thread: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<BindError> for StartError {
    fn from(error: BindError) -> Self {
        Self::Bind(error)
    }
}

/// A server that serves.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<Address>,
    counters: Arc<ConnectionCounters>,
    connector: Connector,
    runtime: Runtime,
    acceptors: Vec<UnixAcceptor>,
    files: Vec<SocketFile>,
}

/// Starts a server. When this returns all listeners accept connections.
///
/// # Errors
/// [`StartError`]; then nothing runs.
pub fn start(spec: ServerSpec) -> Result<Running, StartError> {
    probe().map_err(StartError::Unavailable)?;
    let Listening {
        addresses,
        mut tcp,
        unix,
    } = Listening::bind(&spec)?;
    let options = Options {
        router: Arc::clone(&spec.router),
        shard: spec.shard.clone(),
        seed: spec.seed,
        spin: spec.spin,
        pin: spec.pin,
        storage: spec.storage.clone(),
    };
    let (_, mailboxes) = Mesh::new(spec.shards.get(), MeshLimits::default());
    let inboxes: Vec<_> = mailboxes.iter().map(|_| Inbox::default()).collect();
    let (spec, counters) = (Arc::new(spec), Arc::<ConnectionCounters>::default());
    let runtime = rt::start(&options, mailboxes, |shard| {
        let number = usize::from(shard.0);
        let (spec, counters) = (Arc::clone(&spec), Arc::clone(&counters));
        let (seats, inbox) = (std::mem::take(&mut tcp[number]), inboxes[number].clone());
        move |shard, watcher| async move {
            let local = Local::new(shard, watcher, spec, counters, inbox);
            serve(Rc::clone(&local), seats);
            local
        }
    })
    .map_err(StartError::Shard)?;
    let mut running = Running {
        addresses,
        connector: Connector::new(inboxes.clone(), Arc::clone(&counters)),
        counters,
        runtime,
        acceptors: Vec::new(),
        files: Vec::new(),
    };
    for (index, listener, file, permits) in unix {
        running.files.push(file);
        match UnixAcceptor::start(listener, index, permits, inboxes.clone()) {
            Ok(acceptor) => running.acceptors.push(acceptor),
            Err(error) => {
                // What counts is why it did not start.
                let _ = running.shutdown(Duration::ZERO);
                return Err(StartError::Thread(error));
            }
        }
    }
    Ok(running)
}

/// Sets one shard's listeners going.
fn serve(local: Rc<Local>, seats: Vec<TcpSeat>) {
    for seat in seats {
        spawn(accept_tcp(Rc::clone(&local), seat));
    }
    spawn(Rc::clone(&local).cut_off_at_end());
    spawn(accept_handed(local));
}

impl Running {
    /// Where the listeners of the [`ServerSpec`] really are, in their order.
    #[must_use]
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// What became of connections before they were open.
    #[must_use]
    pub fn counters(&self) -> &Arc<ConnectionCounters> {
        &self.counters
    }

    /// For transports that live on other threads of this process.
    #[must_use]
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// The shards, for what they count.
    #[must_use]
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Stops listening, says GOODBYE to all sessions, waits until they are gone or `grace` is over, and ends.
    ///
    /// # Errors
    /// If a shard does not end in time.
    pub fn shutdown(self, grace: Duration) -> Result<(), Stuck> {
        for acceptor in self.acceptors {
            acceptor.stop();
        }
        drop(self.files);
        self.runtime.shutdown(grace)
    }
}

/// All sockets of a server before its shards are there.
struct Listening {
    addresses: Vec<Address>,
    /// For each shard its TCP listeners.
    tcp: Vec<Vec<TcpSeat>>,
    unix: Vec<(usize, UnixListener, SocketFile, Permits)>,
}

impl Listening {
    fn bind(spec: &ServerSpec) -> Result<Self, BindError> {
        let mut listening = Self {
            addresses: Vec::new(),
            tcp: (0..spec.shards.get()).map(|_| Vec::new()).collect(),
            unix: Vec::new(),
        };
        for (index, listener) in spec.listeners.iter().enumerate() {
            let permits = Permits::new(listener.max_connections);
            let (bound, address) = bind(&listener.endpoint, spec.shards.get())?;
            listening.addresses.push(address);
            match bound {
                Bound::Tcp(sockets) => {
                    for (shard, socket) in listening.tcp.iter_mut().zip(sockets) {
                        shard.push(TcpSeat {
                            index,
                            socket,
                            permits: permits.clone(),
                        });
                    }
                }
                Bound::Unix(socket, file) => listening.unix.push((index, socket, file, permits)),
            }
        }
        Ok(listening)
    }
}
