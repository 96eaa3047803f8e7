//! The real programs beside ours, and the places of documents moved to where a test may be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use regex::{Captures, Regex};

use crate::service::free_address;

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository.
pub(crate) fn text_of(file: &str) -> String {
    let path = root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A program that `tools/peers.sh` has unpacked, with the libraries beside it.
pub(crate) fn peer(program: &str) -> Command {
    let path = root().join(".tools").join(program);
    assert!(path.exists(), "{} is missing: run tools/peers.sh", path.display());
    let mut command = Command::new(path);
    command.env("LD_LIBRARY_PATH", libraries());
    command
}

/// Where the libraries of the unpacked programs are.
pub(crate) fn libraries() -> PathBuf {
    root().join(format!(".tools/peers/usr/lib/{}-linux-gnu", std::env::consts::ARCH))
}

/// Our own program.
pub(crate) fn bellwether() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command.env("NO_COLOR", "1").env("COLUMNS", "110");
    command
}

/// Runs a command to its end; panics with what it said when it fails.
pub(crate) fn output_of(mut command: Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}:\n{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything that a command has said.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A running program; killed when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(mut command: Command) -> Running {
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(quiet.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The ports that a text names, each moved to a free one: several tests run on one machine.
pub(crate) struct Ports(BTreeMap<u16, u16>);

impl Ports {
    pub(crate) fn of(ports: &[u16]) -> Ports {
        Ports(ports.iter().map(|port| (*port, free_address().port())).collect())
    }

    /// Where `port` is here.
    pub(crate) fn moved(&self, port: u16) -> u16 {
        self.0[&port]
    }

    /// `text` with every port where it is here.
    pub(crate) fn place(&self, text: &str) -> String {
        let port = Regex::new(r#"(:|port=")(\d{4,5})\b"#).expect("a pattern");
        let moved = |found: &Captures<'_>| match found[2].parse().ok().and_then(|port: u16| self.0.get(&port)) {
            Some(port) => format!("{}{port}", &found[1]),
            None => found[0].to_owned(),
        };
        port.replace_all(text, moved).into_owned()
    }
}
