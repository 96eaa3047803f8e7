//! AIT-ADS (Landauer et al. 2024): security alerts of simulated enterprises
//! under a multi-step attack, `<scenario>.csv` with the columns time, name, ip,
//! host, short, time_label, event_label.

use super::LoadError;
use super::grid::{Grid, files, plain_name};
use std::path::{Path, PathBuf};

/// One alert, without its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Seconds since 1970.
    pub at_secs: i64,
    /// Type of alert.
    pub name: String,
    /// Host.
    pub host: String,
}

/// Alerts of a scenario file, in its order.
///
/// # Errors
/// When the file is absent or broken; the message names file, row and column.
pub fn load(path: &Path) -> Result<Vec<Alert>, LoadError> {
    let grid = Grid::read(path)?;
    let (time, name, host) = (grid.position("time")?, grid.position("name")?, grid.position("host")?);
    let alert = |row| {
        let at_secs = grid.text(row, time).parse().map_err(|_| grid.bad(row, time, "seconds since 1970"))?;
        Ok(Alert { at_secs, name: grid.text(row, name).to_owned(), host: grid.text(row, host).to_owned() })
    };
    (1..grid.rows.len()).map(alert).collect()
}

/// The attack phase of each alert of a scenario file, in its order; `None` for
/// a false positive.
///
/// # Errors
/// As [`load`].
pub fn truth(path: &Path) -> Result<Vec<Option<String>>, LoadError> {
    let grid = Grid::read(path)?;
    let label = grid.position("time_label")?;
    let phase = |row| Some(grid.text(row, label)).filter(|text| *text != "false_positive").map(str::to_owned);
    Ok((1..grid.rows.len()).map(phase).collect())
}

/// The scenario files of a data folder with their names, in order.
///
/// # Errors
/// When the folder cannot be listed.
pub fn scenarios(data: &Path) -> Result<Vec<(String, PathBuf)>, LoadError> {
    let named = |path: PathBuf| (plain_name(&path).trim_end_matches(".csv").to_owned(), path);
    Ok(files(data, ".csv")?.into_iter().map(named).collect())
}
