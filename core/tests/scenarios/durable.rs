//! Histories that outlive the router: what is stored, and what comes back.

use std::collections::BTreeMap;
use std::time::Duration;

use crosspoint_core::config::History;
use crosspoint_core::effect::{HistoryChange, StoredEvent};
use crosspoint_core::ids::SubscriptionId;
use crosspoint_core::options::MatchPolicy;
use crosspoint_core::time::UnixTime;

use crate::history::{past, publish};
use crate::mesh::{Mesh, Who};
use crate::meta::ask;
use crate::say::{publish_to, subscribe, subscribe_by, unsubscribe};

/// What a disk would hold, by history and number.
#[derive(Default)]
struct Disk(BTreeMap<usize, BTreeMap<u64, StoredEvent>>);

impl Disk {
    fn write(&mut self, change: HistoryChange) {
        let history = self.0.entry(change.history).or_default();
        history.extend(change.added.map(|event| (event.number, event)));
        *history = history.split_off(&change.first);
    }

    /// Takes all changes; every history must have one owner.
    fn write_all(&mut self, mesh: &mut Mesh) {
        let mut owners = BTreeMap::new();
        for (shard, change) in mesh.changes.drain(..) {
            assert_eq!(*owners.entry(change.history).or_insert(shard), shard);
            self.write(change);
        }
    }

    fn read(&self, history: usize) -> Vec<StoredEvent> {
        let events = self.0.get(&history).into_iter().flat_map(BTreeMap::values);
        events.cloned().collect()
    }

    fn len(&self, history: usize) -> usize {
        self.read(history).len()
    }
}

/// A router that starts with what is on `disk`, at `seconds`: a history of at most `most` events of the topic `a`, and
/// one of everything.
fn start(disk: &Disk, shards: u16, most: usize, seconds: i64) -> Mesh {
    let history = |uri: &str, match_policy, events| History {
        uri: uri.into(),
        match_policy,
        events,
        bytes: 1 << 20,
        max_age: Some(Duration::from_secs(100)),
        durable: true,
    };
    let mut mesh = Mesh::with(shards, |config| {
        config.started = UnixTime(seconds * 1_000_000);
        config.realms[0].histories = vec![
            history("a", MatchPolicy::Exact, most),
            history("", MatchPolicy::Wildcard, 100),
        ];
    });
    mesh.restore(|history| disk.read(history));
    mesh
}

/// The ids of both histories.
fn histories(mesh: &mut Mesh, who: Who) -> [SubscriptionId; 2] {
    let exact = mesh.subscribe(who, subscribe(1, "a"));
    let all = mesh.subscribe(who, subscribe_by(2, MatchPolicy::Wildcard, ""));
    for id in [exact, all] {
        mesh.say(who, unsubscribe(3, id));
    }
    mesh.heard(who);
    [exact, all]
}

/// All that both histories say to `who`.
fn everything(mesh: &mut Mesh, who: Who) -> [String; 2] {
    histories(mesh, who).map(|id| ask(mesh, who, "wamp.subscription.get_events", &format!("[{id}]")))
}

#[test]
fn histories_come_back_whatever_the_number_of_shards() {
    let mut disk = Disk::default();
    let mut before = None;
    for (run, shards) in [2, 1, 3, 2].into_iter().enumerate() {
        let mut mesh = start(&disk, shards, 4, run as i64);
        let [publisher, reader] = [(); 2].map(|()| mesh.join());
        let found = everything(&mut mesh, reader);
        assert_eq!(found, *before.get_or_insert_with(|| found.clone()), "run {run}");
        assert_eq!(mesh.changes.len(), 0);
        for (topic, args) in [("a", "[1]"), ("b", "[2]"), ("a", "[3]")] {
            publish(&mut mesh, publisher, topic, args);
        }
        let lists = publish_to(9, "a", |lists| {
            lists.eligible_authrole = Some(vec!["admin".into()])
        });
        mesh.say(publisher, lists);
        before = Some(everything(&mut mesh, reader));
        disk.write_all(&mut mesh);
        assert_eq!((disk.len(0), disk.len(1)), (4.min(3 * (run + 1)), 4 * (run + 1)));
    }
}

#[test]
fn what_the_bounds_do_not_allow_is_forgotten_on_disk_too() {
    let mut disk = Disk::default();
    let mut mesh = start(&disk, 2, 5, 0);
    let publisher = mesh.join();
    for args in ["[1]", "[2]", "[3]", "[4]", "[5]", "[6]"] {
        publish(&mut mesh, publisher, "a", args);
    }
    disk.write_all(&mut mesh);
    assert_eq!((disk.len(0), disk.len(1)), (5, 6));
    // By number, when the bound is lower at the next start.
    let mut mesh = start(&disk, 1, 2, 1);
    let publisher = mesh.join();
    disk.write_all(&mut mesh);
    assert_eq!((disk.len(0), disk.len(1)), (2, 6));
    // By age, while nothing happens, and at a start.
    mesh.pass(100_000);
    disk.write_all(&mut mesh);
    assert_eq!((disk.len(0), disk.len(1)), (0, 0));
    publish(&mut mesh, publisher, "a", "[7]");
    disk.write_all(&mut mesh);
    assert_eq!((disk.len(0), disk.len(1)), (1, 1));
    let mut mesh = start(&disk, 1, 2, 300);
    let reader = mesh.join();
    let [exact, _] = histories(&mut mesh, reader);
    assert_eq!(past(&mut mesh, reader, exact), [""; 0]);
    disk.write_all(&mut mesh);
    assert_eq!((disk.len(0), disk.len(1)), (0, 0));
}

#[test]
fn a_lost_change_costs_one_event_and_no_more() {
    let mut disk = Disk::default();
    let mut mesh = start(&disk, 1, 4, 0);
    let publisher = mesh.join();
    for args in ["[1]", "[2]", "[3]", "[4]", "[5]", "[6]"] {
        publish(&mut mesh, publisher, "a", args);
        if args == "[5]" {
            mesh.changes.clear();
        }
        disk.write_all(&mut mesh);
    }
    let numbers = |disk: &Disk| -> Vec<u64> { disk.read(0).iter().map(|event| event.number).collect() };
    assert_eq!(numbers(&disk), [2, 3, 5]);
    // Nor does the gap let a later run forget more than it has to.
    let mut mesh = start(&disk, 1, 4, 1);
    let [publisher, reader] = [(); 2].map(|()| mesh.join());
    for args in ["[7]", "[8]"] {
        publish(&mut mesh, publisher, "a", args);
        disk.write_all(&mut mesh);
    }
    assert_eq!(numbers(&disk), [3, 5, 6, 7]);
    let [exact, all] = histories(&mut mesh, reader);
    assert_eq!(past(&mut mesh, reader, exact), ["4", "6", "7", "8"]);
    assert_eq!(past(&mut mesh, reader, all), ["1", "2", "3", "4", "6", "7", "8"]);
}
