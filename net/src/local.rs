//! What the tasks of one shard share.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crosspoint_shard::{Event, ShardRc};

use crate::scratch::Scratch;
use crate::spec::ServerSpec;

/// One shard's connections.
pub(crate) struct Local {
    pub(crate) shard: ShardRc,
    pub(crate) spec: Arc<ServerSpec>,
    pub(crate) scratch: RefCell<Scratch>,
    /// Set when the server ends.
    pub(crate) stopping: Rc<Event>,
}

impl Local {
    pub(crate) fn new(shard: ShardRc, spec: Arc<ServerSpec>) -> Rc<Self> {
        let stopping = shard.borrow().stopping();
        Rc::new(Self { shard, spec, scratch: RefCell::default(), stopping })
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
