//! Recordings of real hosts, replayed as a newcomer would: told faults, none that is not there.
//!
//! The recordings and their scorer lie beside each other: `BELLWETHER_DATA`, default
//! `../shared/data`, and `../scoring` from there. Without them the test says so and passes: it has
//! nothing to judge. The figures of ADR 16 are what it prints:
//!
//! ```text
//! cargo test --features kafka --test real_hosts -- --nocapture
//! ```

#![allow(clippy::print_stderr)] // the scorer's table is what people look for

#[path = "support/skipped.rs"]
mod skipped;

use std::path::{Path, PathBuf};
use std::process::Command;

use skipped::skipped;

/// What holds today, and may only become better.
const GOAL: &str = "told>=5 right_at_once>=5 right_owner>=5 right_cause1>=5 false_opened<=0 false_reopened<=0 \
                    changed<=0 forecast_lead_min>=15";

#[test]
fn recorded_faults_are_told_and_a_quiet_host_is_quiet() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = std::env::var_os("BELLWETHER_DATA").map_or_else(|| "../shared/data".into(), PathBuf::from);
    let (recordings, scorer) = (root.join(&data).join("real_hosts"), root.join(&data).join("../scoring/hosts.py"));
    if !recordings.is_dir() || !scorer.is_file() {
        skipped(&format!("no recordings of real hosts in `{}`, or no scorer beside it", recordings.display()));
        return;
    }
    let scored = Command::new("python3")
        .arg(&scorer)
        .args(["--bin", env!("CARGO_BIN_EXE_bellwether"), "--goal", GOAL, "--data"])
        .arg(&recordings)
        .output()
        .expect("python3 starts");
    eprint!("{}{}", String::from_utf8_lossy(&scored.stdout), String::from_utf8_lossy(&scored.stderr));
    assert!(scored.status.success(), "the scorer answers {}: 3 is a missed goal", scored.status);
}
