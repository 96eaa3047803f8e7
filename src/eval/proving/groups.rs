//! Groups of a simulated estate: BCubed after de-duplication, how much shorter the list became,
//! how soon the first word came, and how steady the groups were.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_engine::EngineConfig;
use bellwether_models::score::groups::{GroupScore, bcubed_among_noise};
use serde_json::json;

use super::Setting;
use super::play::{Item, Played};
use crate::eval::report::{Outcome, Who};

/// A rule that gives each item of an estate, in order of time, a group.
type Rule = fn(&[Item]) -> Vec<u64>;

/// Alertmanager's `group_by`: a group ends when nothing has come for its `group_interval`.
const GROUP_INTERVAL_SECS: f64 = 300.0;

const RULES: &[(&str, Rule)] = &[
    ("group_by alertname", |items| keyed(items, |item| item.name.clone(), GROUP_INTERVAL_SECS)),
    ("gap of 60 s", |items| keyed(items, |_| String::new(), 60.0)),
    ("group by host", |items| keyed(items, |item| item.entity.clone(), f64::INFINITY)),
    ("group by service", |items| keyed(items, |item| service(&item.entity), GROUP_INTERVAL_SECS)),
    ("null, all in one", |items| vec![0; items.len()]),
    ("null, each alone", |items| (0..items.len() as u64).collect()),
    ("random, five groups", |items| {
        (0..items.len() as u64).map(|i| xxhash_rust::xxh3::xxh3_64(&i.to_le_bytes()) % 5).collect()
    }),
];

/// The service an entity's name begins with: `pod:checkout-7d9f-x2` belongs to `checkout`.
fn service(entity: &str) -> String {
    let name = entity.split_once(':').map_or(entity, |(_, name)| name);
    name.split(['-', '.', '/']).next().unwrap_or(name).to_owned()
}

/// Items with one key and no gap longer than `gap` between them are one group.
fn keyed(items: &[Item], key: impl Fn(&Item) -> String, gap: f64) -> Vec<u64> {
    let mut open: BTreeMap<(String, String), (u64, i64)> = BTreeMap::new();
    let mut next = 0;
    let place = |item: &Item| {
        let entry = open.entry((item.tenant.clone(), key(item))).or_insert((u64::MAX, i64::MIN / 2));
        if (item.at.0 - entry.1) as f64 / 1e9 > gap || entry.0 == u64::MAX {
            entry.0 = next;
            next += 1;
        }
        entry.1 = item.at.0;
        entry.0
    };
    items.iter().map(place).collect()
}

/// The table of one setting.
pub(super) fn outcome(played: &[Played], setting: Setting, config: &EngineConfig) -> Outcome {
    let mut ours = Mean::default();
    let mut rules = vec![Mean::default(); RULES.len()];
    let (mut delays, mut moved, mut judged, mut unseen) = (Vec::new(), 0, 0, 0);
    for estate in played {
        let truth: Vec<Option<u64>> = estate.items.iter().map(|item| item.fault.map(|f| f as u64)).collect();
        let tickets = estate.incidents.values().filter(|told| told.merged_into.is_none()).count();
        ours.add(bcubed_among_noise(&homes(&estate.items), &truth), tickets, estate.notifications);
        for (mean, (_, rule)) in rules.iter_mut().zip(RULES) {
            let groups = rule(&estate.items);
            let tickets = groups.iter().collect::<BTreeSet<_>>().len();
            mean.add(bcubed_among_noise(&groups, &truth), tickets, estate.notifications);
        }
        moved += estate.moved;
        judged += estate.items.len();
        for fault in 0..estate.faults.len() {
            let Some(first) = estate.of(fault).map(|item| item.at).min() else { continue };
            let told = estate.incident_of(fault).and_then(|id| estate.incidents.get(id)?.first_at);
            match told {
                // An incident that was there before the fault is no news of it.
                Some(at) => delays.push(at.since(first).as_secs_f64().max(0.0)),
                None => unseen += 1,
            }
        }
    }
    delays.sort_by(f64::total_cmp);
    let median = delays.get(delays.len() / 2).copied().unwrap_or(f64::NAN);
    let protocol = format!("{} simulated estates, {}: mean BCubed of faults' alerts", played.len(), setting.name());
    let mut out = Outcome {
        protocol,
        columns: ["precision", "recall", "F1", "reduction", "tickets"].map(str::to_owned).to_vec(),
        params: json!({ "correlate": config.correlate, "setting": setting.name() }),
        notes: vec![
            format!("first word {median:.0} s after the first alert in the median; {unseen} faults with alerts untold"),
            format!("{moved} of {judged} alerts went to another incident without a merge"),
        ],
        ..Outcome::default()
    };
    out = out.row(Who::Ours, "bellwether", &ours.cells());
    for (mean, (name, _)) in rules.iter().zip(RULES) {
        out = out.row(Who::Floor, name, &mean.cells());
    }
    let [precision, recall, f1, reduction, _] = ours.cells();
    let suffix = setting.suffix();
    for (name, value) in [("precision", precision), ("recall", recall), ("f1", f1), ("reduction", reduction)] {
        out.metrics.insert(format!("{name}{suffix}"), value);
    }
    out
}

/// Groups of the engine: an alert that was told in no incident is alone.
fn homes(items: &[Item]) -> Vec<u64> {
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    let mut next = 0;
    let mut fresh = || {
        next += 1;
        next
    };
    items
        .iter()
        .map(|item| match &item.home {
            Some(home) => *numbers.entry(home).or_insert_with(&mut fresh),
            None => fresh(),
        })
        .collect()
}

/// Means over estates.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    precision: f64,
    recall: f64,
    reduction: f64,
    tickets: f64,
    estates: f64,
}

impl Mean {
    fn add(&mut self, score: GroupScore, tickets: usize, notifications: usize) {
        self.precision += score.precision;
        self.recall += score.recall;
        self.reduction += 1.0 - tickets as f64 / notifications.max(1) as f64;
        self.tickets += tickets as f64;
        self.estates += 1.0;
    }

    /// Precision, recall, their harmonic mean, reduction and tickets of an estate.
    fn cells(&self) -> [f64; 5] {
        let [precision, recall] = [self.precision, self.recall].map(|sum| sum / self.estates.max(1.0));
        let f1 = 2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE);
        let [reduction, tickets] = [self.reduction, self.tickets].map(|sum| sum / self.estates.max(1.0));
        [precision, recall, f1, reduction, tickets]
    }
}
