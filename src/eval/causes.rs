//! Cause tasks: petshop, nezha (two shops), sockshop. Ranked causes from raw
//! telemetry, at the given time and 60 s later, one configuration for all.

use super::Bench;
use super::methods::OURS;
use super::report::{Outcome, Who};
use super::units::{Figure, Units};
use crate::models_cmd::cases::{self, NamedCase};
use anyhow::{Result, bail};
use bellwether_datasets::public::{nezha, petshop, sockshop};
use bellwether_models::causes::baseline::{self, Baseline};
use bellwether_models::causes::case::CaseParams;
use bellwether_models::score::causes::{as_at, avg_at_5, calibration_error, reliability};
use serde_json::json;
use std::path::{Path, PathBuf};

/// How much later than the fault a late detection is.
pub(super) const LATE_SECS: i64 = 60;

/// One labelled case of a set.
#[derive(Debug, Clone)]
pub struct Fault {
    /// What tells it from the others.
    pub unit: String,
    /// The entity that caused it.
    pub truth: String,
    /// What is known at the fault.
    pub now: NamedCase,
    /// What is known `LATE_SECS` later.
    pub late: NamedCase,
}

/// The cases of a set at one delay, ranked: place of the true cause, and the
/// confidence of the first answer with whether it is right.
#[derive(Debug, Default, Clone)]
pub struct Ranked {
    /// Place of the true cause in each case, from 1.
    pub ranks: Vec<Option<usize>>,
    /// Confidence and rightness of the first place.
    pub answers: Vec<(f64, bool)>,
}

/// Ranks every case.
pub fn ranked<'a>(params: &CaseParams, cases: impl Iterator<Item = (&'a NamedCase, &'a str)>) -> Ranked {
    let mut out = Ranked::default();
    for (case, truth) in cases {
        let places = case.rank(params);
        let rank = places.iter().position(|place| place.entity == truth).map(|at| at + 1);
        out.answers.extend(places.first().map(|first| (first.confidence, rank == Some(1))));
        out.ranks.push(rank);
    }
    out
}

/// The same for a simple ranking: it has no confidence.
fn simply_ranked<'a>(method: Baseline, cases: impl Iterator<Item = (&'a NamedCase, &'a str)>) -> Vec<Option<usize>> {
    let rank = |(case, truth): (&NamedCase, &str)| {
        let order = baseline::rank(method, &case.case);
        order.iter().position(|entity| case.names[*entity as usize] == truth).map(|at| at + 1)
    };
    cases.map(rank).collect()
}

/// Every labelled case of the set that `task` is about.
///
/// # Errors
/// When the data is absent or broken.
pub fn faults(task: &str, bench: &Bench) -> Result<Vec<Fault>> {
    match task {
        "petshop" => petshop_faults(&bench.folder("petshop")?),
        "nezha_ob" => nezha_faults(bench, OB_DAYS),
        "nezha_tt" => nezha_faults(bench, TT_DAYS),
        _ => sockshop_faults(&bench.folder("rcd_sockshop")?),
    }
}

/// PetShop: components of a call graph, latency and availability issues.
///
/// # Errors
/// When the data is absent or broken.
pub fn petshop(bench: &Bench) -> Result<Outcome> {
    let folder = bench.folder("petshop")?;
    let inputs = petshop::issues(&folder)?.iter().map(|issue| issue.join("metrics.csv")).collect();
    let peers = [("authors' traversal, 52 issues", [0.654, 0.827, f64::NAN, f64::NAN])];
    Ok(judge_faults(
        bench,
        "PetShop issues in this folder: components ranked",
        &petshop_faults(&folder)?,
        &peers,
        inputs,
    ))
}

fn petshop_faults(folder: &Path) -> Result<Vec<Fault>> {
    let at = |issue: &Path, late: i64| -> Result<NamedCase> {
        let mut files = petshop::load(issue)?;
        cases::petshop::shift(&mut files, late);
        Ok(cases::petshop::case(&files))
    };
    let fault = |issue: &PathBuf| {
        let (unit, truth) = (last_names(issue, 3), petshop::truth(issue)?);
        Ok(Fault { unit, truth, now: at(issue, 0)?, late: at(issue, LATE_SECS)? })
    };
    petshop::issues(folder)?.iter().map(fault).collect()
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
    let protocol = "Nezha OnlineBoutique: services ranked, metrics only";
    Ok(judge_faults(bench, protocol, &nezha_faults(bench, OB_DAYS)?, &peers, Vec::new()))
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
    let protocol = "Nezha TrainTicket: services ranked, with logs and traces";
    Ok(judge_faults(bench, protocol, &nezha_faults(bench, TT_DAYS)?, &peers, Vec::new()))
}

/// Beginnings of the names of the day folders of either shop.
const OB_DAYS: &str = "2022-";
const TT_DAYS: &str = "2023-";

fn nezha_faults(bench: &Bench, year: &str) -> Result<Vec<Fault>> {
    let mut out = Vec::new();
    for folder in &days(&bench.folder("nezha")?.join("rca_data"), year)? {
        let mut day = cases::nezha::Day::open(folder)?;
        for fault in nezha::truth(folder)? {
            out.push(Fault {
                unit: format!("{} {}", fault.at_secs, fault.pod),
                truth: nezha::service_of(&fault.pod).to_owned(),
                now: day.case(fault.at_secs)?,
                late: day.case(fault.at_secs + LATE_SECS)?,
            });
        }
    }
    Ok(out)
}

