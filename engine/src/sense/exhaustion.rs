//! Exhaustion: says when a resource runs out, while there is time to act.

use bellwether_models::exhaustion::{CheckedExhaustionParams, Coverage, Exhaustion, ExhaustionParams, Forecast};
use bellwether_models::shared::ParamError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::glob::Glob;
use super::meta::SeriesMeta;
use super::partners::Partner;
use super::raise::{Raise, short};
use super::selector::LabelSelector;
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
    /// Labels that a series must have: a pattern, with `!` before it what must not be.
    #[serde(default, rename = "where", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The value at which it is full, in the metric's unit; with `limit_of` the share of that, 1 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// The metric of the same entity that says how much there is: `process_max_fds` for `process_open_fds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_of: Option<String>,
    /// Labels by which a series and that of its limit belong together; without them all must be equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<String>>,
    /// It is used up when it falls to the limit, which is 0 where nothing is said: free bytes, days until a
    /// certificate ends.
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
    /// What its limit is known by, where another series tells it.
    pub(super) partner: Option<u64>,
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
    labels: LabelSelector,
    limit: f64,
    params: CheckedExhaustionParams,
    partner: Option<Partner>,
}

/// Why an exhaustion cannot be watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExhaustionError {
    /// A value is out of bounds.
    #[error(transparent)]
    Params(#[from] ParamError),
    /// It rises, and nothing says where it ends.
    #[error("nothing says when it is full: write `limit`, or `limit_of` with the metric that tells it")]
    NoLimit,
    /// Labels for a limit that is written down.
    #[error("`on` says which series of `limit_of` tells the limit: write that too, or leave `on` out")]
    OnAlone,
}

/// The level of a resource at one moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Reached {
    pub(super) at: EventTime,
    /// In the metric's unit.
    pub(super) value: f64,
    /// What another series said is the whole.
    pub(super) whole: Option<f64>,
}

impl CompiledExhaustion {
    pub(super) fn new(rule: &ExhaustionRule) -> Result<CompiledExhaustion, ExhaustionError> {
        let limit = match (rule.limit, rule.falling, &rule.limit_of) {
            (Some(limit), ..) => limit,
            (None, true, _) => 0.0,
            (None, false, Some(_)) => 1.0,
            (None, false, None) => return Err(ExhaustionError::NoLimit),
        };
        if rule.on.is_some() && rule.limit_of.is_none() {
            return Err(ExhaustionError::OnAlone);
        }
        let params = ExhaustionParams {
            limit,
            horizon_ns: rule.horizon.0,
            falling: rule.falling,
            quantile: rule.quantile,
            ..ExhaustionParams::default()
        };
        Ok(CompiledExhaustion {
            rule: rule.clone(),
            glob: Glob::new(&rule.metric),
            labels: LabelSelector::new(&rule.labels),
            limit,
            params: params.check()?,
            partner: rule.limit_of.as_deref().map(|metric| Partner::new(metric, rule.on.as_deref())),
        })
    }

    pub(super) fn rule(&self) -> &ExhaustionRule {
        &self.rule
    }

    pub(super) fn params(&self) -> &CheckedExhaustionParams {
        &self.params
    }

    /// Where it is used up: a share where another series tells the whole.
    pub(super) fn limit(&self) -> f64 {
        self.limit
    }

    pub(super) fn selects(&self, meta: &SeriesMeta) -> bool {
        self.glob.matches(&meta.name) && self.labels.matches(&meta.labels)
    }

    /// Which series tells the limit, where it is not written down.
    pub(super) fn partner(&self) -> Option<&Partner> {
        self.partner.as_ref()
    }

    /// The watch of one series by this rule, which has that number.
    pub(super) fn state(&self, rule: usize, meta: &SeriesMeta) -> ExhaustionState {
        let partner = self.partner.as_ref().map(|partner| partner.key(meta));
        ExhaustionState { rule: rule as u16, partner, model: Exhaustion::default(), since: None, calm: 0 }
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
        now: Reached,
    ) -> Option<(EventTime, Sensed)> {
        let at = now.at;
        let forecast = state.model.update(&self.params, at.0, now.value / now.whole.unwrap_or(1.0));
        match forecast {
            Some(forecast) if forecast.full_within_horizon => {
                state.calm = 0;
                if state.since.is_some() {
                    return None;
                }
                state.since = Some(at);
                Some(self.alert(meta, AlertStatus::Firing, at, now, &forecast))
            }
            Some(forecast) => {
                let since = state.since?;
                state.calm += 1;
                if state.calm < CALM_DECISIONS {
                    return None;
                }
                state.since = None;
                Some(self.alert(meta, AlertStatus::Resolved, since, now, &forecast))
            }
            None => None,
        }
    }

    fn alert(
        &self,
        meta: &SeriesMeta,
        status: AlertStatus,
        since: EventTime,
        Reached { at, whole, .. }: Reached,
        forecast: &Forecast,
    ) -> (EventTime, Sensed) {
        let (level, limit) = match (whole, &self.rule.limit_of) {
            (Some(whole), Some(metric)) => (
                format!("{} % of {metric} ({})", short(100.0 * forecast.level), short(whole)),
                format!("{} %", short(100.0 * self.limit)),
            ),
            _ => (short(forecast.level), short(self.limit)),
        };
        let summary = match status {
            AlertStatus::Firing => format!(
                "{} on {} is at {level} and reaches {limit} in about {} (between {} and {}{}){}",
                meta.name,
                meta.entity,
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
                value: Some(forecast.level * whole.unwrap_or(1.0)),
                expected: Some(self.limit * whole.unwrap_or(1.0)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(rule: serde_json::Value) -> Result<CompiledExhaustion, ExhaustionError> {
        CompiledExhaustion::new(&serde_json::from_value(rule).expect("it is a rule"))
    }

    #[test]
    fn a_rule_says_where_it_ends() {
        let limit = |rule| compiled(rule).map(|compiled| compiled.limit).map_err(|why| why.to_string());
        assert_eq!(limit(serde_json::json!({"name": "A", "metric": "a", "limit": 90})), Ok(90.0));
        assert_eq!(limit(serde_json::json!({"name": "A", "metric": "a", "falling": true})), Ok(0.0));
        assert_eq!(limit(serde_json::json!({"name": "A", "metric": "a", "limit_of": "b"})), Ok(1.0));
        assert!(limit(serde_json::json!({"name": "A", "metric": "a"})).is_err_and(|why| why.contains("`limit_of`")));
        let on_alone = serde_json::json!({"name": "A", "metric": "a", "limit": 1, "on": ["b"]});
        assert!(limit(on_alone).is_err_and(|why| why.contains("`limit_of`")));
    }

    #[test]
    fn labels_choose_what_a_rule_watches() {
        let rule = serde_json::json!({"name": "A", "metric": "disk*", "where": {"mount": "!/tmp*"}, "limit": 100});
        let compiled = compiled(rule).expect("it can be watched");
        let of = |mount: &str| SeriesMeta {
            name: "disk_used".into(),
            entity: "host:a".into(),
            unit: "%".into(),
            series_type: crate::signal::SeriesType::Gauge,
            labels: [("mount".into(), mount.into())].into(),
        };
        assert!(compiled.selects(&of("/")) && !compiled.selects(&of("/tmp/x")));
    }
}
