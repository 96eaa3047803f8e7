//! What a ticketing system's configuration declares of itself.

use std::path::PathBuf;

use bellwether_engine::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mapping::{Mapping, MappingError};
use super::outgoing::DestinationError;
use super::receiver::Receiver;
use super::store::StoreError;
use crate::declared::Probe;

/// A ticketing system's configuration, from which everything else about it follows.
pub trait DeclaredBridge: Send + Sync {
    /// Its name; unique among the bridges and sinks of one configuration.
    fn name(&self) -> &str;

    /// Where tickets go, for people.
    fn describe(&self) -> String;

    /// The files it names.
    fn paths(&mut self) -> Vec<&mut PathBuf>;

    /// How an incident reads as a ticket there.
    fn mapping(&self) -> Mapping;

    /// How it is worked with.
    fn pace(&self) -> &BridgePace;

    /// Checks what only this system knows of its mapping: nothing is opened.
    ///
    /// # Errors
    /// [`BridgeError`] with the first key that does not do.
    fn check(&self) -> Result<(), BridgeError>;

    /// Looks whether the system is there, lets us in, and has what the mapping names.
    fn probe(&self) -> Probe<'_>;

    /// The system; nothing is connected to.
    ///
    /// # Errors
    /// [`BridgeError`] when what is configured cannot work.
    fn open(&self) -> Result<Receiver, BridgeError>;
}

/// How a system is worked with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BridgePace {
    /// How often the system is asked what others have changed.
    pub poll: Span,
    /// Tickets written at a time.
    pub at_once: usize,
    /// How long after it was sent a request whose answer was lost can still be on its way: only then is it looked
    /// whether it was done. Longer than the system ever takes.
    pub settle: Span,
    /// Bytes of memory, in the process and on disk, for incidents that are not over.
    pub memory_bytes: u64,
}

impl Default for BridgePace {
    fn default() -> BridgePace {
        BridgePace { poll: Span::from_secs(10), at_once: 4, settle: Span::from_secs(15), memory_bytes: 64 << 20 }
    }
}

impl BridgePace {
    /// Checks that it can be kept.
    pub(super) fn check(&self) -> Result<(), BridgeError> {
        let wrong = |place: &str, reason: &str| Err(MappingError::at(place, reason).into());
        if self.poll.0 <= 0 {
            return wrong("pace.poll", "it has to be longer than nothing");
        }
        if !(1..=AT_ONCE_MAX).contains(&self.at_once) {
            return wrong("pace.at_once", "between 1 and 64");
        }
        if self.settle.0 < 0 {
            return wrong("pace.settle", "it cannot be less than nothing");
        }
        if self.memory_bytes < MEMORY_BYTES_MIN {
            return wrong("pace.memory_bytes", "at least 1 MiB: an incident takes up to 100 KiB");
        }
        Ok(())
    }
}

/// Most tickets written at a time: more is no politeness.
const AT_ONCE_MAX: usize = 64;
/// Some incidents of the largest size.
const MEMORY_BYTES_MIN: u64 = 1 << 20;

/// A bridge cannot be made as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// Its mapping.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// Where it leads.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The file with its secret.
    #[error("`{path}` cannot be used: {reason}; it holds the token of the bridge's user, `chmod 640` it", path = .path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Its memory.
    #[error(transparent)]
    Store(#[from] StoreError),
}
