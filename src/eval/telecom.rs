//! Root task: telecom. Sets of alarm types against the type at their root, and
//! the causal graph of types against what experts know of it, both from what
//! the alarms and the links of their devices teach by themselves.
//!
//! The sets carry neither times nor single alarms, so grouping has no truth
//! here. Answers (`rca_prior.csv`, the graphs) are read after learning.

use super::Bench;
use super::methods::OURS;
use super::report::{Outcome, Who};
use super::units::{Figure, Units};
use crate::models_cmd::topology::Topology;
use anyhow::{Result, bail};
use bellwether_datasets::public::{Matrix, telecom};
use bellwether_models::group::{NoTopology, Occurrence, Precedence};
use bellwether_models::score::causes::{as_at, avg_at_5};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Steps and share of PageRank that go on, as in the original.
const STEPS: usize = 50;
const DAMPING: f64 = 0.85;

/// A type opens trouble where its entity was silent for this long.
const SILENCE_NS: i64 = 45_000_000_000;

/// What one folder teaches, before any answer is read.
struct Taught {
    /// By the links of devices.
    learned: Precedence,
    /// The same if every device stood alone.
    alone: Precedence,
    /// Alarms of each type, and how many of them opened trouble on their device.
    counts: BTreeMap<u32, (f64, f64)>,
}

/// A score of a type as a root: higher is likelier.
type Score = fn(&Taught, u32) -> f64;

const METHODS: &[(&str, Who, Score)] = &[
    (OURS, Who::Ours, |taught, kind| -taught.learned.explained(kind).unwrap_or(f64::INFINITY)),
    ("the same without links of devices", Who::Floor, |taught, kind| {
        -taught.alone.explained(kind).unwrap_or(f64::INFINITY)
    }),
    ("PageRank of the learned graph", Who::Floor, |taught, kind| page_rank(&taught.learned, kind)),
    ("first to alert", Who::Floor, |taught, kind| {
        taught.counts.get(&kind).map_or(f64::NEG_INFINITY, |(all, first)| first / all)
    }),
    ("most frequent", Who::Floor, |taught, kind| taught.counts.get(&kind).map_or(0.0, |(all, _)| *all)),
    ("rarest", Who::Floor, |taught, kind| taught.counts.get(&kind).map_or(f64::NEG_INFINITY, |(all, _)| -all)),
    ("random", Who::Floor, |_, kind| xxhash_rust::xxh3::xxh3_64(&kind.to_le_bytes()) as f64),
];

/// Telecom alarms of every folder.
///
/// # Errors
/// When the data is absent or broken.
pub fn telecom(bench: &Bench) -> Result<Outcome> {
    let folders = telecom::folders(&bench.folder("telecom_alarms")?)?;
    if folders.is_empty() {
        bail!("no folder with an `alarm.csv` in `{}`", bench.data.join("telecom_alarms").display());
    }
    let columns = ["as1", "as3", "as5", "avg5"];
    let mut units = Units::new("set", &columns, columns.map(|name| Figure::mean(name, name)).to_vec());
    let mut ranks: Vec<Vec<Option<usize>>> = vec![Vec::new(); METHODS.len()];
    let (mut notes, mut metrics) = (Vec::new(), BTreeMap::new());
    for folder in &folders {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let taught = teach(bench, folder, &name, &mut notes)?;
        let sets = telecom::truth(folder)?;
        let from = ranks[0].len();
        for (row, (set, root)) in sets.iter().enumerate() {
            for ((method, _, score), ranks) in METHODS.iter().zip(&mut ranks) {
                let rank = place(set, *root, |kind| score(&taught, kind));
                units.push(&format!("{name} {row}"), method, &figures(&[rank]));
                ranks.push(rank);
            }
        }
        let [as1, as3, as5, _] = figures(&ranks[0][from..]);
        match sets.len() {
            0 => notes.push(format!("{name}: no sets with a root")),
            sets => notes.push(format!("{name}: {sets} sets, AS@1 {as1:.3}, AS@3 {as3:.3}, AS@5 {as5:.3}")),
        }
        if let Some(graph) = telecom::graph(folder)? {
            judge_graph(&name, &taught, &graph, &mut notes, &mut metrics);
        }
    }
    let ours = figures(&ranks[0]);
    metrics.extend(columns.iter().zip(ours).map(|(name, value)| ((*name).to_owned(), value)));
    let mut out = Outcome {
        protocol: format!("Telecom alarms: root type of {} sets, learned from the alarms alone", ranks[0].len()),
        columns: ["AS@1", "AS@3", "AS@5", "Avg@5"].map(str::to_owned).to_vec(),
        params: json!({ "precedence": bench.settings.precedence }),
        inputs: folders.iter().map(|folder| alarm_file(folder)).collect(),
        notes,
        metrics,
        units,
        ..Outcome::default()
    };
    for ((name, who, _), ranks) in METHODS.iter().zip(&ranks) {
        out = out.row(*who, name, &figures(ranks));
    }
    Ok(out.row(Who::Floor, "null", &[0.0; 4]))
}

