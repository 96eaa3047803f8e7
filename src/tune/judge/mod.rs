//! How a trial is judged: for each task, its figures on every split.
//!
//! Rows are cut into one block more than there are splits, all of one length.
//! Split `k` is block `k + 1`; the blocks before it are what may be learnt
//! from: the threshold of `nab`, `kpi`, `wsd` and `ms` is the best there.
//! Models learn online in any case, and never from what comes later. `ucr` has
//! one anomaly per series and nothing to choose: its splits are stretches of
//! series in order of name, as those of the cause tasks are of cases.

mod metric;
mod units;

use crate::eval::Bench;
use crate::eval::causes::faults;
use crate::eval::groups::ait_scenarios;
use crate::eval::metric::ms_halves;
use crate::eval::own;
use crate::eval::own::feedback::Said;
use crate::eval::settings::Settings;
use crate::eval::templates::sets;
use crate::eval::units::Better;
use crate::exit::UsageError;
use anyhow::Result;
use bellwether_datasets::public::{asd, exhaustion, kpi, nab, smd, ucr, wsd};
use std::ops::Range;
use std::path::PathBuf;

/// Figures of a trial: one list per split, one entry per figure; NaN where a
/// split defines none.
pub(super) type Figures = Vec<Vec<f64>>;

/// Judges settings on the splits of a task.
pub(super) struct Judge {
    /// Names of the figures, and which way is better.
    pub(super) figures: Vec<(String, Better)>,
    /// What the splits are, in words.
    pub(super) splits_are: String,
    /// Files read.
    pub(super) inputs: Vec<PathBuf>,
    splits: Splits,
}

/// The figures of settings on every split.
type Splits = Box<dyn Fn(&Settings) -> Result<Figures> + Sync>;

impl Judge {
    /// The figures of `settings` on every split.
    pub(super) fn splits(&self, settings: &Settings) -> Result<Figures> {
        (self.splits)(settings)
    }

    /// The place of a figure by name; the first without one.
    pub(super) fn figure(&self, name: Option<&str>) -> Result<usize> {
        let Some(name) = name else { return Ok(0) };
        let known: Vec<&str> = self.figures.iter().map(|(name, _)| name.as_str()).collect();
        let place = known.iter().position(|figure| *figure == name);
        place.ok_or_else(|| UsageError(format!("unknown figure `{name}`, known: {}", known.join(", "))).into())
    }
}

/// A task that can be tuned and the sections of the settings that it reads.
type Tuned = (&'static str, &'static [&'static str]);

/// Those of the public sets.
const TASKS: &[Tuned] = &[
    ("nab", &["detector"]),
    ("kpi", &["detector"]),
    ("wsd", &["detector"]),
    ("ms", &["detector"]),
    ("ucr", &["detector"]),
    ("asd", &["multi"]),
    ("smd", &["multi"]),
    ("templates", &["miner"]),
    ("exhaustion", &["exhaustion"]),
    ("ait", &["episodes"]),
    ("petshop", &["causes"]),
    ("nezha_ob", &["causes"]),
    ("nezha_tt", &["causes"]),
    ("sockshop", &["causes"]),
];

/// Those of a team's own data.
const OWN: &[Tuned] = &[
    ("series", &["detector"]),
    ("machines", &["multi"]),
    ("groups", &["episodes", "correlate"]),
    ("causes", &["causes"]),
    ("feedback", &["correlate", "detector", "miner"]),
];

/// The sections of the settings that `task` reads.
pub(super) fn sections(task: &str, own: bool) -> Result<&'static [&'static str]> {
    let tasks = if own { OWN } else { TASKS };
    let found = tasks.iter().find(|(name, _)| *name == task);
    found.map(|(_, sections)| *sections).ok_or_else(|| {
        let known: Vec<&str> = tasks.iter().map(|(name, _)| *name).collect();
        let other = if own { TASKS } else { OWN };
        let elsewhere = other.iter().any(|(name, _)| *name == task);
        let remedy = match (elsewhere, own) {
            (true, false) => "; it is about your own data: name the folder with --own",
            (true, true) => "; it is a public set: leave out --own",
            _ => "",
        };
        UsageError(format!("unknown task `{task}`, known: {}{remedy}", known.join(", "))).into()
    })
}

/// The judge of a task, its data loaded.
pub(super) fn of(task: &str, bench: &Bench, splits: usize) -> Result<Judge> {
    match task {
        "nab" => metric::nab_judge(nab::load(&bench.folder("nab")?)?, splits),
        "kpi" => metric::labelled_judge(kpi::load(&bench.folder("kpi_aiops2018")?)?, splits, "delay_f1"),
        "wsd" => metric::labelled_judge(wsd::load(&bench.folder("wsd")?)?, splits, "delay_f1"),
        "ms" => metric::labelled_judge(ms_halves(bench)?, splits, "delay_f1"),
        "ucr" => metric::ucr_judge(ucr::load(&bench.folder("ucr_anomaly")?)?, splits),
        "asd" => metric::machines_judge(asd::load(&bench.folder("asd")?)?, splits),
        "smd" => metric::machines_judge(smd::load(&bench.folder("smd8")?)?, splits),
        "templates" => units::templates_judge(sets(bench)?, splits),
        "exhaustion" => units::exhaustion_judge(exhaustion::load(&bench.folder("exhaustion_semisynthetic")?)?, splits),
        "ait" => Ok(units::groups_judge(&ait_scenarios(bench)?, splits)),
        "series" => metric::labelled_judge(own::labelled(bench)?, splits, "told_f1"),
        "machines" => metric::machines_judge(own::machines(bench)?, splits),
        "groups" => Ok(units::groups_judge(&own::scenarios(bench)?, splits)),
        "causes" => Ok(units::causes_judge(own::faults(bench)?, splits)),
        "feedback" => Ok(units::feedback_judge(Said::read(bench)?, splits)),
        causes => Ok(units::causes_judge(faults(causes, bench)?, splits)),
    }
}

/// The rows of split `number`: a block, the first one left out.
fn rows(length: usize, splits: usize, number: usize) -> Range<usize> {
    let edge = |block: usize| length * block / (splits + 1);
    edge(number + 1)..edge(number + 2)
}

fn higher(names: &[&str]) -> Vec<(String, Better)> {
    names.iter().map(|name| ((*name).to_owned(), Better::Higher)).collect()
}

/// Mean of the known ones; NaN without any.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let known: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    known.iter().sum::<f64>() / known.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_follow_each_other_and_leave_the_first_block_to_learn_from() {
        let all: Vec<Range<usize>> = (0..4).map(|number| rows(1003, 4, number)).collect();
        assert_eq!(all[0].start, 200);
        assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start), "{all:?}");
        assert_eq!(all[3].end, 1003);
    }

    #[test]
    fn unknown_tasks_name_the_known_ones() {
        let unknown = |task, own| sections(task, own).expect_err("no such task").to_string();
        assert!(unknown("nap", false).contains("nab, kpi"));
        assert!(unknown("groups", false).contains("with --own") && unknown("nab", true).contains("leave out --own"));
        assert_eq!(sections("templates", false).expect("known"), ["miner"]);
    }
}
