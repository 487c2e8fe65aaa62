//! `realms[].store`: what a realm keeps beyond its sessions.

use std::time::Duration;

use crosspoint_core::config::{CallQueue, History};
use crosspoint_core::options::MatchPolicy;
use crosspoint_core::uri::{UriCheck, is_reserved, is_valid};

use super::endpoint::expand;
use super::files::{check_readonly_store, check_store};
use super::section::{Field, Section};
use super::{Surroundings, calls, count};
use crate::config::model::{Realm, Storage};
use crate::storage;

/// Most events of one history.
const EVENTS_MAX: u64 = 10_000_000;

/// Most bytes of one history that says nothing else.
const BYTES: usize = 64 << 20;

/// Fewest bytes of one history.
const BYTES_MIN: usize = 1 << 16;

/// The keys of stores on a disk.
const DISK_KEYS: [&str; 6] = [
    "path",
    "maxsize",
    "readonly",
    "sync",
    "max-buffer",
    "buffer-flush",
];

/// What a store says.
#[derive(Default)]
pub(super) struct Store {
    /// Which calls may wait.
    pub(super) queues: Vec<CallQueue>,
    /// Which past events are kept.
    pub(super) histories: Vec<History>,
    /// Where, if not in memory only.
    pub(super) storage: Option<Storage>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Memory,
    Disk,
}

/// The store of a realm.
pub(super) fn store(field: &Field<'_>, others: &[Realm], surroundings: &Surroundings<'_>) -> Option<Store> {
    let mut section = field.section("a realm's store")?;
    let kind = section.need("type", "\"type\": \"memory\", or \"cfxdb\"");
    let kind = kind.and_then(|field| field.choice(&[("memory", Kind::Memory), ("cfxdb", Kind::Disk)], &[]));
    let disk = match kind {
        Some(Kind::Disk) => disk(&mut section, others, surroundings),
        Some(Kind::Memory) => {
            refuse_disk_keys(&mut section);
            None
        }
        // What is wrong is the type.
        None => {
            DISK_KEYS.iter().for_each(|key| drop(section.get(key)));
            None
        }
    };
    let maxsize = disk.as_ref().map(|(_, maxsize)| *maxsize);
    let limit = section.or("limit", 100, |field| {
        count(field, "a number of events", 1, EVENTS_MAX)
    });
    let is_recorded = disk.as_ref().is_some_and(|(storage, _)| !storage.readonly);
    let histories = section.or("event-history", Vec::new(), |field| {
        let histories = histories(field, limit, maxsize);
        Some(
            histories
                .into_iter()
                .map(|history| History {
                    durable: is_recorded,
                    ..history
                })
                .collect(),
        )
    });
    let queues = calls::queues(&mut section);
    section.finish();
    Some(Store {
        queues,
        histories,
        storage: disk.map(|(storage, _)| storage),
    })
}

/// Where a store on a disk is, and how many bytes it may hold.
fn disk(
    section: &mut Section<'_>,
    others: &[Realm],
    surroundings: &Surroundings<'_>,
) -> Option<(Storage, usize)> {
    let path = section.need("path", "a directory for the realm's events");
    let path = path.and_then(|field| {
        let text = field.text("a directory for the realm's events, as text")?;
        if text.is_empty() {
            field.wrong("a directory for the realm's events");
        }
        let path = surroundings.directory.join(expand(&field, text, surroundings)?);
        let is_same = |other: &&Realm| other.storage.as_ref().is_some_and(|storage| storage.path == path);
        if let Some(other) = others.iter().find(is_same) {
            field.wrong(&format!(
                "a directory of its own; the store of the realm {:?} is there",
                other.name
            ));
        }
        Some(path)
    });
    let maxsize = section.or("maxsize", 128 << 20, |field| {
        count(field, "bytes", 128 << 10, 128 << 30)
    });
    let readonly = section.get("readonly");
    let storage = Storage {
        key_path: section.field.path().to_owned(),
        readonly: readonly.as_ref().and_then(Field::boolean).unwrap_or(false),
        path: path.unwrap_or_default(),
        sync: section.or("sync", true, Field::boolean),
        max_buffer: section.or("max-buffer", 10_000, |field| {
            count(field, "a number of events", 1, 1_000_000)
        }),
        buffer_flush: section.or("buffer-flush", Duration::from_millis(200), |field| {
            field
                .integer("milliseconds", 1..=60_000)
                .map(Duration::from_millis)
        }),
    };
    match (section.peek("path"), readonly) {
        // What is wrong is the path.
        _ if storage.path.as_os_str().is_empty() => {}
        (_, Some(field)) if storage.readonly => {
            check_readonly_store(&field, &storage::file_in(&storage.path))
        }
        (Some(field), _) => check_store(&field, &storage::file_in(&storage.path)),
        (None, _) => {}
    }
    Some((storage, maxsize))
}

