//! Settings of the detector for several series, and their checked form.

use crate::shared::{ParamError, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings as a user writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MultiParams {
    /// Rows the statistics remember. 10 to 1,000,000.
    pub memory_rows: f64,
    /// Rows seen before the first score. 5 to 100,000.
    pub learning_rows: f64,
    /// Rows over which deviations are averaged before they are judged. 1 to 1,000.
    pub smooth_rows: f64,
    /// Rows over which a stay outside the usual range is averaged. 1 to 1,000.
    pub outside_rows: f64,
    /// Rows over which sigmas beyond three are averaged. 1 to 1,000.
    pub beyond_rows: f64,
    /// Share of own variance added before series explain each other: keeps
    /// twins from explaining noise. 0.001 to 10.
    pub ridge: f64,
}

impl Default for MultiParams {
    fn default() -> Self {
        Self {
            memory_rows: 100_000.0,
            learning_rows: 60.0,
            smooth_rows: 10.0,
            outside_rows: 20.0,
            beyond_rows: 5.0,
            ridge: 0.3,
        }
    }
}

/// Parameters that passed [`MultiParams::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedMultiParams {
    pub(super) rate: f64,
    pub(super) learning_rows: u32,
    pub(super) smooth_rate: f64,
    pub(super) outside_rate: f64,
    pub(super) beyond_rate: f64,
    pub(super) ridge: f64,
}

impl MultiParams {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ParamError`] for the first value outside its range.
    pub fn check(&self) -> Result<CheckedMultiParams, ParamError> {
        Ok(CheckedMultiParams {
            rate: 1.0 / within("memory_rows", self.memory_rows, 10.0, 1e6)?,
            learning_rows: within("learning_rows", self.learning_rows, 5.0, 100_000.0)? as u32,
            smooth_rate: 1.0 / within("smooth_rows", self.smooth_rows, 1.0, 1_000.0)?,
            outside_rate: 1.0 / within("outside_rows", self.outside_rows, 1.0, 1_000.0)?,
            beyond_rate: 1.0 / within("beyond_rows", self.beyond_rows, 1.0, 1_000.0)?,
            ridge: within("ridge", self.ridge, 0.001, 10.0)?,
        })
    }
}
