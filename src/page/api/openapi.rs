//! The interface described for programs: OpenAPI 3.1, whose schemas are those of the types.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::types::{Deed, Done, Edges, Entities, Entity, Incidents, Problem, Quiet, SetSilence, Whole};

/// The document.
pub(crate) fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut schemas = settings.into_generator();
    let query = |name: &str, about: &str| json!({"name": name, "in": "query", "description": about, "schema": {"type": "string"}});
    let id = json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string"}});
    let problem = answer::<Problem>(&mut schemas, "application/problem+json", "What is wrong, and the remedy");
    let with = |good: (&str, Value)| {
        let mut answers = Map::from_iter([(good.0.to_owned(), good.1)]);
        answers.insert("default".to_owned(), problem.clone());
        Value::Object(answers)
    };
    let json_type = "application/json";
    let list = with(("200", answer::<Incidents>(&mut schemas, json_type, "A page of them, what was told last first")));
    let whole =
        with(("200", answer::<Whole>(&mut schemas, json_type, "The record with its history; `ETag` is its revision")));
    let silences = with(("200", answer::<Vec<SetSilence>>(&mut schemas, json_type, "The latest silences")));
    let entities = with(("200", answer::<Entities>(&mut schemas, json_type, "A page of them")));
    let entity = with(("200", answer::<Entity>(&mut schemas, json_type, "What is known of it")));
    let edges = with(("200", answer::<Edges>(&mut schemas, json_type, "A page of them")));
    let name = json!({"name": "name", "in": "path", "required": true, "schema": {"type": "string"}, "description": "`type:name`, percent-encoded"});
    let key = json!({"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255},
        "description": "a random text: what is posted again with it within a day is done once"});
    let done = with(("202", answer::<Done>(&mut schemas, json_type, "It is an entry of the journal")));
    let (deed, quiet) = (body::<Deed>(&mut schemas), body::<Quiet>(&mut schemas));
    let paths = json!({
        "/api/v1/incidents": {"get": {"summary": "Incidents", "parameters": [
            query("q", "words, each of which has to be somewhere in title, entities, owner, id or ticket"),
            query("status", "any, live, open, acknowledged, resolved, closed"),
            query("limit", "how many, 200 at most"), query("cursor", "`next` of the page before"),
        ], "responses": list}},
        "/api/v1/incidents/{id}": {"get": {"summary": "One incident", "parameters": [id], "responses": whole}},
        "/api/v1/incidents/{id}/actions": {"post": {"summary": "Do something about it", "parameters": [id, {
            "name": "If-Match", "in": "header", "schema": {"type": "string"},
            "description": "the revision that was seen, in quotes: 412 when there is a newer one"}, key],
            "requestBody": deed, "responses": done}},
        "/api/v1/entities": {"get": {"summary": "Services and entities, by name", "parameters": [
            query("tenant", "whose; needed where the credential sees several"),
            query("q", "words, each of which has to be in name or owner"), query("kind", "`service`, `host`, …"),
            query("limit", "how many, 200 at most"), query("cursor", "`next` of the page before"),
        ], "responses": entities}},
        "/api/v1/entities/{name}": {"get": {"summary": "One entity with its edges, changes and alerts",
            "parameters": [name, query("tenant", "whose; needed where the credential sees several")], "responses": entity}},
        "/api/v1/topology": {"get": {"summary": "Edges with who says them and who contradicts, by the entity where they begin", "parameters": [
            query("tenant", "whose; needed where the credential sees several"),
            query("limit", "of how many entities, 200 at most"), query("cursor", "`next` of the page before"),
        ], "responses": edges}},
        "/api/v1/silences": {
            "get": {"summary": "Silences", "responses": silences},
            "post": {"summary": "Set one, or a window that comes again", "parameters": [key], "requestBody": quiet, "responses": done},
        },
        "/api/v1/silences/{id}": {"delete": {"summary": "End one", "parameters": [id], "responses": done}},
        "/api/v1/forecasts": {"get": {"summary": "What is expected to run out, the soonest first",
            "responses": with(("200", json!({"description": "Each with its tenant"})))}},
        "/api/v1/stream": {"get": {"summary": "A number for each change, as server-sent events",
            "responses": {"200": {"description": "events `version`", "content": {"text/event-stream": {"schema": {"type": "string"}}}}}}},
    });
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Bellwether", "version": env!("CARGO_PKG_VERSION"), "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}, "basic": {"type": "http", "scheme": "basic"}},
        },
        "security": [{"bearer": []}, {"basic": []}],
    })
}

fn answer<T: JsonSchema>(schemas: &mut SchemaGenerator, media: &str, about: &str) -> Value {
    json!({"description": about, "content": {media: {"schema": schemas.subschema_for::<T>()}}})
}

fn body<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    json!({"required": true, "content": {"application/json": {"schema": schemas.subschema_for::<T>()}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        let references: Vec<&str> =
            text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(references.len() > 8, "{text}");
        for reference in references {
            assert!(document.pointer(reference).is_some(), "{reference}");
        }
    }
}
