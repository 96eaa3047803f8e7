//! What holds alerts back at one tenant, beside its catalogue: silences, and inhibitors that fire.

use serde::{Deserialize, Serialize};

use super::inhibit::Inhibitors;
use super::silence::Silences;

/// The table of the stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Suppressions {
    pub(super) silences: Silences,
    pub(super) inhibitors: Inhibitors,
}

impl Suppressions {
    /// Rebuilds what a checkpoint leaves out.
    pub(crate) fn revive(&mut self) {
        self.silences.recompile();
    }

    /// Silences that were not taken.
    pub(crate) fn refused(&self) -> u64 {
        self.silences.refused()
    }
}
