//! What a sweep found: the best trials beside the defaults, how sure each gain
//! is, and the files a sweep leaves.
//!
//! A gain is a trial's figure minus the defaults', split by split; its error is
//! the standard error over the ranking splits. A gain is called sure when it is
//! above twice its error and shows on the held-out split too.

use super::TuneArgs;
use super::judge::{Figures, Judge};
use super::space::{Base, Space};
use crate::eval::promote::engine_settings;
use crate::eval::report::{Outcome, Who, number, run_document, write};
use crate::eval::settings::{MetricSettings, Settings};
use crate::eval::units::Better;
use crate::models_cmd::io::{Column, Table as File};
use crate::term::{Ink, Lean, Table, Term};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What to do with the settings that stand below it.
const PROMOTION: &str = "\
# bellwether validate promote.yaml
# bellwether replay bellwether-state --beside promote.yaml
# then `include: [promote.yaml]` in bellwether.yaml, and SIGHUP
";
/// Trials printed.
const SHOWN: usize = 10;
/// Errors a gain must exceed to be called sure.
const ERRORS_MIN: f64 = 2.0;

/// One judged trial.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    /// One value per knob.
    pub(super) values: Vec<Value>,
    pub(super) settings: Settings,
    pub(super) figures: Figures,
}

/// A trial against the defaults, by the ranking figure.
#[derive(Debug, Clone, Copy)]
struct Standing {
    trial: usize,
    mean: f64,
    spread: f64,
    held_out: f64,
    gain: f64,
    error: f64,
    gain_held_out: f64,
    splits_better: usize,
}

/// A finished sweep.
pub(super) struct Sweep {
    task: String,
    /// What trial 0 is.
    base: Base,
    /// Over a team's own data.
    own: bool,
    by: usize,
    figures: Vec<(String, Better)>,
    splits: usize,
    splits_are: String,
    knobs: Vec<String>,
    combinations: u64,
    seed: u64,
    inputs: Vec<PathBuf>,
    trials: Vec<Trial>,
    /// Best first; trial 0 is the defaults.
    standings: Vec<Standing>,
}

impl Sweep {
    pub(super) fn new(
        judge: &Judge,
        by: usize,
        space: &Space,
        trials: Vec<Trial>,
        base: Base,
        args: &TuneArgs,
    ) -> Self {
        let better = judge.figures[by].1;
        let mut standings: Vec<Standing> =
            (0..trials.len()).map(|trial| standing(&trials, trial, by, better)).collect();
        let worth = |standing: &Standing| match better {
            _ if standing.mean.is_nan() => f64::NEG_INFINITY,
            Better::Higher => standing.mean,
            Better::Lower => -standing.mean,
        };
        standings.sort_by(|a, b| worth(b).total_cmp(&worth(a)).then(a.trial.cmp(&b.trial)));
        Self {
            task: args.task.clone(),
            base,
            own: args.own.is_some(),
            by,
            figures: judge.figures.clone(),
            splits: usize::from(args.splits),
            splits_are: judge.splits_are.clone(),
            knobs: space.knobs.iter().map(|knob| format!("{}.{}", knob.section, knob.key)).collect(),
            combinations: space.count(),
            seed: args.seed,
            inputs: judge.inputs.clone(),
            trials,
            standings,
        }
    }

    fn best(&self) -> &Standing {
        &self.standings[0]
    }

    /// The defaults' own place in the ranking.
    fn defaults(&self) -> &Standing {
        self.standings.iter().find(|standing| standing.trial == 0).expect("trial 0 is always judged")
    }

