//! Tasks of metric series: the rows of a series are cut, thresholds come from the blocks before.

use super::{Judge, higher, mean, rows};
use crate::eval::machines::{self, BUFFER_MAX};
use crate::eval::methods::{self, Points};
use crate::eval::metric::{DELAY_POINTS, nanoseconds, ucr_points};
use crate::eval::settings::Settings;
use crate::progress::SharedBar;
use anyhow::Result;
use bellwether_datasets::public::{LabelledSeries, Machine, nab, ucr};
use bellwether_models::metric::Verdict;
use bellwether_models::score::delay::{self, Counts, Labelled};
use bellwether_models::score::{nab as nab_rules, ucr as ucr_rules, vus};
use rayon::prelude::*;
use std::ops::Range;

/// Scores of all series under `settings`.
fn scored(settings: &Settings, series: &[Points<'_>]) -> Result<Vec<Vec<f64>>> {
    let verdicts = methods::ours(settings, series, &SharedBar::hidden())?;
    Ok(verdicts.into_iter().map(|all| all.iter().map(|verdict| verdict.score).collect()).collect())
}

pub(super) fn nab_judge(streams: Vec<nab::NabStream>, splits: usize) -> Result<Judge> {
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

/// What series with labels are judged by: `told_f1` counts the alarms as they are told, within the
/// budget of `alerts_per_week`, the others choose a threshold on the blocks before.
const LABELLED: [&str; 3] = ["delay_f1", "event_f1", "told_f1"];

/// Ranks by `first` unless another figure is asked for.
pub(super) fn labelled_judge(mut series: Vec<LabelledSeries>, splits: usize, first: &str) -> Result<Judge> {
    let mut order = LABELLED;
    order.sort_by_key(|name| *name != first);
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
        let verdicts = methods::ours(settings, &points, &SharedBar::hidden())?;
        let split = |number: usize| {
            let figures = labelled_split(&series, &verdicts, splits, number);
            let place = |name: &&str| figures[LABELLED.iter().position(|known| known == name).unwrap_or(0)];
            order.iter().map(place).collect()
        };
        Ok((0..splits).into_par_iter().map(split).collect())
    };
    Ok(Judge {
        figures: higher(&order),
        splits_are: "blocks of time of the train rows, threshold from the blocks before".to_owned(),
        inputs,
        splits: Box::new(judge),
    })
}

/// The figures of a split, in the order of [`LABELLED`].
fn labelled_split(series: &[LabelledSeries], verdicts: &[Vec<Verdict>], splits: usize, number: usize) -> [f64; 3] {
    let scores: Vec<Vec<f64>> = verdicts.iter().map(|all| all.iter().map(|verdict| verdict.score).collect()).collect();
    let cut = |past: bool| -> Vec<Labelled<'_>> {
        let part = |length: usize| {
            let rows = rows(length, splits, number);
            if past { 0..rows.start } else { rows }
        };
        series
            .iter()
            .zip(&scores)
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
    let told = |(one, verdicts): (&LabelledSeries, &Vec<Verdict>)| {
        let rows = rows(verdicts.len(), splits, number);
        let alarms: Vec<bool> = verdicts[rows.clone()].iter().map(|verdict| verdict.anomaly).collect();
        delay::told_counts(&alarms, &one.labels[rows])
    };
    let told = series.iter().zip(verdicts).map(told).fold(Counts::default(), Counts::and);
    [f1(delay::delay_counts(&now, for_delay, DELAY_POINTS)), f1(delay::event_counts(&now, for_events)), f1(told)]
}

pub(super) fn ucr_judge(series: Vec<ucr::UcrSeries>, splits: usize) -> Result<Judge> {
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

pub(super) fn machines_judge(all: Vec<Machine>, splits: usize) -> Result<Judge> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_models::metric::Reason;
    use std::path::PathBuf;

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
        let verdict = |score: &f64| Verdict {
            score: *score,
            rarity: *score,
            anomaly: *score == 0.5,
            expected: 0.0,
            lower: 0.0,
            upper: 0.0,
            reason: Reason::None,
            departure: 0.0,
        };
        let verdicts = vec![scores.iter().map(verdict).collect::<Vec<Verdict>>()];
        let split = |number| labelled_split(&series, &verdicts, 5, number);
        assert_eq!(split(0), [1.0, 1.0, 0.0]);
        // From row 600 on the threshold of the past finds nothing; alarms that were raised are not asked for one.
        assert_eq!(split(3), [0.0, 0.0, 1.0]);
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
}
