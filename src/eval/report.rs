//! What a task leaves behind: a table for the eye, `run.json` for machines,
//! `table.csv`, and per unit `results.csv` and `results.parquet`.
//!
//! `run.json` follows MLflow's run document: `info`, and `data` with `params`,
//! `metrics` and `tags`; the tags hold code version and hash, configuration
//! hash and data hash, so that two equal runs can be told from two lucky ones.
//! Beside them stand `table` and, where a task has units, `units`.

use super::Bench;
use super::units::Units;
use crate::models_cmd::io::{Column, Table};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Whose figures a row holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Measured in this run, our model.
    Ours,
    /// Measured in this run, a floor or a simple rival.
    Floor,
    /// Published or measured elsewhere, under the same protocol.
    Peer,
}

impl Who {
    /// One word, for files.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Floor => "floor",
            Self::Peer => "peer",
        }
    }
}

/// One row of a table. A cell that is not known is NaN and prints as `–`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The method.
    pub name: String,
    /// Whose figures.
    pub who: Who,
    /// One cell per column.
    pub cells: Vec<f64>,
}

/// Everything one task found out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// One line above the table: the protocol.
    pub protocol: String,
    /// Column heads, without the method's own.
    pub columns: Vec<String>,
    /// Rows in print order.
    pub rows: Vec<Row>,
    /// Lines below the table.
    pub notes: Vec<String>,
    /// Our metrics for `run.json`.
    pub metrics: BTreeMap<String, f64>,
    /// The parameters used, as configuration.
    pub params: Value,
    /// Files read, for the data hash.
    pub inputs: Vec<PathBuf>,
    /// Results per unit.
    pub units: Units,
}

impl Outcome {
    /// Adds a row.
    #[must_use]
    pub fn row(mut self, who: Who, name: &str, cells: &[f64]) -> Self {
        self.rows.push(Row { name: name.to_owned(), who, cells: cells.to_vec() });
        self
    }
}

/// Prints the table (or the document on one line) and leaves the run's files
/// when there is a folder.
///
/// # Errors
/// When an input cannot be hashed or an output cannot be written.
pub fn deliver(task: &str, bench: &Bench, outcome: &Outcome, as_json: bool) -> Result<()> {
    let run = run_document(task, outcome)?;
    if let Some(out) = &bench.out {
        write(&out.join("run.json"), &format!("{run:#}\n"))?;
        table_file(outcome).save(&out.join("table.csv"))?;
        if !outcome.units.rows.is_empty() {
            let results = outcome.units.table();
            results.save(&out.join("results.csv"))?;
            results.save(&out.join("results.parquet"))?;
        }
    }
    print(&if as_json { format!("{run}\n") } else { table(task, outcome) })
}

/// Writes a file, naming it where that fails.
///
/// # Errors
/// When it cannot be written.
pub fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}

/// Writes to stdout; a reader that has gone is no error.
///
/// # Errors
/// When the terminal takes nothing.
pub fn print(text: &str) -> Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to the terminal")
        }
        _ => Ok(()),
    }
}

/// The printed table as a file: `method,whose` and its columns.
fn table_file(outcome: &Outcome) -> Table {
    let names = outcome.rows.iter().map(|row| row.name.trim().to_owned()).collect();
    let whose = outcome.rows.iter().map(|row| row.who.word().to_owned()).collect();
    let table = Table::default().with("method", Column::Text(names)).with("whose", Column::Text(whose));
    let cells = |at: usize| outcome.rows.iter().map(|row| row.cells.get(at).copied().unwrap_or(f64::NAN)).collect();
    let columns = outcome.columns.iter().enumerate();
    columns.fold(table, |table, (at, head)| table.with(head, Column::Float(cells(at))))
}

/// The table as text.
#[must_use]
pub fn table(task: &str, outcome: &Outcome) -> String {
    let mut text = format!("\n{task}: {}\n\n", outcome.protocol);
    let width = outcome.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0).max(12) + 2;
    let cell_width = |head: &String| head.chars().count().max(8) + 2;
    text.push_str(&format!("  {:width$}", "method"));
    for head in &outcome.columns {
        text.push_str(&format!("{head:>0$}", cell_width(head)));
    }
    text.push('\n');
    for row in &outcome.rows {
        let mark = if row.who == Who::Ours { '▸' } else { ' ' };
        text.push_str(&format!("{mark} {:width$}", row.name));
        for (cell, head) in row.cells.iter().zip(&outcome.columns) {
            text.push_str(&format!("{:>1$}", number(*cell), cell_width(head)));
        }
        text.push_str(if row.who == Who::Peer { "  (elsewhere)\n" } else { "\n" });
    }
    for note in &outcome.notes {
        text.push_str(&format!("  {note}\n"));
    }
    text
}