    /// The best trials aligned, the defaults, and how sure the best one is.
    pub(super) fn text(&self, term: &Term) -> String {
        let (figure, better) = &self.figures[self.by];
        let way = if *better == Better::Higher { "higher" } else { "lower" };
        let mut text = format!("\n{}\n", term.heading(&format!("tune {}", self.task)));
        text.push_str(&format!("  {figure}, {way} is better; {} splits, the last one held out:\n", self.splits));
        text.push_str(&format!("  {}\n\n", self.splits_are));
        let mut columns = vec![("#", Lean::Right), ("mean", Lean::Right), ("± spread", Lean::Right)];
        columns.extend([("held out", Lean::Right), ("gain ± error", Lean::Right), ("better in", Lean::Right)]);
        columns.extend(self.knobs.iter().map(|knob| (knob.rsplit('.').next().unwrap_or(knob), Lean::Right)));
        let mut table = Table::new(&columns);
        let last = self.standings.iter().position(|s| s.trial == 0).filter(|place| *place >= SHOWN);
        for place in (0..self.standings.len().min(SHOWN)).chain(last) {
            table.row(self.cells(place));
        }
        text.push_str(&table.render(term, 2));
        text.push_str(&format!("\n  {}\n", term.paint(Ink::Bold, &self.verdict())));
        if self.combinations > self.trials.len() as u64 {
            let note = format!(
                "{} of {} combinations, drawn with seed {}: raise --trials for more",
                self.trials.len() - 1,
                self.combinations,
                self.seed
            );
            text.push_str(&format!("  {}\n", term.paint(Ink::Dim, &note)));
        }
        text
    }

    fn cells(&self, place: usize) -> Vec<String> {
        let standing = &self.standings[place];
        let is_default = standing.trial == 0;
        let gain = format!("{:+.4} ± {:.4}", standing.gain, standing.error);
        let mut cells = vec![
            (place + 1).to_string(),
            number(standing.mean),
            number(standing.spread),
            number(standing.held_out),
            if is_default { self.base.name().to_owned() } else { gain },
            if is_default { "–".to_owned() } else { format!("{} of {}", standing.splits_better, self.splits) },
        ];
        let shown = |value: &Value| if value.is_null() { "–".to_owned() } else { value.to_string() };
        cells.extend(self.trials[standing.trial].values.iter().map(shown));
        cells
    }

    /// How sure the best trial is, in a sentence.
    fn verdict(&self) -> String {
        let best = self.best();
        if best.trial == 0 {
            return format!("no trial beats {}", self.base.name());
        }
        let gain = format!("gains {:+.4} ± {:.4} over {}", best.gain, best.error, self.base.name());
        let held_out = format!("{:+.4} on the held-out split", best.gain_held_out);
        let (gained, kept) = match self.figures[self.by].1 {
            Better::Higher => (best.gain, best.gain_held_out),
            Better::Lower => (-best.gain, -best.gain_held_out),
        };
        match () {
            () if best.gain_held_out.is_nan() => {
                format!("not shown: #1 {gain}, and the held-out split has nothing to judge")
            }
            () if gained > ERRORS_MIN * best.error && kept > 0.0 => format!("sure: #1 {gain}, and {held_out}"),
            () if kept > 0.0 => format!("likely, not sure: #1 {gain}, and {held_out}"),
            () => format!("not shown: #1 {gain}, but {held_out}"),
        }
    }

    /// The sweep as MLflow would show it: the best trial's parameters and figures.
    pub(super) fn document(&self) -> Result<Value> {
        let (best, defaults) = (self.best(), self.defaults());
        let figure = &self.figures[self.by].0;
        let mut outcome = Outcome {
            protocol: format!("tune by {figure}; {} splits, the last one held out: {}", self.splits, self.splits_are),
            columns: ["mean", "spread", "held out", "gain", "error"].map(str::to_owned).to_vec(),
            params: json!({
                "best": match self.base {
                    Base::Defaults => serde_json::to_value(&self.trials[best.trial].settings)?,
                    // The rest is what the journal holds.
                    Base::Recorded => self.trials[best.trial].settings.said.clone(),
                },
                "seed": self.seed,
                "splits": self.splits,
                "trials": self.trials.len(),
            }),
            inputs: self.inputs.clone(),
            notes: vec![self.verdict()],
            ..Outcome::default()
        };
        for (name, who, standing) in [("best", Who::Ours, best), (self.base.name(), Who::Floor, defaults)] {
            let cells = [standing.mean, standing.spread, standing.held_out, standing.gain, standing.error];
            outcome = outcome.row(who, name, &cells);
        }
        for (name, value) in [
            (figure.clone(), best.mean),
            (format!("{figure}_spread"), best.spread),
            (format!("{figure}_held_out"), best.held_out),
            (format!("{figure}_defaults"), defaults.mean),
        ] {
            outcome.metrics.insert(name, value);
        }
        run_document(&format!("tune_{}", self.task), &outcome)
    }

