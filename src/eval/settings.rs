//! Parameters of the models as one document, for `eval --params`, `tune` and
//! `models detect --params`:
//!
//! ```yaml
//! metric: { model: detector }
//! detector: { memory_points: 20 }
//! miner: { values_min: 4 }
//! ```
//!
//! What is not written keeps its default. A key nobody knows is refused with
//! the nearest known one, a value out of its range with the range.

use crate::config::keys::nearest;
use crate::config::overlay::merge;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use bellwether_engine::correlate::CorrelateConfig;
use bellwether_engine::{EngineConfig, check_settings};
use bellwether_models::causes::case::CaseParams;
use bellwether_models::exhaustion::ExhaustionParams;
use bellwether_models::group::{EpisodeParams, PrecedenceParams};
use bellwether_models::metric::{DetectorParams, MetricModelKind};
use bellwether_models::multi::MultiParams;
use bellwether_models::templates::MinerParams;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// Which model judges single series: by default the one that the engine runs by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricSettings {
    /// `detector`.
    pub model: MetricModelKind,
}

/// Every model's parameters, one section each.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Settings {
    /// Which model: `models detect`, `nab`, `kpi`, `wsd`, `ucr`, `ms`.
    pub metric: MetricSettings,
    /// One series, for the same.
    pub detector: DetectorParams,
    /// Several series of one entity: `asd`, `smd`.
    pub multi: MultiParams,
    /// Log templates: `templates`.
    pub miner: MinerParams,
    /// When a resource runs out: `exhaustion`.
    pub exhaustion: ExhaustionParams,
    /// Alerts into groups where no topology is known: `ait`.
    pub episodes: EpisodeParams,
    /// Alerts into groups by the evidence, as the engine is configured: `groups`, `feedback`.
    pub correlate: CorrelateConfig,
    /// Which types of alert come before which: `telecom`.
    pub precedence: PrecedenceParams,
    /// Causes of labelled cases: `petshop`, `nezha_ob`, `nezha_tt`, `sockshop`.
    pub causes: CaseParams,
    /// What was said, by section and key, also where it is the default: over the settings of a journal
    /// that makes a difference.
    #[serde(skip)]
    pub said: Value,
}

impl Settings {
    /// Reads a YAML (or JSON) file over the defaults.
    ///
    /// # Errors
    /// When the file cannot be read, names an unknown key or a value is out of
    /// its range.
    pub fn read(path: &Path) -> Result<Self> {
        Self::default().with(&document(path)?).with_context(|| format!("`{}`", path.display()))
    }

    /// Every parameter by section and key.
    ///
    /// # Errors
    /// When they are no JSON.
    pub fn document(&self) -> Result<Value> {
        let mut whole = serde_json::to_value(self)?;
        // The engine's configuration leaves it out where it is the default; it may be set all the same.
        whole["correlate"]["false_per_day"] = self.correlate.false_per_day.into();
        Ok(whole)
    }

    /// These settings with what `overrides` says instead.
    ///
    /// # Errors
    /// [`UsageError`] for unknown sections and keys, wrong types and values out
    /// of range.
    pub fn with(&self, overrides: &Value) -> Result<Self> {
        let mut whole = self.document()?;
        let sections = mapping(overrides, "the document")?;
        for (section, keys) in sections {
            let target = known(&mut whole, section, "section")?;
            for (key, value) in mapping(keys, section)? {
                *known(target, key, &format!("key in `{section}`"))? = value.clone();
            }
        }
        let mut settings: Self = serde_json::from_value(whole).map_err(|error| usage(error.to_string()))?;
        settings.check()?;
        settings.said = self.said.clone();
        merge(&mut settings.said, overrides);
        Ok(settings)
    }

    /// These settings with another model for single series, where one is named.
    #[must_use]
    pub fn with_model(self, model: Option<MetricModelKind>) -> Self {
        let Some(model) = model else { return self };
        let mut said = self.said.clone();
        merge(&mut said, &json!({ "metric": { "model": model } }));
        Self { metric: MetricSettings { model }, said, ..self }
    }

