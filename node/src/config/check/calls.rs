//! What a realm says about its calls: `realms[].options.call_timeout` and `realms[].store.call-queue`.

use std::time::Duration;

use crosspoint_core::config::CallQueue;

use super::count;
use super::section::{Field, Section};
use super::store::pattern;

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
    let mut queues: Vec<CallQueue> = Vec::new();
    for item in field.items("procedures and patterns") {
        let Some(queue) = item.section("a queue of calls").map(queue) else {
            continue;
        };
        // The first that fits counts.
        let before = queues
            .iter()
            .find(|earlier| earlier.covers(queue.policy, &queue.uri));
        if let Some(earlier) = before {
            item.error(format!(
                "found a queue for what an earlier entry, {:?} with \"match\": {:?}, is for already; expected it before \
                 that one, or not at all",
                earlier.uri,
                earlier.policy.name()
            ));
        }
        queues.push(queue);
    }
    queues
}

fn queue(mut section: Section<'_>) -> CallQueue {
    let (uri, policy) = pattern(&mut section, "procedure", "clients cannot register there");
    let queue = CallQueue {
        policy,
        uri,
        limit: section.or("limit", 1000, |field| {
            count(field, "a number of calls", 1, 10_000_000)
        }),
    };
    section.finish();
    queue
}
