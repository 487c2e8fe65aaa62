//! As owner: what is retained for those who subscribed and ask for it (specification, "Event Retention").
//!
//! A topic is looked up at once. A pattern may have to be compared with every topic that there is, and match none: no
//! answer then slows whoever asks. So this takes no more than a share of the shard's time; what does not fit into the
//! step waits for its [turn](super::turns), in the order in which it was asked.

use std::collections::VecDeque;

use super::kept::{Reader, Walk};
use super::retain::Retaining;
use super::turns::Kind;
use crate::effect::Effects;
use crate::ids::RealmId;
use crate::options::MatchPolicy;
use crate::pattern::relation::Pattern;
use crate::peer::{FindRetained, PeerMessage};
use crate::router::Router;
use crate::time::Time;

/// Most bytes of retained events that one SUBSCRIBE gets, so that they fit into its outbox.
pub(super) const ANSWER_BYTES: usize = 1 << 20;

/// What one question costs, beside the topics that are looked at.
pub(super) const PER_QUESTION: i64 = 512;

/// The questions of a realm that wait for their turn, the first perhaps half answered.
#[derive(Debug, Default)]
pub(super) struct LookUps {
    waiting: VecDeque<(FindRetained, Walk)>,
}

impl LookUps {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

impl Router {
    /// Looks up what a new subscriber of any shard may get.
    pub(crate) fn find_retained(&mut self, asked: FindRetained, fx: &mut Effects) {
        let (realm, now) = (asked.key.realm, self.now);
        let retaining = &mut self.realm(realm).broker.retaining;
        if asked.key.policy == MatchPolicy::Exact {
            let found = retaining.kept.newest(&asked.key.uri, &reader(&asked, now));
            let events = found.into_iter().collect();
            let token = asked.token;
            return self.post(asked.from, PeerMessage::Retained { realm, token, events }, fx);
        }
        retaining.look_ups.waiting.push_back((asked, Walk::default()));
        self.await_turn(Kind::Retained(realm), fx);
    }

    /// Goes on with the first question, as long as something is `left`. Whether any waits then.
    pub(super) fn look_up(&mut self, realm: RealmId, left: &mut i64, fx: &mut Effects) -> bool {
        let most = self.realm_config(realm).retention.per_subscribe;
        let now = self.now;
        let Retaining { kept, look_ups, .. } = &mut self.realm(realm).broker.retaining;
        let Some((asked, walk)) = look_ups.waiting.front_mut() else {
            return false;
        };
        let pattern = Pattern {
            policy: asked.key.policy,
            uri: &asked.key.uri,
        };
        if !kept.walk(pattern, &reader(asked, now), (walk, most), left) {
            return true;
        }
        *left -= PER_QUESTION;
        let answered = look_ups.waiting.pop_front();
        let waits = !look_ups.waiting.is_empty();
        if let Some((asked, walk)) = answered {
            let (token, events) = (asked.token, walk.into_found(ANSWER_BYTES));
            self.post(asked.from, PeerMessage::Retained { realm, token, events }, fx);
        }
        waits
    }
}

fn reader(asked: &FindRetained, now: Time) -> Reader<'_> {
    Reader {
        session: asked.subscriber.session,
        identity: &asked.subscriber.identity,
        now,
    }
}
