//! Readers of the incident log with the real program and the real NATS server: one that is away delays
//! itself alone, and one that waits for a person is told and goes on when asked.
//!
//! `BELLWETHER_AWAY_SECS=600 cargo test --test readers` keeps NATS away for ten minutes.

#![allow(clippy::disallowed_methods)] // nothing interrupts a waiting test

mod service;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull::OrderedConfig;
use bellwether::wiring::partitions::Partitions;
use bellwether_connectors::nats::testing::NatsServer;
use bellwether_connectors::sinks::nats::INCIDENT_STREAM;
use futures::StreamExt as _;
use service::{Service, TICKETING as GAMMA, TOKEN, bellwether, free_address, pause, wait_until};

/// How long NATS is away, in seconds.
const AWAY_SECS: u64 = 8;
/// A process that was told to stop ends within this time.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Memory that a dead receiver may cost.
const GROWTH_KIB_MAX: u64 = 64 << 10;

/// A service with a file and NATS as sinks; `nats` are further settings of the latter.
fn configure(folder: &Path, nats: &str) -> std::net::SocketAddr {
    let http = free_address();
    let file = Service::configure(folder, http, "", "  alertmanager: {}\n");
    let text = std::fs::read_to_string(&file).expect("reads");
    let text = text
        .replace("sinks:\n", &format!("sinks:\n  - nats: {{{nats}}}\n"))
        .replace("tick: 100ms\n", "tick: 100ms\npartitions: 3\ncheckpoint: {every: 300ms, entries: 1000000}\n")
        // A second tenant, which lives in another partition than the first.
        .replace("{tenant: acme, bearer_file: ticketing, may: [act]}", "{tenant: gamma, bearer_file: ticketing}")
        .replace(
            "ledger: {group_wait: 500ms}",
            "ledger: {group_wait: 300ms, update_every: 200ms, resolve_after: 500ms}",
        );
    std::fs::write(file, text).expect("writes");
    http
}

/// A value on `/metrics`.
fn metric(service: &Service, name: &str) -> u64 {
    let text = service.metrics();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("a number")
}

/// Resident memory of a process.
fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Keys on the stream, in order.
async fn on_stream(server: &NatsServer) -> Vec<String> {
    let context = server.connection().connect().await.expect("it answers");
    let Ok(stream) = context.get_stream(INCIDENT_STREAM).await else { return Vec::new() };
    let count = stream.cached_info().state.messages as usize;
    let consumer = stream.create_consumer(OrderedConfig::default()).await.expect("a consumer");
    let mut messages = consumer.messages().await.expect("messages");
    let mut keys = Vec::new();
    while keys.len() < count {
        let message = messages.next().await.expect("more").expect("a message");
        let key = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id")).expect("a key");
        keys.push(key.as_str().to_owned());
    }
    keys
}

fn in_file(service: &Service) -> Vec<String> {
    service.records().iter().map(|line| line["key"].as_str().expect("a key").to_owned()).collect()
}

