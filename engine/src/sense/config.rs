//! Settings of the `sense` stage.

use bellwether_models::logs::WatchParams;
use bellwether_models::metric::{DetectorParams, MetricModelKind};
use bellwether_models::templates::MinerParams;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conventions::Convention;
use super::exhaustion::ExhaustionRule;
use super::rules::Rule;
use crate::signal::Severity;
use crate::time::Span;

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
    /// Resources that may run out, beside those that the conventions name.
    pub exhaustion: Vec<ExhaustionRule>,
    /// What metrics mean here: before the product's own, which know the common exporters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conventions: Vec<Convention>,
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
    /// What a series does is only evidence until it has been watched for this long: an anomaly of it
    /// opens no incident before.
    #[serde(skip_serializing_if = "is_learning_default")]
    pub learning: Span,
    /// Which model looks at a series. `detector` keeps about 0.6 kB a series.
    #[serde(skip_serializing_if = "is_default")]
    pub model: MetricModelKind,
    /// Settings of the model.
    pub detector: DetectorParams,
}

/// A setting that came later is left out where it says nothing: configurations of before keep their hash.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A morning: what happens every hour has been seen some times.
const LEARNING: Span = Span::from_hours(4);

fn is_learning_default(span: &Span) -> bool {
    *span == LEARNING
}

impl Default for AnomalyConfig {
    fn default() -> Self {
        AnomalyConfig {
            enabled: true,
            metrics: vec!["*".to_owned()],
            exclude: Vec::new(),
            severity: Severity::Warning,
            calm_points: 3,
            learning: LEARNING,
            model: MetricModelKind::default(),
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
