//! [`SenseConfig`] with its parameters checked and its expressions compiled.

use super::config::{AnomalyConfig, HeartbeatRule, LogConfig, SenseConfig};
use super::exhaustion::CompiledExhaustion;
use super::glob::Glob;
use super::rules::{CompiledRule, RuleSignal};

/// Most rules, heartbeats and exhaustions together: one bit each in a series' mask.
const CHECKS_MAX: usize = 64;

/// [`SenseConfig`] with its parameters checked and its expressions compiled.
#[derive(Clone, Debug)]
pub(crate) struct CompiledSense {
    pub(crate) metric_rules: Vec<CompiledRule>,
    pub(crate) log_rules: Vec<CompiledRule>,
    pub(crate) heartbeats: Vec<(HeartbeatRule, Glob)>,
    pub(crate) exhaustion: Vec<CompiledExhaustion>,
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
                CompiledRule::new(rule).map_err(|e| section("rules", format!("rule `{}`: {e}", rule.name)))?;
            match rule.signal {
                RuleSignal::Metric => metric_rules.push(compiled),
                RuleSignal::Log => log_rules.push(compiled),
            }
        }
        if metric_rules.len() + config.heartbeats.len() + config.exhaustion.len() > CHECKS_MAX {
            let most = CHECKS_MAX;
            return Err(section("rules", format!("more than {most} rules, heartbeats and exhaustions")));
        }
        let mut exhaustion = Vec::new();
        for rule in &config.exhaustion {
            exhaustion.push(
                CompiledExhaustion::new(rule).map_err(|e| section("exhaustion", format!("`{}`: {e}", rule.name)))?,
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
