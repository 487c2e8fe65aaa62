//! The retained events of one realm, of the topics that one shard owns.
//!
//! Invariants: the events of a topic are in the order in which they were retained. Only the first may be for
//! everybody: such an event replaces all that were there, since nobody would get those any more. Number and bytes
//! of all events never exceed the shares they were given; what was retained longest ago goes first.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use smallvec::SmallVec;

use super::detached::cost;
use super::filter::Filter;
use super::turns::units;
use crate::ids::SessionId;
use crate::options::MatchPolicy;
use crate::pattern::relation::{Pattern, literal_head};
use crate::peer::{Publication, Retained};
use crate::session::Identity;
use crate::time::Time;

/// What it costs to look at a topic, beside the length of its name, and at one of its events: in about the time that
/// one octet of a name takes, which is some nanoseconds.
const PER_TOPIC: usize = 32;
const PER_EVENT: usize = 64;

/// One shard's share of what a realm may retain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) events: usize,
    pub(super) bytes: usize,
    pub(super) per_topic: usize,
}

/// Who asks for retained events.
pub(super) struct Reader<'a> {
    pub(super) session: SessionId,
    pub(super) identity: &'a Identity,
    pub(super) now: Time,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Kept {
    topics: BTreeMap<Arc<str>, SmallVec<[Event; 1]>>,
    /// Topics by their events' serial numbers.
    by_age: BTreeMap<u64, Arc<str>>,
    by_expiry: BTreeMap<(Time, u64), Arc<str>>,
    bytes: usize,
    last_serial: u64,
}

/// A retained event.
#[derive(Debug)]
pub(super) struct Event {
    serial: u64,
    at: Time,
    publication: Arc<Publication>,
    /// The publisher, where it is not to receive its own event.
    excluded: Option<SessionId>,
    expires: Option<Time>,
    bytes: usize,
}

impl Event {
    /// An event for a publication that is [detached](super::detached::detached).
    pub(super) fn new(
        publication: Publication,
        excluded: Option<SessionId>,
        (at, expires): (Time, Option<Time>),
    ) -> Self {
        Self {
            serial: 0,
            at,
            bytes: cost(&publication),
            publication: Arc::new(publication),
            excluded,
            expires,
        }
    }

    fn is_over(&self, now: Time) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    fn is_for(&self, reader: &Reader<'_>) -> bool {
        let admits = |lists| Filter::of_sorted(lists).admits(reader.session, reader.identity);
        self.excluded != Some(reader.session) && self.publication.receivers.as_deref().is_none_or(admits)
    }
}

/// A look at all topics of a pattern, which may take several turns.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The last topic that was looked at, if it is not at its end.
    seen: Option<Arc<str>>,
    /// The newest that was found, by serial number.
    found: BTreeMap<u64, Retained>,
}

impl Walk {
    fn found(&mut self, found: Option<(u64, Retained)>, most: usize) {
        self.found.extend(found);
        if self.found.len() > most {
            self.found.pop_first();
        }
    }

    /// What was found, newest first: no more than `bytes` together, but for the first.
    pub(super) fn into_found(self, bytes: usize) -> Vec<Retained> {
        let newest_first = self.found.into_values().rev();
        fitting(newest_first, |retained| retained.bytes, bytes).collect()
    }
}

/// The first of `events`: of no more than `most` bytes together, but at least one.
pub(super) fn fitting<T>(
    events: impl Iterator<Item = T>,
    bytes: impl Fn(&T) -> usize,
    most: usize,
) -> impl Iterator<Item = T> {
    let mut sum = None;
    events.take_while(move |event| {
        let with_it = sum.unwrap_or(0_usize).saturating_add(bytes(event));
        let is_first = sum.replace(with_it).is_none();
        is_first || with_it <= most
    })
}

/// The newest of a topic's events that is for `reader`, and how many were looked at.
fn newest(events: &[Event], reader: &Reader<'_>) -> (usize, Option<(u64, Retained)>) {
    for (before, event) in events.iter().rev().enumerate() {
        if !event.is_over(reader.now) && event.is_for(reader) {
            let retained = Retained {
                at: event.at,
                bytes: event.bytes,
                publication: Arc::clone(&event.publication),
            };
            return (before + 1, Some((event.serial, retained)));
        }
    }
    (events.len(), None)
}

