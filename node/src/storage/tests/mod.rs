//! Records and files: what is written comes back, and what is damaged is named.

mod writing;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use crosspoint_core::config::History;
use crosspoint_core::effect::{HistoryChange, StoredEvent};
use crosspoint_core::ids::{PublicationId, RealmId, SessionId};
use crosspoint_core::options::{MatchPolicy, Receivers};
use crosspoint_core::payload::{Format, Payload};
use crosspoint_core::peer::{Disclosed, Publication};
use crosspoint_core::session::Identity;
use crosspoint_core::time::UnixTime;
use crosspoint_core::value::{Dict, Value};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use redb::{Database, ReadableDatabase, TableDefinition};

use super::file::{Place, Unusable};
use super::record::{Unreadable, decode, encode, seal};
use super::unchanged::Unchanged;
use crate::config::Storage;

const REALM: RealmId = RealmId(3);

fn text() -> impl Strategy<Value = ByteString> {
    ".{0,20}".prop_map(ByteString::from)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<u64>().prop_map(Value::UInt),
        any::<f64>().prop_map(Value::Float),
        text().prop_map(Value::Str),
        bytes().prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            vec((text(), inner), 0..4).prop_map(|entries| Value::Dict(Dict(entries))),
        ]
    })
}

fn receivers() -> impl Strategy<Value = Box<Receivers>> {
    let ids = || of(vec(any::<u64>().prop_map(SessionId), 0..4));
    let names = || of(vec(text(), 0..4));
    (ids(), ids(), names(), names(), names(), names()).prop_map(
        |(eligible, exclude, eligible_authid, eligible_authrole, exclude_authid, exclude_authrole)| {
            Box::new(Receivers {
                eligible,
                eligible_authid,
                eligible_authrole,
                exclude,
                exclude_authid,
                exclude_authrole,
            })
        },
    )
}

fn publisher() -> impl Strategy<Value = Disclosed> {
    (any::<u64>(), text(), text()).prop_map(|(session, authid, authrole)| Disclosed {
        session: SessionId(session),
        identity: Arc::new(Identity { authid, authrole }),
    })
}

fn publication() -> impl Strategy<Value = Publication> {
    let payload = (
        proptest::sample::select(&Format::OF_PAYLOADS[..]),
        bytes(),
        bytes(),
    );
    let payload = payload.prop_map(|(format, args, kwargs)| Payload { format, args, kwargs });
    let rest = vec((text(), value()), 0..4).prop_map(Dict);
    let about = (text(), any::<u64>(), any::<bool>(), of(any::<u32>()));
    (about, of(publisher()), of(receivers()), rest, payload).prop_map(
        |((topic, id, retain, trustlevel), publisher, receivers, rest, payload)| Publication {
            realm: REALM,
            topic,
            publication: PublicationId(id),
            publisher,
            trustlevel,
            receivers,
            retain,
            rest,
            payload,
        },
    )
}

fn stored() -> impl Strategy<Value = StoredEvent> {
    (any::<u64>(), any::<i64>(), publication()).prop_map(|(number, at, publication)| StoredEvent {
        number,
        at: UnixTime(at),
        publication: Arc::new(publication),
    })
}

fn record(event: &StoredEvent) -> Vec<u8> {
    let mut record = Vec::new();
    encode(event, &mut record);
    record
}

proptest! {
    #[test]
    fn an_event_comes_back_as_it_was(event in stored()) {
        let record = record(&event);
        let mut before = None;
        for _ in 0..2 {
            let back = decode((REALM, event.number), &record, &mut before).expect("what was encoded");
            prop_assert_eq!(format!("{back:?}"), format!("{event:?}"));
        }
    }

    #[test]
    fn a_changed_record_is_damaged(event in stored(), place: proptest::sample::Index, bit in 0..8_u32) {
        let mut record = record(&event);
        let place = place.index(record.len());
        record[place] ^= 1_u8 << bit;
        prop_assert_eq!(decode((REALM, 0), &record, &mut None).err(), Some(Unreadable::Damaged));
        record.truncate(place);
        prop_assert_eq!(decode((REALM, 0), &record, &mut None).err(), Some(Unreadable::Damaged));
    }

    /// Whatever lies below a checksum that is right: nothing panics, and what is read is also written so.
    #[test]
    fn any_bytes_are_read_or_refused(event in stored(), places in vec(any::<(proptest::sample::Index, u8)>(), 1..4)) {
        let mut body = record(&event);
        body.truncate(body.len() - 8);
        for (place, byte) in places {
            let place = 1 + place.index(body.len() - 1);
            body[place] = byte;
        }
        seal(&mut body, 0);
        if let Ok(event) = decode((REALM, event.number), &body, &mut None) {
            prop_assert_eq!(record(&event), body);
        }
    }
}

