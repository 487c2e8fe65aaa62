//! Which topics there are, who publishes to them in which order, and what each subscription gets of it.
//!
//! Topics form groups of equal size: `BASE.g0000012.i0000003` is item 3 of group 12. A publisher goes through the
//! items of one group, then through the next group; publishers begin at different groups. So each subscription,
//! whatever its pattern, gets a sequence of each publisher whose every member can be told from a publication's
//! number alone, and what is lost, repeated or out of order shows.

use crosspoint_codec::core::options::MatchPolicy;

/// The topics of a run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    base: String,
    groups: u64,
    items: u64,
}

/// One topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Topic {
    group: u64,
    item: u64,
}

/// What one subscriber subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Exact(Topic),
    /// All items of a group.
    Prefix(u64),
    /// One item of all groups.
    Wildcard(u64),
}

/// How a subscriber subscribes, and which one of its kind it is.
enum Kind {
    Exact(u64),
    Prefix(u64),
    Wildcard(u64),
}

/// How many subscribers of ten, or of whatever the sum is, subscribe in which way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shares {
    pub(super) exact: u64,
    pub(super) prefix: u64,
    pub(super) wildcard: u64,
}

impl Plan {
    /// At least `topics` topics, in groups of `items`.
    pub(super) fn new(base: String, topics: u64, items: u64) -> Self {
        let items = items.clamp(1, topics.max(1));
        let groups = topics.div_ceil(items).max(1);
        Self { base, groups, items }
    }

    /// One topic for all.
    pub(super) fn single(base: String) -> Self {
        Self::new(base, 1, 1)
    }

