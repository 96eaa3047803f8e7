//! Numenta Anomaly Benchmark: streams of `timestamp,value` with labelled
//! windows in `labels/combined_windows.json`.

use super::{LoadError, rows};
use std::path::{Path, PathBuf};

/// One stream.
#[derive(Debug, Clone, PartialEq)]
pub struct NabStream {
    /// Category and file, as the labels name it.
    pub name: String,
    /// Seconds since 1970, the file's local time read as UTC.
    pub at_secs: Vec<i64>,
    /// The values.
    pub values: Vec<f64>,
    /// Windows as first and last index.
    pub windows: Vec<(usize, usize)>,
    /// The file.
    pub path: PathBuf,
}

/// Loads every stream that is there, by category and name.
///
/// # Errors
/// [`LoadError`] naming file, row and column.
pub fn load(folder: &Path) -> Result<Vec<NabStream>, LoadError> {
    let label_path = folder.join("labels/combined_windows.json");
    let labels = rows::json(&label_path)?;
    let mut out = Vec::new();
    for category in rows::files(&folder.join("data"), "")? {
        for path in rows::files(&category, ".csv")? {
            let name = format!("{}/{}.csv", rows::stem(&category), rows::stem(&path));
            let table = rows::Rows::read(&path)?;
            let at_secs = table.column("timestamp", "a time", rows::seconds)?;
            let values = table.column("value", "a number", rows::number)?;
            let windows = windows(&label_path, &name, &labels[&name], &at_secs)?;
            out.push(NabStream { name, at_secs, values, windows, path });
        }
    }
    Ok(out)
}

/// Windows by time become windows by index: first point at or after the start,
/// last point at or before the end.
fn windows(
    label_path: &Path,
    name: &str,
    listed: &serde_json::Value,
    at_secs: &[i64],
) -> Result<Vec<(usize, usize)>, LoadError> {
    let broken = || LoadError::meta(label_path, format!("windows of `{name}` are missing or broken"));
    let mut out = Vec::new();
    for window in listed.as_array().ok_or_else(broken)? {
        let edge = |i: usize| window[i].as_str().and_then(rows::seconds).ok_or_else(broken);
        let (start, end) = (edge(0)?, edge(1)?);
        let first = at_secs.iter().position(|t| *t >= start).ok_or_else(broken)?;
        let last = at_secs.iter().rposition(|t| *t <= end).ok_or_else(broken)?;
        out.push((first, last));
    }
    Ok(out)
}
