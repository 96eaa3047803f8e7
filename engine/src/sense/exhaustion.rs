//! Exhaustion: says when a resource runs out, while there is time to act.

use bellwether_models::exhaustion::{CheckedExhaustionParams, Coverage, Exhaustion, ExhaustionParams, Forecast};
use bellwether_models::shared::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::glob::Glob;
use super::meta::SeriesMeta;
use super::raise::{Raise, short};
use crate::alert::{DetectorKind, Observation, Sensed};
use crate::incident::EvidenceSignal;
use crate::signal::{AlertStatus, Severity};
use crate::time::{EventTime, Span};

/// A resource that may run out.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExhaustionRule {
    /// Name of the alert.
    pub name: String,
    /// Metric name; `*` stands for anything.
    pub metric: String,
    /// The value at which it is full, in the metric's unit.
    pub limit: f64,
    /// It is used up when it falls to the limit: free bytes, days until a certificate ends.
    #[serde(default)]
    pub falling: bool,
    /// The quantile of an hour's samples that is watched: 0.99 for a latency budget.
    #[serde(default = "default_quantile")]
    pub quantile: f64,
    /// Warn when it is full within this long.
    #[serde(default = "default_horizon")]
    pub horizon: Span,
    /// How bad that is.
    #[serde(default = "default_severity")]
    pub severity: Severity,
}

pub(super) fn default_horizon() -> Span {
    Span::from_hours(24)
}

fn default_quantile() -> f64 {
    ExhaustionParams::default().quantile
}

fn default_severity() -> Severity {
    Severity::Minor
}

/// Decisions in a row without an end in sight before a warning is taken back.
const CALM_DECISIONS: u8 = 3;

/// Bands checked before the share that held is told: of fewer it says little.
const CHECKED_MIN: u32 = 10;

/// State of one exhaustion watch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ExhaustionState {
    pub(super) rule: u16,
    pub(super) model: Exhaustion,
    /// When the open warning began.
    pub(super) since: Option<EventTime>,
    /// Decisions in a row that see no end.
    pub(super) calm: u8,
}

/// A rule with its parameters checked.
#[derive(Clone, Debug)]
pub(crate) struct CompiledExhaustion {
    rule: ExhaustionRule,
    glob: Glob,
    params: CheckedExhaustionParams,
}

impl CompiledExhaustion {
    pub(super) fn new(rule: &ExhaustionRule) -> Result<CompiledExhaustion, ParamError> {
        let params = ExhaustionParams {
            limit: rule.limit,
            horizon_ns: rule.horizon.0,
            falling: rule.falling,
            quantile: rule.quantile,
            ..ExhaustionParams::default()
        };
        Ok(CompiledExhaustion { rule: rule.clone(), glob: Glob::new(&rule.metric), params: params.check()? })
    }

    pub(super) fn rule(&self) -> &ExhaustionRule {
        &self.rule
    }

    pub(super) fn params(&self) -> &CheckedExhaustionParams {
        &self.params
    }

    pub(super) fn selects(&self, name: &str) -> bool {
        self.glob.matches(name)
    }

    /// The watch of one series by the rule with this number.
    pub(super) fn state(rule: usize) -> ExhaustionState {
        ExhaustionState { rule: rule as u16, model: Exhaustion::default(), since: None, calm: 0 }
    }

    /// Whether `other` watches for the same.
    pub(super) fn is_same(&self, other: &CompiledExhaustion) -> bool {
        self.rule == other.rule
    }

    /// The end of a warning whose watch is taken away.
    pub(super) fn ended(&self, meta: &SeriesMeta, since: EventTime, at: EventTime) -> (EventTime, Sensed) {
        Raise {
            summary: format!("{} on {} is no longer watched", meta.name, meta.entity),
            ..Raise::of_series((&self.rule.name, self.rule.severity), meta, AlertStatus::Resolved, since)
        }
        .at(at)
    }

    /// Moves the watch by one sample; answers an alert to raise or to end.
    pub(super) fn step(
        &self,
        state: &mut ExhaustionState,
        meta: &SeriesMeta,
        at: EventTime,
        value: f64,
    ) -> Option<(EventTime, Sensed)> {
        let forecast = state.model.update(&self.params, at.0, value);
        match forecast {
            Some(forecast) if forecast.full_within_horizon => {
                state.calm = 0;
                if state.since.is_some() {
                    return None;
                }
                state.since = Some(at);
                Some(self.alert(meta, AlertStatus::Firing, at, at, &forecast))
            }
            Some(forecast) => {
                let since = state.since?;
                state.calm += 1;
                if state.calm < CALM_DECISIONS {
                    return None;
                }
                state.since = None;
                Some(self.alert(meta, AlertStatus::Resolved, since, at, &forecast))
            }
            None => None,
        }
    }

    fn alert(
        &self,
        meta: &SeriesMeta,
        status: AlertStatus,
        since: EventTime,
        at: EventTime,
        forecast: &Forecast,
    ) -> (EventTime, Sensed) {
        let summary = match status {
            AlertStatus::Firing => format!(
                "{} on {} is at {} and reaches {} in about {} (between {} and {}{}){}",
                meta.name,
                meta.entity,
                short(forecast.level),
                short(self.rule.limit),
                hours(forecast.p50_ns),
                hours(forecast.p10_ns),
                hours(forecast.p90_ns),
                held(&forecast.coverage),
                faster(forecast, at)
            ),
            AlertStatus::Resolved => {
                format!("{} on {} no longer runs out", meta.name, meta.entity)
            }
        };
        Raise {
            summary,
            observation: Some(Observation {
                signal: EvidenceSignal::Metric,
                name: meta.name.clone(),
                value: Some(forecast.level),
                expected: Some(self.rule.limit),
                score: 0.9,
                detector: DetectorKind::Exhaustion,
                felt: false,
            }),
            ..Raise::of_series((&self.rule.name, self.rule.severity), meta, status, since)
        }
        .at(at)
    }
}

/// How far the interval is to be trusted, once that is known.
fn held(coverage: &Coverage) -> String {
    match coverage.share() {
        Some(share) if coverage.checked >= CHECKED_MIN => {
            format!("; {:.0} % of {} earlier 90 % bands held", 100.0 * share, coverage.checked)
        }
        _ => String::new(),
    }
}

/// Since when it goes faster, if that is what happened.
fn faster(forecast: &Forecast, at: EventTime) -> String {
    match forecast.faster_since_ns {
        Some(since) => format!(", faster than it used to since about {} ago", hours(at.0.saturating_sub(since))),
        None => String::new(),
    }
}

/// A time to full as people say it.
fn hours(nanos: i64) -> String {
    let minutes = nanos.max(0) / 60_000_000_000;
    match minutes {
        0..120 => format!("{minutes} min"),
        120..2880 => format!("{} h", minutes / 60),
        2880..144_000 => format!("{} days", minutes / 1440),
        _ => "more than 100 days".to_owned(),
    }
}
