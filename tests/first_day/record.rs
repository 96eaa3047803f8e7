//! The incident record as its subscribers read of it: each field is described, and what the page says of
//! verbs holds for every incident of every story.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use bellwether_datasets::simulation::Simulation;
use bellwether_datasets::story::STORIES;
use bellwether_engine::incident::{IncidentEvent, IncidentStatus, Verb};
use bellwether_engine::{Engine, EngineConfig};
use serde_json::Value;

use crate::programs::{bellwether, output_of, text_of};

fn printed() -> Value {
    let mut schema = bellwether();
    schema.args(["schema", "incident"]);
    serde_json::from_str(&output_of(schema)).expect("JSON")
}

/// Every property below `schema` without words, by its path.
fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
    match schema {
        Value::Object(object) => {
            for (name, property) in object.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if property["description"].as_str().is_none_or(|text| text.len() <= 3) {
                    found.push(format!("{path}.{name}"));
                }
            }
            object.iter().for_each(|(key, below)| undescribed(below, &format!("{path}/{key}"), found));
        }
        Value::Array(list) => list.iter().for_each(|below| undescribed(below, path, found)),
        _ => {}
    }
}

#[test]
fn the_schema_describes_every_field_and_says_how_stable_it_is() {
    let schema = printed();
    let mut found = Vec::new();
    undescribed(&schema, "", &mut found);
    assert!(found.is_empty(), "without a description: {found:?}");
    let properties = schema["properties"].as_object().expect("fields");
    let of = |stability: &str| -> BTreeSet<&str> {
        let named = properties.iter().filter(|(_, field)| field["x-stability"] == stability);
        named.map(|(name, _)| name.as_str()).collect()
    };
    let (stable, evolving) = (of("stable"), of("evolving"));
    assert_eq!(stable.len() + evolving.len(), properties.len(), "each field is one or the other");
    assert_eq!(evolving.len(), 13, "each name of the list is a field: {evolving:?}");
    // What a program has to have.
    let required = schema["required"].as_array().expect("a list").iter().filter_map(Value::as_str);
    let unsteady: Vec<&str> = required.filter(|name| evolving.contains(name) && *name != "title").collect();
    assert!(unsteady.is_empty(), "{unsteady:?}");
}

/// The verbs with the status that the page says they have: the first two columns of its table.
fn table() -> BTreeMap<String, String> {
    let document = text_of("docs/incident-record.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split_once("` | "));
    let verbs = cells.map(|(verb, rest)| (verb.to_owned(), rest.split(" |").next().unwrap_or_default().to_owned()));
    verbs.collect()
}

const VERBS: [Verb; 9] = [
    Verb::Opened,
    Verb::Updated,
    Verb::Acknowledged,
    Verb::Escalated,
    Verb::Resolved,
    Verb::Reopened,
    Verb::Merged,
    Verb::Split,
    Verb::Closed,
];

/// Everything that every story tells.
fn told() -> Vec<IncidentEvent> {
    let mut told = Vec::new();
    for story in &STORIES {
        let mut engine = Engine::new(EngineConfig::default(), NonZeroUsize::MIN).expect("the defaults build");
        let mut events = Vec::new();
        Simulation::new((story.plan)(42)).for_each(|input| engine.apply(&input, &mut events));
        engine.finish(&mut events);
        // Stories of one tenant are not of one world.
        told.extend(
            events
                .into_iter()
                .map(|event| IncidentEvent { tenant: format!("{}-{}", story.name, event.tenant).into(), ..event }),
        );
    }
    told
}

fn word(status: IncidentStatus) -> String {
    serde_json::to_value(status).expect("a word").as_str().expect("a word").to_owned()
}

#[test]
fn the_life_of_every_incident_is_as_the_page_says() {
    let table = table();
    assert_eq!(table.keys().cloned().collect::<BTreeSet<_>>(), VERBS.map(|verb| verb.name().to_owned()).into());
    let mut before: BTreeMap<(String, String), (u64, IncidentStatus)> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for event in told() {
        let (record, verb) = (&event.record, event.verb);
        let last = before.insert((event.tenant.to_string(), record.id.clone()), (record.revision, record.status));
        let key = event.key();
        seen.insert(verb);
        assert_eq!(record.revision, last.map_or(1, |(revision, _)| revision + 1), "{key}");
        assert_eq!(verb == Verb::Opened, last.is_none(), "{key}: opened is revision 1, and only that");
        let was = last.map(|(_, status)| status);
        assert!(
            !matches!(was, Some(IncidentStatus::Merged | IncidentStatus::Closed)),
            "{key}: {verb} after the last revision"
        );
        match table[verb.name()].as_str() {
            "as before" => assert_eq!(Some(record.status), was, "{key}: {verb}"),
            status => assert_eq!(format!("`{}`", word(record.status)), status, "{key}: {verb}"),
        }
        if verb == Verb::Reopened {
            assert_eq!(was, Some(IncidentStatus::Resolved), "{key}");
            assert!(record.resolved_at.is_none() && record.acknowledged_at.is_none(), "{key}");
        }
        assert_eq!(verb == Verb::Merged, record.merged_into.is_some(), "{key}");
    }
    for verb in [Verb::Opened, Verb::Updated, Verb::Resolved] {
        assert!(seen.contains(&verb), "no story tells {verb}: {seen:?}");
    }
}

#[test]
fn who_keeps_the_highest_revision_stands_where_the_stream_ends_whatever_comes_twice() {
    let events = told();
    let follow = |events: &[&IncidentEvent]| {
        let mut kept: BTreeMap<(String, String), (u64, Vec<u8>)> = BTreeMap::new();
        for event in events {
            let entry = kept.entry((event.tenant.to_string(), event.record.id.clone())).or_default();
            if event.record.revision > entry.0 {
                *entry = (event.record.revision, event.payload());
            }
        }
        kept
    };
    let once: Vec<&IncidentEvent> = events.iter().collect();
    // Everything again from the middle on, as after a lost cursor, and the first half a third time.
    let half = once.len() / 2;
    let again: Vec<&IncidentEvent> = once.iter().chain(&once[half..]).chain(&once[..half]).copied().collect();
    assert!(!once.is_empty());
    assert_eq!(follow(&once), follow(&again));
}
