//! `bellwether init`: what it writes is accepted, runs, and hears the sender that it tells what to do.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regex::Regex;

use crate::programs::{Ports, Running, bellwether, libraries, output_of, peer, root, said};
use crate::service::{Service, wait_until};

const PRESETS: [&str; 4] = ["prometheus", "opentelemetry", "kubernetes", "syslog"];
/// Every port that a preset or its sender names.
const PORTS: [u16; 4] = [9099, 4317, 4318, 5514];

fn init(preset: &str, folder: &Path, more: &[&str]) -> Output {
    let mut command = bellwether();
    command.args(["init", preset]).arg(folder).args(more);
    command.output().expect("it starts")
}

/// A preset as written, but for its ports.
struct Written {
    folder: PathBuf,
    /// What the sender is told.
    sender: String,
    ports: Ports,
}

impl Written {
    fn new(preset: &str, dir: &Path) -> Written {
        let folder = dir.join("bellwether");
        let output = init(preset, &folder, &[]);
        assert!(output.status.success(), "{}", said(&output));
        let ports = Ports::of(&PORTS);
        let config = folder.join("bellwether.yaml");
        let text = fs::read_to_string(&config).expect("written");
        fs::write(&config, ports.place(&text)).expect("writes");
        let printed = said(&output);
        let (_, sender) = printed.split_once("\n  3. ").expect("the third step is the sender's");
        let (sender, _) = sender.split_once("\nIncidents: ").expect("then where incidents go");
        Written { sender: ports.place(sender), folder, ports }
    }

    fn config(&self) -> String {
        self.folder.join("bellwether.yaml").display().to_string()
    }

    /// The paragraphs of what the sender is told, beginning with the one that has `word`.
    fn snippet(&self, word: &str) -> &str {
        let at = self.sender.find(word).unwrap_or_else(|| panic!("`{word}` in {}", self.sender));
        &self.sender[at..]
    }

    fn run(&self, http: u16) -> Service {
        Service::run(&self.folder, SocketAddr::from(([127, 0, 0, 1], self.ports.moved(http))))
    }
}

/// Waits until a source has accepted something, and nothing was refused for its credential.
fn hears(service: &Service, component: &str) {
    let accepted = format!("bellwether_component_accepted_events_total{{component_id=\"{component}\"");
    let count = |page: &str| {
        let line = page.lines().find(|line| line.starts_with(&accepted));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).unwrap_or_default()
    };
    wait_until(&format!("{component} has accepted something"), || count(&service.metrics()) > 0.0);
    let page = service.metrics();
    assert!(!page.contains("reason=\"unauthorized\""), "{page}");
}

#[test]
fn each_preset_writes_what_validate_and_check_accept_and_a_token_of_its_own() {
    let mut tokens = Vec::new();
    for preset in PRESETS {
        let dir = tempfile::tempdir().expect("temporary folder");
        let written = Written::new(preset, dir.path());
        for args in [["validate", &written.config()].as_slice(), &["check", "-c", &written.config()]] {
            let mut command = bellwether();
            command.args(args);
            output_of(command);
        }
        let token = written.folder.join("token");
        let mode = fs::metadata(&token).expect("written").permissions().mode() & 0o777;
        let text = fs::read_to_string(&token).expect("written");
        assert_eq!((mode, text.len()), (0o600, 64), "{preset}: nobody else reads it, and nobody guesses it");
        tokens.push(text);
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), PRESETS.len());
}

#[test]
fn files_that_are_there_are_left_alone_and_forced_anew_all_but_the_token() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let written = Written::new("prometheus", dir.path());
    let read = |name: &str| fs::read_to_string(written.folder.join(name)).expect("there");
    let token = read("token");
    fs::write(written.folder.join("bellwether.yaml"), "mine").expect("writes");
    let refused = init("syslog", &written.folder, &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("--force"), "{}", said(&refused));
    assert_eq!(read("bellwether.yaml"), "mine");
    let forced = init("syslog", &written.folder, &["--force"]);
    assert!(forced.status.success() && said(&forced).contains("is kept"), "{}", said(&forced));
    assert!(read("bellwether.yaml").contains("udp_listen"));
    assert_eq!(read("token"), token, "senders have it");
}

#[test]
fn where_the_folder_cannot_be_the_user_is_told_to_name_another() {
    let dir = tempfile::tempdir().expect("temporary folder");
    // As beside a program of this name that was just downloaded.
    let taken = dir.path().join("bellwether");
    fs::write(&taken, "a program").expect("writes");
    let refused = init("prometheus", &taken, &[]);
    assert!(!refused.status.success() && said(&refused).contains("name another"), "{}", said(&refused));
}

