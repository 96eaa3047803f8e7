//! The contest of paths: each candidate forecasts from earlier hours whose
//! future is known by now, and its errors give it weight. The weighted mean of
//! all is the outlook.
//!
//! How wrong will it be? As wrong as the same contest was when it was held
//! earlier, with what was known then: the *trails*, whole courses of error hour
//! by hour, noise and bias and growth of error included. They are the
//! conformity scores of conformal prediction (Vovk, Gammerman and Shafer,
//! "Algorithmic learning in a random world", 2005) for a path.

use super::paths::Path;

/// Hours between the origins from which candidates are tried.
const GRID_HOURS: usize = 3;
/// How long ago the candidates start, in hours, and how much each start
/// counts. The recent ones notice that a quiet disk began to fill; the long
/// ones know what a day looks like.
const STARTS: [(usize, f64); 7] = [(3, 1.0), (6, 1.0), (12, 1.0), (18, 1.0), (24, 1.0), (36, 2.0), (48, 2.0)];
/// A trail goes on for at most this long, and the oldest contest was held this
/// long ago.
const TRAIL_HOURS: usize = 48;
/// Origins: the oldest contest and its longest start.
const ORIGINS: usize = 2 * TRAIL_HOURS / GRID_HOURS;
/// Line windows in the contest.
const LINES: [usize; 5] = [4, 8, 16, 30, 48];
/// Curve windows.
const CURVES: [usize; 2] = [24, 72];
/// Windows of lines and of a curve drawn with the day taken out.
const LINES_OVER_DAYS: [usize; 3] = [6, 24, 48];
const CURVE_OVER_DAYS: usize = 72;
/// Periods searched for a tooth, in hours.
const PERIODS: std::ops::RangeInclusive<usize> = 5..=80;
const DAY: usize = 24;
/// Weight falls with this power of the error.
const SHARPNESS: i32 = 4;

/// Where the level goes, and how such outlooks went wrong.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Outlook {
    /// Hourly values, the candidates' weighted mean.
    pub(super) path: Vec<f64>,
    /// Errors (level minus path) of earlier outlooks, hour by hour from their
    /// beginning; never empty, no trail is.
    pub(super) trails: Vec<Vec<f64>>,
}

/// One candidate: its path, and its errors from each origin.
struct Entrant {
    path: Path,
    /// Errors from the origin `GRID_HOURS` ago, then the one before, …
    errors: Vec<Vec<f64>>,
    /// Mean size of the first errors per origin and start, by the root of the
    /// hours that lie ahead on average.
    sizes: Vec<[f64; STARTS.len()]>,
}

/// Runs the contest over `past` (hourly medians, oldest first) and looks
/// `hours` ahead.
pub(super) fn outlook(past: &[f64], hours: usize) -> Outlook {
    let noise = noise(past);
    let mut scratch = vec![0.0; hours.max(TRAIL_HOURS)];
    let entrants: Vec<Entrant> = candidates(past).map(|path| Entrant::new(path, past, &mut scratch)).collect();
    let mut path = vec![0.0; hours];
    let (mut weights, mut errors) = (0.0, 0.0);
    for entrant in &entrants {
        let Some(error) = entrant.error(0) else { continue };
        let weight = (error + noise).powi(-SHARPNESS);
        entrant.path.go_on(past, &mut scratch[..hours]);
        path.iter_mut().zip(&scratch).for_each(|(sum, value)| *sum += weight * value);
        weights += weight;
        errors += weight * (error + noise);
    }
    path.iter_mut().for_each(|sum| *sum /= weights);
    let mut trails: Vec<Vec<f64>> =
        (1..=TRAIL_HOURS / GRID_HOURS).filter_map(|back| trail(&entrants, back, noise)).collect();
    if trails.is_empty() {
        // Too young to have held a contest before: the usual error, growing with the root of time.
        trails.push((1..=DAY).map(|hour| errors / weights * (hour as f64).sqrt()).collect());
    }
    Outlook { path, trails }
}

