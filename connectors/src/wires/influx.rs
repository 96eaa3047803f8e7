//! InfluxDB's line protocol: Telegraf, Icinga, and everything else that writes to InfluxDB.
//!
//! ```yaml
//! influx: { path_prefix: "" }     # answers /api/v2/write, /write and /ping
//! ```
//!
//! ```toml
//! # telegraf.conf
//! [[outputs.influxdb_v2]]
//!   urls = ["http://127.0.0.1:9099"]
//!   token = "…"
//! ```
//!
//! Each numeric field is a series `<measurement>_<field>` (or `<measurement>` when the field is
//! called `value`), whose labels are the tags. Text fields are no measurements and are left
//! out. A line that does not read is refused with 400 while the good ones are stored, as
//! InfluxDB does. Credentials may also stand in the query, as `u` and `p`. Reference: InfluxDB line protocol.

use std::borrow::Cow;
use std::sync::Arc;

use bellwether_engine::input::Input;
use bellwether_engine::signal::MetricBuilder;
use bellwether_engine::time::EventTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use xxhash_rust::xxh3::Xxh3;

use crate::intake::reject::{LABELS_CUT, Refusals};
use crate::limits::Limits;
use crate::resolve::series_table::{SeriesTable, Session, type_by_name};
use crate::server::outcome::{Accepted, Outcome};
use crate::server::reply::Reply;
use crate::server::request::{Request, unpacked};
use crate::server::wire::{HttpHandler, Route};
use crate::wires::declare::{Door, WireConfig, WireRow};

/// Where lines are received.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InfluxConfig {
    /// Put in front of `/api/v2/write`, `/write` and `/ping`.
    pub path_prefix: String,
}

impl WireConfig for InfluxConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        vec![Door::http(|shared| Ok(Influx::new(self.clone(), shared.limits.clone(), shared.series.clone())))]
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "InfluxDB lines (`src/wires/influx.rs`)",
            at: "`/api/v2/write`, `/write`",
            answers: "204; 400 partly refused; 503 full",
            again: "–",
            peer: "– (recorded payloads)",
        }]
    }
}

/// The wire.
pub(crate) struct Influx {
    config: InfluxConfig,
    limits: Limits,
    series: Arc<SeriesTable>,
}

/// One line, split at its unescaped separators.
struct Point<'a> {
    /// Measurement and tags as they stand in the line: what a series is known by.
    head: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    time: Option<i64>,
}

impl Influx {
    /// A wire that describes new series through `series`.
    pub(crate) fn new(config: InfluxConfig, limits: Limits, series: Arc<SeriesTable>) -> Influx {
        Influx { config, limits, series }
    }

