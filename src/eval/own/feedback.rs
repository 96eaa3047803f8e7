//! Task `feedback`: would the engine, by itself, have said what people made of it? Incidents that
//! were taken should be told, those called false should not, alerts should be together as people left
//! them, and the cause that was found should be among the first that are named.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use anyhow::Result;
use bellwether_models::score::causes::{as_at, avg_at_5};
use bellwether_models::score::groups::bcubed_among_noise;
use serde_json::{Value, json};

use super::heard::{Firing, Heard, Judged, Words, play};
use crate::eval::methods::OURS;
use crate::eval::promote;
use crate::eval::report::{Outcome, Who};
use crate::eval::settings::Settings;
use crate::eval::units::{Better, Figure, Units};
use crate::eval::{Absent, Bench};
use crate::wiring::recorded::journals_of;

/// What is counted for each incident; precision and recall are summed over its alerts, the last two are
/// known where somebody named the cause.
const COLUMNS: [&str; 8] = ["hit", "false_alarm", "missed", "alerts", "precision", "recall", "as1", "avg5"];

/// The gap of the rule of that name.
const GAP_NS: i64 = 300_000_000_000;

/// Groups of the random floor.
const RANDOM_GROUPS: u64 = 10;

/// What people said in the journal of a folder, and where that is.
#[derive(Debug)]
pub struct Said {
    /// One of each partition.
    journals: Vec<PathBuf>,
    heard: Heard,
}

impl Said {
    /// Plays the journal as it ran.
    ///
    /// # Errors
    /// When there is none, it cannot be read, or nobody said anything in it.
    pub fn read(bench: &Bench) -> Result<Self> {
        let journals = journals_of(&bench.data)?;
        if journals.is_empty() {
            return Err(Absent::of(&bench.data.join("journal"), "journal", "--own").into());
        }
        let heard = play(&journals, Words::Obeyed, &json!({}))?.heard();
        if heard.incidents.is_empty() {
            let remedy = "acknowledge, resolve, correct or reject incidents over `wires.actions`";
            return Err(Absent(format!("nobody judged an incident in `{}`: {remedy}", bench.data.display())).into());
        }
        Ok(Self { journals, heard })
    }

    /// Segments of the journal.
    #[must_use]
    pub fn inputs(&self) -> Vec<PathBuf> {
        let folders = self.journals.iter().filter_map(|journal| std::fs::read_dir(journal).ok());
        let entries = folders.flatten().filter_map(Result::ok);
        let mut out: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        out.sort();
        out
    }

    /// Incidents that people judged.
    #[must_use]
    pub fn incidents(&self) -> usize {
        self.heard.incidents.len()
    }

    /// What the engine with these settings says when it hears no words.
    ///
    /// # Errors
    /// When the journal cannot be read, or the settings cannot be used.
    pub fn answers(&self, settings: &Settings) -> Result<Answers> {
        let played = play(&self.journals, Words::LeftOut, &promote::said(settings))?;
        let homes: Vec<Option<String>> = self.heard.firings.iter().map(|firing| played.home(firing)).collect();
        let place = |(number, incident): (usize, &Judged)| {
            let cause = incident.cause.as_ref()?;
            let home = self.home_of(number, &homes);
            Some(home.and_then(|home| played.place_of(cause, &home)))
        };
        let causes = self.heard.incidents.iter().enumerate().map(place).collect();
        Ok(Answers { homes, causes })
    }

