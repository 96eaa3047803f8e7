//! `exhaustion`: at every hour, will the resource be full within a day?

use super::Bench;
use super::panel::panel;
use super::plot;
use super::points::file_name;
use super::report::{Outcome, Who, write};
use super::units::{Better, Figure, Units};
use crate::models_cmd::forecast::{Decision, decisions};
use crate::models_cmd::io::{Column, Table};
use crate::progress::shared_bar;
use anyhow::Result;
use bellwether_datasets::public::exhaustion::{Resource, STEP_SECS, load};
use bellwether_models::exhaustion::{Coverage, ExhaustionParams};
use bellwether_models::score::delay::Counts;
use rayon::prelude::*;
use std::path::Path;

/// Hours ahead that are decided about.
const HORIZON_HOURS: f64 = 24.0;
const STEPS_PER_HOUR: f64 = 12.0;
/// Kinds that never fill: silence is the only right answer.
const CONTROLS: [&str; 3] = ["flat", "diurnal-flat", "bounded"];

/// What a method did over all decisions.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Decisions by outcome.
    pub counts: Counts,
    quiet_right: usize,
    control_alarms: usize,
    log_errors: Vec<f64>,
    leads: Vec<f64>,
    covered: usize,
    intervals: usize,
}

/// What is counted per resource.
const COLUMNS: [&str; 8] =
    ["hit", "false_alarm", "missed", "quiet_right", "control_alarms", "covered", "intervals", "lead_hours"];

/// `exhaustion`: semi-synthetic resources.
///
/// # Errors
/// When the data is absent or broken, or output cannot be written.
pub fn exhaustion_task(bench: &Bench) -> Result<Outcome> {
    let (resources, paths) = load(&bench.folder("exhaustion_semisynthetic")?)?;
    let params = &bench.settings.exhaustion;
    let mut outcome = Outcome {
        protocol: format!("{} resources, hourly decisions “full within 24 h”, until it is full", resources.len()),
        columns: ["F1", "precision", "recall", "FPR", "controls", "ln error", "lead h", "coverage"]
            .map(str::to_owned)
            .to_vec(),
        params: serde_json::json!({ "exhaustion": serde_json::to_value(params)? }),
        inputs: paths.to_vec(),
        notes: vec![
            "FPR: false alarms over all decisions with nothing due; controls: alarms on series that never fill".into(),
            "coverage: share of outcomes inside p10…p90 where full within 24 h was forecast or came true".into(),
        ],
        units: Units::new("resource", &COLUMNS, figures()),
        ..Outcome::default()
    };
    let bar = shared_bar(Some(resources.len() as u64), "resources");
    let judge = |resource: &Resource| {
        let decided = decide(params, resource);
        bar.add(1);
        decided
    };
    let ours: Vec<Vec<Decision>> = resources.par_iter().map(judge).collect::<Result<_>>()?;
    let line = |hours: usize| resources.par_iter().map(|r| predict_linear(r, hours)).collect::<Vec<_>>();
    let lines = [48, 24, 6, 1].map(line);
    let drawn: Vec<Vec<Decision>> = ours.iter().map(|all| all.iter().map(at_random).collect()).collect();
    let silent: Vec<Vec<Decision>> = ours.iter().map(|all| all.iter().map(silence).collect()).collect();
    for (name, who, decided) in [
        ("bellwether", Who::Ours, &ours),
        ("predict_linear over 48 h", Who::Peer, &lines[0]),
        ("predict_linear over 24 h", Who::Peer, &lines[1]),
        ("predict_linear over 6 h", Who::Peer, &lines[2]),
        ("predict_linear over 1 h", Who::Peer, &lines[3]),
        ("random, one in 25", Who::Floor, &drawn),
        ("null", Who::Floor, &silent),
    ] {
        let tallies: Vec<Tally> = resources.iter().zip(decided).map(|(r, d)| tally(r, d, 0..usize::MAX)).collect();
        resources.iter().zip(&tallies).for_each(|(r, tally)| outcome.units.push(&r.name, name, &tally.unit()));
        let cells = tallies.into_iter().fold(Tally::default(), Tally::and).cells();
        if who == Who::Ours {
            for (column, cell) in outcome.columns.iter().zip(&cells) {
                outcome.metrics.insert(format!("exhaustion_{}", column.replace(' ', "_").to_lowercase()), *cell);
            }
        }
        outcome = outcome.row(who, name, &cells);
    }
    if bench.perturbed {
        outcome = perturbed(outcome, params, &resources)?;
    }
    if let Some(out) = &bench.out {
        leave(out, params.limit, &resources, &ours)?;
    }
    Ok(outcome)
}

