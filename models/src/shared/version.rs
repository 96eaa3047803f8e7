//! The version a saved state carries, checked before it is trusted.

/// A saved state this build does not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SavedError {
    /// Written by another version.
    #[error("saved {what} has version `{found}`: this build reads `{known}`, start it anew")]
    Version {
        /// What was saved.
        what: &'static str,
        /// The version found.
        found: u16,
        /// The version this build reads.
        known: u16,
    },
    /// Not what any version writes.
    #[error("saved {what} is broken: {why}, start it anew")]
    Broken {
        /// What was saved.
        what: &'static str,
        /// The rule that does not hold.
        why: &'static str,
    },
}

/// Passes when `found` is the version this build knows.
///
/// # Errors
/// [`SavedError::Version`] otherwise.
pub(super) fn known(what: &'static str, found: u16, known: u16) -> Result<(), SavedError> {
    if found == known { Ok(()) } else { Err(SavedError::Version { what, found, known }) }
}
