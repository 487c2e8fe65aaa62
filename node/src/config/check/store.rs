//! `realms[].store`: what a realm keeps beyond its sessions.

use std::time::Duration;

use crosspoint_core::config::{CallQueue, History};
use crosspoint_core::options::MatchPolicy;

use super::section::{Field, Section};
use super::{calls, count};

/// Most events of one history.
const EVENTS_MAX: u64 = 10_000_000;

/// What a store says.
#[derive(Default)]
pub(super) struct Store {
    /// Which calls may wait.
    pub(super) queues: Vec<CallQueue>,
    /// Which past events are kept.
    pub(super) histories: Vec<History>,
}

/// The store of a realm.
pub(super) fn store(field: &Field<'_>) -> Option<Store> {
    let mut section = field.section("a realm's store")?;
    if let Some(kind) = section.need("type", "\"type\": \"memory\"") {
        kind.choice(&[("memory", ())], &["cfxdb"]);
    }
    let limit = section.or("limit", 100, |field| {
        count(field, "a number of events", 1, EVENTS_MAX)
    });
    let mut histories: Vec<History> = Vec::new();
    if let Some(field) = section.get("event-history") {
        for item in field.items("topics and patterns") {
            let Some(history) = item
                .section("a history")
                .and_then(|section| history(section, limit))
            else {
                continue;
            };
            let is_known =
                |other: &History| (&other.uri, other.match_policy) == (&history.uri, history.match_policy);
            if histories.iter().any(is_known) {
                item.error(format!(
                    "found a second history of {:?} with the same \"match\"; expected each once",
                    history.uri
                ));
                continue;
            }
            histories.push(history);
        }
    }
    let queues = calls::queues(&mut section);
    section.finish();
    Some(Store { queues, histories })
}

fn history(mut section: Section<'_>, limit: usize) -> Option<History> {
    let uri = section.need("uri", "a topic or pattern, such as \"com.example.\"");
    let match_policy = section.or("match", MatchPolicy::Exact, |field| {
        let policies = [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard];
        field.choice(&policies.map(|policy| (policy.name(), policy)), &[])
    });
    let uri = uri.and_then(|field| {
        let text = field.text("a topic or pattern, as text")?;
        let is_valid =
            crosspoint_core::uri::is_valid(crosspoint_core::uri::UriCheck::Loose, match_policy, text);
        if !is_valid {
            field.wrong("a URI that is valid for its \"match\"");
        }
        Some(text.to_owned())
    });
    let history = History {
        uri: uri.unwrap_or_default(),
        match_policy,
        events: section.or("limit", limit, |field| {
            count(field, "a number of events", 1, EVENTS_MAX)
        }),
        bytes: section.or("bytes", 64 << 20, |field| count(field, "bytes", 1 << 16, 1 << 40)),
        max_age: section.or("max_age", None, |field| {
            let seconds = field.integer("seconds", 1..=1 << 32)?;
            Some(Some(Duration::from_secs(seconds)))
        }),
        durable: false,
    };
    section.finish();
    Some(history)
}
