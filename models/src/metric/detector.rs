//! The default detector: three questions about each point, each residual
//! measured against its own robust scale and turned into bits of surprise by a
//! learned tail.
//!
//! * `fast`: did the point leave its neighbourhood, the day's course removed?
//! * `jump`: is the step from the last point larger than its steps ever are?
//! * `slow`: did the neighbourhood leave the day's usual course?
//!   (level shifts, missing peaks, traffic at night)
//!
//! That decides about alarms: how rare is this for *this* series, within its budget? A surprise is
//! raised when it is larger than what was raised before, which fades: a burst is one story, and a
//! growing one is told again. The score, by which points of many series are compared, is the
//! [`Scale`]'s.

use super::params::CheckedParams;
use super::season::{Phase, Season};
use super::surprise::Scale;
use super::track::{Rates, Track};
use super::verdict::{Reason, Verdict, score_from_bits};
use crate::shared::Resolution;
use serde::{Deserialize, Serialize};

/// Points the slow level remembers.
const SLOW_MEMORY: f64 = 300.0;
/// Weight of one point in the deviations: about a hundred points for the fast
/// questions, three hundred for the slow one.
const DEVIATION_RATE: f64 = 0.01;
const SLOW_DEVIATION_RATE: f64 = 0.003;
/// Weight of one point in the tails.
const TAIL_RATE: f64 = 0.001;
/// Points over which a told surprise fades to 1/e: an hour of minutes for a
/// spike, five for a shift.
const SPIKE_FADE: f64 = 60.0;
const SHIFT_FADE: f64 = 300.0;
/// A spike is worth a little less than a shift of the same rarity: it is over
/// before anyone looks.
const SPIKE_WEIGHT: f64 = 0.9;
/// More surprise than this is not told apart.
const BITS_MAX: f64 = 1000.0;
/// Seconds in a week, for the false-alarm budget.
const WEEK_SECS: f64 = 604_800.0;
/// Weight of one point in the restlessness a series is known for: it rises in
/// hours and falls in weeks, so a busy noon is known at night.
const RESTLESS_RISE: f64 = 0.001;
const RESTLESS_FALL: f64 = 0.00005;
/// A series this many times as restless as it is known for is worth a word; from there
/// on bits grow with the ratio. The deviation of a hundred points wanders by a
/// tenth, twice is out of its reach.
const RESTLESS_RATIO: f64 = 2.0;
const RESTLESS_BITS_PER_OCTAVE: f64 = 25.0;
const RESTLESS_BITS_MAX: f64 = 20.0;
/// Points before restlessness is judged.
const RESTLESS_POINTS_MIN: u32 = 1_000;
/// Points at which a longer run of one value is news when none was before.
const STUCK_RUN_MIN: u32 = 40;

/// Per-series state: 224 bytes, and 368 for the season once there are two points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detector {
    seen: u32,
    run: u32,
    run_max: u32,
    step_secs: f32,
    last_at_ns: i64,
    last_value: f64,
    fast: Track,
    jump: Track,
    slow: Track,
    scale: Scale,
    resolution: Resolution,
    spike_told: f32,
    shift_told: f32,
    reported_at_ns: i64,
    reported_bits: f32,
    /// Deviation of the fast question the series is known for.
    restless: f32,
    /// Whether it was ever below zero: the band of what never was ends there.
    below_zero: bool,
    season: Option<Box<Season>>,
}

/// What one point looks like before it teaches.
struct Look {
    phase: Phase,
    profile: f64,
    seasonal: f64,
    floor: f64,
    fast: f64,
    jump: f64,
    slow: f64,
}

impl Detector {
    /// What it comes to hold: itself, and the course of the day.
    pub(super) const BYTES: usize = size_of::<Self>() + size_of::<Season>();

    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(_params: &CheckedParams) -> Self {
        Self {
            seen: 0,
            run: 0,
            run_max: 0,
            step_secs: 60.0,
            last_at_ns: i64::MIN,
            last_value: 0.0,
            fast: Track::new(0.0),
            jump: Track::new(0.0),
            slow: Track::new(0.0),
            scale: Scale::new(0.0),
            resolution: Resolution::default(),
            spike_told: 0.0,
            shift_told: 0.0,
            reported_at_ns: i64::MIN,
            reported_bits: 0.0,
            restless: 0.0,
            below_zero: false,
            season: None,
        }
    }

