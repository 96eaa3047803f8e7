//! Sock Shop of RCD (Ikram et al. 2022, NeurIPS): `<service>-<metric>/<n>/`
//! with `normal.csv` and `anomalous.csv`, one row a second, columns
//! `<service>_<metric>`.

use super::LoadError;
use super::grid::{Series, either};
use std::path::{Path, PathBuf};

/// One repetition of one fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// Before the fault.
    pub normal: Series,
    /// During the fault.
    pub anomalous: Series,
}

/// Whether a folder is a case of this layout.
#[must_use]
pub fn is_case(folder: &Path) -> bool {
    either(&folder.join("normal.csv.gz")).is_file() && either(&folder.join("anomalous.csv.gz")).is_file()
}

/// Loads one case.
///
/// # Errors
/// When a file is absent or broken; the message names file, row and column.
pub fn load(folder: &Path) -> Result<Case, LoadError> {
    Ok(Case {
        normal: Series::read(&folder.join("normal.csv.gz"), "time", &[])?,
        anomalous: Series::read(&folder.join("anomalous.csv.gz"), "time", &[])?,
    })
}

/// The true cause `service-metric`: the name of the folder above.
#[must_use]
pub fn truth(folder: &Path) -> Option<String> {
    Some(folder.parent()?.file_name()?.to_string_lossy().into_owned())
}

/// All cases below a data folder, in order of their paths.
///
/// # Errors
/// When a folder cannot be listed.
pub fn cases(data: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut found = Vec::new();
    for fault in folders(data)? {
        found.extend(folders(&fault)?.into_iter().filter(|folder| is_case(folder)));
    }
    found.sort();
    Ok(found)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(LoadError::read(folder))? {
        let path = entry.map_err(LoadError::read(folder))?.path();
        if path.is_dir() {
            out.push(path);
        }
    }
    Ok(out)
}
