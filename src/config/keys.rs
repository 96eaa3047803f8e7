//! Every key of a document against the schema of the configuration.
//!
//! serde stops at the first unknown key and knows only the keys beside it. Here all unknown
//! keys are found in one pass and each gets the nearest known one, also from elsewhere in the
//! schema: a key in the wrong section is as common as a misspelt one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::problem::Problem;
use super::tree::{Entry, Node, Tree};

/// Names further apart than this share of their length are no suggestion.
const SIMILARITY_MIN: f64 = 0.6;

/// `$ref` chains longer than this are a loop in the schema.
const REF_STEPS_MAX: usize = 32;

/// All keys of `tree` that `schema` (JSON Schema, draft 2020-12) does not know.
pub fn unknown_keys(tree: &Tree, schema: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let walk = Walk { root: schema };
    walk.node(tree, schema, &mut problems);
    problems
}

/// Every mapping of the schema with its keys: path as a person writes it, then the key.
/// Lists appear as `[]`, free names as `*`.
#[cfg(test)]
pub fn all_keys(schema: &Value) -> Vec<(String, String)> {
    let walk = Walk { root: schema };
    let mut out = Vec::new();
    walk.list("", schema, 0, &mut out);
    out.sort();
    out.dedup();
    out
}

struct Walk<'a> {
    root: &'a Value,
}

/// What a mapping may hold.
#[derive(Default)]
struct Shape<'a> {
    keys: BTreeMap<&'a str, &'a Value>,
    others: Option<&'a Value>,
    items: Option<&'a Value>,
    open: bool,
}

impl<'a> Walk<'a> {
    fn node(&self, tree: &Tree, schema: &'a Value, problems: &mut Vec<Problem>) {
        let mut shape = Shape::default();
        self.gather(tree, schema, &mut shape, 0);
        match &tree.node {
            Node::Map(entries) => entries.iter().for_each(|entry| self.entry(entry, &shape, problems)),
            Node::List(items) => {
                if let Some(schema) = shape.items {
                    items.iter().for_each(|item| self.node(item, schema, problems));
                }
            }
            _ => {}
        }
    }

    fn entry(&self, entry: &Entry, shape: &Shape<'a>, problems: &mut Vec<Problem>) {
        if let Some(schema) = shape.keys.get(entry.key.as_str()).copied().or(shape.others) {
            self.node(&entry.value, schema, problems);
        } else if !shape.open && !shape.keys.is_empty() {
            let known: Vec<&str> = shape.keys.keys().copied().collect();
            problems.push(
                Problem::new(entry.place, format!("unknown key `{}`", entry.key))
                    .with_remedy(remedy(&entry.key, &known)),
            );
        }
    }

    /// Collects what `schema` allows, choosing among tagged variants by what `tree` says.
    fn gather(&self, tree: &Tree, schema: &'a Value, shape: &mut Shape<'a>, steps: usize) {
        let Value::Object(object) = schema else {
            shape.open |= schema == &Value::Bool(true);
            return;
        };
        if steps > REF_STEPS_MAX {
            return;
        }
        if let Some(target) = self.target(object) {
            self.gather(tree, target, shape, steps + 1);
        }
        if let Some(properties) = object.get("properties").and_then(Value::as_object) {
            shape.keys.extend(properties.iter().map(|(key, schema)| (key.as_str(), schema)));
        }
        match object.get("additionalProperties") {
            Some(schema @ Value::Object(_)) => shape.others = Some(schema),
            Some(Value::Bool(true)) => shape.open = true,
            _ => {}
        }
        shape.items = object.get("items").or(shape.items);
        for part in object.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.gather(tree, part, shape, steps + 1);
        }
        for word in ["oneOf", "anyOf"] {
            let variants: Vec<&Value> = object.get(word).and_then(Value::as_array).into_iter().flatten().collect();
            let chosen: Vec<&&Value> = variants.iter().filter(|v| self.says_so(tree, v)).collect();
            let offered = if chosen.is_empty() { variants.iter().collect() } else { chosen };
            offered.into_iter().for_each(|variant| self.gather(tree, variant, shape, steps + 1));
        }
    }

    /// Whether a tagged variant's constant is what the document says.
    fn says_so(&self, tree: &Tree, variant: &'a Value) -> bool {
        let Some(object) = variant.as_object() else { return false };
        let properties = object.get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().any(|(key, schema)| {
            let constant = schema.get("const").and_then(Value::as_str);
            constant.is_some() && constant == tree.get(key).and_then(Tree::text)
        })
    }

    fn target(&self, object: &'a Map<String, Value>) -> Option<&'a Value> {
        let name = object.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
        self.root.get("$defs")?.get(name)
    }

    #[cfg(test)]
    fn list(&self, path: &str, schema: &'a Value, depth: usize, out: &mut Vec<(String, String)>) {
        if depth > REF_STEPS_MAX {
            return;
        }
        let Some(object) = schema.as_object() else { return };
        if let Some(target) = self.target(object) {
            self.list(path, target, depth + 1, out);
        }
        for (key, schema) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
            out.push((path.to_owned(), key.clone()));
            self.list(&format!("{path}/{key}"), schema, depth + 1, out);
        }
        if let Some(schema) = object.get("items") {
            self.list(&format!("{path}/[]"), schema, depth + 1, out);
        }
        if let Some(schema @ Value::Object(_)) = object.get("additionalProperties") {
            self.list(&format!("{path}/*"), schema, depth + 1, out);
        }
        for word in ["allOf", "oneOf", "anyOf"] {
            for (index, part) in object.get(word).and_then(Value::as_array).into_iter().flatten().enumerate() {
                let tag = variant_tag(part).map_or(String::new(), |tag| format!("/({index}:{tag})"));
                self.list(&format!("{path}{tag}"), part, depth + 1, out);
            }
        }
    }
}

