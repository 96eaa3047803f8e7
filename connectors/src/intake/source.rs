//! Something that reads signals, and why it ends.

use futures::future::BoxFuture;

use super::door::Intake;
use super::error::AcceptError;
use super::stop::Stop;
use crate::journal::JournalError;

/// Something that reads signals.
pub trait Source: Send {
    /// Its name in configuration, logs and cursors; unique in one process.
    fn name(&self) -> &str;

    /// Reads until the input ends (`Ok`) or `stop` is called, handing everything to `intake`.
    ///
    /// # Errors
    /// [`SourceError`]; a fatal one ends the process, any other ends this source.
    fn run(self: Box<Self>, intake: Intake, stop: Stop) -> BoxFuture<'static, Result<(), SourceError>>;
}

/// Why a source ended.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The journal is broken: the process must end.
    #[error(transparent)]
    Fatal(JournalError),
    /// What is configured cannot work.
    #[error("source `{source_name}`: {reason}")]
    Config {
        /// Which source.
        source_name: String,
        /// What, where, and the remedy.
        reason: String,
    },
    /// What it reads from failed.
    #[error("source `{source_name}`: {reason}")]
    Input {
        /// Which source.
        source_name: String,
        /// What, where, and the remedy.
        reason: String,
    },
}

impl SourceError {
    /// A [`SourceError::Config`].
    pub fn config(source: &str, reason: impl Into<String>) -> SourceError {
        SourceError::Config { source_name: source.to_owned(), reason: reason.into() }
    }

    /// A [`SourceError::Input`].
    pub fn input(source: &str, reason: impl Into<String>) -> SourceError {
        SourceError::Input { source_name: source.to_owned(), reason: reason.into() }
    }

    /// True when the process must end.
    pub fn is_fatal(&self) -> bool {
        matches!(self, SourceError::Fatal(_))
    }

    /// What a failed [`Intake::accept`] means to source `name`.
    pub fn accept(name: &str, error: AcceptError) -> SourceError {
        match error {
            AcceptError::Fatal(error) => SourceError::Fatal(error),
            other => SourceError::input(name, other.to_string()),
        }
    }
}
