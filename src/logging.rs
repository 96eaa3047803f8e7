//! The program's own log: fields on stderr, never mixed with results on stdout.
//!
//! `-q` shows errors only, `-v` what happens once per state change, `-vv` everything; without either
//! warnings, and what the running service says of itself ([`SERVICE`]).
//! `BELLWETHER_LOG` takes a filter such as `bellwether_connectors=debug` and wins over both.

use tracing_subscriber::EnvFilter;

use crate::term::Term;

/// The variable that holds a filter.
pub const LOG_VARIABLE: &str = "BELLWETHER_LOG";

/// The target of what the running service says of itself without being asked: what it listens on, how
/// much it watches, what a reload changed.
pub const SERVICE: &str = "bellwether::service";

/// Starts the log for the whole process. A second call changes nothing.
pub fn start(verbosity: u8, quiet: bool) {
    let level = match (quiet, verbosity) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let own = match level {
        "warn" => format!("{level},{SERVICE}=info"),
        // The client tells the URLs of its servers with their passwords.
        "debug" => format!("{level},async_nats=info"),
        level => level.to_owned(),
    };
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(own));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(Term::stderr().colour)
        .with_target(false)
        .try_init();
    // Tests start it more than once in a process; the first one stays.
    drop(started);
}