/// `text` with what it shows as comments in force: whole entries, and sections of their own.
fn uncommented(text: &str) -> String {
    let shown =
        Regex::new(r"^(\s*)#(\s+)(- \{.*|- nats: .*|operators: .*|snmp: .*|engine:|sense:|rules:|heartbeats:)$");
    let shown = shown.expect("a pattern");
    let lines = text.lines().map(|line| match shown.captures(line) {
        // At the beginning of a line the blanks after the sign are indentation, further in they are not.
        Some(found) if found[1].is_empty() => format!("{}{}", &found[2][1..], &found[3]),
        Some(found) => format!("{}{}", &found[1], &found[3]),
        None => line.replace(": []", ":"),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_the_comments_show_is_accepted_too() {
    for preset in PRESETS {
        let dir = tempfile::tempdir().expect("temporary folder");
        let written = Written::new(preset, dir.path());
        for token in ["act-token", "operator-token"] {
            fs::write(written.folder.join(token), token).expect("writes");
        }
        for name in ["bellwether.yaml", "catalogue.yaml"] {
            let path = written.folder.join(name);
            let text = fs::read_to_string(&path).expect("written");
            let open = uncommented(&text);
            assert!(open.lines().count() == text.lines().count() && open != text, "{preset}: {name} shows nothing");
            fs::write(&path, open).expect("writes");
        }
        let mut validate = bellwether();
        validate.args(["validate", &written.config()]);
        let shown = output_of(validate);
        assert!(shown.contains("1 teams, 2 items, 1 SLAs, 1 edges"), "{preset}: {shown}");
    }
}

#[test]
fn prometheus_told_so_is_heard() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let written = Written::new("prometheus", dir.path());
    let service = written.run(9099);
    let own = crate::service::free_address();
    let text = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: prometheus\n    static_configs: [{{targets: ['{own}']}}]\n{}",
        written.snippet("remote_write:")
    );
    let config = dir.path().join("prometheus.yml");
    fs::write(&config, text).expect("writes");
    let mut prometheus = peer("peers/usr/bin/prometheus");
    prometheus
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()))
        .arg(format!("--web.listen-address={own}"));
    let _prometheus = Running::start(prometheus);
    hears(&service, "remote_write");
}

#[test]
fn a_program_with_the_opentelemetry_sdk_told_so_is_heard() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let written = Written::new("opentelemetry", dir.path());
    let service = written.run(4318);
    // What it is told is in its environment alone: the program names no address and no token.
    let program = "from opentelemetry.sdk.metrics import MeterProvider\n\
                   from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader as Reader\n\
                   from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as Exporter\n\
                   meters = MeterProvider([Reader(Exporter(), 60_000)])\n\
                   meters.get_meter('shop').create_counter('orders').add(1)\n\
                   meters.shutdown()\n";
    let python = root().join(".tools/py/bin/python");
    assert!(python.exists(), "{} is missing: run tools/peers.sh", python.display());
    let mut shell = Command::new("sh");
    shell.args(["-ec", &format!("{}\n\"$PYTHON\" -c \"$PROGRAM\"", written.snippet("export "))]);
    shell.env("PYTHON", python).env("PROGRAM", program);
    output_of(shell);
    hears(&service, "otlp");
}

/// What `kubectl get pods,services -o json` answers of a small cluster, in its own form.
const CLUSTER: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Pod",
   "metadata": {"name": "checkout-5d8f", "namespace": "shop", "labels": {"app": "checkout"}},
   "spec": {"nodeName": "node-1", "containers": [{"name": "checkout"}]}},
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "checkout", "namespace": "shop"},
   "spec": {"selector": {"app": "checkout"}}}]}"#;

#[test]
fn a_cluster_told_so_says_what_runs_where() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let written = Written::new("kubernetes", dir.path());
    let service = written.run(9099);
    // There is no cluster here: a script stands for kubectl, the rest of the command is as printed.
    let kubectl = dir.path().join("kubectl");
    fs::write(&kubectl, format!("#!/bin/sh\ncat <<'END'\n{CLUSTER}\nEND\n")).expect("writes");
    fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).expect("chmod");
    let command = written.snippet("kubectl get ").lines().next().expect("a line");
    let path = std::env::var("PATH").expect("tests have a PATH");
    let mut shell = Command::new("sh");
    shell.args(["-ec", command]).env("PATH", format!("{}:{path}", dir.path().display()));
    let answer = output_of(shell);
    assert!(answer.contains("\"edges\":2"), "{answer}");
    hears(&service, "topology_import");
}

#[test]
fn rsyslog_told_so_is_heard() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let written = Written::new("syslog", dir.path());
    let service = written.run(9099);
    let input = crate::service::free_address().port();
    let text = format!(
        "module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{input}\")\n{}\n",
        written.snippet("action(")
    );
    let config = dir.path().join("rsyslog.conf");
    fs::write(&config, text).expect("writes");
    let mut rsyslogd = peer("peers/usr/sbin/rsyslogd");
    rsyslogd.args(["-n", "-i", "NONE", "-f"]).arg(&config).arg("-M").arg(libraries().join("rsyslog"));
    let _rsyslogd = Running::start(rsyslogd);
    // Whether a UDP listener is up cannot be asked; what is lost before is sent again.
    wait_until("a line is accepted", || {
        let mut logger = Command::new("logger");
        logger.args(["--udp", "--rfc5424", "--server", "127.0.0.1", "--port", &input.to_string(), "hello"]);
        output_of(logger);
        let page = service.metrics();
        page.lines().any(|line| {
            line.starts_with("bellwether_component_accepted_events_total{component_id=\"syslog_tcp\"")
                && !line.ends_with(" 0")
        })
    });
    hears(&service, "syslog_tcp");
}
