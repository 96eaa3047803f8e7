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
use bellwether_connectors::wires::{self, WireList as _, WiresConfig};
use bellwether_connectors::{
    Intake, Journal, JournalConfig, JournalError, LocalJournal, Position, RejectLog, Source, Stopper, WriteBatch,
    stop_pair,
};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{Batch, SignalKind};
use futures::future::BoxFuture;
use serde::Deserialize;
use tokio::sync::watch;

use crate::examples::Examples;

/// Longest wait for anything a peer should do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The part of `examples/wires.yaml` that listens.
#[derive(Deserialize)]
struct Shipped {
    wires: WiresConfig,
}

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

/// Running listeners: those of `examples/wires.yaml` as shipped, at other ports.
pub(crate) struct Rig {
    pub(crate) http: SocketAddr,
    pub(crate) grpc: SocketAddr,
    pub(crate) syslog: SocketAddr,
    pub(crate) forward: SocketAddr,
    pub(crate) dir: tempfile::TempDir,
    examples: Examples,
    journal: Arc<Moody>,
    intake: Intake,
    _stopper: Stopper,
    stop: bellwether_connectors::Stop,
}

/// An address nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    listener.local_addr().expect("bound")
}

impl Rig {
    /// Starts everything that `examples/wires.yaml` listens for.
    pub(crate) async fn start() -> Rig {
        Rig::changed(|_, _| {}).await
    }

    /// The same after `change`, for what cannot stand in a file that runs as it is: certificates and
    /// secrets of webhooks. It is given the folder that relative paths begin at.
    pub(crate) async fn changed(change: impl FnOnce(&mut WiresConfig, &Path)) -> Rig {
        let dir = tempfile::tempdir().expect("temp dir");
        let examples = Examples::copied_to(&dir.path().join("examples"));
        let (inner, _) = LocalJournal::open(&JournalConfig::new(dir.path().join("journal"))).expect("new journal");
        let journal = Arc::new(Moody { inner, full: AtomicBool::new(false), refused: AtomicU64::new(0) });
        let intake = Intake::new(journal.clone(), RejectLog::counting());
        let text = std::fs::read_to_string(examples.file("wires.yaml")).expect("just copied");
        let Shipped { wires: mut config } = serde_saphyr::from_str(&text).expect("the shipped file is read");
        change(&mut config, examples.folder());
        let built = wires::build(&config.relative_to(examples.folder())).expect("the shipped file is good");
        let (stopper, stop) = stop_pair();
        let [http, grpc, syslog, forward] = ["9099", "4317", "5514", "24224"].map(|port| examples.moved(port));
        let rig = Rig { http, grpc, syslog, forward, dir, examples, journal, intake, _stopper: stopper, stop };
        built.sources.into_iter().for_each(|source| rig.run(source));
        for address in [http, grpc, syslog, forward] {
            rig.until("a listener", || std::net::TcpStream::connect(address).is_ok().then_some(()));
        }
        rig
    }

    /// Runs a source over the journal.
    fn run(&self, source: Box<dyn Source>) {
        let (intake, stop) = (self.intake.clone(), self.stop.clone());
        tokio::spawn(async move {
            let name = source.name().to_owned();
            if let Err(error) = source.run(intake, stop).await {
                panic!("source `{name}` ended: {error}");
            }
        });
    }

    /// The bearer token of the senders.
    pub(crate) fn token(&self) -> String {
        self.examples.text("token")
    }

    /// The bearer token of the ticketing system, which acts and sends nothing.
    pub(crate) fn ticketing(&self) -> String {
        self.examples.text("ticketing/token")
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

    /// A file of `examples/`, as it is shipped but for its places.
    pub(crate) fn example(&self, file: &str) -> PathBuf {
        self.examples.file(file)
    }

    /// Where a port that a shipped file names is in this test.
    pub(crate) fn moved(&self, port: &str) -> SocketAddr {
        self.examples.moved(port)
    }

    /// A file of `examples/` of which `from` says `to`: an address that a test puts itself before.
    pub(crate) fn redirected(&self, file: &str, from: SocketAddr, to: SocketAddr) -> PathBuf {
        let (path, text) = (self.examples.file(file), self.examples.text(file));
        assert!(text.contains(&from.to_string()), "{file} does not name {from}");
        std::fs::write(&path, text.replace(&from.to_string(), &to.to_string())).expect("temp dir is writable");
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
