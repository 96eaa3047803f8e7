//! `exhaustion`: at every hour, will the resource be full within a day?

use super::Bench;
use super::report::{Outcome, Who};
use crate::models_cmd::forecast::{Decision, decisions};
use anyhow::Result;
use bellwether_datasets::public::exhaustion::{Resource, STEP_SECS, load};
use bellwether_models::exhaustion::ExhaustionParams;
use bellwether_models::score::delay::Counts;
use rayon::prelude::*;

/// Hours ahead that are decided about.
const HORIZON_HOURS: f64 = 24.0;
const STEPS_PER_HOUR: f64 = 12.0;
/// Kinds that never fill: silence is the only right answer.
const CONTROLS: [&str; 3] = ["flat", "diurnal-flat", "bounded"];

/// What a method did over all decisions.
#[derive(Default)]
struct Tally {
    counts: Counts,
    quiet_right: usize,
    control_alarms: usize,
    log_errors: Vec<f64>,
    leads: Vec<f64>,
    covered: usize,
    intervals: usize,
}

/// `exhaustion`: semi-synthetic resources.
///
/// # Errors
/// When the data is absent or broken.
pub fn exhaustion_task(bench: &Bench) -> Result<Outcome> {
    let (resources, paths) = load(&bench.folder("exhaustion_semisynthetic")?)?;
    let params = ExhaustionParams::default();
    let mut outcome = Outcome {
        protocol: format!("{} resources, hourly decisions “full within 24 h”, until it is full", resources.len()),
        columns: ["F1", "precision", "recall", "FPR", "controls", "ln error", "lead h", "coverage"]
            .map(str::to_owned)
            .to_vec(),
        params: serde_json::json!({ "exhaustion": serde_json::to_value(&params)? }),
        inputs: paths.to_vec(),
        notes: vec![
            "FPR: false alarms over all decisions with nothing due; controls: alarms on series that never fill".into(),
            "coverage: share of outcomes inside p10…p90 where full within 24 h was forecast or came true".into(),
        ],
        ..Outcome::default()
    };
    let ours: Vec<Vec<Decision>> = resources.par_iter().map(|r| decide(&params, r)).collect::<Result<_>>()?;
    let lines: Vec<Vec<Decision>> = resources.par_iter().map(line_48h).collect();
    let silent: Vec<Vec<Decision>> = ours.iter().map(|all| all.iter().map(silence).collect()).collect();
    for (name, who, decided) in
        [("bellwether", Who::Ours, &ours), ("line over 48 h", Who::Floor, &lines), ("null", Who::Floor, &silent)]
    {
        let cells = tally(&resources, decided).cells();
        if who == Who::Ours {
            for (column, cell) in outcome.columns.iter().zip(&cells) {
                outcome.metrics.insert(format!("exhaustion_{}", column.replace(' ', "_").to_lowercase()), *cell);
            }
        }
        outcome = outcome.row(who, name, &cells);
    }
    let unknown = f64::NAN;
    for (name, f1) in [("line over 24 h", 0.735), ("line over 6 h", 0.562)] {
        outcome = outcome.row(Who::Peer, name, &[f1, unknown, unknown, unknown, unknown, unknown, unknown, unknown]);
    }
    Ok(outcome)
}

fn decide(params: &ExhaustionParams, resource: &Resource) -> Result<Vec<Decision>> {
    let at_ns: Vec<i64> = (0..resource.used_pct.len() as i64).map(|step| step * STEP_SECS * 1_000_000_000).collect();
    decisions(params, &at_ns, &resource.used_pct)
}

fn silence(decision: &Decision) -> Decision {
    Decision { hours: None, full_within_horizon: false, ..decision.clone() }
}

/// Least squares over the last 48 hours of raw points: the usual rule.
fn line_48h(resource: &Resource) -> Vec<Decision> {
    let window = 48 * STEPS_PER_HOUR as usize;
    let judge = |row: usize| {
        let past = &resource.used_pct[row.saturating_sub(window)..row];
        let n = past.len() as f64;
        let (middle, mean) = ((n - 1.0) / 2.0, past.iter().sum::<f64>() / n);
        let products: f64 = past.iter().enumerate().map(|(i, v)| (i as f64 - middle) * (v - mean)).sum();
        let slope = products / (n * (n * n - 1.0) / 12.0);
        let level = mean + slope * middle;
        let hours = if slope > 0.0 { (100.0 - level).max(0.0) / slope / STEPS_PER_HOUR } else { f64::INFINITY };
        let full = past.len() == window && hours <= HORIZON_HOURS;
        Decision { row, at_ns: 0, level, hours: Some([hours; 3]), full_within_horizon: full }
    };
    (12..resource.used_pct.len()).step_by(12).map(judge).collect()
}

fn tally(resources: &[Resource], decided: &[Vec<Decision>]) -> Tally {
    let mut tally = Tally::default();
    for (resource, decisions) in resources.iter().zip(decided) {
        let mut first_right = None;
        for decision in decisions {
            let last_step = decision.row.saturating_sub(1);
            if resource.full_at_step.is_some_and(|full| full <= last_step) {
                break;
            }
            let left = resource.full_at_step.map(|full| (full - last_step) as f64 / STEPS_PER_HOUR);
            tally.count(resource, decision, left);
            if decision.full_within_horizon && left.is_some_and(|left| left <= HORIZON_HOURS) {
                first_right = first_right.or(left);
            }
        }
        tally.leads.extend(first_right);
    }
    tally
}

impl Tally {
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

    fn cells(mut self) -> Vec<f64> {
        let quiet = (self.counts.false_alarm + self.quiet_right) as f64;
        vec![
            self.counts.f1(),
            self.counts.precision(),
            self.counts.recall(),
            self.counts.false_alarm as f64 / quiet,
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