/// Rows of ours over the panel, and their mean and worst.
fn perturbed(mut outcome: Outcome, params: &ExhaustionParams, recorded: &[Resource]) -> Result<Outcome> {
    let panel = panel(recorded);
    let bar = shared_bar(Some(panel.iter().map(|(_, resources)| resources.len() as u64).sum()), "resources");
    let mut all: Vec<Vec<f64>> = Vec::new();
    for (name, resources) in &panel {
        let judge = |resource: &Resource| {
            bar.add(1);
            decide(params, resource).map(|decided| tally(resource, &decided, 0..usize::MAX))
        };
        let tallies: Vec<Tally> = resources.par_iter().map(judge).collect::<Result<_>>()?;
        let cells = tallies.into_iter().fold(Tally::default(), Tally::and).cells();
        outcome = outcome.row(Who::Ours, &format!("{name} ({})", resources.len()), &cells);
        all.push(cells);
    }
    // Higher is better for the first three and the lead, lower for the others.
    let column = |at: usize| all.iter().map(move |cells| cells[at]).filter(|cell| !cell.is_nan());
    let mean = |at: usize| column(at).sum::<f64>() / column(at).count() as f64;
    let (least, most) = (|at| column(at).fold(f64::INFINITY, f64::min), |at| column(at).fold(0.0, f64::max));
    let means: Vec<f64> = (0..outcome.columns.len()).map(mean).collect();
    let worst = [least(0), least(1), least(2), most(3), most(4), most(5), least(6), least(7)];
    for (name, value) in
        [("f1_mean", means[0]), ("f1_least", worst[0]), ("fpr_most", worst[3]), ("coverage_least", worst[7])]
    {
        outcome.metrics.insert(format!("exhaustion_panel_{name}"), value);
    }
    outcome.metrics.insert("exhaustion_panel_coverage_most".into(), most(7));
    Ok(outcome.row(Who::Ours, "panel: mean", &means).row(Who::Ours, "panel: worst", &worst))
}

fn figures() -> Vec<Figure> {
    let ratio = |name, better, above, below: &[&str]| {
        let below: Vec<(&str, f64)> = below.iter().map(|column| (*column, 1.0)).collect();
        Figure::ratio(name, better, &[(above, 1.0)], &below)
    };
    vec![
        Figure::f1("exhaustion_f1", ""),
        ratio("exhaustion_precision", Better::Higher, "hit", &["hit", "false_alarm"]),
        ratio("exhaustion_recall", Better::Higher, "hit", &["hit", "missed"]),
        ratio("exhaustion_fpr", Better::Lower, "false_alarm", &["false_alarm", "quiet_right"]),
        Figure::sum_of_harm("exhaustion_controls", "control_alarms"),
        ratio("exhaustion_coverage", Better::Higher, "covered", &["intervals"]),
    ]
}

/// Drawings drawn at most: the first of each kind, so that a folder stays light.
const DRAWN_PER_KIND: usize = 2;

