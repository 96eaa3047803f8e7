//! A mapping file: which part of somebody's payload is which part of an alert.
//!
//! ```yaml
//! source: nagios
//! name: ["{SERVICEDESC}", "host state"]     # the first whose parts are all there
//! entity: ["host:{HOSTNAME}"]
//! status: {of: ["{SERVICESTATE}"], values: {OK: resolved, CRITICAL: firing}}
//! severity: {of: ["{SERVICESTATE}"], values: {CRITICAL: critical}}
//! fingerprint: ["{HOSTNAME}", "{SERVICEDESC}"]
//! annotations: {summary: ["{SERVICEOUTPUT}"]}
//! ```
//!
//! `{path}` stands for the text at a path of the payload: `{host.name}`, `{tags.0.value}`. All
//! else stands for itself.

use std::collections::BTreeMap;
use std::path::Path;

use bellwether_engine::signal::{LABELS_MAX, Severity};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::decode::json::text_at;

/// Names less like each other than this are no suggestion; as for the main configuration.
const SIMILARITY_MIN: f64 = 0.6;

/// Largest mapping file: a person wrote it.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Largest text one template gives; annotations are cut further.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// A mapping file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The tool that sends, e.g. `zabbix`.
    pub source: String,
    /// Path of the list of alerts; absent when the payload is one alert.
    #[serde(default)]
    pub list: Option<String>,
    /// Payloads that are no alerts: a template, and the texts it must not give.
    #[serde(default)]
    pub skip: Vec<Skip>,
    /// The alert's name.
    pub name: Templates,
    /// The entity, `type:name`; the name is made canonical.
    pub entity: Templates,
    /// Firing or resolved.
    pub status: Choice<Status>,
    /// How bad; what is in no value map is read as the words of monitoring tools are.
    #[serde(default)]
    pub severity: Choice<Severity>,
    /// What identifies the alert: at least one must give a text.
    pub fingerprint: Vec<Template>,
    /// Labels by name.
    #[serde(default)]
    pub labels: BTreeMap<String, Templates>,
    /// Descriptive texts by name.
    #[serde(default)]
    pub annotations: BTreeMap<String, Templates>,
    /// When it began: RFC 3339 or a number since 1970; the time of receipt otherwise.
    #[serde(default)]
    pub starts_at: Templates,
    /// Where a person can look at it.
    #[serde(default)]
    pub url: Templates,
}

/// What is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Skip {
    /// The text looked at.
    pub of: Template,
    /// Texts of payloads that are left out; case does not matter.
    pub values: Vec<String>,
}

/// A word chosen by a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "T: Deserialize<'de>"))]
pub struct Choice<T> {
    /// The text looked at.
    #[serde(default)]
    pub of: Templates,
    /// The word for each text; case does not matter.
    #[serde(default)]
    pub values: BTreeMap<String, T>,
}

impl<T> Default for Choice<T> {
    fn default() -> Choice<T> {
        Choice { of: Templates::default(), values: BTreeMap::new() }
    }
}

impl<T: Copy> Choice<T> {
    /// The text, and the word for it.
    pub(super) fn read(&self, payload: &Value) -> (Option<String>, Option<T>) {
        let text = self.of.read(payload);
        let same =
            |(value, _): &(&String, &T)| text.as_ref().is_some_and(|text| value.eq_ignore_ascii_case(text.trim()));
        let word = self.values.iter().find(same).map(|(_, word)| *word);
        (text, word)
    }
}

/// Whether an alert fires.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It holds.
    Firing,
    /// It has ended.
    Resolved,
}

/// Templates, of which the first counts whose parts are all there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Templates(pub Vec<Template>);

impl<'de> Deserialize<'de> for Templates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Templates, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMore {
            One(String),
            More(Vec<String>),
        }
        let written = match OneOrMore::deserialize(deserializer)? {
            OneOrMore::One(written) => vec![written],
            OneOrMore::More(written) => written,
        };
        let templates: Result<Vec<Template>, TemplateError> =
            written.iter().map(|text| Template::parse(text)).collect();
        templates.map(Templates).map_err(serde::de::Error::custom)
    }
}

