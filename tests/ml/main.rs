//! The bench as its users meet it: `models …` and their stable columns, `eval`
//! over every task, `tune`, comparisons, and the Python of `docs/ml.md`.

// A failed comparison shows what the other side said.
#![allow(clippy::print_stderr)]

mod contract;
mod document;
mod evaluate;
mod independent;
mod own;
#[path = "../service/mod.rs"]
mod service;
mod sets;
mod sidecar;
#[path = "../support/skipped.rs"]
mod skipped;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs the program with `input` on stdin.
fn bellwether(args: &[&str], input: &[u8], folder: &Path) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(args)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env_remove("BELLWETHER_DATA")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let input = input.to_vec();
    // A program that fails early closes its end: that is its answer, not ours.
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the program ends");
    feeder.join().expect("the feeder ends");
    output
}

/// Stdout of a run that must succeed.
fn said(args: &[&str], input: &[u8], folder: &Path) -> String {
    let output = bellwether(args, input, folder);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("utf-8")
}

/// Stderr of a run that must fail.
fn refused(args: &[&str], input: &[u8], folder: &Path) -> String {
    let output = bellwether(args, input, folder);
    assert!(!output.status.success(), "{args:?} succeeded");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
