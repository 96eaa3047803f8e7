//! Microsoft Cloud Monitoring Dataset: labelled series of cloud services, per
//! minute or per hour, one folder per kind, `TimeStamp,Value,Label`. There is
//! no train part: every row counts.

use super::{LabelledSeries, LoadError, rows};
use std::path::Path;

/// Loads every series of every sub-folder, by folder and name.
///
/// # Errors
/// [`LoadError`] naming file, row and column.
pub fn load(folder: &Path) -> Result<Vec<LabelledSeries>, LoadError> {
    let mut out = Vec::new();
    for kind in rows::files(folder, "")? {
        if kind.is_dir() {
            for path in rows::files(&kind, ".csv")? {
                out.push(rows::labelled_file(&path, 0)?);
            }
        }
    }
    Ok(out)
}
