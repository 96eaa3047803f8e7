//! What the series of a shard were when a snapshot began: those that move on are written before they do, the others
//! when it is their turn.

use hashbrown::HashMap;
use serde::Serialize;

use super::series::Series;

/// Series that have moved on since the snapshot began, as they were then.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    /// From where to where each lies in `bytes`; nowhere, when it was not known yet.
    places: HashMap<u64, (usize, usize), foldhash::fast::FixedState>,
}

impl Kept {
    /// A series is about to move on.
    pub(super) fn keep(&mut self, id: u64, series: &Series) {
        let Kept { bytes, places } = self;
        places.entry(id).or_insert_with(|| {
            let from = bytes.len();
            put(bytes, &(id, series));
            (from, bytes.len())
        });
    }

    /// A series that was not known when the snapshot began.
    pub(super) fn is_new(&mut self, id: u64) {
        self.places.insert(id, (0, 0));
    }

    /// As a list in order of their ids, like [`sorted_map`](crate::serial::sorted_map) writes them.
    pub(super) fn write(&self, series: &HashMap<u64, Series, foldhash::fast::FixedState>) -> Vec<u8> {
        let mut now: Vec<(u64, &Series)> = series.iter().map(|(id, series)| (*id, series)).collect();
        now.retain(|(id, _)| self.places.get(id) != Some(&(0, 0)));
        now.sort_unstable_by_key(|(id, _)| *id);
        let mut out = Vec::with_capacity(self.bytes.len());
        put(&mut out, &now.len());
        for entry in now {
            match self.places.get(&entry.0) {
                Some((from, to)) => out.extend_from_slice(&self.bytes[*from..*to]),
                None => put(&mut out, &entry),
            }
        }
        out
    }
}

fn put(bytes: &mut Vec<u8>, value: &impl Serialize) {
    *bytes = postcard::to_extend(value, std::mem::take(bytes)).expect("a series holds only what postcard can write");
}
