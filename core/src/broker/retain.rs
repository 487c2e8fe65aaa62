//! Retained events (specification, "Event Retention"): kept by the owner of their topic, sent to those who subscribe
//! later and ask for them, of which `search` and `look_up` tell.
//!
//! A publication that a shard was told to retain is posted after the same publication to its subscribers. So it is
//! there for every SUBSCRIBE that begins after PUBLISHED.

use std::sync::Arc;
use std::time::Duration;

use super::detached::detached;
use super::kept::{Event, Kept, Share};
use super::look_up::LookUps;
use crate::config::Retention;
use crate::effect::Effects;
use crate::error_uri as uri;
use crate::ids::{RealmId, SessionId};
use crate::options::MatchPolicy;
use crate::peer::{PeerMessage, Publication, Retain};
use crate::router::{Refusal, Router};
use crate::time::Time;
use crate::timers::Timer;
use crate::value::Dict;

/// PUBLISH.Options: milliseconds after which an event is no longer retained. Not in the specification, which leaves
/// names that begin like this to implementations.
const EXPIRES: &str = "_expires";

/// What expired is forgotten no later than this after it did, and no more often than each second.
const SWEEP: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long a publication asks to be retained: no longer than its realm allows.
pub(crate) fn retain_for(options: &Dict, retention: &Retention) -> Result<Option<Duration>, Refusal> {
    let Some(value) = options.get(EXPIRES) else {
        return Ok(retention.expiry);
    };
    let Some(millis) = value.as_u64() else {
        return Err(Refusal::new(
            uri::INVALID_ARGUMENT,
            "_expires must be a number of milliseconds, an integer of at least 0",
        ));
    };
    let asked = Duration::from_millis(millis);
    Ok(Some(retention.expiry.map_or(asked, |most| asked.min(most))))
}

/// A realm's retained events on one shard.
#[derive(Debug)]
pub(super) struct Retaining {
    pub(super) kept: Kept,
    share: Share,
    /// When what has expired by then is forgotten, if a timer is set for that.
    sweep: Option<Time>,
    pub(super) look_ups: LookUps,
}

impl Retaining {
    pub(super) fn new(retention: &Retention, shards: u16) -> Self {
        let share = |whole: usize| whole.div_ceil(usize::from(shards));
        Self {
            kept: Kept::default(),
            share: Share {
                events: share(retention.events),
                bytes: share(retention.bytes),
                per_topic: retention.per_topic,
            },
            sweep: None,
            look_ups: LookUps::default(),
        }
    }

    /// Subscribers of any shard that wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        self.look_ups.len()
    }
}

impl Router {
    /// Has the owner of a publication's topic retain it.
    pub(super) fn retain(
        &mut self,
        publication: Arc<Publication>,
        excluded: Option<SessionId>,
        expires: Option<Duration>,
        fx: &mut Effects,
    ) {
        let hasher = &self.realms[publication.realm.0 as usize].hasher;
        let owner = hasher.owner(hasher.hash(MatchPolicy::Exact, &publication.topic));
        let retain = Retain {
            publication,
            excluded,
            expires,
        };
        self.post(owner, PeerMessage::Retain(Box::new(retain)), fx);
    }

    /// As owner: retains a publication.
    pub(crate) fn own_retain(&mut self, retain: &Retain, fx: &mut Effects) {
        let (now, realm) = (self.now, retain.publication.realm);
        let expires = retain.expires.map(|span| now.after(span));
        let event = Event::new(detached(&retain.publication), retain.excluded, (now, expires));
        let retaining = &mut self.realm(realm).broker.retaining;
        retaining.kept.expire(now);
        let share = retaining.share;
        fx.evicted += retaining.kept.put(event, share);
        self.sweep_later(realm);
    }

    /// A timer of a realm's retained events is over.
    pub(crate) fn retained_timeout(&mut self, realm: RealmId) {
        let now = self.now;
        let retaining = &mut self.realm(realm).broker.retaining;
        // What expired is forgotten; it is not found before that either.
        if retaining.sweep.is_some_and(|at| at <= now) {
            retaining.sweep = None;
            retaining.kept.expire(now);
            self.sweep_later(realm);
        }
    }

    fn sweep_later(&mut self, realm: RealmId) {
        let now = self.now;
        let retaining = &mut self.realm(realm).broker.retaining;
        if let Some(at) = retaining.kept.next_expiry().filter(|_| retaining.sweep.is_none()) {
            let at = at.clamp(now.after(SWEEP.0), now.after(SWEEP.1));
            retaining.sweep = Some(at);
            self.timers.set(at, Timer::Retained(realm));
        }
    }
}
