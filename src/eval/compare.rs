//! `bellwether eval --compare RUN_A RUN_B`: where two runs differ.
//!
//! A run is a task's folder, or a folder of such folders as `eval --out` leaves
//! it; tasks both have are compared. For each figure: both values, their
//! difference with a 95 % interval by paired bootstrap over the units (files,
//! series, systems, sessions), and the units that make the difference: a unit's
//! effect is how far the figure of A moves when that unit alone is taken from B.

use super::methods::OURS;
use super::report::{number, print};
use super::sure::{RESAMPLES, difference};
use super::units::{Better, Figure};
use crate::models_cmd::text_table::TextTable;
use crate::progress::shared_bar;
use crate::term::{Ink, Lean, Table, Term};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Units named for each figure.
const UNITS_SHOWN: usize = 8;
/// Fewer pairs than this make an interval that says little.
const PAIRS_MIN: usize = 8;

/// Compares two runs.
///
/// # Errors
/// When a folder holds no run, the runs have no task in common, or a file in
/// them is broken.
pub fn run(a: &Path, b: &Path, as_json: bool) -> Result<ExitCode> {
    let (left, right) = (runs(a)?, runs(b)?);
    let common: Vec<&String> = left.keys().filter(|task| right.contains_key(*task)).collect();
    if common.is_empty() {
        let names = |runs: &BTreeMap<String, PathBuf>| runs.keys().cloned().collect::<Vec<_>>().join(", ");
        bail!("no task in common: `{}` holds {}, `{}` holds {}", a.display(), names(&left), b.display(), names(&right));
    }
    let bar = shared_bar(Some(common.len() as u64), "tasks");
    for task in common {
        let compared = compare(&Run::read(&left[task])?, &Run::read(&right[task])?);
        bar.add(1);
        print(&if as_json { format!("{}\n", compared.json(task)) } else { compared.text(task, &Term::stdout()) })?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Task folders at `path`, by task.
fn runs(path: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut take = |folder: &Path| -> Result<()> {
        let document = folder.join("run.json");
        if document.is_file() {
            let name = read_json(&document)?["info"]["run_name"].as_str().unwrap_or_default().to_owned();
            found.insert(name, folder.to_path_buf());
        }
        Ok(())
    };
    take(path)?;
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read `{}`", path.display()))?.path();
        if entry.is_dir() {
            take(&entry)?;
        }
    }
    if found.is_empty() {
        bail!("`{}` holds no run: make one with `bellwether eval TASK --out {}`", path.display(), path.display());
    }
    Ok(found)
}

fn read_json(path: &Path) -> Result<Value> {
    let text = std::fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("`{}` is not JSON", path.display()))
}

/// What a task's folder says.
struct Run {
    id: String,
    data_hash: String,
    params: BTreeMap<String, String>,
    metrics: BTreeMap<String, f64>,
    figures: Vec<Figure>,
    columns: Vec<String>,
    units: BTreeMap<String, Vec<f64>>,
}

impl Run {
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("run.json");
        let run = read_json(&path)?;
        let list = |name: &str| run["data"][name].as_array().cloned().unwrap_or_default();
        let key = |entry: &Value| entry["key"].as_str().unwrap_or_default().to_owned();
        let text = |entry: &Value| (key(entry), entry["value"].as_str().unwrap_or_default().to_owned());
        let figures = match &run["units"]["figures"] {
            Value::Null => Vec::new(),
            figures => serde_json::from_value(figures.clone())
                .with_context(|| format!("`{}`: units.figures are broken", path.display()))?,
        };
        let (columns, units) = read_units(&folder.join("results.csv"))?;
        Ok(Self {
            id: run["info"]["run_id"].as_str().unwrap_or_default().to_owned(),
            data_hash: list("tags").iter().map(text).find(|(key, _)| key == "data_hash").unwrap_or_default().1,
            params: list("params").iter().map(text).collect(),
            metrics: list("metrics").iter().filter_map(|entry| Some((key(entry), entry["value"].as_f64()?))).collect(),
            figures,
            columns,
            units,
        })
    }
}

/// Column names, and our cells by unit.
type Units = (Vec<String>, BTreeMap<String, Vec<f64>>);

