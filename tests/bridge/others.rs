//! The program with the example of each further system: an incident is one ticket, and what people do there comes back.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;

use crate::life::{newest, recover};
use crate::redmine::Redmine;
use crate::roundup::Roundup;
use crate::service::{self, Service, TOKEN, free_address, wait_until};

/// Each alert is an incident of its own.
const APART: &str = "  correlate: {threshold: 0.9999, merge_threshold: 0.9999}\n";

/// The program with the example `name`, whose system is at `address` and not where the example says.
fn run(folder: &Path, name: &str, was: &str, address: SocketAddr, secret: &str) -> Service {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}/bridges.yaml"));
    let example = fs::read_to_string(example).expect("the example is there").replace(was, &address.to_string());
    let example = example.replace(
        &format!("      name: {name}\n"),
        &format!("      name: {name}\n      pace: {{poll: 300ms, settle: 5s}}\n"),
    );
    // The senders' own is called `token`.
    let example = example.replace("token_file: token", "token_file: system-token");
    fs::write(folder.join("system-token"), secret).expect("writes");
    fs::set_permissions(folder.join("system-token"), fs::Permissions::from_mode(0o640)).expect("chmod");
    let http = free_address();
    let config = Service::configure(folder, http, APART, "  alertmanager: {}\n  actions: {}\n");
    let text = fs::read_to_string(&config).expect("reads");
    let text = text.replace("group_wait: 500ms", "group_wait: 500ms, resolve_after: 1s");
    fs::write(&config, text + &example).expect("writes");
    let checked = service::bellwether(&["check", "-c", &config.display().to_string()]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    Service::run(folder, http)
}

/// An incident of `host` with its ticket, as the record names it.
fn opened(service: &Service, name: &str, host: &str) -> (String, String) {
    let known = newest(service);
    assert_eq!(service.alert(TOKEN, host, &["DiskFull"]).status, 200);
    let new = || {
        newest(service)
            .into_iter()
            .find(|(id, record)| !known.contains_key(id) && record["tickets"][0]["system"] == name)
    };
    wait_until("the record names its ticket", || new().is_some());
    let (id, record) = new().expect("told");
    (id, record["tickets"][0]["key"].as_str().expect("a key").to_owned())
}

#[test]
fn with_redmine_an_incident_is_one_issue_and_what_people_do_there_comes_back() {
    let Some(redmine) = Redmine::start() else { return };
    let dir = tempfile::tempdir().expect("temporary folder");
    let service = run(dir.path(), "redmine", "127.0.0.1:8086", redmine.address(), redmine.key());
    let (id, issue) = opened(&service, "redmine", "db-1");
    redmine.change("ana", &issue, json!({"status_id": 2, "notes": "the log volume, I think"}));
    wait_until("it is acknowledged", || newest(&service)[&id]["status"] == "acknowledged");
    assert_eq!(newest(&service)[&id]["owner"]["assignee"], "ana");
    redmine.change("ana", &issue, json!({"status_id": 3}));
    wait_until("it is resolved", || newest(&service)[&id]["status"] == "resolved");
    let (_, other) = opened(&service, "redmine", "web-1");
    recover(&service, "web-1", "DiskFull");
    wait_until("its issue is resolved", || redmine.issue(&other)["status"]["name"] == "Resolved");
    assert_eq!(redmine.issues().len(), 2);
    assert!(!service.said().contains(redmine.key()), "the key is in no log");
}

#[test]
fn with_roundup_an_incident_is_one_issue_also_where_it_throttles() {
    // A ticket takes some ten requests: it is throttled for most of the time.
    let Some(roundup) = Roundup::throttled(12) else { return };
    let dir = tempfile::tempdir().expect("temporary folder");
    let service = run(dir.path(), "roundup", "127.0.0.1:8087", roundup.address(), roundup.password());
    let (id, issue) = opened(&service, "roundup", "db-1");
    roundup.change("ana", &issue, json!({"status": "in-progress", "assignedto": "ana"}));
    wait_until("it is acknowledged", || newest(&service)[&id]["status"] == "acknowledged");
    let (_, other) = opened(&service, "roundup", "web-1");
    recover(&service, "web-1", "DiskFull");
    let status = |issue: &str| {
        let of = roundup.get(&format!("/issue/{issue}?@verbose=2"));
        of["attributes"]["status"]["name"].as_str().unwrap_or_default().to_owned()
    };
    wait_until("its issue is resolved", || status(&other) == "resolved");
    assert_eq!(status(&issue), "in-progress");
    assert_eq!(roundup.get("/issue")["@total_size"], 2);
    assert!(!service.said().contains(roundup.password()), "the password is in no log");
}
