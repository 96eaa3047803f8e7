//! One incident, one ticket: born complete, kept as the incident is, and what people do to it comes back.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bellwether::config::{self, Config};
use serde_json::{Value, json};

use crate::line::{Cut, Line};
use crate::rt::RequestTracker;
use crate::service::{self, Service, TOKEN, free_address, wait_until};

/// Each alert is an incident of its own; it ends soon after its alert has.
const APART: &str = "  correlate: {threshold: 0.9999, merge_threshold: 0.9999}\n";
/// What the catalogue of `acme` says.
const CATALOGUE: &str = "teams: [{name: database, assignment_group: DBA, escalation: dba-lead}]\n\
                         services: [{entity: 'host:db-1', owner: database, criticality: critical, customers: [web shop]}]\n";

/// The section `bridges` as the example ships it, to a Request Tracker at `address`.
pub(crate) fn bridges(folder: &Path, address: SocketAddr, token: &str, more: &str) -> String {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/request-tracker/bridges.yaml");
    let text = fs::read_to_string(example).expect("the example is there");
    let file = folder.join("rt-token");
    fs::write(&file, token).expect("writes");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("chmod");
    let text =
        text.replace("127.0.0.1:8085", &address.to_string()).replace("token_file: token", "token_file: rt-token");
    let pace = format!("      name: rt\n      pace: {{poll: 300ms, settle: 5s{more}}}\n");
    text.replace("      name: rt\n", &pace)
}

/// Configures the program with the example's bridge to `address`; where it will listen.
pub(crate) fn configure(folder: &Path, address: SocketAddr, token: &str, engine: &str, more: &str) -> SocketAddr {
    let http = free_address();
    let config = Service::configure(folder, http, engine, "  alertmanager: {}\n  actions: {}\n");
    let text = fs::read_to_string(&config).expect("reads");
    let text = text.replace("group_wait: 500ms", "group_wait: 500ms, resolve_after: 1s");
    fs::write(folder.join("catalogue.yaml"), CATALOGUE).expect("writes");
    let tenants = "tenants: {acme: {catalogue: catalogue.yaml}}\n";
    fs::write(&config, text + tenants + &bridges(folder, address, token, more)).expect("writes");
    http
}

/// The newest record of each incident, as the file of the program has it.
pub(crate) fn newest(service: &Service) -> std::collections::BTreeMap<String, Value> {
    let records = service.records().into_iter().map(|mut line| line["record"].take());
    records.map(|record| (record["id"].as_str().expect("an id").to_owned(), record)).collect()
}

/// Says that an alert of `host` has recovered.
pub(crate) fn recover(service: &Service, host: &str, name: &str) {
    let labels = json!({"alertname": name, "instance": format!("{host}:9100"), "job": "node", "severity": "critical"});
    let ended = jiff::Timestamp::now().to_string();
    let body = json!([{"labels": labels, "annotations": {"summary": "the disk is full"}, "endsAt": ended}]);
    let reply = service.ask("POST", "/api/v2/alerts", TOKEN, &body.to_string()).expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text);
}