    /// Writes `results.csv`, `results.parquet`, `run.json` and `best.yaml`, and `promote.yaml` where the
    /// engine runs by these parameters.
    pub(super) fn leave(&self, out: &Path) -> Result<()> {
        let results = self.results();
        results.save(&out.join("results.csv"))?;
        results.save(&out.join("results.parquet"))?;
        write(&out.join("run.json"), &format!("{:#}\n", self.document()?))?;
        let best_trial = &self.trials[self.best().trial];
        let mut best = json!({});
        if best_trial.settings.metric != MetricSettings::default() {
            best["metric"] = serde_json::to_value(best_trial.settings.metric)?;
        }
        // What ran says nothing: there is nothing to promote.
        for (knob, value) in self.knobs.iter().zip(&best_trial.values).filter(|(_, value)| !value.is_null()) {
            let (section, key) = knob.split_once('.').expect("a knob is section.key");
            best[section][key] = value.clone();
        }
        let text = serde_saphyr::to_string(&best).context("the best parameters as YAML")?;
        let of = if self.own { "--own DIR " } else { "" };
        let head = format!("# {}\n# bellwether eval {} {of}--params best.yaml\n", self.verdict(), self.task);
        write(&out.join("best.yaml"), &format!("{head}{}\n", text.trim_end()))?;
        let promoted = out.join("promote.yaml");
        match engine_settings(&best) {
            Some(engine) => {
                let text = serde_saphyr::to_string(&json!({ "engine": engine })).context("the settings as YAML")?;
                write(&promoted, &format!("# {}\n{PROMOTION}{}\n", self.verdict(), text.trim_end()))
            }
            // What an earlier sweep promoted is not what this one found.
            None if promoted.is_file() => {
                std::fs::remove_file(&promoted).with_context(|| format!("cannot remove `{}`", promoted.display()))
            }
            None => Ok(()),
        }
    }

    /// One row per trial, best first: ranking, every figure on every split, parameters.
    fn results(&self) -> File {
        let float = |pick: &dyn Fn(&Standing) -> f64| Column::Float(self.standings.iter().map(pick).collect());
        let mut table = File::default()
            .with("trial", Column::Int(self.standings.iter().map(|s| s.trial as i64).collect()))
            .with("mean", float(&|s| s.mean))
            .with("spread", float(&|s| s.spread))
            .with("held_out", float(&|s| s.held_out))
            .with("gain", float(&|s| s.gain))
            .with("gain_error", float(&|s| s.error));
        for (place, (figure, _)) in self.figures.iter().enumerate() {
            for split in 0..self.splits {
                let cell = |s: &Standing| self.trials[s.trial].figures[split][place];
                table = table.with(format!("{figure}_{}", split + 1), float(&cell));
            }
        }
        for (place, knob) in self.knobs.iter().enumerate() {
            let value = |s: &Standing| &self.trials[s.trial].values[place];
            let numeric = self.standings.iter().all(|s| value(s).is_number() || value(s).is_null());
            let column = if numeric {
                float(&|s| value(s).as_f64().unwrap_or(f64::NAN))
            } else {
                Column::Text(self.standings.iter().map(|s| value(s).to_string()).collect())
            };
            table = table.with(knob, column);
        }
        table
    }
}

