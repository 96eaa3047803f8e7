//! Linear scores of several outputs over rows of weights, learned by AdaGrad (Duchi et al., 2011):
//! each weight has its own step, which shrinks with what it has learned.

use serde::{Deserialize, Serialize};

use super::features::{ROWS, Row};

/// How far the first step of a weight goes, in nats: eight replays of each ticket make up for its smallness.
const STEP: f32 = 0.1;
/// Added under the root, so that a first tiny error is no full step.
const CALM: f32 = 0.1;
/// A row that has no weights yet.
const NONE: u16 = u16::MAX;

/// How weights are drawn to nought; the first row's are not.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Penalty {
    /// At each step.
    pub(super) always: f32,
    /// Over the number of tickets that had the row: a Gaussian prior, which many tickets outvote.
    pub(super) prior: f32,
}

/// Weights of every row that was met, one for each output.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Saved", into = "Saved")]
pub(super) struct Linear {
    penalty: Penalty,
    outputs: usize,
    /// Place of a row's weights, [`NONE`] before it is met.
    places: Vec<u16>,
    /// Tickets that had the row, by place.
    met: Vec<u32>,
    weights: Vec<f32>,
    /// Sums of squared gradients.
    squares: Vec<f32>,
}

impl Linear {
    /// What it holds at most, with `outputs` of each row.
    pub(super) const fn bytes_max(outputs: usize) -> usize {
        ROWS * (2 + 4 + 8 * outputs)
    }

    pub(super) fn new(outputs: usize, penalty: Penalty) -> Self {
        let (met, weights, squares) = (Vec::new(), Vec::new(), Vec::new());
        Self { penalty, outputs, places: vec![NONE; ROWS], met, weights, squares }
    }

    /// What it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        ROWS * 2 + self.met.len() * (4 + 8 * self.outputs)
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The scores of a ticket with these rows, into `out`, which has one place for each output.
    pub(super) fn scores(&self, rows: &[Row], out: &mut [f32]) {
        out.fill(0.0);
        for row in rows {
            let place = self.places[usize::from(*row)];
            if place != NONE {
                let from = usize::from(place) * self.outputs;
                for (out, weight) in out.iter_mut().zip(&self.weights[from..from + self.outputs]) {
                    *out += weight;
                }
            }
        }
    }

    /// Counts a ticket that is learned for the first time, and makes room for its rows.
    pub(super) fn meet(&mut self, rows: &[Row]) {
        for row in rows {
            let place = &mut self.places[usize::from(*row)];
            if *place == NONE {
                *place = self.met.len() as u16;
                self.met.push(0);
                self.weights.resize(self.weights.len() + self.outputs, 0.0);
                self.squares.resize(self.squares.len() + self.outputs, 0.0);
            }
            let met = &mut self.met[usize::from(*place)];
            *met = met.saturating_add(1);
        }
    }

    /// One step down `errors` (said less true, for each output; NaN where the truth is not known) on rows
    /// that were met.
    pub(super) fn step(&mut self, rows: &[Row], errors: &[f32]) {
        for row in rows {
            let place = usize::from(self.places[usize::from(*row)]);
            let from = place * self.outputs;
            let shrink =
                if *row == 0 { 0.0 } else { self.penalty.always + self.penalty.prior / self.met[place].max(1) as f32 };
            let weights = &mut self.weights[from..from + self.outputs];
            let squares = &mut self.squares[from..from + self.outputs];
            for ((weight, square), error) in weights.iter_mut().zip(squares).zip(errors) {
                let gradient = if error.is_nan() { 0.0 } else { error + shrink * *weight };
                *square += gradient * gradient;
                *weight -= STEP * gradient / (*square + CALM).sqrt();
            }
        }
    }

    /// Gives every row more outputs; what is there stays.
    pub(super) fn widen(&mut self, outputs: usize) {
        let widened = |old: &[f32], before: usize| -> Vec<f32> {
            let mut new = vec![0.0; self.met.len() * outputs];
            for (old, new) in old.chunks_exact(before).zip(new.chunks_exact_mut(outputs)) {
                new[..before].copy_from_slice(old);
            }
            new
        };
        self.weights = widened(&self.weights, self.outputs);
        self.squares = widened(&self.squares, self.outputs);
        self.outputs = outputs;
    }

    /// Forgets what one output has learned.
    pub(super) fn forget(&mut self, output: usize) {
        for values in [&mut self.weights, &mut self.squares] {
            values.iter_mut().skip(output).step_by(self.outputs).for_each(|value| *value = 0.0);
        }
    }
}

