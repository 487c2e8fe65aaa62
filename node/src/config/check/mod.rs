//! The rules of the configuration: from the tree of a file to a checked [`Config`], or to all complaints at once.
//!
//! One module per part of the format. What Crossbar.io accepts and Crosspoint does not do yet is an error that says
//! so: a key is never ignored.

mod access;
mod calls;
mod compression;
mod endpoint;
mod files;
mod longpoll;
mod realm;
mod section;
mod store;
mod transport;
mod web;
mod websocket;

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use crosspoint_shard::rt::SPIN;

use self::section::{Complaints, Field, Section};
use super::diagnostic::{Diagnostic, Severity};
use super::model::{Config, Limits, Realm, Router, Shards, SlowConsumer};
use super::tree::Node;

/// Most shards of a router: what the sets of shards in the router's tables can hold.
const MOST_SHARDS: u64 = 64;

/// What the meaning of a configuration depends on besides its text.
pub(super) struct Surroundings<'a> {
    /// Relative paths start here: the directory of the file.
    pub(super) directory: &'a Path,
    /// Looks an environment variable up.
    pub(super) variable: &'a dyn Fn(&str) -> Option<String>,
    /// Those of some CPUs that there are for this process.
    pub(super) usable_cpus: &'a dyn Fn(&[usize]) -> Vec<usize>,
}

/// What the checks of transports need to know of the rest.
struct Scope<'a> {
    surroundings: &'a Surroundings<'a>,
    realms: &'a [Realm],
    limits: &'a Limits,
}

/// Checks a whole document. The complaints may be warnings only; with an error among them there is no configuration.
pub(super) fn check(document: &Node, surroundings: &Surroundings<'_>) -> (Option<Config>, Vec<Diagnostic>) {
    let complaints = Complaints::default();
    let config = node(&Field::root(document, &complaints), surroundings);
    let complaints = complaints.into_inner();
    let failed = complaints
        .iter()
        .any(|complaint| complaint.severity == Severity::Error);
    (config.filter(|_| !failed), complaints)
}

fn node(document: &Field<'_>, surroundings: &Surroundings<'_>) -> Option<Config> {
    let mut root = document.section("the configuration of a node")?;
    if let Some(schema) = root.get("$schema") {
        schema.text("the URL of a JSON schema, as text");
    }
    if let Some(version) = root.need("version", "\"version\": 2, the format of Crossbar.io since 2015")
        && version.node.to_json() != 2
    {
        version.wrong("2 (bring an older file up to date with \"crossbar upgrade\")");
    }
    let (node, title) = root
        .get("controller")
        .and_then(|field| controller(&field))
        .unwrap_or_default();
    let workers = root.need("workers", "a list with one worker of type \"router\"");
    root.finish();
    let router = workers.and_then(|field| router_of(&field, surroundings))?;
    Some(Config { node, title, router })
}

/// The node's id and title.
fn controller(field: &Field<'_>) -> Option<(String, String)> {
    let mut section = field.section("the node controller")?;
    let id = section.or("id", String::new(), |field| identifier(field));
    let title = section.or("options", String::new(), |field| {
        let mut options = field.section("the controller's options")?;
        let title = options.or("title", String::new(), |field| {
            field.text("a title, as text").map(str::to_owned)
        });
        options.not_yet(&["shutdown", "enable_parallel_worker_start"]);
        options.finish();
        Some(title)
    });
    section.not_yet(&[
        "manhole",
        "connections",
        "keyring",
        "fabric",
        "blockchain",
        "enable_docker",
    ]);
    section.finish();
    Some((id, title))
}

fn router_of(workers: &Field<'_>, surroundings: &Surroundings<'_>) -> Option<Router> {
    let items = workers.some_items("workers of type \"router\"");
    let (mut routers, mut testees) = (Vec::new(), Vec::new());
    for item in &items {
        let Some(mut worker) = item.section("a worker") else {
            continue;
        };
        let later = ["container", "guest", "proxy", "hostmonitor", "xbrmm"];
        let Some(kind) = worker.need("type", "\"type\": \"router\"") else {
            continue;
        };
        // The keys of other workers are not looked at: their type is what is wrong with them.
        match kind.choice(
            &[("router", Worker::Router), ("websocket-testee", Worker::Testee)],
            &later,
        ) {
            Some(Worker::Router) => {}
            Some(Worker::Testee) => {
                testees.push(worker);
                continue;
            }
            None => continue,
        }
        if !routers.is_empty() {
            item.error(
                "a second router worker is not supported yet; put its realms and transports into the first, which \
                 uses all CPUs",
            );
        }
        routers.push(router(worker, surroundings));
    }
    let mut router = routers.into_iter().next();
    for worker in testees {
        testee(worker, router.get_or_insert_with(no_router), surroundings);
    }
    router
}

