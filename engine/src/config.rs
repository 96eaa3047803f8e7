//! The engine's configuration: one section per stage, each typed beside its code.
//!
//! ```yaml
//! lateness: 10s
//! sample_age_max: 1h
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
use crate::limits::LimitsConfig;
use crate::sense::SenseConfig;
use crate::suppress::SuppressConfig;
use crate::time::Span;

/// Everything the engine can be told.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// How late a signal may arrive, in event time, and still be put in order. Incidents wait
    /// this long. What comes later is counted: samples are watched in the order of their own source,
    /// and what they tell, as everything else that is late, acts as of now.
    pub lateness: Span,
    /// How old a sample may be when it arrives and still be watched. What is older is counted and left out.
    #[serde(skip_serializing_if = "is_sample_age_default")]
    pub sample_age_max: Span,
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

/// An outage that an agent's buffer survives: Prometheus keeps two hours to send, most agents less.
const SAMPLE_AGE_MAX: Span = Span::from_hours(1);

fn is_sample_age_default(age: &Span) -> bool {
    *age == SAMPLE_AGE_MAX
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            lateness: Span::from_secs(10),
            sample_age_max: SAMPLE_AGE_MAX,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_came_later_leaves_the_hash_of_those_who_do_not_use_it() {
        let json = serde_json::to_value(EngineConfig::default()).expect("a configuration is JSON");
        assert_eq!(json["sense"]["anomalies"].get("model"), None);
        let said = serde_json::json!({"sense": {"anomalies": {"model": "detector"}}});
        let said: EngineConfig = serde_json::from_value(said).expect("it is a configuration");
        assert_eq!(said.hash(), EngineConfig::default().hash());
    }
}