/// Three decimals for shares, fewer for larger figures.
pub(crate) fn number(x: f64) -> String {
    match x.abs() {
        _ if !x.is_finite() => "–".to_owned(),
        size if size < 10.0 => format!("{x:.3}"),
        size if size < 1000.0 => format!("{x:.1}"),
        _ => format!("{x:.0}"),
    }
}

/// The run as MLflow would show it.
///
/// # Errors
/// When an input file cannot be read.
pub fn run_document(task: &str, outcome: &Outcome) -> Result<Value> {
    let config = outcome.params.to_string();
    let config_hash = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(config.as_bytes()));
    let data_hash = data_hash(&outcome.inputs)?;
    let params: Vec<Value> = flat_params("", &outcome.params);
    let metrics: Vec<Value> = outcome.metrics.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
    let row = |row: &Row| json!({"method": row.name.trim(), "whose": row.who.word(), "cells": row.cells});
    let rows: Vec<Value> = outcome.rows.iter().map(row).collect();
    Ok(json!({
        "info": {"run_name": task, "status": "FINISHED", "run_id": format!("{task}-{config_hash}-{data_hash}")},
        "data": {
            "params": params,
            "metrics": metrics,
            "tags": [
                {"key": "code_version", "value": env!("CARGO_PKG_VERSION")},
                {"key": "code_hash", "value": code_hash()},
                {"key": "config_hash", "value": config_hash},
                {"key": "data_hash", "value": data_hash},
                {"key": "protocol", "value": outcome.protocol},
            ],
        },
        "table": {"columns": outcome.columns, "rows": rows, "notes": outcome.notes},
        "units": {"kind": outcome.units.kind, "file": "results.csv", "figures": outcome.units.figures},
    }))
}

/// Hash of the running program: the version alone does not tell two builds
/// apart. Empty when the program cannot read itself.
fn code_hash() -> &'static str {
    static HASH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    HASH.get_or_init(|| {
        let program = std::env::current_exe().and_then(std::fs::read);
        program.map_or_else(|_| String::new(), |bytes| format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&bytes)))
    })
}

/// Nested parameters as MLflow's flat key and value strings.
fn flat_params(prefix: &str, value: &Value) -> Vec<Value> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, inner)| {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flat_params(&key, inner)
            })
            .collect(),
        Value::Null => Vec::new(),
        other => vec![json!({"key": prefix, "value": other.to_string().trim_matches('"')})],
    }
}

/// Hash over names and contents of the inputs, in the order given.
fn data_hash(inputs: &[PathBuf]) -> Result<String> {
    let mut hash = Xxh3::new();
    for path in inputs {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        hash.update(name.as_bytes());
        hash.update(&read(path)?);
    }
    Ok(format!("{:016x}", hash.digest()))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome() -> Outcome {
        let mut outcome = Outcome {
            protocol: "higher is better".into(),
            columns: vec!["F1".into()],
            params: json!({"detector": {"memory_points": 12}}),
            ..Outcome::default()
        }
        .row(Who::Ours, "bellwether", &[0.8])
        .row(Who::Peer, "someone", &[f64::NAN]);
        outcome.metrics.insert("f1".into(), 0.8);
        outcome
    }

    #[test]
    fn the_table_marks_ours_and_shows_unknown_cells_as_a_dash() {
        let text = table("kpi", &outcome());
        assert!(text.contains("▸ bellwether") && text.contains("0.800"), "{text}");
        assert!(text.contains('–'), "{text}");
    }

    #[test]
    fn equal_runs_have_equal_documents_and_other_settings_another_hash() {
        let run = run_document("kpi", &outcome()).expect("no inputs");
        assert_eq!(run, run_document("kpi", &outcome()).expect("no inputs"));
        let mut other = outcome();
        other.params = json!({"detector": {"memory_points": 13}});
        let other = run_document("kpi", &other).expect("no inputs");
        assert_ne!(run["info"]["run_id"], other["info"]["run_id"]);
        assert_eq!(run["data"]["params"][0]["key"], "detector.memory_points");
    }
}
