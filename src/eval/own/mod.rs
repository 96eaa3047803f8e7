//! `eval --own DIR` and `tune --own DIR`: a team's own data in place of the public sets, by the same metrics.
//!
//! | in the folder | columns or files | task |
//! |---|---|---|
//! | `series/*.csv`, `*.parquet` | `timestamp,value,label` | `series` |
//! | `machines/*.csv`, `*.parquet` | `timestamp`, value columns, `label` | `machines` |
//! | `alerts/*.csv`, `*.parquet` | `time,type,entity,group`, perhaps `summary`; `topology.csv` beside them | `groups` |
//! | `cases/<name>/` | a case as `models causes` reads it, and `cause.txt` or `cause.json` | `causes` |
//! | `journal/`, or the folder is that of a run | what came in, and what operators said | `feedback` |
//!
//! What is not there is left out. Everything is in order of time: thresholds are chosen on the first
//! half of a series and judged on the second.

mod cases;
pub mod feedback;
mod heard;
mod series;

pub use cases::faults;
pub use series::{labelled, machines};

use super::groups::{Scenario, grouping};
use super::report::Outcome;
use super::settings::usage;
use super::{Bench, Task};
use crate::models_cmd::groups::{AlertColumns, Row, rows};
use crate::models_cmd::text_table::TextTable;
use crate::models_cmd::topology::Topology;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Every task, in the order of the documentation.
pub const TASKS: &[Task] = &[
    ("series", "your labelled series", series::series_task),
    ("machines", "your machines, several series each", series::machines_task),
    ("groups", "your alerts with their groups", groups_task),
    ("causes", "your cases with their causes", cases::causes_task),
    ("feedback", "what your operators said, in a journal", feedback::feedback_task),
];

/// The parts of a folder and what is in each, for errors.
const LAYOUT: &str = "series/ (timestamp,value,label), machines/ (timestamp, values, label), alerts/ \
                      (time,type,entity,group), cases/<name>/ (with cause.txt) or a journal";

/// Columns whose names say the true group of an alert.
const GROUP_COLUMNS: [&str; 3] = ["group", "incident", "incident_id"];
/// The file beside alerts that says who depends on whom.
const TOPOLOGY_FILE: &str = "topology.csv";

/// Nothing of what a folder of one's own may hold; `reasons` say why each part is left out.
#[must_use]
pub fn nothing_in(folder: &Path, reasons: &[String]) -> anyhow::Error {
    let reasons = reasons.join("\n  ");
    usage(format!("`{}` holds nothing to judge: put {LAYOUT} into it\n  {reasons}", folder.display()))
}

/// The data files in one part of the folder, by name.
///
/// # Errors
/// When the part is absent, or has no such file.
fn files(bench: &Bench, part: &str) -> Result<Vec<PathBuf>> {
    let folder = bench.folder(part)?;
    let mut out = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read `{}`", folder.display()))? {
        let path = entry.with_context(|| format!("cannot read `{}`", folder.display()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let is_data = [".csv", ".csv.gz", ".parquet"].iter().any(|ending| name.ends_with(ending));
        if is_data && name != TOPOLOGY_FILE {
            out.push(path);
        }
    }
    out.sort();
    if out.is_empty() {
        bail!("`{}` holds no .csv, .csv.gz or .parquet file", folder.display());
    }
    Ok(out)
}

/// A file's name without its endings.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
}

/// `groups`: alerts with the group a person put them in.
fn groups_task(bench: &Bench) -> Result<Outcome> {
    grouping(bench, "your alerts", &scenarios(bench)?)
}

/// The alerts of every file, with their groups and the topology beside them.
///
/// # Errors
/// When a file is broken, or no alert of it has a group.
pub fn scenarios(bench: &Bench) -> Result<Vec<Scenario>> {
    let files = files(bench, "alerts")?;
    let topology = bench.data.join("alerts").join(TOPOLOGY_FILE);
    let topology = topology.is_file().then(|| Topology::read(&topology)).transpose()?;
    files.into_iter().map(|path| scenario(path, topology.clone())).collect()
}

fn scenario(path: PathBuf, topology: Option<Topology>) -> Result<Scenario> {
    let table = TextTable::read(&path)?;
    let shown = || format!("in `{}`", path.display());
    let alerts: Vec<Row> = rows(&AlertColumns::default(), &table).with_context(shown)?;
    let column =
        GROUP_COLUMNS.iter().find_map(|name| table.position(name)).map_or_else(|| table.require("group"), Ok)?;
    let groups = table.text(column).into_iter().map(|group| (!group.is_empty()).then_some(group));
    let groups: Vec<Option<String>> = groups.collect();
    if groups.iter().all(Option::is_none) {
        let name = &table.header[column];
        bail!(
            "`{}` column `{name}` is empty in every row: name the group of the alerts that belong together",
            path.display()
        );
    }
    Ok(Scenario { name: name_of(&path), alerts, groups, topology, path })
}

#[cfg(test)]
mod tests;
