//! The season of a series, found: the lag at which it resembles itself most.

/// A season found in a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeasonFound {
    /// Length of one cycle in points.
    pub period: usize,
    /// Autocorrelation at that lag, 0 to 1: how much of the series it explains.
    pub strength: f64,
}

/// Peaks lower than this are noise, not a season.
const STRENGTH_MIN: f64 = 0.2;
/// A shorter cycle wins when it explains at least this share of the best: the
/// multiples of a period are periods too.
const SHORTER_SHARE: f64 = 0.85;

/// Finds the dominant period between `shortest` and a third of the series by
/// its autocorrelation: the first peak nearly as high as the highest. `None`
/// for noise, constants and short series. `O(n * n / 3)`: call it at a few
/// checkpoints, on some thousand points.
#[must_use]
pub fn find_season(values: &[f64], shortest: usize) -> Option<SeasonFound> {
    let longest = values.len() / 3;
    if longest <= shortest + 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let centred: Vec<f64> = values.iter().map(|v| if v.is_finite() { v - mean } else { 0.0 }).collect();
    let energy = centred.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
    if !energy.is_normal() {
        return None;
    }
    let at_lag = |lag: usize| {
        let products = centred[lag..].iter().zip(&centred).map(|(a, b)| a * b).sum::<f64>();
        products / (values.len() - lag) as f64 / energy
    };
    let correlation: Vec<f64> = (0..=longest).map(at_lag).collect();
    let reach = (shortest / 2).max(2);
    let is_peak = |lag: &usize| {
        let around = &correlation[lag.saturating_sub(reach)..(lag + reach + 1).min(correlation.len())];
        *lag + reach <= longest && around.iter().all(|c| *c <= correlation[*lag])
    };
    // Before the first dip below zero-ish, a slow series resembles itself at any lag.
    let start = correlation.iter().position(|c| *c < 0.5).unwrap_or(longest).max(shortest);
    let peaks: Vec<usize> = (start..=longest).filter(is_peak).collect();
    let best = peaks.iter().map(|lag| correlation[*lag]).fold(f64::NEG_INFINITY, f64::max);
    if best < STRENGTH_MIN {
        return None;
    }
    let period = peaks.into_iter().find(|lag| correlation[*lag] >= SHORTER_SHARE * best)?;
    Some(SeasonFound { period, strength: correlation[period].min(1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_of_a_wave_is_found_and_not_its_double() {
        let wave: Vec<f64> = (0..1000).map(|i| (f64::from(i) * std::f64::consts::TAU / 97.0).sin()).collect();
        let found = find_season(&wave, 8).expect("a wave has a season");
        assert!(found.period.abs_diff(97) <= 1 && found.strength > 0.9, "{found:?}");
    }

    #[test]
    fn constants_ramps_and_short_series_have_no_season() {
        assert_eq!(find_season(&[3.0; 500], 8), None);
        assert_eq!(find_season(&(0..500).map(f64::from).collect::<Vec<_>>(), 8), None);
        assert_eq!(find_season(&[1.0, 2.0, 1.0], 8), None);
        assert_eq!(find_season(&[f64::NAN; 100], 8), None);
    }
}
