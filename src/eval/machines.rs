//! Detection over the series of one machine: `asd`, `smd`. Train and test rows
//! stream through one after the other; test rows are scored.

use super::Bench;
use super::report::{Outcome, Who};
use crate::models_cmd::detect::score_rows;
use anyhow::Result;
use bellwether_datasets::public::{Machine, asd, smd};
use bellwether_models::multi::MultiParams;
use bellwether_models::score::{delay, vus};
use rayon::prelude::*;

/// A method: its name, whose it is, and scores of the test rows.
type Method = (&'static str, Who, fn(&Machine) -> Vec<f64>);

/// Largest buffer of VUS, in rows: the value its authors use as a default.
const BUFFER_MAX: usize = 100;

/// `asd`: Application Server Dataset.
///
/// # Errors
/// When the data is absent or broken, or output cannot be written.
pub fn asd_task(bench: &Bench) -> Result<Outcome> {
    let peers = [("PCA residual", 0.336), ("static max-z", 0.218), ("random", 0.105)];
    machines_task("asd", asd::load(&bench.folder("asd")?)?, &peers)
}

/// `smd`: Server Machine Dataset.
///
/// # Errors
/// As [`asd_task`].
pub fn smd_task(bench: &Bench) -> Result<Outcome> {
    machines_task("smd", smd::load(&bench.folder("smd8")?)?, &[("static max-z", 0.391)])
}

fn machines_task(key: &str, machines: Vec<Machine>, peers: &[(&str, f64)]) -> Result<Outcome> {
    let mut outcome = Outcome {
        protocol: format!("mean VUS-PR (buffers to {BUFFER_MAX} rows) and best event F1, {} machines", machines.len()),
        columns: vec!["VUS-PR".into(), "event F1".into()],
        inputs: machines.iter().flat_map(|m| m.paths.clone()).collect(),
        params: serde_json::json!({ "multi": serde_json::to_value(MultiParams::default())? }),
        ..Outcome::default()
    };
    let methods: [Method; 4] = [
        ("bellwether", Who::Ours, ours),
        ("static max-z", Who::Floor, static_max_z),
        ("random", Who::Floor, random),
        ("null", Who::Floor, |machine| vec![0.0; machine.labels.len()]),
    ];
    for (name, who, method) in methods {
        let scores: Vec<Vec<f64>> = machines.par_iter().map(method).collect();
        let vus: Vec<f64> =
            machines.par_iter().zip(&scores).map(|(m, s)| vus::vus_pr(s, &m.labels, BUFFER_MAX)).collect();
        let mean = vus.iter().sum::<f64>() / vus.len().max(1) as f64;
        let labelled: Vec<_> =
            machines.iter().zip(&scores).map(|(m, s)| delay::Labelled { scores: s, labels: &m.labels }).collect();
        let event = delay::best_event_threshold(&labelled).1;
        outcome = outcome.row(who, name, &[mean, event]);
        if who == Who::Ours {
            outcome.metrics.insert(format!("{key}_vus_pr"), mean);
            outcome.metrics.insert(format!("{key}_event_f1"), event);
        }
    }
    for (name, vus) in peers {
        outcome = outcome.row(Who::Peer, name, &[*vus, f64::NAN]);
    }
    Ok(outcome)
}

fn ours(machine: &Machine) -> Vec<f64> {
    let rows: Vec<f64> = machine.train.iter().chain(&machine.test).copied().collect();
    let count = rows.len() / machine.dims;
    let series: Vec<Vec<f64>> =
        (0..machine.dims).map(|j| (0..count).map(|i| rows[i * machine.dims + j]).collect()).collect();
    let scored = score_rows(&MultiParams::default(), &series, count).expect("default parameters are in range");
    scored.scores[count - machine.labels.len()..].to_vec()
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