#[test]
fn a_record_of_another_version_is_told_from_a_damaged_one() {
    let mut record = vec![2, 0, 0];
    seal(&mut record, 0);
    assert_eq!(
        decode((REALM, 0), &record, &mut None).err(),
        Some(Unreadable::Version(2))
    );
    assert_eq!(
        decode((REALM, 0), &[], &mut None).err(),
        Some(Unreadable::Damaged)
    );
    // Deeper than anything that was written.
    let mut record = record_of_depth(100_000);
    seal(&mut record, 0);
    assert_eq!(
        decode((REALM, 0), &record, &mut None).err(),
        Some(Unreadable::Damaged)
    );
}

/// A record up to a list in a list in a list…, without its end.
fn record_of_depth(depth: usize) -> Vec<u8> {
    let mut body = record(&event(0));
    // A dictionary without entries, and a payload of JSON without anything, end every record of [`event`].
    body.truncate(body.len() - 8 - 9 - 4);
    body.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    for _ in 0..depth {
        body.extend([7, 1, 0, 0, 0]);
    }
    body
}

fn event(number: u64) -> StoredEvent {
    let publication = Publication {
        realm: REALM,
        topic: "com.topic".into(),
        publication: PublicationId(number + 1),
        publisher: None,
        trustlevel: None,
        receivers: None,
        retain: false,
        rest: Dict::new(),
        payload: Payload::EMPTY,
    };
    StoredEvent {
        number,
        at: UnixTime(5),
        publication: Arc::new(publication),
    }
}

fn change(history: usize, number: u64, first: u64) -> HistoryChange {
    HistoryChange {
        realm: REALM,
        history,
        added: Some(event(number)),
        bytes: 100,
        first,
    }
}

fn history(match_policy: MatchPolicy, uri: &str) -> History {
    History {
        uri: uri.to_owned(),
        match_policy,
        events: 10,
        bytes: 1000,
        max_age: None,
        durable: true,
    }
}

fn storage(path: &Path) -> Storage {
    Storage {
        key_path: "workers[0].realms[0].store".to_owned(),
        path: path.join("deep/down"),
        readonly: false,
        sync: true,
        max_buffer: 1000,
        buffer_flush: Duration::from_secs(3600),
    }
}

/// A place with the histories `one` and `two`, of the same URI.
fn place(path: &Path) -> Place {
    let histories = [
        history(MatchPolicy::Exact, "com.topic"),
        history(MatchPolicy::Prefix, "com.topic"),
    ];
    Place::new(&storage(path), &histories)
}

/// What is in a place, by number, and after it has been closed.
fn numbers(place: &Place) -> Result<Vec<Vec<u64>>, String> {
    let file = place.open().map_err(|error| error.to_string())?;
    let past = place.past(&file, REALM).map_err(|error| error.to_string())?;
    file.close().expect("closed");
    let numbers = |events: &Vec<StoredEvent>| events.iter().map(|event| event.number).collect();
    Ok(past.iter().map(numbers).collect())
}

#[test]
fn a_batch_is_there_after_the_file_is_opened_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = place(directory.path());
    assert_eq!(numbers(&place), Ok(vec![vec![], vec![]]));
    let mut file = place.open().expect("opened");
    let mut batch = vec![change(0, 1, 0), change(1, 7, 0), change(0, 2, 0), change(0, 3, 2)];
    assert_eq!(place.write(&mut file, &mut batch).expect("written"), 4);
    file.close().expect("closed");
    assert_eq!(numbers(&place), Ok(vec![vec![2, 3], vec![7]]));
    let mut file = place.open().expect("opened");
    let forgets = HistoryChange {
        added: None,
        ..change(1, 0, 8)
    };
    let mut batch = vec![change(0, 4, 4), change(9, 9, 9), forgets];
    assert_eq!(place.write(&mut file, &mut batch).expect("written"), 1);
    drop(file);
    assert_eq!(numbers(&place), Ok(vec![vec![4], vec![]]));
}

