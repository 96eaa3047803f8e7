//! Edges from lists written by people: CSV, YAML, and Backstage's catalogue; inventories beside them.

pub(crate) mod inventory;

use bellwether_engine::signal::Relation;
use serde_json::Value;

use crate::decode::json::{at, text_at};
use crate::intake::reject::Refusals;
use crate::resolve::entity_resolution::EntityResolver;

/// Edges found, and records that made none by reason.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found {
    pub(crate) edges: Vec<Edge>,
    pub(crate) refused: Refusals,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edge {
    pub(crate) from: String,
    pub(crate) relation: Relation,
    pub(crate) to: String,
    pub(crate) confidence: f64,
}

impl Found {
    /// Adds an edge between two entities; one to itself is refused.
    pub(crate) fn add(&mut self, from: String, relation: Relation, to: String) {
        if from == to {
            self.refused.add("edge_to_itself", 1);
            return;
        }
        self.edges.push(Edge { from, relation, to, confidence: 1.0 });
    }
}

/// Why an inventory cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TopologyError {
    /// Not YAML, nor JSON, which is a part of it.
    #[error("not YAML: {0}")]
    Yaml(String),
    /// Not JSON.
    #[error("not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Not CSV.
    #[error("not CSV: {0}")]
    Csv(#[from] csv::Error),
    /// Columns are missing.
    #[error("the header needs the columns from, to and relation")]
    Header,
}

/// All documents of a YAML stream, of which JSON is a part; a list is its members.
pub(crate) fn yaml(text: &str) -> Result<Vec<Value>, TopologyError> {
    let read = serde_saphyr::from_multiple(text);
    let documents: Vec<Value> = read.map_err(|error| TopologyError::Yaml(error.to_string()))?;
    Ok(documents.into_iter().flat_map(members).collect())
}

fn members(document: Value) -> Vec<Value> {
    match document {
        Value::Array(list) => list,
        Value::Object(mut map) => match ["topology", "items"].iter().find_map(|key| map.remove(*key)) {
            Some(Value::Array(list)) => list,
            _ => vec![Value::Object(map)],
        },
        _ => Vec::new(),
    }
}

/// `from,to,relation[,confidence]`, columns in any order; with semicolons or tabs as spreadsheets of
/// some countries write them.
pub(crate) fn csv(text: &str, resolver: &EntityResolver) -> Result<Found, TopologyError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let header = text.lines().next().unwrap_or_default();
    let count = |delimiter: u8| header.bytes().filter(|byte| *byte == delimiter).count();
    let delimiter = [b';', b'\t'].into_iter().find(|other| count(*other) > count(b',')).unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let headers = reader.headers()?.clone();
    let place = |name: &str| headers.iter().position(|header| header.eq_ignore_ascii_case(name));
    let (Some(from), Some(to), Some(relation)) = (place("from"), place("to"), place("relation")) else {
        return Err(TopologyError::Header);
    };
    let confidence = place("confidence");
    let mut found = Found::default();
    for record in reader.records() {
        let Ok(record) = record else {
            found.refused.add("malformed", 1);
            continue;
        };
        let cell = |place: usize| record.get(place).unwrap_or_default();
        let sure = confidence.map_or("", cell);
        push([cell(from), cell(relation), cell(to), sure], resolver, &mut found);
    }
    Ok(found)
}

/// `{from: …, to: …, relation: …, confidence: …}`
pub(crate) fn edges(documents: &[Value], resolver: &EntityResolver) -> Found {
    let mut found = Found::default();
    for document in documents {
        let text = |name| text_at(document, name).unwrap_or_default();
        let (from, relation, to, sure) = (text("from"), text("relation"), text("to"), text("confidence"));
        push([&from, &relation, &to, &sure], resolver, &mut found);
    }
    found
}

fn push([from, relation, to, sure]: [&str; 4], resolver: &EntityResolver, found: &mut Found) {
    let (Some(from), Some(to)) = (resolver.spoken(from), resolver.spoken(to)) else {
        found.refused.add("entity_unreadable", 1);
        return;
    };
    let Ok(relation) = relation.parse::<Relation>() else {
        found.refused.add("relation_unknown", 1);
        return;
    };
    let confidence = match sure {
        "" => Some(1.0),
        // With semicolons between, decimals have commas.
        text => text.replace(',', ".").parse().ok().filter(|sure| (0.0..=1.0).contains(sure)),
    };
    match confidence {
        Some(_) if from == to => found.refused.add("edge_to_itself", 1),
        Some(confidence) => found.edges.push(Edge { from, relation, to, confidence }),
        None => found.refused.add("confidence_unreadable", 1),
    }
}

/// Components, resources, systems, domains and APIs with their owners and relations.
pub(crate) fn backstage(documents: &[Value], resolver: &EntityResolver) -> Found {
    let mut found = Found::default();
    for document in documents {
        let kind = text_at(document, "kind").unwrap_or_default().to_ascii_lowercase();
        let name = text_at(document, "metadata.name").unwrap_or_default();
        let Some(this) = reference(&name, &kind, resolver) else {
            found.refused.add("entity_unreadable", 1);
            continue;
        };
        let mut relate = |path: &str, default_kind: &str, relation: Relation, inverse: bool| {
            for text in texts(document, path) {
                match reference(&text, default_kind, resolver) {
                    Some(other) if inverse => found.add(other, relation, this.clone()),
                    Some(other) => found.add(this.clone(), relation, other),
                    None => found.refused.add("entity_unreadable", 1),
                }
            }
        };
        relate("spec.owner", "group", Relation::OwnedBy, false);
        relate("spec.system", "system", Relation::PartOf, false);
        relate("spec.domain", "domain", Relation::PartOf, false);
        relate("spec.subcomponentOf", "component", Relation::PartOf, false);
        relate("spec.dependsOn", "component", Relation::Calls, false);
        relate("spec.dependencyOf", "component", Relation::Calls, true);
        relate("spec.consumesApis", "api", Relation::Calls, false);
        relate("spec.providesApis", "api", Relation::PartOf, true);
    }
    found
}

/// A text or a list of texts.
fn texts(document: &Value, path: &str) -> Vec<String> {
    match at(document, path) {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// An entity reference `[kind:][namespace/]name` as our entity.
fn reference(text: &str, default_kind: &str, resolver: &EntityResolver) -> Option<String> {
    let (kind, name) = match text.split_once(':') {
        Some((kind, name)) => (kind.to_ascii_lowercase(), name),
        None => (default_kind.to_owned(), text),
    };
    let name = name.rsplit('/').next().filter(|name| !name.is_empty())?;
    let kind = match kind.as_str() {
        "component" => "service",
        "group" | "user" => "team",
        "resource" | "system" | "domain" | "api" => kind.as_str(),
        _ => return None,
    };
    resolver.spoken(&format!("{kind}:{name}"))
}
