//! What differs between two readings of a configuration, by key: `engine.sense.rules`, `wires.influx`.
//! Keys only: a value may be a secret.

use serde_json::{Map, Value};

use super::Config;

/// Names are told down to this depth: deeper ones are parts of one setting.
const DEPTH_MAX: usize = 4;
/// Names that are told; beyond, only how many more there are.
const NAMES_MAX: usize = 12;

/// The keys whose values differ, in the order of the alphabet.
pub fn changed_keys(was: &Config, is: &Config) -> Vec<String> {
    let tree = |config: &Config| serde_json::to_value(config).expect("a configuration is JSON");
    let mut keys = Vec::new();
    differing("", 0, &tree(was), &tree(is), &mut keys);
    if keys.len() > NAMES_MAX {
        let more = keys.len() - NAMES_MAX;
        keys.truncate(NAMES_MAX);
        keys.push(format!("{more} more"));
    }
    keys
}

fn differing(path: &str, depth: usize, was: &Value, is: &Value, keys: &mut Vec<String>) {
    if was == is {
        return;
    }
    match (was, is) {
        (Value::Object(was), Value::Object(is)) if depth < DEPTH_MAX => {
            let names = was.keys().chain(is.keys().filter(|name| !was.contains_key(*name)));
            let mut names: Vec<&String> = names.collect();
            names.sort_unstable();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                differing(&path, depth + 1, value(was, name), value(is, name), keys);
            }
        }
        _ => keys.push(path.to_owned()),
    }
}

/// What is not there is as good as null: a section that is off.
fn value<'v>(of: &'v Map<String, Value>, name: &str) -> &'v Value {
    of.get(name).unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;

    #[test]
    fn what_differs_is_named_by_its_key_and_no_value_is_told() {
        let read = |text: &str| parse::<Config>("c.yaml", text.to_owned()).expect("reads");
        let was = read("tick: 1s\nwires: {alertmanager: {}}\nengine: {lateness: 5s}");
        let is = read(
            "tick: 2s\nwires: {alertmanager: {}, influx: {}}\n\
             engine: {lateness: 5s, sense: {rules: [{name: Secret, metric: m, when: value > 1, severity: major}]}}",
        );
        assert_eq!(changed_keys(&was, &is), ["engine.sense.rules", "tick", "wires.influx"]);
        assert!(changed_keys(&was, &was).is_empty());
        let tenants: String = (0..20).map(|n| format!("  t{n}: {{catalogue: c.yaml}}\n")).collect();
        let many = changed_keys(&was, &read(&format!("tenants:\n{tenants}")));
        assert_eq!((many.len(), many[NAMES_MAX].ends_with(" more")), (NAMES_MAX + 1, true), "{many:?}");
    }
}
