//! What an operator does with a running program: looks whether it can work, looks at what it
//! accepts, changes its configuration.

mod service;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use bellwether_connectors::nats::testing::NatsServer;
use serde_json::Value;
use service::{OPERATOR, Service, TOKEN, bellwether, free_address, pause, wait_until};

fn check(config: &Path, more: &[&str]) -> Output {
    let file = config.display().to_string();
    let args: Vec<&str> = ["check", "-c", &file].into_iter().chain(more.iter().copied()).collect();
    bellwether(&args)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The entry `name` of `check --json`.
fn entry(output: &Output, kind: &str, name: &str) -> Value {
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("a list");
    let found = checks.iter().find(|check| check["kind"] == kind && check["name"] == name);
    found.unwrap_or_else(|| panic!("{kind} {name} in {report:#}")).clone()
}

#[test]
fn check_says_what_would_not_work_and_how_to_help_it() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    let config = Service::configure(dir.path(), http, "", "  alertmanager: {}\n  statsd: {listen: '127.0.0.1:0'}\n");
    let good = check(&config, &[]);
    let shown = text(&good.stdout);
    assert_eq!(good.status.code(), Some(0), "{shown}{}", text(&good.stderr));
    for part in ["is free", "operator", "tenant acme", "nothing runs with it"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }

    let taken = TcpListener::bind(http).expect("free");
    std::fs::remove_file(dir.path().join("token")).expect("was there");
    let bad = check(&config, &[]);
    let shown = text(&bad.stdout);
    assert_eq!(bad.status.code(), Some(1), "{shown}");
    for part in ["ss -lntup", "openssl rand -hex 32", "2 things would not work"] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert_eq!(entry(&check(&config, &["--json"]), "listen", "http")["state"], "failed");
    drop(taken);
    assert_eq!(check(&dir.path().join("none.yaml"), &[]).status.code(), Some(2));
}

#[test]
fn check_asks_nats_for_its_version_and_says_where_none_answers() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let server = NatsServer::start().expect("nats-server");
    let config = dir.path().join("bellwether.yaml");
    let write = |url: &str| {
        let text = format!(
            "state: {}\nsources:\n  - nats: {{name: orders, stream: ORDERS, subjects: [\"orders.>\"], tenant: acme, connection: {{servers: [\"{url}\"]}}}}\n",
            dir.path().join("state").display()
        );
        std::fs::write(&config, text).expect("writes");
    };
    write(&server.url());
    let output = check(&config, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let found = entry(&output, "source", "orders");
    let detail = found["detail"].as_str().expect("a text");
    assert!(detail.contains("nats-server 2.") && detail.contains("stream ORDERS will be created"), "{detail}");

    write(&format!("nats://{}", free_address()));
    let output = check(&config, &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found = entry(&output, "source", "orders");
    assert!(found["detail"].as_str().is_some_and(|said| said.contains("nats-server -js")), "{found}");
}

#[test]
fn check_shows_what_a_running_process_has_received() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let service = Service::start(dir.path());
    assert_eq!(service.alert("wrong", "web-9", &["Down"]).status, 401);
    assert_eq!(service.alert(TOKEN, "db-1", &["DiskFull", "WritesFail"]).status, 200);
    let output = check(&service.config, &["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert_eq!(entry(&output, "listen", "http")["state"], "running");
    let wire = entry(&output, "wire", "alertmanager");
    assert_eq!((&wire["received"]["accepted"], &wire["received"]["refused"]["unauthorized"]), (&2.into(), &1.into()));
    let shown = text(&check(&service.config, &[]).stdout);
    assert!(shown.contains("a process runs with it") && shown.contains("refused 1 unauthorized"), "{shown}");
}

#[test]
fn a_running_service_says_what_it_does_unless_it_is_told_to_be_quiet() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut service = Service::start(dir.path());
    wait_until("it says how much it watches", || service.said().contains("watching"));
    let said = service.said();
    let start = said.lines().find(|line| line.contains("starting")).unwrap_or_else(|| panic!("{said}"));
    let listens = format!("HTTP at {} (alertmanager)", service.http);
    for part in [listens.as_str(), "reads=\"nothing\"", "incidents_to=", "incidents.ndjson"] {
        assert!(start.contains(part), "{part} in {start}");
    }
    let status = said.lines().find(|line| line.contains("watching")).expect("it was there");
    assert!(status.contains("series=0 entities=0 open_incidents=0 dropped=0"), "{status}");
    rewrite(&service, |text| text.replace("tick: 100ms", "tick: 50ms"));
    service.signal("HUP");
    wait_until("the reload is told", || service.said().contains("configuration read again"));
    let said = service.said();
    let reload = said.lines().find(|line| line.contains("read again")).expect("it was there");
    assert!(reload.contains("changed=\"tick\"") && reload.contains("needs_restart=\"tick\""), "{reload}");
    assert_eq!(service.stop(), Some(0));

    let quiet = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["run", "-q", "-c"])
        .arg(&service.config)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("starts");
    wait_until("it listens", || service.ask("GET", "/-/ready", "", "").is_some_and(|reply| reply.status == 200));
    pause(Duration::from_millis(300));
    let asked = Command::new("kill").args(["-TERM", &quiet.id().to_string()]).status().expect("kill runs");
    let said = quiet.wait_with_output().expect("ends").stderr;
    assert!(asked.success() && said.is_empty(), "{}", text(&said));
}

