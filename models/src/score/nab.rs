//! The scoring rules of the Numenta Anomaly Benchmark (Lavin and Ahmad,
//! "Evaluating real-time anomaly detection algorithms", 2015; profile
//! "standard"): early detections inside a window earn up to +1, later ones
//! less, false alarms cost by their distance from the window before them, a
//! missed window costs 1. The first 15 % of a stream (750 points at most) is
//! probation and never counts. The corpus score runs from 0 (the `null`
//! detector) to 100 (each window at its first point).

/// Cost of each outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// Reward of a true positive at a window's start.
    pub true_positive: f64,
    /// Cost of a missed window.
    pub false_negative: f64,
    /// Cost of a false alarm far from any window.
    pub false_positive: f64,
}

/// The profile `standard`.
pub const STANDARD: Profile = Profile { true_positive: 1.0, false_negative: 1.0, false_positive: 0.11 };

/// Share of a stream that is probation.
const PROBATION_SHARE: f64 = 0.15;
/// Points from which probation grows no further.
const PROBATION_LENGTH_MAX: usize = 5_000;

/// One stream: its length and its windows as inclusive index ranges, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Stream<'a> {
    /// A score per point; larger is more anomalous.
    pub scores: &'a [f64],
    /// Labelled windows, first and last index.
    pub windows: &'a [(usize, usize)],
}

/// Points of a stream of `length` that are probation.
#[must_use]
pub fn probation(length: usize) -> usize {
    (PROBATION_SHARE * length.min(PROBATION_LENGTH_MAX) as f64) as usize
}

/// The value of an alarm at relative position `y`: -1 is a window's first
/// point, 0 its last, positive is after it. Between +1 and -1.
fn scaled_sigmoid(y: f64) -> f64 {
    if y > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * y).exp()) - 1.0 }
}

/// Reward of the alarm at the start of a window, by which rewards are scaled.
fn reward_max() -> f64 {
    scaled_sigmoid(-1.0)
}

/// Windows that count: those not swallowed by probation.
fn counted<'a>(stream: &Stream<'a>) -> impl Iterator<Item = (usize, usize)> + use<'a> {
    let start = probation(stream.scores.len());
    stream.windows.iter().copied().filter(move |window| window.1 >= start)
}

/// What one point contributes when it raises an alarm.
#[derive(Debug, Clone, Copy)]
enum Worth {
    /// Inside the window of this number, relative to the best possible.
    Hit(usize, f64),
    /// Outside every window: a cost, negative.
    Cost(f64),
}

fn worth(index: usize, windows: &[(usize, usize)], profile: &Profile) -> Worth {
    if let Some(at) = windows.iter().position(|w| index >= w.0 && index <= w.1) {
        let (first, last) = windows[at];
        let width = (last - first + 1) as f64;
        let y = -((last - index) as f64 + 1.0) / width;
        return Worth::Hit(at, profile.true_positive * scaled_sigmoid(y) / reward_max());
    }
    let before = windows.iter().rev().find(|w| w.1 < index);
    let Some(&(first, last)) = before else {
        return Worth::Cost(-profile.false_positive);
    };
    let width = (last - first) as f64;
    let y = if width > 0.0 { (index - last) as f64 / width } else { f64::INFINITY };
    Worth::Cost(profile.false_positive * scaled_sigmoid(y))
}

/// Raw score of one stream at one threshold (an alarm is `score >= threshold`).
#[must_use]
pub fn raw_score(stream: &Stream<'_>, threshold: f64, profile: &Profile) -> f64 {
    sweep(std::slice::from_ref(stream), profile, &[threshold])[0]
}

