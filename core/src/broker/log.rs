//! The past events of one topic or pattern, in the order in which they came.
//!
//! Invariants: times never go back, so that they can be searched by halves. Number, bytes and age are bounded; the
//! oldest go first. Where the history is durable its events have numbers, which only grow, over all runs of the router.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use ahash::{HashMap, RandomState};
use bytestring::ByteString;

use super::detached::{cost, detached};
use crate::config::History;
use crate::effect::StoredEvent;
use crate::ids::PublicationId;
use crate::peer::Publication;
use crate::time::UnixTime;

/// Most events and bytes that one answer carries.
pub(super) const ANSWER: (usize, usize) = (1_000, 1 << 20);

/// What it costs to look at a past event, as [`Kept::walk`](super::kept::Kept::walk) counts.
const PER_PAST: i64 = 12;

/// A look at the events of a selection, which may take several turns.
#[derive(Debug)]
pub(super) struct Scan {
    /// Places that are yet to be looked at.
    left: Range<u64>,
    pub(super) found: Vec<Past>,
    bytes: usize,
}

/// Which events of a history are wanted: those that pass all that is set (specification, "Event History").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Newest first.
    pub reverse: bool,
    /// Most events.
    pub limit: Option<u64>,
    /// Events at this time or later.
    pub from_time: Option<UnixTime>,
    /// Later events.
    pub after_time: Option<UnixTime>,
    /// Earlier events.
    pub before_time: Option<UnixTime>,
    /// Events at this time or earlier.
    pub until_time: Option<UnixTime>,
    /// Events of this topic.
    pub topic: Option<ByteString>,
    /// This event and those after it.
    pub from_publication: Option<PublicationId>,
    /// Those after this event.
    pub after_publication: Option<PublicationId>,
    /// Those before this event.
    pub before_publication: Option<PublicationId>,
    /// This event and those before it.
    pub until_publication: Option<PublicationId>,
}

/// A past event.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) at: UnixTime,
    /// [Detached](detached).
    pub(super) publication: Arc<Publication>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Log {
    events: VecDeque<Past>,
    /// How many events were forgotten.
    gone: u64,
    /// Where events are, counted from the first that ever was.
    places: HashMap<PublicationId, u64>,
    bytes: usize,
    /// Set where the history is durable.
    numbers: Option<Box<Numbers>>,
}

/// Which numbers the events of a durable history have.
#[derive(Debug, Default)]
struct Numbers {
    /// One for each event. There may be gaps: not everything that was kept has also been stored.
    of_events: VecDeque<u64>,
    /// That of the next event.
    next: u64,
    /// What the stored copy was told last: its first number, and the next one.
    told: (u64, u64),
}

impl Numbers {
    fn first(&self) -> u64 {
        self.of_events.front().copied().unwrap_or(self.next)
    }
}

impl Log {
    /// Without events yet.
    pub(super) fn new(durable: bool, hasher: &RandomState) -> Self {
        Self {
            events: VecDeque::new(),
            gone: 0,
            places: HashMap::with_hasher(hasher.clone()),
            bytes: 0,
            numbers: durable.then(Box::default),
        }
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: Past, bounds: &History) {
        if let Some(numbers) = &mut self.numbers {
            numbers.of_events.push_back(numbers.next);
            numbers.next += 1;
        }
        self.append(event, bounds);
    }

    /// Adds an event of an earlier run. All of them come before those of this run, with growing numbers.
    pub(super) fn restore(&mut self, event: StoredEvent, bounds: &History) {
        let StoredEvent {
            number,
            at,
            mut publication,
        } = event;
        if publication.receivers.is_some() {
            // Whoever stored it may have had its lists in another order.
            publication = Arc::new(detached(&publication));
        }
        if let Some(numbers) = &mut self.numbers {
            debug_assert!(number >= numbers.next, "{number} after {}", numbers.next);
            if numbers.next == 0 {
                numbers.told.0 = number;
            }
            numbers.of_events.push_back(number);
            numbers.next = number.saturating_add(1);
            numbers.told.1 = numbers.next;
        }
        self.append(Past { at, publication }, bounds);
    }

