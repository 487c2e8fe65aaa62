//! Listening sockets: one per shard and TCP address, one per Unix path.
//!
//! Invariants: everything is bound and listening before any shard starts, so that errors are reported with
//! nothing to undo. A TCP port belongs to one process: the first socket claims it alone and joins a
//! `SO_REUSEPORT` group only when it is listening, so that a second router on the same port is told "address
//! in use", although the kernel would let processes of one user share it silently.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, TcpKeepalive, Type};

/// When TCP asks a silent peer whether it is still there, how often then, and how many times: transports
/// without pings of their own find a dead peer after five minutes.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(180), Duration::from_secs(30), 4);

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A TCP port; port 0 lets the system choose.
    Tcp {
        /// The address.
        address: SocketAddr,
        /// How many connections may wait to be accepted, for each shard.
        backlog: u32,
    },
    /// A Unix domain socket.
    Unix {
        /// Its path. A socket that nobody listens on any more is replaced.
        path: PathBuf,
        /// How many connections may wait to be accepted.
        backlog: u32,
        /// Permission bits of the socket file; `None` leaves them to the umask.
        mode: Option<u32>,
    },
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { address, .. } => write!(f, "{address}"),
            Self::Unix { path, .. } => write!(f, "{}", path.display()),
        }
    }
}

/// Where a listener really is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A TCP address, with the port that the system chose.
    Tcp(SocketAddr),
    /// The path of a Unix domain socket.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An endpoint that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// Which one.
    pub endpoint: Endpoint,
    /// Why not.
    pub error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: ", self.endpoint)?;
        match (self.error.kind(), &self.endpoint) {
            (io::ErrorKind::AddrInUse, Endpoint::Tcp { .. }) => {
                f.write_str("the port is in use by another program; stop that one or choose another port")
            }
            (io::ErrorKind::AddrInUse, Endpoint::Unix { path, .. }) => f.write_str(if is_socket(path) {
                "another program listens there; stop that one or choose another path"
            } else {
                "what is there is no socket; remove it or choose another path"
            }),
            (io::ErrorKind::PermissionDenied, Endpoint::Tcp { .. }) => f.write_str(
                "permission denied; ports below 1024 need root or the capability CAP_NET_BIND_SERVICE",
            ),
            (io::ErrorKind::PermissionDenied, Endpoint::Unix { .. }) => {
                f.write_str("permission denied; the directory must be writable for this user")
            }
            (io::ErrorKind::AddrNotAvailable, _) => f.write_str("this machine has no such address"),
            (io::ErrorKind::NotFound, Endpoint::Unix { .. }) => f.write_str("the directory does not exist"),
            _ => write!(f, "{}", self.error),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// The sockets of one endpoint.
#[derive(Debug)]
pub(crate) enum Bound {
    /// One socket for each shard.
    Tcp(Vec<OwnedFd>),
    /// One socket, and a guard that removes its file.
    Unix(UnixListener, SocketFile),
}

/// Removes the file of a Unix domain socket when dropped.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have removed it; there is nobody to tell.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Listens on `endpoint` with a socket for each of `shards` where it is TCP.
pub(crate) fn bind(endpoint: &Endpoint, shards: u16) -> Result<(Bound, Address), BindError> {
    let bound = match endpoint {
        Endpoint::Tcp { address, backlog } => bind_tcp(*address, *backlog, shards),
        Endpoint::Unix { path, backlog, mode } => bind_unix(path, *backlog, *mode),
    };
    bound.map_err(|error| BindError {
        endpoint: endpoint.clone(),
        error,
    })
}

fn bind_tcp(address: SocketAddr, backlog: u32, shards: u16) -> io::Result<(Bound, Address)> {
    let first = tcp_socket(address)?;
    listen_on(&first, address, backlog)?;
    first.set_reuse_port(true)?;
    let address = first.local_addr()?.as_socket().unwrap_or(address);
    let mut sockets = vec![OwnedFd::from(first)];
    for _ in 1..shards {
        let socket = tcp_socket(address)?;
        socket.set_reuse_port(true)?;
        listen_on(&socket, address, backlog)?;
        sockets.push(socket.into());
    }
    Ok((Bound::Tcp(sockets), Address::Tcp(address)))
}

fn tcp_socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of an earlier run that linger in TIME_WAIT do not block the port.
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit these: small writes leave at once, and a silent peer is asked whether it is there.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(KEEPALIVE.0)
            .with_interval(KEEPALIVE.1)
            .with_retries(KEEPALIVE.2),
    )?;
    Ok(socket)
}

fn listen_on(socket: &Socket, address: SocketAddr, backlog: u32) -> io::Result<()> {
    socket.bind(&SockAddr::from(address))?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

fn bind_unix(path: &Path, backlog: u32, mode: Option<u32>) -> io::Result<(Bound, Address)> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile(path.to_owned());
    if let Some(mode) = mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    }
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok((
        Bound::Unix(OwnedFd::from(socket).into(), file),
        Address::Unix(path.to_owned()),
    ))
}