    /// Judges one point and learns from it. Points come in time order; a point
    /// that is not newer than the last is judged but moves no clock. A value
    /// that is not finite is `Missing` and teaches nothing.
    pub fn update(&mut self, params: &CheckedParams, at_ns: i64, value: f64) -> Verdict {
        let value = value.clamp(-VALUE_MAX, VALUE_MAX);
        if value.is_nan() {
            return self.quiet(Reason::Missing);
        }
        if self.seen == 0 {
            self.begin(at_ns, value);
            return self.quiet(Reason::Learning);
        }
        self.tick(at_ns);
        let look = self.look(at_ns, value);
        let sizes = [
            look.fast.abs() / self.fast.sigma(look.floor),
            look.jump.abs() / self.jump.sigma(look.floor),
            look.slow.abs() / self.slow.sigma(look.floor),
        ];
        let spike = SPIKE_WEIGHT * both(self.fast.tail.bits(sizes[0]), self.jump.tail.bits(sizes[1]));
        let shift = self.slow.tail.bits(sizes[2]);
        let stuck = self.stuck_bits(value);
        let restless = self.restless_bits(look.floor);
        let told_as = match () {
            () if stuck > 0.0 && stuck >= spike.max(restless) => Some(Reason::Stuck),
            () if restless > spike => Some(Reason::Variance),
            () => None,
        };
        let alarm_bits = self.alarm_bits(params);
        let expected = self.fast.level + look.seasonal;
        let half = self.fast.tail.size_at(alarm_bits.min(12.0)) * self.fast.sigma(look.floor);
        let lower = if self.below_zero { expected - half } else { (expected - half).max(0.0) };

        let doublings = self.scale.take(self.seen, (value, look.jump), self.resolution, shift);
        self.learn(params, &look, sizes);
        self.last_value = value;
        self.below_zero |= value < 0.0;
        self.seen = self.seen.saturating_add(1);
        let is_learning = self.seen < params.learning_points;
        let (raised, reason, score) = if is_learning {
            (0.0, Reason::Learning, 0.0)
        } else {
            let (raised, reason) = self.tell(spike.max(stuck).max(restless), shift, &look, told_as);
            (raised, reason, score_from_bits(self.scale.tell(doublings)))
        };
        let above = raised >= alarm_bits;
        let anomaly = above && self.report(params, at_ns, raised);
        Verdict {
            score: if anomaly { score.max(const { score_from_bits(Scale::ALARM_BITS) }) } else { score },
            rarity: score_from_bits(raised),
            anomaly,
            expected,
            lower,
            upper: (expected + half).max(lower),
            reason: if above || is_learning { reason } else { Reason::None },
            departure: if self.seen < DEPARTURE_POINTS_MIN { 0.0 } else { shift },
        }
    }

    fn look(&self, at_ns: i64, value: f64) -> Look {
        let phase = Phase::of(at_ns);
        let (profile, trust) =
            self.season.as_ref().map_or((0.0, 0.0), |season| (season.profile(phase), season.trust()));
        let seasonal = profile * trust;
        Look {
            phase,
            profile,
            seasonal,
            floor: self.resolution.floor(self.slow.level),
            fast: value - seasonal - self.fast.level,
            jump: value - self.last_value,
            slow: value - seasonal - self.slow.level,
        }
    }

    fn learn(&mut self, params: &CheckedParams, look: &Look, sizes: [f64; 3]) {
        let young = 1.0 / f64::from(self.seen + 1);
        let unclipped = self.seen < 5;
        let tail = TAIL_RATE.max(0.5 * young).min(0.01);
        let rates = |level: f64, deviation: f64| Rates {
            level: if level > 0.0 { level.max(young) } else { 0.0 },
            deviation: deviation.max(young),
            tail,
            unclipped,
        };
        // The season learns from the slow level as it was before this point.
        let without = look.slow + look.seasonal;
        let with = self.slow.clipped(without - look.profile, look.floor);
        let without = 3.0 * self.slow.clipped(without / 3.0, look.floor);
        self.season.get_or_insert_with(Box::default).learn(look.phase, with, without, young);
        self.fast.learn(look.fast, sizes[0], look.floor, rates(params.local_rate, DEVIATION_RATE));
        self.resolution.learn(look.jump);
        self.jump.learn(look.jump, sizes[1], look.floor, rates(0.0, DEVIATION_RATE));
        self.slow.learn(look.slow, sizes[2], look.floor, rates(1.0 / SLOW_MEMORY, SLOW_DEVIATION_RATE));
    }

    /// A repeated value is news when its run is longer than any before: bits
    /// grow with the ratio. Series that always repeat know long runs.
    fn stuck_bits(&mut self, value: f64) -> f64 {
        if value != self.last_value {
            self.run_max = self.run_max.max(self.run);
            self.run = 0;
            return 0.0;
        }
        self.run = self.run.saturating_add(1);
        let usual = self.run_max.max(STUCK_RUN_MIN);
        // Only a series that used to move can be stuck.
        if self.run <= 2 * usual || self.seen < 4 * self.run {
            return 0.0;
        }
        (5.0 * (f64::from(self.run) / f64::from(usual)).log2()).min(20.0)
    }