#[test]
fn metrics_tell_of_each_tenant_what_is_open_watched_and_dropped_and_check_shows_it() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    let config = Service::configure(dir.path(), http, "", "  alertmanager: {}\n  influx: {}\n");
    // How forecasts fare is as old as the newest checkpoint.
    let often = std::fs::read_to_string(&config).expect("reads") + "checkpoint: {every: 200ms, entries: 1000000}\n";
    std::fs::write(&config, often).expect("writes");
    let service = Service::run(dir.path(), http);
    let sample = |line: &str| {
        let reply = service.ask("POST", "/api/v2/write?bucket=b", TOKEN, line).expect("an answer");
        assert_eq!(reply.status, 204, "{}", reply.text);
    };
    assert_eq!(service.alert(TOKEN, "db-1", &["DiskFull"]).status, 200);
    sample("disk,host=db-1 used=1");
    sample("disk,host=db-2 used=2");
    // Two hours late, while one is allowed.
    let now = bellwether::clock::now().0;
    sample(&format!("disk,host=db-2 used=3 {}", now - 7_200_000_000_000));
    let shown = |line: &str| service.metrics().lines().any(|shown| shown == line);
    wait_until("the incident", || !service.records().is_empty());
    let priority = service.records()[0]["record"]["priority"].as_str().expect("a priority").to_owned();
    for line in [
        format!("bellwether_incidents_open{{tenant=\"acme\",priority=\"{priority}\"}} 1"),
        "bellwether_series{tenant=\"acme\"} 2".to_owned(),
        "bellwether_signals_received_total{tenant=\"acme\",kind=\"metric\"} 3".to_owned(),
        "bellwether_signals_late_total{tenant=\"acme\",kind=\"metric\",source=\"host\",reason=\"too_old\"} 1"
            .to_owned(),
        "bellwether_table_evicted_total{tenant=\"acme\",table=\"alerts\"} 0".to_owned(),
        "bellwether_anomalies_total{tenant=\"acme\"} 0".to_owned(),
        "bellwether_forecasts{tenant=\"acme\"} 0".to_owned(),
        // Of the two hosts that are measured one has an alert, too.
        "bellwether_entities{tenant=\"acme\"} 2".to_owned(),
        "bellwether_entities_named{tenant=\"acme\"} 1".to_owned(),
    ] {
        wait_until(&line, || shown(&line));
    }
    let output = check(&service.config, &["--json"]);
    let engine = entry(&output, "engine", "acme");
    assert_eq!(engine["received"]["refused"]["too_old"], 1, "{engine}");
    let table = text(&check(&service.config, &[]).stdout);
    assert!(table.contains("dropped 1 too_old"), "{table}");
    // Who looks need not wait for the service to end.
    let config = service.config.display().to_string();
    let id = service.records()[0]["record"]["id"].as_str().expect("an id").to_owned();
    let told = text(&bellwether(&["explain", &id, "-c", &config]).stdout);
    assert!(told.contains("Why each alert is in it") && told.contains("What follows is as of"), "{told}");
    let forecasts = text(&bellwether(&["forecasts", "-c", &config]).stdout);
    assert!(forecasts.contains("Nothing is expected to run out"), "{forecasts}");
}

