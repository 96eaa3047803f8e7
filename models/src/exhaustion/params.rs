//! Settings of the exhaustion forecaster, and their checked form.

use crate::shared::{ChangeParams, ParamError, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings as a user writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExhaustionParams {
    /// The level at which the resource is full, in the unit of the series.
    pub limit: f64,
    /// How far ahead to look, nanoseconds. One hour to 90 days.
    pub horizon_ns: i64,
    /// Time between decisions, nanoseconds. One minute to one day.
    pub decide_every_ns: i64,
    /// The resource is used up when it falls to the limit: free bytes, days
    /// until a certificate ends, what is left of an error budget.
    pub falling: bool,
    /// The quantile of an hour's samples that is watched: 0.99 for a budget of
    /// latency. 0.001 to 0.999.
    pub quantile: f64,
}

/// Half the smallest change of pace worth telling, and what must gather before
/// it is told, in deviations of the hourly rise: a day's swing stays below.
const PACE_SLACK: f64 = 0.5;
const PACE_BOUND: f64 = 12.0;

/// Nanoseconds of an hour.
pub(super) const HOUR_NS: i64 = 3_600_000_000_000;

impl Default for ExhaustionParams {
    fn default() -> Self {
        Self { limit: 100.0, horizon_ns: 24 * HOUR_NS, decide_every_ns: HOUR_NS, falling: false, quantile: 0.5 }
    }
}

/// Parameters that passed [`ExhaustionParams::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedExhaustionParams {
    pub(super) limit: f64,
    pub(super) horizon_ns: i64,
    pub(super) decide_every_ns: i64,
    /// 1 for what rises to its limit, -1 for what falls; `limit` and `quantile`
    /// are those of the rising mirror image.
    pub(super) sign: f64,
    pub(super) quantile: f64,
    pub(super) pace: ChangeParams,
}

impl ExhaustionParams {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ParamError`] for the first value outside its range.
    pub fn check(&self) -> Result<CheckedExhaustionParams, ParamError> {
        let hour = HOUR_NS as f64;
        let span = |name, value: i64, low: f64, high: f64| within(name, value as f64, low, high).map(|_| value);
        let sign = if self.falling { -1.0 } else { 1.0 };
        let quantile = within("quantile", self.quantile, 0.001, 0.999)?;
        Ok(CheckedExhaustionParams {
            limit: sign * within("limit", self.limit, -1e300, 1e300)?,
            horizon_ns: span("horizon_ns", self.horizon_ns, hour, 90.0 * 24.0 * hour)?,
            decide_every_ns: span("decide_every_ns", self.decide_every_ns, hour / 60.0, 24.0 * hour)?,
            sign,
            quantile: if self.falling { 1.0 - quantile } else { quantile },
            pace: ChangeParams::new(PACE_SLACK, PACE_BOUND)?,
        })
    }
}
