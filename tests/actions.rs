//! What people and ticketing systems say reaches the incident: over HTTP with the example's script,
//! over the real NATS server with the example's configuration.

mod service;

use std::path::Path;
use std::process::Command;

use bellwether_connectors::nats::testing::NatsServer;
use serde_json::{Value, json};
use service::{Service, TICKETING, TOKEN, free_address, wait_until};

/// Each alert is an incident of its own, and told soon.
const APART: &str = "  correlate: {threshold: 0.9999, merge_threshold: 0.9999}\n";

fn example(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ticketing").join(name)
}

/// The records told, oldest first.
fn records(service: &Service) -> Vec<Value> {
    service.records().into_iter().map(|mut line| line["record"].take()).collect()
}

/// The newest record of the incident that is about `host` alone.
fn of_host(service: &Service, host: &str) -> Option<Value> {
    let title = format!("DiskFull on {host}");
    records(service).into_iter().rev().find(|record| record["title"] == title.as_str())
}

/// The newest record of the incident `id`.
fn of_id(service: &Service, id: &str) -> Option<Value> {
    records(service).into_iter().rev().find(|record| record["id"] == id)
}

fn id_of(record: &Value) -> String {
    record["id"].as_str().expect("an id").to_owned()
}

/// Raises one alert on each host and waits for their incidents; their ids.
fn incidents(service: &Service, hosts: &[&str]) -> Vec<String> {
    hosts.iter().for_each(|host| assert_eq!(service.alert(TOKEN, host, &["DiskFull"]).status, 200));
    wait_until("an incident for each host", || hosts.iter().all(|host| of_host(service, host).is_some()));
    hosts.iter().map(|host| id_of(&of_host(service, host).expect("told"))).collect()
}

fn say(service: &Service, folder: &Path, words: &[&str]) {
    let mut script = Command::new(example("say.sh"));
    script
        .args(words)
        .env("BELLWETHER_URL", format!("http://{}", service.http))
        .env("TOKEN_FILE", folder.join("ticketing"));
    let done = script.output().expect("sh and curl");
    let shown =
        format!("{words:?}: {}{}", String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{shown}");
}

fn has_status(service: &Service, id: &str, status: &str) -> bool {
    of_id(service, id).is_some_and(|record| record["status"] == status)
}

#[test]
fn what_was_called_false_is_listed_stays_closed_and_can_be_taken_back() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    Service::configure(dir.path(), http, APART, "  alertmanager: {}\n  actions: {}\n");
    let mut service = Service::run(dir.path(), http);
    let id = incidents(&service, &["db-1"]).remove(0);
    say(&service, dir.path(), &["false_positive", &id, "ana"]);
    wait_until("the end", || has_status(&service, &id, "resolved"));
    assert_eq!(of_id(&service, &id).expect("told")["status_reason"], "false_positive");
    service.stop();
    let state = dir.path().join("state").display().to_string();
    let lessons = || {
        let shown = service::bellwether(&["lessons", "--json", "--from", &state]).stdout;
        String::from_utf8(shown).expect("text")
    };
    let listed: Value = serde_json::from_str(lessons().trim()).expect("one lesson");
    assert_eq!((&listed["lesson"]["alert"], &listed["lesson"]["who"]), (&json!("DiskFull"), &json!("ana")));
    assert_eq!(listed["lesson"]["incident"], id.as_str());
    let mut service = Service::run(dir.path(), http);
    say(&service, dir.path(), &["retract", &id, "ben"]);
    let none = "bellwether_lessons{tenant=\"acme\"} 0";
    wait_until(none, || service.metrics().lines().any(|line| line == none));
    service.stop();
    assert_eq!(lessons(), "");
}