    fn write(&self, request: &Request<'_>) -> Result<Outcome, Outcome> {
        // Both versions' words: version 1 has minutes and hours.
        let nanos_per_unit = match request.parameter("precision").as_deref() {
            None | Some("ns" | "n" | "") => 1,
            Some("us" | "u" | "µ" | "µs") => 1_000,
            Some("ms") => 1_000_000,
            Some("s") => 1_000_000_000,
            Some("m") => 60_000_000_000,
            Some("h") => 3_600_000_000_000,
            Some(other) => {
                let text = format!("precision `{other}` is not known, known: ns, us, ms, s, m, h");
                return Err(Outcome::refused(invalid(&text), "precision"));
            }
        };
        let body = unpacked(&self.limits, request)?;
        // A line that is not UTF-8 is none of ours; those beside it are.
        let text = String::from_utf8_lossy(&body);
        let is_lossy = matches!(text, Cow::Owned(_));
        let mut samples = MetricBuilder::new();
        let mut refused = Refusals::default();
        let window = self.limits.window(request.received);
        let (complete, described) = self.series.session(request.tenant, "influx", request.received, |session| {
            for line in lines(&text) {
                if samples.len() > self.limits.events_max {
                    return false;
                }
                let Some(line) = split(line).filter(|_| !(is_lossy && line.contains(char::REPLACEMENT_CHARACTER)))
                else {
                    refused.add("malformed", 1);
                    continue;
                };
                let time = line.time.map_or(request.received, |units| EventTime(units.saturating_mul(nanos_per_unit)));
                if let Some(reason) = window.refusal(time) {
                    refused.add(reason, 1);
                    continue;
                }
                for (field, raw) in &line.fields {
                    match value(raw) {
                        Value::Number(number) => match series(line.head, field, session) {
                            Ok(id) => samples.push(time, id, number),
                            Err(reason) => refused.add(reason, 1),
                        },
                        Value::Text => {}
                        Value::Broken => refused.add("malformed", 1),
                    }
                }
            }
            refused.add_some(LABELS_CUT, session.labels_cut());
            true
        });
        if !complete {
            self.series.undo(&described);
            return Err(Outcome::refused(Reply::text(413, "more fields than `limits.events_max`\n"), "events_max"));
        }
        let mut accepted = Accepted::describing(described);
        accepted.add_rows(samples.finish_for(request.tenant));
        let reply = match refused.lost().is_empty() {
            true => Reply::empty(204),
            false => invalid(&format!("partial write: {} dropped", refused.describe())),
        };
        Ok(Outcome::store(accepted, refused, reply))
    }
}

fn invalid(text: &str) -> Reply {
    Reply::json(400, &json!({"code": "invalid", "message": text}))
}

/// Lines that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let end = line_end(rest);
            let line = rest[..end].trim();
            rest = rest.get(end + 1..).unwrap_or_default();
            if !line.is_empty() && !line.starts_with('#') {
                return Some(line);
            }
        }
    })
}

/// Where the line ends that `text` begins with. A line feed ends it anywhere but in a quoted text, and
/// quoted is only what stands for a field's value: a quote in a comment, a name or a tag is a
/// character. A quote that is never closed is its own line's fault.
fn line_end(text: &str) -> usize {
    let first = memchr::memchr(b'\n', text.as_bytes()).unwrap_or(text.len());
    let line = &text[..first];
    if line.trim_start().starts_with('#') || !line.contains('"') {
        return first;
    }
    // Leading white space is no end of the measurement.
    let begin = line.len() - line.trim_start().len();
    let Some(head_end) = find(&text[begin..first], b" ") else { return first };
    let mut at = begin + head_end;
    loop {
        let rest = &text[at..];
        // A field's name, then its value.
        let Some(stop) = find(rest, b"=\n") else { return text.len() };
        if rest.as_bytes()[stop] == b'\n' {
            return at + stop;
        }
        at += stop + 1;
        if text[at..].starts_with('"') {
            match quoted_end(&text[at..]) {
                Some(end) => at += end,
                None => return first.max(memchr::memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |n| at + n)),
            }
        }
        // Up to the next field, or over the time to the line's end.
        let Some(stop) = text[at..].find([',', ' ', '\n']) else { return text.len() };
        at += stop;
        match text.as_bytes()[at] {
            b',' => at += 1,
            _ => return memchr::memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |n| at + n),
        }
    }
}

/// Past the quote that closes the one `text` begins with.
fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// The first of `stops` that is not escaped.
fn find(text: &str, stops: &[u8]) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            // No line feed can be escaped.
            _ if escaped && byte != b'\n' => escaped = false,
            b'\\' => escaped = true,
            byte if stops.contains(&byte) => return Some(at),
            _ => escaped = false,
        }
    }
    None
}

