//! `bellwether check`: would this configuration work here and now, and what has it received?
//!
//! Beyond `validate`, which reads the file alone, everything is tried: ports are bound and let
//! go, secrets and certificates read, NATS asked for its version. When a process runs with
//! this configuration, its counters are shown beside each source.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use bellwether_connectors::bridges::BridgeConfig;
use bellwether_connectors::declared::Found;
use bellwether_connectors::journal::is_in_use;
use bellwether_connectors::memory::Limit;
use bellwether_connectors::outbox::{ReaderStatus, statuses};
use bellwether_connectors::server::auth::AuthConfig;
use bellwether_connectors::server::http::client::ClientError;
use bellwether_connectors::server::listener::Endpoint;
use bellwether_connectors::server::tls::{TlsConfig, TlsError, acceptor};
use bellwether_connectors::wires::{self, WireList as _};
use bellwether_connectors::{SinkConfig, SourceConfig};
use clap::Args;
use serde::Serialize;

use super::counters::{Received, read_counters, read_tenants};
use super::process::{Reach, process_of};
use super::state_folder::places;
use crate::config::{self, Config};
use crate::exit::Exit;
use crate::term::{Ink, Lean, Table, Term, count, thousands};

/// Try everything a configuration needs, and show what a running process has received
#[derive(Debug, Args)]
#[command(after_help = "\
Ports are bound and let go again, secrets, certificates and catalogues read, NATS servers asked
for their version; nothing is written. When a process runs with this configuration, the columns
show what each of its sources has received, accepted and refused, and what the engine has dropped of
each tenant's signals and why.

The exit code is 0 when all is well, 1 when something would not work, 2 when the file is not
accepted.

Examples:
  bellwether check -c bellwether.yaml
  bellwether check -c bellwether.yaml --json | jq '.checks[] | select(.state == \"failed\")'")]
pub(super) struct CheckArgs {
    /// The YAML file
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    reach: Reach,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// How a thing that is needed was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    /// It is there, or could be had.
    Ok,
    /// A process with this configuration has it.
    Running,
    /// It would not work.
    Failed,
}

/// One thing that is needed.
#[derive(Clone, Debug, Serialize)]
struct Check {
    kind: &'static str,
    name: String,
    state: State,
    /// What was found; with the remedy when it failed.
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    received: Option<Received>,
}

impl Check {
    fn new<E: Display>(kind: &'static str, name: impl Into<String>, found: Result<String, E>) -> Check {
        let (state, detail) = match found {
            Ok(detail) => (State::Ok, detail),
            Err(error) => (State::Failed, error.to_string()),
        };
        Check { kind, name: name.into(), state, detail, received: None }
    }
}

/// Why what is tried here itself would not work.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    /// A receiver waits for a person.
    #[error("it waits for you: {reason}; mend it, then `bellwether sinks retry {sink}`")]
    Parked { sink: String, reason: String },
    /// The running process has no page.
    #[error("a process runs, but has no page to ask: name `wires.http`")]
    NoPage,
    /// What is written for the way to it does not do.
    #[error("{0:#}")]
    Reach(anyhow::Error),
    /// It does not answer.
    #[error("{0}; it may be starting, or asks for a client certificate (--certificate)")]
    Silent(ClientError),
    /// It answers something else.
    #[error("/metrics answers {status}: {text}")]
    Answer { status: u16, text: String },
    /// Nothing says how much memory there is.
    #[error("nothing says how much memory there is; set `memory.limit_bytes`")]
    NoMemoryLimit,
    /// The doors would close at once.
    #[error(
        "{bytes} bytes of memory are too little: the program itself takes 100 MiB, and tables need some; give it 256 MiB at least"
    )]
    LittleMemory { bytes: usize },
    /// A folder that is to be written.
    #[error("cannot write in `{folder}`: {error}; check its owner", folder = .folder.display())]
    Folder { folder: PathBuf, error: io::Error },
    /// A file that should hold a secret, and holds none.
    #[error("`{path}` is empty; `openssl rand -hex 32 > {path}`", path = .path.display())]
    EmptySecret { path: PathBuf },
    /// A file that should hold a secret.
    #[error("`{path}` cannot be read: {error}; `openssl rand -hex 32 > {path}`", path = .path.display())]
    Secret { path: PathBuf, error: io::Error },
    /// An address that is to be listened on.
    #[error("cannot listen on `{address}`: {error}; {remedy}", remedy = remedy(.error))]
    Listen { address: SocketAddr, error: io::Error },
}