impl Kept {
    /// The next expiry.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.by_expiry.keys().next().map(|(at, _)| *at)
    }

    /// Retains `event`. One that is over already keeps nothing, but replaces what it would have replaced.
    ///
    /// Returns how many events there was no room for: older ones, or this one if it is larger than the whole share.
    pub(super) fn put(&mut self, mut event: Event, share: Share) -> u64 {
        let topic: Arc<str> = match self.topics.get_key_value(&*event.publication.topic) {
            Some((topic, _)) => Arc::clone(topic),
            None => Arc::from(&*event.publication.topic),
        };
        if event.publication.receivers.is_none() {
            self.clear(&topic);
        }
        if event.is_over(event.at) {
            return 0;
        }
        if event.bytes > share.bytes {
            return 1;
        }
        let evicted = self.make_room(&topic, event.bytes, share);
        self.last_serial += 1;
        event.serial = self.last_serial;
        self.bytes += event.bytes;
        self.by_age.insert(event.serial, Arc::clone(&topic));
        if let Some(at) = event.expires {
            self.by_expiry.insert((at, event.serial), Arc::clone(&topic));
        }
        self.topics.entry(topic).or_default().push(event);
        evicted
    }

    /// Forgets what is in the way of an event of `topic` that takes `bytes`; returns how many events that were.
    fn make_room(&mut self, topic: &Arc<str>, bytes: usize, share: Share) -> u64 {
        let before = self.by_age.len();
        while let Some(events) = self.topics.get(topic)
            && events.len() >= share.per_topic.max(1)
        {
            // The event for everybody stays: it is what most get.
            let place = usize::from(events.len() > 1 && events[0].publication.receivers.is_none());
            let serial = events[place].serial;
            self.take(topic, serial);
        }
        while self.by_age.len() >= share.events.max(1) || self.bytes + bytes > share.bytes {
            let Some((serial, oldest)) = self.by_age.first_key_value() else {
                break;
            };
            let (serial, oldest) = (*serial, Arc::clone(oldest));
            self.take(&oldest, serial);
        }
        (before - self.by_age.len()) as u64
    }

    /// Forgets what is over.
    pub(super) fn expire(&mut self, now: Time) {
        while self.next_expiry().is_some_and(|at| at <= now) {
            if let Some(((_, serial), topic)) = self.by_expiry.pop_first() {
                self.take(&topic, serial);
            }
        }
    }

    /// The newest event of `topic` for `reader`.
    pub(super) fn newest(&self, topic: &str, reader: &Reader<'_>) -> Option<Retained> {
        let (_, found) = newest(self.topics.get(topic)?, reader);
        found.map(|(_, retained)| retained)
    }

    /// Goes on with `walk` as long as something is `left` of its allowance. Whether it has seen all topics of `pattern`;
    /// of what is found the newest `most` count.
    pub(super) fn walk(
        &self,
        pattern: Pattern<'_>,
        reader: &Reader<'_>,
        (walk, most): (&mut Walk, usize),
        left: &mut i64,
    ) -> bool {
        let head = match pattern.policy {
            MatchPolicy::Exact | MatchPolicy::Prefix => pattern.uri,
            MatchPolicy::Wildcard => literal_head(pattern.uri),
        };
        let begin = match &walk.seen {
            Some(topic) => Bound::Excluded(&**topic),
            None => Bound::Included(head),
        };
        for (topic, events) in self.topics.range::<str, _>((begin, Bound::Unbounded)) {
            if !topic.starts_with(head) {
                return true;
            }
            let uri = Pattern {
                policy: MatchPolicy::Exact,
                uri: topic,
            };
            let mut cost = PER_TOPIC + topic.len();
            if pattern.covers(uri) {
                let (looked_at, found) = newest(events, reader);
                cost += looked_at * PER_EVENT;
                walk.found(found, most);
            }
            *left -= units(cost);
            if *left <= 0 {
                walk.seen = Some(Arc::clone(topic));
                return false;
            }
        }
        true
    }

    fn clear(&mut self, topic: &Arc<str>) {
        let events = self.topics.get(topic);
        let serials: SmallVec<[u64; 4]> = events.into_iter().flatten().map(|event| event.serial).collect();
        for serial in serials {
            self.take(topic, serial);
        }
    }

    /// Forgets an event of `topic`.
    fn take(&mut self, topic: &Arc<str>, serial: u64) {
        self.by_age.remove(&serial);
        let Some(events) = self.topics.get_mut(topic) else {
            return;
        };
        let Some(place) = events.iter().position(|event| event.serial == serial) else {
            return;
        };
        let event = events.remove(place);
        if events.is_empty() {
            self.topics.remove(topic);
        }
        self.bytes -= event.bytes;
        if let Some(at) = event.expires {
            self.by_expiry.remove(&(at, serial));
        }
    }
}
