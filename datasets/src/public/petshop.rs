//! PetShop root-cause analysis (Hardt et al. 2023, arXiv:2311.04806): a micro
//! service shop on AWS, 5-minute latency, requests and availability of its
//! components.
//!
//! `<scenario>/graph.csv` (caller rows, callee columns), `<scenario>/noissue/
//! metrics.csv`, and issue folders with `metrics.csv` and `target.json`. The
//! alarm of `target.json` is given to the diagnosis; the root cause beside it
//! is read by [`truth`] alone.

use super::LoadError;
use super::grid::Grid;
use super::rows::json;
use std::path::{Path, PathBuf};

/// One metric of one component.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Component.
    pub node: String,
    /// `latency`, `requests` or `availability`.
    pub metric: String,
    /// `Average`, `Sum`, `p50` …
    pub statistic: String,
    /// One value per row, NaN where missing.
    pub values: Vec<f64>,
}

/// Metrics over one clock.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics {
    /// Seconds since 1970 of each row.
    pub at_secs: Vec<f64>,
    /// The columns.
    pub columns: Vec<Metric>,
}

/// The alarm that the diagnosis starts from.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// Component that raised it.
    pub node: String,
    /// Its metric.
    pub metric: String,
    /// Seconds since 1970; absent in a case without a time.
    pub at_secs: Option<f64>,
}

/// One issue with all that a diagnosis may see.
#[derive(Debug, Clone, PartialEq)]
pub struct Issue {
    /// Component names of the call graph.
    pub nodes: Vec<String>,
    /// Calls as (caller, callee) indices into `nodes`.
    pub calls: Vec<(usize, usize)>,
    /// The fault-free days.
    pub normal: Metrics,
    /// The rows around the issue.
    pub issue: Metrics,
    /// The alarm, when `target.json` names one.
    pub alarm: Option<Alarm>,
}

/// Whether a folder is an issue of this layout.
#[must_use]
pub fn is_case(folder: &Path) -> bool {
    folder.join("target.json").is_file() || scenario_of(folder).is_some()
}

/// Loads one issue folder with the scenario above it.
///
/// # Errors
/// When a file is absent or broken; the message names file, row and column.
pub fn load(folder: &Path) -> Result<Issue, LoadError> {
    let scenario = scenario_of(folder)
        .ok_or_else(|| LoadError::meta(folder, "no graph.csv in this folder or the three above it"))?;
    let (nodes, calls) = graph(&scenario.join("graph.csv"))?;
    let normal = metrics(&scenario.join("noissue/metrics.csv"))?;
    let issue = metrics(&folder.join("metrics.csv"))?;
    Ok(Issue { nodes, calls, normal, issue, alarm: alarm(folder)? })
}

/// The component at fault.
///
/// # Errors
/// When `target.json` is absent, broken or names none.
pub fn truth(folder: &Path) -> Result<String, LoadError> {
    let path = folder.join("target.json");
    let node = json(&path)?["root_cause"]["node"].as_str().map(str::to_owned);
    node.ok_or_else(|| LoadError::meta(&path, "no root cause in it"))
}

/// All issue folders below a data folder, in order of their paths.
///
/// # Errors
/// When a folder cannot be listed.
pub fn issues(data: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut found = Vec::new();
    let mut open = vec![data.to_path_buf()];
    while let Some(folder) = open.pop() {
        if folder.join("target.json").is_file() {
            found.push(folder);
            continue;
        }
        for entry in std::fs::read_dir(&folder).map_err(LoadError::read(&folder))? {
            let path = entry.map_err(LoadError::read(&folder))?.path();
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn scenario_of(folder: &Path) -> Option<PathBuf> {
    folder
        .ancestors()
        .take(4)
        .find(|above| super::grid::either(&above.join("graph.csv")).is_file())
        .map(Path::to_path_buf)
}

fn alarm(folder: &Path) -> Result<Option<Alarm>, LoadError> {
    let path = folder.join("target.json");
    // A case whose answers were taken out may have nothing left in the file.
    let has_text = std::fs::read(&path).is_ok_and(|bytes| !bytes.trim_ascii().is_empty());
    if !has_text {
        return Ok(None);
    }
    let target = &json(&path)?["target"];
    let text = |field: &str| target[field].as_str().map(str::to_owned);
    Ok(match (text("node"), text("metric")) {
        (Some(node), Some(metric)) => Some(Alarm { node, metric, at_secs: target["timestamp"].as_f64() }),
        _ => None,
    })
}

/// Names of the nodes, and calls as pairs of their indices.
type CallGraph = (Vec<String>, Vec<(usize, usize)>);

fn graph(path: &Path) -> Result<CallGraph, LoadError> {
    let grid = Grid::read(path)?;
    let nodes: Vec<String> = grid.rows[0].iter().skip(1).map(str::to_owned).collect();
    let mut calls = Vec::new();
    for row in 1..grid.rows.len() {
        let name = grid.text(row, 0);
        let caller = nodes.iter().position(|node| node == name);
        let caller = caller.ok_or_else(|| grid.bad(row, 0, "one of the columns"))?;
        for column in 1..=nodes.len() {
            if grid.number(row, column)? > 0.0 {
                calls.push((caller, column - 1));
            }
        }
    }
    Ok((nodes, calls))
}

/// Rows 1–3 are component, metric and statistic; the first column is the clock.
fn metrics(path: &Path) -> Result<Metrics, LoadError> {
    let grid = Grid::read(path)?;
    let first = (0..grid.rows.len()).find(|row| grid.text(*row, 0).parse::<f64>().is_ok());
    let first = first.unwrap_or(grid.rows.len());
    if first < 3 {
        return Err(LoadError::meta(&grid.path, "three header rows expected: component, metric, statistic"));
    }
    let rows = first..grid.rows.len();
    let mut out = Metrics::default();
    for row in rows.clone() {
        out.at_secs.push(grid.number(row, 0)?);
    }
    for column in 1..grid.rows[0].len() {
        let values: Result<Vec<f64>, LoadError> = rows.clone().map(|row| grid.number(row, column)).collect();
        out.columns.push(Metric {
            node: grid.text(0, column).to_owned(),
            metric: grid.text(1, column).to_owned(),
            statistic: grid.text(2, column).to_owned(),
            values: values?,
        });
    }
    Ok(out)
}
