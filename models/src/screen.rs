//! The cheap screen: an exponentially weighted mean and deviation per series,
//! column at a time. It answers "worth a second look?" for millions of points a
//! second and keeps 8 bytes a series; the detector decides.

use crate::shared::{ParamError, within};

/// Mean and mean absolute deviation of one series, 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct ScreenState {
    mean: f32,
    deviation: f32,
}

/// Checked settings of the screen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Screen {
    rate: f32,
}

impl Screen {
    /// A screen that remembers about `memory_points` points.
    ///
    /// # Errors
    /// [`ParamError`] when `memory_points` is outside 2 to 1,000,000.
    pub fn new(memory_points: f64) -> Result<Self, ParamError> {
        Ok(Self { rate: (1.0 / within("memory_points", memory_points, 2.0, 1e6)?) as f32 })
    }

    /// One sample for each series: `values[i]` belongs to `states[i]`, its
    /// distance from the mean in deviations is written to `out[i]`. The three
    /// slices have one length; what is beyond the shortest is left alone. A
    /// value that is not finite gives 0 and teaches nothing.
    pub fn sweep(&self, values: &[f64], states: &mut [ScreenState], out: &mut [f32]) {
        let rate = self.rate;
        for ((value, state), out) in values.iter().zip(states).zip(out) {
            let residual = *value as f32 - state.mean;
            let usable = residual.is_finite();
            let residual = if usable { residual } else { 0.0 };
            let size = residual.abs();
            *out = size / state.deviation.max(f32::MIN_POSITIVE);
            state.mean += rate * residual;
            state.deviation += if usable { rate * (size - state.deviation) } else { 0.0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_stands_out_and_a_nan_does_not() {
        let screen = Screen::new(20.0).expect("in range");
        let mut states = [ScreenState::default(); 2];
        let mut out = [0.0; 2];
        for i in 0..200 {
            let value = 10.0 + f64::from(i % 3);
            screen.sweep(&[value, value], &mut states, &mut out);
        }
        screen.sweep(&[60.0, f64::NAN], &mut states, &mut out);
        assert!(out[0] > 20.0, "{out:?}");
        assert_eq!(out[1], 0.0);
    }
}
