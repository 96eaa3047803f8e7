//! Application Server Dataset (InterFusion): 12 servers, 19 series each, five minute steps.
//! Train and test file per machine; only test rows carry a label.

use super::{LoadError, Machine, rows};
use std::path::Path;

/// Loads every machine of the folder, by name.
///
/// # Errors
/// [`LoadError`] naming file, row and column.
pub fn load(folder: &Path) -> Result<Vec<Machine>, LoadError> {
    rows::machines(folder)
}
