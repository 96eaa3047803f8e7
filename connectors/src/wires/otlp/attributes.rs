//! Attributes of resources and records as flat text labels.

use std::borrow::Cow;

use bellwether_engine::signal::LABELS_MAX;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

/// Attributes of a resource that change with each start or build and describe no entity.
const RESOURCE_PREFIXES_DROPPED: [&str; 4] = ["telemetry.", "process.", "os.", "webengine."];

/// Deepest nesting of a value that is written out; protobuf itself stops at 100.
const DEPTH_MAX: usize = 16;

/// One label, borrowed where the attribute is a text.
pub(super) type Label<'a> = (&'a str, Cow<'a, str>);

/// The labels of a resource that name or place an entity.
pub(super) fn of_resource(resource: Option<&Resource>) -> Vec<Label<'_>> {
    let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
    let kept = attributes
        .iter()
        .filter(|attribute| !RESOURCE_PREFIXES_DROPPED.iter().any(|prefix| attribute.key.starts_with(prefix)));
    labels(kept)
}

/// The labels of `attributes`.
pub(super) fn of_list(attributes: &[KeyValue]) -> Vec<Label<'_>> {
    labels(attributes.iter())
}

fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> Vec<Label<'a>> {
    attributes
        .filter_map(|attribute| {
            let text = text(attribute.value.as_ref()?)?;
            (!attribute.key.is_empty()).then_some((attribute.key.as_str(), text))
        })
        .collect()
}

/// Own labels and the resource's, each name once, the own first of equal names; as many as there are,
/// for those that name the entity may stand last.
pub(super) fn all<'a>(own: &'a [Label<'_>], resource: &'a [Label<'_>]) -> Vec<(&'a str, &'a str)> {
    let mut all: Vec<(&str, &str)> = Vec::with_capacity(own.len() + resource.len());
    for (key, value) in own.iter().chain(resource) {
        if !all.iter().any(|(known, _)| known == key) {
            all.push((key, value));
        }
    }
    all
}

/// At most [`LABELS_MAX`] of [`all`], sorted.
pub(super) fn kept<'a>(mut all: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    all.truncate(LABELS_MAX);
    all.sort_unstable_by_key(|(key, _)| *key);
    all
}

/// A value as text; `None` for an absent one.
pub(super) fn text(value: &AnyValue) -> Option<Cow<'_, str>> {
    match value.value.as_ref()? {
        Value::StringValue(text) => Some(Cow::Borrowed(text)),
        _ => {
            let mut out = String::new();
            write(value, 0, &mut out);
            Some(Cow::Owned(out))
        }
    }
}

/// Writes lists and maps as JSON, and scalars as JSON would.
fn write(value: &AnyValue, depth: usize, out: &mut String) {
    use std::fmt::Write as _;
    if depth > DEPTH_MAX {
        out.push('…');
        return;
    }
    match &value.value {
        None => out.push_str("null"),
        Some(Value::StringValue(text)) if depth == 0 => out.push_str(text),
        Some(Value::StringValue(text)) => quote(text, out),
        Some(Value::BoolValue(value)) => out.push_str(if *value { "true" } else { "false" }),
        Some(Value::IntValue(value)) => {
            let _ = write!(out, "{value}");
        }
        Some(Value::DoubleValue(value)) => {
            let _ = write!(out, "{value}");
        }
        Some(Value::BytesValue(bytes)) => {
            for byte in bytes {
                let _ = write!(out, "{byte:02x}");
            }
        }
        Some(Value::ArrayValue(list)) => {
            out.push('[');
            for (index, value) in list.values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(value, depth + 1, out);
            }
            out.push(']');
        }
        Some(Value::KvlistValue(map)) => {
            out.push('{');
            for (index, pair) in map.values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                quote(&pair.key, out);
                out.push(':');
                match &pair.value {
                    Some(value) => write(value, depth + 1, out),
                    None => out.push_str("null"),
                }
            }
            out.push('}');
        }
        // A reference into a profile's table; profiles are not received.
        Some(_) => out.push_str("null"),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Lower-case hexadecimal digits of an id; `None` for an absent or all-zero one.
pub(super) fn hex_id(bytes: &[u8]) -> Option<String> {
    use std::fmt::Write as _;
    if bytes.iter().all(|byte| *byte == 0) {
        return None;
    }
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes.iter().take(32) {
        let _ = write!(out, "{byte:02x}");
    }
    Some(out)
}