    /// The hundred points before this one against the restlessness the series
    /// is known for; learns it. A restlessness that stays becomes known.
    fn restless_bits(&mut self, floor: f64) -> f64 {
        let (now, known) = (self.fast.sigma(floor), f64::from(self.restless));
        let rate = if now > known { RESTLESS_RISE } else { RESTLESS_FALL };
        let limit = RESTLESS_RATIO * known.max(floor);
        let judged = self.seen >= RESTLESS_POINTS_MIN;
        let rate = if judged { rate } else { rate.max(1.0 / f64::from(self.seen + 1)) };
        self.restless = (known + rate * (now - known)) as f32;
        if judged && now > limit {
            (RESTLESS_BITS_PER_OCTAVE * (now / limit).log2()).min(RESTLESS_BITS_MAX)
        } else {
            0.0
        }
    }

    /// What is news after what was told, and why.
    fn tell(&mut self, spike: f64, shift: f64, look: &Look, special: Option<Reason>) -> (f64, Reason) {
        let spike_news = news(&mut self.spike_told, spike.min(BITS_MAX), SPIKE_FADE);
        let shift_news = news(&mut self.shift_told, shift.min(BITS_MAX), SHIFT_FADE);
        let reason = match special.filter(|_| spike_news >= shift_news) {
            Some(reason) => reason,
            // The neighbourhood moved, the point did not leave it.
            None if look.fast.abs() < 0.5 * look.slow.abs() => Reason::LevelShift,
            None if look.fast > 0.0 => Reason::Spike,
            None => Reason::Drop,
        };
        (both(spike_news, shift_news), reason)
    }

    /// Surprise an alarm needs under the false-alarm budget.
    fn alarm_bits(&self, params: &CheckedParams) -> f64 {
        let points_per_week = WEEK_SECS / f64::from(self.step_secs).max(1e-3);
        (points_per_week / params.alerts_per_week).log2().max(8.0)
    }

    fn begin(&mut self, at_ns: i64, value: f64) {
        self.seen = 1;
        self.last_at_ns = at_ns;
        self.last_value = value;
        self.below_zero = value < 0.0;
        self.fast.level = value;
        self.slow.level = value;
        self.scale = Scale::new(value);
    }

    fn tick(&mut self, at_ns: i64) {
        if at_ns > self.last_at_ns {
            let step = at_ns.saturating_sub(self.last_at_ns) as f64 / 1e9;
            let known = f64::from(self.step_secs);
            let step = if self.seen == 1 { step } else { step.min(4.0 * known) };
            let rate = 0.02_f64.max(1.0 / f64::from(self.seen));
            self.step_secs = (known + rate * (step - known)) as f32;
            self.last_at_ns = at_ns;
        }
    }

    /// True when this alarm is news: nothing reported within the refractory
    /// period, or something clearly bigger than what was reported.
    fn report(&mut self, params: &CheckedParams, at_ns: i64, bits: f64) -> bool {
        let since = at_ns.saturating_sub(self.reported_at_ns);
        let within = self.reported_at_ns != i64::MIN && since < params.refractory_ns;
        if within && bits < 2.0 * f64::from(self.reported_bits) {
            return false;
        }
        self.reported_at_ns = at_ns;
        self.reported_bits = bits as f32;
        true
    }

    fn quiet(&self, reason: Reason) -> Verdict {
        let expected = self.fast.level;
        Verdict {
            score: 0.0,
            rarity: 0.0,
            anomaly: false,
            expected,
            lower: expected,
            upper: expected,
            reason,
            departure: 0.0,
        }
    }
}

/// Points after which a level is known well enough to say that a series has left it.
const DEPARTURE_POINTS_MIN: u32 = 20;

/// Larger values are cut: squares of what lies beyond leave the range of `f32`.
const VALUE_MAX: f64 = 1e18;

/// Two surprises at once: at least the larger, a little more when both agree
/// (a fourth-power mean, which two square roots undo).
fn both(a: f64, b: f64) -> f64 {
    let (a, b) = (a.max(0.0), b.max(0.0));
    (a * a * a * a + b * b * b * b).sqrt().sqrt()
}

