//! The proving ground: whole estates, simulated, through the whole engine.
//!
//! `bellwether eval groups causes --simulated 50` plays an estate for each seed, once with a
//! catalogue of which a tenth is wrong, once without any topology and once with two faults at a
//! time, and holds what the engine said against what was done. Rules that other tools use stand in the same tables. The engine
//! has its default settings; the truth is not shown to it.

mod backdrop;
mod causes;
mod groups;
mod play;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use bellwether_datasets::simulation::Noise;
use bellwether_engine::EngineConfig;
use rayon::prelude::*;

use super::report::Outcome;
use crate::config;
use crate::progress;
use backdrop::Backdrop;
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

/// A text that says no seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write how many, like 50, or which, like 1000..1050; {SEEDS_MAX} at most")]
pub struct NoSeeds;

impl FromStr for Seeds {
    type Err = NoSeeds;

    fn from_str(text: &str) -> Result<Seeds, NoSeeds> {
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let range = match text.split_once("..") {
            Some((from, to)) => number(from).zip(number(to)).map(|(from, to)| from..to),
            None => number(text).map(|count| 0..count),
        };
        match range {
            Some(range) if !range.is_empty() && range.end - range.start <= SEEDS_MAX => Ok(Seeds(range)),
            _ => Err(NoSeeds),
        }
    }
}

/// What is made hard for the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    /// A twentieth of the edges is missing, a tenth of the others leads elsewhere.
    TenthWrong,
    /// No edge is known.
    NoTopology,
    /// As the first; and two faults each begin within the same half minute, so that time alone
    /// cannot tell them apart.
    SameMinute,
}

impl Setting {
    const ALL: [Setting; 3] = [Setting::TenthWrong, Setting::NoTopology, Setting::SameMinute];

    fn name(self) -> &'static str {
        match self {
            Setting::TenthWrong => "topology 10 % wrong",
            Setting::NoTopology => "no topology",
            Setting::SameMinute => "two faults at a time",
        }
    }

    fn slug(self) -> &'static str {
        match self {
            Setting::TenthWrong => "topology",
            Setting::NoTopology => "no-topology",
            Setting::SameMinute => "same-minute",
        }
    }

    fn noise(self) -> Noise {
        let noise = Noise { edges_missing: 0.05, edges_wrong: 0.10, tolerant: 0.1, ..Noise::default() };
        match self {
            Setting::TenthWrong | Setting::SameMinute => noise,
            Setting::NoTopology => Noise { edges_missing: 1.0, ..noise },
        }
    }

    /// What is added to the names of its metrics.
    fn suffix(self) -> &'static str {
        match self {
            Setting::TenthWrong => "",
            Setting::NoTopology => "_without_topology",
            Setting::SameMinute => "_two_at_a_time",
        }
    }

    /// How many faults begin together.
    fn together(self) -> usize {
        if self == Setting::SameMinute { 2 } else { 1 }
    }
}

/// Plays every seed and answers a table for each of `tasks` and each setting; leaves
/// `cases-<setting>.ndjson`, a line a fault, in `out`. `backdrop` is the recorded journal of hosts whose metrics
/// are behind each estate.
///
/// # Errors
/// When a task has no simulated form, or `out` cannot be written.
pub fn run(
    tasks: &[String],
    seeds: &Seeds,
    (config, backdrop): (Option<&Path>, Option<&Path>),
    out_dir: Option<&Path>,
) -> Result<Vec<(String, Outcome)>> {
    let config = match config {
        Some(file) => config::load_beside(file)?.engine,
        None => EngineConfig::default(),
    };
    let backdrop = backdrop.map(Backdrop::load).transpose()?;
    let known = ["groups", "causes"];
    if let Some(other) = tasks.iter().find(|task| !known.contains(&task.as_str())) {
        bail!("task `{other}` has no simulated form, only: {}", known.join(", "));
    }
    let wanted = |task: &str| tasks.is_empty() || tasks.iter().any(|t| t == task);
    let mut out = Vec::new();
    for setting in Setting::ALL {
        let played = play_all(seeds, setting, &config, backdrop.as_ref())?;
        if let Some(dir) = out_dir {
            leave_cases(&played, &dir.join(format!("cases-{}.ndjson", setting.slug())))?;
        }
        if wanted("groups") {
            out.push(("groups".to_owned(), groups::outcome(&played, setting, &config)));
        }
        if wanted("causes") {
            out.push(("causes".to_owned(), causes::outcome(&played, setting, &config)));
        }
    }
    Ok(out)
}

fn leave_cases(played: &[Played], path: &Path) -> Result<()> {
    let cases: Vec<String> = causes::cases(played).map(|case| format!("{case}\n")).collect();
    path.parent()
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| std::fs::write(path, cases.concat()))
        .with_context(|| format!("cannot write `{}`", path.display()))
}

fn play_all(
    seeds: &Seeds,
    setting: Setting,
    config: &EngineConfig,
    backdrop: Option<&Backdrop>,
) -> Result<Vec<Played>> {
    let entities = |seed: u64| SIZES[(seed % SIZES.len() as u64) as usize];
    let seeds: Vec<u64> = seeds.0.clone().collect();
    let mut bar = progress::late_bar(Some(seeds.len() as u64), "estates played");
    let mut played = Vec::with_capacity(seeds.len());
    // As many at a time as there are cores, so that the bar moves.
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    for some in seeds.chunks(cores) {
        let some: Result<Vec<Played>> =
            some.par_iter().map(|seed| play(*seed, (entities(*seed), FAULTS), setting, config, backdrop)).collect();
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
        let out = run(&[], &Seeds(5_000..5_004), (None, None), None).expect("both tasks are simulated");
        assert_eq!(out.len(), 6);
        let (task, groups) = &out[0];
        assert_eq!(task, "groups");
        let f1 = |outcome: &Outcome, row: usize| outcome.rows[row].cells[2];
        for rule in 1..groups.rows.len() {
            assert!(f1(groups, 0) > f1(groups, rule), "{} is no better than {}", f1(groups, 0), groups.rows[rule].name);
        }
        assert!(run(&["nab".to_owned()], &Seeds(0..1), (None, None), None).is_err());
    }
}
