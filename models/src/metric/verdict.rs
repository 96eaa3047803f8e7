//! What the detector says about one point, and why, in plain language.

use serde::{Deserialize, Serialize};

/// Surprise in bits to a score in `[0, 1)`: `bits / (bits + 10)`. 0.5 is a
/// one-in-1024 point, and the scale never saturates, so scores stay ordered.
#[must_use]
pub const fn score_from_bits(bits: f64) -> f64 {
    let bits = bits.max(0.0);
    bits / (bits + 10.0)
}

/// The inverse of [`score_from_bits`]; scores of 1 and more give infinity.
#[must_use]
pub fn bits_from_score(score: f64) -> f64 {
    if score < 1.0 { 10.0 * score.max(0.0) / (1.0 - score.max(0.0)) } else { f64::INFINITY }
}

/// Why a point is unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// Nothing unusual.
    None,
    /// Too little history to judge.
    Learning,
    /// Far above what was expected.
    Spike,
    /// Far below what was expected.
    Drop,
    /// The level moved and stayed.
    LevelShift,
    /// The series became more restless.
    Variance,
    /// The course of the last period is like none seen before.
    Shape,
    /// The series repeats one value for longer than it ever did.
    Stuck,
    /// Samples failed to arrive, or the value is not a number.
    Missing,
}

impl Reason {
    /// One sentence for a person.
    #[must_use]
    pub fn sentence(&self, verdict: &Verdict, value: f64) -> String {
        let (expected, lower, upper) = (short(verdict.expected), short(verdict.lower), short(verdict.upper));
        let (seen, value) = (value, short(value));
        match self {
            Self::None => format!("{value} is within the expected {lower} to {upper}"),
            Self::Learning => "too little history to judge yet".to_owned(),
            Self::Spike | Self::Drop if (verdict.lower..=verdict.upper).contains(&seen) => {
                format!("values around {value} are unusual in a row; {expected} was expected")
            }
            Self::Spike => format!("{value} is far above the expected {expected} (usual range {lower} to {upper})"),
            Self::Drop => format!("{value} is far below the expected {expected} (usual range {lower} to {upper})"),
            Self::LevelShift => {
                format!("the level moved to {value} and stays there; {expected} was expected")
            }
            Self::Variance => format!("the series became more restless than usual; {value} now, {expected} expected"),
            Self::Shape => {
                format!("the course of the last period up to {value} is like none seen before")
            }
            Self::Stuck => format!("stuck at {value} for longer than this series ever was"),
            Self::Missing => "samples are missing".to_owned(),
        }
    }
}

/// The detector's answer for one point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// How far the point stands out on a 0..1 scale that is the same for all series: [`score_from_bits`].
    pub score: f64,
    /// How rare it is for this series, on the same scale; 0 unless it is news. Alarms are decided by
    /// it, and how much an alarm is worth as evidence.
    pub rarity: f64,
    /// True once per anomaly: beyond the false-alarm budget and not already
    /// reported within the refractory period.
    pub anomaly: bool,
    /// What the detector expected, in the unit of the series.
    pub expected: f64,
    /// Lower edge of the band in which a point is no news.
    pub lower: f64,
    /// Upper edge of that band.
    pub upper: f64,
    /// Why the point is unusual.
    pub reason: Reason,
    /// Surprise, in bits, at how far the series stands from its level of the last hours, with
    /// nothing held back: it stays high while the series stays away. For rankings of suspects;
    /// alarms come from `anomaly`.
    pub departure: f64,
}

/// Four significant digits, without exponents for everyday sizes.
fn short(x: f64) -> String {
    let size = x.abs();
    if (1000.0..1e15).contains(&size) {
        format!("{x:.0}")
    } else if (1.0..1000.0).contains(&size) {
        let digits = if size >= 100.0 { 1 } else { 2 };
        format!("{x:.digits$}")
    } else if size == 0.0 {
        "0".to_owned()
    } else if (1e-4..1.0).contains(&size) {
        format!("{x:.4}")
    } else {
        format!("{x:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_bits_are_half_the_scale() {
        assert_eq!(score_from_bits(10.0), 0.5);
        assert_eq!(score_from_bits(-3.0), 0.0);
        assert!(score_from_bits(1e9) < 1.0);
    }

    #[test]
    fn a_spike_reads_as_a_sentence() {
        let verdict = Verdict {
            score: 0.9,
            rarity: 0.9,
            anomaly: true,
            expected: 12.0,
            lower: 10.0,
            upper: 14.0,
            reason: Reason::Spike,
            departure: 0.0,
        };
        assert_eq!(
            verdict.reason.sentence(&verdict, 950.0),
            "950.0 is far above the expected 12.00 (usual range 10.00 to 14.00)"
        );
    }
}