/// Nothing where a task leaves no units.
fn read_units(path: &Path) -> Result<Units> {
    if !path.is_file() {
        return Ok(Default::default());
    }
    let table = TextTable::read(path)?;
    let (names, methods) = (table.text(table.require("unit")?), table.text(table.require("method")?));
    let known = ["unit", "method"];
    let columns: Vec<usize> =
        (0..table.header.len()).filter(|at| !known.contains(&table.header[*at].as_str())).collect();
    let cells = columns.iter().map(|column| table.numbers(*column)).collect::<Result<Vec<_>>>()?;
    let ours = (0..table.rows()).filter(|row| methods[*row] == OURS);
    let units = ours.map(|row| (names[row].clone(), cells.iter().map(|column| column[row]).collect())).collect();
    Ok((columns.iter().map(|at| table.header[*at].clone()).collect(), units))
}

/// One figure of both runs.
struct FigureRow {
    figure: String,
    better: Option<Better>,
    a: f64,
    b: f64,
    /// Edges of the interval, where there are units.
    interval: Option<(f64, f64)>,
    /// Unit, its figure in A and in B, its effect; the largest effects first.
    units: Vec<(String, f64, f64, f64)>,
}

/// What differs between two runs of a task.
struct Compared {
    ids: [String; 2],
    same_data: bool,
    pairs: usize,
    unpaired: usize,
    /// Parameter, its value in A and in B.
    params: Vec<(String, String, String)>,
    lines: Vec<FigureRow>,
}

fn compare(a: &Run, b: &Run) -> Compared {
    let shared: Vec<&String> = a.units.keys().filter(|unit| b.units.contains_key(*unit)).collect();
    let rows: Vec<(&[f64], &[f64])> =
        shared.iter().map(|unit| (a.units[*unit].as_slice(), b.units[*unit].as_slice())).collect();
    let paired = a.columns == b.columns && !rows.is_empty();
    let mut lines = Vec::new();
    if paired {
        lines.extend(a.figures.iter().map(|figure| line(figure, &a.columns, &shared, &rows)));
    }
    for (name, value) in &a.metrics {
        let known = lines.iter().any(|line: &FigureRow| line.figure == *name);
        if let (false, Some(other)) = (known, b.metrics.get(name)) {
            let figure = name.clone();
            lines.push(FigureRow { figure, better: None, a: *value, b: *other, interval: None, units: Vec::new() });
        }
    }
    let names: std::collections::BTreeSet<&String> = a.params.keys().chain(b.params.keys()).collect();
    let value = |run: &Run, name: &String| run.params.get(name).cloned().unwrap_or_else(|| "–".to_owned());
    let params = names.into_iter().map(|name| (name.clone(), value(a, name), value(b, name)));
    Compared {
        ids: [a.id.clone(), b.id.clone()],
        same_data: a.data_hash == b.data_hash,
        pairs: if paired { rows.len() } else { 0 },
        unpaired: a.units.len() + b.units.len() - 2 * shared.len(),
        params: params.filter(|(_, a, b)| a != b).collect(),
        lines,
    }
}

fn line(figure: &Figure, columns: &[String], names: &[&String], rows: &[(&[f64], &[f64])]) -> FigureRow {
    let found = difference(figure, columns, rows);
    let mut units = Vec::new();
    for (at, (name, (a, b))) in names.iter().zip(rows).enumerate() {
        if a.iter().zip(*b).all(|(a, b)| a.to_bits() == b.to_bits()) {
            continue;
        }
        let swapped = rows.iter().enumerate().map(|(other, (a, b))| if other == at { *b } else { *a });
        let effect = figure.over(columns, swapped) - found.a;
        if effect != 0.0 {
            let alone = |row: &[f64]| figure.over(columns, std::iter::once(row));
            units.push(((*name).clone(), alone(a), alone(b), effect));
        }
    }
    units.sort_by(|x, y| y.3.abs().total_cmp(&x.3.abs()).then_with(|| x.0.cmp(&y.0)));
    FigureRow {
        figure: figure.name.clone(),
        better: Some(figure.better),
        a: found.a,
        b: found.b,
        interval: Some((found.low, found.high)),
        units,
    }
}

impl FigureRow {
    /// In words: who is better, as far as the interval shows.
    fn says(&self) -> &'static str {
        let (Some((low, high)), Some(better)) = (self.interval, self.better) else {
            return if self.a == self.b { "equal" } else { "no units: how sure is not known" };
        };
        let higher = better == Better::Higher;
        match () {
            () if self.a == self.b && self.units.is_empty() => "equal",
            () if low > 0.0 => {
                if higher {
                    "B is better"
                } else {
                    "A is better"
                }
            }
            () if high < 0.0 => {
                if higher {
                    "A is better"
                } else {
                    "B is better"
                }
            }
            () => "not sure: the interval holds 0",
        }
    }
}