/// Removes the file of a socket on which nobody listens. Files of other kinds are left alone, and binding
/// then reports the path as in use.
fn remove_stale(path: &Path) -> io::Result<()> {
    if !is_socket(path) {
        return Ok(());
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Where as many wait to be accepted as may, to connect would wait too: there somebody listens.
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        _ => Ok(()),
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc;

    use super::*;

    fn loopback(port: u16) -> Endpoint {
        Endpoint::Tcp {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            backlog: 64,
        }
    }

    fn tcp(bound: Bound) -> Vec<TcpListener> {
        match bound {
            Bound::Tcp(sockets) => sockets.into_iter().map(TcpListener::from).collect(),
            Bound::Unix(..) => unreachable!("asked for TCP"),
        }
    }

    fn port(address: &Address) -> u16 {
        match address {
            Address::Tcp(address) => address.port(),
            Address::Unix(_) => unreachable!("asked for TCP"),
        }
    }

    #[test]
    fn shards_share_a_port_and_its_connections() {
        let (bound, address) = bind(&loopback(0), 4).unwrap();
        let port = port(&address);
        let listeners = tcp(bound);
        assert!(port != 0 && listeners.len() == 4);
        let clients: Vec<_> = (0..64)
            .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
            .collect();
        let mut shares = Vec::new();
        for listener in &listeners {
            listener.set_nonblocking(true).unwrap();
            shares.push(std::iter::from_fn(|| listener.accept().ok()).count());
        }
        assert_eq!(shares.iter().sum::<usize>(), clients.len());
        assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
    }

    #[test]
    fn accepted_sockets_inherit_their_options() {
        let (bound, address) = bind(&loopback(0), 2).unwrap();
        let mut listeners = tcp(bound);
        drop(listeners.pop());
        let _client = TcpStream::connect(("127.0.0.1", port(&address))).unwrap();
        let accepted = Socket::from(listeners[0].accept().unwrap().0);
        assert!(accepted.tcp_nodelay().unwrap() && accepted.keepalive().unwrap());
        assert_eq!(accepted.tcp_keepalive_time().unwrap(), KEEPALIVE.0);
    }

    #[test]
    fn a_second_router_on_the_port_is_refused() {
        let (_held, address) = bind(&loopback(0), 2).unwrap();
        let error = bind(&loopback(port(&address)), 2).unwrap_err();
        assert_eq!(error.error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains("the port is in use"), "{error}");
    }

    #[test]
    fn a_port_is_free_again_after_connections_were_served() {
        let (bound, address) = bind(&loopback(0), 1).unwrap();
        let listeners = tcp(bound);
        let client = TcpStream::connect(("127.0.0.1", port(&address))).unwrap();
        drop(listeners[0].accept().unwrap()); // our side closes first: TIME_WAIT stays here
        drop((client, listeners));
        assert!(bind(&loopback(port(&address)), 2).is_ok());
    }

    #[test]
    fn a_unix_listener_that_accepts_nothing_is_not_waited_for() {
        let dir = std::env::temp_dir().join(format!("crosspoint-busy-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("socket");
        let endpoint = |backlog| Endpoint::Unix {
            path: path.clone(),
            backlog,
            mode: None,
        };
        let _listener = bind(&endpoint(1), 1).unwrap();
        let mut waiting = Vec::new();
        loop {
            let client = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
            client.set_nonblocking(true).unwrap();
            if client.connect(&SockAddr::unix(&path).unwrap()).is_err() {
                break;
            }
            waiting.push(client);
        }
        let (done, result) = mpsc::channel();
        let again = endpoint(1);
        std::thread::spawn(move || done.send(bind(&again, 1).map(drop)));
        let error = result.recv_timeout(Duration::from_secs(10)).unwrap().unwrap_err();
        assert_eq!(error.error.kind(), io::ErrorKind::AddrInUse);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn unix_sockets_replace_stale_files_only() {
        let dir = std::env::temp_dir().join(format!("crosspoint-listen-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("socket");
        let endpoint = Endpoint::Unix {
            path: path.clone(),
            backlog: 8,
            mode: Some(0o600),
        };
        drop(UnixListener::bind(&path).unwrap()); // leaves its file behind
        let (bound, _) = bind(&endpoint, 2).unwrap();
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let error = bind(&endpoint, 2).unwrap_err();
        assert!(
            error.to_string().contains("another program listens there"),
            "{error}"
        );
        assert!(
            UnixStream::connect(&path).is_ok(),
            "the first listener is untouched"
        );
        drop(bound);
        assert!(!path.exists());
        std::fs::write(&path, "a file").unwrap();
        let error = bind(&endpoint, 2).unwrap_err();
        assert!(error.to_string().contains("is no socket"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
        let missing = Endpoint::Unix {
            path: dir.join("no/socket"),
            backlog: 8,
            mode: None,
        };
        assert!(
            bind(&missing, 1)
                .unwrap_err()
                .to_string()
                .contains("the directory does not exist")
        );
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
