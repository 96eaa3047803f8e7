//! When does a path with its errors first reach the limit? Each trail of an
//! earlier contest, and its mirror image, laid over the path is one way it may
//! turn out; the hours at which these ways reach the limit are the forecast's
//! distribution. The first passage through noise comes before that of the mean
//! path, and it does here.

use super::contest::Outlook;

/// Hours to the limit, soonest first; infinite where a way leads nowhere.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Passages(Vec<f64>);

impl Passages {
    /// First passages from the level `now` through `limit`, the trails `width`
    /// times as wide as they were.
    pub(super) fn of(outlook: &Outlook, now: f64, limit: f64, width: f64) -> Self {
        let ways = outlook.trails.iter().flat_map(|trail| [(trail, width), (trail, -width)]);
        let passage = |(trail, width): (&Vec<f64>, f64)| {
            crossing(&outlook.path, now, limit, |hour| width * error_after(trail, hour))
        };
        let mut hours: Vec<f64> = ways.map(passage).collect();
        hours.sort_unstable_by(f64::total_cmp);
        Self(hours)
    }

    /// The hours before which the share `q` of all ways has arrived.
    pub(super) fn quantile(&self, q: f64) -> f64 {
        sorted_quantile(&self.0, q)
    }
}

/// The share `q` of sorted values, between neighbours interpolated; infinite
/// when there are none or the upper neighbour is.
pub(super) fn sorted_quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::INFINITY };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let (lower, upper) = (sorted[place as usize], sorted[(place as usize + 1).min(last)]);
    let share = place.fract();
    if share == 0.0 || lower == upper { lower } else { lower + share * (upper - lower) }
}

/// The error of a trail after `hour` hours (from 1); past its end it grows with
/// the root of time.
pub(super) fn error_after(trail: &[f64], hour: usize) -> f64 {
    match trail.get(hour - 1) {
        Some(error) => *error,
        None => trail.last().map_or(0.0, |last| last * (hour as f64 / trail.len() as f64).sqrt()),
    }
}

/// Hours until `path` lifted by `lift(hour)` first reaches `limit`, between its
/// points interpolated; beyond the path its mean pace goes on; infinite when it
/// leads nowhere.
fn crossing(path: &[f64], now: f64, limit: f64, lift: impl Fn(usize) -> f64) -> f64 {
    let mut before = now;
    if now >= limit {
        return 0.0;
    }
    for (index, value) in path.iter().enumerate() {
        let after = value + lift(index + 1);
        if after >= limit {
            let share = if after > before { ((limit - before) / (after - before)).clamp(0.0, 1.0) } else { 1.0 };
            return index as f64 + share;
        }
        before = after;
    }
    let hours = path.len() as f64;
    let pace = (before - now) / hours;
    if pace > 0.0 { hours + (limit - before) / pace } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_crosses_between_its_points() {
        assert_eq!(crossing(&[98.0, 102.0], 96.0, 100.0, |_| 0.0), 1.5);
        assert_eq!(crossing(&[97.0, 98.0], 96.0, 100.0, |_| 0.0), 4.0);
        assert_eq!(crossing(&[96.0, 96.0], 96.0, 100.0, |_| 0.0), f64::INFINITY);
        assert_eq!(crossing(&[96.0], 101.0, 100.0, |_| 0.0), 0.0);
    }

    #[test]
    fn noise_on_a_climb_reaches_the_limit_before_its_mean_does() {
        let path: Vec<f64> = (1..=20).map(|hour| 90.0 + f64::from(hour)).collect();
        let trails = vec![(0..20).map(|hour| if hour % 2 == 0 { 3.0 } else { -3.0 }).collect::<Vec<f64>>()];
        let passages = Passages::of(&Outlook { path, trails }, 90.0, 100.0, 1.0);
        assert!(passages.quantile(0.5) < 9.0 && passages.quantile(1.0) < 9.5, "{passages:?}");
    }

    #[test]
    fn quantiles_lie_between_their_neighbours_and_nothing_never_arrives() {
        assert_eq!(sorted_quantile(&[1.0, 3.0], 0.25), 1.5);
        assert_eq!(sorted_quantile(&[1.0, f64::INFINITY], 0.5), f64::INFINITY);
        assert_eq!(sorted_quantile(&[1.0, f64::INFINITY], 0.0), 1.0);
        assert_eq!(sorted_quantile(&[], 0.5), f64::INFINITY);
    }

    #[test]
    fn an_error_goes_on_growing_past_the_end_of_its_trail() {
        assert_eq!(error_after(&[1.0, 2.0], 2), 2.0);
        assert_eq!(error_after(&[1.0, 2.0], 8), 4.0);
        assert_eq!(error_after(&[], 3), 0.0);
    }
}
