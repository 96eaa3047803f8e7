//! Web Service Dataset (AnoTransfer): 210 KPIs of web services, one minute steps.
//! `timestamp,value,label` per series; `meta.json` holds `train_len`.

use super::{LabelledSeries, LoadError, rows};
use std::path::Path;

/// Loads every series of the folder, by name.
///
/// # Errors
/// [`LoadError`] naming file, row and column.
pub fn load(folder: &Path) -> Result<Vec<LabelledSeries>, LoadError> {
    rows::labelled_folder(folder)
}
