//! `bellwether simulate`: a made-up estate with faults, as a journal and its truth.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bellwether_connectors::journal::{Journal as _, JournalConfig, LocalJournal, WriteBatch};
use bellwether_datasets::simulation::{Plan, PlanParams, Simulation};

use bellwether_datasets::story::{STORIES, story};
use bellwether_datasets::truth::Truth;
use bellwether_engine::input::Input;
use clap::Args;
use serde_json::json;

use crate::exit::{Exit, UsageError};
use crate::progress;
use crate::term::{Ink, Term, thousands};
use crate::wiring::partitions::JOURNAL_FOLDER;
/// The truth inside `--out`.
pub const TRUTH_FILE: &str = "truth.json";

/// Entries made durable together: a simulation has no sender that waits.
const GROUP_ENTRIES_MAX: usize = 256;
/// Bytes made durable together; well below what one journal record may hold.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// Make up an estate with faults and write its telemetry as a journal, with the truth beside it
#[derive(Debug, Args)]
#[command(after_help = "\
The same seed gives the same bytes. In the folder are then
  journal/     what the engine would have read: `bellwether replay DIR`
  truth.json   what broke, why, whom it hurt: the engine never reads it

Examples:
  bellwether simulate --seed 42 --estate 200 --faults 5 --out sim-42
  bellwether simulate --story plant-line --out plant")]
pub(super) struct SimulateArgs {
    /// Seed of everything random
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Entities in the estate, 50 to 10000
    #[arg(long, value_name = "N", default_value_t = 200, conflicts_with = "story")]
    estate: usize,
    /// Faults that happen
    #[arg(long, value_name = "K", default_value_t = 3, conflicts_with = "story")]
    faults: usize,
    /// Tell this story instead of a random one
    #[arg(long, value_name = "NAME", value_parser = story_names())]
    story: Option<String>,
    /// Folder to write; must not exist yet, or be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// The stories as clap knows them.
pub(super) fn story_names() -> clap::builder::PossibleValuesParser {
    STORIES.map(|story| clap::builder::PossibleValue::new(story.name).help(story.title)).into()
}

/// Writes the journal and the truth.
///
/// # Errors
/// When the folder is not empty or cannot be written, or the estate is out of range.
pub(super) fn run(args: &SimulateArgs) -> Result<Exit> {
    let plan = match &args.story {
        Some(name) => (story(name)?.plan)(args.seed),
        None => Plan::random(&PlanParams::new(args.seed, args.estate, args.faults))
            .map_err(|error| UsageError(error.to_string()))?,
    };
    refuse_full_folder(&args.out)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entities = plan.estate.entities.len();
    let (rows, truth) = runtime.block_on(write_journal(plan, &args.out))?;
    let path = args.out.join(TRUTH_FILE);
    let file = fs::File::create(&path).with_context(|| format!("cannot write `{}`", path.display()))?;
    serde_json::to_writer_pretty(std::io::BufWriter::new(file), &truth)?;
    report(args, entities, rows, &truth)?;
    Ok(Exit::Ok)
}

fn refuse_full_folder(dir: &Path) -> Result<()> {
    let full = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if full {
        let message = format!("`{}` is not empty: name a new folder, or remove this one first", dir.display());
        return Err(UsageError(message).into());
    }
    fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))
}

async fn write_journal(plan: Plan, out: &Path) -> Result<(u64, Truth)> {
    let mut config = JournalConfig::new(out.join(JOURNAL_FOLDER));
    // What was simulated is kept whole, however long it is.
    config.retain_bytes = u64::MAX;
    config.capacity_bytes = u64::MAX;
    let (journal, _) = LocalJournal::open(&config)?;
    let mut progress = progress::late_bar(None, "signals simulated");
    let mut simulation = Simulation::new(plan);
    let mut group = WriteBatch::default();
    let (mut rows, mut bytes) = (0u64, 0usize);
    for input in simulation.by_ref() {
        rows += input.rows() as u64;
        progress.add(input.rows() as u64);
        bytes += push(&mut group, &input);
        if group.entries.len() >= GROUP_ENTRIES_MAX || bytes >= GROUP_BYTES_MAX {
            journal.append(Arc::new(std::mem::take(&mut group))).await?;
            bytes = 0;
        }
    }
    if !group.entries.is_empty() {
        journal.append(Arc::new(group)).await?;
    }
    progress.finish();
    Ok((rows, simulation.into_truth()))
}

fn push(group: &mut WriteBatch, input: &Input) -> usize {
    let mut bytes = Vec::new();
    input.encode(&mut bytes);
    let length = bytes.len();
    group.entries.push(bytes);
    length
}

fn report(args: &SimulateArgs, entities: usize, rows: u64, truth: &Truth) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let folder = args.out.display();
    if args.json {
        let written = json!({
            "out": args.out, "seed": truth.seed, "entities": entities, "signals": rows,
            "faults": truth.faults.len(), "alerts": truth.alerts.len(),
        });
        writeln!(out, "{written}")?;
        return Ok(());
    }
    let term = Term::stdout();
    writeln!(
        out,
        "{} {folder}: {} signals of {} entities, {} faults, {} alerts raised by the estate's own tools",
        term.paint(Ink::Green, "written"),
        thousands(rows),
        thousands(entities as u64),
        truth.faults.len(),
        thousands(truth.alerts.len() as u64),
    )?;
    writeln!(out, "\nNext:")?;
    writeln!(out, "  {}", term.paint(Ink::Cyan, &format!("bellwether replay {folder}")))?;
    Ok(())
}
