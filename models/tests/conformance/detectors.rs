//! The suite of detectors: whatever gives a score to each point of a series.

use super::{MINUTE_NS, Random, hostile};
use bellwether_models::metric::{CheckedParams, DetectorParams, MetricModel, MetricModelKind};
use bellwether_models::multi::{CheckedMultiParams, MultiDetector, MultiParams};

/// A detector as the suite sees it.
pub(super) trait PointDetector {
    /// Score of one point; larger is more anomalous, 0 is nothing.
    fn score(&mut self, at_ns: i64, value: f64) -> f64;

    /// Another one that goes on from here; `None` for what is never saved.
    fn restored(&self) -> Option<Box<dyn PointDetector>>;

    /// Bytes of the saved state; `None` for what is never saved.
    fn saved_bytes(&self) -> Option<usize>;
}

/// What each implementation must be told apart by.
struct Subject {
    name: &'static str,
    new: fn() -> Box<dyn PointDetector>,
}

/// Every implementation.
const SUBJECTS: [Subject; 2] = [
    Subject { name: "detector", new: || Box::new(Model::new(MetricModelKind::Detector)) },
    Subject { name: "several series", new: || Box::new(Several::new()) },
];

fn checked() -> CheckedParams {
    DetectorParams::default().check().expect("defaults are in range")
}

/// Saved and read again, in the form of checkpoints: every bit of a number is kept.
fn again<T: serde::Serialize + serde::de::DeserializeOwned>(state: &T) -> T {
    postcard::from_bytes(&postcard::to_stdvec(state).expect("saves")).expect("reads")
}

fn bytes<T: serde::Serialize>(state: &T) -> Option<usize> {
    Some(postcard::to_stdvec(state).expect("saves").len())
}

struct Model(CheckedParams, MetricModel);

impl Model {
    fn new(kind: MetricModelKind) -> Self {
        let params = checked();
        let model = MetricModel::new(kind, &params);
        Self(params, model)
    }
}

impl PointDetector for Model {
    fn score(&mut self, at_ns: i64, value: f64) -> f64 {
        self.1.update(&self.0, at_ns, value).score
    }

    fn restored(&self) -> Option<Box<dyn PointDetector>> {
        Some(Box::new(Self(self.0.clone(), again(&self.1))))
    }

    fn saved_bytes(&self) -> Option<usize> {
        match &self.1 {
            MetricModel::Detector(_) => bytes(&self.1),
        }
    }
}

/// Three series of which the first is judged, the others its shadows.
struct Several(CheckedMultiParams, MultiDetector);

impl Several {
    fn new() -> Self {
        let params = MultiParams::default().check().expect("defaults are in range");
        let detector = MultiDetector::new(&params, 3);
        Self(params, detector)
    }
}

impl PointDetector for Several {
    fn score(&mut self, at_ns: i64, value: f64) -> f64 {
        let mut shares = [0.0; 3];
        let beat = (at_ns / MINUTE_NS % 5) as f64;
        let score = self.1.update(&self.0, &[value, beat, -beat], &mut shares).score;
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{shares:?}");
        score
    }

    fn restored(&self) -> Option<Box<dyn PointDetector>> {
        Some(Box::new(Self(self.0.clone(), again(&self.1))))
    }

    fn saved_bytes(&self) -> Option<usize> {
        bytes(&self.1)
    }
}

/// Noise around a level, a minute apart.
fn calm(seed: u64, count: usize) -> Vec<(i64, f64)> {
    let mut random = Random::new(seed);
    (0..count as i64).map(|minute| (minute * MINUTE_NS, 100.0 + 5.0 * random.unit())).collect()
}

fn scores(subject: &Subject, points: &[(i64, f64)]) -> Vec<f64> {
    let mut detector = (subject.new)();
    points.iter().map(|(at, value)| detector.score(*at, *value)).collect()
}