fn split(line: &str) -> Option<Point<'_>> {
    let head_end = find(line, b" ")?;
    let (head, mut rest) = (&line[..head_end], line[head_end..].trim_start());
    let mut fields = Vec::new();
    loop {
        let equals = find(rest, b"=, ").filter(|at| rest.as_bytes()[*at] == b'=')?;
        let (name, value) = (&rest[..equals], &rest[equals + 1..]);
        let end = match value.starts_with('"') {
            true => quoted_end(value)?,
            false => value.find([',', ' ']).unwrap_or(value.len()),
        };
        if name.is_empty() {
            return None;
        }
        fields.push((name, &value[..end]));
        match value.as_bytes().get(end) {
            // A comma after the last field is let pass.
            Some(b',') => rest = &value[end + 1..],
            Some(b' ') => {
                rest = &value[end..];
                break;
            }
            None => {
                rest = "";
                break;
            }
            Some(_) => return None,
        }
        if rest.is_empty() || rest.starts_with(' ') {
            break;
        }
    }
    let time = rest.trim();
    let time = match time.is_empty() {
        true => None,
        false => Some(time.parse().ok()?),
    };
    (!head.is_empty() && !head.starts_with(',')).then_some(Point { head, fields, time })
}

enum Value {
    Number(f64),
    Text,
    Broken,
}

fn value(raw: &str) -> Value {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let found = match raw {
        "t" | "T" | "true" | "True" | "TRUE" => Some(1.0),
        "f" | "F" | "false" | "False" | "FALSE" => Some(0.0),
        _ if raw.len() >= 2 && raw.starts_with('"') && raw.ends_with('"') => return Value::Text,
        _ => number(raw.strip_suffix(['i', 'u']).unwrap_or(raw)),
    };
    found.map_or(Value::Broken, Value::Number)
}

fn series(head: &str, field: &str, session: &mut Session<'_>) -> Result<u64, &'static str> {
    let mut hasher = Xxh3::with_seed(5);
    hasher.update(head.as_bytes());
    hasher.update(b"\n");
    hasher.update(field.as_bytes());
    let key = hasher.digest128();
    if let Some(id) = session.known(key) {
        return Ok(id);
    }
    let end = find(head, b",").unwrap_or(head.len());
    let mut tags = Vec::new();
    let mut list = head.get(end + 1..).unwrap_or_default();
    while !list.is_empty() {
        let end = find(list, b",").unwrap_or(list.len());
        let tag = &list[..end];
        let equals = find(tag, b"=").ok_or("malformed")?;
        tags.push((unescaped(&tag[..equals]), unescaped(&tag[equals + 1..])));
        list = list.get(end + 1..).unwrap_or_default();
    }
    let (measurement, field) = (unescaped(&head[..end]), unescaped(field));
    let name = match field.as_ref() {
        "value" => measurement.into_owned(),
        field => format!("{measurement}_{field}"),
    };
    let mut labels: Vec<(&str, &str)> = tags.iter().map(|(key, value)| (key.as_ref(), value.as_ref())).collect();
    session.describe(key, &name, "", type_by_name(&name), &mut labels)
}

/// Undoes `\,`, `\ ` and `\=`; any other backslash is itself.
fn unescaped(text: &str) -> Cow<'_, str> {
    match text.contains('\\') {
        true => Cow::Owned(text.replace("\\,", ",").replace("\\ ", " ").replace("\\=", "=")),
        false => Cow::Borrowed(text),
    }
}

impl HttpHandler for Influx {
    fn routes(&self) -> Vec<Route<Influx>> {
        let prefix = self.config.path_prefix.trim_end_matches('/');
        vec![
            Route::post(format!("{prefix}/api/v2/write"), Influx::write),
            Route::post(format!("{prefix}/write"), Influx::write),
            Route::get(format!("{prefix}/ping"), |_, _| Reply::empty(204).with("x-influxdb-version", "2.0.0")),
        ]
    }

    /// Version 1's clients write user and password into the query.
    fn credential_of(&self, query: &str) -> Option<(String, String)> {
        let of = |name: &str| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        Some((of("u")?.1.into_owned(), of("p")?.1.into_owned()))
    }

    fn undo(&self, inputs: &[Input]) {
        self.series.undo(inputs);
    }
}

#[cfg(test)]
mod tests;
