//! Documents after each other, alone, and against a plain walk over what a JSON parser builds.

use bellwether_engine::signal::{LogBuilder, LogColumns};
use bellwether_engine::time::EventTime;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::limits::Limits;
use crate::resolve::entity_resolution::UNKNOWN_ENTITY;

const NOW: EventTime = EventTime::from_secs(1_000_000);

fn push(documents: &mut Documents<'_, '_>, whole: &str, out: &mut LogBuilder) {
    let limits = &Limits::default();
    documents.push(&Beside { time: None, received: NOW, limits, entity: UNKNOWN_ENTITY, whole: Some(whole) }, out);
}

/// The leaves of one document.
fn leaves(text: &str) -> Option<Vec<(String, String)>> {
    let resolver = EntityResolver::default();
    let mut documents = Documents::new(&resolver);
    documents.read_json(text).ok()?;
    Some(listed(&documents))
}

fn listed(documents: &Documents<'_, '_>) -> Vec<(String, String)> {
    let of = |(id, piece): &(u32, Piece<'_>)| {
        (documents.paths[*id as usize].text.to_string(), shown(*piece, &documents.made).to_owned())
    };
    documents.leaves.iter().map(of).collect()
}

#[test]
fn the_leaves_of_a_document_are_found_without_building_it() {
    let found = leaves(r#"{"a":{"b":[1,{"c":"x"}],"d.e":null},"f":true,"g":"\u00e4","h":-1.5}"#).expect("json");
    let found: Vec<(&str, &str)> = found.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    assert_eq!(found, [("a.b.0", "1"), ("a.b.1.c", "x"), ("f", "true"), ("g", "ä"), ("h", "-1.5")]);
    assert_eq!(leaves(&format!("{{\"a\":{}", "[".repeat(5_000))), None);
    let wide = format!("{{\"a\":[{}]}}", vec!["1"; 10_000].join(","));
    assert_eq!(leaves(&wide).expect("json").len(), LEAVES_MAX);
    for no_object in ["", "1", "[{}]", "{} x", "{\"a\":1"] {
        assert_eq!(leaves(no_object), None, "{no_object}");
    }
}

#[test]
fn a_row_has_its_fields_by_their_usual_names() {
    let resolver = EntityResolver::default();
    let mut documents = Documents::new(&resolver);
    let mut out = LogBuilder::new();
    let texts = [
        r#"{"level":"error","time":"1970-01-01T00:00:05Z","b":1,"a":2,"b":3,"message":"m","host":{"name":"h1"},"trace_id":"t"}"#,
        r#"{"host":{"name":"h2"},"a":"","log":"l","log.level":"warn","level":"info","@timestamp":7}"#,
        r#"{"nothing":0}"#,
    ];
    for text in texts {
        documents.read_json(text).expect("json");
        push(&mut documents, text, &mut out);
    }
    let batch = out.finish("acme").expect("a tenant");
    let rows = LogColumns::of(&batch);
    let attributes = |row| rows.attributes(row).iter().collect::<Vec<_>>();
    let want = [("a", "2"), ("b", "1"), ("host.name", "h1"), ("level", "error"), ("trace_id", "t")];
    assert_eq!(attributes(0), want, "sorted, the first of equal names");
    assert_eq!((rows.time[0], rows.entity(0), rows.body(0)), (5_000_000_000, "host:h1", "m"));
    assert_eq!((rows.severity[0], rows.trace_id(0)), (17, Some("t")));
    assert_eq!((rows.time[1], rows.entity(1), rows.body(1), rows.severity[1]), (7_000_000_000, "host:h2", "l", 13));
    assert_eq!((rows.time[2], rows.entity(2), rows.body(2)), (NOW.0, UNKNOWN_ENTITY, texts[2]));
}

#[test]
fn the_level_is_a_field_in_any_spelling_or_stands_in_the_text() {
    let resolver = EntityResolver::default();
    let mut documents = Documents::new(&resolver);
    let mut out = LogBuilder::new();
    let cases = [
        (17, r#"{"level":50,"time":1796000000000,"hostname":"web-1","msg":"db down"}"#),
        (24, r#"{"level":"emerg","message":"x"}"#),
        (21, r#"{"level":"panic","message":"x"}"#),
        (21, r#"{"level":"dpanic","message":"x"}"#),
        (21, r#"{"level":"FTL","message":"x"}"#),
        (13, r#"{"level":"WRN","message":"x"}"#),
        (17, r#"{"level":"E","message":"x"}"#),
        (18, r#"{"level":"ERROR2","message":"x"}"#),
        (17, r#"{"level":"custom","levelname":"ERROR","message":"x"}"#),
        (17, r#"{"level":400,"level_name":"ERROR","message":"x"}"#),
        (17, r#"{"message":"level=error msg=x"}"#),
        (9, r#"{"level":"info","message":"ERROR x"}"#),
        (0, r#"{"message":"login without error"}"#),
    ];
    for (_, text) in cases {
        documents.read_json(text).expect("json");
        push(&mut documents, text, &mut out);
    }
    let batch = out.finish("acme").expect("a tenant");
    assert_eq!(LogColumns::of(&batch).severity, cases.map(|(level, _)| level));
}

#[test]
fn what_a_record_is_may_stand_behind_any_number_of_addresses() {
    let resolver = EntityResolver::default();
    let mut documents = Documents::new(&resolver);
    let mut out = LogBuilder::new();
    let addresses: Vec<String> = (0..400).map(|n| format!("\"10.0.{}.{}\"", n / 200, n % 200)).collect();
    let fields: Vec<String> = (0..300).map(|n| format!("\"x{n}\":{n}")).collect();
    let texts = [
        format!(
            r#"{{"host":{{"ip":[{}],"name":"node-7"}},"message":"m","log":{{"level":"error"}}}}"#,
            addresses.join(",")
        ),
        format!(
            r#"{{{},"kubernetes":{{"namespace":"shop","pod":{{"name":"cart-1"}}}},"level":"error","@timestamp":["1970-01-01T00:00:05"]}}"#,
            fields.join(",")
        ),
    ];
    for text in &texts {
        documents.read_json(text).expect("json");
        push(&mut documents, text, &mut out);
    }
    let batch = out.finish("acme").expect("a tenant");
    let rows = LogColumns::of(&batch);
    assert_eq!((rows.entity(0), rows.body(0), rows.severity[0]), ("host:node-7", "m", 17));
    assert_eq!((rows.entity(1), rows.time[1], rows.severity[1]), ("k8s.pod:shop/cart-1", 5_000_000_000, 17));
    let repeated = format!("{{{}}}", vec!["\"message\":\"m\""; 1_000].join(","));
    assert_eq!(leaves(&repeated).expect("json").len(), LEAVES_MAX + WANTED_MAX);
}

#[test]
fn made_up_keys_do_not_fill_the_table() {
    let resolver = EntityResolver::default();
    let texts: Vec<String> = (0..500)
        .map(|n| {
            let keys: Vec<String> = (0..50).map(|k| format!("\"k{n}_{k}\":\"v\"")).collect();
            format!("{{{},\"host\":\"h{n}\"}}", keys.join(","))
        })
        .collect();
    let mut documents = Documents::new(&resolver);
    let mut out = LogBuilder::new();
    for text in &texts {
        documents.read_json(text).expect("json");
        push(&mut documents, text, &mut out);
        assert!(documents.paths.len() <= PATHS_MAX + LEAVES_MAX);
    }
    assert_eq!(out.len(), 500);
}

/// The leaves as a plain walk over the parsed document gives them.
fn walked(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Null => {}
        Value::Object(map) => map.iter().for_each(|(name, value)| walked(&below(name), value, out)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| walked(&below(&at.to_string()), value, out));
        }
        Value::String(text) => out.push((path.to_owned(), text.clone())),
        other => out.push((path.to_owned(), other.to_string())),
    }
}

fn any_object() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let name = "[a-c.@]{1,3}|host|message|level";
    let value = scalar.prop_recursive(3, 12, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(name, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map(name, value, 0..6).prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn documents_after_each_other_flatten_as_each_alone(objects in proptest::collection::vec(any_object(), 1..5)) {
        let resolver = EntityResolver::default();
        let texts: Vec<String> = objects.iter().map(Value::to_string).collect();
        let mut documents = Documents::new(&resolver);
        let (mut together, mut alone) = (LogBuilder::new(), LogBuilder::new());
        for (text, object) in texts.iter().zip(&objects) {
            documents.read_json(text).expect("written from a document");
            let mut want = Vec::new();
            walked("", object, &mut want);
            prop_assert_eq!(listed(&documents), want);
            push(&mut documents, text, &mut together);
            let mut own = Documents::new(&resolver);
            own.read_json(text).expect("read before");
            push(&mut own, text, &mut alone);
        }
        prop_assert_eq!(together.finish("acme").expect("a tenant"), alone.finish("acme").expect("a tenant"));
    }

    #[test]
    fn what_a_json_parser_refuses_is_refused(text in ".{0,60}|[{}\\[\\]\",:0-9a \\\\-]{0,40}") {
        let parsed = serde_json::from_str::<Value>(&text).ok().filter(Value::is_object);
        prop_assert_eq!(leaves(&text).is_some(), parsed.is_some());
    }
}
