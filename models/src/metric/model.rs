//! The metric models by one name: what the engine runs on a series, what `models detect` and
//! `eval` score, and where another model joins them.
//!
//! A model is a variant of [`MetricModelKind`] and of [`MetricModel`]: a constructor and an
//! `update` that takes the next point. Everything that judges single series goes through here.

use super::detector::Detector;
use super::params::CheckedParams;
use super::verdict::Verdict;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which model judges the points of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetricModelKind {
    /// Spikes and shifts against the day's course: 592 bytes a series.
    #[default]
    Detector,
}

impl MetricModelKind {
    /// Every kind, the default first.
    pub const ALL: [Self; 1] = [Self::Detector];

    /// The word in settings and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detector => "detector",
        }
    }
}

impl fmt::Display for MetricModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The name of no metric model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown metric model `{0}`, known: detector")]
pub struct UnknownMetricModel(String);

impl FromStr for MetricModelKind {
    type Err = UnknownMetricModel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|kind| kind.name() == text);
        known.ok_or_else(|| UnknownMetricModel(text.chars().take(64).collect()))
    }
}

/// The state of one series with the model that judges it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum MetricModel {
    /// See [`Detector`].
    Detector(Box<Detector>),
}

impl MetricModel {
    /// A model of this kind that has seen nothing.
    #[must_use]
    pub fn new(kind: MetricModelKind, params: &CheckedParams) -> Self {
        match kind {
            MetricModelKind::Detector => Self::Detector(Box::new(Detector::new(params))),
        }
    }

    /// About how many bytes a model of its kind comes to hold, whatever it has seen so far.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        match self {
            Self::Detector(_) => Detector::BYTES,
        }
    }

    /// Judges one point and learns from it; points come in order of time.
    pub fn update(&mut self, params: &CheckedParams, at_ns: i64, value: f64) -> Verdict {
        match self {
            Self::Detector(detector) => detector.update(params, at_ns, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::DetectorParams;

    #[test]
    fn each_kind_is_known_by_its_name_and_runs_its_model() {
        let params = DetectorParams::default().check().expect("in range");
        for kind in MetricModelKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            let model = MetricModel::new(kind, &params);
            assert!(matches!(model, MetricModel::Detector(_)));
        }
        let error = "ewma".parse::<MetricModelKind>().expect_err("nobody knows it");
        assert_eq!(error.to_string(), "unknown metric model `ewma`, known: detector");
    }

    #[test]
    fn the_default_says_what_the_detector_says() {
        let params = DetectorParams::default().check().expect("in range");
        let (mut model, mut detector) = (MetricModel::new(MetricModelKind::default(), &params), Detector::new(&params));
        for minute in 0..500_i64 {
            let (at_ns, value) = (minute * 60_000_000_000, if minute == 400 { 90.0 } else { (minute % 7) as f64 });
            assert_eq!(model.update(&params, at_ns, value), detector.update(&params, at_ns, value));
        }
    }
}
