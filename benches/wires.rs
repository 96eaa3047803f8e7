//! CPU time of decoding the hot wires, each beside a baseline and a floor in the same run.
//!
//! `cargo bench --bench wires`. The clock is the thread's CPU time, so that a busy machine
//! does not count; read ratios rather than figures.
//!
//! | group | shape of the data |
//! |---|---|
//! | `remote_write` | 100,000 known series of a node exporter's shape (8 labels, about 230 bytes), one sample each, in messages of 500 or 10,000 series; elements are samples |
//! | `remote_write_new` | the same with series never seen before |
//! | `ndjson` | bulk requests of 500 log documents of 9 fields (about 330 bytes); elements are documents |
//! | `alerts` | requests of 256 alerts of 6 labels, all known; elements are alerts. `over_http_to_the_journal` is the CPU time of the server's threads: sockets, HTTP, decoding, a journal that syncs on disk |

use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bellwether_connectors::limits::Limits;
use bellwether_connectors::resolve::entity_resolution::EntityResolver;
use bellwether_connectors::resolve::series_table::SeriesTable;
use bellwether_connectors::server::auth::{Auth, AuthConfig};
use bellwether_connectors::server::http::{HttpConfig, HttpRouter, HttpSource};
use bellwether_connectors::server::outcome::Outcome;
use bellwether_connectors::server::request::Request;
use bellwether_connectors::server::wire::HttpWire;
use bellwether_connectors::wires::alertmanager::{Alertmanager, AlertmanagerConfig};
use bellwether_connectors::wires::bulk::{Bulk, BulkConfig};
use bellwether_connectors::wires::remote_write::{RemoteWrite, RemoteWriteConfig};
use bellwether_connectors::{Intake, JournalConfig, LocalJournal, RejectLog, Source as _, Stopper, stop_pair};
use bellwether_engine::signal::TenantName;
use bellwether_engine::time::EventTime;
use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use prost::Message;
use serde::Deserialize;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// As in the program itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERIES: usize = 100_000;
const NOW: EventTime = EventTime::from_secs(1_700_000_000);

/// CPU time of this thread, from the scheduler's own account.
struct CpuTime;

fn cpu_nanos() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let first = text.split(' ').next().expect("three numbers");
    first.parse().expect("nanoseconds")
}

impl Measurement for CpuTime {
    type Intermediate = u64;
    type Value = Duration;

    fn start(&self) -> u64 {
        cpu_nanos()
    }

    fn end(&self, started: u64) -> Duration {
        Duration::from_nanos(cpu_nanos() - started)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Request2 {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<TimeSeries2>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries2 {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

fn series(index: usize) -> TimeSeries {
    let pairs = [
        ("__name__", format!("node_filesystem_avail_bytes_{}", index % 400)),
        ("cluster", "plant-7".to_owned()),
        ("device", format!("/dev/nvme{}n1p{}", index % 7, index % 3)),
        ("environment", "production".to_owned()),
        ("fstype", "ext4".to_owned()),
        ("instance", format!("node-{:05}.example.com:9100", index / 400)),
        ("job", "node".to_owned()),
        ("mountpoint", format!("/var/lib/data/{}", index % 11)),
    ];
    TimeSeries {
        labels: pairs.into_iter().map(|(name, value)| Label { name: name.to_owned(), value }).collect(),
        samples: vec![Sample { value: index as f64 * 1.5, timestamp: NOW.as_millis() }],
    }
}

fn packed(message: &impl Message) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(&message.encode_to_vec()).expect("small")
}

fn messages(per_message: usize) -> Vec<Vec<u8>> {
    let all: Vec<usize> = (0..SERIES).collect();
    all.chunks(per_message)
        .map(|chunk| packed(&WriteRequest { timeseries: chunk.iter().map(|index| series(*index)).collect() }))
        .collect()
}

fn messages_v2(per_message: usize) -> Vec<Vec<u8>> {
    let all: Vec<usize> = (0..SERIES).collect();
    all.chunks(per_message)
        .map(|chunk| {
            let mut symbols = vec![String::new()];
            let mut numbers = std::collections::HashMap::new();
            let mut number = |text: String| {
                *numbers.entry(text.clone()).or_insert_with(|| {
                    symbols.push(text);
                    symbols.len() as u32 - 1
                })
            };
            let timeseries = chunk
                .iter()
                .map(|index| {
                    let series = series(*index);
                    TimeSeries2 {
                        labels_refs: series
                            .labels
                            .into_iter()
                            .flat_map(|l| [number(l.name), number(l.value)])
                            .collect(),
                        samples: series.samples,
                    }
                })
                .collect();
            packed(&Request2 { symbols, timeseries })
        })
        .collect()
}

fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let value = |text| HeaderValue::from_static(text);
    pairs.iter().map(|(name, text)| (name.parse().expect("plain"), value(text))).collect()
}

fn acme() -> &'static TenantName {
    static ACME: LazyLock<TenantName> = LazyLock::new(|| TenantName::new("acme").expect("a name"));
    &ACME
}

fn request<'a>(path: &'a str, headers: &'a HeaderMap, body: &'a [u8]) -> Request<'a> {
    Request { tenant: acme(), method: &Method::POST, path, query: "", headers, body, received: NOW, claims: None }
}