/// Score of a corpus at one threshold, normalised to 0 (null) … 100 (perfect).
#[must_use]
pub fn corpus_score(streams: &[Stream<'_>], threshold: f64, profile: &Profile) -> f64 {
    normalise(streams, profile, sweep(streams, profile, &[threshold])[0])
}

/// The threshold that maximises the corpus score, and that score. Every score
/// that occurs is tried once; `(f64::INFINITY, 0)` when nothing beats silence.
#[must_use]
pub fn best_threshold(streams: &[Stream<'_>], profile: &Profile) -> (f64, f64) {
    let mut thresholds: Vec<f64> = Vec::new();
    for stream in streams {
        let start = probation(stream.scores.len());
        thresholds.extend(stream.scores[start..].iter().copied().filter(|s| s.is_finite()));
    }
    thresholds.sort_unstable_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    let raw = sweep(streams, profile, &thresholds);
    let mut best = (f64::INFINITY, 0.0);
    for (threshold, raw) in thresholds.iter().zip(raw) {
        let score = normalise(streams, profile, raw);
        if score > best.1 {
            best = (*threshold, score);
        }
    }
    best
}

fn normalise(streams: &[Stream<'_>], profile: &Profile, raw: f64) -> f64 {
    let windows: usize = streams.iter().map(|s| counted(s).count()).sum();
    let null = -profile.false_negative * windows as f64;
    let perfect = profile.true_positive * windows as f64;
    100.0 * (raw - null) / (perfect - null)
}

/// Raw corpus score at each threshold, given in descending order: points are
/// visited once, from the highest score down.
fn sweep(streams: &[Stream<'_>], profile: &Profile, thresholds: &[f64]) -> Vec<f64> {
    let mut points: Vec<(f64, usize, Worth)> = Vec::new();
    let mut total = 0.0;
    let mut best: Vec<Vec<Option<f64>>> = Vec::new();
    for (number, stream) in streams.iter().enumerate() {
        let windows = stream.windows;
        total -= profile.false_negative * counted(stream).count() as f64;
        best.push(vec![None; windows.len()]);
        for index in probation(stream.scores.len())..stream.scores.len() {
            points.push((stream.scores[index], number, worth(index, windows, profile)));
        }
    }
    points.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut next = 0;
    let mut out = Vec::with_capacity(thresholds.len());
    for threshold in thresholds {
        while next < points.len() && points[next].0 >= *threshold {
            let (_, stream, worth) = points[next];
            match worth {
                Worth::Cost(cost) => total += cost,
                Worth::Hit(window, reward) => {
                    // Only the earliest, hence best, alarm of a window counts.
                    let known = &mut best[stream][window];
                    let before = known.unwrap_or(-profile.false_negative);
                    let after = known.map_or(reward, |k| k.max(reward));
                    *known = Some(after);
                    total += after - before;
                }
            }
            next += 1;
        }
        out.push(total);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alarms(length: usize, at: &[usize]) -> Vec<f64> {
        let mut scores = vec![0.0; length];
        for i in at {
            scores[*i] = 1.0;
        }
        scores
    }

    #[test]
    fn an_alarm_at_a_windows_first_point_is_perfect_and_silence_is_null() {
        let windows = [(400, 499)];
        let scores = alarms(1000, &[400]);
        let stream = [Stream { scores: &scores, windows: &windows }];
        assert!((corpus_score(&stream, 0.5, &STANDARD) - 100.0).abs() < 1e-9);
        assert!((corpus_score(&stream, 2.0, &STANDARD)).abs() < 1e-9);
        assert_eq!(best_threshold(&stream, &STANDARD).0, 1.0);
    }

    #[test]
    fn a_false_alarm_costs_by_its_distance_from_the_window_before_it() {
        let windows = [(400, 500)];
        let raw = |at: &[usize]| {
            let scores = alarms(1000, at);
            raw_score(&Stream { scores: &scores, windows: &windows }, 0.5, &STANDARD)
        };
        // Missed window -1, false alarm before any window -0.11.
        assert!((raw(&[200]) + 1.11).abs() < 1e-12);
        // 50 points after a window of width 100: y = 0.5.
        let sigmoid = 2.0 / (1.0 + 2.5_f64.exp()) - 1.0;
        assert!((raw(&[550]) - (-1.0 + 0.11 * sigmoid)).abs() < 1e-12);
        // Probation: 150 points never count.
        assert!((raw(&[149]) + 1.0).abs() < 1e-12);
    }

    #[test]
    fn later_alarms_in_a_window_add_nothing() {
        let windows = [(400, 499)];
        let raw = |at: &[usize]| {
            let scores = alarms(1000, at);
            raw_score(&Stream { scores: &scores, windows: &windows }, 0.5, &STANDARD)
        };
        assert!((raw(&[410, 450, 499]) - raw(&[410])).abs() < 1e-12);
        assert!(raw(&[450]) < raw(&[410]));
    }
}
