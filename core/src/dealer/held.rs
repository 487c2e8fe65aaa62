//! Calls that arrived before REGISTERED could be sent, and all that came behind them, so that one caller's calls keep
//! their order.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::CallKey;
use crate::peer::Invoke;

/// Those of one session; nothing of most.
#[derive(Debug, Default)]
pub(crate) struct Held(Option<Box<Calls>>);

/// Whatever is held of one call can be taken out without a look at others: many may be cancelled.
#[derive(Debug, Default)]
struct Calls {
    /// All, in the order in which they came.
    by_place: BTreeMap<u64, Box<Invoke>>,
    /// The same by call.
    places: BTreeSet<(CallKey, u64)>,
    last_place: u64,
    bytes: usize,
}

impl Held {
    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |calls| calls.by_place.len())
    }

    /// The call that is held longest, before all others.
    pub(crate) fn first(&self) -> Option<&Invoke> {
        let (_, first) = self.0.as_ref()?.by_place.first_key_value()?;
        Some(first)
    }

    /// Whether some of a call is held.
    pub(super) fn holds(&self, call: CallKey) -> bool {
        self.0
            .as_ref()
            .is_some_and(|calls| calls.place_of(call).is_some())
    }

    /// Holds a call back behind all others. It comes back where more than `limit` bytes would be held.
    pub(super) fn hold(&mut self, mut invoke: Box<Invoke>, limit: usize) -> Result<(), Box<Invoke>> {
        let held = self.0.as_ref().map_or(0, |calls| calls.bytes);
        let bytes = held + invoke.cost();
        if bytes > limit {
            return Err(invoke);
        }
        *invoke = invoke.detached();
        let calls = self.0.get_or_insert_default();
        calls.last_place += 1;
        calls.places.insert((invoke.call, calls.last_place));
        calls.by_place.insert(calls.last_place, invoke);
        calls.bytes = bytes;
        Ok(())
    }

    /// Takes out the call that is held longest.
    pub(super) fn next(&mut self) -> Option<Box<Invoke>> {
        let (place, _) = self.0.as_ref()?.by_place.first_key_value()?;
        self.take(*place)
    }

    /// Takes out all that is held of a call. Its first part, if that is among it.
    pub(super) fn drop(&mut self, call: CallKey) -> Option<Box<Invoke>> {
        let mut first = None;
        while let Some(place) = self.0.as_ref().and_then(|calls| calls.place_of(call)) {
            let taken = self.take(place);
            first = first.or_else(|| taken.filter(|invoke| invoke.part.is_first()));
        }
        first
    }

    /// All calls in their order.
    pub(super) fn into_calls(self) -> impl Iterator<Item = Box<Invoke>> {
        self.0.into_iter().flat_map(|calls| calls.by_place.into_values())
    }

    fn take(&mut self, place: u64) -> Option<Box<Invoke>> {
        let calls = self.0.as_mut()?;
        let invoke = calls.by_place.remove(&place)?;
        calls.places.remove(&(invoke.call, place));
        calls.bytes -= invoke.cost();
        if calls.by_place.is_empty() {
            self.0 = None;
        }
        Some(invoke)
    }
}

impl Calls {
    /// Where the first that is held of a call is.
    fn place_of(&self, call: CallKey) -> Option<u64> {
        let mut places = self.places.range((call, 0)..=(call, u64::MAX));
        places.next().map(|(_, place)| *place)
    }
}
