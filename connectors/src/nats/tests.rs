//! Sink and source against the real server.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::stream::{Config as StreamConfig, RetentionPolicy};
use bellwether_engine::incident::IncidentRecord;
use bellwether_engine::signal::SignalKind;
use bellwether_engine::time::Span;
use futures::StreamExt;

use super::testing::NatsServer;
use super::*;
use crate::intake::reject::RejectLog;
use crate::intake::{Intake, Source, stop_pair};
use crate::journal::{Journal, JournalConfig, LocalJournal, Position};
use crate::sinks::nats::*;
use crate::sinks::tests::event;
use crate::sinks::{Outgoing, Sink};
use crate::sources::nats::*;

fn server() -> NatsServer {
    NatsServer::start().expect("a nats-server")
}

fn sink_config(server: &NatsServer) -> NatsSinkConfig {
    NatsSinkConfig { connection: server.connection(), give_up_after: Span::from_secs(60), ..NatsSinkConfig::default() }
}

async fn open(server: &NatsServer) -> NatsSink {
    NatsSink::open(sink_config(server)).await.expect("the sink opens")
}

/// Message ids on the stream, in order.
async fn on_stream(server: &NatsServer) -> Vec<String> {
    let context = server.connection().connect().await.expect("connects");
    let stream = context.get_stream(INCIDENT_STREAM).await.expect("the stream");
    let count = stream.cached_info().state.messages as usize;
    let consumer = stream.create_consumer(OrderedConfig::default()).await.expect("a consumer");
    let messages = consumer.messages().await.expect("messages").take(count);
    let id = |m: async_nats::jetstream::Message| {
        let headers = m.headers.as_ref().expect("headers").clone();
        headers.get("Nats-Msg-Id").expect("an id").as_str().to_owned()
    };
    messages.map(|m| id(m.expect("a message"))).collect().await
}

fn assert_each_once_in_order(ids: &[String], incidents: u64, revisions: u64) {
    let mut by_incident: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for id in ids {
        let (incident, revision) = id.rsplit_once('/').expect("an id");
        by_incident.entry(incident).or_default().push(revision.parse().expect("a revision"));
    }
    assert_eq!(by_incident.len() as u64, incidents);
    let want: Vec<u64> = (1..=revisions).collect();
    for (incident, revisions) in by_incident {
        assert_eq!(revisions, want, "{incident}");
    }
}

fn storm(incidents: u64, revisions: u64) -> Vec<Outgoing> {
    (1..=revisions).flat_map(|revision| (0..incidents).map(move |incident| event("acme", incident, revision))).collect()
}

#[tokio::test]
async fn an_event_is_a_cloud_event_and_the_latest_record_is_in_the_bucket() {
    let server = server();
    let mut sink = open(&server).await;
    let delivered = sink.deliver(&[event("acme", 1, 1), event("acme", 1, 2)]).await.expect("delivered");
    assert_eq!((delivered.sent, delivered.skipped), (2, 0));

    let context = server.connection().connect().await.expect("connects");
    let stream = context.get_stream(INCIDENT_STREAM).await.expect("the stream");
    let message = stream.get_raw_message(1).await.expect("a message");
    let want = event("acme", 1, 1).event;
    assert_eq!(message.subject.as_str(), want.subject());
    let header = |name: &str| message.headers.get(name).map(|v| v.as_str().to_owned());
    assert_eq!(header("ce-specversion").as_deref(), Some("1.0"));
    assert_eq!(header("ce-id"), Some(want.key()));
    assert_eq!(header("ce-type").as_deref(), Some("bellwether.incident.opened.v1"));
    assert_eq!(header("Nats-Msg-Id"), Some(want.key()));
    let record: IncidentRecord = serde_json::from_slice(&message.payload).expect("a record");
    assert_eq!(record, want.record);

    let bucket = context.get_key_value(INCIDENT_BUCKET).await.expect("the bucket");
    let latest = bucket.get(want.kv_key()).await.expect("reads").expect("is there");
    let latest: IncidentRecord = serde_json::from_slice(&latest).expect("a record");
    assert_eq!(latest.revision, 2);
}

#[tokio::test]
async fn what_is_delivered_again_after_a_restart_is_skipped() {
    let server = server();
    let events = storm(40, 5);
    let first = open(&server).await.deliver(&events).await.expect("delivered");
    assert_eq!(first.sent, 200);
    let again = open(&server).await.deliver(&events).await.expect("delivered");
    assert_eq!((again.sent, again.skipped), (0, 200));
    assert_each_once_in_order(&on_stream(&server).await, 40, 5);
}