/// Less is no memory to run with.
const MEMORY_MIN: usize = 192 << 20;

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "stop what listens there (`ss -lntup`), or choose another port",
        io::ErrorKind::PermissionDenied => "ports below 1024 need CAP_NET_BIND_SERVICE; choose a higher one",
        io::ErrorKind::AddrNotAvailable => "this machine has no such address",
        _ => "choose another address",
    }
}

#[derive(Serialize)]
struct Report {
    ok: bool,
    running: bool,
    checks: Vec<Check>,
}

/// Tries everything and prints what was found.
///
/// # Errors
/// When the file is not accepted.
pub(super) fn run(args: &CheckArgs) -> Result<Exit> {
    let config = config::load_beside(&args.config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(check(&config, &args.reach));
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        write!(out, "{}", shown(&report, &Term::stdout()))?;
    }
    Ok(if report.ok { Exit::Ok } else { Exit::Failure })
}

async fn check(config: &Config, reach: &Reach) -> Report {
    let places = places(config);
    let in_use = places.as_ref().map_err(ToString::to_string).and_then(|places| {
        // They are opened in order: the first tells of all.
        places.first().map_or(Ok(false), |place| is_in_use(&place.journal).map_err(|error| error.to_string()))
    });
    let running = matches!(in_use, Ok(true));
    let counters = match running {
        true => Some(counters_of(config, reach).await),
        false => None,
    };
    let mut checks = vec![state_check(config, in_use), memory_check(config)];
    checks.extend(credentials(&config.wires.auth));
    let known = counters.as_ref().and_then(|counters| counters.as_ref().ok());
    let (known, tenants) = (known.map(|page| &page.sources), known.map(|page| &page.tenants));
    config.wires.each_endpoint(&mut |endpoint| checks.extend(listener(endpoint, running, known)));
    if let Some(Err(error)) = &counters {
        checks.push(Check::new("metrics", "http", Err(error)));
    }
    for source in &config.sources {
        checks.push(source_check(source, known).await);
    }
    let places = places.unwrap_or_default();
    let readers: Vec<ReaderStatus> =
        places.iter().flat_map(|place| statuses(&place.readers, &place.log).unwrap_or_default()).collect();
    for sink in config.sinks_or_default() {
        let of_sink: Vec<ReaderStatus> = readers.iter().filter(|one| one.reader == sink.name()).cloned().collect();
        checks.extend(sink_check(&sink, ReaderStatus::together(&of_sink).as_ref()).await);
    }
    for bridge in &config.bridges {
        checks.push(bridge_check(bridge).await);
    }
    if let Err(error) = config.check_bridges() {
        checks.push(Check::new("bridge", "mapping", Err(error)));
    }
    let catalogues = config::load_catalogues(config).map(|all| format!("{} catalogues read", all.len()));
    if config.tenants.values().any(|tenant| tenant.catalogue.is_some() || tenant.knowledge.is_some()) {
        checks.push(Check::new("tenants", "catalogues", catalogues));
    }
    checks.extend(tenants.into_iter().flatten().map(|(tenant, received)| {
        Check {
            kind: "engine",
            name: tenant.clone(),
            state: State::Running,
            detail: [received.refusals("dropped"), received.clocks()]
                .into_iter()
                .filter(|t| !t.is_empty())
                .collect::<Vec<_>>()
                .join("; "),
            received: Some(received.clone()),
        }
    }));
    let wires = wires::build(&config.wires).map(|_| String::new());
    if wires.is_err() && checks.iter().all(|check| check.state != State::Failed) {
        checks.push(Check::new("wires", "together", wires));
    }
    Report { ok: checks.iter().all(|check| check.state != State::Failed), running, checks }
}

/// What the running process has counted.
struct Counted {
    /// At its doors, by source.
    sources: BTreeMap<String, Received>,
    /// In the engine, by tenant.
    tenants: BTreeMap<String, Received>,
}

/// The counters of the running process.
async fn counters_of(config: &Config, reach: &Reach) -> Result<Counted, CheckError> {
    if config.wires.http().is_none() {
        return Err(CheckError::NoPage);
    }
    let process = process_of(config, reach).map_err(CheckError::Reach)?;
    match process.get("/metrics").await {
        Ok((200, text)) => {
            Ok(Counted { sources: read_counters(&text, &config.wires.names_over_http()), tenants: read_tenants(&text) })
        }
        Ok((status, text)) => Err(CheckError::Answer { status, text: text.trim().to_owned() }),
        Err(error) => Err(CheckError::Silent(error)),
    }
}