fn accepted(outcome: Result<Outcome, Outcome>) -> u64 {
    outcome.expect("no body is refused").accepted()
}

fn wire() -> RemoteWrite {
    let limits = Limits::default();
    let table = SeriesTable::new(Arc::new(EntityResolver::default()), &limits);
    RemoteWrite::new(RemoteWriteConfig::default(), limits, Arc::new(table))
}

fn serve_all(wire: &RemoteWrite, headers: &HeaderMap, messages: &[Vec<u8>]) -> u64 {
    messages.iter().map(|body| wire.write(&request("/api/v1/write", headers, body)).accepted()).sum()
}

/// What a decoder with generated types does: unpack, decode, hash each series' labels.
fn with_prost(body: &[u8]) -> u64 {
    let message = snap::raw::Decoder::new().decompress_vec(body).expect("packed above");
    let decoded = WriteRequest::decode(message.as_slice()).expect("encoded above");
    let mut sum = 0u64;
    for series in &decoded.timeseries {
        for label in &series.labels {
            sum ^= xxh3_64(label.name.as_bytes()) ^ xxh3_64(label.value.as_bytes());
        }
        for sample in &series.samples {
            sum ^= sample.value.to_bits() ^ sample.timestamp as u64;
        }
    }
    sum
}

/// The least anybody must do: unpack and look at each byte once.
fn floor(body: &[u8]) -> u128 {
    let message = snap::raw::Decoder::new().decompress_vec(body).expect("packed above");
    xxh3_128(&message)
}

fn remote_write(c: &mut Criterion<CpuTime>) {
    let v1 = headers(&[("content-type", "application/x-protobuf"), ("content-encoding", "snappy")]);
    let v2 = headers(&[
        ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
        ("content-encoding", "snappy"),
    ]);
    let mut group = c.benchmark_group("remote_write");
    group.throughput(Throughput::Elements(SERIES as u64)).sample_size(20);
    for per_message in [500, 10_000] {
        let bodies = messages(per_message);
        let bodies_v2 = messages_v2(per_message);
        let known = wire();
        assert_eq!(serve_all(&known, &v1, &bodies), SERIES as u64);
        assert_eq!(serve_all(&known, &v2, &bodies_v2), SERIES as u64);
        group.bench_function(format!("v1/{per_message}"), |b| {
            b.iter(|| serve_all(&known, &v1, black_box(&bodies)));
        });
        group.bench_function(format!("v2/{per_message}"), |b| {
            b.iter(|| serve_all(&known, &v2, black_box(&bodies_v2)));
        });
        group.bench_function(format!("baseline_prost/{per_message}"), |b| {
            b.iter(|| black_box(&bodies).iter().map(|body| with_prost(body)).fold(0, |a, b| a ^ b));
        });
        group.bench_function(format!("floor_unpack_and_hash/{per_message}"), |b| {
            b.iter(|| black_box(&bodies).iter().map(|body| floor(body)).fold(0, |a, b| a ^ b));
        });
    }
    group.finish();
    let bodies = messages(500);
    let mut group = c.benchmark_group("remote_write_new");
    group.throughput(Throughput::Elements(SERIES as u64)).sample_size(10);
    group.bench_function("v1/500", |b| b.iter(|| serve_all(&wire(), &v1, black_box(&bodies))));
    group.finish();
}

