//! Semi-synthetic resource exhaustion: `series,step,used_pct` at five minute
//! steps, and for each series its kind and the step at which the hourly median
//! reaches 100 % (-1 for never).

use super::{LoadError, rows};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Seconds between two steps.
pub const STEP_SECS: i64 = 300;

/// One resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Series name.
    pub name: String,
    /// Kind of growth or control.
    pub kind: String,
    /// Used share in percent, one per step.
    pub used_pct: Vec<f64>,
    /// Step at which it is full, if ever.
    pub full_at_step: Option<usize>,
}

/// Loads `dev.csv.gz` and `dev_truth.json` of the folder; resources by name,
/// and the two files.
///
/// # Errors
/// [`LoadError`] naming file, row and column.
pub fn load(folder: &Path) -> Result<(Vec<Resource>, [PathBuf; 2]), LoadError> {
    let (path, truth_path) = (folder.join("dev.csv.gz"), folder.join("dev_truth.json"));
    let table = rows::Rows::read(&path)?;
    let names = table.column("series", "a name", |cell| Some(cell.to_owned()))?;
    let used = table.column("used_pct", "a number", rows::number)?;
    let mut series: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, used) in names.into_iter().zip(used) {
        series.entry(name).or_default().push(used);
    }
    let truth = rows::json(&truth_path)?;
    let resource = |(name, used_pct): (String, Vec<f64>)| {
        let entry = &truth[&name];
        let broken = || LoadError::meta(&truth_path, format!("`{name}` lacks kind or cross_step"));
        let kind = entry["kind"].as_str().ok_or_else(broken)?.to_owned();
        let full_at_step = usize::try_from(entry["cross_step"].as_i64().ok_or_else(broken)?).ok();
        Ok(Resource { name, kind, used_pct, full_at_step })
    };
    let resources = series.into_iter().map(resource).collect::<Result<_, LoadError>>()?;
    Ok((resources, [path, truth_path]))
}
