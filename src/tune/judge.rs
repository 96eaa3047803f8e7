//! How a trial is judged: for each task, its figures on every split.
//!
//! Rows are cut into one block more than there are splits, all of one length.
//! Split `k` is block `k + 1`; the blocks before it are what may be learnt
//! from: the threshold of `nab`, `kpi`, `wsd` and `ms` is the best there.
//! Models learn online in any case, and never from what comes later. `ucr` has
//! one anomaly per series and nothing to choose: its splits are stretches of
//! series in order of name, as those of the cause tasks are of cases.

use crate::eval::Bench;
use crate::eval::causes::{Fault, faults, ranked};
use crate::eval::exhaustion::{Tally, decide, tally};
use crate::eval::groups;
use crate::eval::machines::{self, BUFFER_MAX};
use crate::eval::methods::{self, Points};
use crate::eval::metric::{DELAY_POINTS, ms_halves, nanoseconds, ucr_points};
use crate::eval::settings::Settings;
use crate::eval::templates::{MEASURES, mine, sets};
use crate::eval::units::Better;
use crate::exit::UsageError;
use crate::progress::SharedBar;
use anyhow::Result;
use bellwether_datasets::public::{LabelledSeries, Machine, ait, asd, exhaustion, kpi, loghub, nab, smd, ucr, wsd};
use bellwether_models::score::causes::{as_at, avg_at_5};
use bellwether_models::score::delay::{self, Counts, Labelled};
use bellwether_models::score::templates::template_scores;
use bellwether_models::score::{nab as nab_rules, ucr as ucr_rules, vus};
use rayon::prelude::*;
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

/// Tasks that can be tuned and the section of the settings each reads.
const TASKS: &[(&str, &str)] = &[
    ("nab", "detector"),
    ("kpi", "detector"),
    ("wsd", "detector"),
    ("ms", "detector"),
    ("ucr", "detector"),
    ("asd", "multi"),
    ("smd", "multi"),
    ("templates", "miner"),
    ("exhaustion", "exhaustion"),
    ("ait", "episodes"),
    ("petshop", "causes"),
    ("nezha_ob", "causes"),
    ("nezha_tt", "causes"),
    ("sockshop", "causes"),
];

/// The section of the settings that `task` reads.
pub(super) fn section(task: &str) -> Result<&'static str> {
    let found = TASKS.iter().find(|(name, _)| *name == task);
    found.map(|(_, section)| *section).ok_or_else(|| {
        let known: Vec<&str> = TASKS.iter().map(|(name, _)| *name).collect();
        UsageError(format!("unknown task `{task}`, known: {}", known.join(", "))).into()
    })
}