/// `bits` if they exceed what was told before, else 0; remembers the larger.
fn news(told: &mut f32, bits: f64, fade: f64) -> f64 {
    let before = f64::from(*told);
    *told = (before * (1.0 - 1.0 / fade)).max(bits) as f32;
    if bits > before { bits } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::DetectorParams;

    const MINUTE: i64 = 60_000_000_000;

    fn params() -> CheckedParams {
        DetectorParams::default().check().expect("defaults are in range")
    }

    /// A restless course without anomalies: deterministic, not periodic.
    fn usual(i: i64) -> f64 {
        100.0 + ((i * 7919) % 101) as f64 * 0.05 + ((i * 104_729) % 37) as f64 * 0.1
    }

    fn alarms(values: impl Iterator<Item = f64>) -> Vec<(usize, Reason)> {
        let params = params();
        let mut detector = Detector::new(&params);
        let verdicts = values.enumerate().map(|(i, value)| (i, detector.update(&params, i as i64 * MINUTE, value)));
        verdicts.filter(|(_, verdict)| verdict.anomaly).map(|(i, verdict)| (i, verdict.reason)).collect()
    }

    #[test]
    fn a_tiny_series_and_one_far_from_zero_are_judged_like_any_other() {
        let params = params();
        // Whether each point is told, and how wide its band is in the scale of the course.
        let course = |scale: f64, offset: f64| {
            let mut detector = Detector::new(&params);
            let mut judge = |i: i64| {
                let value = usual(i) + if i == 1_900 { 60.0 } else { 0.0 };
                let verdict = detector.update(&params, i * MINUTE, offset + scale * value);
                (verdict.anomaly, (verdict.upper - verdict.lower) / scale)
            };
            (0..2_000).map(&mut judge).collect::<Vec<_>>()
        };
        let told = |course: &[(bool, f64)]| course.iter().map(|(told, _)| *told).collect::<Vec<_>>();
        let plain = course(1.0, 0.0);
        assert!(plain[1_900].0, "the spike is found");
        for (what, other) in [("tiny", course(1e-12, 0.0)), ("far", course(1e-3, 1e9))] {
            assert_eq!(told(&plain), told(&other), "{what}");
            let ratio = other[1_800].1 / plain[1_800].1;
            assert!((0.9..1.1).contains(&ratio), "{what}: the band is {ratio} times as wide");
        }
    }

    #[test]
    fn state_fits_its_budget() {
        assert_eq!(size_of::<Detector>(), 224);
        assert_eq!(size_of::<Season>(), 368);
    }

    #[test]
    fn a_spike_is_reported_once_with_its_direction() {
        let up = alarms((0..3000).map(|i| if (2500..2504).contains(&i) { 400.0 } else { usual(i) }));
        assert_eq!(up, [(2500, Reason::Spike)]);
        let down = alarms((0..3000).map(|i| if i == 2500 { 1.0 } else { usual(i) }));
        assert_eq!(down, [(2500, Reason::Drop)]);
    }

    #[test]
    fn a_quiet_series_raises_nothing_not_even_at_the_start() {
        assert_eq!(alarms((0..20_000).map(usual)), []);
    }

    #[test]
    fn a_flat_line_that_was_never_flat_is_stuck() {
        let found = alarms((0..6000).map(|i| if i > 4000 { 103.0 } else { usual(i) }));
        assert!(found.iter().any(|(i, reason)| *reason == Reason::Stuck && *i < 4500), "{found:?}");
    }

    #[test]
    fn a_series_that_becomes_restless_is_told_so() {
        let noisy = |i: i64| 100.0 + (usual(i) - 104.0) * if i > 4000 { 6.0 } else { 1.0 };
        let found = alarms((0..6000).map(noisy));
        assert!(found.iter().any(|(i, reason)| *reason == Reason::Variance && (4000..4300).contains(i)), "{found:?}");
        assert!(found.iter().all(|(i, _)| *i > 4000), "{found:?}");
    }

    #[test]
    fn the_band_of_what_was_never_below_zero_ends_there() {
        let params = params();
        let mut detector = Detector::new(&params);
        let rate = |i: i64| if i % 7 == 0 { 3.0 } else { 0.0 };
        for i in 0..500 {
            let verdict = detector.update(&params, i * MINUTE, rate(i));
            assert!(verdict.lower >= 0.0 && verdict.upper >= verdict.lower, "{verdict:?}");
        }
        detector.update(&params, 500 * MINUTE, -1.0);
        assert!(detector.update(&params, 501 * MINUTE, 0.0).lower < 0.0);
    }

    #[test]
    fn nonsense_neither_panics_nor_alarms() {
        let params = params();
        let mut detector = Detector::new(&params);
        for (at, value) in
            [(0, f64::NAN), (i64::MAX, f64::INFINITY), (i64::MIN, 1.0), (i64::MAX, f64::MAX), (0, -f64::MAX)]
        {
            assert!(!detector.update(&params, at, value).anomaly);
        }
        for i in 0..500 {
            let verdict = detector.update(&params, i * MINUTE, if i % 3 == 0 { f64::MAX } else { -f64::MAX });
            assert!(verdict.score.is_finite() && verdict.expected.is_finite());
        }
    }
}
