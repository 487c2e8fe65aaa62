//! A dense table whose keys never name a later entry by mistake.

/// Entries by slot and generation. Slots are reused, lowest load first; a key kept after its entry was removed
/// finds nothing.
#[derive(Debug)]
pub(crate) struct Table<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    entry: Option<T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Table<T> {
    /// Puts `entry` in and returns its slot and generation.
    ///
    /// # Panics
    /// With 2^32 entries at a time, which no machine holds.
    pub(crate) fn insert(&mut self, entry: T) -> (u32, u32) {
        if let Some(slot) = self.free.pop() {
            let place = &mut self.slots[slot as usize];
            place.entry = Some(entry);
            return (slot, place.generation);
        }
        let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 entries");
        self.slots.push(Slot {
            generation: 0,
            entry: Some(entry),
        });
        (slot, 0)
    }

    pub(crate) fn get(&self, slot: u32, generation: u32) -> Option<&T> {
        let place = self.slots.get(slot as usize)?;
        if place.generation == generation {
            place.entry.as_ref()
        } else {
            None
        }
    }

    pub(crate) fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut T> {
        let place = self.slots.get_mut(slot as usize)?;
        if place.generation == generation {
            place.entry.as_mut()
        } else {
            None
        }
    }

    /// The entry in `slot`, for callers that hold slots only while the entry is there.
    pub(crate) fn slot_mut(&mut self, slot: u32) -> Option<&mut T> {
        self.slots.get_mut(slot as usize)?.entry.as_mut()
    }

    /// Likewise, to read.
    pub(crate) fn slot(&self, slot: u32) -> Option<&T> {
        self.slots.get(slot as usize)?.entry.as_ref()
    }

    pub(crate) fn remove(&mut self, slot: u32, generation: u32) -> Option<T> {
        if self.slots.get(slot as usize)?.generation != generation {
            None
        } else {
            self.remove_slot(slot)
        }
    }

    pub(crate) fn remove_slot(&mut self, slot: u32) -> Option<T> {
        let place = self.slots.get_mut(slot as usize)?;
        let entry = place.entry.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(slot);
        Some(entry)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// All entries.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|place| place.entry.as_ref())
    }

    /// All entries with their keys.
    pub(crate) fn all(&self) -> impl Iterator<Item = ((u32, u32), &T)> {
        let entries = self.slots.iter().enumerate();
        entries.filter_map(|(slot, place)| {
            let entry = place.entry.as_ref()?;
            Some(((slot as u32, place.generation), entry))
        })
    }

    /// The keys of all entries.
    pub(crate) fn keys(&self) -> Vec<(u32, u32)> {
        let taken = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, place)| place.entry.is_some());
        taken
            .map(|(slot, place)| (slot as u32, place.generation))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing() {
        let mut table = Table::default();
        let (slot, generation) = table.insert("first");
        assert_eq!(table.remove(slot, generation), Some("first"));
        assert_eq!(table.remove(slot, generation), None);
        let (again, later) = table.insert("second");
        assert_eq!(again, slot);
        assert_eq!(table.get(slot, generation), None);
        assert_eq!(table.get(again, later), Some(&"second"));
        assert_eq!(table.len(), 1);
    }
}