    /// Checks every section against its ranges.
    ///
    /// # Errors
    /// [`UsageError`] for the first value out of its range.
    pub fn check(&self) -> Result<()> {
        self.detector.check().map_err(|error| usage(format!("detector: {error}")))?;
        self.multi.check().map_err(|error| usage(format!("multi: {error}")))?;
        self.miner.clone().check().map_err(|error| usage(format!("miner: {error}")))?;
        self.exhaustion.check().map_err(|error| usage(format!("exhaustion: {error}")))?;
        let correlate = EngineConfig { correlate: self.correlate.clone(), ..EngineConfig::default() };
        check_settings(&correlate).map_err(|error| usage(format!("correlate: {error}")))?;
        not_negative("episodes", &serde_json::to_value(&self.episodes)?)?;
        not_negative("precedence", &serde_json::to_value(&self.precedence)?)?;
        not_negative("causes", &serde_json::to_value(&self.causes)?)?;
        Ok(())
    }
}

/// Passes when every number of a section of weights, gaps and scales is zero or more.
fn not_negative(section: &str, keys: &Value) -> Result<()> {
    let below = |value: &Value| value.as_f64().is_none_or(|number| number.is_nan() || number < 0.0);
    match mapping(keys, section)?.into_iter().find(|(_, value)| below(value)) {
        Some((key, value)) => Err(usage(format!("{section}: `{key}: {value}` is out of bounds: use 0 or more"))),
        None => Ok(()),
    }
}

/// A YAML or JSON file as a value.
///
/// # Errors
/// When it cannot be read or is neither.
pub fn document(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_saphyr::from_str(&text).map_err(|error| usage(format!("`{}` is not YAML: {error}", path.display())))
}

/// The entries of a mapping; nothing at all is an empty one.
///
/// # Errors
/// [`UsageError`] when `value` is something else.
pub fn mapping<'a>(value: &'a Value, what: &str) -> Result<Vec<(&'a String, &'a Value)>> {
    match value {
        Value::Object(map) => Ok(map.iter().collect()),
        Value::Null => Ok(Vec::new()),
        other => Err(usage(format!("`{what}` is `{other}`: write `key: value` lines"))),
    }
}

/// The entry `key` of an object whose keys are all that is allowed.
///
/// # Errors
/// [`UsageError`] naming the nearest known key, or all of them.
pub fn known<'a>(object: &'a mut Value, key: &str, what: &str) -> Result<&'a mut Value> {
    let names: Vec<String> = object.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let remedy = match nearest(key, &names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", names.join(", ")),
    };
    object.get_mut(key).ok_or_else(|| usage(format!("unknown {what} `{key}`: {remedy}")))
}

/// An error of the user's, for exit code 2.
pub(super) fn usage(message: String) -> anyhow::Error {
    anyhow::Error::new(UsageError(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_written_keeps_its_default() {
        let settings = Settings::default().with(&json!({"detector": {"memory_points": 20}})).expect("known keys");
        assert_eq!(settings.detector.memory_points, 20.0);
        assert_eq!(settings.detector.alerts_per_week, DetectorParams::default().alerts_per_week);
        assert_eq!(settings.miner, MinerParams::default());
        assert_eq!(Settings::default().with(&Value::Null).expect("empty"), Settings::default());
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_one() {
        let error = |value: Value| format!("{:#}", Settings::default().with(&value).expect_err("refused"));
        let said = error(json!({"detector": {"memory_point": 20}}));
        assert_eq!(said, "unknown key in `detector` `memory_point`: did you mean `memory_points`?");
        assert!(error(json!({"detektor": {}})).contains("did you mean `detector`?"));
        assert!(error(json!({"zzz": {}})).contains("known: "));
        assert!(error(json!({"miner": {"values_min": 2.5}})).contains("2.5"));
        assert!(error(json!({"miner": {"values_min": 1}})).contains("`values_min: 1` is out of bounds"));
        assert!(error(json!({"multi": {"ridge": -1}})).contains("use a number from"));
        assert!(error(json!({"causes": {"latency": -1}})).contains("use 0 or more"));
        assert!(error(json!([1])).contains("key: value"));
    }

    #[test]
    fn a_file_is_read_as_yaml_and_a_broken_one_is_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("params.yaml");
        std::fs::write(&path, "miner:\n  values_min: 4\n").expect("writes");
        assert_eq!(Settings::read(&path).expect("reads").miner.values_min, 4);
        std::fs::write(&path, "miner: [\n").expect("writes");
        assert!(format!("{:#}", Settings::read(&path).expect_err("broken")).contains("params.yaml"));
        assert!(Settings::read(&folder.path().join("none.yaml")).is_err());
    }
}
