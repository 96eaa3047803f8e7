//! Settings of the detector for several series, and their checked form.

use crate::shared::{ParamError, within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings as a user writes them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MultiParams {
    /// Principal components kept. 1 to 16.
    pub components: f64,
    /// Rows the statistics remember. 10 to 1,000,000.
    pub memory_rows: f64,
    /// Rows seen before the first score. 5 to 100,000.
    pub learning_rows: f64,
}

impl Default for MultiParams {
    fn default() -> Self {
        Self { components: 4.0, memory_rows: 4_000.0, learning_rows: 60.0 }
    }
}

/// Parameters that passed [`MultiParams::check`].
#[derive(Debug, Clone, PartialEq)]
pub struct CheckedMultiParams {
    pub(super) components: usize,
    pub(super) rate: f64,
    pub(super) learning_rows: u32,
}

impl MultiParams {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ParamError`] for the first value outside its range.
    pub fn check(&self) -> Result<CheckedMultiParams, ParamError> {
        Ok(CheckedMultiParams {
            components: within("components", self.components, 1.0, 16.0)? as usize,
            rate: 1.0 / within("memory_rows", self.memory_rows, 10.0, 1e6)?,
            learning_rows: within("learning_rows", self.learning_rows, 5.0, 100_000.0)? as u32,
        })
    }
}
