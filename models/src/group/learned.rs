//! Learned evidence: how often alerts of two types belonged to one incident.
//!
//! A decaying count per pair of types, with a minimum support before it says
//! anything. What it says is shrunk toward the share of all pairs that belong
//! together, so three lucky pairs are not certainty.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Settings of [`CoOccurrence`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CoOccurrenceParams {
    /// Decayed observations of a pair before it counts as evidence.
    pub support_min: f64,
    /// Factor on a pair's old counts at each new observation of it.
    pub keep: f64,
    /// Observations of "not together" that every pair starts with.
    pub prior_apart: f64,
    /// Pairs kept; when full, the half with the least support is dropped.
    pub pairs_max: usize,
}

impl Default for CoOccurrenceParams {
    fn default() -> Self {
        Self { support_min: 3.0, keep: 0.98, prior_apart: 1.0, pairs_max: 65_536 }
    }
}

/// Decayed counts of one pair of types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    together: f64,
    support: f64,
}

/// Co-occurrence of alert types, learned from closed incidents and feedback.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "SavedPairs", into = "SavedPairs")]
pub struct CoOccurrence {
    params: CoOccurrenceParams,
    pairs: HashMap<(u32, u32), Counts, foldhash::fast::FixedState>,
    forgotten: u64,
}

impl CoOccurrence {
    /// An empty table.
    #[must_use]
    pub fn new(params: CoOccurrenceParams) -> Self {
        Self { params, pairs: HashMap::default(), forgotten: 0 }
    }

    /// One labelled case: alerts of these types, near in time, did or did not
    /// belong to one incident. The order of the two is irrelevant.
    pub fn observe(&mut self, type_a: u32, type_b: u32, together: bool) {
        let keep = self.params.keep;
        let counts = self.pairs.entry(key(type_a, type_b)).or_default();
        counts.together = counts.together * keep + f64::from(u8::from(together));
        counts.support = counts.support * keep + 1.0;
        if self.pairs.len() > self.params.pairs_max.max(2) {
            self.forget_least_supported();
        }
    }

    /// Evidence 0..1 that alerts of these types belong together; 0 below the
    /// minimum support.
    #[must_use]
    pub fn score(&self, type_a: u32, type_b: u32) -> f64 {
        match self.pairs.get(&key(type_a, type_b)) {
            Some(counts) if counts.support >= self.params.support_min => {
                counts.together / (counts.support + self.params.prior_apart)
            }
            _ => 0.0,
        }
    }

    /// Whether nothing has been learned yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Pairs dropped because the table was full.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn forget_least_supported(&mut self) {
        let mut order: Vec<(f64, (u32, u32))> = self.pairs.iter().map(|(key, counts)| (counts.support, *key)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        order.truncate(order.len() / 2);
        self.forgotten += order.len() as u64;
        for (_, key) in order {
            self.pairs.remove(&key);
        }
    }
}

fn key(a: u32, b: u32) -> (u32, u32) {
    (a.min(b), a.max(b))
}

/// The stable form of a [`CoOccurrence`]: pairs in order.
#[derive(Serialize, Deserialize)]
struct SavedPairs {
    params: CoOccurrenceParams,
    pairs: Vec<((u32, u32), Counts)>,
    forgotten: u64,
}

impl From<CoOccurrence> for SavedPairs {
    fn from(table: CoOccurrence) -> Self {
        let mut pairs: Vec<_> = table.pairs.into_iter().collect();
        pairs.sort_by_key(|(key, _)| *key);
        Self { params: table.params, pairs, forgotten: table.forgotten }
    }
}

impl From<SavedPairs> for CoOccurrence {
    fn from(saved: SavedPairs) -> Self {
        let pairs = saved.pairs.into_iter().collect();
        Self { params: saved.params, pairs, forgotten: saved.forgotten }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_the_minimum_support_nothing_is_claimed() {
        let mut table = CoOccurrence::default();
        table.observe(1, 2, true);
        table.observe(2, 1, true);
        assert_eq!(table.score(1, 2), 0.0);
        table.observe(1, 2, true);
        table.observe(1, 2, true);
        assert!(table.score(2, 1) > 0.7, "{}", table.score(1, 2));
    }

    #[test]
    fn later_observations_outweigh_earlier_ones() {
        let mut table = CoOccurrence::new(CoOccurrenceParams { keep: 0.8, ..Default::default() });
        for _ in 0..20 {
            table.observe(1, 2, true);
        }
        let before = table.score(1, 2);
        for _ in 0..10 {
            table.observe(1, 2, false);
        }
        assert!(table.score(1, 2) < before / 4.0);
    }

    #[test]
    fn a_full_table_forgets_the_least_supported_pairs() {
        let mut table = CoOccurrence::new(CoOccurrenceParams { pairs_max: 8, ..Default::default() });
        for _ in 0..9 {
            table.observe(100, 101, true);
        }
        for index in 0..20 {
            table.observe(index, index + 1, true);
        }
        assert!(table.pairs.len() <= 9 && table.forgotten() > 0);
        assert!(table.score(100, 101) > 0.5);
    }
}
