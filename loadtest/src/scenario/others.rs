//! Subscriptions that nothing is ever published to: what a publication costs must not depend on them.

use crosspoint_codec::core::message::{Message, Subscribe};
use crosspoint_codec::core::options::{MatchPolicy, SubscribeOptions};

use super::load::{Flow, Load};
use super::plan::Plan;
use crate::cli::{Matching, OtherSubscriptions};
use crate::net::{ConnId, Handler, Io};

/// Subscriptions of one session; routers limit them.
const PER_SESSION: u64 = 10_000;

/// SUBSCRIBEs of one session that are not answered.
const WINDOW: u64 = 100;

/// The load.
pub(super) struct Others {
    flow: Flow,
    base: String,
    groups: u64,
    count: u64,
    matching: Matching,
    /// How many each session has asked for.
    asked: Vec<u64>,
    granted: u64,
}

impl Others {
    /// Sessions that are needed for them.
    pub(super) const fn sessions(options: &OtherSubscriptions) -> u64 {
        options.other_subscriptions.div_ceil(PER_SESSION)
    }

    pub(super) fn new(options: &OtherSubscriptions, plan: &Plan) -> Self {
        Self {
            flow: Flow::new("others", "", None),
            base: plan.base().to_owned(),
            groups: plan.groups(),
            count: options.other_subscriptions,
            matching: options.other_match,
            asked: vec![0; Self::sessions(options) as usize],
            granted: 0,
        }
    }

    /// What the title of a run says of them.
    pub(super) fn title(options: &OtherSubscriptions) -> String {
        let kind = match options.other_match {
            Matching::Exact => "exact",
            Matching::Prefix => "prefix",
            Matching::Wildcard => "wildcard",
        };
        match options.other_subscriptions {
            0 => String::new(),
            count => format!(", beside {count} other subscriptions ({kind})"),
        }
    }

    /// A topic next to those of the plan, in the same groups, which no publication goes to.
    fn topic(&self, number: u64) -> (Option<MatchPolicy>, String) {
        let (base, group) = (&self.base, number % self.groups);
        let grouped = format!("{base}.g{group:07}.other{number:07}");
        match self.matching {
            Matching::Exact => (None, grouped),
            Matching::Prefix => (Some(MatchPolicy::Prefix), grouped),
            Matching::Wildcard => (Some(MatchPolicy::Wildcard), format!("{base}..other{number:07}")),
        }
    }

    /// Asks for one more subscription of a session, if it is to have more.
    fn subscribe(&mut self, io: &mut Io, conn: ConnId) {
        let local = self.flow.local(conn);
        let number = local as u64 * PER_SESSION + self.asked[local];
        if self.asked[local] == PER_SESSION || number >= self.count {
            return;
        }
        self.asked[local] += 1;
        let (match_policy, topic) = self.topic(number);
        let subscribe = Subscribe {
            request: io.request(conn),
            options: SubscribeOptions {
                match_policy,
                ..SubscribeOptions::default()
            },
            topic: topic.into(),
        };
        io.send(conn, &Message::Subscribe(subscribe));
    }
}

impl Load for Others {
    fn flow(&self) -> &Flow {
        &self.flow
    }

    fn flow_mut(&mut self) -> &mut Flow {
        &mut self.flow
    }

    fn into_flow(self) -> Flow {
        self.flow
    }

    fn groups(&self) -> Vec<u64> {
        vec![self.asked.len() as u64]
    }

    fn granted(&self) -> (u64, u64) {
        (self.granted, self.count)
    }
}

impl Handler for Others {
    fn opened(&mut self, io: &mut Io, conn: ConnId, _now: u64) {
        for _ in 0..WINDOW {
            self.subscribe(io, conn);
        }
    }

    fn message(&mut self, io: &mut Io, conn: ConnId, message: Message, _now: u64) {
        if let Message::Subscribed(_) = message {
            self.granted += 1;
            self.subscribe(io, conn);
        } else {
            // An event, too: nothing is published to what these subscribe to.
            self.flow.fail(|| format!("{conn}: unexpected {message:?}"));
        }
    }

    fn lost(&mut self, _io: &mut Io, conn: ConnId, why: &str) {
        self.flow.fail(|| format!("{conn}: {why}"));
    }

    fn tick(&mut self, _io: &mut Io, _now: u64) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn others(matching: Matching, count: u64) -> Others {
        let options = OtherSubscriptions {
            other_subscriptions: count,
            other_match: matching,
        };
        Others::new(&options, &Plan::new("a".to_owned(), 30, 10))
    }

    #[test]
    fn none_of_them_matches_a_topic_of_the_plan() {
        let topics = Plan::new("a".to_owned(), 30, 10).uris();
        let prefixes = others(Matching::Prefix, 50);
        for number in 0..50 {
            let (_, prefix) = prefixes.topic(number);
            assert!(topics.iter().all(|topic| !topic.starts_with(&prefix)));
            let (_, wildcard) = others(Matching::Wildcard, 50).topic(number);
            assert!(wildcard.starts_with("a..other"));
        }
    }

    #[test]
    fn each_is_another_one() {
        for matching in [Matching::Exact, Matching::Prefix, Matching::Wildcard] {
            let others = others(matching, 20_001);
            assert_eq!(others.groups(), [3]);
            let topics: HashSet<_> = (0..1_000).map(|number| others.topic(number).1).collect();
            assert_eq!(topics.len(), 1_000);
        }
    }
}
