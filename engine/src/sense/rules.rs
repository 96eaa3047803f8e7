//! Rules: a SQL condition over metrics or logs that has to hold for a while.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::glob::Glob;
use super::line::LogLine;
use super::meta::SeriesMeta;
use super::raise::{Raise, short};
use super::sample::Row;
use crate::alert::{DetectorKind, Observation, Sensed, label};
use crate::entity::split_entity;
use crate::expr::{ColumnNeed, Expression, ExpressionError, LOG_COLUMNS, METRIC_COLUMNS};
use crate::incident::EvidenceSignal;
use crate::signal::{AlertStatus, Severity};
use crate::time::{EventTime, Span};

/// Which signal a rule reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RuleSignal {
    /// Metric samples; columns value, name, entity, entity_type, unit and any label.
    #[default]
    Metric,
    /// Log lines; columns body, severity (number), entity, entity_type and any attribute.
    Log,
}

/// A condition that raises an alert while it holds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the alert.
    pub name: String,
    /// What to look at.
    #[serde(default)]
    pub signal: RuleSignal,
    /// Metric name; `*` stands for anything.
    #[serde(default = "any_metric")]
    pub metric: String,
    /// SQL condition, e.g. `value > 0.05 AND env = 'prod'`.
    pub when: String,
    /// How long it has to hold. For logs: how long the alert stays after the last line.
    #[serde(default, rename = "for")]
    pub hold: Span,
    /// How bad it is.
    #[serde(default)]
    pub severity: Severity,
    /// What to tell people; the value is added.
    #[serde(default)]
    pub summary: String,
}

fn any_metric() -> String {
    "*".to_owned()
}

/// How long an alert from a log line stays when the rule says nothing.
const LOG_HOLD: Span = Span::from_mins(5);

/// State of one rule on one series.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct RuleState {
    /// The rule's bit.
    pub(super) rule: u8,
    /// The condition has held since.
    pub(super) since: Option<EventTime>,
    /// An alert has been raised.
    pub(super) firing: bool,
}

/// A rule with its condition compiled.
#[derive(Clone, Debug)]
pub(crate) struct CompiledRule {
    rule: Rule,
    glob: Glob,
    when: Expression,
}

impl CompiledRule {
    pub(super) fn new(rule: &Rule) -> Result<CompiledRule, ExpressionError> {
        let vocabulary = match rule.signal {
            RuleSignal::Metric => METRIC_COLUMNS,
            RuleSignal::Log => LOG_COLUMNS,
        };
        Ok(CompiledRule {
            rule: rule.clone(),
            glob: Glob::new(&rule.metric),
            when: Expression::compile(&rule.when, vocabulary)?,
        })
    }

    /// Whether `other` asks for the same.
    pub(super) fn is_same(&self, other: &CompiledRule) -> bool {
        self.rule == other.rule
    }

    /// Whether the rule looks at metric `name`.
    pub(super) fn selects(&self, name: &str) -> bool {
        self.glob.matches(name)
    }

