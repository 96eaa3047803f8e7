//! Tasks of lines, resources, alerts and cases: stretches of them are judged, history before them known.

use super::{Judge, higher, mean, rows};
use crate::eval::causes::{Fault, ranked};
use crate::eval::exhaustion::{Tally, decide, tally};
use crate::eval::groups;
use crate::eval::own::feedback::Said;
use crate::eval::settings::Settings;
use crate::eval::templates::{MEASURES, mine};
use crate::eval::units::Better;
use anyhow::Result;
use bellwether_datasets::public::{exhaustion, loghub};
use bellwether_models::score::causes::{as_at, avg_at_5};
use bellwether_models::score::templates::template_scores;
use rayon::prelude::*;
use std::path::PathBuf;

pub(super) fn templates_judge(sets: Vec<(loghub::LabelSet, Vec<loghub::System>)>, splits: usize) -> Result<Judge> {
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

pub(super) fn exhaustion_judge(loaded: (Vec<exhaustion::Resource>, [PathBuf; 2]), splits: usize) -> Result<Judge> {
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
pub(super) fn groups_judge(scenarios: &[groups::Scenario], splits: usize) -> Judge {
    let loaded: Vec<groups::Scenario> = scenarios.iter().map(groups::firsts).collect();
    let judge = move |settings: &Settings| {
        let found: Vec<Vec<u64>> = loaded.par_iter().map(|scenario| groups::ours(scenario, settings)).collect();
        let split = |number: usize| {
            let judged = |found: &[u64], truth: &[Option<String>]| {
                let rows = rows(found.len(), splits, number);
                let labelled = truth[rows.clone()].iter().any(Option::is_some);
                labelled.then(|| groups::score(&found[rows.clone()], &truth[rows]))
            };
            let scores: Vec<_> =
                found.iter().zip(&loaded).filter_map(|(found, scenario)| judged(found, &scenario.groups)).collect();
            vec![mean(scores.iter().map(|s| s.f1)), mean(scores.iter().map(|s| s.reduction))]
        };
        Ok((0..splits).map(split).collect())
    };
    Judge {
        figures: higher(&["f1", "reduction"]),
        splits_are: "blocks of alerts of every scenario, grouped from the first alert on".to_owned(),
        inputs: scenarios.iter().map(|scenario| scenario.path.clone()).collect(),
        splits: Box::new(judge),
    }
}

/// Incidents that people judged, in order of time: the journal is played from its beginning.
pub(super) fn feedback_judge(said: Said, splits: usize) -> Judge {
    let inputs = said.inputs();
    let judge = move |settings: &Settings| {
        let answers = said.answers(settings)?;
        let split = |number: usize| said.figures(&answers, rows(said.incidents(), splits, number)).to_vec();
        Ok((0..splits).map(split).collect())
    };
    Judge {
        figures: higher(&["told_f1", "f1"]),
        splits_are: "incidents that people judged, in order of time; the journal is played from its beginning"
            .to_owned(),
        inputs,
        splits: Box::new(judge),
    }
}

/// Labelled cases at the fault: nothing is learnt from one for the next.
pub(super) fn causes_judge(faults: Vec<Fault>, splits: usize) -> Judge {
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
}
