//! Loki's push API, protobuf and JSON.
//!
//! ```yaml
//! loki: { paths: [/loki/api/v1/push] }
//! ```
//!
//! ```yaml
//! # promtail, Grafana Agent / Alloy, Fluent Bit, …
//! clients: [{ url: http://127.0.0.1:9099/loki/api/v1/push, bearer_token_file: token }]
//! ```
//!
//! A line belongs to the entity its stream's labels name; labels and structured metadata are
//! its attributes, `level` or `detected_level` its severity, else the level in the line itself. 204 on success; clients repeat
//! 429 and 5xx only. Reference: Loki HTTP API, `push.proto`.

use std::borrow::Cow;
use std::sync::Arc;

use bellwether_engine::signal::{LABELS_MAX, LogBuilder, LogRow, sorted_labels};
use bellwether_engine::time::EventTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::json::{Text, TextMap};
use crate::decode::level;
use crate::decode::protobuf::{Field, Malformed, field, text};
use crate::intake::reject::Refusals;
use crate::limits::{Compression, Limits};
use crate::resolve::entity_resolution::EntityResolver;
use crate::server::outcome::{Accepted, Outcome};
use crate::server::reply::Reply;
use crate::server::request::{Request, unpacked};
use crate::server::wire::{HttpHandler, Route};
use crate::wires::declare::{Door, WireConfig, WireRow};

/// Where pushes are received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LokiConfig {
    /// Paths to answer.
    pub paths: Vec<String>,
}

impl Default for LokiConfig {
    fn default() -> LokiConfig {
        LokiConfig { paths: vec!["/loki/api/v1/push".to_owned()] }
    }
}

impl WireConfig for LokiConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        vec![Door::http(|shared| Ok(Loki::new(self.clone(), shared.limits.clone(), shared.resolver.clone())))]
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "Loki push, protobuf and JSON (`src/wires/loki.rs`)",
            at: "`/loki/api/v1/push`",
            answers: "204; 503 full",
            again: "same body",
            peer: "– (recorded payloads)",
        }]
    }
}

/// The wire.
pub struct Loki {
    config: LokiConfig,
    limits: Limits,
    resolver: Arc<EntityResolver>,
}

/// One line on its way into a batch.
struct LogEntry<'a> {
    time: Option<EventTime>,
    text: Cow<'a, str>,
    metadata: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

#[derive(Deserialize)]
struct JsonPush<'a> {
    #[serde(borrow)]
    streams: Vec<JsonStream<'a>>,
}

#[derive(Deserialize)]
struct JsonStream<'a> {
    #[serde(borrow)]
    stream: TextMap<'a>,
    #[serde(borrow)]
    values: Vec<JsonLine<'a>>,
}

/// `["<nanoseconds>", "line"]` or with a map of structured metadata.
struct JsonLine<'a>(Text<'a>, Text<'a>, TextMap<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for JsonLine<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LineVisitor;
        impl<'de> serde::de::Visitor<'de> for LineVisitor {
            type Value = JsonLine<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a time and a line")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<JsonLine<'de>, A::Error> {
                let missing = || serde::de::Error::custom("a line needs a time and a text");
                let time = list.next_element()?.ok_or_else(missing)?;
                let line = list.next_element()?.ok_or_else(missing)?;
                let metadata = list.next_element()?.unwrap_or_default();
                while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(JsonLine(time, line, metadata))
            }
        }
        deserializer.deserialize_seq(LineVisitor)
    }
}

impl Loki {
    /// A wire that names entities by `resolver`.
    pub fn new(config: LokiConfig, limits: Limits, resolver: Arc<EntityResolver>) -> Loki {
        Loki { config, limits, resolver }
    }

    fn push(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let mut lines = self.lines(request)?;
        if lines.len() > self.limits.events_max {
            let text = format!("{} lines are more than `limits.events_max`\n", lines.len());
            return Err(Outcome::refused(Reply::text(413, text), "events_max"));
        }
        let mut accepted = Accepted::default();
        accepted.add_rows(lines.finish_for(request.tenant));
        Ok(Outcome::store(accepted, Refusals::default(), Reply::empty(204)))
    }

    fn lines(&self, request: &Request<'_>) -> Result<LogBuilder, Outcome> {
        let mut out = LogBuilder::new();
        if request.media_type() == "application/json" {
            let body = unpacked(&self.limits, request)?;
            let push: JsonPush<'_> = serde_json::from_slice(&body).map_err(|error| malformed(&error))?;
            for stream in &push.streams {
                let labels: Vec<(&str, &str)> = stream.stream.pairs().collect();
                for JsonLine(time, line, metadata) in &stream.values {
                    let line = LogEntry {
                        time: time.0.parse().ok().map(EventTime),
                        text: Cow::Borrowed(line.0.as_ref()),
                        metadata: metadata.0.clone(),
                    };
                    self.push_line(&labels, &line, request.received, &mut out);
                }
            }
        } else {
            let mut body = Vec::new();
            self.limits
                .unpack(request.body, Compression::Snappy, &mut body)
                .map_err(|error| Outcome::refused(Reply::text(error.status(), format!("{error}\n")), error.reason()))?;
            self.protobuf(&body, request.received, &mut out).map_err(|error| malformed(&error))?;
        }
        Ok(out)
    }