/// Every decision of ours (`decisions.parquet`) and drawings of some of each kind.
fn leave(out: &Path, limit: f64, resources: &[Resource], decided: &[Vec<Decision>]) -> Result<()> {
    let mut drawn: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for (resource, decisions) in resources.iter().zip(decided) {
        let count = drawn.entry(&resource.kind).or_default();
        *count += 1;
        if *count <= DRAWN_PER_KIND {
            let hours = |decision: &Decision| decision.row as f64 / STEPS_PER_HOUR;
            let levels: Vec<(f64, f64)> = decisions.iter().map(|d| (hours(d), d.level)).collect();
            let warnings: Vec<f64> = decisions.iter().filter(|d| d.full_within_horizon).map(hours).collect();
            let full_at = resource.full_at_step.map(|step| step as f64 / STEPS_PER_HOUR);
            let name = format!("{} ({})", resource.name, resource.kind);
            let svg = plot::level(&name, &levels, &warnings, limit, full_at);
            write(&out.join(file_name(&format!("{}-{}", resource.kind, resource.name))), &svg)?;
        }
    }
    let rows: Vec<(&Resource, &Decision)> =
        resources.iter().zip(decided).flat_map(|(r, all)| all.iter().map(move |d| (r, d))).collect();
    let float =
        |pick: &dyn Fn(&Resource, &Decision) -> f64| Column::Float(rows.iter().map(|(r, d)| pick(r, d)).collect());
    let quantile = |at: usize| float(&move |_, d: &Decision| d.hours.map_or(f64::NAN, |hours| hours[at]));
    let left = |r: &Resource, d: &Decision| hours_left(r, d).unwrap_or(f64::NAN);
    Table::default()
        .with("series", Column::Text(rows.iter().map(|(r, _)| r.name.clone()).collect()))
        .with("kind", Column::Text(rows.iter().map(|(r, _)| r.kind.clone()).collect()))
        .with("row", Column::Int(rows.iter().map(|(_, d)| d.row as i64).collect()))
        .with("level", float(&|_, d| d.level))
        .with("p10", quantile(0))
        .with("p50", quantile(1))
        .with("p90", quantile(2))
        .with("hours_left", float(&left))
        .with("y_true", Column::Flag(rows.iter().map(|(r, d)| left(r, d) <= HORIZON_HOURS).collect()))
        .with("y_pred", Column::Flag(rows.iter().map(|(_, d)| d.full_within_horizon).collect()))
        .save(&out.join("decisions.parquet"))
}

/// Every hourly decision of ours about a resource.
///
/// # Errors
/// When the parameters are out of range.
pub fn decide(params: &ExhaustionParams, resource: &Resource) -> Result<Vec<Decision>> {
    let at_ns: Vec<i64> = (0..resource.used_pct.len() as i64).map(|step| step * STEP_SECS * 1_000_000_000).collect();
    decisions(params, &at_ns, &resource.used_pct)
}

/// One decision in 25 is a warning, drawn by its place.
fn at_random(decision: &Decision) -> Decision {
    let place = (decision.row as u64 ^ decision.level.to_bits()).to_le_bytes();
    let warned = xxhash_rust::xxh3::xxh3_64(&place).is_multiple_of(25);
    Decision { full_within_horizon: warned, ..silence(decision) }
}

fn silence(decision: &Decision) -> Decision {
    Decision { hours: None, full_within_horizon: false, ..decision.clone() }
}

/// Prometheus' `predict_linear` over the last `hours` of raw points: the usual rule.
fn predict_linear(resource: &Resource, hours: usize) -> Vec<Decision> {
    let window = hours * STEPS_PER_HOUR as usize;
    let judge = |row: usize| {
        let past = &resource.used_pct[row.saturating_sub(window)..row];
        let n = past.len() as f64;
        let (middle, mean) = ((n - 1.0) / 2.0, past.iter().sum::<f64>() / n);
        let products: f64 = past.iter().enumerate().map(|(i, v)| (i as f64 - middle) * (v - mean)).sum();
        let slope = products / (n * (n * n - 1.0) / 12.0);
        let level = mean + slope * middle;
        let hours = if slope > 0.0 { (100.0 - level).max(0.0) / slope / STEPS_PER_HOUR } else { f64::INFINITY };
        let full = past.len() == window && hours <= HORIZON_HOURS;
        Decision {
            row,
            at_ns: 0,
            level,
            hours: Some([hours; 3]),
            full_within_horizon: full,
            coverage: Coverage::default(),
            faster_since_ns: None,
        }
    };
    (12..resource.used_pct.len()).step_by(12).map(judge).collect()
}