#[tokio::test]
async fn the_bucket_of_incidents_holds_incidents_alone_also_where_it_held_more() {
    let server = server();
    let events = storm(3, 2);
    open(&server).await.deliver(&events[..4]).await.expect("delivered");
    let context = server.connection().connect().await.expect("connects");
    let bucket = context.get_key_value(INCIDENT_BUCKET).await.expect("the bucket");
    let marks = context.get_key_value(OUTBOX_BUCKET).await.expect("the bucket");
    // As a version before has left it: the mark among the incidents.
    marks.purge("nats").await.expect("purged");
    bucket.put("outbox/nats", "4".into()).await.expect("put");
    let again = open(&server).await.deliver(&events).await.expect("delivered");
    assert_eq!((again.sent, again.skipped), (2, 4));
    let keys: Vec<String> = bucket.keys().await.expect("keys").map(|key| key.expect("a key")).collect().await;
    assert!(keys.len() == 3 && keys.iter().all(|key| key.starts_with("acme.inc_")), "{keys:?}");
    let mark = marks.get("nats").await.expect("reads").expect("it is there");
    assert_eq!(mark, "6");
}

/// The duplicate window does not help here: the stream's is cut to the shortest allowed and
/// waited out, and the bucket is behind the stream as after a crash between the two.
#[tokio::test]
async fn a_crash_between_stream_and_bucket_is_mended_beyond_the_duplicate_window() {
    let server = server();
    let events = storm(10, 3);
    open(&server).await.deliver(&events[..20]).await.expect("delivered");

    let context = server.connection().connect().await.expect("connects");
    let mut stream = context.get_stream(INCIDENT_STREAM).await.expect("the stream");
    let mut config: StreamConfig = stream.info().await.expect("info").config.clone();
    config.duplicate_window = Duration::from_secs(10);
    context.update_stream(config).await.expect("updated");
    // What a sink that died before the bucket was written leaves behind.
    let bucket = context.get_key_value(INCIDENT_BUCKET).await.expect("the bucket");
    for outgoing in &events[10..20] {
        let mut record = outgoing.event.record.clone();
        record.revision = 1;
        let bytes = serde_json::to_vec(&record).expect("JSON");
        bucket.put(outgoing.event.kv_key(), bytes.into()).await.expect("put");
    }
    let marks = context.get_key_value(OUTBOX_BUCKET).await.expect("the bucket");
    marks.put("nats", "10".into()).await.expect("put");
    tokio::time::sleep(Duration::from_secs(12)).await;

    let again = open(&server).await.deliver(&events).await.expect("delivered");
    assert_eq!((again.sent, again.skipped), (10, 20));
    assert_each_once_in_order(&on_stream(&server).await, 10, 3);
    let latest = bucket.get(events[29].event.kv_key()).await.expect("reads").expect("is there");
    assert_eq!(serde_json::from_slice::<IncidentRecord>(&latest).expect("a record").revision, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_again_and_again_gets_each_revision_once_in_order() {
    let mut server = server();
    let mut sink = open(&server).await;
    let events = storm(50, 200);
    let delivery = tokio::spawn(async move {
        let (mut sent, mut retries) = (0, 0);
        for chunk in events.chunks(100) {
            sent += loop {
                match sink.deliver(chunk).await {
                    Ok(delivered) => break delivered.sent,
                    Err(error) => assert!(error.is_retryable(), "{error}"),
                }
                retries += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            };
            // Slow enough that every kill falls among the deliveries, on a fast machine, too.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        (sent, retries)
    });
    for pause_ms in [30, 80, 150, 60] {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        server = tokio::task::spawn_blocking(move || {
            server.restart().expect("restarts");
            server
        })
        .await
        .expect("the restart ran");
    }
    let (sent, retries) = delivery.await.expect("the delivery ran");
    assert!(retries > 0, "the kills fell beside the deliveries: {sent} sent");
    assert_each_once_in_order(&on_stream(&server).await, 50, 200);
}

#[tokio::test]
async fn tenants_with_equal_incidents_do_not_suppress_each_other() {
    let server = server();
    let mut sink = open(&server).await;
    let both = [event("acme", 1, 1), event("beta", 1, 1)];
    assert_eq!(sink.deliver(&both).await.expect("delivered").sent, 2);
}

#[tokio::test]
async fn a_stream_with_unfit_settings_is_refused_with_the_setting() {
    let server = server();
    let context = server.connection().connect().await.expect("connects");
    context
        .create_stream(StreamConfig {
            name: INCIDENT_STREAM.to_owned(),
            subjects: vec!["bellwether.v1.*.incident.>".to_owned()],
            retention: RetentionPolicy::WorkQueue,
            ..StreamConfig::default()
        })
        .await
        .expect("created");
    let error = NatsSink::open(sink_config(&server)).await.map(|_| ()).expect_err("refused");
    assert!(matches!(&error, NatsError::Setting { setting: "retention", .. }), "{error}");
}

#[tokio::test]
async fn no_server_is_an_error_that_says_what_to_do() {
    let connection = NatsConnection { servers: vec!["nats://127.0.0.1:1".to_owned()], ..NatsConnection::default() };
    let error = connection.connect().await.map(|_| ()).expect_err("nobody is there");
    assert!(error.to_string().contains("nats-server -js"), "{error}");
}

/// A server as Debian's 2.9.10 presents itself: JetStream, but no API level. The real one is
/// used when `BELLWETHER_NATS_SERVER_OLD` names it.
#[tokio::test]
async fn a_server_without_an_api_level_is_refused() {
    let (url, _real) = match std::env::var_os("BELLWETHER_NATS_SERVER_OLD") {
        Some(path) => {
            let server = NatsServer::start_binary(&PathBuf::from(path)).expect("the old server starts");
            (server.url(), Some(server))
        }
        None => (old_server().await, None),
    };
    let connection = NatsConnection { servers: vec![url], ..NatsConnection::default() };
    let error = connection.connect().await.map(|_| ()).expect_err("too old");
    assert!(matches!(&error, NatsError::TooOld { version, level: 0 } if version == "2.9.10"), "{error}");
}

/// Speaks just enough of the protocol to answer `$JS.API.INFO` as 2.9.10 does.
async fn old_server() -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const INFO: &str = "INFO {\"server_id\":\"OLD\",\"server_name\":\"old\",\"version\":\"2.9.10\",\"proto\":1,\"go\":\"go1.19\",\"host\":\"127.0.0.1\",\"port\":4222,\"headers\":true,\"max_payload\":1048576,\"jetstream\":true,\"client_id\":1}\r\n";
    const ACCOUNT: &str = r#"{"type":"io.nats.jetstream.api.v1.account_info_response","memory":0,"storage":0,"streams":0,"consumers":0,"limits":{"max_memory":-1,"max_storage":-1,"max_streams":-1,"max_consumers":-1,"max_ack_pending":-1,"memory_max_stream_bytes":-1,"storage_max_stream_bytes":-1,"max_bytes_required":false},"api":{"total":0,"errors":0}}"#;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("binds");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let Ok((mut stream, _)) = listener.accept().await else {
            return;
        };
        stream.write_all(INFO.as_bytes()).await.expect("written");
        let mut text = String::new();
        let mut sid = String::new();
        let mut chunk = [0; 4_096];
        while let Ok(read @ 1..) = stream.read(&mut chunk).await {
            text.push_str(&String::from_utf8_lossy(&chunk[..read]));
            while let Some((line, rest)) = text.split_once("\r\n") {
                let words: Vec<&str> = line.split(' ').collect();
                let answer = match words.as_slice() {
                    ["PING"] => "PONG\r\n".to_owned(),
                    ["SUB", _, id] => {
                        sid = (*id).to_owned();
                        String::new()
                    }
                    ["PUB", "$JS.API.INFO", reply, _] => {
                        format!("MSG {reply} {sid} {}\r\n{ACCOUNT}\r\n", ACCOUNT.len())
                    }
                    _ => String::new(),
                };
                stream.write_all(answer.as_bytes()).await.expect("written");
                text = rest.to_owned();
            }
        }
    });
    format!("nats://127.0.0.1:{port}")
}