/// How much memory the process may take, who says so, and what of it a tenant may fill.
fn memory_check(config: &Config) -> Check {
    let mib = |bytes: usize| format!("{} MiB", thousands((bytes >> 20) as u64));
    let found = match config.memory.limit() {
        None => Err(CheckError::NoMemoryLimit),
        Some(Limit { bytes, .. }) if bytes < MEMORY_MIN => Err(CheckError::LittleMemory { bytes }),
        Some(limit) => {
            let tenant = config.engine_within(Some(limit)).limits.tenant_bytes_max;
            Ok(format!("{} by {}; a tenant's tables take {} at most", mib(limit.bytes), limit.source, mib(tenant)))
        }
    };
    Check::new("memory", "limit", found)
}

fn state_check<E: Display>(config: &Config, in_use: Result<bool, E>) -> Check {
    let folder = config.state.display().to_string();
    match in_use {
        Ok(true) => {
            let mut check = Check::new("state", folder, Ok::<_, E>("a process runs here".to_owned()));
            check.state = State::Running;
            check
        }
        Ok(false) => Check::new("state", folder, writable(&config.state)),
        Err(error) => Check::new("state", folder, Err(error)),
    }
}

/// Whether the folder, or the nearest one above it that is there, can be written.
fn writable(folder: &Path) -> Result<String, CheckError> {
    let there = folder.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
    tempfile_in(there).map_err(|error| CheckError::Folder { folder: there.to_owned(), error })?;
    Ok(if there == folder { "can be written".to_owned() } else { "will be made".to_owned() })
}

/// Makes a file without a name and lets it go.
fn tempfile_in(folder: &Path) -> std::io::Result<()> {
    let path = folder.join(format!(".bellwether-check-{}", std::process::id()));
    std::fs::File::create_new(&path)?;
    std::fs::remove_file(&path)
}

/// Each file a credential is in.
fn credentials(auth: &AuthConfig) -> Vec<Check> {
    let of_tenants = auth.credentials.iter().flat_map(|credential| {
        let files = [&credential.bearer_file, &credential.password_file];
        files.into_iter().flatten().map(|path| (format!("tenant {}", credential.tenant), path))
    });
    let of_operators =
        auth.operators.iter().filter_map(|operator| Some(("operator".to_owned(), operator.bearer_file.as_ref()?)));
    of_tenants
        .chain(of_operators)
        .map(|(whose, path)| {
            let path = path.clone();
            let found = match std::fs::read_to_string(&path) {
                Ok(text) if text.trim().is_empty() => Err(CheckError::EmptySecret { path }),
                Ok(_) => Ok(format!("{} is there", path.display())),
                Err(error) => Err(CheckError::Secret { path, error }),
            };
            Check::new("secret", whose, found)
        })
        .collect()
}

/// A listener, and what came in through it.
fn listener(endpoint: &Endpoint<'_>, running: bool, counters: Option<&BTreeMap<String, Received>>) -> Vec<Check> {
    let (name, listen) = (endpoint.name, endpoint.address);
    let mut first = Check::new("listen", name, bind(endpoint).map(|()| format!("{listen} is free")));
    let taken = first.state == State::Failed;
    if taken && running {
        first.state = State::Running;
        first.detail = listen.to_string();
    }
    first.received = counters.and_then(|counters| counters.get(name).cloned());
    let mut checks = vec![first];
    if name == "http" {
        let over_http = counters.into_iter().flatten().filter(|(_, received)| received.over_http);
        checks.extend(over_http.map(|(id, received)| Check {
            kind: "wire",
            name: id.clone(),
            state: State::Running,
            detail: String::new(),
            received: Some(received.clone()),
        }));
    }
    if let Some(tls) = endpoint.tls {
        checks.push(Check::new("tls", name, certificate(tls)));
    }
    checks
}

fn bind(endpoint: &Endpoint<'_>) -> Result<(), CheckError> {
    endpoint.try_bind().map_err(|error| CheckError::Listen { address: endpoint.address, error })
}

fn certificate(tls: &TlsConfig) -> Result<String, TlsError> {
    acceptor(tls, &[])?;
    let clients = if tls.client_ca_file.is_some() { ", clients must show one too" } else { "" };
    Ok(format!("certificate and key fit{clients}"))
}