fn refuse_disk_keys(section: &mut Section<'_>) {
    for key in DISK_KEYS {
        if let Some(field) = section.get(key) {
            field.error(format!(
                "{key:?} is for stores on a disk; expected \"type\": \"cfxdb\" beside it, or no such key"
            ));
        }
    }
}

/// The topics and patterns. `maxsize` is what all of them together may hold.
fn histories(field: &Field<'_>, limit: usize, maxsize: Option<usize>) -> Vec<History> {
    let mut histories: Vec<History> = Vec::new();
    let items = field.items("topics and patterns");
    let share = maxsize.map_or(BYTES, |maxsize| {
        (maxsize / items.len().max(1)).clamp(BYTES_MIN, BYTES)
    });
    for item in items {
        let Some(history) = item
            .section("a history")
            .map(|section| history(section, limit, share))
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
    let bytes = histories
        .iter()
        .fold(0_usize, |sum, history| sum.saturating_add(history.bytes));
    if let Some(maxsize) = maxsize.filter(|maxsize| bytes > *maxsize) {
        field.error(format!(
            "found histories that may hold {bytes} bytes together; expected at most {maxsize}, the store's \
             \"maxsize\": set a larger one, or a smaller \"bytes\" of the histories"
        ));
    }
    histories
}

/// `uri` and `match` of what is for topics or procedures, as `what` says. `reserved` tells why there is nothing for those
/// of the router itself.
pub(super) fn pattern(section: &mut Section<'_>, what: &str, reserved: &str) -> (String, MatchPolicy) {
    let uri = section.need("uri", &format!("a {what} or pattern, such as \"com.example.\""));
    let policy = section.or("match", MatchPolicy::Exact, |field| {
        let policies = [MatchPolicy::Exact, MatchPolicy::Prefix, MatchPolicy::Wildcard];
        field.choice(&policies.map(|policy| (policy.name(), policy)), &[])
    });
    let uri = uri.and_then(|field| {
        let text = field.text(&format!("a {what} or pattern, as text"))?;
        // As a prefix, "wamp" is the beginning of others too.
        let is_open = policy == MatchPolicy::Prefix && !text.contains('.');
        if !is_valid(UriCheck::Loose, policy, text) {
            field.wrong("a URI that is valid for its \"match\"");
        } else if is_reserved(text) && !is_open {
            field.wrong(&format!(
                "a URI that does not begin with \"wamp.\", since {reserved}"
            ));
        }
        Some(text.to_owned())
    });
    (uri.unwrap_or_default(), policy)
}

fn history(mut section: Section<'_>, limit: usize, bytes: usize) -> History {
    let (uri, match_policy) = pattern(
        &mut section,
        "topic",
        "events of the router's own topics are not kept",
    );
    let history = History {
        uri,
        match_policy,
        events: section.or("limit", limit, |field| {
            count(field, "a number of events", 1, EVENTS_MAX)
        }),
        bytes: section.or("bytes", bytes, |field| {
            count(field, "bytes", BYTES_MIN as u64, 1 << 40)
        }),
        max_age: section.or("max_age", None, |field| {
            let seconds = field.integer("seconds", 1..=1 << 32)?;
            Some(Some(Duration::from_secs(seconds)))
        }),
        durable: false,
    };
    section.finish();
    history
}
