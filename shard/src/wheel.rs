//! One timer for each connection: a hashed wheel of ticks.
//!
//! Invariants: a timer never fires early, and late by at most one tick or a 32nd of its time, so that the long ones of many
//! connections come up together: waking up for each would cost more than all that is to be done then. Setting one again, which happens with every
//! message of a connection, costs a comparison: the wheel learns of a later deadline when the old one comes up.
//! Only moving a deadline forward adds an entry.

use std::time::Duration;

use crosspoint_core::ids::ConnKey;
use crosspoint_core::time::Time;

/// The resolution of connections' timers.
pub(crate) const TICK: Duration = Duration::from_millis(50);

/// Ticks until the wheel comes round: entries further ahead are passed over once every 25.6 s.
const SLOTS: usize = 512;

const NANOS_PER_TICK: u64 = TICK.as_nanos() as u64;

/// Where a connection's timer stands; part of its entry in the table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timer {
    /// The tick at which it fires; 0: it is not set.
    due: u64,
    /// The tick at which the wheel looks at it; 0: it does not.
    listed: u64,
}

/// The wheel's entries; each connection's [`Timer`] says what they are worth.
#[derive(Debug)]
pub(crate) struct Wheel {
    slots: Box<[Vec<Entry>]>,
    /// The last tick that was handled.
    tick: u64,
    /// No entry is to be looked at before this tick; `u64::MAX` where there is none.
    next: u64,
}

/// A tick at which a connection's timer is to be looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// The connection, which may be gone by then.
    pub(crate) conn: ConnKey,
    tick: u64,
}

impl Wheel {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Vec::new()).collect(),
            tick: now.0 / NANOS_PER_TICK,
            next: u64::MAX,
        }
    }

    /// Sets the timer of `conn` to fire `after` this time, in place of what it was set to.
    pub(crate) fn set(&mut self, timer: &mut Timer, conn: ConnKey, now: Time, after: Duration) {
        if self.next == u64::MAX {
            self.tick = now.0 / NANOS_PER_TICK;
        }
        // Rounded up, so that the tick begins when the time is over.
        let due = now.after(after).0.div_ceil(NANOS_PER_TICK).max(self.tick + 1);
        timer.due = due.checked_next_multiple_of(precision(after)).unwrap_or(due);
        if timer.listed == 0 || timer.due < timer.listed {
            self.list(timer, conn);
        }
    }

    /// Stops a timer.
    pub(crate) fn clear(timer: &mut Timer) {
        timer.due = 0;
    }

    /// When [`take_due`](Self::take_due) is to be called next, if there is any entry.
    pub(crate) fn next(&self) -> Option<Time> {
        (self.next != u64::MAX).then(|| Time(self.next.saturating_mul(NANOS_PER_TICK)))
    }

    /// Takes out the entries whose tick has come; [`fires`](Self::fires) then says what each is worth.
    pub(crate) fn take_due(&mut self, now: Time) -> Vec<Entry> {
        let until = now.0 / NANOS_PER_TICK;
        let mut due = Vec::new();
        // After a long sleep one round over the wheel finds everything.
        let first = (self.tick + 1).max((until + 1).saturating_sub(SLOTS as u64));
        for tick in first..=until {
            let slot = &mut self.slots[(tick % SLOTS as u64) as usize];
            due.extend(slot.extract_if(.., |entry| entry.tick <= until));
        }
        self.tick = self.tick.max(until);
        // The entries found may be of a later round; then the wheel comes by once too often.
        let slot = |tick: &u64| !self.slots[(tick % SLOTS as u64) as usize].is_empty();
        self.next = (self.tick + 1..=self.tick + SLOTS as u64)
            .find(slot)
            .unwrap_or(u64::MAX);
        due
    }

    /// Whether the timer that `entry` was made for is over. If it was set to a later time, it is listed again.
    pub(crate) fn fires(&mut self, timer: &mut Timer, entry: Entry) -> bool {
        if timer.listed != entry.tick {
            return false;
        }
        timer.listed = 0;
        if timer.due > self.tick {
            self.list(timer, entry.conn);
            return false;
        }
        std::mem::take(&mut timer.due) > 0
    }

    fn list(&mut self, timer: &mut Timer, conn: ConnKey) {
        timer.listed = timer.due;
        self.keep(Entry {
            conn,
            tick: timer.due,
        });
    }

    fn keep(&mut self, entry: Entry) {
        self.slots[(entry.tick % SLOTS as u64) as usize].push(entry);
        self.next = self.next.min(entry.tick);
    }
}

