//! A router of one shard with sessions in it.

use std::sync::Arc;

use crosspoint_codec::PayloadValues;
use crosspoint_core::authorize::Role;
use crosspoint_core::config::{Access, Anonymous, RealmConfig, RouterConfig};
use crosspoint_core::effect::Effects;
use crosspoint_core::ids::{ConnKey, ShardId};
use crosspoint_core::message::Message;
use crosspoint_core::router::Router;
use crosspoint_core::time::Time;

use crate::messages::{REALM, hello};

/// One realm where anybody may do anything.
#[must_use]
pub fn config() -> Arc<RouterConfig> {
    let realms = vec![RealmConfig::new(REALM, vec![Role::trusted()])];
    Arc::new(RouterConfig::new(realms, [1, 2], &PayloadValues))
}

/// Anonymous sessions are let in.
#[must_use]
pub fn access() -> Arc<Access> {
    Arc::new(Access {
        anonymous: Some(Anonymous {
            role: Role::TRUSTED.to_owned(),
            realm: None,
            authid: None,
        }),
    })
}

/// A router, and the effects of its last step.
pub struct World {
    router: Router,
    /// What the last step brought about.
    pub effects: Effects,
}

impl World {
    /// The only shard, without sessions.
    #[must_use]
    pub fn new() -> Self {
        Self {
            router: Router::new(ShardId(0), 1, config(), 1),
            effects: Effects::default(),
        }
    }

    /// Opens a session, which then sends `first`.
    pub fn join(&mut self, first: Option<Message>) -> ConnKey {
        let conn = self.router.open(Time(0), access());
        self.step(conn, hello());
        if let Some(message) = first {
            self.step(conn, message);
        }
        conn
    }

    /// One message of a session.
    pub fn step(&mut self, conn: ConnKey, message: Message) {
        self.effects.clear();
        self.router.message(Time(0), conn, message, &mut self.effects);
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use crosspoint_core::effect::Effect;
    use crosspoint_core::payload::Format;

    use super::*;
    use crate::messages::{URI, payload, publish, subscribe};

    #[test]
    fn a_publication_reaches_all_subscribers() {
        let mut world = World::new();
        let publisher = world.join(None);
        for _ in 0..3 {
            world.join(Some(subscribe()));
        }
        world.step(publisher, publish(URI, payload(Format::MsgPack, 128)));
        let [Effect::Deliver { receivers, .. }] = &world.effects.list[..] else {
            panic!("{:?}", world.effects.list);
        };
        assert_eq!(receivers.len(), 3);
    }
}
