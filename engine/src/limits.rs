//! How large each table may grow, and which times are believed: what the stages share of limits.
//!
//! ```yaml
//! limits: {alerts_max: 200000, incidents_max: 10000}
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::{EventTime, TIME_SECS_MAX, TIME_SECS_MIN};

/// How large each table may grow, per tenant. What no longer fits is evicted or refused,
/// counted, and never lets one tenant hurt another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Metric series with model state; further series are refused.
    pub series_max: usize,
    /// Log streams with model state; further streams share one.
    pub log_streams_max: usize,
    /// Log templates of a tenant, over all streams; then a new one takes the place of the one unused the longest.
    pub templates_max: usize,
    /// Distinct alerts remembered in detail; the resolved are evicted first, then the details of
    /// those first seen longest ago.
    pub alerts_max: usize,
    /// Alerts that fire beyond these, remembered by their state: their recoveries are known. The
    /// states of the oldest are lost when there are more.
    pub alerts_shed_max: usize,
    /// Distinct entities; further ones share one name.
    pub entities_max: usize,
    /// Topology edges; further ones are refused.
    pub topology_edges_max: usize,
    /// Incidents that are not closed. When full, resolved ones are closed early, then candidates of the least
    /// severity are dropped; what a person's rule calls critical has a tenth more. Further groups wait.
    pub incidents_max: usize,
    /// Recent changes kept for diagnosis; the oldest are forgotten.
    pub changes_max: usize,
    /// Closed incidents kept to find similar ones; the oldest are forgotten.
    pub history_max: usize,
    /// Signals waiting for the watermark; when full, the oldest are released early.
    pub pending_max: usize,
    /// Bytes that a tenant may hold in all its tables together, as estimated from what is in them. From 45 % on
    /// it gets no new log streams and templates, from 55 % no new series, from 62 % no new edges; the details of
    /// alerts make room for one another from half, or from 80 % of all. `bellwether run` lowers it to the
    /// tenant's part of the process' `memory`.
    pub tenant_bytes_max: usize,
    /// Earliest event time that is believed.
    pub time_min: EventTime,
    /// Latest event time that is believed.
    pub time_max: EventTime,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        LimitsConfig {
            series_max: 100_000,
            log_streams_max: 10_000,
            templates_max: 10_000,
            alerts_max: 200_000,
            alerts_shed_max: 400_000,
            entities_max: 100_000,
            topology_edges_max: 500_000,
            incidents_max: 10_000,
            changes_max: 10_000,
            history_max: 1_000,
            pending_max: 4_000_000,
            tenant_bytes_max: 1 << 30,
            time_min: EventTime::from_secs(TIME_SECS_MIN),
            time_max: EventTime::from_secs(TIME_SECS_MAX),
        }
    }
}
