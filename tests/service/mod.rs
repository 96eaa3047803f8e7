//! The running program with its listeners, as senders and operators meet it.

// Each test takes what it needs; nothing interrupts a waiting test; a failing one shows what the program said.
#![allow(dead_code, clippy::disallowed_methods, clippy::print_stderr)]

use std::fs::{File, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::time::{Duration, Instant};

use bellwether::wiring::partitions::Partitions;
use serde_json::Value;

/// The bearer token of tenant `acme`.
pub(crate) const TOKEN: &str = "a-token-of-no-value";
/// The bearer token of its ticketing system, which acts and sends nothing.
pub(crate) const TICKETING: &str = "a-ticketing-token-of-no-value";
/// The bearer token of the operator.
pub(crate) const OPERATOR: &str = "an-operator-of-no-value";
/// Longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the program to its end.
pub(crate) fn bellwether(args: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    program.args(args).env("NO_COLOR", "1").env("COLUMNS", "110").output().expect("the program starts")
}

/// Where the service configured in `folder` keeps what it has of a tenant.
pub(crate) fn home(folder: &Path, tenant: &str) -> PathBuf {
    let partitions = Partitions::of(&folder.join("state")).expect("their number reads");
    partitions.folder(partitions.of_tenant(tenant))
}

/// An address nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    free.expect("a free port")
}

/// The running program; killed when a test fails half way.
pub(crate) struct Service {
    child: Child,
    pub(crate) http: SocketAddr,
    pub(crate) incidents: PathBuf,
    pub(crate) config: PathBuf,
    /// What it and those before it wrote on standard error.
    stderr: PathBuf,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", self.said());
        }
    }
}

/// An answer.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) text: String,
}

impl Service {
    /// Writes the tokens and the configuration into `folder`: `engine` and `wires` are further
    /// lines of these sections, indented by two spaces.
    pub(crate) fn configure(folder: &Path, http: SocketAddr, engine: &str, wires: &str) -> PathBuf {
        let text = format!(
            "state: {}\ntick: 100ms\nsinks:\n  - ndjson: {{path: {}}}\n\
             engine:\n  lateness: 200ms\n  ledger: {{group_wait: 500ms}}\n{engine}\
             wires:\n  auth: {{credentials: [{{tenant: acme, bearer_file: token}}, \
             {{tenant: acme, bearer_file: ticketing, may: [act]}}], operators: [{{bearer_file: operator}}]}}\n  \
             http: {{listen: '{http}'}}\n{wires}",
            folder.join("state").display(),
            folder.join("incidents.ndjson").display()
        );
        for (name, secret) in [("token", TOKEN), ("ticketing", TICKETING), ("operator", OPERATOR)] {
            let file = folder.join(name);
            std::fs::write(&file, secret).expect("writes");
            std::fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("ours");
        }
        let config = folder.join("bellwether.yaml");
        std::fs::write(&config, text).expect("writes");
        config
    }

    /// Starts with Alertmanager's API and the default engine.
    pub(crate) fn start(folder: &Path) -> Service {
        let http = free_address();
        Service::configure(folder, http, "", "  alertmanager: {}\n");
        Service::run(folder, http)
    }

    /// Starts with the configuration in `folder`, and waits until it is ready.
    pub(crate) fn run(folder: &Path, http: SocketAddr) -> Service {
        let service = Service::spawn(folder, http);
        wait_until("it is ready", || service.ask("GET", "/-/ready", "", "").is_some_and(|reply| reply.status == 200));
        service
    }

    /// Starts with the configuration in `folder`, and waits until it listens.
    pub(crate) fn spawn(folder: &Path, http: SocketAddr) -> Service {
        Service::spawn_with(folder, http, &[])
    }

    /// The same with further arguments.
    pub(crate) fn spawn_with(folder: &Path, http: SocketAddr, arguments: &[&str]) -> Service {
        Service::spawn_by(Command::new(env!("CARGO_BIN_EXE_bellwether")), folder, http, arguments)
    }

