//! Bellwether's listeners over a real journal, and the real programs that talk to them.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bellwether_connectors::journal::receipts::Receipts;
use bellwether_connectors::journal::{Entries, PendingAppend};
use bellwether_connectors::limits::Limits;
use bellwether_connectors::resolve::entity_resolution::EntityResolver;
use bellwether_connectors::resolve::series_table::SeriesTable;
use bellwether_connectors::server::auth::{Auth, AuthConfig, Credential, Network, Rights};
use bellwether_connectors::server::http::{HttpConfig, HttpRouter, HttpSource, NamedWire};
use bellwether_connectors::server::wire::HttpWire;
use bellwether_connectors::wires::alertmanager::{Alertmanager, AlertmanagerConfig};
use bellwether_connectors::wires::otlp::grpc::OtlpGrpc;
use bellwether_connectors::wires::otlp::{Otlp, OtlpConfig};
use bellwether_connectors::wires::remote_write::{RemoteWrite, RemoteWriteConfig};
use bellwether_connectors::{
    Intake, Journal, JournalConfig, JournalError, LocalJournal, Position, RejectLog, Source, Stopper, WriteBatch,
    stop_pair,
};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{Batch, SignalKind};
use futures::future::BoxFuture;
use tokio::sync::watch;

/// The bearer token of tenant `acme` in every example.
pub(crate) const TOKEN: &str = "an-example-token-of-no-value";

/// Longest wait for anything a peer should do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A local journal that can be told to be full.
struct Moody {
    inner: LocalJournal,
    full: AtomicBool,
    refused: AtomicU64,
}

impl Journal for Moody {
    fn append(&self, group: Arc<WriteBatch>) -> BoxFuture<'_, Result<Position, JournalError>> {
        if self.full.load(Ordering::Relaxed) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            let reason = "told to be full".to_owned();
            return Box::pin(async move { Err(JournalError::Full { reason, own_limit: true }) });
        }
        self.inner.append(group)
    }

    fn coming(&self) -> PendingAppend {
        self.inner.coming()
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.inner.durable()
    }

    fn read(&self, after: Position) -> Result<Box<dyn Entries>, JournalError> {
        self.inner.read(after)
    }

    fn cursor(&self, source: &str) -> Option<Vec<u8>> {
        self.inner.cursor(source)
    }

    fn receipts(&self) -> Arc<Receipts> {
        self.inner.receipts()
    }

    fn release(&self, upto: Position) {
        self.inner.release(upto);
    }
}

/// Running listeners.
pub(crate) struct Rig {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) dir: tempfile::TempDir,
    journal: Arc<Moody>,
    intake: Intake,
    auth: Arc<Auth>,
    _stopper: Stopper,
    stop: bellwether_connectors::Stop,
}

/// An address nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    listener.local_addr().expect("bound")
}

impl Rig {
    /// Starts the HTTP and gRPC listeners. `more` adds wires.
    pub(crate) async fn start(
        more: impl FnOnce(&Arc<EntityResolver>, &Arc<SeriesTable>, &Arc<Auth>) -> Vec<NamedWire>,
    ) -> Rig {
        let dir = tempfile::tempdir().expect("temp dir");
        std::fs::write(dir.path().join("token"), TOKEN).expect("temp dir is writable");
        let (inner, _) = LocalJournal::open(&JournalConfig::new(dir.path().join("journal"))).expect("new journal");
        let journal = Arc::new(Moody { inner, full: AtomicBool::new(false), refused: AtomicU64::new(0) });
        let intake = Intake::new(journal.clone(), RejectLog::counting());
        let auth = AuthConfig {
            credentials: vec![
                Credential {
                    tenant: "acme".to_owned(),
                    bearer_file: Some(dir.path().join("token")),
                    may: Rights::ALL,
                    ..Credential::default()
                },
                Credential {
                    tenant: "acme".to_owned(),
                    user: Some("agent".to_owned()),
                    password_file: Some(dir.path().join("token")),
                    ..Credential::default()
                },
            ],
            networks: vec![Network { network: "127.0.0.1".to_owned(), tenant: "acme".to_owned() }],
            ..AuthConfig::default()
        };
        let auth = Arc::new(Auth::new(&auth).expect("config is good"));
        let limits = Limits::default();
        let resolver = Arc::new(EntityResolver::default());
        let series = Arc::new(SeriesTable::new(resolver.clone(), &limits));
        let (http, grpc) = (free_address(), free_address());
        let config = OtlpConfig { grpc_listen: Some(grpc), ..OtlpConfig::default() };
        let otlp = Arc::new(Otlp::new(config, limits.clone(), series.clone()));
        let remote_write = RemoteWrite::new(RemoteWriteConfig::default(), limits.clone(), series.clone());
        let alertmanager = Alertmanager::new(AlertmanagerConfig::default(), limits.clone(), resolver.clone());
        let mut wires: Vec<NamedWire> = vec![
            ("remote_write", HttpWire::new(Arc::new(remote_write))),
            ("alertmanager", HttpWire::new(Arc::new(alertmanager))),
            ("otlp", HttpWire::new(otlp.clone())),
        ];
        wires.extend(more(&resolver, &series, &auth));
        let wires = Arc::new(HttpRouter::new(auth.clone(), limits, wires).expect("paths differ"));
        let config = HttpConfig { listen: http, tls: None };
        let (stopper, stop) = stop_pair();
        let rig = Rig { http, grpc, dir, journal, intake, auth: auth.clone(), _stopper: stopper, stop };
        rig.run(Box::new(HttpSource::new("http", config, wires).expect("no certificates")));
        rig.run(Box::new(OtlpGrpc::new("otlp_grpc", otlp, auth).expect("no certificates")));
        for address in [http, grpc] {
            rig.until("a listener", || std::net::TcpStream::connect(address).is_ok().then_some(()));
        }
        rig
    }