    /// The condition over metric rows; `meta` finds a row's series.
    pub(super) fn answers<'a>(
        &self,
        rows: &[Row],
        meta: impl Fn(u64) -> &'a SeriesMeta,
    ) -> (BooleanArray, Option<String>) {
        let text = |of: &dyn Fn(&'a SeriesMeta) -> Option<&'a str>| {
            let column: StringArray = rows.iter().map(|row| of(meta(row.series))).collect();
            Arc::new(column) as ArrayRef
        };
        let columns = self
            .when
            .needs()
            .map(|need| match need {
                ColumnNeed::Base(0) => {
                    Arc::new(rows.iter().map(|row| Some(row.value)).collect::<Float64Array>()) as ArrayRef
                }
                ColumnNeed::Base(1) => text(&|m| Some(&*m.name)),
                ColumnNeed::Base(2) => text(&|m| Some(&*m.entity)),
                ColumnNeed::Base(3) => text(&|m| Some(split_entity(&m.entity).0)),
                ColumnNeed::Base(_) => text(&|m| Some(&*m.unit)),
                ColumnNeed::Label(name) => text(&|m| label(&m.labels, name)),
            })
            .collect();
        self.when.evaluate(columns, rows.len())
    }

    /// The condition over log lines.
    pub(super) fn log_answers(&self, lines: &[LogLine]) -> (BooleanArray, Option<String>) {
        let text = |of: &dyn Fn(&LogLine) -> Option<String>| {
            Arc::new(lines.iter().map(of).collect::<StringArray>()) as ArrayRef
        };
        let columns = self
            .when
            .needs()
            .map(|need| match need {
                ColumnNeed::Base(0) => text(&|l| Some(l.body().to_owned())),
                ColumnNeed::Base(1) => {
                    let severities = lines.iter().map(|l| Some(i64::from(l.severity)));
                    Arc::new(severities.collect::<Int64Array>()) as ArrayRef
                }
                ColumnNeed::Base(2) => text(&|l| Some(l.entity().to_owned())),
                ColumnNeed::Base(_) => text(&|l| Some(split_entity(l.entity()).0.to_owned())),
                ColumnNeed::Label(name) => text(&|l| l.attribute(name).map(str::to_owned)),
            })
            .collect();
        self.when.evaluate(columns, lines.len())
    }

    /// Moves one series' state by one answer; answers an alert to raise or to end.
    pub(super) fn step(&self, state: &mut RuleState, at: EventTime, holds: bool) -> Option<(AlertStatus, EventTime)> {
        if !holds {
            let since = state.since.take();
            let was_firing = std::mem::take(&mut state.firing);
            return was_firing.then(|| (AlertStatus::Resolved, since.unwrap_or(at)));
        }
        let since = *state.since.get_or_insert(at);
        if state.firing || at.since(since) < self.rule.hold {
            return None;
        }
        state.firing = true;
        Some((AlertStatus::Firing, since))
    }

    /// The alert of a metric rule.
    pub(super) fn alert(
        &self,
        meta: &SeriesMeta,
        status: AlertStatus,
        since: EventTime,
        at: EventTime,
        value: f64,
    ) -> (EventTime, Sensed) {
        let says = if self.rule.summary.is_empty() {
            format!("{} on {}", meta.name, meta.entity)
        } else {
            self.rule.summary.clone()
        };
        Raise {
            summary: format!("{says}: {} {} ({})", short(value), meta.unit, self.rule.when).replace("  ", " "),
            observation: Some(Observation {
                signal: EvidenceSignal::Metric,
                name: meta.name.clone(),
                value: Some(value),
                expected: None,
                score: 1.0,
                detector: DetectorKind::Rule,
                felt: false,
            }),
            ..Raise::of_series((&self.rule.name, self.rule.severity), meta, status, since)
        }
        .at(at)
    }

    /// The alert of a log rule, raised by one line.
    pub(super) fn log_alert(&self, line: &LogLine) -> (EventTime, Sensed) {
        let hold = if self.rule.hold == Span::ZERO { LOG_HOLD } else { self.rule.hold };
        let says = if self.rule.summary.is_empty() { &self.rule.name } else { &self.rule.summary };
        let body: String = line.body().chars().take(200).collect();
        Raise {
            name: &self.rule.name,
            entity: line.entity(),
            severity: self.rule.severity,
            status: AlertStatus::Firing,
            starts_at: line.time,
            ends_at: Some(line.time.plus(hold)),
            labels: &Box::default(),
            about: ("rule", &self.rule.name),
            summary: format!("{says}: {body}"),
            message: line.body(),
            observation: Some(Observation {
                signal: EvidenceSignal::Log,
                name: self.rule.name.as_str().into(),
                value: None,
                expected: None,
                score: 1.0,
                detector: DetectorKind::Rule,
                felt: false,
            }),
        }
        .at(line.time)
    }
}