    /// What all URIs begin with, without the dot behind it.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) const fn topics(&self) -> u64 {
        self.groups * self.items
    }

    pub(super) const fn groups(&self) -> u64 {
        self.groups
    }

    /// The URIs, by [`Plan::index`].
    pub(super) fn uris(&self) -> Vec<String> {
        let topics = (0..self.groups).flat_map(|group| (0..self.items).map(move |item| (group, item)));
        topics
            .map(|(group, item)| format!("{}.{}", self.group_uri(group), item_name(item)))
            .collect()
    }

    fn group_uri(&self, group: u64) -> String {
        format!("{}.g{group:07}", self.base)
    }

    pub(super) const fn index(&self, topic: Topic) -> usize {
        (topic.group * self.items + topic.item) as usize
    }

    /// Where a publication goes.
    pub(super) const fn topic(&self, publisher: u64, sequence: u64) -> Topic {
        Topic {
            group: (sequence / self.items + publisher) % self.groups,
            item: sequence % self.items,
        }
    }

    /// What a subscriber subscribes to; those of one kind take topics, groups or items in turn.
    pub(super) const fn pattern(&self, subscriber: u64, shares: Shares) -> Pattern {
        match kind(subscriber, shares) {
            Kind::Exact(nth) => {
                let topic = nth % self.topics();
                Pattern::Exact(Topic {
                    group: topic / self.items,
                    item: topic % self.items,
                })
            }
            Kind::Prefix(nth) => Pattern::Prefix(nth % self.groups),
            Kind::Wildcard(nth) => Pattern::Wildcard(nth % self.items),
        }
    }

    /// Which of the serializers, taken in turn, a subscriber has: a mixture for each kind, and for each topic, group
    /// or item.
    pub(super) const fn turn(&self, subscriber: u64, shares: Shares) -> u64 {
        let (nth, targets) = match kind(subscriber, shares) {
            Kind::Exact(nth) => (nth, self.topics()),
            Kind::Prefix(nth) => (nth, self.groups),
            Kind::Wildcard(nth) => (nth, self.items),
        };
        // By `nth` alone, each target would have one serializer only, where their numbers are multiples of each other.
        nth % targets + nth / targets
    }

    /// How many of the first `subscribers` get what is published to each topic, by [`Plan::index`].
    pub(super) fn readers(&self, shares: Shares, subscribers: u64) -> Vec<u32> {
        let mut exact = vec![0_u32; self.topics() as usize];
        let mut prefix = vec![0_u32; self.groups as usize];
        let mut wildcard = vec![0_u32; self.items as usize];
        for subscriber in 0..subscribers {
            match self.pattern(subscriber, shares) {
                Pattern::Exact(topic) => exact[self.index(topic)] += 1,
                Pattern::Prefix(group) => prefix[group as usize] += 1,
                Pattern::Wildcard(item) => wildcard[item as usize] += 1,
            }
        }
        let items = self.items as usize;
        let topics = exact.iter().enumerate();
        topics
            .map(|(index, exact)| exact + prefix[index / items] + wildcard[index % items])
            .collect()
    }

    /// The match policy and the URI to subscribe with.
    pub(super) fn subscription(&self, pattern: Pattern) -> (Option<MatchPolicy>, String) {
        match pattern {
            Pattern::Exact(Topic { group, item }) => {
                (None, format!("{}.{}", self.group_uri(group), item_name(item)))
            }
            // Numbers have the same length, so that no group's name begins another's.
            Pattern::Prefix(group) => (Some(MatchPolicy::Prefix), self.group_uri(group)),
            Pattern::Wildcard(item) => (
                Some(MatchPolicy::Wildcard),
                format!("{}..{}", self.base, item_name(item)),
            ),
        }
    }

    pub(super) fn matches(pattern: Pattern, topic: Topic) -> bool {
        match pattern {
            Pattern::Exact(exact) => exact == topic,
            Pattern::Prefix(group) => group == topic.group,
            Pattern::Wildcard(item) => item == topic.item,
        }
    }

    /// Which of the publications that a subscriber gets of a publisher this one is, counted from 0; `None` if the
    /// subscriber is to get nothing of it.
    pub(super) fn place(&self, pattern: Pattern, publisher: u64, sequence: u64) -> Option<u64> {
        Self::matches(pattern, self.topic(publisher, sequence))
            .then(|| self.sent(pattern, publisher, sequence))
    }

    /// How many of a publisher's first `count` publications a subscriber gets.
    pub(super) fn sent(&self, pattern: Pattern, publisher: u64, count: u64) -> u64 {
        let (topics, items) = (self.topics(), self.items);
        // A group's place in the publisher's own order.
        let order = |group: u64| (group + self.groups - publisher % self.groups) % self.groups;
        match pattern {
            Pattern::Exact(topic) => {
                let place = order(topic.group) * items + topic.item;
                count / topics + u64::from(count % topics > place)
            }
            Pattern::Prefix(group) => {
                let begun = (count % topics).saturating_sub(order(group) * items);
                count / topics * items + begun.min(items)
            }
            Pattern::Wildcard(item) => count / items + u64::from(count % items > item),
        }
    }
}

/// Of which kind a subscriber is.
const fn kind(subscriber: u64, shares: Shares) -> Kind {
    let Shares {
        exact,
        prefix,
        wildcard,
    } = shares;
    let sum = exact + prefix + wildcard;
    let (round, place) = (subscriber / sum, subscriber % sum);
    if place < exact {
        Kind::Exact(round * exact + place)
    } else if place < exact + prefix {
        Kind::Prefix(round * prefix + place - exact)
    } else {
        Kind::Wildcard(round * wildcard + place - exact - prefix)
    }
}

