//! UCR Time Series Anomaly Archive: exactly one anomaly per series, after a
//! clean training part. A value column only; the step has no unit of time.

use super::{LoadError, rows};
use std::path::{Path, PathBuf};

/// One series of the archive.
#[derive(Debug, Clone, PartialEq)]
pub struct UcrSeries {
    /// File name without ending.
    pub name: String,
    /// The values.
    pub values: Vec<f64>,
    /// Points before this index are anomaly-free.
    pub train_len: usize,
    /// First and last index of the anomaly.
    pub anomaly: (usize, usize),
    /// The file.
    pub path: PathBuf,
}

/// Loads every series of the folder, by name.
///
/// # Errors
/// [`LoadError`] naming file, row and column.
pub fn load(folder: &Path) -> Result<Vec<UcrSeries>, LoadError> {
    let meta_path = folder.join("meta.json");
    let meta = rows::json(&meta_path)?;
    let mut out = Vec::new();
    for path in rows::files(folder, ".csv.gz")? {
        let name = rows::stem(&path);
        let entry = &meta[&name];
        let index = |value: &serde_json::Value| {
            let index = value.as_u64().map(|x| x as usize);
            index.ok_or_else(|| LoadError::meta(&meta_path, format!("`{name}` lacks train_len or anomaly")))
        };
        let train_len = index(&entry["train_len"])?;
        let anomaly = (index(&entry["anomaly"][0])?, index(&entry["anomaly"][1])?);
        let values = rows::Rows::read(&path)?.column("value", "a number", rows::number)?;
        out.push(UcrSeries { name, values, train_len, anomaly, path });
    }
    Ok(out)
}
