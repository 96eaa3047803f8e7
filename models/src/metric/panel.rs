//! The panel: four experts whose surprises add up, for series that deserve it.
//!
//! The detector's spikes and shifts, the shape expert and two memories of
//! sub-sequences look at different sides of the same course. What surprises
//! several of them is rarer than what surprises one, and bits are logarithms of
//! rarities, so they are added; each is bent to a logarithm where its tail is
//! extrapolation, so that none can shout the others down. A sum is told when it
//! exceeds what was told before, which fades, and what comes at this time every
//! day. Expectation and band are the detector's.

use super::daily::Daily;
use super::detector::{Detector, Surprise};
use super::discord::Discord;
use super::params::CheckedParams;
use super::recall::Recall;
use super::verdict::{Reason, Verdict, score_from_bits};
use crate::shared::Tail;
use serde::{Deserialize, Serialize};

/// Points per value of the two memories: their sub-sequences cover 48 and 96
/// points.
const PACES: [usize; 2] = [6, 12];
/// What a bit of each expert counts in the sum.
const SPIKE_WEIGHT: f64 = 1.5;
const SHIFT_WEIGHT: f64 = 0.7;
const SHAPE_WEIGHT: f64 = 1.2;
const RECALL_WEIGHTS: [f64; 2] = [0.85, 0.5];
/// Below these an expert has nothing to say and does not join the sum: the
/// shape expert speaks a period late, the memories once per pace.
const SHAPE_BITS_MIN: f64 = 8.0;
const RECALL_BITS_MIN: f64 = 4.0;
/// Bits above this are extrapolated and count as their logarithm.
const BITS_STRAIGHT: f64 = 20.0;
/// A sum below this is no news, whatever was told before, and scores nothing:
/// among the lowest sums a threshold would only fish in noise.
const NEWS_BITS_MIN: f64 = 15.0;
/// Share of the surprise usual at this minute of the day that is no news.
const DAILY_SHARE: f64 = 0.5;
/// Points over which a told sum fades to 1/e at one minute steps. It grows with
/// the root of the step: who samples each hour does not want to hear of one
/// trouble every hour.
const FADE_POINTS: f64 = 60.0;
const FADE_STEP_SECS: f64 = 60.0;
/// Weight of one point in the tail of the sums, which decides about alarms.
const TAIL_RATE: f64 = 0.001;

/// The experts of one series.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Panel {
    detector: Detector,
    discord: Discord,
    recalls: [Recall; 2],
    daily: Daily,
    told: f64,
    seen: u32,
    tail: Tail,
}

impl Panel {
    /// A panel that has seen nothing.
    #[must_use]
    pub fn new(params: &CheckedParams) -> Self {
        Self {
            detector: Detector::new(params),
            discord: Discord::default(),
            recalls: PACES.map(Recall::new),
            daily: Daily::default(),
            told: 0.0,
            seen: 0,
            tail: Tail::new(8.0, 4.0),
        }
    }

    /// Judges one point and learns from it: [`Detector::update`],
    /// [`Discord::update`] and [`Recall::update`], added up, less what is usual
    /// at this time of the day.
    pub fn update(&mut self, params: &CheckedParams, at_ns: i64, value: f64) -> Verdict {
        let (mut verdict, surprise) = self.detector.judge(params, at_ns, value);
        let shape = self.discord.update(value);
        let recalls = [self.recalls[0].update(value), self.recalls[1].update(value)];
        if matches!(verdict.reason, Reason::Learning | Reason::Missing) {
            return verdict;
        }
        let (sum, reason) = add_up(&surprise, shape, recalls);
        let bits = (sum - DAILY_SHARE * self.daily.usual(at_ns, sum)).max(0.0);
        let steps = f64::from(self.detector.step_secs()).max(1.0) / FADE_STEP_SECS;
        let news = bits > self.told && bits >= NEWS_BITS_MIN;
        self.told = (self.told * (1.0 - 1.0 / (FADE_POINTS * steps.sqrt()).max(2.0))).max(bits);
        verdict.score = score_from_bits(if news { bits } else { 0.0 });
        let alarm_bits = self.detector.alarm_bits(params);
        let rarity = self.rarity(bits);
        let above = news && rarity >= alarm_bits;
        verdict.reason = if above { reason } else { Reason::None };
        verdict.anomaly = above && self.detector.report(params, at_ns, rarity);
        verdict
    }

    /// How rare such a sum is for this series, in bits; learns it.
    fn rarity(&mut self, bits: f64) -> f64 {
        self.seen = self.seen.saturating_add(1);
        let rarity = self.tail.bits(bits);
        self.tail.learn(bits, TAIL_RATE.max(0.5 / f64::from(self.seen)).min(0.01));
        rarity
    }
}

/// The sum of the experts' surprises, and the reason of the loudest.
fn add_up(surprise: &Surprise, shape: f64, recalls: [f64; 2]) -> (f64, Reason) {
    let point = SPIKE_WEIGHT * bent(surprise.spike, 0.0) + SHIFT_WEIGHT * bent(surprise.shift, 0.0);
    let course = SHAPE_WEIGHT * bent(shape, SHAPE_BITS_MIN)
        + RECALL_WEIGHTS[0] * bent(recalls[0], RECALL_BITS_MIN)
        + RECALL_WEIGHTS[1] * bent(recalls[1], RECALL_BITS_MIN);
    (point + course, if course > point { Reason::Shape } else { surprise.reason })
}

/// Bits as they count: nothing below `least`, a logarithm where the tail is
/// extrapolation.
fn bent(bits: f64, least: f64) -> f64 {
    match bits {
        bits if bits.is_nan() || bits <= least => 0.0,
        bits if bits <= BITS_STRAIGHT => bits,
        bits => BITS_STRAIGHT * (1.0 + (bits / BITS_STRAIGHT).ln()),
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

    #[test]
    fn a_nightly_backup_becomes_usual_and_the_same_spike_at_noon_does_not() {
        const DAY: i64 = 1_440;
        let params = DetectorParams::default().check().expect("in range");
        let mut panel = Panel::new(&params);
        let mut nights = Vec::new();
        let mut noon = 0.0_f64;
        for i in 0..14 * DAY {
            let (day, minute) = (i / DAY, i % DAY);
            let spike = minute == 180 || (day == 13 && minute == 720);
            let noise = ((i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / f64::from(1 << 24);
            let verdict = panel.update(&params, i * 60_000_000_000, if spike { 60.0 } else { 10.0 + noise });
            match minute {
                180 => nights.push(verdict.score),
                720 if spike => noon = verdict.score,
                _ => {}
            }
        }
        let late = nights[10..].iter().copied().fold(0.0, f64::max);
        assert!(nights[2] > 0.0 && noon > late, "third night {}, later nights {late}, noon {noon}", nights[2]);
    }
}