#[test]
fn a_sender_that_is_refused_again_and_again_is_told_of_once_and_slowed_and_nobody_else() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let service = Service::start(dir.path());
    let refused = |times: usize| {
        let began = Instant::now();
        let statuses: Vec<u16> = (0..times).map(|_| service.alert("wrong", "web-9", &["Down"]).status).collect();
        assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
        began.elapsed()
    };
    refused(10);
    assert!(refused(2) >= Duration::from_secs(2), "the eleventh and the twelfth wait");
    let began = Instant::now();
    assert_eq!(service.alert(TOKEN, "db-1", &["DiskFull"]).status, 200);
    assert!(began.elapsed() < Duration::from_secs(1), "who shows a good token is served at once");
    let said = service.said();
    let told: Vec<&str> = said.lines().filter(|line| line.contains("a sender is refused")).collect();
    let [line] = told[..] else { panic!("{said}") };
    assert!(line.contains("127.0.0.1") && line.contains("alertmanager") && line.contains("unauthorized"), "{line}");
    assert!(service.metrics().contains("reason=\"unauthorized\"} 12\n"), "all of them are counted");
    // The connection ends with a slow answer, though its sender would keep it.
    let mut kept = TcpStream::connect(service.http).expect("connects");
    kept.set_read_timeout(Some(Duration::from_secs(10))).expect("a time limit");
    kept.write_all(b"POST /api/v2/alerts HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n").expect("sends");
    let mut answer = String::new();
    kept.read_to_string(&mut answer).expect("an answer, and the end");
    assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("connection: close"), "{answer}");
}

#[test]
fn a_connection_from_nowhere_is_held_before_it_ends_when_its_sender_dials_again_and_again() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (http, syslog) = (free_address(), free_address());
    Service::configure(dir.path(), http, "", &format!("  syslog: {{tcp_listen: '{syslog}'}}\n"));
    let service = Service::run(dir.path(), http);
    let dial = || {
        let began = Instant::now();
        let mut stream = TcpStream::connect(syslog).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time limit");
        // It may be reset, for what is written here is not read.
        let _ = stream.write_all(b"<13>1 - h app - - - hello\n").and_then(|()| stream.read_to_end(&mut Vec::new()));
        began.elapsed()
    };
    let mut held: Vec<Duration> = (0..12).map(|_| dial()).collect();
    let last = held.split_off(10);
    assert!(held.iter().all(|held| *held < Duration::from_secs(1)), "{held:?}");
    assert!(last.iter().all(|held| *held >= Duration::from_millis(900)), "{last:?}");
    let said = service.said();
    assert_eq!(said.lines().filter(|line| line.contains("a sender is refused")).count(), 1, "{said}");
    assert!(said.contains("syslog_tcp"), "{said}");
}

