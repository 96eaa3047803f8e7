//! Pushes in both forms, and what of them cannot be read.

use bellwether_engine::signal::LogColumns;
use http::HeaderMap;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::server::testing::{batches, headers, post, serve};

#[derive(Clone, PartialEq, prost::Message)]
struct Push {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<Stream>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Stream {
    #[prost(string, tag = "1")]
    labels: String,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<Entry>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Entry {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<Timestamp>,
    #[prost(string, tag = "2")]
    line: String,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Pair>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Pair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

fn loki() -> Loki {
    Loki::new(LokiConfig::default(), Limits::default(), Arc::new(EntityResolver::default()))
}

const JSON: &str = r#"{"streams":[{"stream":{"service_name":"pay","level":"error"},
    "values":[["5000000001","card refused",{"trace_id":"0af7"}],["5000000002","again\n"]]}]}"#;

fn json_headers() -> HeaderMap {
    headers(&[("content-type", "application/json")])
}

fn push() -> Push {
    let entry = |nanos, line: &str, metadata| Entry {
        timestamp: Some(Timestamp { seconds: 5, nanos }),
        line: line.to_owned(),
        metadata,
    };
    let pair = Pair { name: "trace_id".to_owned(), value: "0af7".to_owned() };
    Push {
        streams: vec![Stream {
            labels: r#"{service_name="pay", level="error"}"#.to_owned(),
            entries: vec![entry(1, "card refused", vec![pair]), entry(2, "again\n", Vec::new())],
        }],
    }
}

fn packed(message: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(message).expect("small")
}

#[test]
fn json_and_protobuf_give_the_same_lines() {
    let wire = loki();
    let from_json = serve(&wire, &post("/loki/api/v1/push", &json_headers(), JSON.as_bytes()));
    assert_eq!((from_json.reply().status, from_json.accepted()), (204, 2));
    let columns = LogColumns::of(batches(&from_json)[0]);
    assert_eq!((columns.entity(0), columns.body(0), columns.severity[0]), ("service:pay", "card refused", 17));
    assert_eq!((columns.time[0], columns.trace_id(0), columns.body(1)), (5_000_000_001, Some("0af7"), "again"));
    let binary = headers(&[("content-type", "application/x-protobuf")]);
    let body = packed(&push().encode_to_vec());
    let from_protobuf = serve(&wire, &post("/loki/api/v1/push", &binary, &body));
    assert_eq!(from_json.inputs(), from_protobuf.inputs());
}

#[test]
fn a_selector_is_read_with_its_escapes_or_not_at_all() {
    let labels = selector(r#"{a="x\"y\\", b="", c = "ä"}"#).expect("well formed");
    let values: Vec<&str> = labels.iter().map(|(_, value)| value.as_ref()).collect();
    assert_eq!(values, ["x\"y\\", "", "ä"]);
    for bad in ["", "{", "{a}", "{a=\"x}", "{a=\"x\"} tail", "a=\"x\""] {
        assert_eq!(selector(bad), None, "{bad}");
    }
}

#[test]
fn broken_pushes_are_400() {
    let wire = loki();
    for (headers, body) in [
        (json_headers(), &b"{}"[..]),
        (HeaderMap::new(), b"xx"),
        (json_headers(), b"{\"streams\":[{\"stream\":{},\"values\":[[\"1\"]]}]}"),
    ] {
        assert_eq!(serve(&wire, &post("/loki/api/v1/push", &headers, body)).reply().status, 400);
    }
}

#[test]
fn the_level_is_the_labels_or_the_lines() {
    let body = r#"{"streams":[{"stream":{"app":"shop"},"values":[["1796000000000000000","level=error msg=x"],
        ["1796000000000000001","{\"level\":50,\"msg\":\"x\"}"],["1796000000000000002","ts=7 level=warn msg=x"],
        ["1796000000000000003","login without error"],["1796000000000000004","ERROR x",{"detected_level":"unknown"}],
        ["1796000000000000005","ERROR x",{"level":"info"}],["1796000000000000006","\u001b[31mERROR\u001b[0m x"]]}]}"#;
    let served = serve(&loki(), &post("/loki/api/v1/push", &json_headers(), body.as_bytes()));
    let columns = LogColumns::of(batches(&served)[0]);
    assert_eq!(columns.severity, [17, 17, 13, 0, 17, 9, 17]);
    assert_eq!(columns.body(6), "ERROR x", "without its colours");
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn damaged_and_arbitrary_bodies_never_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
    ) {
        let wire = loki();
        let mut damaged_json = JSON.as_bytes().to_vec();
        let place = at.index(damaged_json.len());
        damaged_json[place] = with;
        let mut damaged = push().encode_to_vec();
        let place = at.index(damaged.len());
        damaged[place] = with;
        for (headers, body) in [
            (json_headers(), damaged_json), (json_headers(), bytes.clone()),
            (HeaderMap::new(), packed(&damaged)), (HeaderMap::new(), packed(&bytes)), (HeaderMap::new(), bytes),
        ] {
            prop_assert!(serve(&wire, &post("/loki/api/v1/push", &headers, &body)).reply().status < 500);
        }
    }
}

