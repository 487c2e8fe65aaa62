//! As owner: what is retained for those who subscribed and ask for it (specification, "Event Retention").
//!
//! A topic is looked up at once. A pattern may have to be compared with every topic that there is, and match none: no
//! answer then slows whoever asks. So this takes no more than a share of the shard's time; what does not fit into the
//! step waits for a timer, in the order in which it was asked.

use std::collections::VecDeque;
use std::time::Duration;

use super::kept::{Reader, Walk};
use crate::effect::Effects;
use crate::ids::RealmId;
use crate::options::MatchPolicy;
use crate::pattern::relation::Pattern;
use crate::peer::{FindRetained, PeerMessage};
use crate::router::Router;
use crate::time::Time;
use crate::timers::Timer;

/// Most bytes of retained events that one SUBSCRIBE gets, so that they fit into its outbox.
pub(super) const ANSWER_BYTES: usize = 1 << 20;

/// What one question costs, beside the topics that are looked at.
pub(super) const PER_QUESTION: i64 = 512;

/// The questions of a realm that wait for their turn, the first perhaps half answered.
#[derive(Debug, Default)]
pub(super) struct LookUps {
    waiting: VecDeque<(FindRetained, Walk)>,
    /// When they go on, if a timer is set for that.
    next: Option<Time>,
}

impl LookUps {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}

/// How much of its time a shard may spend on looking through kept events, in what [`Kept::walk`] counts.
///
/// What the last look costs beyond what is left is a debt: nothing is looked at until it is paid.
///
/// [`Kept::walk`]: super::kept::Kept::walk
#[derive(Debug)]
pub(crate) struct Allowance {
    left: i64,
    /// What can be saved up, and so most that one step takes, but for its last look.
    most: i64,
    /// When something was added last.
    since: Time,
}

impl Allowance {
    /// The time in which it becomes one more: about twice what one takes.
    const NANOS: u64 = 16;
    /// When nothing is left, it goes on after this time.
    const PAUSE: Duration = Duration::from_micros(500);

    pub(crate) fn new(most: usize) -> Self {
        Self {
            left: units(most),
            most: units(most),
            since: Time::default(),
        }
    }

    /// What is left at `now`.
    pub(super) fn at(&mut self, now: Time) -> &mut i64 {
        let more = now.0.saturating_sub(self.since.0) / Self::NANOS;
        if more > 0 {
            let more = i64::try_from(more).unwrap_or(i64::MAX);
            self.left = self.left.saturating_add(more).min(self.most);
            self.since = now;
        }
        &mut self.left
    }

    /// After which time it goes on, when nothing is left.
    pub(super) fn pause(&self) -> Duration {
        let debt = self.left.min(0).unsigned_abs();
        Self::PAUSE.max(Duration::from_nanos(debt.saturating_mul(Self::NANOS)))
    }
}

/// What something costs that takes so many of an allowance's units, such as octets.
pub(super) fn units(cost: usize) -> i64 {
    i64::try_from(cost).unwrap_or(i64::MAX)
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
        if retaining.look_ups.next.is_none() {
            self.look_up(realm, fx);
        }
    }

    /// A timer is over, perhaps the one that questions wait for.
    pub(super) fn look_up_if_due(&mut self, realm: RealmId, fx: &mut Effects) {
        let now = self.now;
        let look_ups = &mut self.realm(realm).broker.retaining.look_ups;
        if look_ups.next.is_some_and(|at| at <= now) {
            look_ups.next = None;
            self.look_up(realm, fx);
        }
    }

    /// Answers questions for as long as the allowance lasts.
    fn look_up(&mut self, realm: RealmId, fx: &mut Effects) {
        let most = self.realm_config(realm).retention.per_subscribe;
        while let Some((asked, walk)) = self.look_on(realm, most) {
            let events = walk.into_found(ANSWER_BYTES);
            let token = asked.token;
            self.post(asked.from, PeerMessage::Retained { realm, token, events }, fx);
        }
        let look_ups = &mut self.realms[realm.0 as usize].broker.retaining.look_ups;
        if !look_ups.waiting.is_empty() {
            let at = self.now.after(self.look_up_allowance.pause());
            look_ups.next = Some(at);
            self.timers.set(at, Timer::Retained(realm));
        }
    }

    /// Goes on with the first question. Returns it if it is answered.
    fn look_on(&mut self, realm: RealmId, most: usize) -> Option<(FindRetained, Walk)> {
        let left = self.look_up_allowance.at(self.now);
        if *left <= 0 {
            return None;
        }
        let retaining = &mut self.realms[realm.0 as usize].broker.retaining;
        let (asked, walk) = retaining.look_ups.waiting.front_mut()?;
        let pattern = Pattern {
            policy: asked.key.policy,
            uri: &asked.key.uri,
        };
        let reader = reader(asked, self.now);
        if !retaining.kept.walk(pattern, &reader, (walk, most), left) {
            return None;
        }
        *left -= PER_QUESTION;
        retaining.look_ups.waiting.pop_front()
    }
}

fn reader(asked: &FindRetained, now: Time) -> Reader<'_> {
    Reader {
        session: asked.subscriber.session,
        identity: &asked.subscriber.identity,
        now,
    }
}