/// Panics unless each revision is there once, in order, from the first.
fn assert_each_once_in_order(keys: &[String]) {
    let mut latest: BTreeMap<&str, u64> = BTreeMap::new();
    for key in keys {
        let (incident, revision) = key.rsplit_once('/').expect("tenant/id/revision");
        let last = latest.entry(incident).or_default();
        *last += 1;
        assert_eq!(revision.parse(), Ok(*last), "{key} in {keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_is_dead_under_load_nobody_else_notices_and_everything_arrives_once_when_it_is_back() {
    let away = std::env::var("BELLWETHER_AWAY_SECS").ok().and_then(|secs| secs.parse().ok()).unwrap_or(AWAY_SECS);
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = NatsServer::start().expect("a NATS server: run `make nats`");
    let http = configure(folder.path(), &format!("connection: {{servers: [\"{}\"]}}", server.url()));
    let mut service = Service::run(folder.path(), http);
    assert_eq!(service.alert(TOKEN, "first", &["DiskFull"]).status, 200);
    wait_until("the first is in the file", || !in_file(&service).is_empty());

    server.kill();
    let began = Instant::now();
    let (told, checkpoints, resident) =
        (in_file(&service).len(), metric(&service, "bellwether_checkpoints_total"), resident_kib(service.id()));
    let mut round = 0;
    let mut slowest = Duration::ZERO;
    while began.elapsed() < Duration::from_secs(away) {
        let asked = Instant::now();
        let whose = if round % 2 == 0 { TOKEN } else { GAMMA };
        assert_eq!(service.alert(whose, &format!("h{round}"), &["DiskFull", "LoadHigh"]).status, 200);
        slowest = slowest.max(asked.elapsed());
        round += 1;
        pause(Duration::from_millis(100));
    }
    assert!(slowest < Duration::from_secs(2), "a post took {slowest:?}");
    wait_until("the file goes on", || in_file(&service).len() > told + 3);
    wait_until("checkpoints go on", || metric(&service, "bellwether_checkpoints_total") > checkpoints + 5);
    let grown = resident_kib(service.id()).saturating_sub(resident);
    assert!(grown < GROWTH_KIB_MAX, "memory grew by {grown} KiB");
    assert!(metric(&service, "bellwether_reader_lag_records{reader=\"nats\"}") > 0);
    let state = folder.path().join("state");
    let listed = bellwether(&["sinks", "--from", state.to_str().expect("a path")]);
    let listed = String::from_utf8(listed.stdout).expect("text");
    let nats = listed.lines().find(|line| line.starts_with("nats")).unwrap_or_else(|| panic!("{listed}"));
    assert!(nats.contains("away"), "{listed}");

    let asked = Instant::now();
    assert_eq!(service.stop(), Some(0), "an orderly stop");
    assert!(asked.elapsed() < STOP_MAX, "it took {:?} to stop", asked.elapsed());
    drop(service);
    let mut service = Service::run(folder.path(), http);
    assert_eq!(service.alert(TOKEN, "last", &["DiskFull"]).status, 200);

    server.restart().expect("it starts again");
    wait_until("the reader has everything", || {
        metric(&service, "bellwether_reader_lag_records{reader=\"nats\"}") == 0
            && metric(&service, "bellwether_reader_lag_records{reader=\"ndjson\"}") == 0
    });
    assert_eq!(service.stop(), Some(0), "an orderly stop");
    let (on_stream, in_file) = (on_stream(&server).await, in_file(&service));
    assert_each_once_in_order(&in_file);
    assert_each_once_in_order(&on_stream);
    assert_eq!(on_stream.len(), in_file.len());
    for tenant in ["acme/", "gamma/"] {
        assert!(on_stream.iter().any(|key| key.starts_with(tenant)), "nothing of {tenant}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nats_that_is_away_at_the_start_gets_what_was_told_and_is_read_when_it_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = NatsServer::start().expect("a NATS server: run `make nats`");
    server.kill();
    let connection = format!("connection: {{servers: [\"{}\"]}}", server.url());
    let http = configure(folder.path(), &connection);
    let file = folder.path().join("bellwether.yaml");
    let source = format!(
        "sources:\n  - nats: {{name: rows, stream: ROWS, subjects: [\"rows.>\"], tenant: acme, {connection}}}\n"
    );
    std::fs::write(&file, source + &std::fs::read_to_string(&file).expect("reads")).expect("writes");
    let mut service = Service::run(folder.path(), http);
    assert_eq!(service.alert(TOKEN, "first", &["DiskFull"]).status, 200, "doors are open");
    wait_until("the file has it", || !in_file(&service).is_empty());
    for what in ["the receiver is away", "the server is away"] {
        wait_until(what, || service.said().contains(what));
    }
    let checked = bellwether(&["check", "-c", file.to_str().expect("a path")]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    for part in ["waiting in the incident log since", "nats-server -js"] {
        assert!(checked.contains(part), "{part} in {checked}");
    }

    server.restart().expect("it starts");
    wait_until("the reader has everything", || metric(&service, "bellwether_reader_lag_records{reader=\"nats\"}") == 0);
    let context = server.connection().connect().await.expect("it answers");
    wait_until("the source made its stream", || service.said().contains("the server answers"));
    let row = r#"{"signal":"alert","time":"2026-03-01T10:00:00Z","source":"t","name":"Late","entity":"host:x","severity":"critical","status":"firing"}"#;
    context.publish("rows.a", row.into()).await.expect("sent").await.expect("the stream has it");
    wait_until("what comes over NATS is told", || {
        service.records().iter().any(|line| line.to_string().contains("host:x"))
    });
    wait_until("that, too, is delivered", || metric(&service, "bellwether_reader_lag_records{reader=\"nats\"}") == 0);
    assert_eq!(service.stop(), Some(0), "an orderly stop");
    let (on_stream, in_file) = (on_stream(&server).await, in_file(&service));
    assert_each_once_in_order(&on_stream);
    assert_eq!(on_stream.len(), in_file.len());
}

#[test]
fn credentials_that_nats_refuses_are_said_at_the_start_and_park_the_sink_when_they_show_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = NatsServer::start().expect("a NATS server: run `make nats`");
    server.restart_with(&["--auth", "another-token"]).expect("it starts");
    let http = configure(folder.path(), &format!("connection: {{servers: [\"{}\"]}}", server.url()));
    let file = folder.path().join("bellwether.yaml");
    let started = bellwether(&["run", "-c", file.to_str().expect("a path")]);
    let said = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(started.status.code() == Some(1) && said.contains("refuses the credentials"), "{said}");
    assert!(said.contains("correct `credentials_file` or `token_file`"), "{said}");

    server.kill();
    let mut service = Service::run(folder.path(), http);
    assert_eq!(service.alert(TOKEN, "first", &["DiskFull"]).status, 200);
    wait_until("the file has it", || !in_file(&service).is_empty());
    server.restart_with(&["--auth", "another-token"]).expect("it starts");
    wait_until("it waits for a person", || metric(&service, "bellwether_reader_parked{reader=\"nats\"}") == 1);
    let checked = bellwether(&["check", "-c", file.to_str().expect("a path")]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        checked.contains("refuses the credentials") && checked.contains("bellwether sinks retry nats"),
        "{checked}"
    );
    assert_eq!(service.stop(), Some(0), "an orderly stop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_gives_up_is_an_incident_of_ours_and_goes_on_when_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = NatsServer::start().expect("a NATS server: run `make nats`");
    server.kill();
    let settings = format!("give_up_after: 1s, connection: {{servers: [\"{}\"]}}", server.url());
    let http = configure(folder.path(), &settings);
    let mut service = Service::run(folder.path(), http);
    assert_eq!(service.alert(TOKEN, "first", &["DiskFull"]).status, 200);
    wait_until("it is told", || {
        let ours = |line: &serde_json::Value| line["key"].as_str().is_some_and(|key| key.starts_with("bellwether/"));
        service.records().iter().any(ours)
    });
    let state = folder.path().join("state");
    let sinks = |args: &[&str]| {
        let mut all = vec!["sinks"];
        all.extend(args);
        all.extend(["--from", state.to_str().expect("a path")]);
        let output = bellwether(&all);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text)
    };
    let (code, listed) = sinks(&[]);
    assert!(code == Some(0) && listed.contains("parked") && listed.contains("bellwether sinks retry nats"), "{listed}");
    let (code, said) = sinks(&["skip", "nats", "--until", "now"]);
    assert!(code == Some(0) && said.contains("will never be delivered") && said.contains("--yes"), "{said}");
    let (code, said) = sinks(&["retry", "nowhere"]);
    assert!(code == Some(2) && said.contains("known: nats, ndjson"), "{said}");

    server.restart().expect("it starts again");
    let (code, said) = sinks(&["retry", "nats"]);
    assert!(code == Some(0) && said.contains("goes on as asked"), "{said}");
    wait_until("it has everything", || metric(&service, "bellwether_reader_lag_records{reader=\"nats\"}") == 0);
    wait_until("the incident of ours is over", || {
        service.records().iter().any(|line| {
            line["key"].as_str().is_some_and(|key| key.starts_with("bellwether/"))
                && line["subject"].as_str().is_some_and(|subject| !subject.contains(".opened."))
        })
    });
    assert_eq!(service.stop(), Some(0), "an orderly stop");
    let on_stream = on_stream(&server).await;
    assert_each_once_in_order(&on_stream);
    assert!(on_stream.iter().any(|key| key.starts_with("acme/")), "{on_stream:?}");
}

/// What the version before left: checkpoints, a journal, receivers that have some of it, and no log.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_folder_without_a_log_is_taken_over_and_nothing_is_lost_or_doubled() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = NatsServer::start().expect("a NATS server: run `make nats`");
    let http = configure(folder.path(), &format!("connection: {{servers: [\"{}\"]}}", server.url()));
    let mut service = Service::run(folder.path(), http);
    assert_eq!(service.alert(TOKEN, "first", &["DiskFull"]).status, 200);
    wait_until("it is delivered", || metric(&service, "bellwether_reader_delivered_events_total{reader=\"nats\"}") > 0);
    assert_eq!(service.stop(), Some(0), "an orderly stop leaves a checkpoint");
    drop(service);

    // No further checkpoint: what follows is told again after the kill.
    let config = folder.path().join("bellwether.yaml");
    let text = std::fs::read_to_string(&config).expect("reads");
    std::fs::write(&config, text.replace("every: 300ms", "every: 1h")).expect("writes");
    let service = Service::run(folder.path(), http);
    let delivered = |service: &Service| metric(service, "bellwether_reader_lag_records{reader=\"nats\"}") == 0;
    let before = in_file(&service).len();
    assert_eq!(service.alert(TOKEN, "second", &["LoadHigh"]).status, 200);
    wait_until("it is told to both", || in_file(&service).len() > before && delivered(&service));
    drop(service);

    let state = folder.path().join("state");
    for partition in Partitions::of(&state).expect("their number reads").folders() {
        std::fs::remove_dir_all(partition.join("incident-log")).expect("there was one");
        std::fs::remove_dir_all(partition.join("readers")).expect("there were some");
    }
    let mut service = Service::run(folder.path(), http);
    let before = in_file(&service).len();
    assert_eq!(service.alert(TOKEN, "third", &["Unreachable"]).status, 200);
    wait_until("what comes is told to both", || in_file(&service).len() > before && delivered(&service));
    assert!(metric(&service, "bellwether_reader_known_events_total{reader=\"nats\"}") > 0, "nothing was told again");
    assert_eq!(service.stop(), Some(0), "an orderly stop");
    let (on_stream, in_file) = (on_stream(&server).await, in_file(&service));
    assert_each_once_in_order(&in_file);
    assert_each_once_in_order(&on_stream);
    assert_eq!(on_stream.len(), in_file.len());
}
