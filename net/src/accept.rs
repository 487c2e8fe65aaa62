//! Accepting connections: each shard its share of a TCP port, a thread those of a Unix socket.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crosspoint_shard::rt::reactor_turn;
use rustix::net::Shutdown;

use crate::connection::{serve, serve_returned};
use crate::fd;
use crate::inbox::{Accepted, Handed, Inbox};
use crate::local::{Local, sleep, spawn};
use crate::permit::Permits;
use crate::wire::SocketWire;

/// Connections that are accepted in one go.
const BATCH: usize = 64;

/// Between attempts where the system has no descriptors or memory left.
const RETRY: Duration = Duration::from_millis(100);

/// A shard's socket of a TCP listener.
#[derive(Debug)]
pub(crate) struct TcpSeat {
    /// Of the listener.
    pub(crate) index: usize,
    pub(crate) socket: OwnedFd,
    pub(crate) permits: Permits,
}

/// Serves the connections of a TCP listener until the server ends.
pub(crate) async fn accept_tcp(local: Rc<Local>, seat: TcpSeat) {
    let TcpSeat {
        index,
        socket,
        permits,
    } = seat;
    match socket.try_clone() {
        Ok(stopper) => {
            let stopping = Rc::clone(&local.stopping);
            spawn(async move {
                stopping.wait().await;
                stop_listening(&stopper);
            });
        }
        // Then the socket is closed when the executor ends.
        Err(error) => tracing::warn!(listener = index, %error, "no descriptor to stop listening with"),
    }
    let listener = fd::listener(socket);
    for accepted in 1_usize.. {
        let stream = listener.accept().await.map_err(io::Error::from);
        if local.stopping.is_set() {
            return;
        }
        match stream {
            Ok(stream) => spawn(serve(Rc::clone(&local), index, stream, permits.take())),
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(listener = index, %error, "cannot accept a connection");
                sleep(RETRY).await;
            }
        }
        if accepted % BATCH == 0 {
            reactor_turn().await;
        }
    }
}

/// Serves the connections that other threads accepted or opened, until the server ends.
pub(crate) async fn accept_handed(local: Rc<Local>) {
    while let Some(handed) = local.inbox.receive(&local.stopping).await {
        match handed {
            Handed::Accepted(Accepted {
                listener,
                socket,
                permit,
            }) => spawn(serve(Rc::clone(&local), listener, fd::stream(socket), permit)),
            Handed::Returned(returned) => spawn(serve_returned(Rc::clone(&local), returned)),
            Handed::Inside(inside) => SocketWire::attach_inside(&local, inside).await,
        }
    }
}

/// The thread that accepts from one Unix socket and deals the connections to the shards in turn.
#[derive(Debug)]
pub(crate) struct UnixAcceptor {
    listener: OwnedFd,
    ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl UnixAcceptor {
    /// # Errors
    /// If there can be no more threads or descriptors.
    pub(crate) fn start(
        listener: UnixListener,
        index: usize,
        permits: Permits,
        shards: Vec<Inbox>,
    ) -> io::Result<Self> {
        let ending = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ending);
        let stopper = OwnedFd::from(listener.try_clone()?);
        let thread = std::thread::Builder::new()
            .name(format!("accept-{index}"))
            .spawn(move || {
                for shard in shards.iter().cycle() {
                    let accepted = listener.accept();
                    if end.load(Ordering::Acquire) {
                        return;
                    }
                    match accepted {
                        Ok((stream, _)) => {
                            let permit = permits.take();
                            // Where nobody receives any more the router is ending, and so is the connection.
                            let _ = shard.send(Handed::Accepted(Accepted {
                                listener: index,
                                socket: stream.into(),
                                permit,
                            }));
                        }
                        Err(error) => {
                            tracing::warn!(listener = index, %error, "cannot accept a connection");
                            std::thread::sleep(RETRY);
                        }
                    }
                }
            })?;
        Ok(Self {
            listener: stopper,
            ending,
            thread,
        })
    }

    /// Ends the thread, and waits for that.
    pub(crate) fn stop(self) {
        self.ending.store(true, Ordering::Release);
        stop_listening(&self.listener);
        // It has nothing to tell, and a panic has been reported already.
        let _ = self.thread.join();
    }
}

/// Lets a socket listen no more, whoever waits for it.
fn stop_listening(listener: impl AsFd) {
    // It fails on a socket that does not listen any more, which is as well.
    let _ = rustix::net::shutdown(listener, Shutdown::Both);
}
