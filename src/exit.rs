//! Exit codes: what a script may rely on.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Ok = 0,
    /// It could not be done; the message says why and what to do.
    Failure = 1,
    /// The command line or the configuration is not accepted; nothing was started.
    Usage = 2,
    /// It was done, but some input rows were refused, counted and kept aside.
    Rejected = 3,
}

/// The table in `bellwether --help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed: the message says why and what to do
  2  command line or configuration not accepted, nothing was started
  3  done, but some input rows were refused: counted, and kept aside where possible";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// Marks an error as the user's: exit code 2 instead of 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// The exit code of an error.
pub fn exit_of(error: &anyhow::Error) -> Exit {
    let usage = error.chain().any(|e| e.is::<UsageError>() || e.is::<crate::config::Refused>());
    if usage { Exit::Usage } else { Exit::Failure }
}

/// Whether the error is only that the reader of our output has gone (`| head`).
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|e| {
        // The CSV writer keeps its I/O error to itself instead of naming it as the source.
        let csv = e.downcast_ref::<csv::Error>().map(csv::Error::kind);
        let by_csv = matches!(csv, Some(csv::ErrorKind::Io(inner)) if closed(inner));
        by_csv || e.downcast_ref::<std::io::Error>().is_some_and(closed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_no_error_however_it_is_wrapped() {
        let gone = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&anyhow::Error::new(gone()).context("cannot write")));
        assert!(is_closed_pipe(&anyhow::Error::new(csv::Error::from(gone()))));
        assert!(!is_closed_pipe(&anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::NotFound))));
    }
}