/// A push received in November 2026.
fn push_now(body: &str) -> Outcome {
    let headers = json_headers();
    let mut request = post("/loki/api/v1/push", &headers, body.as_bytes());
    request.received = EventTime::from_secs(1_796_000_100);
    serve(&loki(), &request)
}

#[test]
fn a_time_in_another_unit_is_refused_with_the_remedy() {
    let body = r#"{"streams":[{"stream":{"app":"a"},"values":[
        ["1796000000000","in milliseconds"],["1796000000","in seconds"],["1796000000000000000","right"],
        ["2026-11-30T00:00:00","as text"],["soon","never"]]}]}"#;
    let outcome = push_now(body);
    assert_eq!((outcome.reply().status, outcome.accepted()), (400, 2));
    let told = String::from_utf8_lossy(&outcome.reply().body).into_owned();
    assert!(told.contains("2 before_2000 (is the unit right? Loki and OTLP take nanoseconds"), "{told}");
    assert!(told.contains("1 time_unreadable"), "{told}");
    assert_eq!(LogColumns::of(batches(&outcome)[0]).time, &[1_796_000_000_000_000_000, 1_795_996_800_000_000_000]);
}

#[test]
fn an_odd_line_is_not_its_neighbours() {
    let body = r#"{"streams":[{"stream":{"app":"a","n":5},"values":[
        [1796000000000000000,"a number for the time"],["1796000000000000000",{"no":"text"}],
        ["1796000000000000000","good",null],"odd",["1796000000000000000",7]]},
        {"stream":"odd","values":[["1796000000000000000","x"]]},{"stream":{"app":"b"},"values":null}]}"#;
    let outcome = push_now(body);
    assert_eq!((outcome.reply().status, outcome.refused.describe().as_str()), (400, "3 malformed"));
    let rows = LogColumns::of(batches(&outcome)[0]);
    let bodies: Vec<&str> = (0..rows.len()).map(|row| rows.body(row)).collect();
    assert_eq!(bodies, ["a number for the time", "good", "7"]);
}

#[test]
fn the_entity_may_stand_behind_forty_labels() {
    let labels: Vec<String> = (0..60).map(|n| format!("\"a{n:02}\":\"v\"")).collect();
    let body = format!(
        r#"{{"streams":[{{"stream":{{{},"service_name":"pay","level":"error"}},"values":[["1796000000000000000","x"]]}}]}}"#,
        labels.join(",")
    );
    let outcome = push_now(&body);
    let rows = LogColumns::of(batches(&outcome)[0]);
    assert_eq!((rows.entity(0), rows.severity[0], rows.attributes(0).len()), ("service:pay", 17, LABELS_MAX));
}