    /// The incident that holds most firings of a judged one.
    fn home_of(&self, incident: usize, homes: &[Option<String>]) -> Option<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let of = self.heard.firings.iter().zip(homes).filter(|(firing, _)| firing.of == incident);
        of.filter_map(|(_, home)| home.as_deref()).for_each(|home| *counts.entry(home).or_default() += 1);
        counts.into_iter().max_by_key(|(id, count)| (*count, std::cmp::Reverse(*id))).map(|(id, _)| id.to_owned())
    }

    /// What came of each judged incident.
    #[must_use]
    pub fn cells(&self, answers: &Answers) -> Vec<[f64; COLUMNS.len()]> {
        let homes = &answers.homes;
        let mut cells = vec![[0.0; COLUMNS.len()]; self.heard.incidents.len()];
        let shares = self.shares(&numbered(homes));
        let mut told = vec![false; self.heard.incidents.len()];
        for ((firing, home), [precision, recall]) in self.heard.firings.iter().zip(homes).zip(shares) {
            told[firing.of] |= home.is_some();
            if self.heard.incidents[firing.of].real {
                let [_, _, _, alerts, precisions, recalls, ..] = &mut cells[firing.of];
                *alerts += 1.0;
                *precisions += precision;
                *recalls += recall;
            }
        }
        for (cells, cause) in cells.iter_mut().zip(&answers.causes) {
            let rank = |of: fn(&[Option<usize>]) -> f64| cause.map_or(f64::NAN, |rank| of(&[rank]));
            (cells[6], cells[7]) = (rank(|ranks| as_at(ranks, 1)), rank(avg_at_5));
        }
        for ((cells, incident), told) in cells.iter_mut().zip(&self.heard.incidents).zip(told) {
            let count = |yes: bool| f64::from(u8::from(yes));
            cells[0] = count(incident.real && told);
            cells[1] = count(!incident.real && told);
            cells[2] = count(incident.real && !told);
        }
        cells
    }

    /// BCubed precision and recall of each firing; what belongs to no real incident is noise.
    fn shares(&self, groups: &[u64]) -> Vec<[f64; 2]> {
        let truth = self.truth();
        let mut sizes: BTreeMap<u64, f64> = BTreeMap::new();
        let (mut both, mut wanted): (BTreeMap<(u64, u64), f64>, BTreeMap<u64, f64>) = Default::default();
        for (group, truth) in groups.iter().zip(&truth) {
            *sizes.entry(*group).or_default() += 1.0;
            if let Some(truth) = truth {
                *both.entry((*group, *truth)).or_default() += 1.0;
                *wanted.entry(*truth).or_default() += 1.0;
            }
        }
        let share = |(group, truth): (&u64, &Option<u64>)| match truth {
            Some(truth) => [both[&(*group, *truth)] / sizes[group], both[&(*group, *truth)] / wanted[truth]],
            None => [0.0; 2],
        };
        groups.iter().zip(&truth).map(share).collect()
    }

    fn truth(&self) -> Vec<Option<u64>> {
        let of = |firing: &Firing| self.heard.incidents[firing.of].real.then_some(firing.of as u64);
        self.heard.firings.iter().map(of).collect()
    }

    /// Event F1 of telling and BCubed F1 of the incidents in `range`.
    #[must_use]
    pub fn figures(&self, answers: &Answers, range: Range<usize>) -> [f64; 2] {
        let cells = &self.cells(answers)[range];
        let sum = |column: usize| cells.iter().map(|cells| cells[column]).sum::<f64>();
        let [hit, alarm, missed, alerts, precision, recall] = [0, 1, 2, 3, 4, 5].map(sum);
        [2.0 * hit / (2.0 * hit + alarm + missed), 2.0 * precision * recall / (precision + recall) / alerts]
    }
}

/// What an engine made of the firings and causes that people judged.
#[derive(Debug, Clone)]
pub struct Answers {
    /// The incident each firing ended in; `None` where it was not told.
    homes: Vec<Option<String>>,
    /// Of each judged incident, where its cause is known, the cause's place; `None` in it where it was not named.
    causes: Vec<Option<Option<usize>>>,
}

/// A number for each home; who has none is alone.
fn numbered(homes: &[Option<String>]) -> Vec<u64> {
    let mut numbers: BTreeMap<&str, u64> = BTreeMap::new();
    let mut out = Vec::with_capacity(homes.len());
    for (place, home) in (0..).zip(homes) {
        // The place of the first one in it, which nobody else has.
        out.push(home.as_deref().map_or(place, |home| *numbers.entry(home).or_insert(place)));
    }
    out
}

