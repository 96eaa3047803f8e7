//! Cause tasks: petshop, nezha (two shops), sockshop. Ranked causes from raw
//! telemetry, at the given time and 60 s later, one configuration for all.

use super::Bench;
use super::report::{Outcome, Who};
use crate::models_cmd::cases::{self, NamedCase};
use anyhow::{Result, bail};
use bellwether_datasets::public::{nezha, petshop, sockshop};
use bellwether_models::causes::baseline::{self, Baseline};
use bellwether_models::causes::case::CaseParams;
use bellwether_models::score::causes::{as_at, avg_at_5, calibration_error};
use serde_json::json;
use std::path::{Path, PathBuf};

/// How much later than the fault a late detection is.
const LATE_SECS: i64 = 60;

/// The rankings of one set at one delay, reduced to what the figures need.
#[derive(Debug, Default, Clone)]
struct Results {
    ranks: Vec<Option<usize>>,
    answers: Vec<(f64, bool)>,
    baselines: [Vec<Option<usize>>; 4],
}

impl Results {
    fn add(&mut self, case: &NamedCase, truth: &str) {
        let places = case.rank(&CaseParams::default());
        let rank = places.iter().position(|place| place.entity == truth).map(|at| at + 1);
        self.answers.extend(places.first().map(|first| (first.confidence, rank == Some(1))));
        self.ranks.push(rank);
        for (slot, method) in self.baselines.iter_mut().zip(Baseline::ALL) {
            let order = baseline::rank(method, &case.case);
            slot.push(order.iter().position(|entity| case.names[*entity as usize] == truth).map(|at| at + 1));
        }
    }
}

/// PetShop: components of a call graph, latency and availability issues.
///
/// # Errors
/// When the data is absent or broken.
pub fn petshop(bench: &Bench) -> Result<Outcome> {
    let folder = bench.folder("petshop")?;
    let issues = petshop::issues(&folder)?;
    let run = |late: i64| -> Result<Results> {
        let mut results = Results::default();
        for issue in &issues {
            let mut files = petshop::load(issue)?;
            if let Some(at_secs) = files.alarm.as_mut().and_then(|alarm| alarm.at_secs.as_mut()) {
                *at_secs += late as f64;
            }
            results.add(&cases::petshop::case(&files), &petshop::truth(issue)?);
        }
        Ok(results)
    };
    let inputs = issues.iter().map(|issue| issue.join("metrics.csv")).collect();
    let peers = [("authors' traversal, 52 issues", [0.654, 0.827, f64::NAN, f64::NAN])];
    Ok(outcome("PetShop issues in this folder: components ranked", &run(0)?, &run(LATE_SECS)?, &peers, inputs))
}

/// Nezha, OnlineBoutique: services, metrics only.
///
/// # Errors
/// When the data is absent or broken.
pub fn nezha_ob(bench: &Bench) -> Result<Outcome> {
    let peers = [
        ("Nezha (paper; logs, traces too)", [0.929, 0.964, 0.964, f64::NAN]),
        ("PDiagnose", [0.411, 0.732, 0.821, f64::NAN]),
        ("MicroRCA", [0.161, 0.625, 0.928, f64::NAN]),
        ("BARO", [0.143, 0.321, 0.375, f64::NAN]),
    ];
    nezha_days(bench, "2022-", "Nezha OnlineBoutique: services ranked, metrics only", &peers)
}

/// Nezha, TrainTicket: services, with logs and traces.
///
/// # Errors
/// When the data is absent or broken.
pub fn nezha_tt(bench: &Bench) -> Result<Outcome> {
    let peers = [
        ("Nezha (paper)", [0.867, 0.978, 0.978, f64::NAN]),
        ("PDiagnose", [0.089, 0.133, 0.222, f64::NAN]),
        ("MicroRCA", [0.200, 0.311, 0.444, f64::NAN]),
    ];
    nezha_days(bench, "2023-", "Nezha TrainTicket: services ranked, with logs and traces", &peers)
}

