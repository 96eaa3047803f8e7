//! The program with its listeners, as a monitoring tool meets it: a socket, a token, alerts.

mod service;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bellwether_connectors::journal::Journal as _;
use bellwether_connectors::{JournalConfig, LocalJournal, Position};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{MetricColumns, SeriesColumns, SignalKind};
use serde_json::Value;
use service::{Service, TICKETING, TOKEN, bellwether, free_address, pause, wait_until};

/// How often the receiver is killed under a sending Prometheus.
const KILLS: usize = 3;
/// Four group waits: a second incident would have opened.
const QUIET: Duration = Duration::from_secs(2);

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
/// milliseconds, and how many samples there are twice.
fn journalled(folder: &Path) -> (Vec<i64>, usize) {
    let (journal, _) =
        LocalJournal::open(&JournalConfig::new(service::home(folder, "acme").join("journal"))).expect("opens");
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
    (times, samples - distinct.len())
}

#[test]
fn a_receiver_killed_again_and_again_loses_and_doubles_nothing_of_a_real_prometheus() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let http = free_address();
    Service::configure(dir.path(), http, "", "  alertmanager: {}\n  remote_write: {}\n");
    let mut service = Service::run(dir.path(), http);
    let prometheus = Prometheus::start(dir.path(), http);
    wait_until("an incident is told", || !service.records().is_empty());
    for _ in 0..KILLS {
        pause(Duration::from_millis(1_700));
        // SIGKILL: no chance to say good-bye.
        drop(service);
        pause(Duration::from_millis(700));
        service = Service::run(dir.path(), http);
    }
    // What Prometheus kept back while nobody listened comes within its back-off.
    pause(Duration::from_secs(4));
    drop(prometheus);
    let records = service.records();
    assert_eq!(service.stop(), Some(0));

    let (mut scrapes, doubled) = journalled(dir.path());
    scrapes.dedup();
    assert!(scrapes.len() >= 3 * KILLS, "{scrapes:?}");
    for pair in scrapes.windows(2) {
        assert!((500..1_700).contains(&(pair[1] - pair[0])), "a scrape is missing: {scrapes:?}");
    }
    // A request whose answer the kill swallowed is sent again, and known by its receipt.
    assert_eq!(doubled, 0, "samples are in the journal twice");
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
    std::fs::create_dir(dir.path().join("ticketing")).expect("a folder");
    std::fs::write(dir.path().join("ticketing/token"), TICKETING).expect("writes");
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