impl Compared {
    fn text(&self, task: &str, term: &Term) -> String {
        let mut text = format!("\n{}\n", term.heading(task));
        text.push_str(&format!("  A {}\n  B {}\n", self.ids[0], self.ids[1]));
        for (name, a, b) in &self.params {
            text.push_str(&format!("  {name}: {a} → {b}\n"));
        }
        text.push('\n');
        let heads = [("figure", Lean::Left), ("A", Lean::Right), ("B", Lean::Right), ("B − A", Lean::Right)];
        let mut table = Table::new(&[&heads[..], &[("95 % interval", Lean::Right), ("", Lean::Left)]].concat());
        for line in &self.lines {
            let interval = line.interval.map_or("–".to_owned(), |(l, h)| format!("{l:+.4} … {h:+.4}"));
            let figures = [number(line.a), number(line.b), format!("{:+.4}", line.b - line.a)];
            table.row([vec![line.figure.clone()], figures.to_vec(), vec![interval, line.says().to_owned()]].concat());
        }
        text.push_str(&table.render(term, 2));
        for line in self.lines.iter().filter(|line| !line.units.is_empty()) {
            text.push_str(&line.most_different(term));
        }
        self.notes().into_iter().for_each(|note| text.push_str(&format!("  {}\n", term.paint(Ink::Dim, &note))));
        text
    }

    /// What a reader must know before believing the table.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.same_data {
            notes.push("the runs read different data: only units of one name are compared".to_owned());
        }
        if self.unpaired > 0 {
            notes.push(format!("{} units are in one run alone and left out", self.unpaired));
        }
        match self.pairs {
            0 => notes.push("no results per unit in both runs: totals only".to_owned()),
            n if n < PAIRS_MIN => notes.push(format!("{n} units: an interval over so few says little")),
            n => notes.push(format!("{n} units, {RESAMPLES} paired resamples")),
        }
        notes
    }

    fn json(&self, task: &str) -> Value {
        let line = |line: &FigureRow| {
            let unit = |(unit, a, b, effect): &(String, f64, f64, f64)| json!({"unit": unit, "a": a, "b": b, "effect": effect});
            json!({
                "figure": line.figure,
                "better": line.better,
                "a": line.a,
                "b": line.b,
                "difference": line.b - line.a,
                "low": line.interval.map(|i| i.0),
                "high": line.interval.map(|i| i.1),
                "says": line.says(),
                "units": line.units.iter().map(unit).collect::<Vec<_>>(),
            })
        };
        let param = |(name, a, b): &(String, String, String)| json!({"key": name, "a": a, "b": b});
        json!({
            "task": task,
            "a": self.ids[0],
            "b": self.ids[1],
            "same_data": self.same_data,
            "pairs": self.pairs,
            "unpaired": self.unpaired,
            "params": self.params.iter().map(param).collect::<Vec<_>>(),
            "figures": self.lines.iter().map(line).collect::<Vec<_>>(),
        })
    }
}

impl FigureRow {
    fn most_different(&self, term: &Term) -> String {
        let mut table =
            Table::new(&[("A", Lean::Right), ("B", Lean::Right), ("effect", Lean::Right), ("unit", Lean::Left)]);
        for (unit, a, b, effect) in self.units.iter().take(UNITS_SHOWN) {
            table.row([number(*a), number(*b), format!("{effect:+.4}"), unit.clone()]);
        }
        let shown = self.units.len().min(UNITS_SHOWN);
        let title = format!("{}: {shown} of {} units that differ", self.figure, self.units.len());
        format!("\n  {}\n{}", term.paint(Ink::Bold, &title), table.render(term, 4))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run folder with one figure over units of known counts.
    fn leave(folder: &Path, counts: &[(&str, [u32; 3])], memory: u32) {
        std::fs::create_dir_all(folder).expect("temporary folder");
        let run = json!({
            "info": {"run_name": "kpi", "run_id": format!("kpi-{memory}")},
            "data": {
                "params": [{"key": "detector.memory_points", "value": memory.to_string()}],
                "metrics": [{"key": "f1", "value": 0.1}, {"key": "other", "value": f64::from(memory)}],
                "tags": [{"key": "data_hash", "value": "d"}],
            },
            "units": {"figures": [Figure::f1("f1", "")]},
        });
        std::fs::write(folder.join("run.json"), run.to_string()).expect("writes");
        let mut text = String::from("unit,method,hit,false_alarm,missed\n");
        for (unit, [hit, alarm, missed]) in counts {
            text.push_str(&format!("{unit},bellwether,{hit},{alarm},{missed}\n{unit},null,0,0,9\n"));
        }
        std::fs::write(folder.join("results.csv"), text).expect("writes");
    }

    fn pair() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (a, b) = (folder.path().join("a"), folder.path().join("b/kpi"));
        leave(&a, &[("one", [3, 1, 0]), ("two", [1, 0, 4]), ("gone", [9, 9, 9])], 12);
        leave(&b, &[("one", [3, 1, 0]), ("two", [4, 0, 1])], 20);
        (folder, a, b)
    }