#[test]
fn an_incident_is_one_complete_ticket_and_what_people_do_there_comes_back() {
    let Some(tracker) = RequestTracker::start() else { return };
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = configure(dir.path(), tracker.address(), tracker.token(), APART, "");
    let service = Service::run(dir.path(), http);
    assert_eq!(service.alert(TOKEN, "db-1", &["DiskFull"]).status, 200);
    wait_until("there is a ticket", || !tracker.tickets().is_empty());
    wait_until("the record names it", || {
        newest(&service)
            .values()
            .any(|record| record["tickets"][0]["key"] == "1" && record["tickets"][0]["status"] == "new")
    });
    let (id, record) = newest(&service).pop_first().expect("told");

    // Born complete.
    let ticket = tracker.ticket("1");
    assert_eq!((ticket.status.as_str(), ticket.subject.as_str()), ("new", record["title"].as_str().expect("a title")));
    let priority = match record["priority"].as_str() {
        Some("P1") => "90",
        Some("P2") => "70",
        Some("P3") => "50",
        other => panic!("{other:?}"),
    };
    assert_eq!(ticket.priority, priority);
    assert_eq!(ticket.fields["bw_incident"], format!("acme/{id}"));
    assert_eq!(ticket.fields["bw_team"], "database");
    assert!(ticket.fields["bw_cause"].starts_with("host:db-1 ("), "{ticket:?}");
    let text = tracker.text("1");
    for part in ["Cause:     host:db-1", "Owner:     database, then dba-lead", "Alert:     DiskFull", id.as_str()] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }

    // A person takes it, says something, and has it less urgent.
    tracker.change("ana", "1", json!({"Owner": "ana"}));
    tracker.change("ana", "1", json!({"Priority": "40"}));
    tracker.comment("ana", "1", "the log volume, I think");
    wait_until("it is acknowledged", || newest(&service)[&id]["status"] == "acknowledged");
    let record = newest(&service)[&id].clone();
    assert_eq!((&record["owner"]["assignee"], &record["status_reason"]), (&json!("ana"), &json!("ticket")));
    wait_until("and its ticket is open", || tracker.ticket("1").status == "open");
    let ticket = tracker.ticket("1");
    assert_eq!((ticket.owner.as_str(), ticket.priority.as_str()), ("ana", "40"), "what is hers stays");
    let said = journal_text(dir.path());
    assert!(
        said.contains("the log volume, I think") && said.contains("prioritised"),
        "what was said is in the journal"
    );

    // She fixes it.
    tracker.change("ana", "1", json!({"Status": "resolved"}));
    wait_until("it is resolved", || newest(&service)[&id]["status"] == "resolved");
    assert_eq!(newest(&service)[&id]["status_reason"], "ticket");

    // Another one ends by itself.
    assert_eq!(service.alert(TOKEN, "web-1", &["Slow"]).status, 200);
    wait_until("there is another ticket", || tracker.tickets().len() == 2);
    recover(&service, "web-1", "Slow");
    wait_until("its ticket is resolved", || tracker.ticket("2").status == "resolved");
    assert_eq!(tracker.tickets().len(), 2);
    let page = service.metrics();
    assert!(page.contains("bellwether_tickets_created_total{bridge=\"rt\"} 2"), "{page}");
    assert!(!service.said().contains(tracker.token()), "the token is in no log");
}

/// Everything that is in the journals, as far as it is text.
fn journal_text(folder: &Path) -> String {
    let home = service::home(folder, "acme").join("journal");
    let files = fs::read_dir(home).expect("a journal").filter_map(Result::ok);
    files.map(|file| String::from_utf8_lossy(&fs::read(file.path()).unwrap_or_default()).into_owned()).collect()
}

