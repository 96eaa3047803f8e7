//! Every decoder of what others send and of what stands on disk, as a function of bytes: what fuzzing tries.
//!
//! A function must neither panic nor hang nor take more memory than a few times what it is given, whatever the
//! bytes are. It returns the journal entries that they would have become, for whoever tries the engine with them, too.
//! The crate `fuzz/` drives the functions with coverage, and its tests drive them with the inputs that are kept.
//!
//! An input for HTTP begins with four bytes that stand for what is around a body: which route, how its variable
//! part is called, which media type and query, how it is compressed. The rest is the body.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, LazyLock};

use bellwether_engine::input::Input;
use bellwether_engine::signal::TenantName;
use bellwether_engine::time::EventTime;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::decode::parquet::ParquetDecoder;
use crate::decode::{Format, LineDecoder, LinesConfig, RowsConfig};
use crate::journal::Position;
use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityResolver;
use crate::resolve::series_table::SeriesTable;
use crate::server::auth::Auth;
use crate::server::outcome::Outcome;
use crate::server::packets::{Gathered, Packet, PacketWire};
use crate::server::request::Request;
use crate::server::wire::{Answer, HttpWire};
use crate::wires::snmp::{Snmp, SnmpConfig};
use crate::wires::statsd::{Statsd, StatsdConfig};
use crate::wires::syslog::{Framer, Syslog};
use crate::wires::webhook::Webhooks;
use crate::wires::webhook::mapping::Mapping;
use crate::wires::{Shared, WireList as _, WiresConfig, forward, over_http};
use crate::{checkpoints, journal, outbox};

/// What is tried, by name.
pub struct Target {
    /// Its name: that of the wire or the format.
    pub name: &'static str,
    /// Reads the bytes.
    pub run: fn(&[u8]) -> Vec<Input>,
}

/// Everything that reads bytes from outside, or from a disk.
pub const TARGETS: &[Target] = &[
    Target { name: "remote_write", run: |bytes| http("remote_write", bytes) },
    Target { name: "alertmanager", run: |bytes| http("alertmanager", bytes) },
    Target { name: "otlp", run: |bytes| http("otlp", bytes) },
    Target { name: "loki", run: |bytes| http("loki", bytes) },
    Target { name: "bulk", run: |bytes| http("bulk", bytes) },
    Target { name: "influx", run: |bytes| http("influx", bytes) },
    Target { name: "collectd", run: |bytes| http("collectd", bytes) },
    Target { name: "actions", run: |bytes| http("actions", bytes) },
    Target { name: "changes", run: |bytes| http("changes", bytes) },
    Target { name: "topology_import", run: |bytes| http("topology_import", bytes) },
    Target { name: "webhook", run: |bytes| http(WEBHOOK, bytes) },
    Target { name: "mapping", run: mapping },
    Target { name: "statsd", run: |bytes| lines_of_packets(&Statsd::new(&StatsdConfig::default(), series()), bytes) },
    Target { name: "syslog", run: syslog },
    Target { name: "snmp", run: snmp },
    Target { name: "forward", run: forward },
    Target { name: "ndjson", run: |bytes| text(Format::Ndjson, bytes) },
    Target { name: "csv", run: |bytes| text(Format::Csv, bytes) },
    Target { name: "lines", run: |bytes| text(Format::Lines, bytes) },
    Target { name: "parquet", run: parquet },
    Target { name: "journal", run: |bytes| nothing(|| journal::read_segment(bytes)) },
    Target { name: "checkpoint_file", run: |bytes| nothing(|| checkpoints::read_file(bytes)) },
    Target { name: "incident_log", run: |bytes| nothing(|| outbox::read_record(Position(1), bytes)) },
];

/// When everything is received.
pub const RECEIVED: EventTime = EventTime::from_secs(1_780_000_000);

/// A wire is built anew after so many inputs: it remembers series and keys, and an input is to mean the same again.
const INPUTS_OF_A_WIRE: u32 = 64;

/// The wire of mapped webhooks is not in the list of the others: its mappings are files.
const WEBHOOK: &str = "webhook";

/// Whose everything is.
static TENANT: LazyLock<TenantName> = LazyLock::new(|| TenantName::new("acme").expect("a name"));

/// Every wire over HTTP, at its default paths.
static WIRES: LazyLock<WiresConfig> = LazyLock::new(|| {
    let all = "remote_write: {}\nalertmanager: {}\notlp: {}\nloki: {}\nbulk: {}\ninflux: {}\ncollectd: {}\nactions: {}\n\
               changes: {}\ntopology_import: true\n";
    serde_saphyr::from_str(all).expect("the wires by name")
});

