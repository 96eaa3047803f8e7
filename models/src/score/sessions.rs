//! How well verdicts agree with labels: precision, recall, F1 and Matthews' coefficient.

/// A two-by-two table of verdicts and labels, and what is read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confusion {
    /// Anomalous, and called so.
    pub hits: u64,
    /// Normal, and called anomalous.
    pub false_alarms: u64,
    /// Anomalous, and called normal.
    pub misses: u64,
    /// Normal, and called so.
    pub rests: u64,
}

impl Confusion {
    /// Counts pairs of (called anomalous, is anomalous).
    #[must_use]
    pub fn of(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut table = Self::default();
        for (called, is) in pairs {
            match (called, is) {
                (true, true) => table.hits += 1,
                (true, false) => table.false_alarms += 1,
                (false, true) => table.misses += 1,
                (false, false) => table.rests += 1,
            }
        }
        table
    }

    /// Share of alarms that are right; 0 without alarms.
    #[must_use]
    pub fn precision(&self) -> f64 {
        share(self.hits, self.hits + self.false_alarms)
    }

    /// Share of anomalies found; 0 without anomalies.
    #[must_use]
    pub fn recall(&self) -> f64 {
        share(self.hits, self.hits + self.misses)
    }

    /// Harmonic mean of precision and recall.
    #[must_use]
    pub fn f1(&self) -> f64 {
        share(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)
    }

    /// Matthews' correlation coefficient, -1..=1; 0 where a margin is empty (Matthews 1975).
    #[must_use]
    pub fn mcc(&self) -> f64 {
        let [hits, alarms, misses, rests] = [self.hits, self.false_alarms, self.misses, self.rests].map(|n| n as f64);
        let margins = (hits + alarms) * (hits + misses) * (rests + alarms) * (rests + misses);
        if margins == 0.0 { 0.0 } else { (hits * rests - alarms * misses) / margins.sqrt() }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// Best F1 that *any* verdict which looks at `key` alone can reach on these pairs of
/// (key, is anomalous): calls the keys with the largest share of anomalies first and stops
/// where F1 is highest. The ceiling of a data set, for judging how far a model is from it.
#[must_use]
pub fn f1_ceiling<K: Ord>(pairs: impl IntoIterator<Item = (K, bool)>) -> f64 {
    let mut keys: std::collections::BTreeMap<K, (u64, u64)> = std::collections::BTreeMap::new();
    for (key, is) in pairs {
        let counts = keys.entry(key).or_default();
        if is { counts.0 += 1 } else { counts.1 += 1 }
    }
    let anomalies: u64 = keys.values().map(|counts| counts.0).sum();
    let mut shares: Vec<(u64, u64)> = keys.into_values().collect();
    // a/(a+n) descending, by cross products so that no rounding decides.
    shares.sort_by(|left, right| (right.0 * left.1).cmp(&(left.0 * right.1)));
    let mut table = Confusion { misses: anomalies, ..Confusion::default() };
    shares.into_iter().fold(0.0, |best: f64, (anomalous, normal)| {
        table.hits += anomalous;
        table.misses -= anomalous;
        table.false_alarms += normal;
        best.max(table.f1())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed_case() {
        let table = Confusion { hits: 6, false_alarms: 2, misses: 4, rests: 88 };
        assert_eq!(table.precision(), 0.75);
        assert_eq!(table.recall(), 0.6);
        assert_eq!(table.f1(), 2.0 * 6.0 / (12.0 + 2.0 + 4.0));
        // (6·88 − 2·4) / √(8·10·90·92) = 520 / √662,400
        assert!((table.mcc() - 520.0 / 662_400_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn pairs_are_counted_into_their_cells() {
        let table = Confusion::of([(true, true), (true, false), (false, true), (false, false), (false, false)]);
        assert_eq!(table, Confusion { hits: 1, false_alarms: 1, misses: 1, rests: 2 });
    }

    #[test]
    fn no_alarms_and_no_anomalies_score_zero_not_nan() {
        let table = Confusion { rests: 5, ..Confusion::default() };
        assert_eq!((table.precision(), table.recall(), table.f1(), table.mcc()), (0.0, 0.0, 0.0, 0.0));
    }

    #[test]
    fn the_ceiling_counts_what_no_verdict_can_tell_apart() {
        // `a`: 1 of 10 anomalous; `b`: 3 of 3. Calling `b` alone: 3 hits, 1 miss, F1 6/7.
        let pairs = (0..10).map(|n| ('a', n == 0)).chain((0..3).map(|_| ('b', true)));
        assert_eq!(f1_ceiling(pairs), 6.0 / 7.0);
    }
}
