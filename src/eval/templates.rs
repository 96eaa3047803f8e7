//! Task `templates`: mined templates against the labels of LogHub, three label sets.
//!
//! Content lines in order, online, one configuration, no masks. Groups are compared as they
//! stand after the last line.

use super::Bench;
use super::plot;
use super::report::{Outcome, Who, write};
use super::units::{Figure, Units};
use crate::models_cmd::io::{Column, Table};
use crate::models_cmd::templates::Mined;
use crate::progress::{SharedBar, shared_bar};
use anyhow::{Context, Result};
use bellwether_datasets::public::loghub::{self, LabelSet, System};
use bellwether_models::score::templates::{TemplateScores, template_scores};
use bellwether_models::templates::{Miner, MinerParams};
use std::collections::BTreeMap;

/// Runs the task.
///
/// # Errors
/// When the data is absent or broken, or output cannot be written.
pub fn run(bench: &Bench) -> Result<Outcome> {
    let mut outcome = Outcome {
        protocol: "2,000 content lines per system, in order, online, no masks; mean over the systems present".into(),
        columns: ["GA", "FGA", "PA", "FTA"].map(str::to_owned).to_vec(),
        params: serde_json::json!({ "miner": serde_json::to_value(&bench.settings.miner)? }),
        ..Outcome::default()
    };
    let sets = sets(bench)?;
    let bar = shared_bar(Some(sets.iter().map(|(_, systems)| systems.len() as u64).sum()), "systems");
    let mut measured = Measured::new();
    for (labels, systems) in &sets {
        outcome.inputs.extend(systems.iter().map(|system| system.path.clone()));
        outcome = label_set(bench, outcome, *labels, systems, &mut measured, &bar)?;
    }
    outcome.units = units(&measured);
    if let Some(out) = &bench.out {
        draw(out, &measured)?;
    }
    for (name, cells) in PEERS {
        outcome = outcome.row(Who::Peer, name, cells);
    }
    outcome
        .notes
        .push("rows marked (elsewhere): 16 systems, original labels unless said; ours: the systems present".into());
    Ok(outcome)
}

/// The systems of every label set.
///
/// # Errors
/// When the data is absent or broken.
pub fn sets(bench: &Bench) -> Result<Vec<(LabelSet, Vec<System>)>> {
    let load = |labels: LabelSet| {
        bench.folder(labels.folder())?;
        Ok((labels, loghub::load(&bench.data, labels)?))
    };
    LabelSet::ALL.into_iter().map(load).collect()
}

/// The measures, as columns and metrics name them.
pub const MEASURES: [&str; 4] = ["ga", "fga", "pa", "fta"];

