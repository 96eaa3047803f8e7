//! [`SenseConfig`] with its parameters checked and its expressions compiled.

use super::config::{AnomalyConfig, HeartbeatRule, LogConfig, SenseConfig};
use super::conventions::Conventions;
use super::exhaustion::{CompiledExhaustion, ExhaustionError};
use super::glob::Glob;
use super::partners::Partner;
use super::rules::{CompiledRule, RuleSignal};
use crate::expr::ExpressionError;

/// Most rules, heartbeats and exhaustions together: one bit each in a series' mask.
const CHECKS_MAX: usize = 64;

/// [`SenseConfig`] with its parameters checked and its expressions compiled.
#[derive(Clone, Debug)]
pub(crate) struct CompiledSense {
    pub(crate) metric_rules: Vec<CompiledRule>,
    pub(crate) log_rules: Vec<CompiledRule>,
    pub(crate) heartbeats: Vec<(HeartbeatRule, Glob)>,
    /// Those of the configuration, and those that conventions name.
    pub(crate) exhaustion: Vec<CompiledExhaustion>,
    /// How many the configuration names.
    pub(crate) exhaustions_own: usize,
    /// Which series tell the limits of others, each way once.
    pub(super) partners: Vec<Partner>,
    pub(crate) conventions: Conventions,
    pub(crate) anomalies: AnomalyConfig,
    pub(crate) anomaly_metrics: Vec<Glob>,
    pub(crate) anomaly_exclude: Vec<Glob>,
    pub(crate) detector: bellwether_models::metric::CheckedParams,
    pub(crate) logs: LogConfig,
    pub(crate) miner: bellwether_models::templates::CheckedMinerParams,
    pub(crate) watch: bellwether_models::logs::CheckedWatchParams,
}

/// Why settings of `sense` cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SenseError {
    /// The condition of a rule does not read.
    #[error("sense.rules: rule `{name}`: {why}")]
    Rule {
        /// The rule.
        name: String,
        /// What is wrong with it.
        why: ExpressionError,
    },
    /// A series has one bit for each of them.
    #[error(
        "sense.rules: more than {CHECKS_MAX} rules, heartbeats and exhaustions: let one name several metrics with `*`"
    )]
    TooMany,
    /// What an exhaustion asks for is out of bounds.
    #[error("sense.exhaustion: `{name}`: {why}")]
    Exhaustion {
        /// The exhaustion.
        name: String,
        /// What is wrong with it.
        why: ExhaustionError,
    },
    /// A parameter of a model is out of bounds.
    #[error("sense.{section}: {why}")]
    Params {
        /// Below `sense`.
        section: &'static str,
        /// Which, and its bounds.
        why: String,
    },
}

impl CompiledSense {
    /// Checks and compiles.
    ///
    /// # Errors
    /// [`SenseError`] for the first setting that cannot be.
    pub(crate) fn new(config: &SenseConfig) -> Result<CompiledSense, SenseError> {
        let (mut metric_rules, mut log_rules) = (Vec::new(), Vec::new());
        for rule in &config.rules {
            let compiled = CompiledRule::new(rule).map_err(|why| SenseError::Rule { name: rule.name.clone(), why })?;
            match rule.signal {
                RuleSignal::Metric => metric_rules.push(compiled),
                RuleSignal::Log => log_rules.push(compiled),
            }
        }
        if metric_rules.len() + config.heartbeats.len() + config.exhaustion.len() > CHECKS_MAX {
            return Err(SenseError::TooMany);
        }
        let mut exhaustion = Vec::new();
        for rule in &config.exhaustion {
            let failed = |why| SenseError::Exhaustion { name: rule.name.clone(), why };
            exhaustion.push(CompiledExhaustion::new(rule).map_err(failed)?);
        }
        let conventions = Conventions::new(&config.conventions, &mut exhaustion)
            .map_err(|(name, why)| SenseError::Exhaustion { name, why })?;
        let mut partners: Vec<Partner> = Vec::new();
        for partner in exhaustion.iter().filter_map(CompiledExhaustion::partner) {
            if !partners.contains(partner) {
                partners.push(partner.clone());
            }
        }
        let globs = |patterns: &[String]| patterns.iter().map(|p| Glob::new(p)).collect();
        let params = |section, why: String| SenseError::Params { section, why };
        Ok(CompiledSense {
            metric_rules,
            log_rules,
            heartbeats: config.heartbeats.iter().map(|rule| (rule.clone(), Glob::new(&rule.metric))).collect(),
            exhaustion,
            exhaustions_own: config.exhaustion.len(),
            partners,
            conventions,
            anomaly_metrics: globs(&config.anomalies.metrics),
            anomaly_exclude: globs(&config.anomalies.exclude),
            detector: config.anomalies.detector.check().map_err(|e| params("anomalies.detector", e.to_string()))?,
            anomalies: config.anomalies.clone(),
            miner: config.logs.templates.clone().check().map_err(|e| params("logs.templates", e.to_string()))?,
            watch: config.logs.watch.clone().check().map_err(|e| params("logs.watch", e.to_string()))?,
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