#[test]
fn a_file_that_was_moved_away_is_made_anew_with_its_marks() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = place(directory.path());
    drop(place.open().expect("opened"));
    fs::remove_file(place.path()).expect("removed");
    // As the writer does after a failure.
    let mut file = place.open().expect("opened");
    place.write(&mut file, &mut [change(0, 1, 0)]).expect("written");
    drop(file);
    assert_eq!(numbers(&place), Ok(vec![vec![1], vec![]]));
}

#[test]
fn a_file_has_its_name_only_when_it_is_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = place(directory.path());
    let begun = place.path().with_extension("new");
    fs::create_dir_all(begun.parent().expect("a directory")).expect("made");
    // What is left when the process ends before redb has written its header, and earlier.
    for left in [vec![0; 8192], vec![]] {
        fs::write(&begun, left).expect("written");
        assert_eq!(numbers(&place), Ok(vec![vec![], vec![]]));
        assert!(!begun.exists());
        fs::remove_file(place.path()).expect("removed");
    }
    // Another process is about to make it.
    fs::write(&begun, "half of it").expect("written");
    let making = fs::File::open(&begun).expect("opened");
    making.lock().expect("locked");
    let error = place.open().expect_err("not twice");
    assert!(error.to_string().contains("another process"), "{error}");
    assert_eq!(fs::read(&begun).expect("a file"), b"half of it");
    assert!(!place.path().exists());
}

#[test]
fn the_order_of_histories_means_nothing_and_what_is_not_configured_is_deleted() {
    let directory = tempfile::tempdir().expect("a directory");
    let both = place(directory.path());
    let mut file = both.open().expect("opened");
    both.past(&file, REALM).expect("read");
    let mut batch = [change(0, 1, 0), change(1, 2, 0)];
    both.write(&mut file, &mut batch).expect("written");
    drop(file);
    let [exact, prefix] =
        [MatchPolicy::Exact, MatchPolicy::Prefix].map(|policy| history(policy, "com.topic"));
    let reversed = Place::new(&storage(directory.path()), &[prefix.clone(), exact]);
    assert_eq!(numbers(&reversed), Ok(vec![vec![2], vec![1]]));
    let one = Place::new(&storage(directory.path()), &[prefix]);
    assert_eq!(numbers(&one), Ok(vec![vec![2]]));
    assert_eq!(numbers(&both), Ok(vec![vec![], vec![2]]));
}

#[test]
fn a_record_that_cannot_be_read_is_skipped() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = place(directory.path());
    let mut file = place.open().expect("opened");
    place.past(&file, REALM).expect("read");
    let mut batch = [change(0, 1, 0), change(0, 2, 0), change(0, 3, 0)];
    place.write(&mut file, &mut batch).expect("written");
    drop(file);
    let database = Database::open(place.path()).expect("a database");
    let transaction = database.begin_write().expect("begun");
    let table = TableDefinition::<u64, &[u8]>::new("history exact com.topic");
    let mut open = transaction.open_table(table).expect("the history");
    open.insert(2, &b"nonsense"[..]).expect("written");
    drop(open);
    transaction.commit().expect("written");
    drop(database);
    assert_eq!(numbers(&place), Ok(vec![vec![1, 3], vec![]]));
}

/// A history that no configuration names, in a file that is not ours.
const OTHERS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history exact com.other");

