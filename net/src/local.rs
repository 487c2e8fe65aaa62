//! What the tasks of one shard share.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use crosspoint_shard::rt::{Opening, Watcher};
use crosspoint_shard::{Event, ShardRc};

use crate::counters::ConnectionCounters;
use crate::inbox::Inbox;
use crate::link::Link;
use crate::scratch::Scratch;
use crate::spec::ServerSpec;

/// One shard's connections.
pub(crate) struct Local {
    pub(crate) shard: ShardRc,
    /// Which sockets the shard watches.
    pub(crate) watcher: Watcher,
    pub(crate) spec: Arc<ServerSpec>,
    pub(crate) counters: Arc<ConnectionCounters>,
    pub(crate) scratch: RefCell<Scratch>,
    /// What other threads hand to this shard.
    pub(crate) inbox: Inbox,
    /// Set when the server ends.
    pub(crate) stopping: Rc<Event>,
    /// Connections in their handshake, of which the shard does not know.
    opening: RefCell<BTreeMap<u64, Rc<Link>>>,
    last_opening: Cell<u64>,
}

/// How long a connection in its handshake may be silent and yet be waited for as if it would say something now.
const SILENCE: Duration = Duration::from_millis(50);

/// A connection's place among those in their handshake; see [`Local::opening`].
pub(crate) struct InHandshake<'l> {
    local: &'l Local,
    link: &'l Link,
    number: u64,
    /// Set but while it is silent.
    busy: Option<Opening>,
}

impl Local {
    pub(crate) fn new(
        shard: ShardRc,
        watcher: Watcher,
        spec: Arc<ServerSpec>,
        counters: Arc<ConnectionCounters>,
        inbox: Inbox,
    ) -> Rc<Self> {
        let stopping = shard.borrow().stopping();
        Rc::new(Self {
            shard,
            watcher,
            spec,
            counters,
            scratch: RefCell::default(),
            inbox,
            stopping,
            opening: RefCell::default(),
            last_opening: Cell::default(),
        })
    }

    /// Until the result is dropped, `link` is cut off when the server ends.
    pub(crate) fn opening<'l>(&'l self, link: &'l Rc<Link>) -> InHandshake<'l> {
        let number = self.last_opening.get() + 1;
        self.last_opening.set(number);
        self.opening.borrow_mut().insert(number, Rc::clone(link));
        InHandshake {
            local: self,
            link,
            number,
            busy: Some(self.watcher.opening()),
        }
    }

    /// Cuts off the connections in their handshake when the server ends.
    pub(crate) async fn cut_off_at_end(self: Rc<Self>) {
        self.stopping.wait().await;
        self.opening.borrow().values().for_each(|link| link.shut_down());
    }
}

impl InHandshake<'_> {
    /// Reads what there is, at least one byte; nothing at the end of the stream. Where nothing comes for a while the shard
    /// waits as if there were no such connection: what comes then is read a [slice](crosspoint_shard::SLICE) later at most.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] at `deadline`, if there is one; others if the connection is lost.
    pub(crate) async fn read(&mut self, deadline: Option<Instant>) -> io::Result<BytesMut> {
        let left = || deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let mut span = Some(left().map_or(SILENCE, |left| left.min(SILENCE)));
        loop {
            self.link.set_read_timeout(span);
            let read = self.link.read(&self.local.scratch).await;
            let is_silent = matches!(&read, Err(error) if error.kind() == io::ErrorKind::TimedOut);
            if !is_silent || self.busy.is_none() {
                self.busy.get_or_insert_with(|| self.local.watcher.opening());
                return read;
            }
            self.busy = None;
            span = left();
        }
    }
}

impl Drop for InHandshake<'_> {
    fn drop(&mut self) {
        self.local.opening.borrow_mut().remove(&self.number);
    }
}

/// Runs `task` along with the others of this thread's executor, once those that are ready now had their turn.
/// (`glommio::spawn_local` would run it up to its first await inside this call, where the shard may be borrowed.)
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    let queue = glommio::executor().current_task_queue();
    match glommio::spawn_local_into(task, queue) {
        Ok(task) => drop(task.detach()),
        Err(error) => tracing::error!(%error, "the queue of this task does not take another one"),
    }
}

/// Waits for a time that is not zero.
pub(crate) async fn sleep(span: Duration) {
    glommio::timer::sleep(span).await;
}
