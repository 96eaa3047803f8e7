//! `kill -9` at random moments, while the program reads from and writes to the real NATS server.
//!
//! At each of three readers – the stream, a file, and a stream on a second server that is frozen
//! time and again – every `(id, revision)` is there exactly once and in sequence, none is missing, and
//! every record of the stream is, byte for byte, what a run without a failure gives.

#![allow(clippy::print_stdout)] // the seed and the counts are what people look for

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull::OrderedConfig;
use bellwether_connectors::nats::testing::NatsServer;
use bellwether_connectors::partition::partition_of;
use bellwether_connectors::sinks::nats::INCIDENT_STREAM;
use futures::StreamExt as _;

/// Kills in one run; more with `BELLWETHER_KILLS`.
const KILLS: u64 = 50;
/// Whose they are: each lives in another partition.
const TENANTS: [&str; 3] = ["acme", "beta", "gamma"];
/// Rows published while the program lives and dies.
const MESSAGES: usize = 3_000;
/// Rows of one outage: its alerts fire and recover.
const OUTAGE_ROWS: usize = 12;
/// What the rows are published on, before the tenant.
const SUBJECT: &str = "crash";
const INPUT_STREAM: &str = "CRASH_INPUT";
/// The file that the second reader writes.
const FILE: &str = "incidents.ndjson";
/// Nothing new at the consumer for this long is the end.
const QUIET: Duration = Duration::from_secs(4);
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Everything the consumer sees: key, then payload, in the order of the stream.
type Revisions = Vec<(String, Vec<u8>)>;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Outages one after the other, each of a few services with a few alerts; deterministic.
fn rows() -> Vec<String> {
    let mut rows = Vec::with_capacity(MESSAGES);
    let mut time = 1_772_438_400_u64;
    let mut outage = 0;
    while rows.len() < MESSAGES {
        outage += 1;
        for status in ["firing", "resolved"] {
            for alert in 0..OUTAGE_ROWS / 2 {
                time += 7;
                rows.push(format!(
                    r#"{{"signal":"alert","time":{time},"source":"probe","name":"Check{alert}","entity":"service:s{}","severity":"critical","status":"{status}"}}"#,
                    outage % 97
                ));
            }
            time += 200;
        }
        time += 2_400;
    }
    rows
}

fn configuration(folder: &Path, url: &str, slow: &str) -> String {
    let mut text = String::new();
    writeln!(text, "state: {}", folder.join("state").display()).expect("writes");
    text.push_str("tick: 0s\ncheckpoint: {every: 200ms, entries: 40}\nthreads: 2\npartitions: 3\nsources:\n");
    writeln!(
        text,
        "  - nats: {{name: input, stream: {INPUT_STREAM}, subjects: [\"{SUBJECT}.>\"], tenant_token: 2, batch: 50, connection: {{servers: [\"{url}\"]}}}}"
    )
    .expect("writes");
    writeln!(text, "sinks:\n  - nats: {{connection: {{servers: [\"{url}\"]}}}}").expect("writes");
    writeln!(text, "  - ndjson: {{path: {}}}", folder.join(FILE).display()).expect("writes");
    writeln!(text, "  - nats: {{name: slow, connection: {{servers: [\"{slow}\"]}}}}").expect("writes");
    text
}

fn start(config: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["run", "--json", "-c"])
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the program starts")
}

/// SIGTERM, and the exit code.
fn stop(mut child: Child) -> Option<i32> {
    let asked = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(asked.success());
    child.wait().expect("the program ends").code()
}

async fn publish(server: &NatsServer, rows: Vec<String>, pause: Duration) {
    let context = server.connection().connect().await.expect("the server answers");
    let stream = async_nats::jetstream::stream::Config {
        name: INPUT_STREAM.to_owned(),
        subjects: vec![format!("{SUBJECT}.>")],
        ..Default::default()
    };
    context.get_or_create_stream(stream).await.expect("a stream");
    for (number, row) in rows.into_iter().enumerate() {
        let subject = format!("{SUBJECT}.{}.alerts", TENANTS[number / OUTAGE_ROWS % TENANTS.len()]);
        let sent = context.publish(subject, row.into()).await.expect("publishes");
        sent.await.expect("is stored");
        tokio::time::sleep(pause).await;
    }
}

