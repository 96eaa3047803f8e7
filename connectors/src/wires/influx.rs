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
//! InfluxDB does. Reference: InfluxDB line protocol.

use std::borrow::Cow;
use std::sync::Arc;

use bellwether_engine::input::Input;
use bellwether_engine::signal::MetricBuilder;
use bellwether_engine::time::EventTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use xxhash_rust::xxh3::Xxh3;

use crate::intake::reject::Refusals;
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
        let nanos_per_unit = match request.parameter("precision").as_deref() {
            None | Some("ns" | "n" | "") => 1,
            Some("us" | "u") => 1_000,
            Some("ms") => 1_000_000,
            Some("s") => 1_000_000_000,
            Some(other) => {
                let text = format!("precision `{other}` is not known, known: ns, us, ms, s");
                return Err(Outcome::refused(invalid(&text), "precision"));
            }
        };
        let body = unpacked(&self.limits, request)?;
        let text =
            std::str::from_utf8(&body).map_err(|_| Outcome::refused(invalid("the body is not UTF-8"), "malformed"))?;
        let mut samples = MetricBuilder::new();
        let mut refused = Refusals::default();
        let latest = self.limits.latest(request.received);
        let (complete, described) = self.series.session(request.tenant, "influx", request.received, |session| {
            for line in lines(text) {
                if samples.len() > self.limits.events_max {
                    return false;
                }
                let Some(line) = split(line) else {
                    refused.add("malformed", 1);
                    continue;
                };
                let time = line.time.map_or(request.received, |units| EventTime(units.saturating_mul(nanos_per_unit)));
                if time > latest {
                    refused.add("in_the_future", 1);
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
            true
        });
        if !complete {
            self.series.undo(&described);
            return Err(Outcome::refused(Reply::text(413, "more fields than `limits.events_max`\n"), "events_max"));
        }
        let mut accepted = Accepted::describing(described);
        accepted.add_rows(samples.finish_for(request.tenant));
        let reply = match refused.is_empty() {
            true => Reply::empty(204),
            false => invalid(&format!("partial write: {} dropped", refused.describe())),
        };
        Ok(Outcome::store(accepted, refused, reply))
    }
}

fn invalid(text: &str) -> Reply {
    Reply::json(400, &json!({"code": "invalid", "message": text}))
}

/// Lines that say something. A line feed inside a quoted text ends no line.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let end = find(rest, b"\n", true).unwrap_or(rest.len());
            let line = rest[..end].trim();
            rest = rest.get(end + 1..).unwrap_or_default();
            if !line.is_empty() && !line.starts_with('#') {
                return Some(line);
            }
        }
    })
}

/// The first of `stops` that is neither escaped nor, when `quotes`, inside a quoted text.
fn find(text: &str, stops: &[u8], quotes: bool) -> Option<usize> {
    let (mut escaped, mut quoted) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' if quotes => quoted = !quoted,
            byte if !quoted && stops.contains(&byte) => return Some(at),
            _ => {}
        }
    }
    None
}

fn split(line: &str) -> Option<Point<'_>> {
    let head_end = find(line, b" ", false)?;
    let (head, rest) = (&line[..head_end], line[head_end..].trim_start());
    let fields_end = find(rest, b" ", true).unwrap_or(rest.len());
    let time = rest[fields_end..].trim();
    let time = match time.is_empty() {
        true => None,
        false => Some(time.parse().ok()?),
    };
    let mut fields = Vec::new();
    let mut list = &rest[..fields_end];
    while !list.is_empty() {
        let end = find(list, b",", true).unwrap_or(list.len());
        let field = &list[..end];
        let equals = find(field, b"=", true)?;
        fields.push((&field[..equals], &field[equals + 1..]));
        list = list.get(end + 1..).unwrap_or_default();
    }
    let named = !head.is_empty() && !head.starts_with(',') && fields.iter().all(|(name, _)| !name.is_empty());
    (named && !fields.is_empty()).then_some(Point { head, fields, time })
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
    let end = find(head, b",", false).unwrap_or(head.len());
    let mut tags = Vec::new();
    let mut list = head.get(end + 1..).unwrap_or_default();
    while !list.is_empty() {
        let end = find(list, b",", false).unwrap_or(list.len());
        let tag = &list[..end];
        let equals = find(tag, b"=", false).ok_or("malformed")?;
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

    fn undo(&self, inputs: &[Input]) {
        self.series.undo(inputs);
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::{MetricColumns, SeriesColumns};
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::resolve::entity_resolution::EntityResolver;
    use crate::server::testing::{batches, post, serve};

    fn send(query: &str, body: &str) -> Outcome {
        let limits = Limits::default();
        let table = SeriesTable::new(Arc::new(EntityResolver::default()), &limits);
        let wire = Influx::new(InfluxConfig::default(), limits, Arc::new(table));
        let headers = HeaderMap::new();
        let mut request = post("/api/v2/write", &headers, body.as_bytes());
        request.query = query;
        serve(&wire, &request)
    }

    #[test]
    fn numeric_fields_are_series_of_the_tags_entity() {
        let body = "cpu,host=db-1.example.com,cpu=cpu\\ 0 usage=1.5,idle=7i,note=\"a b,c=\\\"\" 5\n\n# comment\nup,service=pay value=t\n";
        let outcome = send("bucket=b&precision=s", body);
        assert_eq!((outcome.reply().status, outcome.accepted()), (204, 3));
        let found = batches(&outcome);
        let series = SeriesColumns::of(found[0]);
        assert_eq!((series.row(0).name, series.row(0).entity), ("cpu_usage", "host:db-1"));
        assert_eq!(series.row(0).labels.get("cpu"), Some("cpu 0"));
        assert_eq!((series.row(2).name, series.row(2).entity), ("up", "service:pay"));
        let samples = MetricColumns::of(found[1]);
        assert_eq!(samples.value, &[1.5, 7.0, 1.0]);
        assert_eq!((samples.time[0], samples.time[2]), (5_000_000_000, 1_000_000_000_000_000));
    }

    #[test]
    fn bad_lines_are_400_and_good_ones_are_stored() {
        let outcome = send("", "good v=1\nbad\nalso bad=\n,x v=1\nm v=1 noon\nm v=nan\n");
        assert_eq!((outcome.reply().status, outcome.accepted()), (400, 1));
        assert_eq!(outcome.refused.describe(), "5 malformed");
        assert_eq!(send("precision=h", "a v=1").reply().status, 400);
        assert_eq!(send("", "a v=1 9000000000000000000").refused.describe(), "1 in_the_future");
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn any_text_is_taken_or_refused(text in "[a-z,= \\\\\"0-9.\\n#ié]{0,120}") {
            let outcome = send("", &text);
            prop_assert!([204, 400].contains(&outcome.reply().status));
        }
    }
}
