//! Prometheus remote write 1.0 and 2.0.
//!
//! ```yaml
//! remote_write:
//!   paths: [/api/v1/write]
//! ```
//!
//! ```yaml
//! # prometheus.yml
//! remote_write:
//!   - url: http://127.0.0.1:9099/api/v1/write
//!     authorization: { credentials_file: token }
//! ```
//!
//! Bodies are snappy blocks (Prometheus) or zstd frames (vmagent). A message is read in place:
//! the bytes of a series' labels are hashed and looked up, and only a series not seen before
//! is parsed. Answers: 204 when everything was written; 400 when something was refused, which
//! the sender does not repeat, with the rest stored; 503 when it should come again. A native
//! histogram becomes the series `_count` and `_sum`; its buckets and all exemplars are not
//! kept, and the written-counts headers say so. A stale marker is kept as the NaN it is, bit
//! for bit. Specifications: Prometheus remote write 1.0 and 2.0-rc.

mod v1;
mod v2;

use std::sync::Arc;

use bellwether_engine::input::Input;
use bellwether_engine::signal::MetricBuilder;
use bellwether_engine::time::EventTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::protobuf::{Field, Malformed, field};
use crate::intake::reject::{LABELS_CUT, NOT_FINITE, Refusals};
use crate::limits::{Compression, Limits, Window};
use crate::resolve::series_table::{SeriesTable, Session};
use crate::server::outcome::{Accepted, Outcome};
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::server::wire::{HttpHandler, Route};
use crate::wires::declare::{Door, WireConfig, WireRow};

/// The one NaN that ends a series (Prometheus `value.StaleNaN`).
pub(crate) const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Where remote write is received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteWriteConfig {
    /// Paths to answer.
    pub paths: Vec<String>,
}

impl Default for RemoteWriteConfig {
    fn default() -> RemoteWriteConfig {
        RemoteWriteConfig { paths: vec!["/api/v1/write".to_owned()] }
    }
}

impl WireConfig for RemoteWriteConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        vec![Door::http(|shared| Ok(RemoteWrite::new(self.clone(), shared.limits.clone(), shared.series.clone())))]
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "Prometheus remote write 1.0 and 2.0, snappy or zstd (`src/wires/remote_write`)",
            at: "`/api/v1/write`",
            answers: "204; 400 partly refused; 413, 415; 503 full",
            again: "same body: answered, not stored",
            peer: "Prometheus 2.42 and 3.5 (by 2.0), vmagent 1.79",
        }]
    }
}

/// The wire.
pub struct RemoteWrite {
    config: RemoteWriteConfig,
    limits: Limits,
    series: Arc<SeriesTable>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// What a message held.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// The samples, in message order.
    pub samples: MetricBuilder,
    /// Samples taken from `samples` fields.
    pub samples_written: u64,
    /// Native histograms of which count and sum were taken.
    pub histograms_written: u64,
    /// What was not taken.
    pub refused: Refusals,
}

impl Decoded {
    /// Takes one sample. What is no number is counted as written, too: there is nothing to send again.
    #[inline]
    fn write(&mut self, id: u64, value: f64, millis: i64, window: Window) {
        let time = EventTime::from_millis(millis);
        if let Some(reason) = window.refusal(time) {
            self.refused.add(reason, 1);
            return;
        }
        self.samples_written += 1;
        if value.is_finite() || value.to_bits() == STALE_NAN_BITS {
            self.samples.push(time, id, value);
        } else {
            self.refused.add(NOT_FINITE, 1);
        }
    }
}

impl RemoteWrite {
    /// A wire that describes new series through `series`.
    pub fn new(config: RemoteWriteConfig, limits: Limits, series: Arc<SeriesTable>) -> RemoteWrite {
        RemoteWrite { config, limits, series }
    }

    /// Takes a write request of either version.
    pub fn write(&self, request: &Request<'_>) -> Outcome {
        self.take(request).unwrap_or_else(|(reply, reason)| Outcome::refused(written(reply, 0, 0), reason))
    }

    fn take(&self, request: &Request<'_>) -> Result<Outcome, (Reply, &'static str)> {
        let version = version_of(request)?;
        let compression = match request.header("content-encoding") {
            "snappy" => Compression::Snappy,
            "zstd" => Compression::Zstd,
            other => {
                let text = format!("content encoding `{other}` is not supported, known: snappy, zstd\n");
                return Err((Reply::text(415, text), "encoding"));
            }
        };
        let mut message = Vec::new();
        self.limits
            .unpack(request.body, compression, &mut message)
            .map_err(|error| (Reply::text(error.status(), format!("{error}\n")), error.reason()))?;
        let (decoded, described) = self.series.session(request.tenant, "remote_write", request.received, |session| {
            match version {
                Version::V1 => v1::decode(&message, session, self.limits.window(request.received)),
                Version::V2 => v2::decode(&message, session, self.limits.window(request.received)),
            }
            .map(|decoded| (decoded, session.labels_cut()))
        });
        let decoded = match decoded {
            Ok((mut decoded, cut)) => {
                decoded.refused.add_some(LABELS_CUT, cut);
                decoded
            }
            Err(error) => {
                self.series.undo(&described);
                return Err((Reply::text(400, format!("{error}\n")), "malformed"));
            }
        };
        let events = decoded.samples.len();
        if events > self.limits.events_max {
            self.series.undo(&described);
            let text = format!("{events} samples are more than `limits.events_max`\n");
            return Err((Reply::text(413, text), "events_max"));
        }
        Ok(answer(request, decoded, Accepted::describing(described)))
    }
}

