//! The world of one seed: the routers of all shards, the mailboxes between them, a disk, clients on slow wires, and a
//! clock that only the scheduler moves. One thread runs all of it, one step at a time; what the next step is
//! about is drawn from the seed.

mod phases;
mod restart;
mod steps;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crosspoint_core::dealer::Undelivered;
use crosspoint_core::effect::Effects;
use crosspoint_core::ids::{ConnKey, SessionId, ShardId, SubscriptionId};
use crosspoint_core::router::Router;
use crosspoint_core::time::Time;
use fastrand::Rng;

use crate::broken::Check;
use crate::client::Link;
use crate::mail::Mail;
use crate::oracle::{Oracle, Tally};
use crate::plan::{Options, Plan};
use crate::store::Store;
use crate::trace::{Trace, TraceLength};

/// Everything that there is.
pub(crate) struct World {
    plan: Plan,
    rng: Rng,
    now: Time,
    routers: Vec<Router>,
    mail: Mail,
    store: Store,
    /// The connection of each client, if it has one.
    links: Vec<Option<Link>>,
    /// Whose connection it is, by shard and key.
    owners: BTreeMap<(ShardId, ConnKey), usize>,
    connections: usize,
    sessions: Vec<SessionId>,
    subscriptions: Vec<SubscriptionId>,
    last_token: u64,
    steps: u64,
    is_shutting_down: bool,
    oracle: Oracle,
    trace: Trace,
    effects: Effects,
    /// What was not sent in this step, and what the router is told of it.
    undelivered: VecDeque<(usize, ConnKey, Undelivered)>,
    /// Outboxes have room for everything.
    has_room: bool,
}

/// What is left of a world.
pub(crate) struct Remains {
    pub(crate) checked: Check,
    pub(crate) trace: Trace,
    pub(crate) tally: Tally,
    pub(crate) steps: u64,
}

impl World {
    pub(crate) fn new(seed: u64, options: Options, trace: TraceLength) -> Self {
        let mut rng = Rng::with_seed(seed);
        let plan = Plan::new(&mut rng, options);
        let router = |shard| {
            let config = Arc::clone(&plan.config);
            Router::new(ShardId(shard), plan.shards, config, rng.u64(..))
        };
        let routers = (0..plan.shards).map(router).collect();
        let mail = Mail::new(plan.shards, plan.slow_mailboxes, plan.fault, rng.fork());
        let store = Store::new(plan.store_queue, plan.fault, rng.fork());
        let mut trace = Trace::new(trace);
        trace.line(|| format!("seed {seed}: {plan:?}"));
        Self {
            links: (0..plan.clients).map(|_| None).collect(),
            oracle: Oracle::new(Arc::clone(&plan.config), plan.shards),
            plan,
            rng,
            now: Time::default(),
            routers,
            mail,
            store,
            owners: BTreeMap::new(),
            connections: 0,
            sessions: Vec::new(),
            subscriptions: Vec::new(),
            last_token: 0,
            steps: 0,
            is_shutting_down: false,
            trace,
            effects: Effects::default(),
            undelivered: VecDeque::new(),
            has_room: false,
        }
    }

    /// Runs to the end, or to the first invariant that does not hold.
    pub(crate) fn run(mut self) -> Remains {
        let checked = self.live();
        Remains {
            checked,
            trace: self.trace,
            tally: self.oracle.tally,
            steps: self.steps,
        }
    }
}