    /// What the stored copy has to be told since this was asked last, which was before the last event at the latest:
    /// that event, if it is new, and the first number that is not forgotten.
    pub(super) fn change(&mut self) -> Option<(Option<StoredEvent>, u64)> {
        let numbers = self.numbers.as_mut()?;
        let now = (numbers.first(), numbers.next);
        let told = std::mem::replace(&mut numbers.told, now);
        let is_new = |number: &u64| *number >= told.1;
        let added = numbers.of_events.back().copied().filter(is_new);
        let added = added.zip(self.events.back()).map(|(number, event)| StoredEvent {
            number,
            at: event.at,
            publication: Arc::clone(&event.publication),
        });
        (told != now).then_some((added, now.0))
    }

    fn append(&mut self, event: Past, bounds: &History) {
        let at = event.at.max(self.events.back().map_or(event.at, |last| last.at));
        self.bytes += cost(&event.publication);
        let place = self.gone + self.events.len() as u64;
        self.places.insert(event.publication.publication, place);
        self.events.push_back(Past { at, ..event });
        while self.events.len() > bounds.events || self.bytes > bounds.bytes {
            self.forget_oldest();
        }
    }

    /// Forgets what is older than `bounds` allow.
    pub(super) fn expire(&mut self, now: UnixTime, bounds: &History) {
        let Some(age) = bounds.max_age else {
            return;
        };
        let oldest = now.before(age);
        while self.events.front().is_some_and(|event| event.at < oldest) {
            self.forget_oldest();
        }
    }

    /// When the oldest event was published.
    pub(super) fn oldest(&self) -> Option<UnixTime> {
        self.events.front().map(|event| event.at)
    }

    fn forget_oldest(&mut self) {
        if let Some(event) = self.events.pop_front() {
            self.bytes -= cost(&event.publication);
            let id = event.publication.publication;
            if self.places.get(&id) == Some(&self.gone) {
                self.places.remove(&id);
            }
            self.gone += 1;
        }
        if let Some(numbers) = &mut self.numbers {
            numbers.of_events.pop_front();
        }
    }

    /// Begins to look for the events that `wanted` selects.
    pub(super) fn select(&self, wanted: &Selection) -> Scan {
        let range = self.range(wanted).unwrap_or_default();
        Scan {
            left: self.gone + range.start as u64..self.gone + range.end as u64,
            found: Vec::new(),
            bytes: 0,
        }
    }

    /// Goes on with `scan` for those that `admits` lets through, as long as something is `left` of its allowance. Whether it
    /// has seen all that it looks for.
    pub(super) fn scan(
        &self,
        (scan, wanted): (&mut Scan, &Selection),
        admits: impl Fn(&Publication) -> bool,
        left: &mut i64,
    ) -> bool {
        let most = wanted.limit.and_then(|limit| usize::try_from(limit).ok());
        let most = most.unwrap_or(usize::MAX).min(ANSWER.0);
        let is_of_topic = |topic: &ByteString| wanted.topic.as_ref().is_none_or(|wanted| wanted == topic);
        loop {
            if scan.left.start < self.gone {
                // What was there when it began is forgotten by now. What came before that is too: no answer has a gap.
                scan.left.start = self.gone;
                if !wanted.reverse {
                    scan.found.clear();
                    scan.bytes = 0;
                }
            }
            let next = if wanted.reverse {
                scan.left.next_back()
            } else {
                scan.left.next()
            };
            let Some(event) = next.and_then(|place| self.events.get((place - self.gone) as usize)) else {
                return true;
            };
            let publication = &event.publication;
            if is_of_topic(&publication.topic) && admits(publication) {
                scan.bytes += cost(publication);
                if !scan.found.is_empty() && scan.bytes > ANSWER.1 {
                    return true;
                }
                scan.found.push(event.clone());
                if scan.found.len() == most {
                    return true;
                }
            }
            *left -= PER_PAST;
            if *left <= 0 {
                return false;
            }
        }
    }

