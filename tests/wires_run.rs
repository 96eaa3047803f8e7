//! The program with its listeners, as a monitoring tool meets it: a socket, a token, alerts.

#![allow(clippy::disallowed_methods)] // nothing interrupts a test that waits for a process

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bellwether_connectors::journal::Journal as _;
use bellwether_connectors::{JournalConfig, LocalJournal, Position};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{MetricColumns, SeriesColumns, SignalKind};
use serde_json::Value;

const TOKEN: &str = "a-token-of-no-value";
/// How often the receiver is killed under a sending Prometheus.
const KILLS: usize = 3;
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
        Service::start_at(folder, free_address())
    }

    /// Starts in a folder that may hold what another one left.
    fn start_at(folder: &Path, http: SocketAddr) -> Service {
        let incidents = folder.join("incidents.ndjson");
        let text = format!(
            "state: {}\ntick: 100ms\nsinks:\n  - ndjson: {{path: {}}}\n\
             engine: {{lateness: 200ms, ledger: {{group_wait: 500ms}}}}\n\
             wires:\n  auth: {{credentials: [{{tenant: acme, bearer_file: token}}]}}\n  http: {{listen: '{http}'}}\n  alertmanager: {{}}\n  remote_write: {{}}\n",
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

    /// SIGKILL: no chance to say good-bye.
    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
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

fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.expect("a free port")
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

/// A real Prometheus that scrapes itself each second and sends samples and alerts to `http`;
/// killed when dropped.
struct Prometheus(Child);

impl Prometheus {
    fn start(folder: &Path, http: SocketAddr) -> Prometheus {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = root.join(".tools/peers/usr/bin/prometheus");
        assert!(program.exists(), "{} is missing: run tools/peers.sh", program.display());
        let own = free_address();
        for file in ["prometheus.yml", "rules.yml"] {
            let text = std::fs::read_to_string(root.join("examples/prometheus").join(file)).expect("the example reads");
            let text = text.replace("127.0.0.1:9099", &http.to_string()).replace("127.0.0.1:9090", &own.to_string());
            std::fs::write(folder.join(file), text).expect("writes");
        }
        let child = Command::new(program)
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("tsdb").display()))
            .arg(format!("--web.listen-address={own}"))
            .arg("--rules.alert.resend-delay=1s")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Prometheus(child.expect("Prometheus starts"))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The journal of a service that has ended: the times of `up` as often as they are there, in
/// milliseconds, and all samples with how many there are twice.
fn journalled(folder: &Path) -> (Vec<i64>, usize, usize) {
    let (journal, _) = LocalJournal::open(&JournalConfig::new(folder.join("state/journal"))).expect("opens");
    let mut entries = journal.read(Position::START).expect("nothing was dropped");
    let (mut up, mut times) = (HashSet::new(), Vec::new());
    let (mut samples, mut distinct) = (0, HashSet::new());
    while let Some(entry) = entries.next_entry().expect("undamaged") {
        let Ok(Input::Batch(batch)) = Input::decode(&entry.bytes) else { continue };
        match batch.kind() {
            SignalKind::Series => {
                let rows = SeriesColumns::of(&batch);
                up.extend(
                    (0..rows.len()).map(|row| rows.row(row)).filter(|row| row.name == "up").map(|row| row.series),
                );
            }
            SignalKind::Metric => {
                let rows = MetricColumns::of(&batch);
                for (time, series) in rows.time.iter().zip(rows.series) {
                    samples += 1;
                    distinct.insert((*series, *time));
                    times.extend(up.contains(series).then_some(time / 1_000_000));
                }
            }
            _ => {}
        }
    }
    times.sort_unstable();
    (times, samples, samples - distinct.len())
}

#[test]
fn a_receiver_killed_again_and_again_loses_and_doubles_nothing_of_a_real_prometheus() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    let mut service = Service::start_at(dir.path(), http);
    let prometheus = Prometheus::start(dir.path(), http);
    wait_until("an incident is told", || !service.records().is_empty());
    for _ in 0..KILLS {
        pause(Duration::from_millis(1_700));
        service.kill();
        pause(Duration::from_millis(700));
        service = Service::start_at(dir.path(), http);
    }
    // What Prometheus kept back while nobody listened comes within its back-off.
    pause(Duration::from_secs(4));
    drop(prometheus);
    let records = service.records();
    assert_eq!(service.stop(), Some(0));

    let (mut scrapes, samples, doubled) = journalled(dir.path());
    scrapes.dedup();
    assert!(scrapes.len() >= 3 * KILLS, "{scrapes:?}");
    for pair in scrapes.windows(2) {
        assert!((500..1_700).contains(&(pair[1] - pair[0])), "a scrape is missing: {scrapes:?}");
    }
    // A request whose answer the kill swallowed is sent again: at most what was on its way, and
    // the engine takes a sample of one series and time once.
    assert!(doubled <= samples / 10, "{doubled} of {samples} samples are in the journal twice");
    let opened = records.iter().filter_map(|line| line["subject"].as_str()).filter(|s| s.contains(".opened."));
    assert_eq!(opened.count(), 1, "one alert, told again after each restart, is one incident: {records:?}");
    let keys: Vec<_> =
        records.iter().map(|line| (line["record"]["id"].clone(), line["record"]["revision"].clone())).collect();
    assert!(keys.iter().enumerate().all(|(at, key)| !keys[..at].contains(key)), "no revision is told twice: {keys:?}");
}

#[test]
fn the_example_is_valid_and_a_mistake_in_it_is_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let example = std::fs::read_to_string(examples.join("wires.yaml")).expect("the example reads");
    std::fs::create_dir(dir.path().join("mappings")).expect("a folder");
    for file in std::fs::read_dir(examples.join("mappings")).expect("the mappings are there").filter_map(Result::ok) {
        std::fs::copy(file.path(), dir.path().join("mappings").join(file.file_name())).expect("copies");
    }
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
    for wire in [
        "http: remote_write, alertmanager,",
        "otlp_grpc: at 127.0.0.1:4317",
        "syslog_tcp: at",
        "statsd: at",
        "snmp: at",
        "forward: at",
    ] {
        assert!(said.contains(wire), "{wire} in {said}");
    }

    let misspelt = complaint(&example.replace("alertmanager: {}", "alertmanger: {}"));
    assert!(misspelt.contains("did you mean `alertmanager`?"), "{misspelt}");
    let open = complaint("wires: {http: {listen: '0.0.0.0:9099'}, loki: {}}");
    assert!(open.contains("needs credentials"), "{open}");
}