/// A trial's figures by `by`, and against trial 0, which is the defaults.
fn standing(trials: &[Trial], trial: usize, by: usize, better: Better) -> Standing {
    let column = |trial: usize| -> Vec<f64> { trials[trial].figures.iter().map(|split| split[by]).collect() };
    let (own, defaults) = (column(trial), column(0));
    let gains: Vec<f64> = own.iter().zip(&defaults).map(|(own, default)| own - default).collect();
    let ranking = own.len() - 1;
    let (mean, spread) = moments(&own[..ranking]);
    let (gain, deviation) = moments(&gains[..ranking]);
    let known = gains[..ranking].iter().filter(|gain| gain.is_finite()).count();
    let is_better = |gain: &&f64| if better == Better::Higher { **gain > 0.0 } else { **gain < 0.0 };
    Standing {
        trial,
        mean,
        spread,
        held_out: own[ranking],
        gain,
        error: deviation / (known as f64).sqrt(),
        gain_held_out: gains[ranking],
        splits_better: gains.iter().filter(is_better).count(),
    }
}

/// Mean and sample deviation of the finite ones; a deviation needs two.
fn moments(values: &[f64]) -> (f64, f64) {
    let known: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let count = known.len() as f64;
    let mean = known.iter().sum::<f64>() / count;
    let squares: f64 = known.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, if known.len() > 1 { (squares / (count - 1.0)).sqrt() } else { f64::NAN })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(figures: &[f64]) -> Trial {
        Trial {
            values: Vec::new(),
            settings: Settings::default(),
            figures: figures.iter().map(|figure| vec![*figure]).collect(),
        }
    }

    fn sweep(better: Better, trials: Vec<Trial>) -> Sweep {
        let mut standings: Vec<Standing> = (0..trials.len()).map(|at| standing(&trials, at, 0, better)).collect();
        standings.sort_by_key(|standing| std::cmp::Reverse(standing.trial));
        Sweep {
            task: "x".into(),
            base: Base::Defaults,
            own: false,
            by: 0,
            figures: vec![("f1".into(), better)],
            splits: 4,
            splits_are: "blocks".into(),
            knobs: Vec::new(),
            combinations: 1,
            seed: 1,
            inputs: Vec::new(),
            trials,
            standings,
        }
    }

    #[test]
    fn gains_are_paired_with_the_defaults_and_the_last_split_is_held_out() {
        let trials = [trial(&[0.1, 0.5, 0.9, 0.3]), trial(&[0.2, 0.6, 1.0, 0.2])];
        let got = standing(&trials, 1, 0, Better::Higher);
        assert!((got.mean - 0.6).abs() < 1e-12 && (got.spread - 0.4).abs() < 1e-12, "{got:?}");
        assert!((got.gain - 0.1).abs() < 1e-12 && got.error < 1e-12, "the splits differ, the gains do not: {got:?}");
        assert!((got.held_out - 0.2).abs() < 1e-12 && got.gain_held_out < 0.0);
        assert_eq!(got.splits_better, 3);
    }

    #[test]
    fn a_gain_that_the_held_out_split_does_not_show_is_not_shown() {
        let defaults = trial(&[0.1, 0.5, 0.9, 0.3]);
        let verdict = |better, figures: &[f64]| sweep(better, vec![defaults.clone(), trial(figures)]).verdict();
        assert!(verdict(Better::Higher, &[0.2, 0.61, 1.0, 0.2]).starts_with("not shown"));
        assert!(verdict(Better::Higher, &[0.2, 0.61, 1.0, 0.4]).starts_with("sure"));
        assert!(verdict(Better::Higher, &[0.5, 0.4, 1.0, 0.4]).starts_with("likely, not sure"));
        assert!(verdict(Better::Lower, &[0.0, 0.41, 0.8, 0.2]).starts_with("sure"));
        assert!(sweep(Better::Higher, vec![defaults.clone()]).verdict().contains("no trial beats"));
    }

    #[test]
    fn a_split_that_defines_nothing_is_left_out() {
        let (mean, spread) = moments(&[f64::NAN, 1.0, 3.0]);
        assert_eq!((mean, spread), (2.0, 2.0_f64.sqrt()));
        assert!(moments(&[1.0]).1.is_nan() && moments(&[]).0.is_nan());
    }
}
