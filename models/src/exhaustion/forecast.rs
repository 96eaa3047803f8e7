//! The answer at a decision point.

use super::bands::Coverage;
use serde::{Deserialize, Serialize};

/// A time-to-full beyond this is reported as this: ten years, "not in sight".
pub(super) const FAR_NS: i64 = 315_360_000_000_000_000;

/// Time until the resource is full, from the decision on, as quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// When it was decided, nanoseconds since the epoch.
    pub at_ns: i64,
    /// The level at the decision (of the last hour, its median by default).
    pub level: f64,
    /// Early edge of the interval, nanoseconds from the decision.
    pub p10_ns: i64,
    /// The middle, nanoseconds from the decision.
    pub p50_ns: i64,
    /// Late edge of the interval, nanoseconds from the decision.
    pub p90_ns: i64,
    /// The verdict: full within the horizon, with a small margin against false
    /// alarms. At the very border it may be no while the middle says yes.
    pub full_within_horizon: bool,
    /// How often bands stated for this series before held.
    pub coverage: Coverage,
    /// Since when the level moves faster towards its limit than it used to,
    /// nanoseconds since the epoch; `None` when its pace did not change.
    pub faster_since_ns: Option<i64>,
}

impl Forecast {
    /// Whether the middle of the ways arrives at all, as far as they are looked along.
    #[must_use]
    pub fn is_in_sight(&self) -> bool {
        self.p50_ns < FAR_NS
    }

    /// The late edge; `None` when more than one way in ten never arrives, as far as they are looked along.
    #[must_use]
    pub fn late_edge_ns(&self) -> Option<i64> {
        (self.p90_ns < FAR_NS).then_some(self.p90_ns)
    }
}
