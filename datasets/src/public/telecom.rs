//! Telecom alarms of the NeurIPS 2023 causal structure learning competition:
//! `alarm.csv` (alarm_id, device_id, start_timestamp, end_timestamp, in
//! seconds from the start), `topology.npy` (links of devices), `rca_prior.csv`
//! (sets of alarm types with their root).

use super::LoadError;
use super::grid::Grid;
use super::npy::Matrix;
use std::path::Path;

/// One alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// Type of alarm.
    pub kind: u32,
    /// Device.
    pub device: u32,
    /// Start in seconds.
    pub start_secs: f64,
    /// End in seconds.
    pub end_secs: f64,
}

/// Alarms of a data-set folder, in file order.
///
/// # Errors
/// When the file is absent or broken; the message names file, row and column.
pub fn alarms(folder: &Path) -> Result<Vec<Alarm>, LoadError> {
    let grid = Grid::read(&folder.join("alarm.csv.gz"))?;
    let columns = [grid.position("alarm_id")?, grid.position("device_id")?];
    let times = [grid.position("start_timestamp")?, grid.position("end_timestamp")?];
    let alarm = |row| {
        let whole = |column| grid.text(row, column).parse().map_err(|_| grid.bad(row, column, "a whole number"));
        Ok(Alarm {
            kind: whole(columns[0])?,
            device: whole(columns[1])?,
            start_secs: grid.number(row, times[0])?,
            end_secs: grid.number(row, times[1])?,
        })
    };
    (1..grid.rows.len()).map(alarm).collect()
}

/// Links of devices, `None` where the folder has none.
///
/// # Errors
/// When the file is broken.
pub fn topology(folder: &Path) -> Result<Option<Matrix>, LoadError> {
    let path = folder.join("topology.npy");
    if path.is_file() { Matrix::read(&path).map(Some) } else { Ok(None) }
}

/// Sets of alarm types with the type at their root.
///
/// # Errors
/// When the file is absent or broken.
pub fn truth(folder: &Path) -> Result<Vec<(Vec<u32>, u32)>, LoadError> {
    let grid = Grid::read(&folder.join("rca_prior.csv"))?;
    let set = |row| {
        let numbers = grid.text(row, 0).split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok());
        let root = grid.text(row, 1).parse().map_err(|_| grid.bad(row, 1, "an alarm type"))?;
        Ok((numbers.collect(), root))
    };
    (1..grid.rows.len()).map(set).collect()
}
