//! Calls that arrived before REGISTERED could be sent, and all that came behind them, so that one caller's calls keep
//! their order.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::CallKey;
use crate::peer::Invoke;

/// Those of one session. Whatever is held of one call can be taken out without a look at others: many may be cancelled.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// All, in the order in which they came.
    by_place: BTreeMap<u64, Box<Invoke>>,
    /// The same by call.
    places: BTreeSet<(CallKey, u64)>,
    last_place: u64,
    bytes: usize,
}

impl Held {
    pub(crate) fn len(&self) -> usize {
        self.by_place.len()
    }

    /// The call that is held longest, before all others.
    pub(crate) fn first(&self) -> Option<&Invoke> {
        self.by_place.first_key_value().map(|(_, first)| &**first)
    }

    /// Whether some of a call is held.
    pub(super) fn holds(&self, call: CallKey) -> bool {
        self.place_of(call).is_some()
    }

    /// Holds a call back behind all others. It comes back where more than `limit` bytes would be held.
    pub(super) fn hold(&mut self, mut invoke: Box<Invoke>, limit: usize) -> Result<(), Box<Invoke>> {
        let bytes = self.bytes + invoke.cost();
        if bytes > limit {
            return Err(invoke);
        }
        *invoke = invoke.detached();
        self.last_place += 1;
        self.places.insert((invoke.call, self.last_place));
        self.by_place.insert(self.last_place, invoke);
        self.bytes = bytes;
        Ok(())
    }

    /// Takes out the call that is held longest.
    pub(super) fn next(&mut self) -> Option<Box<Invoke>> {
        let (place, _) = self.by_place.first_key_value()?;
        self.take(*place)
    }

    /// Takes out all that is held of a call. Its first part, if that is among it.
    pub(super) fn take_call(&mut self, call: CallKey) -> Option<Box<Invoke>> {
        let mut first = None;
        while let Some(place) = self.place_of(call) {
            let taken = self.take(place);
            first = first.or_else(|| taken.filter(|invoke| invoke.part.is_first()));
        }
        first
    }

    /// All calls in their order.
    pub(super) fn into_calls(self) -> impl Iterator<Item = Box<Invoke>> {
        self.by_place.into_values()
    }

    fn take(&mut self, place: u64) -> Option<Box<Invoke>> {
        let invoke = self.by_place.remove(&place)?;
        self.places.remove(&(invoke.call, place));
        self.bytes -= invoke.cost();
        Some(invoke)
    }

    /// Where the first that is held of a call is.
    fn place_of(&self, call: CallKey) -> Option<u64> {
        let mut places = self.places.range((call, 0)..=(call, u64::MAX));
        places.next().map(|(_, place)| *place)
    }
}
