//! What may have caused trouble at one tenant beside what alerts: changes, and series away from their level.

use serde::{Deserialize, Serialize};

use super::changes::Changes;
use super::departed::DepartedSeries;

/// The table of the stage.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Suspects {
    pub(crate) changes: Changes,
    pub(super) departed: DepartedSeries,
}
