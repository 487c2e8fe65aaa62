//! What a realm says about its calls: `realms[].options.call_timeout` and `realms[].store.call-queue`.

use std::time::Duration;

use crosspoint_core::config::CallQueue;
use crosspoint_core::options::MatchPolicy;
use crosspoint_core::uri::{UriCheck, is_valid};

use super::count;
use super::section::{Field, Section};

/// The time that calls have; 0 means for ever.
pub(super) fn timeout(field: &Field<'_>) -> Option<Option<Duration>> {
    let millis = field.integer("milliseconds", 0..=u64::from(u32::MAX))?;
    Some((millis > 0).then(|| Duration::from_millis(millis)))
}

/// The queues of `store`, whose other keys are read by others.
pub(super) fn queues(store: &mut Section<'_>) -> Vec<CallQueue> {
    let Some(field) = store.get("call-queue") else {
        return Vec::new();
    };
    let items = field.items("procedures and patterns");
    let sections = items.iter().filter_map(|item| item.section("a queue of calls"));
    sections.map(queue).collect()
}

fn queue(mut section: Section<'_>) -> CallQueue {
    let uri = section.need("uri", "a procedure or pattern, such as \"com.example.\"");
    let policy = section.or("match", MatchPolicy::Exact, |field| {
        let policies = [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard];
        field.choice(&policies.map(|policy| (policy.name(), policy)), &[])
    });
    let uri = uri.and_then(|field| {
        let text = field.text("a procedure or pattern, as text")?;
        if !is_valid(UriCheck::Loose, policy, text) {
            field.wrong("a URI that is valid for its \"match\"");
        }
        Some(text.to_owned())
    });
    let queue = CallQueue {
        policy,
        uri: uri.unwrap_or_default(),
        limit: section.or("limit", 1000, |field| {
            count(field, "a number of calls", 1, 10_000_000)
        }),
    };
    section.finish();
    queue
}
