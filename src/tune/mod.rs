//! `bellwether tune TASK --space FILE`: which parameters serve best, and how
//! sure that is.
//!
//! ```yaml
//! # space.yaml
//! detector:
//!   memory_points: [8, 12, 20]
//!   refractory_secs: { from: 600, to: 7200, steps: 4, scale: log }
//! ```
//!
//! Every combination is one trial; more than `--trials` are drawn by `--seed`.
//! A trial is judged on splits in order of time: what must be chosen (a
//! threshold) is chosen on the rows before a split and judged on the split.
//! Rows are never shuffled, and test rows of a data set are never read. The
//! last split takes no part in the ranking: it shows what the choice is worth
//! on rows that did not choose it.

mod judge;
mod report;
mod space;

use crate::eval::report::print;
use crate::eval::settings::Settings;
use crate::eval::{Bench, DATA_VARIABLE, data_dir};
use crate::progress::shared_bar;
use anyhow::{Context, Result, bail};
use bellwether_models::metric::MetricModelKind;
use judge::Judge;
use report::{Sweep, Trial};
use space::{Base, Space};
use std::path::PathBuf;
use std::process::ExitCode;

/// Sweeps a model's parameters over labelled data and says how sure the best are
///
/// Examples: bellwether tune kpi --space space.yaml --data ../shared/data --out tuned,
/// bellwether tune feedback --own bellwether-state --space space.yaml --out tuned
#[derive(Debug, Clone, clap::Args)]
pub struct TuneArgs {
    /// What to tune for: nab, kpi, wsd, ms, ucr, asd, smd, templates, exhaustion, ait (groups),
    /// petshop, nezha_ob, nezha_tt, sockshop (causes); with --own: series, machines, groups, causes, feedback
    #[arg(value_name = "TASK")]
    pub task: String,
    /// Values to try, as YAML: `section: { parameter: [value, …] }`
    #[arg(long, value_name = "FILE")]
    pub space: PathBuf,
    /// Model for single series: detector, as the engine runs [default: detector]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<MetricModelKind>,
    /// Folder with the data sets [default: $BELLWETHER_DATA or ../shared/data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Your own data instead: a folder with series/, machines/, alerts/, cases/ or a journal
    #[arg(long, value_name = "DIR", conflicts_with = "data")]
    pub own: Option<PathBuf>,
    /// Leave results.csv, results.parquet, run.json, best.yaml and promote.yaml here
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Most trials; a larger space is sampled
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub trials: u32,
    /// Splits in order of time; the last one is held out
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(2..=20))]
    pub splits: u8,
    /// Figure to rank by; the task's first one when left out
    #[arg(long, value_name = "FIGURE")]
    pub by: Option<String>,
    /// Seed of the sample
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub seed: u64,
    /// Threads; all cores when left out
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Print one JSON document instead of the table
    #[arg(long)]
    pub json: bool,
}

/// Runs the sweep.
///
/// # Errors
/// For an unknown task, figure or parameter, a value out of its range, absent
/// data, or output that cannot be written. Nothing is run before all trials
/// are known to be in range.
pub fn run(args: &TuneArgs) -> Result<ExitCode> {
    let space = Space::read(&args.space)?;
    space.only(judge::sections(&args.task, args.own.is_some())?, &args.task)?;
    let base = if args.own.is_some() && args.task == "feedback" { Base::Recorded } else { Base::Defaults };
    let drawn = space.draw(args.trials as usize, args.seed, base)?;
    let drawn: Vec<_> = drawn.into_iter().map(|(values, settings)| (values, settings.with_model(args.model))).collect();
    let data = args.own.clone().unwrap_or_else(|| data_dir(args.data.as_deref()));
    if !data.is_dir() {
        let named = if args.own.is_some() { "--own".to_owned() } else { format!("--data or {DATA_VARIABLE}") };
        bail!("no data at `{}`: name the folder of the data with {named}", data.display());
    }
    let bench = Bench { data, out: None, settings: Settings::default(), perturbed: false, own: args.own.is_some() };
    let judge = judge::of(&args.task, &bench, usize::from(args.splits))?;
    let by = judge.figure(args.by.as_deref())?;
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).with_context(|| format!("cannot make `{}`", out.display()))?;
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads.unwrap_or(0)).build()?;
    let trials = pool.install(|| judged(&judge, &drawn))?;
    let sweep = Sweep::new(&judge, by, &space, trials, base, args);
    if let Some(out) = &args.out {
        sweep.leave(out)?;
    }
    print(&if args.json { format!("{}\n", sweep.document()?) } else { sweep.text(&crate::term::Term::stdout()) })?;
    Ok(ExitCode::SUCCESS)
}

/// Every trial, one after the other; a trial's series are judged in parallel,
/// so that memory stays that of one trial.
fn judged(judge: &Judge, drawn: &[(Vec<serde_json::Value>, Settings)]) -> Result<Vec<Trial>> {
    let bar = shared_bar(Some(drawn.len() as u64), "trials");
    let one = |(values, settings): &(Vec<serde_json::Value>, Settings)| {
        let figures = judge.splits(settings)?;
        bar.add(1);
        Ok(Trial { values: values.clone(), settings: settings.clone(), figures })
    };
    drawn.iter().map(one).collect()
}