/// The judge of a task, its data loaded.
pub(super) fn of(task: &str, bench: &Bench, splits: usize) -> Result<Judge> {
    match task {
        "nab" => nab_judge(nab::load(&bench.folder("nab")?)?, splits),
        "kpi" => labelled_judge(kpi::load(&bench.folder("kpi_aiops2018")?)?, splits),
        "wsd" => labelled_judge(wsd::load(&bench.folder("wsd")?)?, splits),
        "ms" => labelled_judge(ms_halves(bench)?, splits),
        "ucr" => ucr_judge(ucr::load(&bench.folder("ucr_anomaly")?)?, splits),
        "asd" => machines_judge(asd::load(&bench.folder("asd")?)?, splits),
        "smd" => machines_judge(smd::load(&bench.folder("smd8")?)?, splits),
        "templates" => templates_judge(sets(bench)?, splits),
        "exhaustion" => exhaustion_judge(exhaustion::load(&bench.folder("exhaustion_semisynthetic")?)?, splits),
        "ait" => groups_judge(ait::scenarios(&bench.folder("ait_alerts")?)?, splits),
        causes => Ok(causes_judge(faults(causes, bench)?, splits)),
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

/// Scores of all series under `settings`.
fn scored(settings: &Settings, series: &[Points<'_>]) -> Result<Vec<Vec<f64>>> {
    let verdicts = methods::ours(settings, series, &SharedBar::hidden())?;
    Ok(verdicts.into_iter().map(|all| all.iter().map(|verdict| verdict.score).collect()).collect())
}

fn nab_judge(streams: Vec<nab::NabStream>, splits: usize) -> Result<Judge> {
    let inputs = streams.iter().map(|s| s.path.clone()).collect();
    let judge = move |settings: &Settings| {
        let points: Vec<Points<'_>> =
            streams.iter().map(|s| Points { at_ns: nanoseconds(&s.at_secs), values: &s.values }).collect();
        let scores = scored(settings, &points)?;
        Ok((0..splits).into_par_iter().map(|number| vec![nab_split(&streams, &scores, splits, number)]).collect())
    };
    Ok(Judge {
        figures: higher(&["nab_standard"]),
        splits_are: "blocks of time of every stream, threshold swept on the blocks before".to_owned(),
        inputs,
        splits: Box::new(judge),
    })
}

/// NAB's score of the windows that begin in a split, at the threshold that is
/// best before it. Points before the split raise no alarm there.
fn nab_split(streams: &[nab::NabStream], scores: &[Vec<f64>], splits: usize, number: usize) -> f64 {
    let mut past: Vec<Cut> = Vec::new();
    let mut now = Vec::new();
    for (stream, scores) in streams.iter().zip(scores) {
        let rows = rows(scores.len(), splits, number);
        let begin_in = |range: Range<usize>| -> Vec<(usize, usize)> {
            let windows = stream.windows.iter().filter(|window| range.contains(&window.0));
            windows.map(|window| (window.0, window.1.min(range.end - 1))).collect()
        };
        past.push((scores[..rows.start].to_vec(), begin_in(0..rows.start)));
        let masked = std::iter::repeat_n(f64::NEG_INFINITY, rows.start).chain(scores[rows.clone()].iter().copied());
        now.push((masked.collect(), begin_in(rows)));
    }
    let threshold = nab_rules::best_threshold(&borrow(&past), &nab_rules::STANDARD).0;
    nab_rules::corpus_score(&borrow(&now), threshold, &nab_rules::STANDARD)
}

/// Scores and windows of a part of a stream.
type Cut = (Vec<f64>, Vec<(usize, usize)>);

fn borrow(cuts: &[Cut]) -> Vec<nab_rules::Stream<'_>> {
    cuts.iter().map(|(scores, windows)| nab_rules::Stream { scores, windows }).collect()
}

fn labelled_judge(mut series: Vec<LabelledSeries>, splits: usize) -> Result<Judge> {
    for one in &mut series {
        // Test rows are for the evaluation alone.
        one.at_secs.truncate(one.train_len);
        one.values.truncate(one.train_len);
        one.labels.truncate(one.train_len);
    }
    let inputs = series.iter().map(|s| s.path.clone()).collect();
    let judge = move |settings: &Settings| {
        let points: Vec<Points<'_>> =
            series.iter().map(|s| Points { at_ns: nanoseconds(&s.at_secs), values: &s.values }).collect();
        let scores = scored(settings, &points)?;
        Ok((0..splits).into_par_iter().map(|number| labelled_split(&series, &scores, splits, number)).collect())
    };
    Ok(Judge {
        figures: higher(&["delay_f1", "event_f1"]),
        splits_are: "blocks of time of the train rows, threshold from the blocks before".to_owned(),
        inputs,
        splits: Box::new(judge),
    })
}

fn labelled_split(series: &[LabelledSeries], scores: &[Vec<f64>], splits: usize, number: usize) -> Vec<f64> {
    let cut = |past: bool| -> Vec<Labelled<'_>> {
        let part = |length: usize| {
            let rows = rows(length, splits, number);
            if past { 0..rows.start } else { rows }
        };
        series
            .iter()
            .zip(scores)
            .map(|(one, scores)| Labelled {
                scores: &scores[part(scores.len())],
                labels: &one.labels[part(scores.len())],
            })
            .collect()
    };
    let (past, now) = (cut(true), cut(false));
    let f1 = |counts: Counts| if counts.hit + counts.missed == 0 { f64::NAN } else { counts.f1() };
    let for_delay = delay::best_delay_threshold(&past, DELAY_POINTS).0;
    let for_events = delay::best_event_threshold(&past).0;
    vec![f1(delay::delay_counts(&now, for_delay, DELAY_POINTS)), f1(delay::event_counts(&now, for_events))]
}

fn ucr_judge(series: Vec<ucr::UcrSeries>, splits: usize) -> Result<Judge> {
    let inputs = series.iter().map(|s| s.path.clone()).collect();
    let judge = move |settings: &Settings| {
        let scores = scored(settings, &ucr_points(&series))?;
        let found: Vec<bool> =
            series.iter().zip(&scores).map(|(s, scores)| ucr_rules::found(scores, s.train_len, s.anomaly)).collect();
        let split = |number: usize| {
            let some = &found[found.len() * number / splits..found.len() * (number + 1) / splits];
            vec![some.iter().filter(|found| **found).count() as f64 / some.len() as f64]
        };
        Ok((0..splits).map(split).collect())
    };
    Ok(Judge {
        figures: higher(&["accuracy"]),
        splits_are: "stretches of series in order of name: nothing is chosen from one for another".to_owned(),
        inputs,
        splits: Box::new(judge),
    })
}

fn machines_judge(all: Vec<Machine>, splits: usize) -> Result<Judge> {
    let inputs = all.iter().flat_map(|machine| machine.paths.clone()).collect();
    let judge = move |settings: &Settings| {
        let scores: Vec<Vec<f64>> = all
            .par_iter()
            .map(|machine| machines::ours(settings, machine, &SharedBar::hidden()))
            .collect::<Result<_>>()?;
        let split = |number: usize| {
            let volume = |(machine, scores): (&Machine, &Vec<f64>)| {
                let rows = rows(scores.len(), splits, number);
                vus::vus_pr(&scores[rows.clone()], &machine.labels[rows], BUFFER_MAX)
            };
            let volumes: Vec<f64> = all.par_iter().zip(&scores).map(volume).collect();
            vec![mean(volumes.into_iter())]
        };
        Ok((0..splits).map(split).collect())
    };
    Ok(Judge {
        figures: higher(&["vus_pr"]),
        splits_are: "blocks of time of the test rows; nothing is fitted, but these rows are then no test any more"
            .to_owned(),
        inputs,
        splits: Box::new(judge),
    })
}

fn templates_judge(sets: Vec<(loghub::LabelSet, Vec<loghub::System>)>, splits: usize) -> Result<Judge> {
    let inputs = sets.iter().flat_map(|(_, systems)| systems.iter().map(|system| system.path.clone())).collect();
    // Original FGA first: the figure that rare templates decide as much as frequent ones.
    let mut order: Vec<(usize, usize)> = (0..sets.len()).flat_map(|set| (0..4).map(move |m| (set, m))).collect();
    order.sort_by_key(|place| *place != (0, 1));
    let names: Vec<String> = order.iter().map(|(set, m)| format!("{}_{}", sets[*set].0.name(), MEASURES[*m])).collect();
    let judge = move |settings: &Settings| {
        let split = |number: usize| -> Result<Vec<f64>> {
            let by_set: Vec<[f64; 4]> = sets
                .iter()
                .map(|(_, systems)| templates_split(settings, systems, splits, number))
                .collect::<Result<_>>()?;
            Ok(order.iter().map(|(set, measure)| by_set[*set][*measure]).collect())
        };
        (0..splits).into_par_iter().map(split).collect()
    };
    Ok(Judge {
        figures: names.into_iter().map(|name| (name, Better::Higher)).collect(),
        splits_are: "blocks of lines of every system, mined from the first line to the end of the block".to_owned(),
        inputs,
        splits: Box::new(judge),
    })
}

/// Mean GA, FGA, PA and FTA over the systems, lines of the split alone.
fn templates_split(settings: &Settings, systems: &[loghub::System], splits: usize, number: usize) -> Result<[f64; 4]> {
    let mut measured: [Vec<f64>; 4] = Default::default();
    for system in systems {
        let rows = rows(system.lines.len(), splits, number);
        let (ids, texts) = mine(&settings.miner, &system.lines[..rows.end])?;
        let texts: Vec<&str> = texts[rows.clone()].iter().map(String::as_str).collect();
        let labels: Vec<&str> = system.templates[rows.clone()].iter().map(String::as_str).collect();
        if let Some(scores) = template_scores(&ids[rows], &texts, &labels) {
            let cells = [scores.ga, scores.fga, scores.pa, scores.fta];
            measured.iter_mut().zip(cells).for_each(|(all, cell)| all.push(cell));
        }
    }
    Ok(measured.map(|all| mean(all.into_iter())))
}

fn exhaustion_judge(loaded: (Vec<exhaustion::Resource>, [PathBuf; 2]), splits: usize) -> Result<Judge> {
    let (resources, paths) = loaded;
    let judge = move |settings: &Settings| {
        let decided: Vec<_> =
            resources.par_iter().map(|resource| decide(&settings.exhaustion, resource)).collect::<Result<_>>()?;
        let length = resources.iter().map(|resource| resource.used_pct.len()).max().unwrap_or(0);
        let split = |number: usize| {
            let rows = rows(length, splits, number);
            let tallies =
                resources.iter().zip(&decided).map(|(r, decisions): (_, &Vec<_>)| tally(r, decisions, rows.clone()));
            let pooled = tallies.fold(Tally::default(), Tally::and);
            let due = pooled.counts.hit + pooled.counts.missed;
            vec![if due == 0 { f64::NAN } else { pooled.counts.f1() }, pooled.false_positive_rate()]
        };
        Ok((0..splits).map(split).collect())
    };
    Ok(Judge {
        figures: vec![("f1".to_owned(), Better::Higher), ("false_positive_rate".to_owned(), Better::Lower)],
        splits_are: "blocks of time of every resource, history before them known".to_owned(),
        inputs: paths.to_vec(),
        splits: Box::new(judge),
    })
}

/// Scenarios of alerts: grouped from the first alert on, judged on the alerts
/// of a split.
fn groups_judge(scenarios: Vec<(String, PathBuf)>, splits: usize) -> Result<Judge> {
    let read = |(_, path): &(String, PathBuf)| Ok(groups::firsts(ait::load(path)?, ait::truth(path)?));
    let loaded: Vec<_> = scenarios.iter().map(read).collect::<Result<_>>()?;
    let judge = move |settings: &Settings| {
        let found: Vec<Vec<u64>> =
            loaded.par_iter().map(|(alerts, _)| groups::ours(alerts, &settings.episodes)).collect();
        let split = |number: usize| {
            let judged = |found: &[u64], phases: &[Option<String>]| {
                let rows = rows(found.len(), splits, number);
                let labelled = phases[rows.clone()].iter().any(Option::is_some);
                labelled.then(|| groups::score(&found[rows.clone()], &phases[rows]))
            };
            let scores: Vec<_> =
                found.iter().zip(&loaded).filter_map(|(found, (_, phases))| judged(found, phases)).collect();
            vec![mean(scores.iter().map(|s| s.f1)), mean(scores.iter().map(|s| s.reduction))]
        };
        Ok((0..splits).map(split).collect())
    };
    Ok(Judge {
        figures: higher(&["f1", "reduction"]),
        splits_are: "blocks of alerts of every scenario, grouped from the first alert on".to_owned(),
        inputs: scenarios.into_iter().map(|(_, path)| path).collect(),
        splits: Box::new(judge),
    })
}

/// Labelled cases at the fault: nothing is learnt from one for the next.
fn causes_judge(faults: Vec<Fault>, splits: usize) -> Judge {
    let judge = move |settings: &Settings| {
        let split = |number: usize| {
            let picked = &faults[rows(faults.len(), splits, number)];
            if picked.is_empty() {
                return vec![f64::NAN; 2];
            }
            let cases = picked.iter().map(|fault| (&fault.now, fault.truth.as_str()));
            let ranks = ranked(&settings.causes, cases).ranks;
            vec![as_at(&ranks, 1), avg_at_5(&ranks)]
        };
        Ok((0..splits).into_par_iter().map(split).collect())
    };
    Judge {
        figures: higher(&["as1", "avg5"]),
        splits_are: "stretches of cases in order of time or name".to_owned(),
        inputs: Vec::new(),
        splits: Box::new(judge),
    }
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
    fn a_split_is_judged_at_the_threshold_of_what_came_before() {
        // Anomalies score .9 in the first half and .5 in the second, noise .6 in both.
        let mut scores = vec![0.0; 1200];
        let mut labels = vec![false; 1200];
        for at in (50..1200).step_by(100) {
            labels[at] = true;
            scores[at] = if at < 600 { 0.9 } else { 0.5 };
            scores[at - 20] = 0.6;
        }
        let series = [LabelledSeries {
            name: "one".into(),
            at_secs: (0..1200).collect(),
            values: vec![0.0; 1200],
            labels,
            train_len: 1200,
            path: PathBuf::new(),
        }];
        let split = |number| labelled_split(&series, std::slice::from_ref(&scores), 5, number);
        assert_eq!(split(0), [1.0, 1.0]);
        // From row 600 on the threshold of the past finds nothing.
        assert_eq!(split(3), [0.0, 0.0]);
    }

    #[test]
    fn nab_windows_count_in_the_split_they_begin_in() {
        let stream = nab::NabStream {
            name: "made/one.csv".into(),
            at_secs: (0..1200).collect(),
            values: vec![0.0; 1200],
            windows: vec![(250, 299), (450, 499), (850, 899)],
            path: PathBuf::new(),
        };
        let mut scores = vec![0.0; 1200];
        for at in [250, 450, 850] {
            scores[at] = 1.0;
        }
        let split = |number| nab_split(std::slice::from_ref(&stream), std::slice::from_ref(&scores), 5, number);
        // Split 0 has nothing before it to choose a threshold from: silence.
        assert_eq!(split(0), 0.0);
        assert!((split(1) - 100.0).abs() < 1e-9 && (split(3) - 100.0).abs() < 1e-9, "{} {}", split(1), split(3));
        assert!(!split(2).is_finite() && !split(4).is_finite(), "no window begins there");
    }

    #[test]
    fn cases_are_judged_in_the_stretch_they_lie_in() {
        use bellwether_models::causes::case::{Indicator, IndicatorKind};
        // Two services; the second shouts. It is the cause in the later cases only.
        let fault = |number: usize| {
            let mut case = crate::models_cmd::cases::NamedCase::default();
            for (name, during) in [("calm", 1.0), ("loud", 90.0)] {
                let entity = case.entity(name);
                let usual: Vec<f64> = (0..40).map(|i| 1.0 + f64::from(i % 5) * 0.1).collect();
                case.case.indicators.push(Indicator {
                    entity,
                    kind: IndicatorKind::Latency,
                    before: usual.clone(),
                    recent: usual[..10].to_vec(),
                    during: vec![during; 10],
                });
            }
            let truth = if number < 6 { "calm" } else { "loud" };
            Fault { unit: number.to_string(), truth: truth.to_owned(), now: case.clone(), late: case }
        };
        let judge = causes_judge((0..12).map(fault).collect(), 5);
        let figures = judge.splits(&Settings::default()).expect("in range");
        assert_eq!((figures[0][0], figures[4][0]), (0.0, 1.0), "{figures:?}");
    }

    #[test]
    fn unknown_tasks_name_the_known_ones() {
        assert!(section("nap").expect_err("no such task").to_string().contains("nab, kpi"));
        assert_eq!(section("templates").expect("known"), "miner");
    }
}
