//! The incident record is what was agreed: the Rust types generate the committed schema.

#[path = "support/skipped.rs"]
mod skipped;

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;

use bellwether_datasets::simulation::Simulation;
use bellwether_datasets::story::STORIES;
use bellwether_engine::incident::{RECORD_BYTES_MAX, SchemaVersion, canonical_schema, in_version, record_schema};
use bellwether_engine::{Engine, EngineConfig};
use serde_json::Value;
use skipped::skipped;

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The committed schema of a version.
fn committed(version: SchemaVersion) -> Value {
    let name = match version {
        SchemaVersion::V1 => "docs/incident.schema.v1.json",
        SchemaVersion::V2 => "docs/incident.schema.json",
    };
    read(&root().join(name))
}

#[test]
fn the_types_generate_the_committed_schemas() {
    for version in SchemaVersion::ALL {
        assert_eq!(record_schema(version), committed(version), "version {}", version.name());
    }
}

#[test]
fn the_committed_schema_is_the_agreed_one_where_that_is_at_hand() {
    let agreed = root().join("../shared/incident.schema.json");
    if !agreed.exists() {
        return skipped(&format!("the agreed schema is not at `{}`", agreed.display()));
    }
    // The words that explain it are ours.
    assert_eq!(canonical_schema(&record_schema(SchemaVersion::V1)), canonical_schema(&read(&agreed)));
}

#[test]
fn the_schema_refuses_what_is_not_a_record() {
    for version in SchemaVersion::ALL {
        let validator = jsonschema::validator_for(&committed(version)).expect("a schema");
        assert!(!validator.is_valid(&serde_json::json!({})));
        assert!(!validator.is_valid(&serde_json::json!({"schema_version": "3"})));
    }
}

#[test]
fn every_event_of_every_story_is_a_record_below_64_kib() {
    let validators =
        SchemaVersion::ALL.map(|version| jsonschema::validator_for(&committed(version)).expect("a schema"));
    for story in &STORIES {
        let threads = NonZeroUsize::new(2).expect("two");
        let mut engine = Engine::new(EngineConfig::default(), threads).expect("the defaults build");
        let mut events = Vec::new();
        Simulation::new((story.plan)(42)).for_each(|input| engine.apply(&input, &mut events));
        engine.finish(&mut events);
        assert!(!events.is_empty(), "{} tells nothing", story.name);
        for event in &events {
            for (version, validator) in SchemaVersion::ALL.into_iter().zip(&validators) {
                let mut event = event.clone();
                event.record = in_version(event.record, version);
                let payload = event.payload();
                assert!(payload.len() < RECORD_BYTES_MAX, "{} has {} bytes", event.key(), payload.len());
                let record: Value = serde_json::from_slice(&payload).expect("JSON");
                let wrong: Vec<String> = validator.iter_errors(&record).map(|error| error.to_string()).collect();
                assert!(wrong.is_empty(), "{} in version {}: {wrong:?}", event.key(), version.name());
            }
        }
    }
}
