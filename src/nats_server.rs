//! A NATS server of our own, for the demo and for tests: the real one, on loopback, gone when
//! dropped.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// The variable that names the server's program.
pub const SERVER_VARIABLE: &str = "BELLWETHER_NATS_SERVER";
/// Where `make nats` puts it.
pub const SERVER_TOOL: &str = ".tools/py/bin/nats-server";
/// A server that does not answer after this long will not.
const READY_MAX: Duration = Duration::from_secs(15);

/// A running server.
#[derive(Debug)]
pub struct LocalNats {
    child: Child,
    port: u16,
    program: PathBuf,
    store: PathBuf,
}

impl LocalNats {
    /// Starts the server with JetStream in folder `store`.
    ///
    /// # Errors
    /// When no server is installed, or it does not come up; the text says what to do.
    pub fn start(store: &Path) -> Result<LocalNats> {
        let program = find_server()?;
        std::fs::create_dir_all(store).with_context(|| format!("cannot make `{}`", store.display()))?;
        let port = free_port()?;
        LocalNats::start_on(program, store.to_owned(), port)
    }

    fn start_on(program: PathBuf, store: PathBuf, port: u16) -> Result<LocalNats> {
        let log = store.join("server.log");
        let child = Command::new(&program)
            .args(["-js", "-a", "127.0.0.1", "-p", &port.to_string(), "-sd"])
            .arg(&store)
            .arg("-l")
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start `{}`", program.display()))?;
        let mut server = LocalNats { child, port, program, store };
        server.wait_until_ready().with_context(|| format!("its log is `{}`", log.display()))?;
        Ok(server)
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Kills the server as a power cut would, and starts it again on the same port and store.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        self.child.kill().context("cannot kill the NATS server")?;
        self.child.wait()?;
        let again = LocalNats::start_on(self.program.clone(), self.store.clone(), self.port)?;
        *self = again;
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the NATS server ended at once: {status}");
            }
            if began.elapsed() > READY_MAX {
                bail!("the NATS server does not answer on port {} after {READY_MAX:?}", self.port);
            }
            #[expect(clippy::disallowed_methods, reason = "a short wait of a caller that has nothing else to do")]
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for LocalNats {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's program: named by the variable, installed by `make nats`, or on the path.
///
/// # Errors
/// When there is none.
pub fn find_server() -> Result<PathBuf> {
    let named = std::env::var_os(SERVER_VARIABLE).map(PathBuf::from);
    let on_path = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("nats-server")).find(|file| file.is_file())
    };
    named
        .filter(|file| file.is_file())
        .or_else(|| Some(std::path::absolute(SERVER_TOOL).ok()?).filter(|file| file.is_file()))
        .or_else(on_path)
        .context("no NATS server is installed: `make nats` puts one into .tools, or name one with BELLWETHER_NATS_SERVER")
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port on loopback")?;
    Ok(listener.local_addr()?.port())
}