#[test]
fn what_is_said_over_http_is_done() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    Service::configure(dir.path(), http, APART, "  alertmanager: {}\n  actions: {}\n");
    let mut service = Service::run(dir.path(), http);
    let ids = incidents(&service, &["db-1", "db-2"]);
    let (first, second) = (ids[0].as_str(), ids[1].as_str());

    say(&service, dir.path(), &["acknowledge", first, "ana"]);
    wait_until("the acknowledgement", || has_status(&service, first, "acknowledged"));
    assert_eq!(of_id(&service, first).expect("told")["owner"]["assignee"], "ana");
    say(&service, dir.path(), &["ticket", "created", "rt", first, "17"]);
    let ticket = |record: &Value| record["tickets"][0]["key"] == "17" && record["tickets"][0]["system"] == "rt";
    wait_until("the ticket in the record", || of_id(&service, first).as_ref().is_some_and(ticket));

    // Two become one, and its alert is taken out of it again.
    let alert = of_id(&service, second).expect("told")["alerts"][0]["fingerprint"].as_str().expect("hex").to_owned();
    say(&service, dir.path(), &["merge", second, "ana", first]);
    wait_until("the merge", || has_status(&service, second, "merged"));
    say(&service, dir.path(), &["detach", first, "ana", &alert]);
    let third = || records(&service).into_iter().rev().find(|record| !ids.contains(&id_of(record)));
    wait_until("the alert on its own again", || third().is_some());
    let third = id_of(&third().expect("told"));
    say(&service, dir.path(), &["attach", first, "ana", &alert]);
    wait_until("the alert back", || has_status(&service, &third, "merged"));

    say(&service, dir.path(), &["ticket", "resolved", "rt", first, "17"]);
    wait_until("the end with its ticket", || has_status(&service, first, "resolved"));
    assert_eq!(of_id(&service, first).expect("told")["status_reason"], "ticket");
    // What is no incident, or none any more, is told so.
    for gone in [third.as_str(), "inc_01KDV0000000000000000000AA"] {
        let body = json!({"incident": gone, "who": "ana"}).to_string();
        let lost = service.ask("POST", "/feedback/resolve", TICKETING, &body).expect("an answer");
        assert!(lost.status == 404 && lost.text.contains(gone), "{}: {}", lost.status, lost.text);
    }
    let wrong = service.ask("POST", "/feedback/resolve", TICKETING, &json!({"incident": first}).to_string());
    let wrong = wrong.expect("an answer");
    assert!(wrong.status == 400 && wrong.text.contains("who"), "{}", wrong.text);
    assert_eq!(service.ask("POST", "/feedback/resolve", "wrong", "{}").expect("an answer").status, 401);
    // Who may send may not act, nor silence, and the reverse.
    let refused = |path: &str, token: &str, word: &str| {
        let reply = service.ask("POST", path, token, "{}").expect("an answer");
        assert!(reply.status == 403 && reply.text.contains(word), "{path}: {} {}", reply.status, reply.text);
    };
    refused("/feedback/resolve", TOKEN, "lacks `act`");
    refused("/api/v2/silences", TOKEN, "lacks `act`");
    refused("/api/v2/alerts", TICKETING, "lacks `send`");
    let look = service.ask("GET", "/api/v2/silences", TOKEN, "").expect("an answer");
    assert_eq!(look.status, 200, "looking is free: {}", look.text);
    let page = service.metrics();
    assert!(page.contains("component_id=\"actions\""), "{page}");
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn what_is_said_over_nats_is_done_by_its_subject() {
    let nats = NatsServer::start().expect("a nats-server");
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    let config = Service::configure(dir.path(), http, APART, "  alertmanager: {}\n");
    let source = std::fs::read_to_string(example("nats.yaml")).expect("the example reads");
    let source = source.replace("nats://127.0.0.1:4222", &nats.url());
    let text = std::fs::read_to_string(&config).expect("reads");
    std::fs::write(&config, format!("{source}{text}")).expect("writes");
    let mut service = Service::run(dir.path(), http);
    let ids = incidents(&service, &["db-1", "db-2"]);
    let (first, second) = (ids[0].as_str(), ids[1].as_str());

    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = runtime.block_on(async {
        let client = async_nats::connect(nats.url()).await.expect("connects");
        async_nats::jetstream::new(client)
    });
    let publish = |subject: &str, payload: Value| {
        let sent = async {
            let payload = payload.to_string().into_bytes();
            client.publish(format!("bellwether.v1.{subject}"), payload.into()).await.expect("published").await
        };
        runtime.block_on(sent).expect("the stream has it");
    };
    // Of another tenant: nothing of it reaches this one.
    publish("beta.feedback.resolve", json!({"incident": first, "who": "eve"}));
    publish("acme.feedback.praise", json!({"incident": first, "who": "ana"}));
    publish("acme.ticket.acknowledged.rt", json!({"incident": first, "key": "17", "who": "ana"}));
    wait_until("the acknowledgement", || has_status(&service, first, "acknowledged"));
    let by_ticket = |record: &Value| record["status"] == "acknowledged" && record["status_reason"] == "ticket";
    assert!(records(&service).iter().any(by_ticket), "by whose word it is acknowledged");
    // Nobody waits for an answer: it is counted and logged that this is no incident of theirs.
    let counted = "bellwether_actions_unknown_total{tenant=\"beta\"} 1";
    wait_until(counted, || service.metrics().lines().any(|line| line == counted));
    assert!(service.said().contains("actions name incidents that are closed"), "{}", service.said());
    publish("acme.feedback.merge", json!({"incident": second, "into": first, "who": "ana"}));
    wait_until("the merge", || has_status(&service, second, "merged"));
    publish("acme.ticket.closed.rt", json!({"incident": first, "key": "17", "resolution": "false_positive"}));
    wait_until("the end", || has_status(&service, first, "closed"));
    service.stop();
    let rejected = std::fs::read_to_string(dir.path().join("state/rejected.ndjson"));
    assert!(rejected.expect("kept aside").contains("praise"));
}
