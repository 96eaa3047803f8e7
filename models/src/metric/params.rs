//! What a user may say to the detector, and the checked form that builds one.
//! The defaults are the single configuration of every figure in the README.

use crate::shared::{ParamError, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the streaming detector as a user writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DetectorParams {
    /// Alerts a healthy series may raise in a week: the false-alarm budget.
    /// 0.01 to 10,000.
    pub alerts_per_week: f64,
    /// Seconds in which one anomaly is reported once, unless it grows.
    /// 0 to 604,800.
    pub refractory_secs: f64,
    /// Points seen before the first alarm is possible. 5 to 100,000.
    pub learning_points: f64,
    /// Points the local level remembers. 2 to 10,000.
    pub memory_points: f64,
}

impl Default for DetectorParams {
    fn default() -> Self {
        Self { alerts_per_week: 1.0, refractory_secs: 3600.0, learning_points: 60.0, memory_points: 12.0 }
    }
}

/// Parameters that passed [`DetectorParams::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedParams {
    pub(super) alerts_per_week: f64,
    pub(super) refractory_ns: i64,
    pub(super) learning_points: u32,
    pub(super) local_rate: f64,
}

impl DetectorParams {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ParamError`] for the first value outside its range.
    pub fn check(&self) -> Result<CheckedParams, ParamError> {
        Ok(CheckedParams {
            alerts_per_week: within("alerts_per_week", self.alerts_per_week, 0.01, 10_000.0)?,
            refractory_ns: (within("refractory_secs", self.refractory_secs, 0.0, 604_800.0)? * 1e9) as i64,
            learning_points: within("learning_points", self.learning_points, 5.0, 100_000.0)? as u32,
            local_rate: 1.0 / within("memory_points", self.memory_points, 2.0, 10_000.0)?,
        })
    }
}
