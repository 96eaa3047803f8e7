//! Causes of a simulated estate: whether the item that was struck, or the change that struck
//! it, leads the list, and how honest the stated confidence is.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_engine::EngineConfig;
use bellwether_engine::incident::ProbableCause;
use bellwether_models::score::causes::{as_at, avg_at_5, calibration_error};
use serde_json::{Value, json};

use super::Setting;
use super::play::{Item, Played};
use crate::eval::causes::curve;
use crate::eval::report::{Outcome, Who};

/// Steps of PageRank: it has converged to the third digit long before.
const STEPS: usize = 50;

/// Share of a walk that goes on at each step, as in the original PageRank.
const GOES_ON: f64 = 0.85;

/// A method that lists the entities of a fault's alerts, the likeliest cause first.
type Method = fn(&[&Item], &Played) -> Vec<String>;

const METHODS: &[(&str, Method)] = &[
    ("first to alert", |items, _| ranked(items, |mine| -(mine.iter().map(|i| i.at.0).min().unwrap_or(0) as f64))),
    ("most alerts", |items, _| ranked(items, |mine| mine.len() as f64)),
    ("PageRank of the true edges", page_rank),
    ("random", |items, _| ranked(items, |mine| xxhash_rust::xxh3::xxh3_64(mine[0].entity.as_bytes()) as f64)),
];

/// The table of one setting.
pub(super) fn outcome(played: &[Played], setting: Setting, config: &EngineConfig) -> Outcome {
    let (mut first, mut last) = (Ranks::default(), Ranks::default());
    let mut methods: Vec<Vec<Option<usize>>> = vec![Vec::new(); METHODS.len()];
    let mut kinds: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for estate in played {
        for (number, fault) in estate.faults.iter().enumerate() {
            let items: Vec<&Item> = estate.of(number).collect();
            // What no tool saw cannot be told by an alert.
            if items.is_empty() {
                continue;
            }
            let right = |id: &str| id == fault.cause || fault.change.as_deref() == Some(id);
            let told = estate.incident_of(number).and_then(|id| estate.incidents.get(id));
            first.add(told.map_or(&[], |told| &told.first), right);
            last.add(told.map_or(&[], |told| &told.last), right);
            let kind = kinds.entry(format!("{:?}", fault.kind)).or_default();
            kind.0 += usize::from(last.ranks.last() == Some(&Some(1)));
            kind.1 += 1;
            for (ranks, (_, method)) in methods.iter_mut().zip(METHODS) {
                let list = method(&items, estate);
                ranks.push(list.iter().position(|entity| *entity == fault.cause).map(|place| place + 1));
            }
        }
    }
    let mut out = Outcome {
        protocol: format!(
            "{} simulated estates, {}: causes of {} faults that tools saw",
            played.len(),
            setting.name(),
            last.ranks.len()
        ),
        columns: ["AS@1", "AS@3", "AS@5", "Avg@5", "ECE", "answered"].map(str::to_owned).to_vec(),
        params: json!({ "diagnose": config.diagnose, "setting": setting.name() }),
        ..Outcome::default()
    };
    for (name, ranks, suffix) in [("first word", &first, "_first"), ("last word", &last, "")] {
        out = out.row(Who::Ours, &format!("bellwether, {name}"), &ranks.cells());
        let suffix = format!("{suffix}{}", setting.suffix());
        let [as1, as3, as5, avg5, ece, _] = ranks.cells();
        for (name, value) in [("as1", as1), ("as3", as3), ("as5", as5), ("avg5", avg5), ("ece", ece)] {
            out.metrics.insert(format!("{name}{suffix}"), value);
        }
    }
    for (ranks, (name, _)) in methods.iter().zip(METHODS) {
        let cells = [as_at(ranks, 1), as_at(ranks, 3), as_at(ranks, 5), avg_at_5(ranks), f64::NAN, 1.0];
        out = out.row(Who::Floor, name, &cells);
    }
    out = out.row(Who::Floor, "null", &[0.0, 0.0, 0.0, 0.0, f64::NAN, 0.0]);
    for (name, ranks) in [("first word", &first), ("last word", &last)] {
        out.notes.push(format!("reliability of the {name}: {}", curve(&ranks.answers)));
    }
    let kinds: Vec<String> = kinds.iter().map(|(kind, (hit, all))| format!("{kind} {hit}/{all}")).collect();
    out.notes.push(format!("first in the last word, by kind: {}", kinds.join(", ")));
    out
}

