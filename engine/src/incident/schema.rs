//! The record's JSON Schema, generated from the Rust types.

use serde_json::{Map, Value, json};

use super::record::{IncidentRecord, SchemaVersion};
use super::versions::SINCE_V2;

/// How long a field keeps its meaning, in the keyword `x-stability`. No field comes, goes or changes its
/// type within one `schema_version`; these differ in what may be relied on.
const STABILITY: &str = "x-stability";
/// Programs may act on it.
const STABLE: &str = "stable";
/// For people and for ranking: what stands in it becomes better from release to release, so that nothing
/// is to be read out of its wording or compared with its value.
const EVOLVING: &str = "evolving";

/// The fields that are [`EVOLVING`]; every other is [`STABLE`].
const EVOLVING_FIELDS: [&str; 13] = [
    "assignment",
    "class",
    "confidence",
    "description",
    "evidence",
    "knowledge",
    "labels",
    "model",
    "probable_causes",
    "similar",
    "summary",
    "time_left",
    "title",
];

/// The JSON Schema (2020-12) of a version of [`IncidentRecord`], generated from the types.
pub fn record_schema(version: SchemaVersion) -> Value {
    let generated =
        schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<IncidentRecord>();
    let mut schema = serde_json::to_value(generated).expect("a schema is JSON");
    let number = version.name();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), json!(format!("Incident record v{number}")));
        object.insert("$id".into(), json!(format!("https://example.org/schemas/incident/v{number}.json")));
    }
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        if let Some(field) = properties.get_mut("schema_version").and_then(Value::as_object_mut) {
            ["$ref", "oneOf", "enum"].iter().for_each(|keyword| drop(field.remove(*keyword)));
            field.insert("const".into(), json!(number));
        }
        if version == SchemaVersion::V1 {
            properties.retain(|name, _| !SINCE_V2.contains(&name.as_str()));
        }
        for (name, field) in properties {
            let stability = if EVOLVING_FIELDS.contains(&name.as_str()) { EVOLVING } else { STABLE };
            if let Some(field) = field.as_object_mut() {
                field.insert(STABILITY.into(), json!(stability));
            }
        }
    }
    if let Some(defs) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        defs.remove("SchemaVersion");
        if version == SchemaVersion::V1 {
            let similar = defs.get_mut("SimilarIncident").and_then(|def| def.get_mut("properties"));
            if let Some(properties) = similar.and_then(Value::as_object_mut) {
                properties.remove("resolution");
            }
            V2_PARTS.iter().for_each(|part| drop(defs.remove(*part)));
        }
    }
    schema
}

/// Parts of the record that only version 2 names.
const V2_PARTS: [&str; 12] = [
    "Article",
    "AssignedBy",
    "Assignment",
    "BusinessImpact",
    "Candidate",
    "Deadline",
    "DeadlineState",
    "Escalation",
    "NextEntity",
    "ProblemRef",
    "ServiceLevel",
    "TimeLeft",
];

/// A schema with everything removed that does not change which documents it accepts, so
/// that two schemas can be compared: texts and titles are dropped, `$ref`s are written out,
/// lists of constants become `enum`s, limits that only restate an integer's width go.
pub fn canonical_schema(schema: &Value) -> Value {
    let none = Map::new();
    let defs = schema.get("$defs").and_then(Value::as_object).unwrap_or(&none);
    canonical(schema, defs, 0)
}

/// References deeper than this are left as they are: the record's own are two levels deep.
const REF_DEPTH_MAX: usize = 16;

fn canonical(schema: &Value, defs: &Map<String, Value>, depth: usize) -> Value {
    let Value::Object(object) = schema else {
        return schema.clone();
    };
    if let Some(target) = referenced(object, defs)
        && depth < REF_DEPTH_MAX
    {
        return canonical(target, defs, depth + 1);
    }
    if let Some(values) = constants(object) {
        return json!({ "enum": sorted(values) });
    }
    let mut out = Map::new();
    for (key, value) in object {
        match key.as_str() {
            "description" | "title" | "$schema" | "$id" | "$defs" | "default" | STABILITY => {}
            // Integer widths of the implementation are not part of the agreement.
            "format" if value.as_str().is_some_and(|f| f.starts_with("uint") || f == "double") => {}
            "minimum" if value.as_f64() == Some(0.0) && is_width(object) => {}
            "minimum" | "maximum" => {
                out.insert(key.clone(), json!(value.as_f64()));
            }
            "properties" => {
                let properties = value.as_object().into_iter().flatten();
                let canonical_properties: Map<String, Value> =
                    properties.map(|(name, sub)| (name.clone(), canonical(sub, defs, depth))).collect();
                out.insert(key.clone(), Value::Object(canonical_properties));
            }
            "required" | "enum" | "type" if value.is_array() => {
                out.insert(key.clone(), sorted(value.as_array().cloned().unwrap_or_default()));
            }
            "enum" => {
                out.insert(key.clone(), value.clone());
            }
            _ => {
                out.insert(key.clone(), canonical(value, defs, depth));
            }
        }
    }
    // A list of strings needs no type beside it.
    if out.contains_key("enum") {
        out.remove("type");
    }
    Value::Object(out)
}

fn is_width(object: &Map<String, Value>) -> bool {
    object.get("format").and_then(Value::as_str).is_some_and(|f| f.starts_with("uint"))
        && !object.contains_key("maximum")
        && object.get("x-min").is_none()
        && object.get("format").and_then(Value::as_str) != Some("uint64")
}

fn referenced<'a>(object: &Map<String, Value>, defs: &'a Map<String, Value>) -> Option<&'a Value> {
    let target = object.get("$ref")?.as_str()?;
    defs.get(target.strip_prefix("#/$defs/")?)
}

/// The constants of `oneOf: [{const: …}, …]`, which is how documented variants come out.
fn constants(object: &Map<String, Value>) -> Option<Vec<Value>> {
    let options = object.get("oneOf")?.as_array()?;
    let mut values = Vec::new();
    for option in options {
        if let Some(value) = option.get("const") {
            values.push(value.clone());
        } else {
            values.extend(option.get("enum")?.as_array()?.iter().cloned());
        }
    }
    Some(values)
}

fn sorted(mut values: Vec<Value>) -> Value {
    values.sort_by_key(Value::to_string);
    Value::Array(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_variants_compare_equal_to_a_plain_list() {
        let documented = json!({"oneOf": [{"const": "b", "description": "x"}, {"const": "a"}]});
        let plain = json!({"enum": ["a", "b"]});
        assert_eq!(canonical_schema(&documented), canonical_schema(&plain));
    }

    #[test]
    fn a_changed_limit_is_still_seen() {
        let schema = record_schema(SchemaVersion::V1);
        let mut other = schema.clone();
        other["properties"]["title"]["maxLength"] = json!(131);
        assert_ne!(canonical_schema(&schema), canonical_schema(&other));
    }
}