/// As saved: rows in the order in which they were met.
#[derive(Serialize, Deserialize)]
struct Saved {
    penalty: Penalty,
    outputs: usize,
    rows: Vec<(Row, u32)>,
    weights: Vec<f32>,
    squares: Vec<f32>,
}

impl From<Linear> for Saved {
    fn from(linear: Linear) -> Self {
        let mut rows = vec![(0, 0); linear.met.len()];
        for (row, place) in linear.places.iter().enumerate().filter(|(_, place)| **place != NONE) {
            rows[usize::from(*place)] = (row as Row, linear.met[usize::from(*place)]);
        }
        let Linear { penalty, outputs, weights, squares, .. } = linear;
        Self { penalty, outputs, rows, weights, squares }
    }
}

impl TryFrom<Saved> for Linear {
    type Error = &'static str;

    fn try_from(saved: Saved) -> Result<Self, Self::Error> {
        let Saved { penalty, outputs, rows, weights, squares } = saved;
        let whole = rows.len().checked_mul(outputs);
        if outputs == 0 || whole != Some(weights.len()) || weights.len() != squares.len() || rows.len() > ROWS {
            return Err("weights and rows of a saved desk do not fit: start it anew");
        }
        let mut linear = Self { met: Vec::with_capacity(rows.len()), ..Self::new(outputs, penalty) };
        for (row, met) in rows {
            let place = linear.places.get_mut(usize::from(row)).filter(|place| **place == NONE);
            *place.ok_or("a row of a saved desk is twice or beyond the table: start it anew")? =
                linear.met.len() as u16;
            linear.met.push(met);
        }
        Ok(Self { weights, squares, ..linear })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Penalty = Penalty { always: 0.0, prior: 0.0 };

    #[test]
    fn a_first_step_goes_down_the_error_by_hand() {
        let mut linear = Linear::new(2, FREE);
        linear.meet(&[0, 5]);
        linear.step(&[0, 5], &[0.5, f32::NAN]);
        // 0.1 · 0.5 / sqrt(0.25 + 0.1), on each of the two rows.
        let (mut scores, step) = ([0.0; 2], -0.1 * 0.5 / 0.35_f32.sqrt());
        linear.scores(&[0, 5], &mut scores);
        assert!((scores[0] - 2.0 * step).abs() < 1e-6 && scores[1] == 0.0, "{scores:?}");
        linear.scores(&[7], &mut scores);
        assert_eq!(scores, [0.0; 2], "never met");
    }

    #[test]
    fn what_is_seldom_met_is_held_nearer_to_nought() {
        let learned = |meetings: usize| {
            let mut linear = Linear::new(1, Penalty { always: 0.0, prior: 3.0 });
            (0..meetings).for_each(|_| linear.meet(&[5]));
            (0..50).for_each(|_| linear.step(&[5], &[-0.3]));
            let mut score = [0.0];
            linear.scores(&[5], &mut score);
            score[0]
        };
        assert!(learned(1) < 0.5 * learned(100), "{} {}", learned(1), learned(100));
    }

    #[test]
    fn more_outputs_leave_what_was_learned_and_one_can_be_forgotten() {
        let mut linear = Linear::new(1, FREE);
        linear.meet(&[3, 9]);
        linear.step(&[3, 9], &[1.0]);
        let mut one = [0.0];
        linear.scores(&[3, 9], &mut one);
        linear.widen(4);
        let mut four = [0.0; 4];
        linear.scores(&[3, 9], &mut four);
        assert_eq!(four, [one[0], 0.0, 0.0, 0.0]);
        linear.forget(0);
        linear.scores(&[3, 9], &mut four);
        assert_eq!(four, [0.0; 4]);
    }

    #[test]
    fn a_saved_one_goes_on_and_a_broken_one_is_refused() {
        let mut linear = Linear::new(2, FREE);
        linear.meet(&[0, 8]);
        linear.step(&[0, 8], &[0.5, -0.5]);
        let bytes = postcard::to_stdvec(&linear).expect("saves");
        assert_eq!(postcard::from_bytes::<Linear>(&bytes).expect("restores"), linear);
        let mut saved = Saved::from(linear);
        saved.rows[1].0 = 0;
        assert!(Linear::try_from(saved).is_err(), "one row twice");
        let saved = Saved { penalty: FREE, outputs: 3, rows: vec![(1, 1)], weights: vec![0.0], squares: vec![0.0] };
        assert!(Linear::try_from(saved).is_err(), "too few weights");
    }
}