#[test]
fn a_store_that_cannot_be_used_says_why_and_what_to_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = place(directory.path());
    let file = place.open().expect("opened");
    let says = |expected: &[&str]| {
        let error = numbers(&place).expect_err("it cannot be used");
        assert!(expected.iter().all(|words| error.contains(words)), "{error}");
    };
    says(&["another process, or another realm, uses it"]);
    place.past(&file, REALM).expect("read");
    drop(file);

    let good = fs::read(place.path()).expect("a file");
    let (mut refused, mut only_read) = (0, 0);
    for at in (0..good.len()).step_by(4096) {
        let mut damaged = good.clone();
        damaged[at..at + 64].fill(0x5a);
        fs::write(place.path(), &damaged).expect("written");
        if let Err(error) = place.read_only(REALM) {
            let error = error.to_string();
            assert!(error.contains("move it away to begin anew"), "{error}");
            only_read += 1;
        }
        // Not every page is in use.
        if let Err(error) = numbers(&place) {
            assert!(error.contains("move it away to begin anew"), "{error}");
            refused += 1;
        }
    }
    assert!(refused >= 3 && only_read == refused, "{refused}, {only_read}");
    fs::write(place.path(), vec![b'x'; 10_000]).expect("written");
    says(&["it is no store of Crosspoint", "move it away"]);

    let about = |key: &str, format: u64| {
        fs::remove_file(place.path()).expect("removed");
        let database = Database::create(place.path()).expect("a database");
        let transaction = database.begin_write().expect("begun");
        let table = TableDefinition::<&str, u64>::new("crosspoint");
        let mut open = transaction.open_table(table).expect("the table");
        open.insert(key, format).expect("written");
        drop(open);
        transaction
            .open_table(OTHERS)
            .expect("a table")
            .insert(1, &b"x"[..])
            .expect("written");
        transaction.commit().expect("written");
    };
    let is_there = || {
        let database = Database::open(place.path()).expect("a database");
        let transaction = database.begin_read().expect("begun");
        transaction.open_table(OTHERS).is_ok()
    };
    about("format", 2);
    says(&["its format is version 2, this program has version 1"]);
    assert!(is_there(), "what is not ours stays");
    about("other", 1);
    says(&["the database of another program", "\"path\""]);
    assert!(is_there(), "what is not ours stays");
    for (kind, remedy) in [
        (
            io::ErrorKind::PermissionDenied,
            "let the user that runs crosspoint",
        ),
        (io::ErrorKind::StorageFull, "make room"),
        (io::ErrorKind::NotFound, "\"path\""),
    ] {
        let error = Unusable::from(io::Error::from(kind));
        assert!(error.to_string().contains(remedy), "{error}");
    }
    let below_a_file = Place::new(&storage(place.path()), &[]);
    let error = below_a_file.open().expect_err("no directory");
    assert!(
        error.to_string().contains("Not a directory") && error.to_string().contains("another \"path\""),
        "{error}"
    );
}

#[test]
fn what_is_only_read_can_be_read_by_many() {
    let directory = tempfile::tempdir().expect("a directory");
    let place = place(directory.path());
    let missing = place.read_only(REALM).expect_err("no file");
    assert!(missing.to_string().contains("No such file"), "{missing}");
    let mut file = place.open().expect("opened");
    place.past(&file, REALM).expect("read");
    place.write(&mut file, &mut [change(1, 5, 0)]).expect("written");
    let open = place.read_only(REALM).expect_err("it is written to");
    assert!(open.to_string().contains("uses it"), "{open}");
    let torn = fs::read(place.path()).expect("a file");
    file.close().expect("closed");
    let closed = fs::read(place.path()).expect("a file");
    assert!(torn != closed);
    for content in [closed, torn] {
        fs::write(place.path(), &content).expect("written");
        let past = place.read_only(REALM).expect("read");
        assert_eq!((past[0].len(), past[1].len(), past[1][0].number), (0, 1, 5));
        assert!(fs::read(place.path()).expect("a file") == content);
    }
    let (one, two) = (Unchanged::open(place.path()), Unchanged::open(place.path()));
    let open = place.open().expect_err("it is read");
    assert!(open.to_string().contains("uses it"), "{open}");
    drop((one.expect("opened"), two.expect("opened")));
    for _ in 0..2 {
        let past = place.read_only(REALM).expect("read");
        assert_eq!((past[0].len(), past[1].len(), past[1][0].number), (0, 1, 5));
    }
}
