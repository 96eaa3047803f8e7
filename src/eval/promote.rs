//! From parameters of models to the engine's configuration: where each has its place there.
//!
//! | parameters | in the configuration |
//! |---|---|
//! | `metric.model` | `engine.sense.anomalies.model` |
//! | `detector` | `engine.sense.anomalies.detector` |
//! | `miner` | `engine.sense.logs.templates` |
//! | `correlate` | `engine.correlate` |
//!
//! The engine does not run the other models, or not by these parameters: `multi`, `episodes`,
//! `precedence`, `causes`, `exhaustion`.

use super::settings::Settings;
use crate::config::overlay::merge;
use serde_json::{Value, json};

/// Where a section stands in the engine's configuration.
fn place(section: &str) -> Option<&'static [&'static str]> {
    match section {
        "metric" => Some(&["sense", "anomalies"]),
        "detector" => Some(&["sense", "anomalies", "detector"]),
        "miner" => Some(&["sense", "logs", "templates"]),
        "correlate" => Some(&["correlate"]),
        _ => None,
    }
}

/// What parameters say in the engine's configuration; `None` for a section that has no place there.
#[must_use]
pub fn engine_settings(parameters: &Value) -> Option<Value> {
    let mut out = json!({});
    for (section, keys) in parameters.as_object()? {
        let nested = place(section)?.iter().rev().fold(keys.clone(), |inner, key| json!({ *key: inner }));
        merge(&mut out, &nested);
    }
    Some(out)
}

/// What was said in `settings`, of the sections that the engine knows.
#[must_use]
pub fn said(settings: &Settings) -> Value {
    let sections = settings.said.as_object().into_iter().flatten();
    // An empty section says nothing.
    let known = sections.filter(|(section, keys)| place(section).is_some() && keys.is_object());
    let known: Value = known.map(|(section, keys)| (section.clone(), keys.clone())).collect();
    engine_settings(&known).unwrap_or_else(|| json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::overlay::lay_over;
    use bellwether_engine::EngineConfig;

    #[test]
    fn every_parameter_that_has_a_place_is_a_setting_of_the_engine() {
        let settings = serde_json::to_value(Settings::default()).expect("JSON");
        for (section, keys) in settings.as_object().expect("sections") {
            let promoted = engine_settings(&json!({ section: keys }));
            assert_eq!(promoted.is_some(), place(section).is_some(), "{section}");
            if let Some(promoted) = promoted {
                let laid = lay_over(&EngineConfig::default(), &promoted).expect("settings of the engine");
                assert_eq!(laid, EngineConfig::default(), "{section} has the defaults of the engine");
            }
        }
    }

    #[test]
    fn what_was_said_is_laid_over_also_where_it_is_the_default() {
        let usual = Settings::default().correlate.threshold;
        let change =
            json!({"detector": {"memory_points": 20.0}, "correlate": {"threshold": usual}, "multi": {"ridge": 1.0}});
        let settings = Settings::default().with(&change).expect("in range");
        let both =
            json!({"sense": {"anomalies": {"detector": {"memory_points": 20.0}}}, "correlate": {"threshold": usual}});
        assert_eq!(said(&settings), both);
        assert_eq!(said(&Settings::default()), json!({}));
    }
}
