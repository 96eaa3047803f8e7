//! The contest of paths: each candidate forecasts from a few recent moments
//! whose future is known by now; its errors give it weight and, pooled, the
//! width of the interval.

use super::paths::Path;

/// How long ago the candidates start, in hours, and how much each start
/// counts. The recent ones notice that a quiet disk began to fill; the long
/// ones know what a day looks like.
const STARTS: [(usize, f64); 5] = [(3, 1.0), (6, 1.0), (12, 1.0), (18, 1.0), (24, 1.0)];
/// Line windows in the contest.
const LINES: [usize; 5] = [4, 8, 16, 30, 48];
/// Curve windows.
const CURVES: [usize; 2] = [24, 72];
/// Periods searched for a tooth, in hours.
const PERIODS: std::ops::RangeInclusive<usize> = 5..=80;
const DAY: usize = 24;
/// Weight falls with this power of the error.
const SHARPNESS: i32 = 3;

/// A weighted set of paths from now on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outlook {
    /// Hourly values, the candidates' weighted mean.
    pub(super) path: Vec<f64>,
    /// Usual error of the mean path at one hour ahead; it grows with the root
    /// of the hours.
    pub(super) spread: f64,
}

/// Runs the contest over `past` (hourly medians, oldest first) and looks
/// `hours` ahead.
pub(super) fn outlook(past: &[f64], hours: usize) -> Outlook {
    let noise = noise(past);
    let mut path = vec![0.0; hours];
    let mut scratch = vec![0.0; hours.max(DAY)];
    let (mut weights, mut errors) = (0.0, 0.0);
    for candidate in candidates(past) {
        let Some(error) = backtest(candidate, past, &mut scratch) else {
            continue;
        };
        let weight = (error + noise).powi(-SHARPNESS);
        candidate.go_on(past, &mut scratch[..hours]);
        path.iter_mut().zip(&scratch).for_each(|(sum, value)| *sum += weight * value);
        weights += weight;
        errors += weight * (error + noise);
    }
    path.iter_mut().for_each(|sum| *sum /= weights);
    Outlook { path, spread: errors / weights }
}

/// The paths that have enough history for a backtest from at least one start.
fn candidates(past: &[f64]) -> impl Iterator<Item = Path> {
    let lines = LINES.into_iter().map(|window| Path::Line { window });
    let curves = CURVES.into_iter().map(|window| Path::Curve { window });
    let tooth = best_period(past).filter(|period| *period != DAY);
    let seasons = [Some(DAY), tooth].into_iter().flatten();
    let seasons = seasons.flat_map(|period| [false, true].map(|bend| Path::Season { period, bend }));
    let length = past.len();
    std::iter::once(Path::Flat)
        .chain(lines)
        .chain(curves)
        .chain(seasons)
        .filter(move |path| path.needs() + STARTS[0].0 <= length)
}

/// Mean error per root hour over the starts; `None` without history for any.
fn backtest(candidate: Path, past: &[f64], scratch: &mut [f64]) -> Option<f64> {
    let (mut sum, mut weights) = (0.0, 0.0);
    for (ago, weight) in STARTS {
        if past.len() < candidate.needs() + ago {
            break;
        }
        let (known, future) = past.split_at(past.len() - ago);
        candidate.go_on(known, &mut scratch[..ago]);
        let error = future.iter().zip(&*scratch).map(|(a, b)| (a - b).abs()).sum::<f64>() / ago as f64;
        sum += weight * error / (ago as f64 / 2.0).sqrt();
        weights += weight;
    }
    (weights > 0.0).then(|| sum / weights)
}

/// The period whose repetition, drift removed, fits the past best, if it fits
/// clearly better than a straight course.
fn best_period(past: &[f64]) -> Option<usize> {
    let mut best: Option<(f64, usize)> = None;
    for period in PERIODS {
        if past.len() < 3 * period {
            break;
        }
        let from = past.len().saturating_sub(3 * period.max(DAY)).max(period);
        let steps: Vec<f64> = (from..past.len()).map(|i| past[i] - past[i - period]).collect();
        let mean = steps.iter().sum::<f64>() / steps.len() as f64;
        let error = steps.iter().map(|s| (s - mean).abs()).sum::<f64>() / steps.len() as f64;
        if best.is_none_or(|(least, _)| error < 0.9 * least) {
            best = Some((error, period));
        }
    }
    best.map(|(_, period)| period)
}

/// Usual change from hour to hour: what no model can know.
fn noise(past: &[f64]) -> f64 {
    let recent = &past[past.len().saturating_sub(25)..];
    let mut turns: Vec<f64> = recent.windows(3).map(|w| (w[2] - 2.0 * w[1] + w[0]).abs()).collect();
    turns.sort_unstable_by(f64::total_cmp);
    let scale = past.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    turns.get(turns.len() / 2).copied().unwrap_or(0.0) * 0.4 + 1e-4 * scale + f64::MIN_POSITIVE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tooth_of_a_sawtooth_is_found() {
        let past: Vec<f64> = (0..120).map(|i| f64::from(i % 17) + f64::from(i / 17) * 2.0).collect();
        assert_eq!(best_period(&past), Some(17));
    }

    #[test]
    fn a_daily_swing_without_growth_goes_nowhere() {
        let past: Vec<f64> =
            (0..100).map(|i| 60.0 + 20.0 * (f64::from(i) * std::f64::consts::TAU / 24.0).sin()).collect();
        let outlook = outlook(&past, 24);
        assert!(outlook.path.iter().all(|value| *value < 85.0), "{outlook:?}");
    }

    #[test]
    fn growth_that_began_three_hours_ago_counts_already() {
        let past: Vec<f64> = (0..60).map(|i| 20.0 + (f64::from(i) - 55.0).max(0.0) * 3.0).collect();
        let outlook = outlook(&past, 24);
        assert!(outlook.path[23] > 70.0, "{outlook:?}");
    }
}