/// `feedback`: ours with the settings that are asked for, and as it ran.
pub(super) fn feedback_task(bench: &Bench) -> Result<Outcome> {
    let said = Said::read(bench)?;
    let over: Value = promote::said(&bench.settings);
    let real = said.heard.incidents.iter().filter(|incident| incident.real).count();
    let alerts = [("alerts", 1.0)];
    let figures = vec![
        Figure::f1("told_f1", ""),
        Figure::ratio("precision", Better::Higher, &[("precision", 1.0)], &alerts),
        Figure::ratio("recall", Better::Higher, &[("recall", 1.0)], &alerts),
        Figure::mean("as1", "as1"),
        Figure::mean("avg5", "avg5"),
    ];
    let mut out = Outcome {
        protocol: format!(
            "{} incidents that people judged ({real} real): told F1, and BCubed of their {} alerts; words are left out",
            said.incidents(),
            said.heard.firings.len()
        ),
        columns: ["told F1", "told", "false told", "precision", "recall", "F1", "AS@1", "Avg@5"].map(str::to_owned).to_vec(),
        params: json!({ "over_the_settings_of_the_journal": over }),
        inputs: said.inputs(),
        units: Units::new("incident", &COLUMNS, figures),
        notes: vec!["truth: where alerts were once everything had been said; false told: incidents called false that are told again".to_owned()],
        ..Outcome::default()
    };
    let ours = said.answers(&bench.settings)?;
    out = said.row(out, Who::Ours, OURS, &ours);
    if over != json!({}) {
        out = said.row(out, Who::Floor, "as it ran", &said.answers(&Settings::default())?);
    }
    for (name, rule) in FLOORS {
        // A rule names no cause.
        let causes = said.heard.incidents.iter().map(|incident| incident.cause.as_ref().map(|_| None)).collect();
        out = said.row(out, Who::Floor, name, &Answers { homes: rule(&said.heard.firings), causes });
    }
    let row = &out.rows[0].cells;
    let metrics = [
        ("told_f1", row[0]),
        ("precision", row[3]),
        ("recall", row[4]),
        ("f1", row[5]),
        ("as1", row[6]),
        ("avg5", row[7]),
    ];
    let known = metrics.into_iter().filter(|(_, value)| value.is_finite());
    out.metrics = known.map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(out)
}

/// A rule that gives each firing a group.
type Rule = fn(&[Firing]) -> Vec<Option<String>>;

const FLOORS: [(&str, Rule); 5] = [
    ("gap of 5 min", gap),
    ("null, all in one", |firings| vec![Some(String::new()); firings.len()]),
    ("null, each alone", |firings| (0..firings.len()).map(|at| Some(at.to_string())).collect()),
    ("random, ten groups", |firings| {
        let places = 0..firings.len() as u64;
        places.map(|at| Some((xxhash_rust::xxh3::xxh3_64(&at.to_le_bytes()) % RANDOM_GROUPS).to_string())).collect()
    }),
    ("null, nothing told", |firings| vec![None; firings.len()]),
];

fn gap(firings: &[Firing]) -> Vec<Option<String>> {
    let (mut group, mut last) = (0, firings.first().map_or(0, |firing| firing.at.0));
    let next = |firing: &Firing| {
        group += u32::from(firing.at.0 - last > GAP_NS);
        last = firing.at.0;
        Some(group.to_string())
    };
    firings.iter().map(next).collect()
}

impl Said {
    fn row(&self, mut out: Outcome, who: Who, name: &str, answers: &Answers) -> Outcome {
        let cells = self.cells(answers);
        for (incident, cells) in self.heard.incidents.iter().zip(&cells) {
            out.units.push(&format!("{}/{}", incident.tenant, incident.id), name, cells);
        }
        let score = bcubed_among_noise(&numbered(&answers.homes), &self.truth());
        let sum = |column: usize| cells.iter().map(|cells| cells[column]).sum::<f64>();
        let (hit, alarm, missed) = (sum(0), sum(1), sum(2));
        let told = if hit == 0.0 { 0.0 } else { 2.0 * hit / (2.0 * hit + alarm + missed) };
        let ranks: Vec<Option<usize>> = answers.causes.iter().copied().flatten().collect();
        let (as1, avg5) = if ranks.is_empty() { (f64::NAN, f64::NAN) } else { (as_at(&ranks, 1), avg_at_5(&ranks)) };
        out.row(who, name, &[told, hit, alarm, score.precision, score.recall, score.f1, as1, avg5])
    }
}
