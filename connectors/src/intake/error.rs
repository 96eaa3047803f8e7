//! Why signals are not accepted.

use crate::journal::JournalError;

/// Why signals were not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AcceptError {
    /// The engine has enough of this tenant before it, and others wait for it, too; retry.
    #[error("the engine is behind with what this tenant sent before; retry in a moment")]
    Behind,
    /// The journal did not answer in time; retry.
    #[error("the journal is busy; retry in a moment")]
    Busy,
    /// The journal or its disk is full; retry later.
    #[error("{reason}")]
    Full {
        /// What is full.
        reason: String,
    },
    /// The batch is over the limit; retrying does not help.
    #[error("{reason}")]
    TooLarge {
        /// How large, and the limit.
        reason: String,
    },
    /// The journal is broken and the process is about to end.
    #[error(transparent)]
    Fatal(JournalError),
}

impl AcceptError {
    /// The same for a sender: what is wrong, without the paths and devices that are the operator's to know.
    pub(crate) fn told(&self) -> &str {
        match self {
            AcceptError::Behind => "the engine is behind with what this tenant sent before; retry in a moment",
            AcceptError::Busy => "the journal is busy; retry in a moment",
            AcceptError::Full { .. } => "the journal is full; retry later",
            AcceptError::TooLarge { reason } => reason,
            AcceptError::Fatal(_) => "the journal cannot be written; retry later",
        }
    }
}

impl From<JournalError> for AcceptError {
    fn from(error: JournalError) -> AcceptError {
        let reason = error.to_string();
        match error {
            JournalError::Full { .. } => AcceptError::Full { reason },
            JournalError::TooLarge { .. } => AcceptError::TooLarge { reason },
            error => AcceptError::Fatal(error),
        }
    }
}
