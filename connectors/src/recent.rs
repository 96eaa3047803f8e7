//! What was taken lately, for senders that repeat themselves when an answer was lost.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::sync::{Mutex, MutexGuard};

use crate::series_table::AsIs;

/// Keys remembered per generation, of which two are kept: half a minute of re-sends at a
/// thousand a second and generation, in 3 MB.
const KEYS_MAX: usize = 65_536;

type Keys = HashSet<u128, BuildHasherDefault<AsIs>>;

#[derive(Default)]
struct Generations {
    current: Keys,
    previous: Keys,
}

/// Hashes (128 bits, well mixed) of what was taken, the latest [`KEYS_MAX`] at least. It lives in memory: after a
/// restart the engine's own deduplication is what remains.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Generations>);

impl Recent {
    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(|held| held.into_inner())
    }

    /// Notes `key`; false when it was noted before.
    pub(crate) fn note(&self, key: u128) -> bool {
        let mut keys = self.lock();
        if keys.current.len() >= KEYS_MAX {
            keys.previous = std::mem::take(&mut keys.current);
        }
        !keys.previous.contains(&key) && keys.current.insert(key)
    }

    /// Whether `key` was noted.
    pub(crate) fn knows(&self, key: u128) -> bool {
        let keys = self.lock();
        keys.current.contains(&key) || keys.previous.contains(&key)
    }

    /// Some of what was noted was not stored, and which is not known: forgetting all may double
    /// what is sent again, never lose it.
    pub(crate) fn forget_all(&self) {
        *self.lock() = Generations::default();
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_128;

    use super::*;

    #[test]
    fn the_latest_are_known_and_the_memory_is_bounded() {
        let recent = Recent::default();
        let key = |number: usize| xxh3_128(&number.to_le_bytes());
        for number in 0..3 * KEYS_MAX {
            assert!(recent.note(key(number)));
        }
        let last = key(3 * KEYS_MAX - 1);
        assert!(!recent.note(last) && !recent.knows(key(0)), "the first has been forgotten");
        let held = |keys: &Generations| keys.current.len() + keys.previous.len();
        assert!(held(&recent.lock()) <= 2 * KEYS_MAX);
        assert!(recent.knows(last));
        recent.forget_all();
        assert!(!recent.knows(last) && recent.note(last));
    }
}