fn source_config(server: &NatsServer) -> NatsSourceConfig {
    NatsSourceConfig {
        name: "telemetry".to_owned(),
        connection: server.connection(),
        stream: "TELEMETRY".to_owned(),
        subjects: vec!["telemetry.>".to_owned()],
        tenant: None,
        tenant_token: Some(2),
        payload: Payload::Rows,
        rows: crate::decode::RowsConfig::default(),
        batch: 50,
    }
}

fn journal() -> (tempfile::TempDir, Arc<LocalJournal>) {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = LocalJournal::open(&JournalConfig::new(dir.path())).expect("opens");
    (dir, Arc::new(journal))
}

/// Runs the source until its stream is there and the journal has taken `rows` log rows, then stops it.
async fn run_until(server: &NatsServer, journal: &Arc<LocalJournal>, rows: u64) -> Intake {
    run_into(server, Intake::new(journal.clone(), RejectLog::counting()), rows).await
}

/// The same through a door.
async fn run_into(server: &NatsServer, intake: Intake, rows: u64) -> Intake {
    let (stopper, stop) = stop_pair();
    let source = Box::new(NatsSource::new(source_config(server), Arc::default()).expect("a source"));
    let running = tokio::spawn(source.run(intake.clone(), stop));
    let context = server.connection().connect().await.expect("connects");
    let enough = async {
        while intake.counts().rows(SignalKind::Log) < rows || context.get_stream("TELEMETRY").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), enough).await;
    stopper.stop();
    running.await.expect("the source ran").expect("the source ended well");
    in_time.expect("the rows arrived");
    intake
}

