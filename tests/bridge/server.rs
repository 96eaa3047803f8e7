//! A real ticketing system on loopback, in a folder of its own, ended by its process ids; and requests to it as one of
//! the people who work there.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::skipped::skipped;

/// How long one may take to start, beside whatever else the machine does.
const START_MAX: Duration = Duration::from_secs(180);

/// The process and its folder.
pub(crate) struct Server {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) address: SocketAddr,
    child: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where `make itsm` has put a system; `None`, said loudly, where it has not been run.
pub(crate) fn home(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = [Some(here), here.parent()];
    let mut homes = folders.into_iter().flatten().map(|folder| folder.join(".tools/itsm").join(name));
    let home = homes.find(|home| home.join("ready-1").exists());
    if home.is_none() {
        skipped(&format!("no {name} in .tools/itsm: `make itsm` gets one"));
    }
    home
}

/// The lines `name secret` of a file.
pub(crate) fn secrets(file: &Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(file).expect("the secrets are there");
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.map(|(name, secret)| (name.to_owned(), secret.to_owned())).collect()
}

impl Server {
    /// A folder and an address for one.
    pub(crate) fn new() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        Server { folder: tempfile::tempdir().expect("temporary folder"), address, child: None }
    }

    /// Starts it; it is there when this returns.
    pub(crate) fn run(&mut self, mut command: Command, answers: impl Fn() -> bool) {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).expect("opens");
        // Its workers are ended with it.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
        self.child = Some(command.spawn().expect("it starts"));
        let began = Instant::now();
        while !answers() {
            assert!(began.elapsed() < START_MAX, "{}", self.said());
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// SIGKILL to the server and its workers, at whatever they are.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
            let _ = child.wait();
        }
    }

    /// What it has written on standard error.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// One request with these lines in its head; `None` while nothing answers.
pub(crate) fn ask(
    address: SocketAddr,
    head: &[&str],
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Option<(u16, Value)> {
    let (status, _, body) = ask_whole(address, head, method, path, body)?;
    Some((status, serde_json::from_str(&body).unwrap_or(Value::Null)))
}

/// The same, with the head of the answer and its body as it is.
pub(crate) fn ask_whole(
    address: SocketAddr,
    head: &[&str],
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Option<(u16, String, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let lines: String = head.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\n{lines}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, head.to_owned(), body.to_owned()))
}
