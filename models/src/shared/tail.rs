//! How rare is a residual of this size *for this series*? A quantile tracked
//! by stochastic steps, and above it an exponential tail whose mean excess is
//! learned: peaks over threshold (Siffer et al., "Anomaly detection in streams
//! with extreme value theory", KDD 2017) with shape 0, in eight bytes.
//!
//! A series that spikes every hour grows a long tail and stops being news; a
//! series that never moved makes a small step a great surprise.

use serde::{Deserialize, Serialize};

/// Share of points above the tracked quantile: enough to learn the tail from,
/// few enough to be tail.
const EXCEED_SHARE: f64 = 0.02;
/// `-log2(EXCEED_SHARE)`: surprise at the quantile itself.
const EXCEED_BITS: f64 = 5.643_856_189_774_724;
/// A mean excess below this share of the quantile is not believed: it would
/// turn rounding into certainty.
const EXCESS_FLOOR: f64 = 0.15;

/// Learned upper tail of a non-negative quantity, 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    quantile: f32,
    excess: f32,
}

impl Tail {
    /// A tail that starts at `quantile` with mean excess `excess`, both in the
    /// unit of the quantity (for z-like residuals 2.5 and 0.8 are Gaussian-ish).
    #[must_use]
    pub const fn new(quantile: f32, excess: f32) -> Self {
        Self { quantile, excess }
    }

    /// Surprise of `size` in bits: `-log2 P(quantity >= size)`.
    #[must_use]
    pub fn bits(&self, size: f64) -> f64 {
        let quantile = f64::from(self.quantile);
        if size <= quantile {
            return EXCEED_BITS * size / quantile;
        }
        let excess = f64::from(self.excess).max(EXCESS_FLOOR * quantile);
        EXCEED_BITS + (size - quantile) / (excess * std::f64::consts::LN_2)
    }

    /// The size whose surprise is `bits`: the inverse of [`Tail::bits`].
    #[must_use]
    pub fn size_at(&self, bits: f64) -> f64 {
        let quantile = f64::from(self.quantile);
        if bits <= EXCEED_BITS {
            return quantile * bits / EXCEED_BITS;
        }
        let excess = f64::from(self.excess).max(EXCESS_FLOOR * quantile);
        quantile + (bits - EXCEED_BITS) * excess * std::f64::consts::LN_2
    }

    /// Learns from one observation. `rate` in `(0, 1)` is the weight of one
    /// point (large while young, small later); the quantity is winsorised so
    /// that one outlier cannot hide the next.
    pub fn learn(&mut self, size: f64, rate: f64) {
        let quantile = f64::from(self.quantile);
        let excess = f64::from(self.excess);
        let scale = excess.max(EXCESS_FLOOR * quantile);
        if size > quantile {
            let over = (size - quantile).min(6.0 * scale);
            // Exceedances are rare: each weighs 1 / EXCEED_SHARE more.
            let weight = (rate / EXCEED_SHARE).min(0.2);
            self.excess = (excess + weight * (over - excess)) as f32;
            self.quantile = (quantile + 2.0 * rate / EXCEED_SHARE.sqrt() * scale) as f32;
        } else {
            let down = 2.0 * rate / EXCEED_SHARE.sqrt() * scale * EXCEED_SHARE / (1.0 - EXCEED_SHARE);
            self.quantile = (quantile - down).max(0.1) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::{Rng, SeedableRng};

    fn uniform(rng: &mut Xoshiro256PlusPlus) -> f64 {
        (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    #[test]
    fn bits_and_size_are_inverse() {
        let tail = Tail::new(2.5, 0.8);
        for size in [0.5, 2.5, 3.0, 9.0] {
            assert!((tail.size_at(tail.bits(size)) - size).abs() < 1e-9);
        }
    }

    #[test]
    fn a_learned_exponential_tail_promises_the_rate_it_keeps() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        let mut tail = Tail::new(2.5, 0.8);
        let mut alarms = 0;
        for i in 0..400_000 {
            let size = -3.0 * (1.0 - uniform(&mut rng)).ln();
            if i >= 20_000 && tail.bits(size) > 10.0 {
                alarms += 1;
            }
            tail.learn(size, 0.002);
        }
        // 10 bits promise 1 in 1024: 371 of 380,000.
        assert!((200..650).contains(&alarms), "alarms {alarms}");
    }
}
