//! Inhibition: while one alert fires, others that follow from it are held back.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::matches::alert_matches;
use crate::alert::{Alert, Suppression, Suppressor, label};
use crate::expr::{ALERT_COLUMNS, Expression, ExpressionError};
use crate::symbols::Symbols;

/// Sources remembered per rule; more firing sources of one rule say nothing new.
const SOURCES_MAX: usize = 10_000;

/// While an alert matching `source` fires, alerts matching `target` that agree with it in the
/// `equal` labels are held back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InhibitRule {
    /// SQL condition over alerts.
    pub source: String,
    /// SQL condition over alerts.
    pub target: String,
    /// Labels, or `entity`, in which both must agree.
    #[serde(default)]
    pub equal: Vec<String>,
}

/// A rule with its conditions compiled.
#[derive(Clone, Debug)]
pub(crate) struct CompiledInhibit {
    source: Expression,
    target: Expression,
    equal: Vec<String>,
}

impl CompiledInhibit {
    pub(super) fn new(rule: &InhibitRule) -> Result<CompiledInhibit, ExpressionError> {
        Ok(CompiledInhibit {
            source: Expression::compile(&rule.source, ALERT_COLUMNS)?,
            target: Expression::compile(&rule.target, ALERT_COLUMNS)?,
            equal: rule.equal.clone(),
        })
    }

    /// A hash of the values of the `equal` labels.
    fn key(&self, alert: &Alert, entities: &Symbols) -> u64 {
        let mut text = String::new();
        for name in &self.equal {
            let value = match name.as_str() {
                "entity" => Some(entities.text(alert.entity)),
                _ => label(&alert.labels, name),
            };
            text.push_str(value.unwrap_or(""));
            text.push('\u{1f}');
        }
        xxh3_64(text.as_bytes())
    }
}

/// The firing sources, per rule and `equal` key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Inhibitors {
    firing: BTreeMap<(u32, u64), Vec<u64>>,
    sources: usize,
}

impl Inhibitors {
    /// Notes that `alert` fires or has recovered. Answers whether it is the source of a rule.
    pub(super) fn note(
        &mut self,
        rules: &[CompiledInhibit],
        alert: &Alert,
        names: &Symbols,
        entities: &Symbols,
    ) -> bool {
        let mut is_source = false;
        for (i, rule) in rules.iter().enumerate() {
            if !alert_matches(&rule.source, alert, names, entities) {
                continue;
            }
            is_source = true;
            let key = (i as u32, rule.key(alert, entities));
            let list = self.firing.entry(key).or_default();
            let known = list.iter().position(|f| *f == alert.fingerprint);
            match (alert.is_firing(), known) {
                (true, None) if self.sources < SOURCES_MAX => {
                    list.push(alert.fingerprint);
                    self.sources += 1;
                }
                (false, Some(at)) => {
                    list.remove(at);
                    self.sources -= 1;
                }
                _ => {}
            }
            if list.is_empty() {
                self.firing.remove(&key);
            }
        }
        is_source
    }

    pub(super) fn inhibiting(
        &self,
        alert: &Alert,
        rules: &[CompiledInhibit],
        (names, entities): (&Symbols, &Symbols),
    ) -> Option<Suppression> {
        if self.firing.is_empty() {
            return None;
        }
        let (_, source) = rules.iter().enumerate().find_map(|(i, rule)| {
            let key = (i as u32, rule.key(alert, entities));
            let source = self.firing.get(&key)?.iter().find(|f| **f != alert.fingerprint)?;
            alert_matches(&rule.target, alert, names, entities).then_some((i, *source))
        })?;
        Some(Suppression {
            by: Suppressor::Inhibition,
            reason: format!("alert {source:016x} fires and says the same").into(),
            until: None,
        })
    }
}
