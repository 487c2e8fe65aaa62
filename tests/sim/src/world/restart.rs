//! The router ends and starts again. Clients lose their connections; only what is stored outlives it.

use std::sync::Arc;

use crosspoint_core::ids::{RealmId, ShardId};
use crosspoint_core::router::Router;

use super::World;
use crate::broken::Check;
use crate::mail::Mail;
use crate::store::Place;

impl World {
    /// In order or not, with as many shards, and histories as long, as the plan draws now.
    pub(super) fn restart(&mut self) -> Check {
        if self.rng.bool() {
            self.is_shutting_down = true;
            self.wind_down()?;
        }
        self.is_shutting_down = false;
        self.store.crash();
        self.links.fill_with(|| None);
        self.owners.clear();
        self.connections = 0;
        self.plan.start_again(&mut self.rng);
        let plan = &self.plan;
        self.mail = Mail::new(plan.shards, plan.slow_mailboxes, plan.fault, self.rng.fork());
        self.routers.clear();
        for shard in 0..plan.shards {
            let (config, seed) = (Arc::clone(&plan.config), self.rng.u64(..));
            self.routers
                .push(Router::new(ShardId(shard), plan.shards, config, seed));
        }
        let store = &self.store;
        self.oracle
            .started_again(Arc::clone(&plan.config), plan.shards, |place| store.events(place));
        self.restore()
    }

    /// Shards take back what is stored of their histories.
    pub(super) fn restore(&mut self) -> Check {
        for shard in 0..self.plan.shards {
            let shard = ShardId(shard);
            self.begin(8, shard, &"starts");
            let store = &self.store;
            self.routers[usize::from(shard.0)].restore(
                self.now,
                |realm, history| store.events((realm, history)),
                &mut self.effects,
            );
            self.end(shard)?;
        }
        Ok(())
    }

    /// All is quiet: what is stored is what the histories hold.
    pub(super) fn check_store(&mut self) -> Check {
        for place in self.durable_histories() {
            if !self.store.is_stale(place) {
                self.oracle.check_stored(place, &self.store.events(place))?;
            }
        }
        Ok(())
    }

    fn durable_histories(&self) -> Vec<Place> {
        let realms = self.plan.config.realms.iter().enumerate();
        let histories = realms.flat_map(|(realm, config)| {
            let histories = config.histories.iter().enumerate();
            let durable = histories.filter(|(_, history)| history.durable);
            durable.map(move |(history, _)| (RealmId(realm as u32), history))
        });
        histories.collect()
    }
}
