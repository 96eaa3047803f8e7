//! How far a window departs from what came before, robustly.
//!
//! Centre is the median, scale the widest of the median absolute deviation, the
//! 10–90 % range, and a share of the median, so that neither a constant series
//! nor one with rare spikes shouts.

use serde::{Deserialize, Serialize};

/// Least scale as a share of the median: below it a change is not worth a word.
const SCALE_SHARE_MIN: f64 = 0.03;

/// Standard deviations between the 10th and the 90th percentile of a normal.
const DECILES_APART: f64 = 2.563;

/// Makes the median absolute deviation of a normal its standard deviation.
const MAD_TO_SIGMA: f64 = 1.4826;

/// Values that make a baseline.
const BASELINE_MIN: usize = 3;

/// Departure of a window from its baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Deviation {
    /// Signed distance in robust standard deviations: of the values in the
    /// window, the one a third of the way down from the farthest.
    pub sigmas: f64,
    /// Signed change of the window's centre relative to the baseline's:
    /// natural logarithm of their ratio, or of 1 + difference where the
    /// baseline is zero; clamped to ±5.
    pub log_ratio: f64,
}

/// Compares `during` with `before`, and with `recent` where that has at least
/// three values: the smaller departure counts, and none when they disagree in
/// sign. What has been off for long is not the news, and what is back where it
/// usually is, is no harm. Missing values (NaN) are left out. `None` when the
/// baseline has fewer than three values or the window none.
#[must_use]
pub fn deviation(before: &[f64], recent: &[f64], during: &[f64]) -> Option<Deviation> {
    let (before, recent, during) = (sorted(before), sorted(recent), sorted(during));
    if before.len() < BASELINE_MIN || during.is_empty() {
        return None;
    }
    let usual = quantile(&before, 0.5);
    let scale = scale(&before, usual);
    let from_usual = from_centre(usual, scale, &during);
    if recent.len() < BASELINE_MIN {
        return Some(from_usual);
    }
    let from_recent = from_centre(quantile(&recent, 0.5), scale, &during);
    Some(smaller(from_usual, from_recent))
}

fn from_centre(centre: f64, scale: f64, during: &[f64]) -> Deviation {
    let mut far: Vec<f64> = during.iter().map(|value| (value - centre) / scale).collect();
    far.sort_by(|a, b| b.abs().total_cmp(&a.abs()));
    Deviation { sigmas: far[far.len() / 3], log_ratio: log_ratio(centre, quantile(during, 0.5)) }
}

fn smaller(a: Deviation, b: Deviation) -> Deviation {
    if a.sigmas * b.sigmas <= 0.0 {
        return Deviation::default();
    }
    if a.sigmas.abs() <= b.sigmas.abs() { a } else { b }
}

fn log_ratio(before: f64, during: f64) -> f64 {
    let ratio = if before > 0.0 && during > 0.0 {
        (during / before).ln()
    } else {
        let gap = during - before;
        gap.signum() * gap.abs().ln_1p()
    };
    ratio.clamp(-5.0, 5.0)
}

/// Robust scale of sorted values, never zero.
fn scale(values: &[f64], centre: f64) -> f64 {
    let mut away: Vec<f64> = values.iter().map(|value| (value - centre).abs()).collect();
    away.sort_by(f64::total_cmp);
    let mad = MAD_TO_SIGMA * quantile(&away, 0.5);
    let deciles = (quantile(values, 0.9) - quantile(values, 0.1)) / DECILES_APART;
    let spread = mad.max(deciles).max(SCALE_SHARE_MIN * centre.abs());
    if spread > 0.0 { spread } else { SCALE_SHARE_MIN }
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut out: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    out.sort_by(f64::total_cmp);
    out
}

/// Linear interpolation between order statistics of sorted, non-empty values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, rest) = (place.floor() as usize, place.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + rest * (sorted[high] - sorted[low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_is_measured_in_robust_sigmas() {
        let before: Vec<f64> = (0..101).map(|i| 100.0 + f64::from(i % 11) - 5.0).collect();
        let shift = deviation(&before, &[], &[150.0, 151.0, 149.0]).expect("enough values");
        assert!(shift.sigmas > 10.0 && (shift.log_ratio - 1.5_f64.ln()).abs() < 1e-9);
        let calm = deviation(&before, &[], &[101.0, 99.0, 100.0]).expect("enough values");
        assert!(calm.sigmas.abs() < 1.0);
    }

    #[test]
    fn rare_spikes_in_the_baseline_widen_the_scale() {
        let mut before = vec![1.0; 100];
        let sharp = deviation(&before, &[], &[2.0]).expect("enough values").sigmas;
        for index in 0..15 {
            before[index * 6] = 3.0;
        }
        let blunt = deviation(&before, &[], &[2.0]).expect("enough values").sigmas;
        assert!(blunt < sharp / 5.0, "{blunt} {sharp}");
    }

    #[test]
    fn missing_values_are_left_out_and_too_few_give_nothing() {
        assert!(deviation(&[1.0, f64::NAN, 1.0], &[], &[2.0]).is_none());
        assert!(deviation(&[1.0, 1.0, 1.0], &[], &[f64::NAN]).is_none());
        let zero = deviation(&[0.0; 5], &[], &[0.0]).expect("enough values");
        assert_eq!((zero.sigmas, zero.log_ratio), (0.0, 0.0));
    }

    #[test]
    fn what_was_off_already_is_not_news_and_what_returns_is_no_harm() {
        let before: Vec<f64> = (0..100).map(|i| f64::from(i % 5)).collect();
        let sigmas = |recent: &[f64], during: &[f64]| deviation(&before, recent, during).expect("enough values").sigmas;
        assert!(sigmas(&[2.0; 5], &[50.0; 3]) > 10.0);
        assert!(sigmas(&[50.0; 5], &[50.0; 3]).abs() < 1.0);
        assert!(sigmas(&[50.0; 5], &[2.0; 3]).abs() < 1.0);
    }
}