/// What stands for a variable part of a path.
const NAMES: &[&str] = &["plain", "resolve", "created", "jira", "suppress", "feedback", "false_positive", "note"];

const MEDIA_TYPES: &[&str] = &[
    "application/json",
    "application/x-protobuf",
    "application/x-protobuf;proto=io.prometheus.write.v2.Request",
    "text/plain",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/cloudevents+json",
    "application/yaml",
];

const QUERIES: &[&str] = &["", "precision=s", "precision=ms&db=x", "time=1780000000&tenant=b", "filter=a%3D~%22b%22"];

/// How a body is compressed: as the sender says, or truly, so that what is within is tried.
const ENCODINGS: &[Packing] = &[
    Packing::Plain,
    Packing::Claimed("gzip"),
    Packing::Claimed("snappy"),
    Packing::Claimed("zstd"),
    Packing::Claimed("deflate"),
    Packing::Snappy,
];

#[derive(Clone, Copy)]
enum Packing {
    Plain,
    Claimed(&'static str),
    Snappy,
}

thread_local! {
    /// Each wire over HTTP, with how often it was used.
    static BUILT: RefCell<HashMap<&'static str, (HttpWire, u32)>> = RefCell::default();
}

/// What a mapped webhook is read by: every form that a mapping knows.
const MAPPING: &str = include_str!("../../examples/mappings/checkmk.yaml");

fn nothing<T>(read: impl FnOnce() -> T) -> Vec<Input> {
    read();
    Vec::new()
}

fn limits() -> Limits {
    Limits { decompressed_bytes_max: 1 << 20, series_max: 10_000, ..Limits::default() }
}

fn resolver() -> Arc<EntityResolver> {
    Arc::default()
}

fn series() -> Arc<SeriesTable> {
    Arc::new(SeriesTable::new(resolver(), &limits()))
}

fn built(name: &'static str) -> HttpWire {
    if name == WEBHOOK {
        let mapping = Mapping::parse("fuzz.yaml", MAPPING).expect("a shipped file");
        return HttpWire::new(Arc::new(Webhooks::of(vec![("hook", mapping)], limits(), resolver())));
    }
    let auth = Arc::new(Auth::new(WIRES.common().auth).expect("the defaults"));
    let (resolver, incidents) = (resolver(), Arc::default());
    let shared = Shared { auth, limits: limits(), series: series(), resolver, incidents };
    let wires = over_http(&*WIRES, &shared, |_| None).expect("the defaults");
    wires.into_iter().find(|(wire, _)| *wire == name).expect("a wire over HTTP").1
}

fn http(name: &'static str, bytes: &[u8]) -> Vec<Input> {
    let Some(([route, part, kind, packing], body)) = bytes.split_first_chunk::<4>() else { return Vec::new() };
    let wire = BUILT.with_borrow_mut(|all| {
        let (wire, uses) = all.entry(name).or_insert_with(|| (built(name), 0));
        if *uses == INPUTS_OF_A_WIRE {
            (*wire, *uses) = (built(name), 0);
        }
        *uses += 1;
        wire.clone()
    });
    let route = &wire.routes[usize::from(*route) % wire.routes.len()];
    let path = filled(route.path(), *part);
    let media = MEDIA_TYPES[usize::from(*kind) % MEDIA_TYPES.len()];
    let query = QUERIES[usize::from(*kind) / MEDIA_TYPES.len() % QUERIES.len()];
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    let packed;
    let body = match ENCODINGS[usize::from(*packing) % ENCODINGS.len()] {
        Packing::Plain => body,
        Packing::Claimed(encoding) => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            body
        }
        Packing::Snappy => {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("snappy"));
            packed = snap::raw::Encoder::new().compress_vec(body).unwrap_or_default();
            &packed
        }
    };
    let method = &route.methods()[0];
    let request = Request {
        tenant: &TENANT,
        method,
        path: &path,
        query,
        headers: &headers,
        body,
        received: RECEIVED,
        claims: None,
    };
    match &route.answer {
        Answer::Take(take) => taken(&wire, take(&request)),
        Answer::Look(look) => {
            // What is looked for is in the query.
            let query = std::str::from_utf8(body).unwrap_or(query);
            look(&Request { query, ..request });
            Vec::new()
        }
    }
}

fn taken(wire: &HttpWire, outcome: Outcome) -> Vec<Input> {
    wire.handler.undo(outcome.inputs());
    outcome.inputs().to_vec()
}

