//! The course of a run: turmoil with moments of quiet, and the end.

use std::time::Duration;

use crosspoint_core::ids::ShardId;
use crosspoint_core::message::Message;
use crosspoint_core::options::CallOptions;

use super::World;
use super::steps::any;
use crate::broken::{Broken, Check};
use crate::client::{Link, Stage, Upward};
use crate::workload::{self, Context};

/// Steps after which a world that ought to come to rest is taken to be stuck.
const PATIENCE: u64 = 1_000_000;

impl World {
    pub(super) fn live(&mut self) -> Check {
        self.restore()?;
        for act in 0..self.plan.acts {
            if self.plan.shutdown_after == Some(act) {
                self.is_shutting_down = true;
            }
            self.turmoil()?;
            if let Some(every) = self.plan.restart_every
                && self.rng.u32(..every) == 0
            {
                self.restart()?;
            }
            if self.rng.u32(..self.plan.quiet_every) == 0 {
                self.settle()?;
                self.probe()?;
                self.recall()?;
            }
        }
        self.settle()?;
        self.probe()?;
        self.recall()?;
        self.wind_down()
    }

    /// Random steps up to and with one act of a client.
    fn turmoil(&mut self) -> Check {
        let pace = self.plan.pace;
        let total = pace.act + pace.up + pace.down + pace.mail + pace.disk + pace.clock;
        loop {
            self.now = self.now.after(Duration::from_micros(self.rng.u64(..200)));
            let mut choice = self.rng.u32(..total);
            if self.is_shutting_down && self.rng.u32(..10) == 0 {
                self.shut_down_one()?;
            }
            if choice < pace.act {
                let client = self.rng.usize(..self.links.len());
                return self.act(client);
            }
            choice -= pace.act;
            if choice < pace.up {
                self.step_up()?;
                continue;
            }
            choice -= pace.up;
            if choice < pace.down {
                self.step_down();
                continue;
            }
            choice -= pace.down;
            if choice < pace.mail {
                self.step_mail(false)?;
                continue;
            }
            choice -= pace.mail;
            if choice < pace.disk {
                self.store.write();
            } else {
                self.step_clock()?;
            }
        }
    }

    fn step_up(&mut self) -> Check {
        let links = &self.links;
        let waits = |client: usize| links[client].as_ref().is_some_and(|link| !link.up.is_empty());
        any(&mut self.rng, links.len(), waits).map_or(Ok(()), |client| self.take_up(client))
    }

    fn step_down(&mut self) {
        let links = &self.links;
        let waits = |client: usize| links[client].as_ref().is_some_and(|link| !link.down.is_empty());
        if let Some(client) = any(&mut self.rng, links.len(), waits) {
            self.read_down(client);
        }
    }

    fn step_mail(&mut self, patient: bool) -> Check {
        self.mail
            .take(&mut self.rng, patient)
            .map_or(Ok(()), |delivery| self.take_mail(delivery))
    }

    /// Time passes, or a shard notices that it did.
    fn step_clock(&mut self) -> Check {
        if self.rng.bool() {
            self.now = self.now.after(Duration::from_millis(self.rng.u64(..40)));
        }
        let shard = self.any_shard();
        self.look_at_clock(shard)
    }

    fn any_shard(&mut self) -> ShardId {
        ShardId(self.rng.u16(..self.plan.shards))
    }

    /// The signal to shut down reaches shards one by one.
    fn shut_down_one(&mut self) -> Check {
        let shard = self.any_shard();
        self.shut_down(shard)
    }

    /// Lets everything that is under way arrive, and checks that nothing is missing.
    fn settle(&mut self) -> Check {
        self.drain()?;
        self.oracle.quiet()?;
        for (shard, router) in self.routers.iter().enumerate() {
            self.oracle
                .check_leftovers(ShardId(shard as u16), router.leftovers())?;
        }
        self.check_store()
    }

