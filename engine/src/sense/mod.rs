//! `sense`: turns telemetry into alerts.
//!
//! ```yaml
//! sense:
//!   rules:
//!     - {name: HighErrorRate, metric: http.server.error_ratio, when: value > 0.05, for: 2m, severity: major}
//!     - {name: OutOfMemory, signal: log, when: "body LIKE '%OutOfMemory%'", severity: critical}
//!   heartbeats:
//!     - {name: AgentSilent, metric: up, timeout: 5m}
//!   anomalies: {metrics: ["*"], exclude: ["*.build_info"]}
//!   exhaustion:
//!     - {name: DiskWillFill, metric: "*disk*used*", limit: 100, horizon: 24h}
//!   logs: {enabled: true}
//! ```
//!
//! Telemetry is spread over 64 logical shards by series or log stream. The number is
//! fixed, so the number of threads changes nothing; a shard's alerts carry event times, and
//! the engine merges the shards in the order of those times.

mod departed;
mod exhaustion;
mod glob;
mod logs;
mod metrics;
mod raise;
mod retune;
mod rules;
mod series;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use bellwether_models::logs::WatchParams;
use bellwether_models::metric::DetectorParams;
use bellwether_models::templates::MinerParams;

use crate::signal::Severity;
use crate::time::Span;

pub use exhaustion::ExhaustionRule;
pub use rules::{Rule, RuleSignal};

pub(crate) use departed::Moved;
pub(crate) use glob::Glob;
pub(crate) use logs::{LogLine, LogShard};
pub(crate) use metrics::{MetricShard, Sample};
pub(crate) use series::SeriesMeta;
pub use series::SeriesView;

/// Logical shards per tenant. More than any machine has cores, few enough that empty ones cost
/// nothing; part of the checkpoint format.
pub(crate) const SHARDS: usize = 64;

/// The shard of a series or log stream.
pub(crate) fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

/// Settings of the `sense` stage.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SenseConfig {
    /// Conditions in SQL over metrics and logs.
    pub rules: Vec<Rule>,
    /// Series that must keep arriving.
    pub heartbeats: Vec<HeartbeatRule>,
    /// Anomaly detection on single series.
    pub anomalies: AnomalyConfig,
    /// Resources that may run out.
    pub exhaustion: Vec<ExhaustionRule>,
    /// Log templates and their anomalies.
    pub logs: LogConfig,
}

/// A series that must keep arriving.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatRule {
    /// Name of the alert.
    pub name: String,
    /// Metric name; `*` stands for anything.
    pub metric: String,
    /// Missing after so long without a sample.
    pub timeout: Span,
    /// How bad that is.
    #[serde(default = "default_heartbeat_severity")]
    pub severity: Severity,
}

fn default_heartbeat_severity() -> Severity {
    Severity::Major
}

/// Anomaly detection on single series.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AnomalyConfig {
    /// Whether to look at all.
    pub enabled: bool,
    /// Metric names to watch; `*` stands for anything.
    pub metrics: Vec<String>,
    /// Metric names to leave out.
    pub exclude: Vec<String>,
    /// Severity of a clear anomaly; a faint one is a step lower.
    pub severity: Severity,
    /// An anomaly is over after so many usual points.
    pub calm_points: u8,
    /// Settings of the detector.
    pub detector: DetectorParams,
}

impl Default for AnomalyConfig {
    fn default() -> Self {
        AnomalyConfig {
            enabled: true,
            metrics: vec!["*".to_owned()],
            exclude: Vec::new(),
            severity: Severity::Warning,
            calm_points: 3,
            detector: DetectorParams::default(),
        }
    }
}

/// Log templates and their anomalies.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Whether to look at all.
    pub enabled: bool,
    /// Report templates never seen before when their severity number is at least this
    /// (OpenTelemetry: WARN 13, ERROR 17).
    pub new_template_severity_min: u8,
    /// An alert from a log stream counts as recovered after so long without a further finding.
    pub hold: Span,
    /// Settings of the template miner.
    pub templates: MinerParams,
    /// Settings of the watch over each stream.
    pub watch: WatchParams,
}