#[test]
fn a_tap_shows_what_comes_and_ends_when_it_is_told() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    Service::configure(dir.path(), http, "", "  alertmanager: {}\n  influx: {}\n");
    let service = Service::run(dir.path(), http);
    let url = format!("http://{http}");
    let token = dir.path().join("token").display().to_string();
    let mut program = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    program.args(["tap", "--url", &url, "--token-file", &token, "--json"]).stdout(Stdio::piped());
    let mut tap = program.spawn().expect("starts");
    let mut lines = BufReader::new(tap.stdout.take().expect("piped")).lines();
    // The tap is open once the listener says that a request is running: an alert is shown then.
    let next = {
        let mut shown = None;
        wait_until("the tap shows an alert", || {
            service.alert(TOKEN, "db-1", &["DiskFull"]);
            let page = service.metrics();
            shown = page.contains("bellwether_taps_open 1").then_some(());
            shown.is_some()
        });
        service.alert(TOKEN, "db-2", &["WritesFail"]);
        loop {
            let row: Value = serde_json::from_str(&lines.next().expect("a line").expect("reads")).expect("JSON");
            if row["entity"] == "host:db-2" {
                break row;
            }
        }
    };
    assert_eq!(
        (&next["signal"], &next["name"], &next["source"]),
        (&"alert".into(), &"WritesFail".into(), &"alertmanager".into())
    );
    // The series is described before the second tap opens: its name comes from the engine.
    let sample = |value: u32| {
        let reply = service.ask("POST", "/api/v2/write?bucket=b", TOKEN, &format!("disk,host=db-1 used={value}"));
        assert_eq!(reply.expect("an answer").status, 204);
    };
    sample(1);
    wait_until("the engine has it", || service.metrics().contains("bellwether_engine_lag_entries 0\n"));
    let mut second = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    let config = service.config.display().to_string();
    second.args(["tap", "influx", "-c", &config, "--json", "--count", "1"]).stdout(Stdio::piped());
    let second = second.spawn().expect("starts");
    wait_until("two taps", || service.metrics().contains("bellwether_taps_open 2\n"));
    sample(2);
    let output = second.wait_with_output().expect("ends by itself");
    assert!(output.status.success());
    let row: Value = serde_json::from_slice(&output.stdout).expect("one line");
    assert_eq!((&row["name"], &row["entity"], &row["value"]), (&"disk_used".into(), &"host:db-1".into(), &2.0.into()));

    let asked = Command::new("kill").args(["-INT", &tap.id().to_string()]).status().expect("kill runs");
    assert!(asked.success() && tap.wait().expect("ends").success(), "Ctrl-C is a clean end");
    let unknown = bellwether(&["tap", "alertmanger", "-c", &config]);
    assert!(text(&unknown.stderr).contains("known: alertmanager"), "{}", text(&unknown.stderr));
    let mut wrong = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    let wrong = wrong.args(["tap", "--url", &url]).output().expect("runs");
    assert!(text(&wrong.stderr).contains("--token-file"), "{}", text(&wrong.stderr));
}

/// Rewrites the configuration of a running service.
fn rewrite(service: &Service, change: impl FnOnce(String) -> String) {
    let text = std::fs::read_to_string(&service.config).expect("reads");
    std::fs::write(&service.config, change(text)).expect("writes");
}

