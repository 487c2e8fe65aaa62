//! The thread that writes: what it takes, when it writes, and what is dropped.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use crosspoint_core::effect::HistoryChange;

use super::super::file::Place;
use super::super::writer::{Writer, pause, retry_after};
use super::{REALM, change, numbers, place, storage};
use crate::config::Storage;

/// Starts a thread that writes a new place.
fn writer(place: Place, storage: &Storage) -> Writer {
    let file = place.open().expect("opened");
    place.past(&file, REALM).expect("read");
    Writer::start("realm1", place, file, storage).expect("a thread")
}

#[test]
fn everything_that_was_taken_is_written_at_the_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = storage(directory.path());
    let writer = writer(place(directory.path()), &storage);
    for number in 0..2500 {
        writer.store(Box::new(change(0, number, number.saturating_sub(1))));
    }
    writer.stop();
    writer.join();
    let counters = writer.counters();
    assert_eq!(
        (counters.stored.load(Relaxed), counters.dropped.load(Relaxed)),
        (2500, 0)
    );
    // Full batches do not wait for the time to be over.
    assert!(counters.batches.load(Relaxed) >= 3);
    writer.store(Box::new(change(0, 9999, 0)));
    assert_eq!(counters.dropped.load(Relaxed), 1);
    assert_eq!(
        numbers(&place(directory.path())),
        Ok(vec![vec![2498, 2499], vec![]])
    );
}

#[test]
fn a_router_that_ends_does_not_wait_for_batches() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = storage(directory.path());
    let writer = writer(place(directory.path()), &storage);
    let await_stored = |count| await_or_fail(|| writer.counters().stored.load(Relaxed) >= count);
    writer.store(Box::new(change(0, 1, 0)));
    writer.hurry();
    await_stored(1);
    writer.store(Box::new(change(0, 2, 0)));
    await_stored(2);
}

#[test]
fn what_waits_is_bounded_in_number_and_bytes() {
    let of_bytes = |bytes| HistoryChange {
        bytes,
        ..change(0, 1, 0)
    };
    let dropped = |writer: &Writer| writer.counters().dropped.load(Relaxed);
    // Nobody takes anything from these queues.
    let (writer, orders, rung) = Writer::queue(100);
    for _ in 0..10_105 {
        writer.store(Box::new(of_bytes(1)));
    }
    assert_eq!((orders.len(), dropped(&writer)), (10_100, 5));
    assert!(rung.try_recv().is_ok());
    let (writer, orders, rung) = Writer::queue(100);
    writer.store(Box::new(of_bytes(20 << 20)));
    assert!(rung.try_recv().is_err());
    for _ in 0..5 {
        writer.store(Box::new(of_bytes(20 << 20)));
    }
    assert!(rung.try_recv().is_ok());
    // What is forgotten is not counted, taken or not.
    let forgets = HistoryChange {
        added: None,
        ..of_bytes(0)
    };
    writer.store(Box::new(forgets));
    assert_eq!((orders.len(), dropped(&writer)), (4, 2));
    drop((orders, rung));
}

#[test]
fn many_bytes_are_a_full_batch() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = storage(directory.path());
    let writer = writer(place(directory.path()), &storage);
    // Each waits until the one before is written, which it would not be for an hour.
    for number in 0..20 {
        let large = HistoryChange {
            bytes: 17 << 20,
            ..change(0, number, 0)
        };
        await_or_fail(|| writer.counters().stored.load(Relaxed) + 3 > number);
        writer.store(Box::new(large));
    }
    writer.stop();
    writer.join();
    assert_eq!(writer.counters().dropped.load(Relaxed), 0);
    assert!(writer.counters().batches.load(Relaxed) > 15);
}

#[test]
fn full_batches_do_not_shorten_a_pause_but_the_end_does() {
    const SPAN: Duration = Duration::from_millis(50);
    let (bell, rung) = bounded(1);
    let stopping = AtomicBool::new(false);
    let began = Instant::now();
    thread::scope(|scope| {
        let pause = scope.spawn(|| pause(&rung, &stopping, SPAN));
        while !pause.is_finished() {
            let _ = bell.try_send(());
        }
    });
    assert!(began.elapsed() >= SPAN);
    stopping.store(true, Relaxed);
    bell.try_send(()).ok();
    pause(&rung, &stopping, Duration::from_secs(3600));
}

#[test]
fn attempts_that_take_long_are_made_seldom() {
    let [none, ms_200, s_2, minutes] = [0, 200, 2_000, 600_000].map(Duration::from_millis);
    assert_eq!(retry_after(none), Duration::from_secs(1));
    assert_eq!(retry_after(ms_200), Duration::from_secs(2));
    assert_eq!(retry_after(s_2), Duration::from_secs(20));
    assert_eq!(retry_after(minutes), Duration::from_secs(60));
}

/// Waits for something that does not take long.
fn await_or_fail(is_done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_done() {
        assert!(Instant::now() < end, "it does not come about");
        thread::yield_now();
    }
}