impl Default for LogConfig {
    fn default() -> Self {
        LogConfig {
            enabled: true,
            new_template_severity_min: 13,
            hold: Span::from_mins(10),
            templates: MinerParams::default(),
            watch: WatchParams::default(),
        }
    }
}

/// [`SenseConfig`] with its parameters checked and its expressions compiled.
#[derive(Clone, Debug)]
pub(crate) struct CompiledSense {
    pub(crate) metric_rules: Vec<rules::CompiledRule>,
    pub(crate) log_rules: Vec<rules::CompiledRule>,
    pub(crate) heartbeats: Vec<(HeartbeatRule, Glob)>,
    pub(crate) exhaustion: Vec<exhaustion::CompiledExhaustion>,
    pub(crate) anomalies: AnomalyConfig,
    pub(crate) anomaly_metrics: Vec<Glob>,
    pub(crate) anomaly_exclude: Vec<Glob>,
    pub(crate) detector: bellwether_models::metric::CheckedParams,
    pub(crate) logs: LogConfig,
    pub(crate) miner: bellwether_models::templates::CheckedMinerParams,
    pub(crate) watch: bellwether_models::logs::CheckedWatchParams,
}

impl CompiledSense {
    /// Checks and compiles.
    ///
    /// # Errors
    /// A sentence naming the first setting that cannot be.
    pub(crate) fn new(config: &SenseConfig) -> Result<CompiledSense, String> {
        let section = |name: &str, why: String| format!("sense.{name}: {why}");
        let (mut metric_rules, mut log_rules) = (Vec::new(), Vec::new());
        for rule in &config.rules {
            let compiled =
                rules::CompiledRule::new(rule).map_err(|e| section("rules", format!("rule `{}`: {e}", rule.name)))?;
            match rule.signal {
                RuleSignal::Metric => metric_rules.push(compiled),
                RuleSignal::Log => log_rules.push(compiled),
            }
        }
        if metric_rules.len() + config.heartbeats.len() + config.exhaustion.len() > series::CHECKS_MAX {
            let most = series::CHECKS_MAX;
            return Err(section("rules", format!("more than {most} rules, heartbeats and exhaustions")));
        }
        let mut exhaustion = Vec::new();
        for rule in &config.exhaustion {
            exhaustion.push(
                exhaustion::CompiledExhaustion::new(rule)
                    .map_err(|e| section("exhaustion", format!("`{}`: {e}", rule.name)))?,
            );
        }
        let globs = |patterns: &[String]| patterns.iter().map(|p| Glob::new(p)).collect();
        Ok(CompiledSense {
            metric_rules,
            log_rules,
            heartbeats: config.heartbeats.iter().map(|rule| (rule.clone(), Glob::new(&rule.metric))).collect(),
            exhaustion,
            anomaly_metrics: globs(&config.anomalies.metrics),
            anomaly_exclude: globs(&config.anomalies.exclude),
            detector: config.anomalies.detector.check().map_err(|e| section("anomalies.detector", e.to_string()))?,
            anomalies: config.anomalies.clone(),
            miner: config.logs.templates.clone().check().map_err(|e| section("logs.templates", e.to_string()))?,
            watch: config.logs.watch.clone().check().map_err(|e| section("logs.watch", e.to_string()))?,
            logs: config.logs.clone(),
        })
    }

    /// Whether the anomaly detector looks at metric `name`.
    pub(crate) fn watches(&self, name: &str) -> bool {
        self.anomalies.enabled
            && self.anomaly_metrics.iter().any(|glob| glob.matches(name))
            && !self.anomaly_exclude.iter().any(|glob| glob.matches(name))
    }
}
