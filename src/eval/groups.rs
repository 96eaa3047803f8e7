//! Grouping task: ait. Alerts of a multi-step attack against its phases, after
//! de-duplication by type, host and five minutes.

use super::Bench;
use super::report::{Outcome, Who};
use super::units::{Figure, Units};
use crate::models_cmd::groups::{Method, Row, group_by};
use anyhow::Result;
use bellwether_datasets::public::ait;
use bellwether_models::group::{EpisodeParams, GroupParams};
use bellwether_models::score::groups::{GroupScore, bcubed};
use serde_json::json;
use std::collections::BTreeMap;

/// Repeats of a type on a host within this are one alert.
const REPEAT_SECS: i64 = 300;

/// Groups of the random floor: as many as a 60 s gap would make, roughly.
const RANDOM_GROUPS: u64 = 10;

/// A rule that groups de-duplicated alerts in order of time.
type Rule = fn(&[ait::Alert], &EpisodeParams) -> Vec<u64>;

const RULES: &[(&str, Who, Rule)] = &[
    ("bellwether", Who::Ours, ours),
    ("incremental, by the evidence", Who::Floor, |alerts, _| by(alerts, Method::Evidence)),
    ("DBSCAN over the evidence", Who::Floor, |alerts, _| by(alerts, Method::Dbscan)),
    ("gap of 60 s", Who::Floor, gap),
    ("group by host", Who::Floor, by_host),
    ("group by type", Who::Floor, by_name),
    ("random, ten groups", Who::Floor, random),
    ("null, all in one", Who::Floor, |alerts, _| vec![0; alerts.len()]),
    ("null, each alone", Who::Floor, |alerts, _| (0..alerts.len() as u64).collect()),
];

/// AIT alerts of every scenario in the folder.
///
/// # Errors
/// When the data is absent or broken.
pub fn ait(bench: &Bench) -> Result<Outcome> {
    let scenarios = ait::scenarios(&bench.folder("ait_alerts")?)?;
    let mut sums: Vec<GroupScore> = vec![GroupScore::default(); RULES.len()];
    let mut notes = Vec::new();
    let columns = ["precision", "recall", "f1", "reduction"];
    let mut units = Units::new("scenario", &columns, columns.map(|name| Figure::mean(name, name)).to_vec());
    for (name, path) in &scenarios {
        let (alerts, phases) = firsts(ait::load(path)?, ait::truth(path)?);
        for ((sum, (method, who, rule)), index) in sums.iter_mut().zip(RULES).zip(0..) {
            let score = score(&rule(&alerts, &bench.settings.episodes), &phases);
            units.push(name, method, &[score.precision, score.recall, score.f1, score.reduction]);
            sum.precision += score.precision / scenarios.len() as f64;
            sum.recall += score.recall / scenarios.len() as f64;
            sum.f1 += score.f1 / scenarios.len() as f64;
            sum.reduction += score.reduction / scenarios.len() as f64;
            if index == 0 && *who == Who::Ours {
                notes.push(format!("{name}: F1 {:.3}, {} alerts after de-duplication", score.f1, alerts.len()));
            }
        }
    }
    let mut out = Outcome {
        protocol: format!("AIT-ADS, {} scenarios: alerts of attack phases, mean BCubed", scenarios.len()),
        columns: ["precision", "recall", "F1", "reduction"].map(str::to_owned).to_vec(),
        params: json!({ "episodes": bench.settings.episodes, "evidence": GroupParams::default() }),
        inputs: scenarios.iter().map(|(_, path)| path.clone()).collect(),
        notes,
        units,
        ..Outcome::default()
    };
    for (sum, (name, who, _)) in sums.iter().zip(RULES) {
        out = out.row(*who, name, &[sum.precision, sum.recall, sum.f1, sum.reduction]);
    }
    let ours = sums[0];
    for (name, value) in
        [("f1", ours.f1), ("precision", ours.precision), ("recall", ours.recall), ("reduction", ours.reduction)]
    {
        out.metrics.insert(name.to_owned(), value);
    }
    Ok(out)
}

/// The alerts that are no repeats, in order of time, with their phases.
#[must_use]
pub fn firsts(alerts: Vec<ait::Alert>, phases: Vec<Option<String>>) -> (Vec<ait::Alert>, Vec<Option<String>>) {
    let mut both: Vec<(ait::Alert, Option<String>)> = alerts.into_iter().zip(phases).collect();
    both.sort_by_key(|(alert, _)| alert.at_secs);
    let mut open: BTreeMap<(String, String), i64> = BTreeMap::new();
    both.retain(|(alert, _)| {
        let since = open.entry((alert.name.clone(), alert.host.clone())).or_insert(i64::MIN / 2);
        let first = alert.at_secs - *since >= REPEAT_SECS;
        if first {
            *since = alert.at_secs;
        }
        first
    });
    both.into_iter().unzip()
}

/// BCubed over the alerts of attack phases; the reduction is over all.
#[must_use]
pub fn score(groups: &[u64], phases: &[Option<String>]) -> GroupScore {
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut found, mut truth) = (Vec::new(), Vec::new());
    for (group, phase) in groups.iter().zip(phases) {
        let Some(phase) = phase else { continue };
        let next = numbers.len() as u64;
        truth.push(*numbers.entry(phase).or_insert(next));
        found.push(*group);
    }
    let distinct: std::collections::BTreeSet<u64> = groups.iter().copied().collect();
    let reduction = 1.0 - distinct.len() as f64 / groups.len().max(1) as f64;
    GroupScore { reduction, ..bcubed(&found, &truth) }
}

/// Ours: episodes of alerts, for there is no topology.
pub fn ours(alerts: &[ait::Alert], episodes: &EpisodeParams) -> Vec<u64> {
    group_by(&rows(alerts), None, None, episodes)
}

fn by(alerts: &[ait::Alert], method: Method) -> Vec<u64> {
    group_by(&rows(alerts), None, Some(method), &EpisodeParams::default())
}

fn rows(alerts: &[ait::Alert]) -> Vec<Row> {
    let row = |alert: &ait::Alert| Row {
        time_ns: alert.at_secs.saturating_mul(1_000_000_000),
        kind: alert.name.clone(),
        entity: alert.host.clone(),
        text: String::new(),
    };
    alerts.iter().map(row).collect()
}

fn gap(alerts: &[ait::Alert], _: &EpisodeParams) -> Vec<u64> {
    let mut group = 0;
    let mut last = alerts.first().map_or(0, |alert| alert.at_secs);
    let next = |alert: &ait::Alert| {
        group += u64::from(alert.at_secs - last > 60);
        last = alert.at_secs;
        group
    };
    alerts.iter().map(next).collect()
}

fn by_host(alerts: &[ait::Alert], _: &EpisodeParams) -> Vec<u64> {
    alerts.iter().map(|alert| xxhash_rust::xxh3::xxh3_64(alert.host.as_bytes())).collect()
}

fn by_name(alerts: &[ait::Alert], _: &EpisodeParams) -> Vec<u64> {
    alerts.iter().map(|alert| xxhash_rust::xxh3::xxh3_64(alert.name.as_bytes())).collect()
}

/// Groups by the hash of the place: random, and the same in every run.
fn random(alerts: &[ait::Alert], _: &EpisodeParams) -> Vec<u64> {
    (0..alerts.len() as u64).map(|place| xxhash_rust::xxh3::xxh3_64(&place.to_le_bytes()) % RANDOM_GROUPS).collect()
}