fn alert_body(alerts: usize) -> String {
    let alert = |index: usize| {
        format!(
            r#"{{"labels":{{"alertname":"HighLatency{}","cluster":"plant-7","instance":"node-{:04}:9100","job":"node","service":"svc-{}","severity":"page"}},"annotations":{{"summary":"p99 above 2 s"}},"startsAt":"2023-11-14T22:00:00Z","endsAt":"2023-11-14T22:20:00Z","generatorURL":"http://p:9090/graph"}}"#,
            index % 20,
            index,
            index % 50
        )
    };
    format!("[{}]", (0..alerts).map(alert).collect::<Vec<_>>().join(","))
}

/// The same message as plain serde types.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypedAlert {
    labels: std::collections::BTreeMap<String, String>,
    annotations: std::collections::BTreeMap<String, String>,
    starts_at: String,
    ends_at: String,
}

fn alerts(c: &mut Criterion<CpuTime>) {
    const ALERTS: usize = 256;
    let bodies: Vec<String> = (0..40).map(|_| alert_body(ALERTS)).collect();
    let limits = Limits::default();
    let wire = Alertmanager::new(AlertmanagerConfig::default(), limits, Arc::new(EntityResolver::default()));
    let none = HeaderMap::new();
    let mut group = c.benchmark_group("alerts");
    group.throughput(Throughput::Elements((ALERTS * bodies.len()) as u64)).sample_size(20);
    group.bench_function("api_v2", |b| {
        b.iter(|| {
            let all = black_box(&bodies).iter();
            all.map(|body| accepted(wire.post_alerts(&request("/api/v2/alerts", &none, body.as_bytes())))).sum::<u64>()
        });
    });
    group.bench_function("baseline_typed_serde_json", |b| {
        b.iter(|| {
            let read = |body: &String| {
                let alerts: Vec<TypedAlert> = serde_json::from_str(body).expect("written above");
                alerts
                    .iter()
                    .map(|a| a.labels.len() + a.annotations.len() + a.starts_at.len() + a.ends_at.len())
                    .sum::<usize>()
            };
            black_box(&bodies).iter().map(read).sum::<usize>()
        });
    });
    group.bench_function("over_http_to_the_journal", |b| {
        let server = AlertServer::start();
        b.iter_custom(|rounds| {
            let mut client = server.connect();
            let before = others_nanos();
            for _ in 0..rounds {
                bodies.iter().for_each(|body| client.post(body));
            }
            Duration::from_nanos(others_nanos() - before)
        });
    });
    group.finish();
}

/// CPU time of all other threads of this process: the server's, without its client's.
fn others_nanos() -> u64 {
    let own = std::fs::read_link("/proc/thread-self").expect("Linux");
    let own = own.file_name().expect("the thread's number").to_owned();
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").filter_map(Result::ok);
    let others = tasks.filter(|task| task.file_name() != own);
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("schedstat")).ok();
    others.filter_map(of).filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum()
}

/// The alert wire behind its HTTP listener, over a journal on disk.
struct AlertServer {
    address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
    _stopper: Stopper,
    _folder: tempfile::TempDir,
}

impl AlertServer {
    fn start() -> AlertServer {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, _) = LocalJournal::open(&JournalConfig::new(folder.path())).expect("a new journal");
        let intake = Intake::new(Arc::new(journal), RejectLog::counting());
        let auth = AuthConfig { anonymous_tenant: Some("acme".to_owned()), ..AuthConfig::default() };
        let auth = Arc::new(Auth::new(&auth).expect("a tenant"));
        let limits = Limits::default();
        let wire =
            Alertmanager::new(AlertmanagerConfig::default(), limits.clone(), Arc::new(EntityResolver::default()));
        let wires = vec![("alertmanager", HttpWire::new(Arc::new(wire)))];
        let wires = Arc::new(HttpRouter::new(auth, limits, wires).expect("one wire"));
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let source = Box::new(
            HttpSource::new("http", HttpConfig { listen: address, tls: None }, wires).expect("no certificates"),
        );
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (stopper, stop) = stop_pair();
        runtime.spawn(source.run(intake, stop));
        AlertServer { address, _runtime: runtime, _stopper: stopper, _folder: folder }
    }

    fn connect(&self) -> Client {
        loop {
            match TcpStream::connect(self.address) {
                Ok(stream) => return Client(stream),
                Err(_) => std::thread::yield_now(),
            }
        }
    }
}