    /// The same with no more file descriptors than `descriptors`.
    pub(crate) fn spawn_limited(descriptors: usize, folder: &Path, http: SocketAddr) -> Service {
        let mut shell = Command::new("sh");
        let line = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
        shell.args(["-c", &line, env!("CARGO_BIN_EXE_bellwether")]);
        Service::spawn_by(shell, folder, http, &[])
    }

    /// The same as a member of the control group whose list of processes is at `procs`.
    pub(crate) fn spawn_in(procs: &Path, folder: &Path, http: SocketAddr) -> Service {
        let mut shell = Command::new("sh");
        let line = format!("echo $$ > '{}'; exec \"$0\" \"$@\"", procs.display());
        shell.args(["-c", &line, env!("CARGO_BIN_EXE_bellwether")]);
        Service::spawn_by(shell, folder, http, &[])
    }

    fn spawn_by(program: Command, folder: &Path, http: SocketAddr, arguments: &[&str]) -> Service {
        let service = Service::begin(program, folder, http, arguments);
        wait_until("it listens", || TcpStream::connect(http).is_ok());
        service
    }

    /// Starts with the configuration in `folder` and something on standard input, and waits for nothing.
    pub(crate) fn begin_with_input(folder: &Path, http: SocketAddr) -> Service {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        program.stdin(Stdio::piped());
        Service::begin(program, folder, http, &[])
    }

    /// What it reads on standard input, until that is dropped.
    pub(crate) fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("started with input")
    }

    /// Starts `program` with the configuration in `folder`, and waits for nothing.
    pub(crate) fn begin(mut program: Command, folder: &Path, http: SocketAddr, arguments: &[&str]) -> Service {
        let config = folder.join("bellwether.yaml");
        let stderr = folder.join("stderr");
        let log = File::options().create(true).append(true).open(&stderr).expect("opens");
        program
            .args(["run", "--json", "-c"])
            .arg(&config)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(log)
            .env("NO_COLOR", "1");
        let child = program.spawn().expect("the program starts");
        let incidents = folder.join("incidents.ndjson");
        Service { child, http, incidents, config, stderr }
    }

    /// One request; `None` while nothing listens.
    pub(crate) fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Option<Reply> {
        self.client().ask(method, path, token, body)
    }

    /// Who asks it, also from another thread.
    pub(crate) fn client(&self) -> Client {
        Client { http: self.http }
    }

    /// Posts firing alerts of one host.
    pub(crate) fn alert(&self, token: &str, host: &str, names: &[&str]) -> Reply {
        let alert = |name: &&str| {
            let labels = serde_json::json!({"alertname": name, "instance": format!("{host}:9100"), "job": "node", "severity": "critical"});
            serde_json::json!({"labels": labels, "annotations": {"summary": "the disk is full"}})
        };
        let body = Value::Array(names.iter().map(alert).collect()).to_string();
        self.ask("POST", "/api/v2/alerts", token, &body).expect("an answer")
    }

    /// `/metrics`.
    pub(crate) fn metrics(&self) -> String {
        self.ask("GET", "/metrics", "", "").expect("an answer").text
    }

    /// The incident records told.
    pub(crate) fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.incidents).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// What it has written on standard error.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.stderr).unwrap_or_default()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        let asked = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(asked.expect("kill runs").success());
    }

    /// SIGTERM, and the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().expect("the program ends").code()
    }

    /// Waits until it has ended.
    pub(crate) fn wait_for_end(&mut self) {
        let _ = self.child.wait();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

/// Somebody who sends requests to the program.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    http: SocketAddr,
}

impl Client {
    /// One request; `None` while nothing listens.
    pub(crate) fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Option<Reply> {
        self.ask_with(method, path, token, &[], body)
    }

    /// The same with further heads.
    pub(crate) fn ask_with(
        &self,
        method: &str,
        path: &str,
        token: &str,
        heads: &[(&str, &str)],
        body: &str,
    ) -> Option<Reply> {
        let heads: String = heads.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut stream = TcpStream::connect(self.http).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n{heads}\
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
}

/// Waits for a while.
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// Waits until something holds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        pause(Duration::from_millis(50));
    }
}