/// The four measures by method, system and label set.
type Measured = BTreeMap<(&'static str, String), BTreeMap<&'static str, [f64; 4]>>;

/// One unit per system, with a column per label set and measure.
fn units(measured: &Measured) -> Units {
    let sets = LabelSet::ALL.map(LabelSet::name);
    let names: Vec<String> = sets.iter().flat_map(|set| MEASURES.map(|m| format!("{set}_{m}"))).collect();
    let columns: Vec<&str> = names.iter().map(String::as_str).collect();
    let figures = columns.iter().map(|name| Figure::mean(name, name)).collect();
    let mut units = Units::new("system", &columns, figures);
    for ((method, system), by_set) in measured {
        let cells: Vec<f64> = sets.iter().flat_map(|set| by_set.get(set).copied().unwrap_or([f64::NAN; 4])).collect();
        units.push(system, method, &cells);
    }
    units
}

/// One drawing per label set: the four measures of each system.
fn draw(out: &std::path::Path, measured: &Measured) -> Result<()> {
    for set in LabelSet::ALL.map(LabelSet::name) {
        let ours = measured.iter().filter(|((method, _), _)| *method == METHODS[0]);
        let bars: Vec<(String, Vec<f64>)> =
            ours.filter_map(|((_, system), by_set)| Some((system.clone(), by_set.get(set)?.to_vec()))).collect();
        let title = format!("templates against the {set} labels");
        write(&out.join(format!("{set}.svg")), &plot::bars(&title, &["GA", "FGA", "PA", "FTA"], &bars))?;
    }
    Ok(())
}

/// Ours and the floors, in the order of their sums.
const METHODS: [&str; 3] = ["bellwether", "null: a line is a template", "random groups"];

/// GA, FGA, PA, FTA over all 16 systems, original labels unless named otherwise.
#[allow(clippy::approx_constant)] // .318 is an accuracy, not 1/π
const PEERS: &[(&str, &[f64])] = &[
    ("Drain3 0.9.11, default", &[0.732, 0.734, 0.253, 0.245]),
    ("Drain3, generic masks", &[0.755, 0.745, 0.432, 0.484]),
    ("Drain3, settings per system", &[0.860, 0.743, 0.288, 0.272]),
    ("Brain, settings per system", &[0.983, 0.936, 0.263, 0.318]),
    ("Drain3, generic masks, corrected", &[0.772, 0.753, 0.402, 0.463]),
    ("Brain, settings per system, corrected", &[0.965, 0.928, 0.387, 0.435]),
];

fn label_set(
    bench: &Bench,
    mut outcome: Outcome,
    labels: LabelSet,
    systems: &[System],
    measured: &mut Measured,
    bar: &SharedBar,
) -> Result<Outcome> {
    let mut sums = [[0.0; 4]; 3];
    let mut rows = Vec::new();
    for system in systems {
        let (ids, texts) = mine(&bench.settings.miner, &system.lines)?;
        let ours = cells(system, &ids, &texts.iter().map(String::as_str).collect::<Vec<_>>())?;
        let whole: Vec<&str> = system.lines.iter().map(String::as_str).collect();
        let null = cells(system, &group_ids(&whole), &whole)?;
        let (random, names) = random_groups(system.lines.len(), labelled(system));
        let random = cells(system, &random, &names.iter().map(String::as_str).collect::<Vec<_>>())?;
        for ((sum, cells), method) in sums.iter_mut().zip([ours, null, random]).zip(METHODS) {
            measured.entry((method, system.name.clone())).or_default().insert(labels.name(), cells);
            sum.iter_mut().zip(cells).for_each(|(sum, cell)| *sum += cell / systems.len() as f64);
        }
        if bench.out.is_some() {
            write_lines(bench, labels, system, &ids, texts)?;
        }
        rows.push((system.name.as_str(), ours));
        bar.add(1);
    }
    let set = labels.name();
    for ((name, who), cells) in METHODS.into_iter().zip([Who::Ours, Who::Floor, Who::Floor]).zip(sums) {
        outcome = outcome.row(who, &format!("{name}, {set}"), &cells);
    }
    for (name, cells) in rows {
        outcome = outcome.row(Who::Ours, &format!("  {name}, {set}"), &cells);
    }
    for (name, value) in MEASURES.into_iter().zip(sums[0]) {
        outcome.metrics.insert(format!("{set}_{name}"), value);
    }
    Ok(outcome)
}

/// Id and final template of each line.
///
/// # Errors
/// When the parameters are out of range.
pub fn mine(params: &MinerParams, lines: &[String]) -> Result<(Vec<u64>, Vec<String>)> {
    let mut mined = Mined::new(Miner::new(params.clone().check()?));
    lines.iter().for_each(|line| mined.learn(line));
    Ok(mined.told())
}

fn cells(system: &System, groups: &[u64], texts: &[&str]) -> Result<[f64; 4]> {
    let labels: Vec<&str> = system.templates.iter().map(String::as_str).collect();
    let TemplateScores { ga, fga, pa, fta } = template_scores(groups, texts, &labels)
        .with_context(|| format!("`{}` holds no lines", system.path.display()))?;
    Ok([ga, fga, pa, fta])
}

fn labelled(system: &System) -> usize {
    system.templates.iter().collect::<std::collections::BTreeSet<_>>().len()
}

fn group_ids(lines: &[&str]) -> Vec<u64> {
    lines.iter().map(|line| xxhash_rust::xxh3::xxh3_64(line.as_bytes())).collect()
}

/// As many groups as there are labels, drawn without looking.
fn random_groups(lines: usize, groups: usize) -> (Vec<u64>, Vec<String>) {
    let draw = |line: usize| xxhash_rust::xxh3::xxh3_64(&(line as u64).to_le_bytes()) % groups.max(1) as u64;
    (0..lines).map(|line| (draw(line), format!("<*> {}", draw(line)))).unzip()
}

fn write_lines(bench: &Bench, labels: LabelSet, system: &System, ids: &[u64], texts: Vec<String>) -> Result<()> {
    let Some(out) = &bench.out else { return Ok(()) };
    Table::default()
        .with("line", Column::Int((1..=ids.len() as i64).collect()))
        .with("template_id", Column::Text(ids.iter().map(|id| format!("{id:016x}")).collect()))
        .with("y_pred", Column::Text(texts))
        .with("y_true", Column::Text(system.templates.clone()))
        .save(&out.join(format!("{}-{}.parquet", system.name, labels.name())))
}
