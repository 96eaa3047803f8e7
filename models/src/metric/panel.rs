//! What `models detect` runs on a series: the detector and the shape expert
//! side by side. The more surprised of the two speaks; expectation and band are
//! the detector's.

use super::detector::Detector;
use super::discord::Discord;
use super::params::CheckedParams;
use super::verdict::{Reason, Verdict, bits_from_score, score_from_bits};

/// The shape expert speaks a period late; below this it does not interrupt.
const SHAPE_BITS_MIN: f64 = 8.0;

/// Detector and shape expert of one series.
#[derive(Debug, Clone)]
pub struct Panel {
    detector: Detector,
    discord: Discord,
    shape_record: f64,
}

impl Panel {
    /// A panel that has seen nothing.
    #[must_use]
    pub fn new(params: &CheckedParams) -> Self {
        Self { detector: Detector::new(params), discord: Discord::default(), shape_record: 0.0 }
    }

    /// Judges one point and learns from it: [`Detector::update`] and
    /// [`Discord::update`].
    pub fn update(&mut self, params: &CheckedParams, at_ns: i64, value: f64) -> Verdict {
        let mut verdict = self.detector.update(params, at_ns, value);
        let bits = self.discord.update(value);
        let fresh = bits > self.shape_record;
        self.shape_record = (self.shape_record * self.discord.fade()).max(bits);
        if fresh && bits > SHAPE_BITS_MIN && bits > bits_from_score(verdict.score) {
            verdict.score = score_from_bits(bits);
            verdict.reason = Reason::Shape;
            verdict.anomaly |= self.detector.report(params, at_ns, bits);
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::DetectorParams;

    #[test]
    fn a_missing_beat_is_reported_as_a_shape() {
        let params = DetectorParams::default().check().expect("in range");
        let mut panel = Panel::new(&params);
        let mut reasons = Vec::new();
        for i in 0..6000_i64 {
            let wave = (i as f64 * std::f64::consts::TAU / 80.0).sin() * 10.0;
            let value = if (5000..5060).contains(&i) { wave.abs() } else { wave };
            let verdict = panel.update(&params, i * 1_000_000_000, value);
            if verdict.anomaly && i > 4000 {
                reasons.push((i, verdict.reason));
            }
        }
        assert!(reasons.iter().any(|(i, reason)| *reason == Reason::Shape && (5000..5200).contains(i)), "{reasons:?}");
        assert!(reasons.iter().all(|(i, _)| *i >= 5000), "{reasons:?}");
    }
}