/// Hours from a decision to full; `None` where it never is.
fn hours_left(resource: &Resource, decision: &Decision) -> Option<f64> {
    let last_step = decision.row.saturating_sub(1) as f64;
    resource.full_at_step.map(|full| (full as f64 - last_step) / STEPS_PER_HOUR)
}

/// Counts the decisions about one resource whose rows are in `rows`, until it
/// is full.
#[must_use]
pub fn tally(resource: &Resource, decisions: &[Decision], rows: std::ops::Range<usize>) -> Tally {
    let mut tally = Tally::default();
    let mut first_right = None;
    for decision in decisions.iter().filter(|decision| rows.contains(&decision.row)) {
        let left = hours_left(resource, decision);
        if left.is_some_and(|left| left <= 0.0) {
            break;
        }
        tally.count(resource, decision, left);
        if decision.full_within_horizon && left.is_some_and(|left| left <= HORIZON_HOURS) {
            first_right = first_right.or(left);
        }
    }
    tally.leads.extend(first_right);
    tally
}

impl Tally {
    /// Counts one decision; `left` hours remain, if it ever fills.
    fn count(&mut self, resource: &Resource, decision: &Decision, left: Option<f64>) {
        let due = left.is_some_and(|left| left <= HORIZON_HOURS);
        match (due, decision.full_within_horizon) {
            (true, true) => self.counts.hit += 1,
            (true, false) => self.counts.missed += 1,
            (false, true) => self.counts.false_alarm += 1,
            (false, false) => self.quiet_right += 1,
        }
        if decision.full_within_horizon && CONTROLS.contains(&resource.kind.as_str()) {
            self.control_alarms += 1;
        }
        let (Some(left), Some([early, middle, late])) = (left, decision.hours) else {
            return;
        };
        if due || decision.full_within_horizon {
            self.intervals += 1;
            self.covered += usize::from((early..=late).contains(&left));
        }
        if due && decision.full_within_horizon {
            // A forecast of "now" is taken as two and a half minutes.
            self.log_errors.push((middle.max(1.0 / 24.0) / left).ln().abs());
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.counts.hit += other.counts.hit;
        self.counts.false_alarm += other.counts.false_alarm;
        self.counts.missed += other.counts.missed;
        self.quiet_right += other.quiet_right;
        self.control_alarms += other.control_alarms;
        self.log_errors.extend(other.log_errors);
        self.leads.extend(other.leads);
        self.covered += other.covered;
        self.intervals += other.intervals;
        self
    }

    /// False alarms over all decisions with nothing due; NaN without such.
    #[must_use]
    pub fn false_positive_rate(&self) -> f64 {
        self.counts.false_alarm as f64 / (self.counts.false_alarm + self.quiet_right) as f64
    }

    /// One cell per column of the units.
    fn unit(&self) -> [f64; 8] {
        let Counts { hit, false_alarm, missed } = self.counts;
        let counts = [hit, false_alarm, missed, self.quiet_right, self.control_alarms, self.covered, self.intervals];
        let [a, b, c, d, e, f, g] = counts.map(|count| count as f64);
        [a, b, c, d, e, f, g, self.leads.first().copied().unwrap_or(f64::NAN)]
    }

    fn cells(mut self) -> Vec<f64> {
        vec![
            self.counts.f1(),
            self.counts.precision(),
            self.counts.recall(),
            self.false_positive_rate(),
            self.control_alarms as f64,
            median(&mut self.log_errors),
            median(&mut self.leads),
            self.covered as f64 / self.intervals as f64,
        ]
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