    fn protobuf(&self, mut message: &[u8], received: EventTime, out: &mut LogBuilder) -> Result<(), Malformed> {
        while !message.is_empty() {
            let (1, Field::Bytes(stream)) = field(&mut message)? else { continue };
            let mut labels = Vec::new();
            let mut rest = stream;
            while !rest.is_empty() {
                if let (1, Field::Bytes(bytes)) = field(&mut rest)? {
                    labels = selector(text(bytes)?).ok_or(Malformed)?;
                }
            }
            let pairs: Vec<(&str, &str)> = labels.iter().map(|(k, v)| (*k, v.as_ref())).collect();
            let mut rest = stream;
            while !rest.is_empty() {
                if let (2, Field::Bytes(entry)) = field(&mut rest)? {
                    self.push_line(&pairs, &entry_line(entry)?, received, out);
                }
            }
        }
        Ok(())
    }

    fn push_line(&self, labels: &[(&str, &str)], line: &LogEntry<'_>, received: EventTime, out: &mut LogBuilder) {
        let metadata = line.metadata.iter().map(|(key, value)| (key.as_ref(), value.as_ref()));
        let mut attributes = sorted_labels(labels.iter().copied().chain(metadata));
        attributes.truncate(LABELS_MAX);
        let label = |name: &str| attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let told = level::of_fields(attributes.iter().copied());
        out.push(&LogRow {
            time: self.limits.believed(line.time, received),
            entity: &self.resolver.resolve("", &attributes),
            severity: level::told_or_read(told, &line.text),
            body: line.text.trim_end_matches(['\n', '\r']),
            attributes: &attributes,
            trace_id: ["trace_id", "traceID"].iter().find_map(|name| label(name)),
        });
    }
}

fn malformed(error: &dyn std::fmt::Display) -> Outcome {
    Outcome::refused(Reply::text(400, format!("not a Loki push: {error}\n")), "malformed")
}

/// `timestamp` 1, `line` 2, `structuredMetadata` 3.
fn entry_line(mut entry: &[u8]) -> Result<LogEntry<'_>, Malformed> {
    let mut line = LogEntry { time: None, text: Cow::Borrowed(""), metadata: Vec::new() };
    while !entry.is_empty() {
        match field(&mut entry)? {
            (1, Field::Bytes(mut time)) => {
                let (mut secs, mut nanos) = (0i64, 0i64);
                while !time.is_empty() {
                    match field(&mut time)? {
                        (1, Field::Varint(value)) => secs = value as i64,
                        (2, Field::Varint(value)) => nanos = value as i64,
                        _ => {}
                    }
                }
                let at = EventTime::from_secs(secs).0.saturating_add(nanos);
                line.time = Some(EventTime(at));
            }
            (2, Field::Bytes(bytes)) => line.text = String::from_utf8_lossy(bytes),
            (3, Field::Bytes(mut pair)) => {
                let (mut name, mut value) = ("", "");
                while !pair.is_empty() {
                    match field(&mut pair)? {
                        (1, Field::Bytes(bytes)) => name = text(bytes)?,
                        (2, Field::Bytes(bytes)) => value = text(bytes)?,
                        _ => {}
                    }
                }
                line.metadata.push((name.into(), value.into()));
            }
            _ => {}
        }
    }
    Ok(line)
}

/// `{job="a", path="C:\\x"}`: names and quoted values, with Go's escapes.
fn selector(text: &str) -> Option<Vec<(&str, Cow<'_, str>)>> {
    let mut rest = text.trim().strip_prefix('{')?;
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([' ', ',']);
        if let Some(after) = rest.strip_prefix('}') {
            return after.is_empty().then_some(labels);
        }
        let (name, after) = rest.split_once('=')?;
        let quoted = after.trim_start();
        let mut escaped = false;
        let inner = quoted.strip_prefix('"')?;
        let end = inner.bytes().position(|byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        })?;
        let raw = &inner[..end];
        // Go's escapes of text are JSON's, but for a few no label holds.
        let value = match raw.contains('\\') {
            true => Cow::Owned(serde_json::from_str(&quoted[..end + 2]).unwrap_or_else(|_| raw.to_owned())),
            false => Cow::Borrowed(raw),
        };
        labels.push((name.trim(), value));
        rest = &inner[end + 1..];
    }
}

impl HttpHandler for Loki {
    fn routes(&self) -> Vec<Route<Loki>> {
        self.config.paths.iter().map(|path| Route::post_or_put(path, Loki::push)).collect()
    }

    fn resend_is_duplicate(&self, _: &Request<'_>) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
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
}
