//! One's own series: labelled points of one value, and rows of several.

use super::{files, name_of};
use crate::eval::Bench;
use crate::eval::machines::judge_machines;
use crate::eval::metric::labelled_task;
use crate::eval::report::Outcome;
use crate::models_cmd::detect::{LABEL_COLUMNS, tell_disorder};
use crate::models_cmd::text_table::TextTable;
use anyhow::{Result, bail};
use bellwether_datasets::public::{LabelledSeries, Machine};
use std::path::{Path, PathBuf};

/// Rows of which a half says something.
const ROWS_MIN: usize = 20;

/// `series`: as `ms`.
pub(super) fn series_task(bench: &Bench) -> Result<Outcome> {
    labelled_task(bench, "your series, threshold from first halves", "series", labelled(bench)?, &[])
}

/// `machines`: as `asd`.
pub(super) fn machines_task(bench: &Bench) -> Result<Outcome> {
    judge_machines(bench, "machines", &machines(bench)?, &[])
}

/// The labelled series; the first half of each is for training.
///
/// # Errors
/// When a file is broken or lacks a column.
pub fn labelled(bench: &Bench) -> Result<Vec<LabelledSeries>> {
    let mut out = Vec::new();
    for path in files(bench, "series")? {
        let Labels { table, at_ns, labels } = read(&path)?;
        let others: Vec<&str> = std::iter::once("timestamp").chain(LABEL_COLUMNS.iter().copied()).collect();
        let values = table.numbers(table.value_column("value", &others)?)?;
        let at_secs = at_ns.iter().map(|at| at.div_euclid(1_000_000_000)).collect();
        out.push(LabelledSeries { name: name_of(&path), at_secs, train_len: values.len() / 2, values, labels, path });
    }
    Ok(out)
}

/// The machines; the first half of each is for training.
///
/// # Errors
/// When a file is broken or lacks a column.
pub fn machines(bench: &Bench) -> Result<Vec<Machine>> {
    files(bench, "machines")?.into_iter().map(machine).collect()
}

fn machine(path: PathBuf) -> Result<Machine> {
    let Labels { table, labels, .. } = read(&path)?;
    let is_value = |name: &String| {
        !name.eq_ignore_ascii_case("timestamp") && !LABEL_COLUMNS.iter().any(|label| name.eq_ignore_ascii_case(label))
    };
    let places = (0..table.header.len()).filter(|at| is_value(&table.header[*at]));
    let columns: Vec<Vec<f64>> = places.map(|place| table.numbers(place)).collect::<Result<_>>()?;
    if columns.is_empty() {
        bail!("`{}` has no value columns beside `timestamp` and `label`", path.display());
    }
    let rows = |range: std::ops::Range<usize>| range.flat_map(|row| columns.iter().map(move |c| c[row])).collect();
    let half = labels.len() / 2;
    Ok(Machine {
        name: name_of(&path),
        dims: columns.len(),
        train: rows(0..half),
        test: rows(half..labels.len()),
        labels: labels[half..].to_vec(),
        paths: [path.clone(), path],
    })
}

/// A file with its times and labels.
struct Labels {
    table: TextTable,
    at_ns: Vec<i64>,
    labels: Vec<bool>,
}

fn read(path: &Path) -> Result<Labels> {
    let table = TextTable::read(path)?;
    let column = LABEL_COLUMNS.iter().find_map(|name| table.position(name));
    let labels = table.flags(column.map_or_else(|| table.require("label"), Ok)?)?;
    let at_ns = table.times(table.require("timestamp")?)?;
    if at_ns.len() < ROWS_MIN {
        bail!(
            "`{}` has {} rows: half of them choose the threshold, use {ROWS_MIN} or more",
            path.display(),
            at_ns.len()
        );
    }
    tell_disorder(at_ns.windows(2).filter(|pair| pair[1] <= pair[0]).count());
    Ok(Labels { table, at_ns, labels })
}
