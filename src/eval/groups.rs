//! Grouping: alerts against the groups they belong to, after de-duplication by
//! type, entity and five minutes. The task `ait` plays the alerts of a
//! multi-step attack against its phases.

use super::Bench;
use super::report::{Outcome, Who};
use super::settings::Settings;
use super::units::{Figure, Units};
use crate::models_cmd::groups::{Method, Row, group_by};
use crate::models_cmd::topology::Topology;
use anyhow::Result;
use bellwether_datasets::public::ait;
use bellwether_models::score::groups::{GroupScore, bcubed};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Repeats of a type on an entity within this are one alert.
const REPEAT_NS: i64 = 300_000_000_000;

/// Groups of the random floor: as many as a 60 s gap would make, roughly.
const RANDOM_GROUPS: u64 = 10;

/// Alerts with the groups they belong to.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What tells it from the others.
    pub name: String,
    /// Every alert.
    pub alerts: Vec<Row>,
    /// The group of each; `None` where it belongs to none.
    pub groups: Vec<Option<String>>,
    /// Who depends on whom, where that is known.
    pub topology: Option<Topology>,
    /// The file.
    pub path: PathBuf,
}

/// A rule that groups de-duplicated alerts in order of time.
type Rule = fn(&Scenario, &Settings) -> Vec<u64>;

const RULES: &[(&str, Who, Rule)] = &[
    ("bellwether", Who::Ours, ours),
    ("incremental, by the evidence", Who::Floor, |scenario, _| by(scenario, Method::Evidence)),
    ("DBSCAN over the evidence", Who::Floor, |scenario, _| by(scenario, Method::Dbscan)),
    ("gap of 60 s", Who::Floor, gap),
    ("group by host", Who::Floor, by_host),
    ("group by type", Who::Floor, by_name),
    ("random, ten groups", Who::Floor, random),
    ("null, all in one", Who::Floor, |scenario, _| vec![0; scenario.alerts.len()]),
    ("null, each alone", Who::Floor, |scenario, _| (0..scenario.alerts.len() as u64).collect()),
];

/// AIT alerts of every scenario in the folder.
///
/// # Errors
/// When the data is absent or broken.
pub fn ait(bench: &Bench) -> Result<Outcome> {
    grouping(bench, "AIT-ADS, alerts of attack phases", &ait_scenarios(bench)?)
}

/// The scenarios of AIT-ADS.
///
/// # Errors
/// When the data is absent or broken.
pub fn ait_scenarios(bench: &Bench) -> Result<Vec<Scenario>> {
    let row = |alert: ait::Alert| Row {
        time_ns: alert.at_secs.saturating_mul(1_000_000_000),
        kind: alert.name,
        entity: alert.host,
        text: String::new(),
    };
    let scenario = |(name, path): (String, PathBuf)| {
        let (alerts, groups) = (ait::load(&path)?.into_iter().map(row).collect(), ait::truth(&path)?);
        Ok(Scenario { name, alerts, groups, topology: None, path })
    };
    ait::scenarios(&bench.folder("ait_alerts")?)?.into_iter().map(scenario).collect()
}

/// Ours, rules that other tools use and floors on every scenario.
///
/// # Errors
/// When the parameters are no JSON.
pub(super) fn grouping(bench: &Bench, protocol: &str, scenarios: &[Scenario]) -> Result<Outcome> {
    let mut sums: Vec<GroupScore> = vec![GroupScore::default(); RULES.len()];
    let mut notes = Vec::new();
    let columns = ["precision", "recall", "f1", "reduction"];
    let mut units = Units::new("scenario", &columns, columns.map(|name| Figure::mean(name, name)).to_vec());
    for scenario in scenarios {
        let judged = firsts(scenario);
        for ((sum, (method, who, rule)), index) in sums.iter_mut().zip(RULES).zip(0..) {
            let score = score(&rule(&judged, &bench.settings), &judged.groups);
            units.push(&judged.name, method, &[score.precision, score.recall, score.f1, score.reduction]);
            sum.precision += score.precision / scenarios.len() as f64;
            sum.recall += score.recall / scenarios.len() as f64;
            sum.f1 += score.f1 / scenarios.len() as f64;
            sum.reduction += score.reduction / scenarios.len() as f64;
            if index == 0 && *who == Who::Ours {
                let alerts = judged.alerts.len();
                notes.push(format!("{}: F1 {:.3}, {alerts} alerts after de-duplication", judged.name, score.f1));
            }
        }
    }
    let settings = &bench.settings;
    let mut out = Outcome {
        protocol: format!("{protocol}, {} scenarios, mean BCubed after de-duplication", scenarios.len()),
        columns: ["precision", "recall", "F1", "reduction"].map(str::to_owned).to_vec(),
        params: json!({ "episodes": settings.episodes, "evidence": settings.correlate.params() }),
        inputs: scenarios.iter().map(|scenario| scenario.path.clone()).collect(),
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

/// The alerts that are no repeats, in order of time, with their groups.
#[must_use]
pub fn firsts(scenario: &Scenario) -> Scenario {
    let mut both: Vec<(&Row, &Option<String>)> = scenario.alerts.iter().zip(&scenario.groups).collect();
    both.sort_by_key(|(alert, _)| alert.time_ns);
    let mut open: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    both.retain(|(alert, _)| {
        let since = open.entry((&alert.kind, &alert.entity)).or_insert(i64::MIN / 2);
        let first = alert.time_ns.saturating_sub(*since) >= REPEAT_NS;
        if first {
            *since = alert.time_ns;
        }
        first
    });
    let (alerts, groups) = both.into_iter().map(|(alert, group)| (alert.clone(), group.clone())).unzip();
    Scenario { alerts, groups, ..scenario.clone() }
}

/// BCubed over the alerts that belong to a group; the reduction is over all.
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

/// Ours: by the evidence with a topology or where alerts seldom recur, else episodes.
pub fn ours(scenario: &Scenario, settings: &Settings) -> Vec<u64> {
    let evidence = settings.correlate.params();
    group_by(&scenario.alerts, scenario.topology.clone(), None, &settings.episodes, &evidence)
}

fn by(scenario: &Scenario, method: Method) -> Vec<u64> {
    let usual = Settings::default();
    let evidence = usual.correlate.params();
    group_by(&scenario.alerts, scenario.topology.clone(), Some(method), &usual.episodes, &evidence)
}

fn gap(scenario: &Scenario, _: &Settings) -> Vec<u64> {
    let mut group = 0;
    let mut last = scenario.alerts.first().map_or(0, |alert| alert.time_ns);
    let next = |alert: &Row| {
        group += u64::from(alert.time_ns.saturating_sub(last) > GAP_NS);
        last = alert.time_ns;
        group
    };
    scenario.alerts.iter().map(next).collect()
}

/// The gap of the rule of that name.
const GAP_NS: i64 = 60_000_000_000;

fn by_host(scenario: &Scenario, _: &Settings) -> Vec<u64> {
    scenario.alerts.iter().map(|alert| xxhash_rust::xxh3::xxh3_64(alert.entity.as_bytes())).collect()
}

fn by_name(scenario: &Scenario, _: &Settings) -> Vec<u64> {
    scenario.alerts.iter().map(|alert| xxhash_rust::xxh3::xxh3_64(alert.kind.as_bytes())).collect()
}

/// Groups by the hash of the place: random, and the same in every run.
fn random(scenario: &Scenario, _: &Settings) -> Vec<u64> {
    let places = 0..scenario.alerts.len() as u64;
    places.map(|place| xxhash_rust::xxh3::xxh3_64(&place.to_le_bytes()) % RANDOM_GROUPS).collect()
}
