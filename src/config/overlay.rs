//! Engine settings laid over others: what a file says replaces what it names, key by key.

use bellwether_engine::EngineConfig;
use serde_json::Value;

/// `settings` with what `over` says instead: mappings are merged key by key, everything else is replaced.
///
/// # Errors
/// When the result is no configuration.
pub fn lay_over(settings: &EngineConfig, over: &Value) -> Result<EngineConfig, serde_json::Error> {
    let mut whole = serde_json::to_value(settings)?;
    merge(&mut whole, over);
    serde_json::from_value(whole)
}

/// Lays one document over another.
pub fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                merge(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_named_is_replaced_and_the_rest_stays() {
        let under = lay_over(&EngineConfig::default(), &json!({"lateness": "3s", "dedup": {"stale_after": "2h"}}));
        let both = lay_over(&under.expect("fits"), &json!({"sense": {"anomalies": {"metrics": ["cpu"]}}}));
        let both = both.expect("fits");
        assert_eq!(
            (both.lateness.to_string(), both.sense.anomalies.metrics),
            ("3s".to_owned(), vec!["cpu".to_owned()])
        );
        assert!(lay_over(&EngineConfig::default(), &json!({"sense": {"anomaly": {}}})).is_err());
    }
}