#[derive(Clone, Copy)]
enum Worker {
    Router,
    Testee,
}

/// A `websocket-testee` worker. It has no process of its own: the router's shards serve its transport.
fn testee(mut worker: Section<'_>, router: &mut Router, surroundings: &Surroundings<'_>) {
    worker.or("id", String::new(), identifier);
    if let Some(mut options) = worker
        .get("options")
        .and_then(|field| field.section("the worker's options"))
    {
        options.or("title", (), |field| field.text("a title, as text").map(drop));
        options.finish();
    }
    let scope = Scope {
        surroundings,
        realms: &[],
        limits: &router.limits,
    };
    if let Some(field) = worker.need("transport", "the transport that sends messages back") {
        transport::testee(&field, &scope, &mut router.listeners);
    }
    worker.finish();
}

/// What there is besides testees where nothing else is configured.
fn no_router() -> Router {
    let options = WorkerOptions::default();
    Router {
        id: "worker001".to_owned(),
        shards: options.shards,
        cpus: options.cpus,
        spin: options.spin,
        limits: Limits::default(),
        realms: Vec::new(),
        listeners: Vec::new(),
    }
}

fn router(mut worker: Section<'_>, surroundings: &Surroundings<'_>) -> Router {
    let id = worker.or("id", "worker001".to_owned(), identifier);
    let options = worker.or("options", WorkerOptions::default(), |field| {
        worker_options(field, surroundings)
    });
    let limits = worker.or("limits", Limits::default(), limits);
    let realms = match worker.need("realms", "a list with at least one realm") {
        Some(field) => realm::realms(&field, surroundings),
        None => Vec::new(),
    };
    let scope = Scope {
        surroundings,
        realms: &realms,
        limits: &limits,
    };
    let listeners = match worker.need("transports", "a list with at least one transport") {
        Some(field) => transport::listeners(&field, &scope),
        None => Vec::new(),
    };
    worker.not_yet(&["manhole", "components", "connections"]);
    worker.finish();
    Router {
        id,
        shards: options.shards,
        cpus: options.cpus,
        spin: options.spin,
        limits,
        realms,
        listeners,
    }
}

/// `workers[].options`.
struct WorkerOptions {
    shards: Shards,
    cpus: Vec<usize>,
    spin: Duration,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            shards: Shards::PerCpu,
            cpus: Vec::new(),
            spin: SPIN,
        }
    }
}

fn worker_options(field: &Field<'_>, surroundings: &Surroundings<'_>) -> Option<WorkerOptions> {
    let mut options = field.section("the worker's options")?;
    options.or("title", (), |field| field.text("a title, as text").map(drop));
    let shards = options.or("shards", Shards::PerCpu, |field| {
        let count = field.integer("a number of shards", 1..=MOST_SHARDS)?;
        NonZeroUsize::new(usize::try_from(count).ok()?).map(Shards::Exactly)
    });
    let cpus = options.or("cpu_affinity", Vec::new(), |field| cpus(field, surroundings));
    let spin = options.or("spin_us", SPIN, |field| {
        field
            .integer("microseconds", 0..=10_000)
            .map(Duration::from_micros)
    });
    for key in ["python", "pythonpath", "env", "extra"] {
        if let Some(field) = options.get(key) {
            field.error(format!(
                "{key:?} is not supported: there is no Python worker process; remove this key"
            ));
        }
    }
    options.not_yet(&["expose_controller", "expose_shared", "disabled"]);
    options.finish();
    Some(WorkerOptions { shards, cpus, spin })
}