impl Templates {
    pub(super) fn read(&self, payload: &Value) -> Option<String> {
        self.0.iter().find_map(|template| template.read(payload))
    }
}

/// Why a template cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace too few.
    #[error("`{0}` opens a brace and does not close it: write `{{path}}`")]
    Open(String),
    /// Nothing to look up.
    #[error("`{0}` has no path between its braces: write `{{path}}`")]
    Empty(String),
}

/// A text with `{path}` in it.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[schemars(with = "String")]
pub struct Template {
    written: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Path(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// [`TemplateError`] names the template.
    pub fn parse(written: &str) -> Result<Template, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = written;
        while let Some(open) = rest.find('{') {
            let Some(length) = rest[open..].find('}') else {
                return Err(TemplateError::Open(written.to_owned()));
            };
            let path = rest[open + 1..open + length].trim();
            if path.is_empty() || path.contains('{') {
                return Err(TemplateError::Empty(written.to_owned()));
            }
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            parts.push(Part::Path(path.to_owned()));
            rest = &rest[open + length + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Template { written: written.to_owned(), parts })
    }

    /// The text; `None` when one of its paths leads nowhere.
    pub(super) fn read(&self, payload: &Value) -> Option<String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Path(path) => out.push_str(&text_at(payload, path)?),
            }
            if out.len() > TEXT_BYTES_MAX {
                return None;
            }
        }
        Some(out).filter(|text| !text.trim().is_empty())
    }
}

impl Serialize for Template {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
        let written = String::deserialize(deserializer)?;
        Template::parse(&written).map_err(serde::de::Error::custom)
    }
}

/// Why a mapping file is not used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file}:{line}:{column}: {reason}")]
pub struct MappingError {
    file: String,
    line: u64,
    column: u64,
    reason: String,
}

impl Mapping {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`MappingError`] with the line, and the nearest known key for one that is not known.
    pub fn load(path: &Path) -> Result<Mapping, MappingError> {
        let file = path.display().to_string();
        let unreadable = |reason: String| MappingError { file: file.clone(), line: 1, column: 1, reason };
        let length = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
        if length > FILE_BYTES_MAX {
            return Err(unreadable(format!("has {length} bytes, more than {FILE_BYTES_MAX}")));
        }
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
        Mapping::parse(&file, &text)
    }

    /// Reads `text`; `file` names it in complaints.
    ///
    /// # Errors
    /// As [`Mapping::load`].
    pub fn parse(file: &str, text: &str) -> Result<Mapping, MappingError> {
        let mapping: Mapping = serde_saphyr::from_str(text).map_err(|error| {
            let (line, column) = error.location().map_or((1, 1), |place| (place.line(), place.column()));
            let reason = match error.without_snippet() {
                serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => unknown_key(field, expected),
                other => {
                    let whole = other.to_string();
                    let line = whole.lines().next().unwrap_or_default();
                    line.split(" at line ").next().unwrap_or(line).trim_end_matches(':').to_owned()
                }
            };
            MappingError { file: file.to_owned(), line, column, reason }
        })?;
        let wrong =
            |reason: &str| MappingError { file: file.to_owned(), line: 1, column: 1, reason: reason.to_owned() };
        if mapping.fingerprint.is_empty() {
            return Err(wrong("`fingerprint` is empty: name what tells one alert from another"));
        }
        if mapping.labels.len() > LABELS_MAX || mapping.annotations.len() > LABELS_MAX {
            return Err(wrong("more labels or annotations than an alert keeps (40)"));
        }
        Ok(mapping)
    }
}

/// The complaint about a key, with the nearest known one.
fn unknown_key(unknown: &str, known: &[&str]) -> String {
    let likeness = |name: &str| strsim::normalized_damerau_levenshtein(unknown, name);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match nearest.filter(|name| likeness(name) >= SIMILARITY_MIN) {
        Some(name) => format!("unknown key `{unknown}`, did you mean `{name}`?"),
        None => format!("unknown key `{unknown}`, known here: {}", known.join(", ")),
    }
}
