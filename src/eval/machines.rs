//! Detection over the series of one machine: `asd`, `smd`. Train and test rows
//! stream through one after the other; test rows are scored.

use super::Bench;
use super::methods::OURS;
use super::metric::{ALARMED_NOTE, alarmed, cells_of};
use super::plot::{self, Drawn};
use super::points::file_name;
use super::report::{Outcome, Who, write};
use super::settings::Settings;
use super::units::{Figure, Units};
use crate::models_cmd::detect::score_rows;
use crate::models_cmd::io::{Column, Table};
use crate::progress::{SharedBar, shared_bar};
use anyhow::Result;
use bellwether_datasets::public::{Machine, asd, smd};
use bellwether_models::score::{delay, vus};
use rayon::prelude::*;
use std::path::Path;

/// A rival: its name and scores of the test rows.
type Rival = (&'static str, fn(&Machine) -> Vec<f64>);

const RIVALS: [Rival; 3] =
    [("static max-z", static_max_z), ("random", random), ("null", |machine| vec![0.0; machine.labels.len()])];

/// Minutes of a week.
const WEEK_ROWS: f64 = 10_080.0;

/// Largest buffer of VUS, in rows: the value its authors use as a default.
pub const BUFFER_MAX: usize = 100;

/// `asd`: Application Server Dataset.
///
/// # Errors
/// When the data is absent or broken, or output cannot be written.
pub fn asd_task(bench: &Bench) -> Result<Outcome> {
    let peers = [("PCA residual", 0.336, f64::NAN), ("static max-z", 0.218, f64::NAN), ("random", 0.105, f64::NAN)];
    judge_machines(bench, "asd", &asd::load(&bench.folder("asd")?)?, &peers)
}

/// `smd`: Server Machine Dataset.
///
/// # Errors
/// As [`asd_task`].
pub fn smd_task(bench: &Bench) -> Result<Outcome> {
    let peers = [
        ("PCA residual, eight machines", 0.552, f64::NAN),
        ("static max-z", 0.391, f64::NAN),
        ("static max-z, eight machines", f64::NAN, 0.573),
        ("random, eight machines", 0.093, f64::NAN),
    ];
    judge_machines(bench, "smd", &smd::load(&bench.folder("smd8")?)?, &peers)
}

/// Machines with labels: ours, rivals and floors by volume and event.
pub(super) fn judge_machines(
    bench: &Bench,
    key: &str,
    machines: &[Machine],
    peers: &[(&str, f64, f64)],
) -> Result<Outcome> {
    let (vus_pr, event_f1) = (format!("{key}_vus_pr"), format!("{key}_event_f1"));
    let figures = vec![Figure::mean(&vus_pr, "vus_pr"), Figure::f1(&event_f1, "event_")];
    let columns = ["vus_pr", "event_hit", "event_false_alarm", "event_missed"];
    let mut outcome = Outcome {
        protocol: format!("mean VUS-PR (buffers to {BUFFER_MAX} rows) and best event F1, {} machines", machines.len()),
        columns: vec!["VUS-PR".into(), "event F1".into(), "alarmed".into()],
        notes: vec![ALARMED_NOTE.to_owned()],
        inputs: machines.iter().flat_map(|m| m.paths.clone()).collect(),
        params: serde_json::json!({ "multi": serde_json::to_value(&bench.settings.multi)? }),
        units: Units::new("machine", &columns, figures),
        ..Outcome::default()
    };
    let tests: usize = machines.iter().map(|m| m.labels.len()).sum();
    let trains: usize = machines.iter().map(|m| m.train.len() / m.dims).sum();
    // Ours over all rows, then the volume of every method over the test rows.
    let bar = shared_bar(Some((trains + (2 + RIVALS.len()) * tests) as u64), "rows");
    let own: Vec<Vec<f64>> = machines.par_iter().map(|m| ours(&bench.settings, m, &bar)).collect::<Result<_>>()?;
    let rival = |(name, judge): Rival| (name, machines.par_iter().map(judge).collect());
    let methods: Vec<(&str, Vec<Vec<f64>>)> =
        std::iter::once((OURS, own)).chain(RIVALS.into_iter().map(rival)).collect();
    for (name, scores) in &methods {
        let volume = |(machine, scores): (&Machine, &Vec<f64>)| {
            let volume = vus::vus_pr(scores, &machine.labels, BUFFER_MAX);
            bar.add(scores.len() as u64);
            volume
        };
        let volumes: Vec<f64> = machines.par_iter().zip(scores).map(volume).collect();
        let mean = volumes.iter().sum::<f64>() / volumes.len().max(1) as f64;
        let labelled: Vec<_> =
            machines.iter().zip(scores).map(|(m, s)| delay::Labelled { scores: s, labels: &m.labels }).collect();
        let (threshold, event) = delay::best_event_threshold(&labelled);
        for ((machine, one), volume) in machines.iter().zip(&labelled).zip(&volumes) {
            let [hit, alarm, missed] = cells_of(delay::event_counts(std::slice::from_ref(one), threshold));
            outcome.units.push(&machine.name, name, &[*volume, hit, alarm, missed]);
        }
        outcome = outcome.row(
            if *name == OURS { Who::Ours } else { Who::Floor },
            name,
            &[mean, event, alarmed(&labelled, threshold)],
        );
        if *name == OURS {
            outcome.metrics.extend([(vus_pr.clone(), mean), (event_f1.clone(), event)]);
            if let Some(out) = &bench.out {
                draw(out, machines, scores, threshold)?;
            }
        }
    }
    for (name, vus, event) in peers {
        outcome = outcome.row(Who::Peer, name, &[*vus, *event, f64::NAN]);
    }
    if let Some(out) = &bench.out {
        leave(out, key, machines, &methods)?;
    }
    Ok(outcome)
}

/// One drawing per machine: ours over the test rows.
fn draw(out: &Path, machines: &[Machine], scores: &[Vec<f64>], threshold: f64) -> Result<()> {
    for (machine, scores) in machines.iter().zip(scores) {
        let at: Vec<i64> = (0..scores.len() as i64).collect();
        let drawn = Drawn { name: &machine.name, at: &at, values: scores, truth: &machine.labels };
        write(&out.join(file_name(&machine.name)), &plot::scores(drawn, threshold))?;
    }
    Ok(())
}

/// `points.parquet` of the test rows (`series,row,y_true,y_score`) and the
/// precision–recall curves of all methods.
fn leave(out: &Path, key: &str, machines: &[Machine], methods: &[(&str, Vec<Vec<f64>>)]) -> Result<()> {
    let pooled: Vec<(String, Vec<f64>)> =
        methods.iter().map(|(name, scores)| ((*name).to_owned(), scores.concat())).collect();
    let truths: Vec<&[bool]> = machines.iter().map(|machine| machine.labels.as_slice()).collect();
    let by_method: Vec<(&str, &[Vec<f64>])> = methods.iter().map(|(name, scores)| (*name, scores.as_slice())).collect();
    // Rows have no times: they count as minutes.
    let weeks = truths.iter().map(|rows| rows.len()).sum::<usize>() as f64 / WEEK_ROWS;
    write(&out.join("told.svg"), &plot::told(key, &by_method, &truths, weeks))?;
    let truth = truths.concat();
    write(&out.join("precision_recall.svg"), &plot::precision_recall(key, &pooled, &truth))?;
    let names = machines.iter().flat_map(|m| std::iter::repeat_n(m.name.clone(), m.labels.len())).collect();
    let rows = machines.iter().flat_map(|m| 0..m.labels.len() as i64).collect();
    let own = pooled.into_iter().find(|(name, _)| name == OURS).map(|(_, scores)| scores).unwrap_or_default();
    Table::default()
        .with("series", Column::Text(names))
        .with("row", Column::Int(rows))
        .with("y_true", Column::Flag(truth))
        .with("y_score", Column::Float(own))
        .save(&out.join("points.parquet"))
}

/// Ours: train and test rows stream through, scores of the test rows.
///
/// # Errors
/// When the parameters are out of range.
pub fn ours(settings: &Settings, machine: &Machine, bar: &SharedBar) -> Result<Vec<f64>> {
    let rows: Vec<f64> = machine.train.iter().chain(&machine.test).copied().collect();
    let count = rows.len() / machine.dims;
    let series: Vec<Vec<f64>> =
        (0..machine.dims).map(|j| (0..count).map(|i| rows[i * machine.dims + j]).collect()).collect();
    let scored = score_rows(&settings.multi, &series, count, bar)?;
    Ok(scored.scores[count - machine.labels.len()..].to_vec())
}

/// Largest distance from the training mean in training deviations.
fn static_max_z(machine: &Machine) -> Vec<f64> {
    let dims = machine.dims;
    let moments = |j: usize| {
        let column: Vec<f64> = machine.train.iter().skip(j).step_by(dims).copied().collect();
        let mean = column.iter().sum::<f64>() / column.len() as f64;
        let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / column.len() as f64;
        (mean, variance.sqrt().max(1e-6))
    };
    let moments: Vec<(f64, f64)> = (0..dims).map(moments).collect();
    let largest =
        |row: &[f64]| row.iter().zip(&moments).map(|(v, (mean, sigma))| ((v - mean) / sigma).abs()).fold(0.0, f64::max);
    machine.test.chunks_exact(dims).map(largest).collect()
}

/// A fixed scramble of the row number.
fn random(machine: &Machine) -> Vec<f64> {
    let scramble = |i: u64| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11) as f64;
    (1..=machine.labels.len() as u64).map(|i| scramble(i ^ (i << 17))).collect()
}