#[test]
fn equal_points_get_equal_scores_and_no_score_waits_for_what_follows() {
    for subject in &SUBJECTS {
        let points = [calm(1, 1500), hostile(2, 500)].concat();
        let whole = scores(subject, &points);
        assert_eq!(bits(&whole), bits(&scores(subject, &points)), "{}", subject.name);
        for cut in [1, 700, 1600] {
            assert_eq!(bits(&whole[..cut]), bits(&scores(subject, &points[..cut])), "{} at {cut}", subject.name);
        }
    }
}

fn bits(scores: &[f64]) -> Vec<u64> {
    scores.iter().map(|score| score.to_bits()).collect()
}

#[test]
fn hostile_points_neither_panic_nor_give_a_score_that_cannot_be_ordered() {
    for subject in &SUBJECTS {
        for seed in 0..8 {
            for (at, score) in scores(subject, &hostile(seed, 1200)).into_iter().enumerate() {
                let fits = (0.0..=1.0).contains(&score);
                assert!(fits, "{} seed {seed} point {at}: {score}", subject.name);
            }
        }
    }
}

#[test]
fn a_missing_value_is_no_news_and_teaches_nothing() {
    for subject in SUBJECTS.iter().filter(|subject| subject.name != "several series") {
        let mut detector = (subject.new)();
        for (at, value) in calm(3, 600) {
            detector.score(at, value);
        }
        assert_eq!(detector.score(600 * MINUTE_NS, f64::NAN), 0.0, "{}", subject.name);
    }
}

#[test]
fn a_point_far_out_after_calm_scores_above_everything_before() {
    for subject in &SUBJECTS {
        for seed in 0..4 {
            let mut points = calm(seed, 1500);
            points.push((1500 * MINUTE_NS, 900.0));
            let scores = scores(subject, &points);
            let (last, before) = scores.split_last().expect("points");
            // The first points of a series have nothing to be judged by.
            let highest = before[200..].iter().copied().fold(0.0, f64::max);
            assert!(*last > highest, "{} seed {seed}: {last} after {highest}", subject.name);
        }
    }
}

#[test]
fn a_constant_series_is_never_news() {
    for subject in &SUBJECTS {
        let flat: Vec<(i64, f64)> = (0..1000).map(|minute| (minute * MINUTE_NS, 42.0)).collect();
        let loudest = scores(subject, &flat)[200..].iter().copied().fold(0.0, f64::max);
        assert!(loudest < 0.5, "{}: {loudest}", subject.name);
    }
}

#[test]
fn what_was_saved_goes_on_as_if_it_had_not_been() {
    for subject in &SUBJECTS {
        let points = calm(5, 1200);
        let mut detector = (subject.new)();
        for (place, (at, value)) in points.iter().enumerate() {
            if place % 400 == 399 {
                let Some(restored) = detector.restored() else { break };
                detector = restored;
            }
            detector.score(*at, *value);
        }
        let Some(mut restored) = detector.restored() else { continue };
        let mut untouched = (subject.new)();
        for (at, value) in &points {
            untouched.score(*at, *value);
        }
        for (at, value) in calm(6, 100) {
            let at = at + 1200 * MINUTE_NS;
            let (left, right) = (restored.score(at, value), untouched.score(at, value));
            assert_eq!(left.to_bits(), right.to_bits(), "{}", subject.name);
        }
    }
}

#[test]
fn state_does_not_grow_with_the_points_seen() {
    for subject in &SUBJECTS {
        let mut detector = (subject.new)();
        let mut early = None;
        for (place, (at, value)) in calm(7, 20_000).into_iter().enumerate() {
            detector.score(at, value);
            if place == 2_000 {
                early = detector.saved_bytes();
            }
        }
        // Digits of numbers come and go; a tenth is room for them.
        if let (Some(early), Some(late)) = (early, detector.saved_bytes()) {
            assert!(late <= early + early / 10 + 64, "{}: {early} bytes, then {late}", subject.name);
        }
    }
}