fn figures(ranks: &[Option<usize>]) -> [f64; 4] {
    [as_at(ranks, 1), as_at(ranks, 3), as_at(ranks, 5), avg_at_5(ranks)]
}

fn alarm_file(folder: &Path) -> PathBuf {
    ["alarm.csv", "alarm.csv.gz"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_default()
}

fn teach(bench: &Bench, folder: &Path, name: &str, notes: &mut Vec<String>) -> Result<Taught> {
    let mut history: Vec<(Occurrence, String)> = telecom::alarms(folder)?
        .into_iter()
        .filter(|alarm| alarm.start_secs.is_finite())
        .map(|alarm| {
            let time_ns = (alarm.start_secs * 1e9) as i64;
            (Occurrence { time_ns, kind: alarm.kind, entity: 0 }, alarm.device.to_string())
        })
        .collect();
    history.sort_by(|a, b| (a.0.time_ns, a.0.kind, &a.1).cmp(&(b.0.time_ns, b.0.kind, &b.1)));
    let links = telecom::topology(folder)?;
    let mut topology = links.as_ref().map(Topology::from_matrix).unwrap_or_default();
    for (alarm, device) in &mut history {
        alarm.entity = topology.number(device);
    }
    let history: Vec<Occurrence> = history.into_iter().map(|(alarm, _)| alarm).collect();
    let params = &bench.settings.precedence;
    let taught = Taught {
        learned: Precedence::learn(params, &history, &topology),
        alone: Precedence::learn(params, &history, &NoTopology),
        counts: openings(&history),
    };
    let devices = if links.is_some() { "devices with their links" } else { "no topology.npy: devices stand alone" };
    notes.push(format!("{name}: {} alarms of {} types; {devices}", history.len(), taught.counts.len()));
    Ok(taught)
}

/// Alarms of each type, and how many of them came after silence on their entity.
fn openings(history: &[Occurrence]) -> BTreeMap<u32, (f64, f64)> {
    let mut last: HashMap<u32, i64> = HashMap::new();
    let mut out: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for alarm in history {
        let before = last.insert(alarm.entity, alarm.time_ns);
        let opens = before.is_none_or(|before| alarm.time_ns - before >= SILENCE_NS);
        let (all, first) = out.entry(alarm.kind).or_default();
        *all += 1.0;
        *first += f64::from(u8::from(opens));
    }
    out
}

/// Place of the root among its set, from 1; ties in order of the type.
fn place(set: &[u32], root: u32, score: impl Fn(u32) -> f64) -> Option<usize> {
    let mut scored: Vec<(f64, u32)> = set.iter().map(|kind| (score(*kind), *kind)).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.iter().position(|(_, kind)| *kind == root).map(|at| at + 1)
}

/// PageRank of a type, walking from what is explained to what explains it.
fn page_rank(learned: &Precedence, kind: u32) -> f64 {
    let kinds = learned.kinds();
    let Ok(wanted) = kinds.binary_search(&kind) else { return f64::NEG_INFINITY };
    let back: Vec<Vec<f64>> = kinds
        .iter()
        .map(|to| {
            let share = |from: &u32| learned.link(*from, *to).map_or(0.0, |link| link.share.max(0.0));
            let row: Vec<f64> = kinds.iter().map(share).collect();
            let sum: f64 = row.iter().sum::<f64>().max(1e-12);
            row.into_iter().map(|share| share / sum).collect()
        })
        .collect();
    let mut rank = vec![1.0 / kinds.len() as f64; kinds.len()];
    for _ in 0..STEPS {
        let mut next = vec![(1.0 - DAMPING) / kinds.len() as f64; kinds.len()];
        for (row, mass) in back.iter().zip(&rank) {
            next.iter_mut().zip(row).for_each(|(sum, share)| *sum += DAMPING * mass * share);
        }
        rank = next;
    }
    rank[wanted]
}

/// Average precision of the learned links, by surprise, over the cells of the
/// graph that are known; beside it the share of edges among those cells, which
/// is what chance reaches.
fn judge_graph(
    name: &str,
    taught: &Taught,
    graph: &Matrix,
    notes: &mut Vec<String>,
    metrics: &mut BTreeMap<String, f64>,
) {
    let precision = |learned: &Precedence| {
        let mut cells = Vec::new();
        for (from, to) in (0..graph.rows).flat_map(|from| (0..graph.columns).map(move |to| (from, to))) {
            let known = graph.at(from, to);
            if from != to && known >= 0.0 {
                let score = learned.link(from as u32, to as u32).map_or(f64::NEG_INFINITY, |link| link.surprise);
                cells.push((score, from, to, known > 0.0));
            }
        }
        cells.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        average_precision(cells.iter().map(|cell| cell.3))
    };
    let Some((ours, edges, cells)) = precision(&taught.learned) else { return };
    let alone = precision(&taught.alone).map_or(f64::NAN, |(value, _, _)| value);
    let chance = edges as f64 / cells as f64;
    notes.push(format!(
        "{name}: {edges} edges among {cells} known pairs of types, average precision {ours:.3}, \
         without links of devices {alone:.3}, by chance {chance:.3}"
    ));
    metrics.insert(format!("graph_ap_{name}"), ours);
}

/// Average precision of yes and no in ranked order, with the number of yes and of all; `None`
/// where there is no yes.
fn average_precision(ranked: impl Iterator<Item = bool>) -> Option<(f64, usize, usize)> {
    let (mut hits, mut all, mut sum) = (0_usize, 0_usize, 0.0);
    for right in ranked {
        all += 1;
        if right {
            hits += 1;
            sum += hits as f64 / all as f64;
        }
    }
    (hits > 0).then(|| (sum / hits as f64, hits, all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn average_precision_by_hand() {
        let (value, hits, all) = average_precision([true, false, true].into_iter()).expect("there are hits");
        assert!((value - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert_eq!((hits, all), (2, 3));
        assert!(average_precision([false].into_iter()).is_none());
    }

    #[test]
    fn the_place_of_a_root_counts_from_one_and_an_absent_one_has_none() {
        assert_eq!(place(&[4, 7, 9], 7, f64::from), Some(2));
        assert_eq!(place(&[4, 7, 9], 5, f64::from), None);
        assert_eq!(place(&[9, 4], 4, |_| 0.0), Some(1), "ties in order of the type");
    }

    #[test]
    fn a_folder_without_topology_and_answers_is_said_plainly() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let set = folder.path().join("telecom_alarms/dataset4");
        std::fs::create_dir_all(&set).expect("temporary folder");
        let alarms = "alarm_id,device_id,start_timestamp,end_timestamp\n0,1,5,9\n1,1,9,20\n";
        std::fs::write(set.join("alarm.csv"), alarms).expect("writes");
        let data = folder.path().to_path_buf();
        let bench = Bench { data, out: None, settings: Default::default(), perturbed: false, own: false };
        let outcome = telecom(&bench).expect("evaluates");
        let notes = outcome.notes.join("\n");
        assert!(notes.contains("2 alarms of 2 types; no topology.npy") && notes.contains("no sets"), "{notes}");
    }
}
