//! How many findings a stream may report: a token bucket in event time.

use serde::{Deserialize, Serialize};

/// Nanoseconds of a day, the unit of the budget.
const DAY_NS: i128 = 86_400_000_000_000;

/// A bucket that holds one day's findings and refills over the day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Budget {
    per_day: u32,
    /// Findings left, in parts of a day's nanosecond.
    level: i64,
    at_ns: i64,
    shed: u64,
}

impl Budget {
    pub(super) fn new(per_day: u32) -> Self {
        Self { per_day, level: Self::full(per_day), at_ns: i64::MIN, shed: 0 }
    }

    fn full(per_day: u32) -> i64 {
        // The burst is a quarter of the day's findings, and one at least.
        i64::from((per_day / 4).max(1)) * (DAY_NS as i64 / i64::from(per_day.max(1)))
    }

    /// Takes one finding; `false`, counted, if none is left.
    pub(super) fn take(&mut self, at_ns: i64) -> bool {
        let passed = i128::from(at_ns) - i128::from(self.at_ns.max(i64::MIN + 1));
        let passed = passed.clamp(0, DAY_NS) as i64;
        self.at_ns = self.at_ns.max(at_ns);
        let cost = DAY_NS as i64 / i64::from(self.per_day.max(1));
        self.level = (self.level + passed).min(Self::full(self.per_day));
        let open = self.level >= cost;
        if open {
            self.level -= cost;
        } else {
            self.shed += 1;
        }
        open
    }

    /// Findings held back so far.
    pub(super) fn shed(&self) -> u64 {
        self.shed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_trouble_yields_the_burst_and_what_refills() {
        let mut budget = Budget::new(24);
        let taken = (0..24 * 60).filter(|minute| budget.take(minute * 60_000_000_000)).count();
        assert_eq!(taken, 6 + 23);
        assert_eq!(budget.shed(), 24 * 60 - 29);
    }
}
