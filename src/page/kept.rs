//! What was seen lately, kept for some seconds so that who loads a page again asks nobody: bounded in entries.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Answers by what was asked.
#[derive(Debug)]
pub(crate) struct Kept<K, T> {
    lasts: Duration,
    entries_max: usize,
    seen: Mutex<HashMap<K, (Instant, Arc<T>)>>,
}

impl<K: Eq + Hash, T> Kept<K, T> {
    /// Each for `lasts`, and at most `entries_max` of them.
    pub(crate) fn new(lasts: Duration, entries_max: usize) -> Kept<K, T> {
        Kept { lasts, entries_max, seen: Mutex::default() }
    }

    /// What was seen, when that is not long ago.
    pub(crate) fn get(&self, key: &K) -> Option<Arc<T>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(key).filter(|(when, _)| when.elapsed() < self.lasts).map(|(_, what)| what.clone())
    }

    /// Keeps what was seen just now; where there is no room, what is old goes, and else the oldest.
    pub(crate) fn put(&self, key: K, what: T) -> Arc<T>
    where
        K: Clone,
    {
        let what = Arc::new(what);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= self.entries_max && !seen.contains_key(&key) {
            seen.retain(|_, (when, _)| when.elapsed() < self.lasts);
        }
        if seen.len() >= self.entries_max
            && !seen.contains_key(&key)
            && let Some(oldest) = seen.iter().min_by_key(|(_, (when, _))| *when).map(|(key, _)| key.clone())
        {
            seen.remove(&oldest);
        }
        seen.insert(key, (Instant::now(), what.clone()));
        what
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_is_asked_again_and_no_more_is_kept_than_may_be() {
        let kept = Kept::new(Duration::from_secs(60), 2);
        (0..3).for_each(|n| {
            kept.put(n, n);
        });
        assert_eq!([0, 1, 2].map(|n| kept.get(&n).map(|n| *n)), [None, Some(1), Some(2)]);
        let brief = Kept::new(Duration::ZERO, 2);
        brief.put(1, 1);
        assert_eq!(brief.get(&1), None);
    }
}