    /// The places between all bounds; `None` where a publication is not there.
    fn range(&self, wanted: &Selection) -> Option<Range<usize>> {
        let place = |id: PublicationId| Some((self.places.get(&id)? - self.gone) as usize);
        let earlier = |time: UnixTime| self.events.partition_point(|event| event.at < time);
        let not_later = |time: UnixTime| self.events.partition_point(|event| event.at <= time);
        let (mut begin, mut end) = (0, self.events.len());
        if let Some(time) = wanted.from_time {
            begin = begin.max(earlier(time));
        }
        if let Some(time) = wanted.after_time {
            begin = begin.max(not_later(time));
        }
        if let Some(time) = wanted.before_time {
            end = end.min(earlier(time));
        }
        if let Some(time) = wanted.until_time {
            end = end.min(not_later(time));
        }
        if let Some(id) = wanted.from_publication {
            begin = begin.max(place(id)?);
        }
        if let Some(id) = wanted.after_publication {
            begin = begin.max(place(id)? + 1);
        }
        if let Some(id) = wanted.before_publication {
            end = end.min(place(id)?);
        }
        if let Some(id) = wanted.until_publication {
            end = end.min(place(id)? + 1);
        }
        (begin < end).then_some(begin..end)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ids::RealmId;
    use crate::options::MatchPolicy;
    use crate::payload::Payload;
    use crate::value::Dict;

    fn bounds() -> History {
        History {
            uri: String::new(),
            match_policy: MatchPolicy::Prefix,
            events: 5,
            bytes: 1 << 20,
            max_age: Some(Duration::from_micros(10)),
            durable: true,
        }
    }

    fn past(id: u64, at: i64) -> Past {
        let publication = Publication {
            realm: RealmId(0),
            topic: if id.is_multiple_of(2) { "even" } else { "odd" }.into(),
            publication: PublicationId(id),
            publisher: None,
            trustlevel: None,
            receivers: None,
            retain: false,
            rest: Dict::new(),
            payload: Payload::EMPTY,
        };
        Past {
            at: UnixTime(at),
            publication: Arc::new(publication),
        }
    }

    fn empty() -> Log {
        Log::new(false, &RandomState::with_seeds(1, 2, 3, 4))
    }

    /// All that `wanted` selects and `admits` lets through, found in steps of one event.
    fn scan(log: &Log, wanted: &Selection, admits: impl Fn(&Publication) -> bool) -> Vec<Past> {
        let mut scan = log.select(wanted);
        while !log.scan((&mut scan, wanted), &admits, &mut 1) {}
        scan.found
    }

    /// Publications 1 to 5, two of them at the same time.
    fn log() -> Log {
        let mut log = empty();
        for (id, at) in [(1, 10), (2, 20), (3, 20), (4, 30), (5, 40)] {
            log.push(past(id, at), &bounds());
        }
        log
    }

    fn select(log: &Log, change: impl FnOnce(&mut Selection)) -> Vec<u64> {
        let mut wanted = Selection::default();
        change(&mut wanted);
        let found = scan(log, &wanted, |_| true);
        found
            .iter()
            .map(|event| event.publication.publication.0)
            .collect()
    }

    #[test]
    fn eh_001_to_eh_014_every_filter_and_all_together() {
        let log = log();
        let (time, id) = (|at| Some(UnixTime(at)), |id| Some(PublicationId(id)));
        assert_eq!(select(&log, |_| {}), [1, 2, 3, 4, 5]);
        assert_eq!(select(&log, |wanted| wanted.reverse = true), [5, 4, 3, 2, 1]);
        assert_eq!(select(&log, |wanted| wanted.limit = Some(2)), [1, 2]);
        assert_eq!(select(&log, |wanted| wanted.from_time = time(20)), [2, 3, 4, 5]);
        assert_eq!(select(&log, |wanted| wanted.after_time = time(20)), [4, 5]);
        assert_eq!(select(&log, |wanted| wanted.before_time = time(20)), [1]);
        assert_eq!(select(&log, |wanted| wanted.until_time = time(20)), [1, 2, 3]);
        assert_eq!(select(&log, |wanted| wanted.from_publication = id(4)), [4, 5]);
        assert_eq!(select(&log, |wanted| wanted.after_publication = id(4)), [5]);
        assert_eq!(select(&log, |wanted| wanted.before_publication = id(2)), [1]);
        assert_eq!(select(&log, |wanted| wanted.until_publication = id(2)), [1, 2]);
        assert_eq!(
            select(&log, |wanted| wanted.until_publication = id(9)),
            [0_u64; 0]
        );
        assert_eq!(select(&log, |wanted| wanted.topic = Some("even".into())), [2, 4]);
        let all = |wanted: &mut Selection| {
            wanted.reverse = true;
            wanted.limit = Some(1);
            wanted.topic = Some("odd".into());
            wanted.after_time = time(10);
            wanted.before_publication = id(5);
        };
        assert_eq!(select(&log, all), [3]);
        let none = |wanted: &mut Selection| (wanted.from_time, wanted.until_time) = (time(40), time(10));
        assert_eq!(select(&log, none), [0_u64; 0]);
    }

    /// Nothing is found twice, and nothing that came later.
    #[test]
    fn events_come_and_go_while_others_are_looked_for() {
        for (reverse, expected) in [(false, vec![4, 5]), (true, vec![5, 4, 3])] {
            let mut log = log();
            let wanted = Selection {
                reverse,
                limit: Some(3),
                ..Selection::default()
            };
            let mut scan = log.select(&wanted);
            assert!(!log.scan((&mut scan, &wanted), |_| true, &mut 1));
            if !reverse {
                log.expire(UnixTime(40), &bounds());
            }
            log.push(past(6, 50), &bounds());
            while !log.scan((&mut scan, &wanted), |_| true, &mut 1) {}
            let found: Vec<_> = scan
                .found
                .iter()
                .map(|event| event.publication.publication.0)
                .collect();
            assert_eq!(found, expected);
        }
    }

    /// They are searched by halves, whoever wrote them.
    #[test]
    fn the_lists_of_what_comes_from_a_store_are_sorted() {
        let lists = crate::options::Receivers {
            eligible_authrole: Some(vec!["b".into(), "a".into()]),
            ..Default::default()
        };
        let Past { at, publication } = past(1, 10);
        let mut publication = detached(&publication);
        publication.receivers = Some(Box::new(lists));
        let stored = StoredEvent {
            number: 1,
            at,
            publication: Arc::new(publication),
        };
        let mut log = empty();
        log.restore(stored, &bounds());
        let found = scan(&log, &Selection::default(), |publication| {
            let lists = publication.receivers.as_deref().unwrap();
            lists.eligible_authrole.as_deref() == Some(&["a".into(), "b".into()])
        });
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn the_oldest_go_first() {
        let mut log = log();
        log.push(past(6, 35), &bounds());
        assert_eq!(select(&log, |_| {}), [2, 3, 4, 5, 6]);
        // Times never go back.
        assert_eq!(
            select(&log, |wanted| wanted.from_time = Some(UnixTime(40))),
            [5, 6]
        );
        log.expire(UnixTime(40), &bounds());
        assert_eq!(select(&log, |_| {}), [4, 5, 6]);
        assert_eq!(log.oldest(), Some(UnixTime(30)));
        let from = |id| select(&log, |wanted| wanted.from_publication = Some(PublicationId(id)));
        assert_eq!((from(5), from(3)), (vec![5, 6], Vec::new()));
        assert_eq!(log.places.len(), 3);
        let small = History { bytes: 1, ..bounds() };
        log.push(past(7, 50), &small);
        assert_eq!((log.oldest(), log.bytes), (None, 0));
    }
}