fn nezha_days(bench: &Bench, year: &str, protocol: &str, peers: &[(&str, [f64; 4])]) -> Result<Outcome> {
    let days = days(&bench.folder("nezha")?.join("rca_data"), year)?;
    let (mut now, mut late) = (Results::default(), Results::default());
    for folder in &days {
        let mut day = cases::nezha::Day::open(folder)?;
        for fault in nezha::truth(folder)? {
            let service = nezha::service_of(&fault.pod);
            now.add(&day.case(fault.at_secs)?, service);
            late.add(&day.case(fault.at_secs + LATE_SECS)?, service);
        }
    }
    Ok(outcome(protocol, &now, &late, peers, Vec::new()))
}

fn days(folder: &Path, year: &str) -> Result<Vec<PathBuf>> {
    let mut out = Vec::new();
    if folder.is_dir() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(year) {
                out.push(entry.path());
            }
        }
    }
    out.sort();
    if out.is_empty() {
        bail!("no day folder `{year}…` in `{}`", folder.display());
    }
    Ok(out)
}

/// Sock Shop: metrics of services.
///
/// # Errors
/// When the data is absent or broken.
pub fn sockshop(bench: &Bench) -> Result<Outcome> {
    let folders = sockshop::cases(&bench.folder("rcd_sockshop")?)?;
    let (mut now, mut late) = (Results::default(), Results::default());
    for folder in &folders {
        let Some(truth) = sockshop::truth(folder) else { continue };
        let mut files = sockshop::load(folder)?;
        now.add(&cases::sockshop::case(&files), &truth);
        let begin = files.anomalous.at_secs.first().copied().unwrap_or(0.0) + LATE_SECS as f64;
        let skip = files.anomalous.at_secs.iter().take_while(|at| **at < begin).count();
        for values in &mut files.anomalous.values {
            values.drain(..skip.min(values.len()));
        }
        late.add(&cases::sockshop::case(&files), &truth);
    }
    let peers = [
        ("BARO", [f64::NAN, f64::NAN, f64::NAN, 0.816]),
        ("n-sigma (elsewhere)", [f64::NAN, f64::NAN, f64::NAN, 0.92]),
    ];
    Ok(outcome("RCD Sock Shop: service-metric pairs ranked", &now, &late, &peers, Vec::new()))
}

fn outcome(protocol: &str, now: &Results, late: &Results, peers: &[(&str, [f64; 4])], inputs: Vec<PathBuf>) -> Outcome {
    let figures = |ranks: &[Option<usize>]| [as_at(ranks, 1), as_at(ranks, 3), as_at(ranks, 5), avg_at_5(ranks)];
    let row = |ranks: &[Option<usize>], answers: &[(f64, bool)]| {
        let mut cells = figures(ranks).to_vec();
        cells.push(if answers.is_empty() { f64::NAN } else { calibration_error(answers) });
        cells
    };
    let mut out = Outcome {
        protocol: format!("{protocol} ({} cases)", now.ranks.len()),
        columns: ["AS@1", "AS@3", "AS@5", "Avg@5", "ECE"].map(str::to_owned).to_vec(),
        params: json!({ "case": CaseParams::default() }),
        inputs,
        ..Outcome::default()
    };
    for (when, results, suffix) in [("at the fault", now, ""), ("60 s later", late, "_late")] {
        out = out.row(Who::Ours, &format!("bellwether, {when}"), &row(&results.ranks, &results.answers));
        let [as1, as3, as5, avg5] = figures(&results.ranks);
        let ece = calibration_error(&results.answers);
        for (name, value) in [("as1", as1), ("as3", as3), ("as5", as5), ("avg5", avg5), ("ece", ece)] {
            out.metrics.insert(format!("{name}{suffix}"), value);
        }
    }
    for (ranks, method) in now.baselines.iter().zip(Baseline::ALL) {
        out = out.row(Who::Floor, method.name(), &row(ranks, &[]));
    }
    out = out.row(Who::Floor, "null", &[0.0, 0.0, 0.0, 0.0, f64::NAN]);
    for (name, cells) in peers {
        out = out.row(Who::Peer, name, &[cells[0], cells[1], cells[2], cells[3], f64::NAN]);
    }
    out
}
