//! Quantiles of a stream with a promised relative error: DDSketch (Masson, Rim
//! and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with
//! relative-error guarantees", VLDB 2019). Values fall into buckets whose edges
//! grow by a fixed factor, so adding is a logarithm and an increment, and two
//! sketches merge by adding counts: any order, any split, one answer.
//!
//! When the values span more than [`BUCKETS_MAX`] buckets, those nearest to
//! zero are joined: the large quantiles, which are asked for, keep the promise.

use super::params::{ParamError, within};
use super::version::{SavedError, known};
use serde::{Deserialize, Serialize};

/// Buckets of one sign. At one percent they span 17 decades.
pub const BUCKETS_MAX: usize = 2_048;
/// Sizes below this count as zero: the smallest size with full precision.
const SIZE_MIN: f64 = f64::MIN_POSITIVE;
/// Version of the saved form.
const VERSION: u16 = 1;
const WHAT: &str = "quantile sketch";

/// A quantile sketch: at most 32 KiB, usually some hundred bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Saved", try_from = "Saved")]
pub struct Quantiles {
    accuracy: f64,
    ln_factor: f64,
    negative: Buckets,
    zeros: u64,
    positive: Buckets,
}

/// Counts of one sign, by size; `counts[i]` belongs to bucket `first + i`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Buckets {
    first: i32,
    counts: Vec<u64>,
}

/// What is written.
#[derive(Clone, Serialize, Deserialize)]
struct Saved {
    version: u16,
    accuracy: f64,
    negative: Buckets,
    zeros: u64,
    positive: Buckets,
}

impl Quantiles {
    /// An empty sketch whose answers are wrong by at most the share `accuracy`.
    ///
    /// # Errors
    /// [`ParamError`] when `accuracy` is outside 0.0001 to 0.2.
    pub fn new(accuracy: f64) -> Result<Self, ParamError> {
        let accuracy = within("accuracy", accuracy, 1e-4, 0.2)?;
        let ln_factor = ((1.0 + accuracy) / (1.0 - accuracy)).ln();
        Ok(Self { accuracy, ln_factor, negative: Buckets::default(), zeros: 0, positive: Buckets::default() })
    }

    /// Adds one value; one that is not finite is left out.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        if value.abs() < SIZE_MIN {
            self.zeros = self.zeros.saturating_add(1);
            return;
        }
        let bucket = (value.abs().ln() / self.ln_factor).ceil() as i32;
        let side = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        side.add(bucket, 1);
    }

    /// Adds all values of another sketch.
    ///
    /// # Errors
    /// [`ParamError`] when the accuracies differ: their buckets do not match.
    pub fn merge(&mut self, other: &Self) -> Result<(), ParamError> {
        within("accuracy", other.accuracy, self.accuracy, self.accuracy)?;
        self.zeros = self.zeros.saturating_add(other.zeros);
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
        Ok(())
    }

    /// Values added.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.negative.count().saturating_add(self.zeros).saturating_add(self.positive.count())
    }

    /// The value below which the share `q` of all values lies (clamped to 0
    /// and 1); `None` when nothing was added.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let last = self.count().checked_sub(1)?;
        let mut rank = (q.clamp(0.0, 1.0) * last as f64) as u64;
        let below = self.negative.count();
        if rank < below {
            return Some(-self.middle(self.negative.at(below - 1 - rank)));
        }
        rank -= below;
        if rank < self.zeros {
            return Some(0.0);
        }
        Some(self.middle(self.positive.at(rank - self.zeros)))
    }

    /// The value with the same relative distance to both edges of a bucket.
    fn middle(&self, bucket: i32) -> f64 {
        ((f64::from(bucket) * self.ln_factor).exp() * (1.0 - self.accuracy)).min(f64::MAX)
    }
}

impl Buckets {
    fn add(&mut self, bucket: i32, count: u64) {
        if self.counts.is_empty() {
            self.first = bucket;
        }
        let last = self.first + self.counts.len() as i32 - 1;
        if bucket > last {
            self.grow_up(bucket);
        } else if bucket < self.first {
            // No further down than the limit allows: what is below joins the first.
            let room = (BUCKETS_MAX - self.counts.len()) as i32;
            let more = (self.first - bucket).min(room);
            self.counts.splice(0..0, std::iter::repeat_n(0, more as usize));
            self.first -= more;
        }
        let index = (bucket - self.first).max(0) as usize;
        self.counts[index] = self.counts[index].saturating_add(count);
    }