#[test]
fn a_system_that_is_away_delays_nobody_and_has_its_tickets_afterwards() {
    let Some(tracker) = RequestTracker::start() else { return };
    let line = Line::to(tracker.address());
    line.cut(Cut::Dead);
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = configure(dir.path(), line.address, tracker.token(), APART, "");
    let mut service = Service::run(dir.path(), http);
    for host in ["a-1", "a-2", "a-3"] {
        assert_eq!(service.alert(TOKEN, host, &["DiskFull"]).status, 200);
    }
    wait_until("the file has all", || newest(&service).len() == 3);
    recover(&service, "a-2", "DiskFull");
    wait_until("and the end of one", || newest(&service).values().any(|record| record["status"] == "resolved"));
    assert!(tracker.tickets().is_empty());
    // What is listed says why.
    let config = dir.path().join("bellwether.yaml").display().to_string();
    let listed = service::bellwether(&["tickets", "-c", &config]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("failing") || listed.contains("waiting"), "{listed}");
    // It is away over a restart, too.
    assert_eq!(service.stop(), Some(0));
    drop(service);
    let service = Service::run(dir.path(), http);
    line.mend();
    wait_until("each has its ticket", || tracker.tickets().len() == 3);
    wait_until("as it is", || tracker.tickets().iter().filter(|ticket| ticket.status == "resolved").count() == 1);
    wait_until("all are mapped", || {
        let listed = service::bellwether(&["tickets", "-c", &config, "--json"]);
        let lines = String::from_utf8_lossy(&listed.stdout).into_owned();
        lines.lines().count() == 3 && lines.lines().all(|line| line.contains(r#""state":"mapped""#))
    });
    assert_eq!(tracker.tickets().len(), 3);
    drop(service);
}

#[test]
fn a_check_says_what_the_system_lacks_and_a_ticket_waits_for_a_person_until_it_is_there() {
    let Some(tracker) = RequestTracker::start() else { return };
    let dir = tempfile::tempdir().expect("temporary folder");
    configure(dir.path(), tracker.address(), tracker.token(), APART, "");
    let config = dir.path().join("bellwether.yaml");
    let path = config.display().to_string();
    let check = |args: &[&str]| {
        let done = service::bellwether(args);
        (
            done.status.success(),
            String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr),
        )
    };
    let (well, said) = check(&["check", "-c", &path]);
    assert!(well && said.contains("Request Tracker 5.0.3"), "{said}");
    let text = fs::read_to_string(&config).expect("reads");
    for (was, is, named) in [
        ("bw_cause:", "bw_nix:", "no custom field `bw_nix`"),
        ("{queue: globex}", "{queue: nix}", "no queue `nix`"),
        ("networks: [\"127.0.0.1\"]", "networks: []", "`networks`"),
    ] {
        fs::write(&config, text.replace(was, is)).expect("writes");
        let (well, said) = check(&["check", "-c", &path]);
        assert!(!well && said.contains(named), "{said}");
    }
    for (was, is, named) in [
        ("P3: \"50\", ", "", "P3"),
        ("{{ title }}", "{{ titel }}", "undefined"),
        ("P3: \"50\"", "P3: high", "no number"),
    ] {
        fs::write(&config, text.replace(was, is)).expect("writes");
        let (well, said) = check(&["validate", &path]);
        assert!(!well && said.contains(named), "{said}");
    }
    fs::write(dir.path().join("rt-token"), "1-2-of-nobody").expect("writes");
    fs::write(&config, &text).expect("writes");
    let (well, said) = check(&["check", "-c", &path]);
    assert!(!well && said.contains("the token is not accepted") && !said.contains("1-2-of-nobody"), "{said}");
}

#[test]
fn the_example_reads_as_a_part_of_a_configuration() {
    let text = include_str!("../../examples/request-tracker/bridges.yaml").to_owned();
    let config: Config = config::parse("bridges.yaml", text).expect("reads");
    config.check_bridges().expect("it does");
}

#[test]
fn a_ticket_that_was_made_by_hand_becomes_the_incidents_when_a_person_says_so() {
    let Some(tracker) = RequestTracker::start() else { return };
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = configure(dir.path(), tracker.address(), tracker.token(), APART, "");
    let service = Service::run(dir.path(), http);
    let by_hand = json!({"Queue": "acme", "Subject": "the till is slow", "Priority": "33"});
    assert_eq!(tracker.ask_as("ana", "POST", "/ticket", Some(&by_hand)).expect("an answer").0, 201);
    assert_eq!(service.alert(TOKEN, "db-1", &["DiskFull"]).status, 200);
    wait_until("there is a ticket of ours", || tracker.tickets().len() == 2);
    let config = dir.path().join("bellwether.yaml").display().to_string();
    let listed = || {
        let done = service::bellwether(&["tickets", "-c", &config, "--json"]);
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        serde_json::from_str::<Value>(text.lines().next().unwrap_or("null")).expect("JSON")
    };
    wait_until("it is mapped", || listed()["state"] == "mapped" && listed()["ticket"] == "2");
    let incident = format!("acme/{}", listed()["incident"].as_str().expect("an id"));
    let done = service::bellwether(&["tickets", "adopt", "-c", &config, &incident, "1"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    wait_until("the other one has its key", || tracker.ticket("1").fields["bw_incident"] == incident);
    recover(&service, "db-1", "DiskFull");
    wait_until("it is followed from then on", || tracker.ticket("1").status == "resolved");
    let ticket = tracker.ticket("1");
    assert_eq!((ticket.subject.as_str(), ticket.priority.as_str()), ("the till is slow", "33"), "what was there stays");
    assert_eq!(tracker.ticket("2").status, "new", "the first one is left alone");
    let unknown = service::bellwether(&["tickets", "retry", "-c", &config, "acme/inc_01KDV0000000000000000000AA"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(unknown.status.code() == Some(2) && said.contains("no bridge knows"), "{said}");
}