async fn source_check(source: &SourceConfig, counters: Option<&BTreeMap<String, Received>>) -> Check {
    let found = match source.probe() {
        Some(probe) => probe.await.map(shown_found),
        None => Ok("not tried".to_owned()),
    };
    let mut check = Check::new("source", source.name(), found);
    check.received = counters.and_then(|counters| counters.get(source.name()).cloned());
    if check.received.is_some() && check.state == State::Ok {
        check.state = State::Running;
    }
    check
}

/// A receiver, and what waits for it in the incident log; `None` when there is nothing to try and nothing waits.
async fn sink_check(sink: &SinkConfig, reader: Option<&ReaderStatus>) -> Option<Check> {
    let waits = reader.filter(|reader| reader.behind_records > 0).map(|reader| {
        let since = reader.behind_since.map(|since| format!(" since {since}")).unwrap_or_default();
        format!("{} waiting in the incident log{since}", count(reader.behind_records, "record"))
    });
    let parked = reader.and_then(|reader| reader.cursor.as_ref()?.parked.as_ref());
    let parked =
        parked.map(|parked| CheckError::Parked { sink: sink.name().to_owned(), reason: parked.reason.clone() });
    let mut check = match (sink.probe(), parked) {
        (_, Some(parked)) => Check::new("sink", sink.name(), Err(parked)),
        (Some(probe), None) => Check::new("sink", sink.name(), probe.await.map(shown_found)),
        (None, None) if waits.is_some() => Check::new("sink", sink.name(), Ok::<_, CheckError>(String::new())),
        (None, None) => return None,
    };
    let parts = [check.detail, waits.unwrap_or_default()];
    check.detail = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ");
    Some(check)
}

/// A ticketing system: whether it lets us in, and has what the mapping names.
async fn bridge_check(bridge: &BridgeConfig) -> Check {
    let found = match bridge.probe() {
        Some(probe) => probe.await.map(shown_found),
        None => Ok("not tried".to_owned()),
    };
    Check::new("bridge", bridge.name(), found)
}

fn shown_found(found: Found) -> String {
    match found.behind {
        Some(behind) => format!("{}, {} messages behind", found.what, thousands(behind)),
        None => found.what,
    }
}

/// The table.
fn shown(report: &Report, term: &Term) -> String {
    let columns = [
        ("what", Lean::Left),
        ("name", Lean::Left),
        ("state", Lean::Left),
        ("received", Lean::Right),
        ("accepted", Lean::Right),
        ("refused", Lean::Right),
        ("found", Lean::Left),
    ];
    let mut table = Table::new(&columns);
    for check in &report.checks {
        let number = |of: fn(&Received) -> u64| check.received.as_ref().map_or(String::new(), |r| thousands(of(r)));
        let state = match check.state {
            State::Ok => "ok",
            State::Running => "running",
            State::Failed => "FAILED",
        };
        let refused = match &check.received {
            Some(received) if check.kind != "engine" => received.refusals("refused"),
            _ => String::new(),
        };
        let detail = match check.state {
            State::Failed => "see below".to_owned(),
            _ => [check.detail.as_str(), &refused]
                .iter()
                .filter(|t| !t.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join("; "),
        };
        table.row([
            check.kind.to_owned(),
            check.name.clone(),
            state.to_owned(),
            number(|r| r.requests),
            number(|r| r.accepted),
            number(match check.kind {
                // What it has dropped of its tables was accepted once.
                "engine" => |r| r.requests - r.accepted,
                _ => |r| r.refused.values().sum(),
            }),
            detail,
        ]);
    }
    let mut text = table.render(term, 0);
    let failed: Vec<&Check> = report.checks.iter().filter(|check| check.state == State::Failed).collect();
    for check in &failed {
        text.push_str(&format!(
            "\n{} {} {}: {}\n",
            term.paint(Ink::Red, "failed:"),
            check.kind,
            check.name,
            check.detail
        ));
    }
    let verdict = match (failed.len(), report.running) {
        (0, true) => term.paint(Ink::Green, "all is well, and a process runs with it"),
        (0, false) => term.paint(Ink::Green, "all is well; nothing runs with it"),
        (1, _) => term.paint(Ink::Red, "1 thing would not work"),
        (things, _) => term.paint(Ink::Red, &format!("{things} things would not work")),
    };
    text.push_str(&format!("\n{verdict}\n"));
    text
}