fn item_name(item: u64) -> String {
    format!("i{item:07}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::fan::ALL_EXACT;
    use super::*;

    const SHARES: Shares = Shares {
        exact: 3,
        prefix: 2,
        wildcard: 1,
    };

    #[test]
    fn every_subscription_gets_a_sequence_without_gaps() {
        let plan = Plan::new("a".to_owned(), 12, 4);
        assert_eq!((plan.topics(), plan.groups()), (12, 3));
        for subscriber in 0..36 {
            let pattern = plan.pattern(subscriber, SHARES);
            for publisher in 0..5 {
                let mut received = 0;
                for sequence in 0..50 {
                    if let Some(place) = plan.place(pattern, publisher, sequence) {
                        assert_eq!(place, received, "{pattern:?} of {publisher} at {sequence}");
                        received += 1;
                    }
                    assert_eq!(plan.sent(pattern, publisher, sequence + 1), received);
                }
                assert!(received >= 4, "{pattern:?} of {publisher}");
            }
        }
    }

    #[test]
    fn patterns_match_what_their_uris_say() {
        let plan = Plan::new("a.b".to_owned(), 6, 2);
        let uris = plan.uris();
        assert_eq!(uris[3], "a.b.g0000001.i0000001");
        for subscriber in 0..30 {
            let pattern = plan.pattern(subscriber, SHARES);
            let (policy, uri) = plan.subscription(pattern);
            for sequence in 0..6 {
                let topic = plan.topic(0, sequence);
                let name = &uris[plan.index(topic)];
                let expected = match policy {
                    Some(MatchPolicy::Prefix) => name.starts_with(&uri),
                    Some(MatchPolicy::Wildcard) => {
                        let mut parts = uri.split('.').zip(name.split('.'));
                        parts.all(|(part, of_name)| part.is_empty() || part == of_name)
                    }
                    _ => *name == uri,
                };
                assert_eq!(Plan::matches(pattern, topic), expected, "{uri} {name}");
            }
        }
    }

    #[test]
    fn kinds_come_in_their_shares_and_each_goes_through_all() {
        let plan = Plan::new("a".to_owned(), 6, 2);
        let patterns: Vec<_> = (0..18).map(|place| plan.pattern(place, SHARES)).collect();
        let count = |kind: fn(&Pattern) -> bool| patterns.iter().filter(|pattern| kind(pattern)).count();
        assert_eq!(count(|pattern| matches!(pattern, Pattern::Exact(_))), 9);
        assert_eq!(count(|pattern| matches!(pattern, Pattern::Prefix(_))), 6);
        assert_eq!(count(|pattern| matches!(pattern, Pattern::Wildcard(_))), 3);
        for group in 0..3 {
            assert!(patterns.contains(&Pattern::Prefix(group)));
            assert!((0..2).all(|item| patterns.contains(&Pattern::Exact(Topic { group, item }))));
        }
    }

    #[test]
    fn serializers_are_mixed_within_each_kind_and_each_target() {
        let usual = Shares {
            exact: 8,
            prefix: 1,
            wildcard: 1,
        };
        let plan = Plan::new("a".to_owned(), 8, 2);
        let mut seen = HashSet::new();
        for subscriber in 0..200 {
            seen.insert((
                plan.subscription(plan.pattern(subscriber, usual)),
                plan.turn(subscriber, usual) % 2,
            ));
        }
        // 8 topics, 4 groups and 2 items, each with either serializer.
        assert_eq!(seen.len(), 2 * (8 + 4 + 2));
        let single = Plan::single("a".to_owned());
        let turns = [0, 1, 2].map(|subscriber| single.turn(subscriber, ALL_EXACT));
        assert_eq!(turns, [0, 1, 2]);
    }

    #[test]
    fn readers_are_those_that_match() {
        let plan = Plan::new("a".to_owned(), 6, 3);
        let readers = plan.readers(SHARES, 25);
        for sequence in 0..6 {
            let topic = plan.topic(1, sequence);
            let matching =
                (0..25).filter(|&subscriber| Plan::matches(plan.pattern(subscriber, SHARES), topic));
            assert_eq!(readers[plan.index(topic)] as usize, matching.count());
        }
    }

    #[test]
    fn one_topic_is_a_plan_too() {
        let plan = Plan::single("a".to_owned());
        let pattern = plan.pattern(
            7,
            Shares {
                exact: 1,
                prefix: 0,
                wildcard: 0,
            },
        );
        assert_eq!(plan.place(pattern, 3, 41), Some(41));
        assert_eq!(plan.sent(pattern, 3, 42), 42);
    }
}