/// One document a fault: what was done, what alerted, what was told. For whoever asks why a
/// figure is what it is.
pub(super) fn cases(played: &[Played]) -> impl Iterator<Item = Value> {
    played.iter().flat_map(|estate| (0..estate.faults.len()).map(move |number| case(estate, number)))
}

fn case(estate: &Played, number: usize) -> Value {
    let fault = &estate.faults[number];
    let incident = estate.incident_of(number);
    let told = incident.and_then(|id| estate.incidents.get(id));
    let list = |causes: &[ProbableCause]| -> Vec<Value> {
        causes.iter().map(|cause| json!([cause.reference, cause.score, cause.explanation])).collect()
    };
    let alert = |item: &Item| {
        let secs = item.at.since(fault.starts_at).as_secs_f64();
        json!([secs, item.entity, item.name, item.home == incident.map(str::to_owned)])
    };
    json!({
        "seed": estate.seed,
        "fault": fault.id,
        "kind": format!("{:?}", fault.kind),
        "cause": fault.cause,
        "change": fault.change,
        "at": fault.starts_at.to_string(),
        "incident": incident,
        "first": told.map(|told| list(&told.first)),
        "last": told.map(|told| list(&told.last)),
        "alerts": estate.of(number).map(alert).collect::<Vec<_>>(),
        "others_in_incident": estate.items.iter().filter(|item| {
            item.fault != Some(number) && item.home.is_some() && item.home.as_deref() == incident
        }).map(|item| json!([item.entity, item.name, item.fault])).collect::<Vec<_>>(),
    })
}

/// Places of the true cause, and answers with their confidence.
#[derive(Debug, Default)]
struct Ranks {
    ranks: Vec<Option<usize>>,
    answers: Vec<(f64, bool)>,
}

impl Ranks {
    fn add(&mut self, causes: &[ProbableCause], right: impl Fn(&str) -> bool) {
        // A change and the item it changed are one answer: they take one place.
        let mut places: Vec<(&str, bool)> = Vec::new();
        for cause in causes {
            let entity = cause.entity.as_ref().map_or(cause.reference.as_str(), |entity| &entity.id);
            let hit = right(&cause.reference) || right(entity);
            match places.iter_mut().find(|(known, _)| *known == entity) {
                Some(place) => place.1 |= hit,
                None => places.push((entity, hit)),
            }
        }
        self.ranks.push(places.iter().position(|(_, hit)| *hit).map(|place| place + 1));
        if let (Some(cause), Some((_, hit))) = (causes.first(), places.first()) {
            self.answers.push((cause.score, *hit));
        }
    }

    fn cells(&self) -> [f64; 6] {
        let ranks = &self.ranks;
        let answered = self.answers.len() as f64 / ranks.len().max(1) as f64;
        let ece = calibration_error(&self.answers);
        [as_at(ranks, 1), as_at(ranks, 3), as_at(ranks, 5), avg_at_5(ranks), ece, answered]
    }
}

/// Entities by what their alerts are worth, the highest first.
fn ranked(items: &[&Item], worth: impl Fn(&[&Item]) -> f64) -> Vec<String> {
    let mut by_entity: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in items {
        by_entity.entry(&item.entity).or_default().push(item);
    }
    let mut list: Vec<(f64, &str)> = by_entity.iter().map(|(entity, mine)| (worth(mine), *entity)).collect();
    list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    list.into_iter().map(|(_, entity)| entity.to_owned()).collect()
}

/// A walk from what alerts along what it depends on.
fn page_rank(items: &[&Item], estate: &Played) -> Vec<String> {
    let alerting: BTreeSet<&str> = items.iter().map(|item| item.entity.as_str()).collect();
    let mut out: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in &estate.edges {
        out.entry(from).or_default().push(to);
    }
    let start = 1.0 / alerting.len().max(1) as f64;
    let mut mass: BTreeMap<&str, f64> = alerting.iter().map(|entity| (*entity, start)).collect();
    for _ in 0..STEPS {
        let mut next: BTreeMap<&str, f64> = BTreeMap::new();
        let mut restart = 0.0;
        for (entity, share) in &mass {
            match out.get(entity) {
                Some(ends) => {
                    restart += share * (1.0 - GOES_ON);
                    for end in ends {
                        *next.entry(end).or_default() += share * GOES_ON / ends.len() as f64;
                    }
                }
                None => restart += share,
            }
        }
        for entity in &alerting {
            *next.entry(entity).or_default() += restart * start;
        }
        mass = next;
    }
    let mut list: Vec<(f64, &str)> = mass.into_iter().map(|(entity, share)| (share, entity)).collect();
    list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    list.into_iter().map(|(_, entity)| entity.to_owned()).collect()
}