/// A path with something in the place of each variable part.
fn filled(path: &str, choice: u8) -> String {
    let mut choice = usize::from(choice);
    let mut next = || {
        let name = NAMES[choice % NAMES.len()];
        choice /= NAMES.len();
        name
    };
    let parts = path.split('/').map(|part| if part.starts_with('{') { next() } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// A mapping file, and a payload through it: what stands before and after the first NUL.
fn mapping(bytes: &[u8]) -> Vec<Input> {
    let (text, payload) = bytes.iter().position(|byte| *byte == 0).map_or((bytes, &[][..]), |at| bytes.split_at(at));
    let Ok(mapping) = Mapping::parse("fuzz.yaml", &String::from_utf8_lossy(text)) else { return Vec::new() };
    let wire = HttpWire::new(Arc::new(Webhooks::of(vec![("hook", mapping)], limits(), resolver())));
    let body = payload.get(1..).unwrap_or_default();
    let (headers, method) = (HeaderMap::new(), &http::Method::POST);
    let (path, query) = ("/webhook/hook", "");
    let request =
        Request { tenant: &TENANT, method, path, query, headers: &headers, body, received: RECEIVED, claims: None };
    match &wire.routes[0].answer {
        Answer::Take(take) => taken(&wire, take(&request)),
        Answer::Look(_) => Vec::new(),
    }
}

fn packet(bytes: &[u8]) -> Packet<'_> {
    Packet { tenant: &TENANT, from: IpAddr::V4(Ipv4Addr::LOCALHOST), bytes, received: RECEIVED }
}

/// Datagrams, one after the other with a NUL between them, to a wire that remembers.
fn lines_of_packets(wire: &dyn PacketWire, bytes: &[u8]) -> Vec<Input> {
    let mut out = Gathered::default();
    for datagram in bytes.split(|byte| *byte == 0) {
        // A refusal is an answer, too.
        let _ = wire.read(packet(datagram), &mut out);
    }
    let mut inputs = out.finish(&TENANT);
    inputs.extend(wire.due(RECEIVED).into_iter().flat_map(|(_, due)| due));
    inputs
}

fn syslog(bytes: &[u8]) -> Vec<Input> {
    let wire = Syslog::new(limits(), resolver());
    let mut out = Gathered::default();
    let _ = wire.read(packet(bytes), &mut out);
    let mut framer = Framer::default();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    for piece in [first, second] {
        framer.feed(piece);
        while let Some(frame) = framer.next_frame() {
            let _ = wire.read(packet(frame), &mut out);
        }
    }
    if let Some(rest) = framer.rest() {
        let _ = wire.read(packet(rest), &mut out);
    }
    out.finish(&TENANT)
}

fn snmp(bytes: &[u8]) -> Vec<Input> {
    let wire = Snmp::new(&SnmpConfig::default(), resolver()).expect("the defaults");
    let mut out = Gathered::default();
    let _ = wire.read(packet(bytes), &mut out);
    out.finish(&TENANT)
}

fn forward(bytes: &[u8]) -> Vec<Input> {
    let mut rows = forward::rows_of(bytes, &limits(), &resolver(), RECEIVED);
    let batch = rows.finish_for(&TENANT);
    if batch.is_empty() { Vec::new() } else { vec![Input::Batch(batch)] }
}

/// Lines of a file or a message; the first is a header where the format has one.
fn text(format: Format, bytes: &[u8]) -> Vec<Input> {
    let lines = LinesConfig { entity: "service:shop".to_owned(), ..LinesConfig::default() };
    let decoder = LineDecoder::new(format, &RowsConfig::default(), &lines);
    let mut decoder = decoder.expect("the defaults fit together");
    let mut pieces = bytes.split(|byte| *byte == b'\n');
    if decoder.has_header() && pieces.next().is_none_or(|header| decoder.header(header).is_err()) {
        return Vec::new();
    }
    for line in pieces {
        // A bad row is told and left out.
        let _ = decoder.line(line, RECEIVED);
    }
    decoder.take(&TENANT).into_iter().map(Input::Batch).collect()
}

fn parquet(bytes: &[u8]) -> Vec<Input> {
    let file = Bytes::copy_from_slice(bytes);
    let Ok(mut decoder) = ParquetDecoder::new(file, &RowsConfig::default(), &TENANT) else { return Vec::new() };
    let mut inputs = Vec::new();
    while let Ok(Some(chunk)) = decoder.next_chunk() {
        inputs.extend(chunk.batches.into_iter().map(Input::Batch));
    }
    inputs
}
