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
use serde_json::Value;

use crate::decode::any_time::time_of_text;
use crate::decode::json::{Text, TextMap, readable};
use crate::decode::level;
use crate::decode::protobuf::{Field, Malformed, field, text};
use crate::intake::reject::Refusals;
use crate::limits::{Compression, Limits};
use crate::memory::Class;
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
            answers: "204; 400 partly refused; 503 full",
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
    time: Result<EventTime, &'static str>,
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

/// Nanoseconds, as a text or a number; some clients write a time as people do.
fn nanos_or_text(text: &str) -> Result<EventTime, &'static str> {
    match text.trim() {
        "" => Ok(EventTime(0)),
        text => text.parse().map(EventTime).ok().or_else(|| time_of_text(text)).ok_or("time_unreadable"),
    }
}

impl Loki {
    /// A wire that names entities by `resolver`.
    pub fn new(config: LokiConfig, limits: Limits, resolver: Arc<EntityResolver>) -> Loki {
        Loki { config, limits, resolver }
    }

    fn push(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        let mut refused = Refusals::default();
        let mut lines = self.lines(request, &mut refused)?;
        if lines.len() > self.limits.events_max {
            let text = format!("{} lines are more than `limits.events_max`\n", lines.len());
            return Err(Outcome::refused(Reply::text(413, text), "events_max"));
        }
        let mut accepted = Accepted::default();
        accepted.add_rows(lines.finish_for(request.tenant));
        let reply = match refused.is_empty() {
            true => Reply::empty(204),
            false => Reply::text(400, format!("refused: {}; the others were stored\n", refused.describe())),
        };
        Ok(Outcome::store(accepted, refused, reply))
    }

    fn lines(&self, request: &Request<'_>, refused: &mut Refusals) -> Result<LogBuilder, Outcome> {
        let mut out = LogBuilder::new();
        if request.media_type() == "application/json" {
            let body = unpacked(&self.limits, request)?;
            match serde_json::from_slice::<JsonPush<'_>>(&body) {
                Ok(push) => self.streams(&push.streams, request.received, &mut out, refused),
                Err(error) => {
                    let push: Value = serde_json::from_slice(&body).map_err(|error| malformed(&error))?;
                    let streams = push.get("streams").and_then(Value::as_array).ok_or_else(|| malformed(&error))?;
                    let mut odd = 0;
                    for stream in streams {
                        // Without lines it says nothing; of another form it is one that cannot be read.
                        let lines = stream.get("values").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                        let values = readable(lines, &mut odd);
                        match stream.get("stream").map_or(Ok(TextMap::default()), TextMap::deserialize) {
                            Ok(stream) => {
                                let streams = [JsonStream { stream, values }];
                                self.streams(&streams, request.received, &mut out, refused);
                            }
                            Err(_) => odd += lines.len().max(1) as u64,
                        }
                    }
                    refused.add_some("malformed", odd);
                }
            }
        } else {
            let mut body = Vec::new();
            self.limits
                .unpack(request.body, Compression::Snappy, &mut body)
                .map_err(|error| Outcome::refused(Reply::text(error.status(), format!("{error}\n")), error.reason()))?;
            self.protobuf(&body, request.received, &mut out, refused).map_err(|error| malformed(&error))?;
        }
        Ok(out)
    }

    fn streams(&self, streams: &[JsonStream<'_>], received: EventTime, out: &mut LogBuilder, refused: &mut Refusals) {
        for stream in streams {
            let labels: Vec<(&str, &str)> = stream.stream.pairs().collect();
            for JsonLine(time, line, metadata) in &stream.values {
                let line = LogEntry {
                    time: nanos_or_text(&time.0),
                    text: Cow::Borrowed(line.0.as_ref()),
                    metadata: metadata.0.clone(),
                };
                self.push_line(&labels, &line, received, out, refused);
            }
        }
    }

    fn protobuf(
        &self,
        mut message: &[u8],
        received: EventTime,
        out: &mut LogBuilder,
        refused: &mut Refusals,
    ) -> Result<(), Malformed> {
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
                    self.push_line(&pairs, &entry_line(entry)?, received, out, refused);
                }
            }
        }
        Ok(())
    }

    fn push_line(
        &self,
        labels: &[(&str, &str)],
        line: &LogEntry<'_>,
        received: EventTime,
        out: &mut LogBuilder,
        refused: &mut Refusals,
    ) {
        let time = match line.time.map(|time| self.limits.dated(Some(time), received)) {
            Ok(Ok(time)) => time,
            Ok(Err(reason)) | Err(reason) => {
                refused.add(reason, 1);
                return;
            }
        };
        let metadata = line.metadata.iter().map(|(key, value)| (key.as_ref(), value.as_ref()));
        let mut attributes = sorted_labels(labels.iter().copied().chain(metadata));
        let label = |name: &str| attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let told = level::of_fields(attributes.iter().copied());
        let trace_id = ["trace_id", "traceID"].iter().find_map(|name| label(name));
        let entity = self.resolver.resolve("", &attributes);
        attributes.truncate(LABELS_MAX);
        out.push(&LogRow {
            time,
            entity: &entity,
            severity: level::told_or_read(told, &line.text),
            body: line.text.trim_end_matches(['\n', '\r']),
            attributes: &attributes,
            trace_id,
        });
    }
}

fn malformed(error: &dyn std::fmt::Display) -> Outcome {
    Outcome::refused(Reply::text(400, format!("not a Loki push: {error}\n")), "malformed")
}

/// `timestamp` 1, `line` 2, `structuredMetadata` 3.
fn entry_line(mut entry: &[u8]) -> Result<LogEntry<'_>, Malformed> {
    // Zero is the time of receipt.
    let mut line = LogEntry { time: Ok(EventTime(0)), text: Cow::Borrowed(""), metadata: Vec::new() };
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
                line.time = Ok(EventTime(at));
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
    fn class(&self, _: &str) -> Class {
        Class::Logs
    }

    fn routes(&self) -> Vec<Route<Loki>> {
        self.config.paths.iter().map(|path| Route::post_or_put(path, Loki::push)).collect()
    }

    fn resend_is_duplicate(&self, _: &Request<'_>) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