    #[test]
    fn figures_effects_and_parameters_are_those_of_the_units_both_have() {
        let (_folder, a, b) = pair();
        let compared = compare(&Run::read(&a).expect("a"), &Run::read(&b).expect("b"));
        let value = compared.json("kpi");
        let f1 = &value["figures"][0];
        // Pooled over `one` and `two`: 8 / 13 and 14 / 16.
        assert_eq!((f1["a"].as_f64(), f1["b"].as_f64()), (Some(8.0 / 13.0), Some(14.0 / 16.0)));
        assert_eq!(f1["units"].as_array().map(Vec::len), Some(1), "{value:#}");
        assert_eq!(f1["units"][0]["unit"], "two");
        let effect = f1["units"][0]["effect"].as_f64().expect("effect");
        assert!((effect - (14.0 / 16.0 - 8.0 / 13.0)).abs() < 1e-12, "the only unit that differs has the whole effect");
        assert_eq!((value["pairs"].as_u64(), value["unpaired"].as_u64()), (Some(2), Some(1)));
        assert_eq!(value["params"][0]["key"], "detector.memory_points");
        let other = &value["figures"][1];
        assert_eq!((other["figure"].as_str(), other["low"].as_f64()), (Some("other"), None));
        let text = compared.text("kpi", &Term::PLAIN);
        assert!(text.contains("memory_points: 12 → 20") && text.contains("says little"), "{text}");
    }

    #[test]
    fn equal_runs_are_equal() {
        let (_folder, a, _) = pair();
        let compared = compare(&Run::read(&a).expect("a"), &Run::read(&a).expect("a"));
        assert!(compared.lines.iter().all(|line| line.says() == "equal"), "{}", compared.json("kpi"));
    }

    #[test]
    fn a_clear_gain_on_many_units_is_sure_in_the_right_direction() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let counts =
            |hit: u32| -> Vec<(String, [u32; 3])> { (0..30).map(|i| (format!("u{i}"), [hit + i % 3, 1, 2])).collect() };
        let borrow = |all: &[(String, [u32; 3])]| all.iter().map(|(n, c)| (n.clone(), *c)).collect::<Vec<_>>();
        for (name, hit) in [("a", 3), ("b", 6)] {
            let all = borrow(&counts(hit));
            let all: Vec<(&str, [u32; 3])> = all.iter().map(|(n, c)| (n.as_str(), *c)).collect();
            leave(&folder.path().join(name), &all, hit);
        }
        let read = |name: &str| Run::read(&folder.path().join(name)).expect("a run");
        assert_eq!(compare(&read("a"), &read("b")).lines[0].says(), "B is better");
        assert_eq!(compare(&read("b"), &read("a")).lines[0].says(), "A is better");
    }

    #[test]
    fn folders_without_runs_and_runs_without_a_common_task_say_so() {
        let (folder, a, _) = pair();
        let empty = folder.path().join("empty");
        std::fs::create_dir(&empty).expect("temporary folder");
        let error = run(&a, &empty, true).expect_err("no run").to_string();
        assert!(error.contains("holds no run") && error.contains("--out"), "{error}");
        std::fs::write(empty.join("run.json"), r#"{"info": {"run_name": "wsd"}}"#).expect("writes");
        let error = run(&a, &empty, true).expect_err("nothing in common").to_string();
        assert!(error.contains("holds kpi") && error.contains("holds wsd"), "{error}");
        assert!(run(&a, &folder.path().join("b"), true).is_ok(), "a folder of runs will do");
    }
}
