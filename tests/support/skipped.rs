//! A test that has nothing to judge says so where nobody overlooks it.
//!
//! The test harness hides what a passing test prints. So the notice goes to standard error itself, and
//! into the file that `BELLWETHER_SKIPPED` names, which `make test` shows and counts at its end.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Says that the running test is skipped, and what would let it run.
pub(crate) fn skipped(remedy: &str) {
    let thread = std::thread::current();
    let line = format!("SKIPPED {}: {remedy}\n", thread.name().unwrap_or("a test"));
    // A notice that cannot be written must not fail the test.
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("BELLWETHER_SKIPPED") {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}
