//! Simple ways a level may go on, each a path of hourly values. None is right
//! for every resource; [`super::contest`] finds out which was right lately.

/// A way to go on. Offsets and windows are in hours.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Path {
    /// Stays where it is (median of the last three hours).
    Flat,
    /// The line through the last `window` hours, from the present level.
    Line {
        /// Hours the slope is taken from.
        window: usize,
    },
    /// As `period` hours before, plus what a period added lately; `bend`
    /// carries on how that addition changed.
    Season {
        /// Hours of one cycle: a day, or a sawtooth's tooth.
        period: usize,
        /// Whether growth may speed up or slow down.
        bend: bool,
    },
    /// The mean course of the last cycles is taken out, a line or a curve drawn
    /// through the last `window` hours of what is left, and the course put back.
    Swing {
        /// Hours of one cycle.
        period: usize,
        /// Hours the trend is taken from.
        window: usize,
        /// A curve instead of a line.
        bend: bool,
    },
    /// A parabola through the last `window` hours, from the present level.
    Curve {
        /// Hours the curve is taken from.
        window: usize,
    },
}

impl Path {
    /// Hours of history the path needs.
    pub(super) fn needs(self) -> usize {
        match self {
            Self::Flat => 3,
            Self::Line { window } => window,
            Self::Season { period, bend: false } => 2 * period,
            Self::Season { period, bend: true } => 3 * period,
            Self::Swing { period, window, .. } => window.max(2 * period),
            Self::Curve { window } => window,
        }
    }

    /// Values of the next `out.len()` hours after `past` (oldest first, at
    /// least [`Path::needs`] values).
    pub(super) fn go_on(self, past: &[f64], out: &mut [f64]) {
        let now = past.len();
        match self {
            Self::Flat => {
                let mut last = [past[now - 1], past[now - 2], past[now - 3]];
                last.sort_unstable_by(f64::total_cmp);
                out.fill(last[1]);
            }
            Self::Line { window } => {
                let (level, slope) = line(&past[now - window..]);
                fill(out, |hours| level + slope * hours);
            }
            Self::Season { period, bend } => {
                let added = mean_step(past, now, period);
                let before = if bend { mean_step(past, now - period, period) } else { added };
                // Half of the change goes on: growth rarely bends twice alike.
                let change = 0.8 * (added - before);
                for index in 0..out.len() {
                    let cycle = (index / period + 1) as f64;
                    let base = past[now - period + index % period];
                    out[index] = base + added * cycle + change * cycle * (cycle + 1.0) / 2.0;
                }
            }
            Self::Swing { period, window, bend } => {
                let course = course(past, period);
                // `course[0]` belongs to the hour one period before now.
                let first = period - window % period;
                let flat: Vec<f64> =
                    past[now - window..].iter().enumerate().map(|(i, v)| v - course[(first + i) % period]).collect();
                if bend { Self::Curve { window } } else { Self::Line { window } }.go_on(&flat, out);
                out.iter_mut().enumerate().for_each(|(hour, out)| *out += course[hour % period]);
            }
            Self::Curve { window } => {
                let half = window / 2;
                let (level, slope) = line(&past[now - half..]);
                let (_, before) = line(&past[now - 2 * half..now - half]);
                let bend = (slope - before) / half as f64;
                let slope_now = slope + bend * (half as f64 - 1.0) / 2.0;
                // The line cuts the corner of the curve by this much at its end.
                let level = level + bend * (half as f64 - 1.0) * (half as f64 - 2.0) / 12.0;
                fill(out, |hours| level + slope_now * hours + 0.5 * bend * hours * hours);
            }
        }
    }
}

/// Cycles whose mean course is taken.
const COURSE_CYCLES: usize = 3;

/// Mean course of the last cycles around their rise; `past` holds two or more.
fn course(past: &[f64], period: usize) -> Vec<f64> {
    let now = past.len();
    let cycles = (now / period).min(COURSE_CYCLES);
    let cycle = |back: usize| &past[now - (back + 1) * period..now - back * period];
    let mean = |back: usize| cycle(back).iter().sum::<f64>() / period as f64;
    let middle = (period as f64 - 1.0) / 2.0;
    let mut out = vec![0.0; period];
    for back in 0..cycles {
        // The rise from the cycle before; the oldest takes that of the next.
        let older = (back + 1).min(cycles - 1);
        let (level, slope) = (mean(back), (mean(older - 1) - mean(older)) / period as f64);
        for (index, (out, value)) in out.iter_mut().zip(cycle(back)).enumerate() {
            *out += (value - level - slope * (index as f64 - middle)) / cycles as f64;
        }
    }
    out
}

fn fill(out: &mut [f64], at: impl Fn(f64) -> f64) {
    for (index, out) in out.iter_mut().enumerate() {
        *out = at(index as f64 + 1.0);
    }
}

/// Mean of what one period added over the last period before `end`.
fn mean_step(past: &[f64], end: usize, period: usize) -> f64 {
    let later = &past[end - period..end];
    let earlier = &past[end - 2 * period..end - period];
    later.iter().zip(earlier).map(|(a, b)| a - b).sum::<f64>() / period as f64
}

/// Least squares over `values`: level at the last and slope per step.
pub(super) fn line(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / n;
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let t = index as f64 - middle;
        covariance += t * (value - mean);
        variance += t * t;
    }
    let slope = if variance > 0.0 { covariance / variance } else { 0.0 };
    (mean + slope * middle, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(path: Path, past: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; 4];
        path.go_on(past, &mut out);
        out
    }

    #[test]
    fn lines_and_curves_go_on_exactly() {
        let past: Vec<f64> = (0..12).map(|i| 2.0 * f64::from(i)).collect();
        assert_eq!(goes(Path::Line { window: 6 }, &past), [24.0, 26.0, 28.0, 30.0]);
        let past: Vec<f64> = (0..12).map(|i| f64::from(i * i)).collect();
        let curve = goes(Path::Curve { window: 12 }, &past);
        for (value, exact) in curve.iter().zip([144.0, 169.0, 196.0, 225.0]) {
            assert!((value - exact).abs() < 0.5, "{curve:?}");
        }
    }

    #[test]
    fn growth_under_a_swing_goes_on_with_the_swing() {
        let at = |i: f64| i + [0.0, 3.0, 0.0, -3.0, 0.0][i as usize % 5];
        let past: Vec<f64> = (0..33).map(|i| at(f64::from(i))).collect();
        for bend in [false, true] {
            for (i, value) in goes(Path::Swing { period: 5, window: 12, bend }, &past).into_iter().enumerate() {
                assert!((value - at(33.0 + i as f64)).abs() < 1e-9, "{value} at {i}");
            }
        }
    }

    #[test]
    fn a_sawtooth_with_a_leak_goes_on_tooth_by_tooth() {
        let past: Vec<f64> = (0..30).map(|i| f64::from(i % 5) * 4.0 + f64::from(i / 5)).collect();
        assert_eq!(goes(Path::Season { period: 5, bend: false }, &past), [6.0, 10.0, 14.0, 18.0]);
    }
}