/// How the contest held `back` origins ago went wrong; `None` when there was
/// too little history to hold it.
fn trail(entrants: &[Entrant], back: usize, noise: f64) -> Option<Vec<f64>> {
    let mut trail = vec![0.0; back * GRID_HOURS];
    let mut weights = 0.0;
    for entrant in entrants {
        let Some(error) = entrant.error(back) else { continue };
        let weight = (error + noise).powi(-SHARPNESS);
        trail.iter_mut().zip(&entrant.errors[back - 1]).for_each(|(sum, error)| *sum += weight * error);
        weights += weight;
    }
    trail.iter_mut().for_each(|sum| *sum /= weights);
    (weights > 0.0).then_some(trail)
}

impl Entrant {
    fn new(path: Path, past: &[f64], scratch: &mut [f64]) -> Self {
        let mut entrant = Self { path, errors: Vec::with_capacity(ORIGINS), sizes: Vec::with_capacity(ORIGINS) };
        for origin in 1..=ORIGINS {
            let ago = origin * GRID_HOURS;
            if past.len() < path.needs() + ago {
                break;
            }
            let (known, future) = past.split_at(past.len() - ago);
            let went = &mut scratch[..ago.min(TRAIL_HOURS)];
            path.go_on(known, went);
            let errors: Vec<f64> = future.iter().zip(went).map(|(value, path)| value - *path).collect();
            entrant.sizes.push(sizes(&errors));
            entrant.errors.push(errors);
        }
        entrant
    }

    /// Mean error per root hour as it was known `back` origins ago; `None`
    /// without history for any start.
    fn error(&self, back: usize) -> Option<f64> {
        let (mut sum, mut weights) = (0.0, 0.0);
        for (start, (hours, weight)) in STARTS.into_iter().enumerate() {
            let Some(sizes) = self.sizes.get(back + hours / GRID_HOURS - 1) else { break };
            sum += weight * sizes[start];
            weights += weight;
        }
        (weights > 0.0).then(|| sum / weights)
    }
}

/// Mean size of the first errors for each start that fits into them.
fn sizes(errors: &[f64]) -> [f64; STARTS.len()] {
    let mut out = [0.0; STARTS.len()];
    let (mut sum, mut from) = (0.0, 0);
    for (size, (hours, _)) in out.iter_mut().zip(STARTS) {
        let to = hours.min(errors.len());
        sum += errors[from..to].iter().map(|error| error.abs()).sum::<f64>();
        from = to;
        *size = sum / to as f64 / (hours as f64 / 2.0).sqrt();
    }
    out
}

/// The paths that have enough history for a backtest from at least one start.
fn candidates(past: &[f64]) -> impl Iterator<Item = Path> {
    let lines = LINES.into_iter().map(|window| Path::Line { window });
    let curves = CURVES.into_iter().map(|window| Path::Curve { window });
    let tooth = best_period(past).filter(|period| *period != DAY);
    let seasons = [Some(DAY), tooth].into_iter().flatten();
    let seasons = seasons.flat_map(|period| [false, true].map(|bend| Path::Season { period, bend }));
    let over_days = LINES_OVER_DAYS.into_iter().map(|window| Path::Swing { period: DAY, window, bend: false });
    let length = past.len();
    std::iter::once(Path::Flat)
        .chain(lines)
        .chain(curves)
        .chain(seasons)
        .chain(over_days)
        .chain([Path::Swing { period: DAY, window: CURVE_OVER_DAYS, bend: true }])
        .filter(move |path| path.needs() + STARTS[0].0 <= length)
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
    fn trails_are_what_a_contest_held_earlier_got_wrong() {
        let past: Vec<f64> = (0..120).map(|i| 10.0 + 0.5 * f64::from(i)).collect();
        let mut bent = past.clone();
        bent[116..].iter_mut().for_each(|value| *value += 5.0);
        let (straight, bent) = (outlook(&past, 24), outlook(&bent, 24));
        assert!(straight.trails.iter().flatten().all(|error| error.abs() < 1e-6), "{straight:?}");
        // The contest of six hours ago knew nothing of the last four.
        let trail = &bent.trails[1];
        assert!(trail[0].abs() < 1e-6 && (trail[5] - 5.0).abs() < 0.1, "{trail:?}");
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
