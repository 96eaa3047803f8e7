//! The proving ground: whole estates, simulated, through the whole engine.
//!
//! `bellwether eval groups causes --simulated 50` plays an estate for each seed, once with a
//! catalogue of which a tenth is wrong and once without any topology, and holds what the engine
//! said against what was done. Rules that other tools use stand in the same tables. The engine
//! has its default settings; the truth is not shown to it.

mod causes;
mod groups;
mod play;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::str::FromStr;

use anyhow::{Result, bail};
use bellwether_datasets::simulation::Noise;
use rayon::prelude::*;

use super::report::Outcome;
use crate::progress;
use play::{Played, play};

/// Faults in an estate.
const FAULTS: usize = 5;

/// Sizes of estates; seeds take turns.
const SIZES: [usize; 5] = [60, 120, 200, 350, 600];

/// The seeds of estates: `50` is 0 to 49, `1000..1050` says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Range<u64>);

/// More estates than this are a mistake of typing.
const SEEDS_MAX: u64 = 10_000;

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Seeds, String> {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let range = match text.split_once("..") {
            Some((from, to)) => number(from).zip(number(to)).map(|(from, to)| from..to),
            None => number(text).map(|count| 0..count),
        };
        match range {
            Some(range) if !range.is_empty() && range.end - range.start <= SEEDS_MAX => Ok(Seeds(range)),
            _ => Err(format!("write how many, like 50, or which, like 1000..1050; {SEEDS_MAX} at most")),
        }
    }
}

/// What the engine knows of how things hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topology {
    /// A twentieth of the edges is missing, a tenth of the others leads elsewhere.
    TenthWrong,
    /// Nothing is known.
    None,
}

impl Topology {
    const ALL: [Topology; 2] = [Topology::TenthWrong, Topology::None];

    fn name(self) -> &'static str {
        match self {
            Topology::TenthWrong => "topology 10 % wrong",
            Topology::None => "no topology",
        }
    }

    fn noise(self) -> Noise {
        let noise = Noise { edges_missing: 0.05, edges_wrong: 0.10, tolerant: 0.1, ..Noise::default() };
        match self {
            Topology::TenthWrong => noise,
            Topology::None => Noise { edges_missing: 1.0, ..noise },
        }
    }
}

/// Plays every seed and answers a table for each of `tasks` and each topology.
///
/// # Errors
/// When a task has no simulated form.
pub fn run(tasks: &[String], seeds: &Seeds) -> Result<Vec<(String, Outcome)>> {
    let known = ["groups", "causes"];
    if let Some(other) = tasks.iter().find(|task| !known.contains(&task.as_str())) {
        bail!("task `{other}` has no simulated form, only: {}", known.join(", "));
    }
    let wanted = |task: &str| tasks.is_empty() || tasks.iter().any(|t| t == task);
    let mut out = Vec::new();
    for topology in Topology::ALL {
        let played = play_all(seeds, topology)?;
        if wanted("groups") {
            out.push(("groups".to_owned(), groups::outcome(&played, topology)));
        }
        if wanted("causes") {
            out.push(("causes".to_owned(), causes::outcome(&played, topology)));
        }
    }
    Ok(out)
}

fn play_all(seeds: &Seeds, topology: Topology) -> Result<Vec<Played>> {
    let seeds: Vec<u64> = seeds.0.clone().collect();
    let mut bar = progress::late_bar(Some(seeds.len() as u64), "estates played");
    let mut played = Vec::with_capacity(seeds.len());
    // As many at a time as there are cores, so that the bar moves.
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    for some in seeds.chunks(cores) {
        let some: Result<Vec<Played>> = some
            .par_iter()
            .map(|seed| play(*seed, SIZES[(*seed % SIZES.len() as u64) as usize], FAULTS, topology.noise()))
            .collect();
        let some = some?;
        bar.add(some.len() as u64);
        played.extend(some);
    }
    bar.finish();
    Ok(played)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_count_or_a_range() {
        assert_eq!("50".parse(), Ok(Seeds(0..50)));
        assert_eq!("1000..1050".parse(), Ok(Seeds(1000..1050)));
        for wrong in ["", "x", "5..5", "9..2", "1..99999999"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_engine_beats_the_rules_on_a_few_small_estates() {
        let out = run(&[], &Seeds(5_000..5_004)).expect("both tasks are simulated");
        assert_eq!(out.len(), 4);
        let (task, groups) = &out[0];
        assert_eq!(task, "groups");
        let f1 = |outcome: &Outcome, row: usize| outcome.rows[row].cells[2];
        for rule in 1..groups.rows.len() {
            assert!(f1(groups, 0) > f1(groups, rule), "{} is no better than {}", f1(groups, 0), groups.rows[rule].name);
        }
        assert!(run(&["nab".to_owned()], &Seeds(0..1)).is_err());
    }
}