/// Reads the incident stream until nothing new comes.
async fn told(server: &NatsServer) -> Revisions {
    let context = server.connection().connect().await.expect("the server answers");
    let began = Instant::now();
    let (mut last, mut since) = (0, Instant::now());
    while since.elapsed() < QUIET && began.elapsed() < WAIT_MAX {
        if let Ok(mut stream) = context.get_stream(INCIDENT_STREAM).await {
            let now = stream.info().await.map_or(last, |info| info.state.last_sequence);
            if now != last || now == 0 {
                (last, since) = (now, Instant::now());
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let stream = context.get_stream(INCIDENT_STREAM).await.expect("the incident stream");
    let consumer = stream.create_consumer(OrderedConfig::default()).await.expect("a consumer");
    let mut messages = consumer.messages().await.expect("messages");
    let mut all = Revisions::new();
    while all.len() < last as usize {
        let next = tokio::time::timeout(Duration::from_secs(10), messages.next()).await.expect("comes in time");
        let message = next.expect("more").expect("a message");
        let key = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id")).expect("a key");
        all.push((key.as_str().to_owned(), message.payload.to_vec()));
    }
    all
}

/// Sends a signal to a process.
fn signal(id: u32, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), &id.to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// What the file's reader has.
fn in_file(path: &Path) -> Revisions {
    let text = std::fs::read_to_string(path).expect("the file");
    let line = |line: &str| {
        let read: serde_json::Value = serde_json::from_str(line).expect("JSON");
        (read["key"].as_str().expect("a key").to_owned(), line.as_bytes().to_vec())
    };
    text.lines().map(line).collect()
}

/// Each incident's records in the order told; panics when a revision is missing or doubled.
fn by_incident(told: &Revisions) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut incidents: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (key, payload) in told {
        let (incident, revision) = key.rsplit_once('/').expect("tenant/id/revision");
        let records = incidents.entry(incident.to_owned()).or_default();
        let revision: usize = revision.parse().expect("a number");
        assert_eq!(revision, records.len() + 1, "{key} comes after revision {}", records.len());
        records.push(payload.clone());
    }
    incidents
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_every_revision_arrives_once_and_as_without_a_failure() {
    let seed = variable("BELLWETHER_SEED", 42);
    let kills = variable("BELLWETHER_KILLS", KILLS);
    println!("seed {seed}, {kills} kills: BELLWETHER_SEED={seed} BELLWETHER_KILLS={kills} cargo test --test crash");
    let mut random = seed;
    let folder = tempfile::tempdir().expect("temporary folder");

    let calm_server = NatsServer::start().expect("a NATS server: run `make nats`");
    publish(&calm_server, rows(), Duration::ZERO).await;
    let calm = folder.path().join("calm");
    std::fs::create_dir_all(&calm).expect("a folder");
    let config = calm.join("bellwether.yaml");
    let calm_slow = NatsServer::start().expect("a NATS server");
    std::fs::write(&config, configuration(&calm, &calm_server.url(), &calm_slow.url())).expect("writes");
    let child = start(&config);
    let expected = told(&calm_server).await;
    assert_eq!(stop(child), Some(0), "an orderly stop");

    let server = NatsServer::start().expect("a NATS server");
    let wild = folder.path().join("wild");
    std::fs::create_dir_all(&wild).expect("a folder");
    let config = wild.join("bellwether.yaml");
    let slow = NatsServer::start().expect("a NATS server");
    std::fs::write(&config, configuration(&wild, &server.url(), &slow.url())).expect("writes");
    let connection = server.connection();
    let publishing = {
        let server = &server;
        async move { publish(server, rows(), Duration::from_millis(4)).await }
    };
    let killing = async {
        // The input's stream comes first: a source without one does not start.
        while connection.connect().await.expect("answers").get_stream(INPUT_STREAM).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for _ in 0..kills {
            // Two times of three it answers when the program starts; it may freeze meanwhile.
            signal(slow.id(), if next_random(&mut random).is_multiple_of(3) { "STOP" } else { "CONT" });
            let mut child = start(&config);
            let moment = Duration::from_millis(30 + next_random(&mut random) % 500);
            tokio::time::sleep(moment / 2).await;
            signal(slow.id(), if next_random(&mut random).is_multiple_of(2) { "STOP" } else { "CONT" });
            tokio::time::sleep(moment / 2).await;
            child.kill().expect("kill -9");
            child.wait().expect("is gone");
        }
    };
    tokio::join!(publishing, killing);
    signal(slow.id(), "CONT");
    let child = start(&config);
    let got = told(&server).await;
    let slowly = told(&slow).await;
    assert_eq!(stop(child), Some(0), "an orderly stop");

    let (expected, got) = (by_incident(&expected), by_incident(&got));
    for (reader, other) in [("slow", by_incident(&slowly)), ("file", by_incident(&in_file(&wild.join(FILE))))] {
        let counts = |told: &BTreeMap<String, Vec<Vec<u8>>>| -> Vec<(String, usize)> {
            told.iter().map(|(incident, records)| (incident.clone(), records.len())).collect()
        };
        assert_eq!(counts(&other), counts(&expected), "reader {reader}, seed {seed}");
    }
    let partitions: BTreeSet<usize> =
        TENANTS.iter().map(|tenant| partition_of(tenant, NonZeroUsize::new(3).expect("three"))).collect();
    assert_eq!(partitions.len(), TENANTS.len(), "each lives in another");
    assert!(expected.len() > 100, "only {} incidents: the test tests nothing", expected.len());
    assert_eq!(got.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "seed {seed}");
    for (incident, records) in &expected {
        assert_eq!(got[incident].len(), records.len(), "revisions of {incident}, seed {seed}");
        for (revision, (got, expected)) in got[incident].iter().zip(records).enumerate() {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(text(got), text(expected), "{incident} revision {}, seed {seed}", revision + 1);
        }
    }
    println!(
        "{} incidents, {} revisions, all once and equal",
        expected.len(),
        expected.values().map(Vec::len).sum::<usize>()
    );
}
