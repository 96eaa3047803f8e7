//! The running hour: its samples become one level when it closes. The median of
//! a few samples spread over the hour serves disks and pools; another quantile
//! (the 0.99 of a latency) needs all of them and asks the quantile sketch.

use crate::shared::Quantiles;
use serde::{Deserialize, Serialize};

/// Samples of an hour that enter its median; more are thinned by doubling the
/// stride, so the sample stays spread over the hour.
const SAMPLES_MAX: usize = 32;
/// The quantile that the samples answer.
pub(super) const MEDIAN: f64 = 0.5;
/// Relative error of other quantiles.
const ACCURACY: f64 = 0.01;

/// Samples of one hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Hour {
    stride: u32,
    phase: u32,
    /// As ordered integers: see [`key`].
    samples: Vec<i32>,
    sketch: Option<Box<Quantiles>>,
}

impl Default for Hour {
    fn default() -> Self {
        Self { stride: 1, phase: 0, samples: Vec::with_capacity(SAMPLES_MAX), sketch: None }
    }
}

impl Hour {
    /// Takes one sample of an hour whose level is `quantile`.
    pub(super) fn add(&mut self, quantile: f64, value: f64) {
        if quantile == MEDIAN {
            self.sample(key(value as f32));
        } else {
            if self.sketch.is_none() {
                self.sketch = Quantiles::new(ACCURACY).ok().map(Box::new);
            }
            self.sketch.iter_mut().for_each(|sketch| sketch.add(value));
        }
    }

    /// The level of the hour, which then begins anew; `None` of an hour without
    /// samples.
    pub(super) fn close(&mut self, quantile: f64) -> Option<f32> {
        self.stride = 1;
        self.phase = 0;
        if let Some(sketch) = self.sketch.take() {
            return sketch.quantile(quantile).map(|value| value as f32);
        }
        self.samples.sort_unstable();
        let median = self.samples.get(self.samples.len() / 2).map(|sample| value_of(*sample));
        self.samples.clear();
        median
    }

    fn sample(&mut self, value: i32) {
        self.phase += 1;
        if self.phase < self.stride {
            return;
        }
        self.phase = 0;
        if self.samples.len() == SAMPLES_MAX {
            let mut index = 0;
            self.samples.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
        self.samples.push(value);
    }
}

/// A float as an integer of the same order: integers sort without branches.
fn key(value: f32) -> i32 {
    let bits = value.to_bits() as i32;
    bits ^ (((bits >> 31) as u32) >> 1) as i32
}

/// The inverse of [`key`].
fn value_of(key: i32) -> f32 {
    f32::from_bits((key ^ (((key >> 31) as u32) >> 1) as i32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_as_their_floats_and_come_back() {
        let values = [-1e30_f32, -2.5, -0.0, 0.0, 1e-9, 3.5, 1e30];
        assert!(values.windows(2).all(|pair| key(pair[0]) < key(pair[1])));
        assert!(values.iter().all(|value| value_of(key(*value)).to_bits() == value.to_bits()));
    }

    #[test]
    fn a_quantile_sees_every_sample_and_each_hour_begins_anew() {
        let mut hour = Hour::default();
        for _ in 0..2 {
            assert_eq!(hour.close(0.99), None);
            // Two slow answers in a hundred, where thinning would miss them.
            (0..3_600).for_each(|i| hour.add(0.99, if i % 50 == 1 { 800.0 } else { 20.0 }));
            let level = hour.close(0.99).expect("samples came");
            assert!((level - 800.0).abs() <= 8.0, "{level}");
        }
        (0..3_600).for_each(|i| hour.add(MEDIAN, f64::from(i)));
        assert!(hour.close(MEDIAN).is_some_and(|level| (1_700.0..1_900.0).contains(&level)));
    }
}