struct Client(TcpStream);

impl Client {
    fn post(&mut self, body: &str) {
        let length = body.len();
        let head = format!(
            "POST /api/v2/alerts HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        self.0.write_all(head.as_bytes()).and_then(|()| self.0.write_all(body.as_bytes())).expect("the server reads");
        let mut answer = Vec::new();
        let mut piece = [0; 1024];
        while !answer.ends_with(b"\r\n\r\n") {
            let length = self.0.read(&mut piece).expect("the server answers");
            assert!(length > 0, "the server has hung up");
            answer.extend_from_slice(&piece[..length]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
}

fn document(index: usize) -> String {
    format!(
        r#"{{"timestamp":"2023-11-14T22:00:{:02}.{:06}Z","message":"request {} of user {} took {} ms and was answered","log":{{"level":"info","logger":"http"}},"host":{{"name":"web-{:02}.example.com"}},"service":{{"name":"shop"}},"trace":{{"id":"{:032x}"}},"http":{{"status":{},"bytes":{}}}}}"#,
        index % 60,
        index,
        index,
        index % 977,
        index % 313,
        index % 40,
        index,
        200 + index % 5,
        index * 7
    )
}

/// The fields a log record needs, as plain serde types.
#[derive(Deserialize)]
struct TypedDocument {
    timestamp: String,
    message: String,
    log: TypedLog,
    host: TypedName,
    service: TypedName,
    trace: TypedId,
    http: TypedHttp,
}

#[derive(Deserialize)]
struct TypedLog {
    level: String,
    logger: String,
}

#[derive(Deserialize)]
struct TypedName {
    name: String,
}

#[derive(Deserialize)]
struct TypedId {
    id: String,
}

#[derive(Deserialize)]
struct TypedHttp {
    status: u32,
    bytes: u64,
}

fn ndjson(c: &mut Criterion<CpuTime>) {
    const DOCUMENTS: usize = 500;
    const REQUESTS: usize = 40;
    let documents: Vec<String> = (0..DOCUMENTS * REQUESTS).map(document).collect();
    let bodies: Vec<String> = documents
        .chunks(DOCUMENTS)
        .map(|chunk| chunk.iter().map(|document| format!("{{\"index\":{{}}}}\n{document}\n")).collect())
        .collect();
    let wire = Bulk::new(BulkConfig::default(), Limits::default(), Arc::new(EntityResolver::default()));
    let none = HeaderMap::new();
    let mut group = c.benchmark_group("ndjson");
    group.throughput(Throughput::Elements(documents.len() as u64)).sample_size(20);
    group.bench_function("bulk", |b| {
        b.iter(|| {
            let all = black_box(&bodies).iter();
            all.map(|body| accepted(wire.bulk(&request("/_bulk", &none, body.as_bytes())))).sum::<u64>()
        });
    });
    group.bench_function("baseline_typed_serde_json", |b| {
        b.iter(|| {
            let read = |text: &String| {
                let d: TypedDocument = serde_json::from_str(text).expect("written above");
                let texts =
                    [&d.timestamp, &d.message, &d.log.level, &d.log.logger, &d.host.name, &d.service.name, &d.trace.id];
                texts.iter().map(|text| text.len()).sum::<usize>() + d.http.status as usize + d.http.bytes as usize
            };
            black_box(&documents).iter().map(read).sum::<usize>()
        });
    });
    group.finish();
}

criterion_group! {
    name = wires;
    config = Criterion::default().with_measurement(CpuTime).measurement_time(Duration::from_secs(4)).warm_up_time(Duration::from_secs(1));
    targets = remote_write, ndjson, alerts
}
criterion_main!(wires);
