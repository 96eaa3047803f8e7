//! The running program on a state folder of several partitions, and on one of a version that had none.

use std::path::Path;

mod service;

use service::{Service, TICKETING as GAMMA, TOKEN as ACME, bellwether, free_address, home, wait_until};

/// Two tenants that live in different partitions of three, `acme` and `gamma`; `lines` begin the configuration.
fn configure(folder: &Path, lines: &str) -> std::net::SocketAddr {
    let http = free_address();
    let file = Service::configure(folder, http, "", "  alertmanager: {}\n");
    let text = std::fs::read_to_string(&file).expect("reads");
    let text =
        text.replace("{tenant: acme, bearer_file: ticketing, may: [act]}", "{tenant: gamma, bearer_file: ticketing}");
    std::fs::write(&file, format!("{lines}{text}")).expect("writes");
    http
}

fn told(service: &Service, tenant: &str, host: &str) -> bool {
    let ours =
        |line: &serde_json::Value| line["key"].as_str().is_some_and(|key| key.starts_with(&format!("{tenant}/")));
    service.records().iter().any(|line| ours(line) && line.to_string().contains(host))
}

/// What a command says of the state in `folder`.
fn says(folder: &Path, command: &[&str]) -> String {
    let state = folder.join("state");
    let args: Vec<&str> = command.iter().copied().chain(["--from", state.to_str().expect("UTF-8")]).collect();
    let output = bellwether(&args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{args:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn tenants_of_several_partitions_are_told_of_after_a_kill_and_every_command_knows_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let http = configure(folder.path(), "partitions: 3\n");
    let mut service = Service::run(folder.path(), http);
    assert_ne!(home(folder.path(), "acme"), home(folder.path(), "gamma"));
    assert_eq!(service.alert(ACME, "first-host", &["DiskFull"]).status, 200);
    service.signal("KILL");
    service.wait_for_end();
    drop(service);
    let mut service = Service::run(folder.path(), http);
    assert_eq!(service.alert(GAMMA, "second-host", &["DiskFull"]).status, 200);
    wait_until("acme is told", || told(&service, "acme", "first-host"));
    wait_until("gamma is told", || told(&service, "gamma", "second-host"));
    let metrics = service.metrics();
    for line in ["bellwether_partitions 3", "bellwether_reader_parked{reader=\"ndjson\"} 0"] {
        assert_eq!(metrics.lines().filter(|shown| *shown == line).count(), 1, "{line} in {metrics}");
    }
    assert_eq!(service.stop(), Some(0), "an orderly stop");

    let listed = says(folder.path(), &["explain"]);
    assert!(listed.contains("acme") && listed.contains("gamma"), "{listed}");
    let sinks = says(folder.path(), &["sinks"]);
    assert_eq!(sinks.lines().filter(|line| line.starts_with("ndjson")).count(), 1, "{sinks}");
    assert!(sinks.lines().any(|line| line.starts_with("ndjson") && line.contains("up")), "{sinks}");
    let topology = says(folder.path(), &["topology"]);
    assert!(topology.contains("acme:") && topology.contains("gamma:"), "{topology}");
    let replayed = bellwether(&["replay", folder.path().to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&replayed.stdout);
    assert!(replayed.status.success() && said.contains("first-host") && said.contains("second-host"), "{said}");
    let refused = bellwether(&[
        "sinks",
        "skip",
        "ndjson",
        "--until",
        "1",
        "--from",
        folder.path().join("state").to_str().expect("UTF-8"),
    ]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--partition"));

    configure(folder.path(), "partitions: 2\n");
    let refused = bellwether(&["run", "-c", folder.path().join("bellwether.yaml").to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(2) && said.contains("Say `partitions: 3`"), "{said}");
}

#[test]
fn a_state_folder_of_a_version_without_partitions_goes_on_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    // As that version has left it: one partition is kept as before.
    let http = configure(folder.path(), "partitions: 1\n");
    let mut service = Service::run(folder.path(), http);
    assert_eq!(service.alert(ACME, "first-host", &["DiskFull"]).status, 200);
    wait_until("acme is told", || told(&service, "acme", "first-host"));
    assert_eq!(service.stop(), Some(0), "an orderly stop");
    drop(service);
    for part in ["journal", "checkpoints", "incident-log", "readers"] {
        assert!(folder.path().join("state").join(part).is_dir(), "{part}");
    }

    let http = configure(folder.path(), "");
    let mut service = Service::run(folder.path(), http);
    let open =
        |service: &Service| service.metrics().contains("bellwether_incidents_open{tenant=\"acme\",priority=\"P1\"}");
    wait_until("what was open is known", || open(&service));
    assert_eq!(service.alert(GAMMA, "second-host", &["DiskFull"]).status, 200);
    wait_until("gamma is told", || told(&service, "gamma", "second-host"));
    assert!(service.metrics().contains("bellwether_partitions 1\n"));
    assert_eq!(service.stop(), Some(0), "an orderly stop");
    assert!(!folder.path().join("state/partitions").exists(), "nothing was moved");
    let firsts =
        service.records().iter().filter(|line| line["key"].as_str().is_some_and(|key| key.ends_with("/1"))).count();
    assert_eq!(firsts, 2, "each incident was opened once");
}