    fn drain(&mut self) -> Check {
        let patience = self.steps + PATIENCE;
        while !self.is_quiet() {
            match self.rng.u32(..8) {
                0..3 => self.step_up()?,
                3 => self.step_down(),
                4..7 => self.step_mail(true)?,
                _ => {
                    self.store.write();
                    if self.is_searching() {
                        self.now = self.now.after(Duration::from_millis(1));
                    }
                    let shard = self.any_shard();
                    self.look_at_clock(shard)?;
                }
            }
            if self.steps > patience {
                return Err(Broken {
                    invariant: "the routers come to rest when clients do",
                    detail: format!("they still talk after {PATIENCE} steps"),
                });
            }
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        let mut links = self.links.iter().flatten();
        self.mail.is_empty()
            && self.store.is_idle()
            && links.all(|link| link.up.is_empty())
            && !self.is_searching()
            && (0..self.plan.shards).all(|shard| !self.is_due(ShardId(shard)))
    }

    /// Whether some router looks for kept events, in steps between which time passes.
    fn is_searching(&self) -> bool {
        self.routers.iter().any(|router| router.searching() > 0)
    }

    /// Calls some procedure a few times while nothing else goes on.
    fn probe(&mut self) -> Check {
        let Some(realm) = self.any_caller(None).and_then(|client| self.realm_of(client)) else {
            return Ok(());
        };
        self.has_room = true;
        let checked = self.probe_in(realm);
        self.has_room = false;
        checked
    }

    fn probe_in(&mut self, realm: usize) -> Check {
        let procedure = self.plan.uris.valid(&mut self.rng);
        let mut probe = self.oracle.probe(realm, procedure);
        for _ in 0..self.rng.usize(1..6) {
            let Some(client) = self.any_caller(Some(realm)) else {
                return Ok(());
            };
            self.send_as(client, |link, context| {
                workload::call_with(link, context, procedure, CallOptions::default())
            });
            self.drain()?;
            self.oracle.probed(&mut probe, self.last_token)?;
        }
        Ok(())
    }

    /// Asks for some of the past events of a realm while nothing else goes on.
    fn recall(&mut self) -> Check {
        let Some(client) = self.any_caller(None) else {
            return Ok(());
        };
        let known = self
            .realm_of(client)
            .map(|realm| self.oracle.known_histories(realm))
            .unwrap_or_default();
        if known.is_empty() {
            return Ok(());
        }
        let id = known[self.rng.usize(..known.len())];
        self.send_as(client, |link, context| workload::get_events_of(link, context, id));
        self.drain()
    }

    /// A client sends what `make` makes.
    fn send_as(&mut self, client: usize, make: impl FnOnce(&mut Link, &mut Context<'_>) -> Message) {
        if let Some(message) = self.think(client, make) {
            self.send_up(client, Upward::Message(Box::new(message)));
        }
    }

    /// A client that is in a session and knows it, and may call.
    fn any_caller(&mut self, realm: Option<usize>) -> Option<usize> {
        let (links, oracle) = (&self.links, &self.oracle);
        let may_call = |client: usize| {
            links[client].as_ref().is_some_and(|link| {
                let found = oracle.can_call(link.number);
                link.knows.stage == Stage::Joined && found.is_some() && (realm.is_none() || found == realm)
            })
        };
        any(&mut self.rng, links.len(), may_call)
    }

    fn realm_of(&self, client: usize) -> Option<usize> {
        let link = self.links[client].as_ref()?;
        self.oracle.can_call(link.number)
    }

    /// All clients leave, or the router ends under them; then nothing may be left.
    pub(super) fn wind_down(&mut self) -> Check {
        if self.is_shutting_down {
            for shard in 0..self.plan.shards {
                self.shut_down(ShardId(shard))?;
            }
            self.now = self.now.after(self.plan.limits().goodbye_timeout);
            self.settle()?;
        }
        while let Some(client) = any(&mut self.rng, self.links.len(), |client| {
            self.links[client].is_some()
        }) {
            self.vanish(client)?;
            if self.rng.bool() {
                self.step_mail(true)?;
            }
        }
        self.settle()?;
        for (shard, router) in self.routers.iter().enumerate() {
            self.oracle
                .check_empty(ShardId(shard as u16), router.leftovers())?;
        }
        Ok(())
    }
}