    /// Makes `bucket` the last one; the smallest join where there is no room.
    fn grow_up(&mut self, bucket: i32) {
        let lowest = bucket - (BUCKETS_MAX as i32 - 1);
        if lowest > self.first {
            let gone = ((lowest - self.first) as usize).min(self.counts.len());
            let joined: u64 = self.counts.drain(..gone).sum();
            self.first = lowest;
            match self.counts.first_mut() {
                Some(first) => *first = first.saturating_add(joined),
                None => self.counts.push(joined),
            }
        }
        self.counts.resize((bucket - self.first) as usize + 1, 0);
    }

    fn merge(&mut self, other: &Self) {
        // From the largest down, so that joining happens as if added at once.
        for (index, count) in other.counts.iter().enumerate().rev().filter(|(_, count)| **count > 0) {
            self.add(other.first + index as i32, *count);
        }
    }

    fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The bucket of the value with `rank` smaller ones.
    fn at(&self, rank: u64) -> i32 {
        let mut seen = 0;
        let index = self.counts.iter().position(|count| {
            seen += count;
            seen > rank
        });
        self.first + index.unwrap_or(self.counts.len().saturating_sub(1)) as i32
    }
}

impl From<Quantiles> for Saved {
    fn from(q: Quantiles) -> Self {
        Self { version: VERSION, accuracy: q.accuracy, negative: q.negative, zeros: q.zeros, positive: q.positive }
    }
}

impl TryFrom<Saved> for Quantiles {
    type Error = SavedError;

    fn try_from(saved: Saved) -> Result<Self, SavedError> {
        known(WHAT, saved.version, VERSION)?;
        let broken = |why| SavedError::Broken { what: WHAT, why };
        let fits = |b: &Buckets| b.counts.len() <= BUCKETS_MAX && b.first.unsigned_abs() < u32::MAX / 4;
        if !fits(&saved.negative) || !fits(&saved.positive) {
            return Err(broken("more buckets than allowed"));
        }
        let empty = Self::new(saved.accuracy).map_err(|_| broken("accuracy out of range"))?;
        Ok(Self { negative: saved.negative, zeros: saved.zeros, positive: saved.positive, ..empty })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sketch(values: impl IntoIterator<Item = f64>) -> Quantiles {
        let mut sketch = Quantiles::new(0.01).expect("in range");
        values.into_iter().for_each(|value| sketch.add(value));
        sketch
    }

    proptest! {
        #[test]
        fn every_quantile_is_within_the_promised_error(
            mut values in prop::collection::vec(-1e6_f64..1e6, 1..400),
            q in 0.0_f64..1.0,
        ) {
            let sketch = sketch(values.iter().copied());
            values.sort_unstable_by(f64::total_cmp);
            let exact = values[(q * (values.len() - 1) as f64) as usize];
            let got = sketch.quantile(q).expect("not empty");
            prop_assert!((got - exact).abs() <= 0.010_001 * exact.abs(), "{got} for {exact}");
        }

        #[test]
        fn merged_parts_equal_the_whole(values in prop::collection::vec(-1e300_f64..1e300, 0..300), cut in 0_usize..300) {
            let cut = cut.min(values.len());
            let mut left = sketch(values[..cut].iter().copied());
            left.merge(&sketch(values[cut..].iter().copied())).expect("same accuracy");
            prop_assert_eq!(left, sketch(values));
        }
    }

    #[test]
    fn a_range_too_wide_keeps_the_large_and_joins_the_small() {
        let sketch = sketch([1e-300, 1e-200, 1e-100, 1.0, 1e300]);
        assert_eq!(sketch.count(), 5);
        assert!(sketch.positive.counts.len() <= BUCKETS_MAX);
        let top = sketch.quantile(1.0).expect("not empty");
        assert!((top / 1e300 - 1.0).abs() < 0.01, "{top}");
    }

    #[test]
    fn empty_zero_and_nonsense_are_answered() {
        let mut sketch = sketch([f64::NAN, f64::INFINITY]);
        assert_eq!(sketch.quantile(0.5), None);
        sketch.add(0.0);
        assert_eq!(sketch.quantile(0.5), Some(0.0));
        assert!(sketch.merge(&Quantiles::new(0.02).expect("in range")).is_err());
        assert!(Quantiles::new(0.0).is_err());
    }

    #[test]
    fn a_saved_sketch_comes_back_and_another_version_is_refused() {
        let sketch = sketch((0..1000).map(|i| f64::from(i) - 200.0));
        let text = serde_json::to_string(&sketch).expect("serialises");
        assert_eq!(serde_json::from_str::<Quantiles>(&text).expect("reads"), sketch);
        let later = text.replace("\"version\":1", "\"version\":9");
        let error = serde_json::from_str::<Quantiles>(&later).expect_err("unknown").to_string();
        assert!(error.contains("version `9`: this build reads `1`"), "{error}");
        let broken = text.replace("\"accuracy\":0.01", "\"accuracy\":7.0");
        assert!(serde_json::from_str::<Quantiles>(&broken).is_err());
    }
}