/// `key=constant` of a tagged variant.
#[cfg(test)]
fn variant_tag(variant: &Value) -> Option<String> {
    let properties = variant.get("properties")?.as_object()?;
    properties.iter().find_map(|(key, schema)| {
        let constant = schema.get("const")?.as_str()?;
        Some(format!("{key}={constant}"))
    })
}

fn remedy(key: &str, known: &[&str]) -> String {
    match nearest(key, known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known name most like `word`, when one is like it at all.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let word = plain(word);
    known
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&word, &plain(name)), *name))
        .filter(|(likeness, _)| *likeness >= SIMILARITY_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Value {
        json!({
            "properties": {"engine": {"$ref": "#/$defs/Engine"}, "sinks": {"items": {"oneOf": [
                {"properties": {"type": {"const": "file"}, "path": {}}},
                {"properties": {"type": {"const": "nats"}, "url": {}}}
            ]}}, "names": {"additionalProperties": {"$ref": "#/$defs/Engine"}}},
            "$defs": {"Engine": {"properties": {"lateness": {}, "next": {"anyOf": [{"$ref": "#/$defs/Engine"}, {"type": "null"}]}}}}
        })
    }

    fn messages(text: &str) -> Vec<String> {
        let problems = unknown_keys(&Tree::parse(text).expect("YAML"), &schema());
        problems.iter().map(|p| format!("{}: {} {}", p.place.line, p.message, p.remedy)).collect()
    }

    #[test]
    fn all_unknown_keys_are_found_with_the_nearest_known_one() {
        assert_eq!(
            messages("engine:\n  latenes: 1\n  next: {Late-ness: 2}\nsincs: []\n"),
            [
                "2: unknown key `latenes` did you mean `lateness`?",
                "3: unknown key `Late-ness` did you mean `lateness`?",
                "4: unknown key `sincs` did you mean `sinks`?",
            ]
        );
        assert_eq!(messages("names: {anything: {lateness: 1}}"), Vec::<String>::new());
    }

    #[test]
    fn the_tag_chooses_which_keys_are_known() {
        assert_eq!(messages("sinks: [{type: file, path: x}]"), Vec::<String>::new());
        assert_eq!(messages("sinks: [{type: file, url: x}]"), ["1: unknown key `url` known here: path, type"]);
    }

    /// A document that is right down to `path` and has `key` there.
    fn document(path: &str, key: &str) -> Value {
        let mut value = json!({ key: 1 });
        for step in path.split('/').skip(1).collect::<Vec<_>>().into_iter().rev() {
            value = match step.strip_prefix('(').and_then(|s| s.strip_suffix(')')) {
                Some(tag) => {
                    let (_, tag) = tag.split_once(':').expect("index:tag");
                    let (tag, constant) = tag.split_once('=').expect("tag=constant");
                    value.as_object_mut().expect("a mapping").insert(tag.to_owned(), json!(constant));
                    value
                }
                None if step == "[]" => json!([value]),
                None if step == "*" => json!({ "anything": value }),
                None => json!({ step: value }),
            };
        }
        value
    }

    /// The key with its middle letter doubled.
    fn misspelt(key: &str) -> String {
        let middle = key.len() / 2;
        format!("{}{}{}", &key[..middle], &key[middle..=middle], &key[middle..])
    }

    fn each_key_is_suggested(schema: &Value) -> usize {
        let keys = all_keys(schema);
        for (path, key) in &keys {
            let text = document(path, &misspelt(key)).to_string();
            let problems = unknown_keys(&Tree::parse(&text).expect("JSON is YAML"), schema);
            assert_eq!(problems.len(), 1, "{path}/{key}: {text}");
            assert_eq!(problems[0].remedy, format!("did you mean `{key}`?"), "{path}/{key}");
            let right = document(path, key).to_string();
            assert_eq!(unknown_keys(&Tree::parse(&right).expect("YAML"), schema), [], "{path}/{key}");
        }
        keys.len()
    }

    #[test]
    fn every_key_of_the_configuration_is_suggested_when_it_is_misspelt() {
        let keys = each_key_is_suggested(&crate::config::schema_of::<crate::config::Config>());
        assert!(keys >= 8, "{keys} keys: the schema is not read");
    }

    #[test]
    fn every_key_of_a_catalogue_is_suggested_when_it_is_misspelt() {
        let keys = each_key_is_suggested(&crate::config::schema_of::<bellwether_engine::catalogue::Catalogue>());
        assert!(keys >= 30, "{keys} keys: the schema is not read");
    }
}
