//! The engine's configuration: one section per stage, each typed beside its code.
//!
//! ```yaml
//! lateness: 10s
//! sense:
//!   rules:
//!     - {name: HighErrorRate, metric: http.server.error_ratio, when: value > 0.05, for: 2m, severity: major}
//! dedup: {stale_after: 24h}
//! ledger: {group_wait: 30s, resolve_after: 5m}
//! ```
//!
//! Every key has a default that serves a small estate; unknown keys are refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::correlate::CorrelateConfig;
use crate::dedup::DedupConfig;
use crate::diagnose::DiagnoseConfig;
use crate::enrich::EnrichConfig;
use crate::ledger::LedgerConfig;
use crate::sense::SenseConfig;
use crate::suppress::SuppressConfig;
use crate::time::{EventTime, Span};

/// Everything the engine can be told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// How late a signal may arrive, in event time, and still be put in order. Incidents wait
    /// this long. What comes later is counted: samples are left out, everything else acts as of now.
    pub lateness: Span,
    /// Turns telemetry into alerts.
    pub sense: SenseConfig,
    /// Knows an alert again.
    pub dedup: DedupConfig,
    /// Holds back what needs nobody.
    pub suppress: SuppressConfig,
    /// Puts alerts that belong together into one group.
    pub correlate: CorrelateConfig,
    /// Ranks causes and finds who is hurt.
    pub diagnose: DiagnoseConfig,
    /// Adds owner, priority, SLA clock and history.
    pub enrich: EnrichConfig,
    /// Opens, updates, resolves and closes incidents.
    pub ledger: LedgerConfig,
    /// How large each table may grow, per tenant.
    pub limits: LimitsConfig,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            lateness: Span::from_secs(10),
            sense: SenseConfig::default(),
            dedup: DedupConfig::default(),
            suppress: SuppressConfig::default(),
            correlate: CorrelateConfig::default(),
            diagnose: DiagnoseConfig::default(),
            enrich: EnrichConfig::default(),
            ledger: LedgerConfig::default(),
            limits: LimitsConfig::default(),
        }
    }
}

impl EngineConfig {
    /// A short hash of the configuration, for records and runs: equal configurations, equal hash.
    pub fn hash(&self) -> String {
        let json = serde_json::to_vec(self).expect("a configuration is JSON");
        format!("{:016x}", xxh3_64(&json))
    }
}

/// How large each table may grow, per tenant. What no longer fits is evicted or refused,
/// counted, and never lets one tenant hurt another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Metric series with model state; further series are refused.
    pub series_max: usize,
    /// Log streams with model state; further streams share one.
    pub log_streams_max: usize,
    /// Log templates kept, over all streams of a tenant.
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
    /// Incidents that are not closed; further groups wait.
    pub incidents_max: usize,
    /// Recent changes kept for diagnosis; the oldest are forgotten.
    pub changes_max: usize,
    /// Closed incidents kept to find similar ones; the oldest are forgotten.
    pub history_max: usize,
    /// Signals waiting for the watermark; when full, the oldest are released early.
    pub pending_max: usize,
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
            // 2000-01-01 and 2090-01-01: devices without a clock say 1970, broken ones 2100.
            time_min: EventTime::from_secs(946_684_800),
            time_max: EventTime::from_secs(3_786_912_000),
        }
    }
}
