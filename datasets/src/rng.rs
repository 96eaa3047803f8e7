//! Randomness that is the same everywhere: a seeded generator for drawing plans, and hashes
//! for noise that must not depend on the order in which it is asked for.
//!
//! The simulator never calls `ln`, `sin` or `exp`: their last bit differs between systems, and
//! the same seed must give the same bytes.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng};

/// A seeded generator (xoshiro256++, Blackman and Vigna 2019) for one purpose.
#[derive(Clone, Debug)]
pub(crate) struct Rng(Xoshiro256PlusPlus);

impl Rng {
    /// The generator of `seed` for `purpose`: purposes do not disturb each other, so that one
    /// more draw for names leaves the faults as they were.
    pub(crate) fn new(seed: u64, purpose: &str) -> Rng {
        Rng(Xoshiro256PlusPlus::seed_from_u64(mix(seed, text(purpose))))
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        unit(self.bits())
    }

    /// Uniform in [`low`, `high`).
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform below `count`; 0 when `count` is 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        below(self.bits(), count)
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Puts `items` in random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Two numbers into one well-mixed number (the finaliser of SplitMix64, Steele 2014).
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut z = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31);
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A number for a text (FNV-1a, then mixed).
pub(crate) fn text(text: &str) -> u64 {
    let fnv = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    mix(fnv, 0)
}

/// Bits as a number in [0, 1).
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// Bits as a number below `count`; 0 when `count` is 0.
pub(crate) fn below(bits: u64, count: usize) -> usize {
    ((u128::from(bits) * count as u128) >> 64) as usize
}

/// Bits as a bell-shaped number of mean 0 and variance 1, within ±3.47 (the sum of four
/// uniform numbers: no logarithm needed, and no outlier that a rule would have to forgive).
pub(crate) fn bell(bits: u64) -> f64 {
    let part = |shift: u32| ((bits >> shift) & 0xffff) as f64 / 65_535.0;
    (part(0) + part(16) + part(32) + part(48) - 2.0) * 3.0f64.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_have_their_own_stream() {
        let first = Rng::new(7, "names").bits();
        assert_eq!(first, Rng::new(7, "names").bits());
        assert_ne!(first, Rng::new(7, "faults").bits());
        assert_ne!(first, Rng::new(8, "names").bits());
    }

    #[test]
    fn the_bell_has_mean_nought_and_variance_one() {
        let draws: Vec<f64> = (0..20_000).map(|i| bell(mix(3, i))).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|d| d * d).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
    }

    #[test]
    fn a_draw_below_covers_its_range() {
        let mut rng = Rng::new(1, "test");
        let mut seen = [false; 5];
        for _ in 0..200 {
            seen[rng.below(5)] = true;
        }
        assert_eq!(seen, [true; 5]);
        assert_eq!(rng.below(0), 0);
    }
}