/// `cpu_affinity`.
fn cpus(field: &Field<'_>, surroundings: &Surroundings<'_>) -> Option<Vec<usize>> {
    let items = field.some_items("CPU numbers");
    let cpus = items.iter().map(|cpu| count(cpu, "a CPU number", 0, 1023));
    let cpus: Vec<usize> = cpus.collect::<Option<_>>()?;
    let used = (surroundings.usable_cpus)(&cpus);
    let missing: Vec<usize> = cpus.iter().copied().filter(|cpu| !used.contains(cpu)).collect();
    if used.is_empty() && !cpus.is_empty() {
        field.error(format!(
            "found the CPUs {missing:?}, none of which is there for this process; expected at least one that is"
        ));
    } else if !missing.is_empty() {
        field.warn(format!(
            "the CPUs {missing:?} do not exist or are not for this process, which will run on {used:?} only"
        ));
    }
    Some(cpus)
}

fn limits(field: &Field<'_>) -> Option<Limits> {
    let mut section = field.section("limits")?;
    let defaults = Limits::default();
    let limits = Limits {
        nesting_depth: section.or("nesting_depth", defaults.nesting_depth, |field| {
            field
                .integer("levels", 8..=128)
                .and_then(|levels| u8::try_from(levels).ok())
        }),
        uri_length: section.or("uri_length", defaults.uri_length, |field| {
            count(field, "bytes", 64, 65_535)
        }),
        subscriptions_per_session: section.or(
            "subscriptions_per_session",
            defaults.subscriptions_per_session,
            |field| count(field, "a number of subscriptions", 1, 10_000_000),
        ),
        wildcard_subscriptions_per_session: section.or(
            "wildcard_subscriptions_per_session",
            defaults.wildcard_subscriptions_per_session,
            |field| count(field, "a number of subscriptions", 0, 10_000_000),
        ),
        registrations_per_session: section.or(
            "registrations_per_session",
            defaults.registrations_per_session,
            |field| count(field, "a number of registrations", 1, 10_000_000),
        ),
        wildcard_registrations_per_session: section.or(
            "wildcard_registrations_per_session",
            defaults.wildcard_registrations_per_session,
            |field| count(field, "a number of registrations", 0, 10_000_000),
        ),
        registration_bytes_per_session: section.or(
            "registration_bytes_per_session",
            defaults.registration_bytes_per_session,
            |field| count(field, "bytes", 1024, 1 << 30),
        ),
        pending_calls_per_session: section.or(
            "pending_calls_per_session",
            defaults.pending_calls_per_session,
            |field| count(field, "a number of calls", 1, 10_000_000),
        ),
        call_bytes_per_session: section.or(
            "call_bytes_per_session",
            defaults.call_bytes_per_session,
            |field| count(field, "bytes", 1024, 1 << 30),
        ),
        testaments_per_session: section.or(
            "testaments_per_session",
            defaults.testaments_per_session,
            |field| count(field, "a number of testaments", 0, 100_000),
        ),
        testament_bytes_per_session: section.or(
            "testament_bytes_per_session",
            defaults.testament_bytes_per_session,
            |field| count(field, "bytes", 0, 1 << 30),
        ),
        outbox_bytes: section.or("outbox_bytes", defaults.outbox_bytes, |field| {
            count(field, "bytes", 65_536, 1 << 30)
        }),
        slow_consumer: section.or("slow_consumer", defaults.slow_consumer, |field| {
            let policies = [
                ("disconnect", SlowConsumer::Disconnect),
                ("drop", SlowConsumer::Drop),
            ];
            field.choice(&policies, &[])
        }),
        handshake_timeout: section.or("handshake_timeout", defaults.handshake_timeout, |field| {
            field
                .integer("milliseconds", 1000..=600_000)
                .map(Duration::from_millis)
        }),
    };
    section.finish();
    Some(limits)
}

/// A whole number in a range, as `usize`.
fn count(field: &Field<'_>, what: &str, least: u64, most: u64) -> Option<usize> {
    field
        .integer(what, least..=most)
        .and_then(|value| usize::try_from(value).ok())
}

/// An id of a configuration item, by Crossbar.io's pattern.
fn identifier(field: &Field<'_>) -> Option<String> {
    const PATTERN: &str = "an id of 3 to 64 lower-case letters, digits and \"_\" that begins with a letter";
    let text = field.text(PATTERN)?;
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !(3..=64).contains(&text.len())
        || !text.starts_with(|c: char| c.is_ascii_lowercase())
        || !text.chars().all(rest)
    {
        field.wrong(PATTERN);
    }
    Some(text.to_owned())
}
