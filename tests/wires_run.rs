//! The program with its listeners, as a monitoring tool meets it: a socket, a token, alerts.

#![allow(clippy::disallowed_methods)] // nothing interrupts a test that waits for a process

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const TOKEN: &str = "a-token-of-no-value";
const PATIENCE: Duration = Duration::from_secs(20);
/// Four group waits: a second incident would have opened.
const QUIET: Duration = Duration::from_secs(2);

fn bellwether(args: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    program.args(args).env("NO_COLOR", "1").output().expect("the program starts")
}

/// The running program; killed when a test fails half way.
struct Service {
    child: Child,
    http: SocketAddr,
    incidents: PathBuf,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

impl Service {
    fn start(folder: &Path) -> Service {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let http = free.expect("a free port");
        let incidents = folder.join("incidents.ndjson");
        let text = format!(
            "state: {}\ntick: 100ms\nsinks:\n  - ndjson: {{path: {}}}\n\
             engine: {{lateness: 200ms, ledger: {{group_wait: 500ms}}}}\n\
             wires:\n  auth: {{credentials: [{{tenant: acme, bearer_file: token}}]}}\n  http: {{listen: '{http}'}}\n  alertmanager: {{}}\n",
            folder.join("state").display(),
            incidents.display()
        );
        std::fs::write(folder.join("token"), TOKEN).expect("writes");
        let config = folder.join("bellwether.yaml");
        std::fs::write(&config, text).expect("writes");
        let mut program = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        let child = program.args(["run", "--json", "-c"]).arg(&config).stdout(Stdio::null()).spawn();
        let service = Service { child: child.expect("the program starts"), http, incidents };
        wait_until("it is ready", || service.ask("GET", "/-/ready", "", "").is_some_and(|reply| reply.status == 200));
        service
    }

    /// One request; `None` while nothing listens.
    fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Option<Reply> {
        let mut stream = TcpStream::connect(self.http).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            self.http,
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let status = text.split(' ').nth(1)?.parse().ok()?;
        Some(Reply { status, text })
    }

    /// Posts firing alerts of one host.
    fn alert(&self, token: &str, host: &str, names: &[&str]) -> Reply {
        let alert = |name: &&str| {
            let labels = serde_json::json!({"alertname": name, "instance": format!("{host}:9100"), "job": "node", "severity": "critical"});
            serde_json::json!({"labels": labels, "annotations": {"summary": "the disk is full"}})
        };
        let body = Value::Array(names.iter().map(alert).collect()).to_string();
        self.ask("POST", "/api/v2/alerts", token, &body).expect("an answer")
    }

    fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.incidents).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// SIGTERM, and the exit code.
    fn stop(&mut self) -> Option<i32> {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill runs");
        assert!(asked.success());
        self.child.wait().expect("the program ends").code()
    }
}

struct Reply {
    status: u16,
    text: String,
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for, and nothing here shuts down")]
fn pause(span: Duration) {
    std::thread::sleep(span);
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        pause(Duration::from_millis(50));
    }
}

#[test]
fn three_posted_alerts_of_one_fault_become_one_incident() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut service = Service::start(dir.path());
    assert_eq!(service.alert("wrong", "web-9", &["Down"]).status, 401);
    let reply = service.alert(TOKEN, "db-1.example.com", &["DiskFull", "WritesFail", "ReplicationLag"]);
    assert_eq!(reply.status, 200, "{}", reply.text);
    wait_until("an incident is told", || !service.records().is_empty());
    pause(QUIET);
    let metrics = service.ask("GET", "/metrics", "", "").expect("an answer").text;
    for shown in [
        "component_accepted_events_total{component_id=\"alertmanager\",component_kind=\"source\",component_type=\"alertmanager\"} 3\n",
        "component_type=\"alertmanager\",reason=\"unauthorized\"} 1\n",
        "bellwether_incident_events_total 1\n",
    ] {
        assert!(metrics.contains(shown), "{shown} in {metrics}");
    }
    assert_eq!(service.stop(), Some(0));

    let records = service.records();
    let opened: Vec<&str> =
        records.iter().filter_map(|line| line["subject"].as_str()).filter(|s| s.contains(".opened.")).collect();
    assert_eq!(opened.len(), 1, "{records:?}");
    assert!(opened[0].starts_with("bellwether.v1.acme.incident."), "{opened:?}");
    let ids: Vec<&Value> = records.iter().map(|line| &line["record"]["id"]).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let told = records.iter().map(Value::to_string).collect::<String>();
    assert!(told.contains("host:db-1") && !told.contains("web-9"), "{told}");
}

#[test]
fn the_example_is_valid_and_a_mistake_in_it_is_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/wires.yaml");
    let example = std::fs::read_to_string(example).expect("the example reads");
    let config = dir.path().join("wires.yaml");
    let validate = |text: &str| {
        std::fs::write(&config, text).expect("writes");
        bellwether(&["validate", &config.display().to_string()])
    };
    let complaint = |text: &str| {
        let output = validate(text);
        assert_eq!(output.status.code(), Some(2), "{text}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let missing = complaint(&example);
    assert!(missing.contains("token` could not be read"), "{missing}");

    std::fs::write(dir.path().join("token"), TOKEN).expect("writes");
    let output = validate(&example);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for wire in ["http: remote_write, alertmanager,", "otlp_grpc: at 127.0.0.1:4317", "syslog_tcp: at", "statsd: at"] {
        assert!(said.contains(wire), "{wire} in {said}");
    }

    let misspelt = complaint(&example.replace("alertmanager: {}", "alertmanger: {}"));
    assert!(misspelt.contains("did you mean `alertmanager`?"), "{misspelt}");
    let open = complaint("wires: {http: {listen: '0.0.0.0:9099'}, loki: {}}");
    assert!(open.contains("needs credentials"), "{open}");
}