    /// Runs one more source over the same journal.
    pub(crate) fn run(&self, source: Box<dyn Source>) {
        let (intake, stop) = (self.intake.clone(), self.stop.clone());
        tokio::spawn(async move {
            let name = source.name().to_owned();
            if let Err(error) = source.run(intake, stop).await {
                panic!("source `{name}` ended: {error}");
            }
        });
    }

    pub(crate) fn auth(&self) -> Arc<Auth> {
        self.auth.clone()
    }

    /// Makes the journal refuse everything, or accept again.
    pub(crate) fn set_full(&self, full: bool) {
        self.journal.full.store(full, Ordering::Relaxed);
    }

    /// How often the journal refused.
    pub(crate) fn refused(&self) -> u64 {
        self.journal.refused.load(Ordering::Relaxed)
    }

    /// Everything in the journal.
    pub(crate) fn entries(&self) -> Vec<Input> {
        let mut reader = self.journal.read(Position::START).expect("nothing was dropped");
        let mut found = Vec::new();
        while let Some(entry) = reader.next_entry().expect("undamaged") {
            found.push(Input::decode(&entry.bytes).expect("an input"));
        }
        found
    }

    /// The batches of `kind` in the journal; all are tenant `acme`'s.
    pub(crate) fn batches(&self, kind: SignalKind) -> Vec<Batch> {
        let of_kind = |input| match input {
            Input::Batch(batch) if batch.kind() == kind => Some(batch),
            _ => None,
        };
        let found: Vec<Batch> = self.entries().into_iter().filter_map(of_kind).collect();
        assert!(found.iter().all(|batch| batch.tenant() == "acme"));
        found
    }

    /// Asks `probe` until it answers.
    pub(crate) fn until<T>(&self, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = tokio::task::block_in_place(&mut probe) {
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "{what} did not come within {PATIENCE:?}");
            tokio::task::block_in_place(|| std::thread::sleep(Duration::from_millis(100)));
        }
    }

    /// Copies an example file beside the token, with addresses replaced; returns its path.
    pub(crate) fn example(&self, file: &str, replace: &[(&str, String)]) -> PathBuf {
        let source = repository().join("examples").join(file);
        let mut text = std::fs::read_to_string(&source).unwrap_or_else(|error| panic!("{source:?}: {error}"));
        for (from, to) in replace {
            assert!(text.contains(from), "{file} does not contain `{from}`");
            text = text.replace(from, to);
        }
        let path = self.dir.path().join(source.file_name().expect("a file"));
        std::fs::write(&path, text).expect("temp dir is writable");
        path
    }
}

/// The root of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("crates live in the repository")
}

/// A program of a peer; panics with the remedy when it is not there.
pub(crate) fn peer(path: &str) -> PathBuf {
    let program = repository().join(".tools").join(path);
    assert!(program.exists(), "{} is missing: run tools/peers.sh", program.display());
    program
}

/// A command of a peer, with the libraries it was unpacked with.
pub(crate) fn command(path: &str) -> Command {
    let libraries = repository().join(format!(".tools/peers/usr/lib/{}-linux-gnu", std::env::consts::ARCH));
    let mut command = Command::new(peer(path));
    command.env("LD_LIBRARY_PATH", libraries);
    command
}

/// A running peer; killed when dropped. Its output is shown when a test fails.
pub(crate) struct Peer {
    child: Child,
    output: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    pub(crate) fn start(mut command: Command) -> Peer {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().expect("piped");
        let lines = output.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().expect("not poisoned").push(line);
            }
        });
        Peer { child, output }
    }

    /// What it has said on standard error.
    pub(crate) fn said(&self) -> String {
        self.output.lock().expect("not poisoned").join("\n")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the peer said:\n{}", self.said());
        }
    }
}

/// Runs a command to its end; panics with its output when it fails.
pub(crate) fn output_of(mut command: Command) -> String {
    let output = tokio::task::block_in_place(|| command.output());
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?} failed:\n{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}
