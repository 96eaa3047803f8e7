//! What the series of a shard were when a snapshot began: those that move on are written before they do, the others
//! when it is their turn.

use hashbrown::HashMap;
use serde::Serialize;

use super::series::Series;

/// A shard's series by id.
pub(super) type SeriesById = HashMap<u64, Series, foldhash::fast::FixedState>;

/// The series of a shard on their way into a snapshot.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    /// From where to where each that has moved on lies in `bytes`; nowhere, when it was not known yet.
    places: HashMap<u64, (usize, usize), foldhash::fast::FixedState>,
    turns: Option<Turns>,
}

/// Whose turn it is.
#[derive(Clone, Debug)]
struct Turns {
    /// Those to be written, in order.
    ids: Vec<u64>,
    next: usize,
    written: Vec<u8>,
}

impl Kept {
    /// A series is about to move on.
    pub(super) fn keep(&mut self, id: u64, series: &Series) {
        if self.turns.as_ref().is_some_and(|turns| turns.ids.get(turns.next).is_none_or(|next| id < *next)) {
            // It is written, or was not there.
            return;
        }
        let Kept { bytes, places, .. } = self;
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

    /// Writes up to `most` further series, in order of their ids, as [`sorted_map`](crate::serial::sorted_map) writes
    /// them. Answers all of them once there are no more.
    pub(super) fn write(&mut self, series: &SeriesById, most: usize) -> Option<Vec<u8>> {
        let Kept { bytes, places, turns } = self;
        let turns = turns.get_or_insert_with(|| Turns::of(series, |id| places.get(&id) == Some(&(0, 0))));
        let until = turns.ids.len().min(turns.next.saturating_add(most));
        for id in &turns.ids[turns.next..until] {
            match (places.get(id), series.get(id)) {
                (Some((from, to)), _) => turns.written.extend_from_slice(&bytes[*from..*to]),
                (None, Some(series)) => put(&mut turns.written, &(id, series)),
                (None, None) => debug_assert!(false, "series stay"),
            }
        }
        if turns.next == 0 && until > 0 {
            // The others take about as much: growing step by step would copy them several times.
            let about = turns.written.len() / until * (turns.ids.len() - until);
            turns.written.reserve(about + about / 16);
        }
        turns.next = until;
        (until == turns.ids.len()).then(|| std::mem::take(&mut turns.written))
    }
}

impl Turns {
    fn of(series: &SeriesById, is_new: impl Fn(u64) -> bool) -> Turns {
        let mut ids: Vec<u64> = series.keys().copied().filter(|id| !is_new(*id)).collect();
        ids.sort_unstable();
        let mut written = Vec::new();
        put(&mut written, &ids.len());
        Turns { ids, next: 0, written }
    }
}

fn put(bytes: &mut Vec<u8>, value: &impl Serialize) {
    *bytes = postcard::to_extend(value, std::mem::take(bytes)).expect("a series holds only what postcard can write");
}