/// The last `count` names of a path: what tells one case from the others.
fn last_names(path: &Path, count: usize) -> String {
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    names[names.len().saturating_sub(count)..].join("/")
}

/// What is measured per case: is the cause among the first, at the fault and later.
const COLUMNS: [&str; 8] = ["as1", "as3", "as5", "avg5", "as1_late", "as3_late", "as5_late", "avg5_late"];

/// Every case with its cells, for ours and the simple rankings.
fn units<const N: usize>(faults: &[Fault], ours: &[Ranked; 2], simple: &[[Vec<Option<usize>>; 2]; N]) -> Units {
    let cells = |rank: Option<usize>| {
        let rank = &[rank];
        [as_at(rank, 1), as_at(rank, 3), as_at(rank, 5), avg_at_5(rank)]
    };
    let both = |now: Option<usize>, late: Option<usize>| [cells(now), cells(late)].concat();
    let mut units = Units::new("case", &COLUMNS, COLUMNS.map(|name| Figure::mean(name, name)).to_vec());
    for (place, fault) in faults.iter().enumerate() {
        units.push(&fault.unit, OURS, &both(ours[0].ranks[place], ours[1].ranks[place]));
        for (method, [now, late]) in Baseline::ALL.iter().zip(simple) {
            units.push(&fault.unit, method.name(), &both(now[place], late[place]));
        }
    }
    units
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
    let faults = sockshop_faults(&bench.folder("rcd_sockshop")?)?;
    let peers = [
        ("BARO", [f64::NAN, f64::NAN, f64::NAN, 0.816]),
        ("n-sigma (elsewhere)", [f64::NAN, f64::NAN, f64::NAN, 0.92]),
    ];
    Ok(judge_faults(bench, "RCD Sock Shop: service-metric pairs ranked", &faults, &peers, Vec::new()))
}

fn sockshop_faults(folder: &Path) -> Result<Vec<Fault>> {
    let mut out = Vec::new();
    for folder in &sockshop::cases(folder)? {
        let Some(truth) = sockshop::truth(folder) else { continue };
        let mut files = sockshop::load(folder)?;
        let now = cases::sockshop::case(&files);
        cases::sockshop::shift(&mut files, LATE_SECS);
        out.push(Fault { unit: last_names(folder, 2), truth, now, late: cases::sockshop::case(&files) });
    }
    Ok(out)
}

/// A reliability curve in words, ten bins: how sure the answers were and how often right.
pub(super) fn curve(answers: &[(f64, bool)]) -> String {
    let bins = reliability(answers, 10);
    let said =
        bins.iter().map(|bin| format!("{:.2} stated, {:.2} right ({})", bin.confidence, bin.accuracy, bin.answers));
    said.collect::<Vec<_>>().join("; ")
}

/// Ours and the simple rankings on every case, at the fault and later.
pub(super) fn judge_faults(
    bench: &Bench,
    protocol: &str,
    faults: &[Fault],
    peers: &[(&str, [f64; 4])],
    inputs: Vec<PathBuf>,
) -> Outcome {
    let now = || faults.iter().map(|fault| (&fault.now, fault.truth.as_str()));
    let late = || faults.iter().map(|fault| (&fault.late, fault.truth.as_str()));
    let params = &bench.settings.causes;
    let ours = [ranked(params, now()), ranked(params, late())];
    let simple = Baseline::ALL.map(|method| [simply_ranked(method, now()), simply_ranked(method, late())]);
    let figures = |ranks: &[Option<usize>]| [as_at(ranks, 1), as_at(ranks, 3), as_at(ranks, 5), avg_at_5(ranks)];
    let row = |ranks: &[Option<usize>], error: f64| [figures(ranks).as_slice(), &[error]].concat();
    let mut out = Outcome {
        protocol: format!("{protocol} ({} cases)", faults.len()),
        columns: ["AS@1", "AS@3", "AS@5", "Avg@5", "ECE"].map(str::to_owned).to_vec(),
        params: json!({ "causes": params }),
        inputs,
        units: units(faults, &ours, &simple),
        ..Outcome::default()
    };
    for (when, ranked, suffix) in [("at the fault", &ours[0], ""), ("60 s later", &ours[1], "_late")] {
        let ece = if ranked.answers.is_empty() { f64::NAN } else { calibration_error(&ranked.answers) };
        out = out.row(Who::Ours, &format!("bellwether, {when}"), &row(&ranked.ranks, ece));
        let [as1, as3, as5, avg5] = figures(&ranked.ranks);
        for (name, value) in [("as1", as1), ("as3", as3), ("as5", as5), ("avg5", avg5), ("ece", ece)] {
            out.metrics.insert(format!("{name}{suffix}"), value);
        }
        out.notes.push(format!("reliability {when}: {}", curve(&ranked.answers)));
    }
    for ([ranks, _], method) in simple.iter().zip(Baseline::ALL) {
        out = out.row(Who::Floor, method.name(), &row(ranks, f64::NAN));
    }
    out = out.row(Who::Floor, "null", &[0.0, 0.0, 0.0, 0.0, f64::NAN]);
    for (name, cells) in peers {
        out = out.row(Who::Peer, name, &[cells[0], cells[1], cells[2], cells[3], f64::NAN]);
    }
    out
}