#[test]
fn a_reload_changes_what_can_be_changed_and_names_the_rest() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut service = Service::start(dir.path());
    let reload = |token: &str| service.ask("POST", "/-/reload", token, "").expect("an answer");
    assert_eq!(reload(TOKEN).status, 401, "a tenant does not run this service");
    assert!(service.metrics().contains("bellwether_config_last_reload_successful 1\n"));

    // Another token, another wire, another rule: all at once, with the listener as it is.
    std::fs::write(dir.path().join("token"), "another-token").expect("writes");
    rewrite(&service, |text| {
        let text = text.replace("  alertmanager: {}\n", "  alertmanager: {}\n  influx: {}\n");
        let rule =
            "  sense: {rules: [{name: TooFull, metric: disk_used, when: value > 90, severity: critical}]}\nwires:";
        text.replace("wires:", rule).replace("tick: 100ms", "tick: 50ms")
    });
    let reply = reload(OPERATOR);
    assert_eq!(reply.status, 200, "{}", reply.text);
    let done: Value = serde_json::from_str(reply.text.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON");
    assert_eq!(done["needs_restart"], serde_json::json!(["tick"]), "{done}");
    assert_eq!(done["changed"], serde_json::json!(["engine.sense.rules", "tick", "wires.influx"]), "{done}");
    assert_eq!(done["applied"], serde_json::json!(["engine", "wires.auth", "wires over HTTP"]), "{done}");
    assert_eq!(service.alert(TOKEN, "db-1", &["Old"]).status, 401);
    let sample = service.ask("POST", "/api/v2/write?bucket=b", "another-token", "disk,host=db-1 used=97");
    assert_eq!(sample.expect("an answer").status, 204);
    wait_until("the new rule raises an incident", || {
        service.records().iter().any(|r| r.to_string().contains("TooFull"))
    });

    // A mistake changes nothing, is counted, and is shown to who asked.
    rewrite(&service, |text| text.replace("value > 90", "value >"));
    let reply = reload(OPERATOR);
    assert_eq!(reply.status, 500);
    assert!(reply.text.contains("TooFull"), "{}", reply.text);
    let page = service.metrics();
    for shown in
        ["bellwether_config_last_reload_successful 0\n", "bellwether_config_reloads_total{result=\"failed\"} 1\n"]
    {
        assert!(page.contains(shown), "{shown} in {page}");
    }
    assert_eq!(service.alert("another-token", "db-1", &["New"]).status, 200);

    // SIGHUP does the same.
    rewrite(&service, |text| text.replace("value >", "value > 95"));
    service.signal("HUP");
    wait_until("the reload", || service.metrics().contains("bellwether_config_last_reload_successful 1\n"));
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn a_replay_of_the_journal_tells_what_the_run_told_across_reloads_and_restarts() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    let rule = |limit: u32| {
        format!(
            "  sense: {{rules: [{{name: TooFull, metric: disk_used, when: value > {limit}, severity: critical}}]}}\n"
        )
    };
    // Each alert is an incident of its own.
    let engine = format!("  correlate: {{threshold: 0.9999, merge_threshold: 0.9999}}\n{}", rule(90));
    Service::configure(dir.path(), http, &engine, "  influx: {}\n");
    let mut service = Service::run(dir.path(), http);
    let sample = |service: &Service, host: &str, value: u32| {
        let body = format!("disk,host={host} used={value}");
        assert_eq!(service.ask("POST", "/api/v2/write?bucket=b", TOKEN, &body).expect("an answer").status, 204);
    };
    let told = |service: &Service, host: &str| {
        service.records().iter().any(|r| r.to_string().contains(&format!("host:{host}")))
    };
    sample(&service, "db-1", 95);
    wait_until("the first rule", || told(&service, "db-1"));
    rewrite(&service, |text| text.replace("value > 90", "value > 50"));
    assert_eq!(service.ask("POST", "/-/reload", OPERATOR, "").expect("an answer").status, 200);
    sample(&service, "db-2", 60);
    wait_until("the second rule", || told(&service, "db-2"));
    assert_eq!(service.stop(), Some(0));
    // Settings that change between two runs are an entry, too: nothing is read again with them.
    rewrite(&service, |text| text.replace("value > 50", "value > 20"));
    service = Service::run(dir.path(), http);
    sample(&service, "db-3", 30);
    wait_until("the third rule", || told(&service, "db-3"));
    pause(Duration::from_secs(1));
    assert_eq!(service.stop(), Some(0));

    let out = dir.path().join("again.ndjson");
    let state = dir.path().join("state").display().to_string();
    let replay = bellwether(&["replay", &state, "--out", &out.display().to_string(), "--json"]);
    assert!(replay.status.success(), "{}", text(&replay.stderr));
    let lines = |path: &Path| {
        let text = std::fs::read_to_string(path).expect("reads");
        text.lines().map(str::to_owned).collect::<Vec<String>>()
    };
    let (run, again) = (lines(&service.incidents), lines(&out));
    assert!(run.len() >= 3, "{run:?}");
    // The replay goes on to the end of time; up to there it is the same, byte for byte.
    assert_eq!(again[..run.len()], run[..]);
}

#[test]
fn what_is_included_is_in_force_after_a_reload_and_a_mistake_in_it_changes_nothing() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    let config = Service::configure(dir.path(), http, "", "  alertmanager: {}\n");
    let promote = |text: &str| std::fs::write(dir.path().join("promote.yaml"), text).expect("writes");
    promote("engine: {}\n");
    let own = std::fs::read_to_string(&config).expect("reads");
    std::fs::write(&config, format!("{own}include: [promote.yaml]\n")).expect("writes");
    let service = Service::run(dir.path(), http);
    let reload = || service.ask("POST", "/-/reload", OPERATOR, "").expect("an answer");

    promote("engine: {sense: {anomalies: {detector: {memory_points: 20}}}}\n");
    let reply = reload();
    assert!(reply.status == 200 && reply.text.contains("\"engine\""), "{}", reply.text);
    promote("engine: {sense: {anomalies: {detector: {memory_pionts: 20}}}}\n");
    let reply = reload();
    assert!(reply.status == 500 && reply.text.contains("promote.yaml:1:"), "{}", reply.text);
    promote("engine: {sense: {anomalies: {detector: {memory_points: 20}}}}\n");
    let reply = reload();
    assert!(reply.status == 200 && !reply.text.contains("\"engine\""), "nothing is news: {}", reply.text);
}