/// Of how many ticks the time of a timer of this span is a multiple.
fn precision(span: Duration) -> u64 {
    let ticks = span.as_nanos() / u128::from(NANOS_PER_TICK) / 32;
    ticks.checked_ilog2().map_or(1, |log| 1 << log.min(63))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONN: ConnKey = ConnKey {
        slot: 0,
        generation: 0,
    };

    /// Runs the wheel up to `until_ms` in steps of one tick and returns when the timer fired.
    fn fired_at(wheel: &mut Wheel, timer: &mut Timer, from_ms: u64, until_ms: u64) -> Vec<u64> {
        let mut fired = Vec::new();
        for ms in (from_ms..=until_ms).step_by(10) {
            let next = wheel.next();
            for entry in wheel.take_due(at(ms)) {
                assert!(next.is_some_and(|next| next <= at(ms)), "not asked for");
                if wheel.fires(timer, entry) {
                    fired.push(ms);
                }
            }
        }
        fired
    }

    fn at(ms: u64) -> Time {
        Time::default().after(Duration::from_millis(ms))
    }

    #[test]
    fn a_timer_fires_once_not_early_and_hardly_late() {
        for after in [0, 1, 49, 50, 51, 1000, 25_590, 25_600, 25_610, 60_000] {
            let (mut wheel, mut timer) = (Wheel::new(at(0)), Timer::default());
            wheel.set(&mut timer, CONN, at(70), Duration::from_millis(after));
            let fired = fired_at(&mut wheel, &mut timer, 70, 90_000);
            assert_eq!(fired.len(), 1, "after {after} ms");
            let late = fired[0].checked_sub(70 + after).unwrap();
            assert!(late <= 60 + after / 32, "after {after} ms: {late} ms late");
            assert_eq!(wheel.next(), None);
        }
    }

    #[test]
    fn setting_a_timer_again_moves_it_and_adds_no_entries() {
        let (mut wheel, mut timer) = (Wheel::new(at(0)), Timer::default());
        for ms in (0..5_000).step_by(10) {
            wheel.set(&mut timer, CONN, at(ms), Duration::from_secs(1));
            assert!(wheel.slots.iter().map(Vec::len).sum::<usize>() <= 1);
            assert_eq!(fired_at(&mut wheel, &mut timer, ms, ms), [0_u64; 0]);
        }
        assert_eq!(fired_at(&mut wheel, &mut timer, 5_000, 10_000), [6_000]);
    }

    #[test]
    fn a_timer_moved_forward_fires_at_the_new_time_only() {
        let (mut wheel, mut timer) = (Wheel::new(at(0)), Timer::default());
        wheel.set(&mut timer, CONN, at(0), Duration::from_secs(10));
        wheel.set(&mut timer, CONN, at(0), Duration::from_secs(1));
        assert_eq!(fired_at(&mut wheel, &mut timer, 0, 20_000), [1_000]);
    }

    #[test]
    fn long_timers_of_many_connections_come_up_together() {
        let mut wheel = Wheel::new(at(0));
        for ms in (0..8_000).step_by(10) {
            wheel.set(&mut Timer::default(), CONN, at(ms), Duration::from_secs(30));
        }
        let ticks = wheel.slots.iter().filter(|slot| !slot.is_empty()).count();
        assert!(ticks <= 11, "{ticks} ticks of 8 s");
    }

    #[test]
    fn a_cleared_timer_does_not_fire() {
        let (mut wheel, mut timer) = (Wheel::new(at(0)), Timer::default());
        wheel.set(&mut timer, CONN, at(0), Duration::from_secs(1));
        Wheel::clear(&mut timer);
        assert!(fired_at(&mut wheel, &mut timer, 0, 2_000).is_empty());
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_long_sleep_finds_what_came_up_meanwhile() {
        let (mut wheel, mut timer) = (Wheel::new(at(0)), Timer::default());
        wheel.set(&mut timer, CONN, at(0), Duration::from_secs(3));
        assert_eq!(
            fired_at(&mut wheel, &mut timer, 1_000_000, 1_000_000),
            [1_000_000]
        );
    }

    #[test]
    fn a_wheel_asks_for_ticks_with_entries_only() {
        let mut wheel = Wheel::new(at(0));
        assert_eq!(wheel.next(), None);
        let mut timer = Timer::default();
        wheel.set(&mut timer, CONN, at(1_000_000), Duration::from_secs(1));
        assert_eq!(wheel.next(), Some(at(1_001_000)));
        wheel.set(&mut timer, CONN, at(1_000_000), Duration::from_millis(100));
        assert_eq!(wheel.next(), Some(at(1_000_100)));
    }
}