async fn publish_logs(server: &NatsServer, range: std::ops::Range<u64>) {
    let context = server.connection().connect().await.expect("connects");
    for n in range {
        let row = format!(r#"{{"signal":"log","time":1772359200,"entity":"service:a","body":"line {n}"}}"#);
        let subject = format!("telemetry.{}.logs", if n % 2 == 0 { "acme" } else { "beta" });
        let ack = context.publish(subject, row.into()).await.expect("published");
        ack.await.expect("acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_taken_once_across_restarts_and_lost_acknowledgements() {
    let server = server();
    let (_dir, journal) = journal();
    // The source creates its stream.
    run_until(&server, &journal, 0).await;
    publish_logs(&server, 0..120).await;
    let intake = run_until(&server, &journal, 120).await;
    assert_eq!(intake.counts().rows(SignalKind::Log), 120);

    // A consumer made anew delivers everything again, as if no acknowledgement had arrived.
    let context = server.connection().connect().await.expect("connects");
    let stream = context.get_stream("TELEMETRY").await.expect("the stream");
    stream.delete_consumer("telemetry").await.expect("deleted");
    publish_logs(&server, 120..130).await;
    let intake = run_until(&server, &journal, 10).await;
    assert_eq!(intake.counts().rows(SignalKind::Log), 10);

    let mut reader = journal.read(Position::START).expect("a reader");
    let mut tenants: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(entry) = reader.next_entry().expect("an entry") {
        let input = bellwether_engine::input::Input::decode(&entry.bytes).expect("decodes");
        if let bellwether_engine::input::Input::Batch(batch) = input {
            *tenants.entry(batch.tenant().to_owned()).or_default() += batch.len();
        }
    }
    assert_eq!(tenants, BTreeMap::from([("acme".to_owned(), 65), ("beta".to_owned(), 65)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_whose_part_of_the_stream_is_lost_is_given_it_again_and_the_others_are_not() {
    let server = server();
    let dir = tempfile::tempdir().expect("a folder");
    // Of three partitions `acme` lives in the second and `beta` in the third.
    let open = |number: usize| LocalJournal::open(&JournalConfig::new(dir.path().join(number.to_string())));
    let journals = || -> Vec<Arc<LocalJournal>> { (0..3).map(|n| Arc::new(open(n).expect("opens").0)).collect() };
    let first = journals();
    let over = |journals: &[Arc<LocalJournal>]| {
        let doors = journals.iter().map(|journal| journal.clone() as Arc<dyn Journal>).collect();
        Intake::over(doors, RejectLog::counting())
    };
    run_into(&server, over(&first), 0).await;
    publish_logs(&server, 0..60).await;
    run_into(&server, over(&first), 60).await;
    drop(first);
    // As if the process had died between the two, and the acknowledgements were lost with it.
    std::fs::remove_dir_all(dir.path().join("2")).expect("removed");
    let context = server.connection().connect().await.expect("connects");
    let stream = context.get_stream("TELEMETRY").await.expect("the stream");
    stream.delete_consumer("telemetry").await.expect("deleted");
    let again = journals();
    let intake = run_into(&server, over(&again), 30).await;
    assert_eq!(intake.counts().rows(SignalKind::Log), 30, "what the other partition has is not taken again");
    for (number, journal) in again.iter().enumerate() {
        let mut reader = journal.read(Position::START).expect("a reader");
        let mut rows = 0;
        while let Some(entry) = reader.next_entry().expect("an entry") {
            rows += bellwether_engine::input::Input::decode(&entry.bytes).expect("decodes").rows();
        }
        assert_eq!(rows, [0, 30, 30][number], "partition {number}");
    }
}