/// What was decoded, as entries and an answer.
fn answer(request: &Request<'_>, mut decoded: Decoded, mut accepted: Accepted) -> Outcome {
    accepted.add(decoded.samples.finish_for(request.tenant), decoded.samples_written + decoded.histograms_written);
    // Only what was lost whole makes the answer a failure; buckets and exemplars are a
    // documented loss of detail, visible in the counts.
    let lost = decoded.refused.lost();
    let reply = if lost.is_empty() {
        Reply::empty(204)
    } else {
        Reply::text(400, format!("refused: {}; the rest was stored\n", lost.describe()))
    };
    let reply = written(reply, decoded.samples_written, decoded.histograms_written);
    Outcome::store(accepted, decoded.refused, reply)
}

/// `reply` with how much was written, which version 2 asks for.
fn written(reply: Reply, samples: u64, histograms: u64) -> Reply {
    reply
        .with("x-prometheus-remote-write-samples-written", samples.to_string())
        .with("x-prometheus-remote-write-histograms-written", histograms.to_string())
        .with("x-prometheus-remote-write-exemplars-written", "0")
}

impl HttpHandler for RemoteWrite {
    fn routes(&self) -> Vec<Route<RemoteWrite>> {
        self.config.paths.iter().map(|path| Route::post_or_put(path, RemoteWrite::write)).collect()
    }

    fn resend_is_duplicate(&self, _: &Request<'_>) -> bool {
        true
    }

    fn undo(&self, inputs: &[Input]) {
        self.series.undo(inputs);
    }
}

/// Which message the content type names.
fn version_of(request: &Request<'_>) -> Result<Version, (Reply, &'static str)> {
    let unsupported = || {
        let text = "known content types: application/x-protobuf, with proto=prometheus.WriteRequest \
                    or proto=io.prometheus.write.v2.Request\n";
        (Reply::text(415, text), "content_type")
    };
    if request.media_type() != "application/x-protobuf" {
        return Err(unsupported());
    }
    let proto = request
        .header("content-type")
        .split(';')
        .find_map(|part| part.trim().strip_prefix("proto="))
        .map(|name| name.trim_matches('"'));
    match proto {
        None | Some("prometheus.WriteRequest") => Ok(Version::V1),
        Some("io.prometheus.write.v2.Request") => Ok(Version::V2),
        Some(_) => Err(unsupported()),
    }
}

/// One sample: value, and milliseconds since the epoch. The message is the same in both versions.
#[inline]
fn sample(mut message: &[u8]) -> Result<(f64, i64), Malformed> {
    // What every sender writes: tag 9, eight bytes, tag 16, a varint.
    if let [0x09, a, b, c, d, e, f, g, h, 0x10, rest @ ..] = message {
        let mut rest = rest;
        let time = crate::decode::protobuf::varint(&mut rest)?;
        if rest.is_empty() {
            return Ok((f64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), time as i64));
        }
    }
    let (mut value, mut time) = (0.0, 0);
    while !message.is_empty() {
        match field(&mut message)? {
            (1, Field::Fixed64(bits)) => value = f64::from_bits(bits),
            (2, Field::Varint(millis)) => time = millis as i64,
            _ => {}
        }
    }
    Ok((value, time))
}

/// Count, sum and milliseconds of a native histogram; the same fields in both versions.
fn histogram(mut message: &[u8]) -> Result<(f64, f64, i64), Malformed> {
    let (mut count, mut sum, mut time) = (0.0, 0.0, 0);
    while !message.is_empty() {
        match field(&mut message)? {
            (1, Field::Varint(whole)) => count = whole as f64,
            (2, Field::Fixed64(bits)) => count = f64::from_bits(bits),
            (3, Field::Fixed64(bits)) => sum = f64::from_bits(bits),
            (15, Field::Varint(millis)) => time = millis as i64,
            _ => {}
        }
    }
    Ok((count, sum, time))
}

/// The histogram fields of one series, and the labels they belong to.
struct Histograms<'a> {
    key: u128,
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
}

impl Histograms<'_> {
    /// Writes count and sum of each message in `fields`.
    fn write(
        mut self,
        fields: &[&[u8]],
        session: &mut Session<'_>,
        window: Window,
        out: &mut Decoded,
    ) -> Result<(), Malformed> {
        use bellwether_engine::signal::SeriesType::Counter;
        let mut id = |suffix: &str, salt: u128| {
            let key = self.key ^ salt;
            match session.known(key) {
                Some(id) => Ok(id),
                None => {
                    let name = format!("{}{suffix}", self.name);
                    session.describe(key, &name, "", Counter, &mut self.labels)
                }
            }
        };
        let ids = id("_count", 1).and_then(|count| Ok((count, id("_sum", 2)?)));
        for message in fields {
            let (count, sum, millis) = histogram(message)?;
            let time = EventTime::from_millis(millis);
            match ids {
                Err(reason) => out.refused.add(reason, 1),
                Ok((count_id, sum_id)) => {
                    if let Some(reason) = window.refusal(time) {
                        out.refused.add(reason, 1);
                        continue;
                    }
                    out.samples.push(time, count_id, count);
                    out.samples.push(time, sum_id, sum);
                    out.histograms_written += 1;
                    out.refused.add("histogram_buckets", 1);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
