//! `bellwether replay`: recorded signals through the engine, as fast as it reads them.

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Context as _, Result};
use bellwether_connectors::memory::Memory;
use bellwether_connectors::outbox::Reader;
use bellwether_connectors::sinks::ndjson::{NdjsonSink, NdjsonSinkConfig};
use bellwether_connectors::{RejectLog, Sink, Source, SourceError, stop_pair};
use bellwether_datasets::real::{self, Judge};
use bellwether_engine::input::Input;
use bellwether_engine::time::Span;
use bellwether_engine::{Engine, EngineConfig, Workers};
use clap::Args;
use serde_json::Value;

use super::beside::Difference;
use super::inputs::{self, Whose};
use crate::config;
use crate::config::overlay::lay_over;
use crate::eval::data_dir;
use crate::exit::{Exit, UsageError};
use crate::progress;
use crate::report::{Figures, LineStyle, answers_json, answers_table, incident_page, incident_table, tenant_count};
use crate::term::{Ink, Term};
use crate::wiring::feeds::{EntryFeed, OfPartition, Pacer};
use crate::wiring::gauges::Gauges;
use crate::wiring::outbox::Receivers;
use crate::wiring::recorded::{journal_entries, journals_of};
use crate::wiring::screen::{JudgeSink, KeepSink, Kept, ScreenSink};
use crate::wiring::{self, Partition, Wiring};

/// With at most this many incidents each gets its page; with more, a table.
const PAGES_MAX: usize = 3;

/// Read recorded signals and print the incidents they hold
#[derive(Debug, Args)]
#[command(after_help = "\
INPUT is a folder that `bellwether simulate` or `bellwether run` wrote, or its journal, or files:
NDJSON, CSV, Parquet or log lines, also gzipped; `-` is NDJSON on stdin. Several files are merged
by time. With --dataset a public case is played instead, and its faults are listed beside the
incidents that named them.

Examples:
  bellwether replay sim-42
  bellwether replay alerts.ndjson changes.ndjson --out incidents.ndjson
  bellwether replay shop.log --entity service:shop
  zcat alerts.ndjson.gz | bellwether replay - --json | jq .incidents
  bellwether replay bellwether-state --beside tuned/promote.yaml
  bellwether replay --dataset nezha/rca_data/2022-08-22

The exit code is 3 when rows were refused; they are counted by reason on stderr.")]
pub(super) struct ReplayArgs {
    /// What to read
    #[arg(value_name = "INPUT", required_unless_present = "dataset", conflicts_with = "dataset")]
    inputs: Vec<PathBuf>,
    /// Play a public case instead: petshop/<scenario>/train/<issue> or nezha/rca_data/<day>
    #[arg(long, value_name = "NAME")]
    dataset: Option<String>,
    /// Folder with the public data sets [default: $BELLWETHER_DATA or ../shared/data]
    #[arg(long, value_name = "DIR", requires = "dataset")]
    data: Option<PathBuf>,
    /// Write every incident event here, a line of JSON each
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Play at N times the speed at which it happened, instead of as fast as possible
    #[arg(long, value_name = "N", value_parser = parse_speed)]
    speed: Option<f64>,
    /// Publish to this NATS server too: nats://host:4222
    #[arg(long, value_name = "URL")]
    sink: Option<String>,
    /// Use the engine settings of this configuration file, instead of those in the journal
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Play it twice, the second time with the engine settings of this file laid over, and show what
    /// is told in one and not in the other: `promote.yaml`, as `tune` leaves it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "sink", "speed", "dataset"])]
    beside: Option<PathBuf>,
    /// Whose the rows of files are
    #[arg(long, value_name = "NAME", default_value = "default")]
    tenant: String,
    /// Who wrote the log lines, type:name [default: by the file's name, service:shop for shop.log]
    #[arg(long, value_name = "ENTITY")]
    entity: Option<String>,
    /// Threads of the engine; all cores when left out. Results do not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print the figures as JSON, and no incidents
    #[arg(long)]
    json: bool,
}

/// A text that is no speed.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("write a number above 0, like 1 or 60")]
struct NoSpeed;

fn parse_speed(text: &str) -> Result<f64, NoSpeed> {
    match text.trim_end_matches('x').parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(speed),
        _ => Err(NoSpeed),
    }
}

/// All cores, or what was asked for.
pub(super) fn threads(asked: Option<NonZeroUsize>) -> NonZeroUsize {
    asked.or_else(|| std::thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN)
}

/// Reads the inputs and prints what the engine found.
///
/// # Errors
/// When an input or an output cannot be opened, or the configuration is not accepted.
pub(super) fn run(args: &ReplayArgs) -> Result<Exit> {
    let engine_config = match &args.config {
        Some(file) => config::load_beside(file)?.engine,
        None => EngineConfig::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match &args.beside {
        Some(file) => runtime.block_on(beside(args, engine_config, &config::engine_settings(file)?)),
        None => runtime.block_on(replay(args, engine_config)),
    }
}

/// Plays the input as it is and with other settings, and shows what differs.
async fn beside(args: &ReplayArgs, settings: EngineConfig, over: &Value) -> Result<Exit> {
    if args.inputs.iter().any(|input| input == Path::new(inputs::STDIN)) {
        return Err(UsageError("--beside reads twice, stdin can be read once: name a file".to_owned()).into());
    }
    let laid = lay_over(&settings, over).map_err(|error| UsageError(error.to_string()))?;
    let nothing = Value::Object(serde_json::Map::new());
    let (was, _) = play(args, settings, &nothing, None).await?;
    let (is, rejects) = play(args, laid, over, None).await?;
    let difference = Difference::of(&was.kept.latest(), &is.kept.latest());
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", difference.json())?;
    } else {
        write!(out, "{}", difference.text(&Term::stdout()))?;
    }
    inputs::report_rejects(&rejects)?;
    if let Some(error) = was.failed.or(is.failed) {
        return Err(error.into());
    }
    Ok(if rejects.total() > 0 { Exit::Rejected } else { Exit::Ok })
}

/// What was played.
struct Played {
    figures: Figures,
    kept: Kept,
    failed: Option<SourceError>,
}

async fn replay(args: &ReplayArgs, engine_config: EngineConfig) -> Result<Exit> {
    let judge = judge(args)?;
    let nothing = Value::Object(serde_json::Map::new());
    let (played, rejects) = play(args, engine_config, &nothing, judge.as_ref()).await?;
    let judge = judge.map(|judge| judge.lock().unwrap_or_else(PoisonError::into_inner).clone());
    print(args, &played.figures, &played.kept, judge.as_ref(), &Term::stdout())?;
    inputs::report_rejects(&rejects)?;
    if let Some(error) = played.failed {
        return Err(error.into());
    }
    Ok(if rejects.total() > 0 { Exit::Rejected } else { Exit::Ok })
}

/// Plays the input through an engine; `over` is laid over the settings that a journal holds.
async fn play(
    args: &ReplayArgs,
    settings: EngineConfig,
    over: &Value,
    judge: Option<&Arc<Mutex<Judge>>>,
) -> Result<(Played, RejectLog)> {
    let lateness = settings.lateness;
    let sources = sources(args, lateness, over)?;
    let workers = Workers::new(threads(args.threads)).map_err(|e| UsageError(e.to_string()))?;
    let engine = || Engine::on(&workers, settings.clone()).map_err(|e| UsageError(e.to_string()));
    let partitions = sources.iter().map(|_| engine().map(Partition::in_memory)).collect::<Result<Vec<_>, _>>()?;
    let rejects = RejectLog::counting();
    let gauges = Arc::new(Gauges::of(NonZeroUsize::new(partitions.len()).unwrap_or(NonZeroUsize::MIN)));
    let kept = Kept::default();
    let bar = progress::bar(None, "signals read");
    let readers = readers(args, &kept, judge, &bar, Term::stdout()).await?;
    let wiring = Wiring {
        partitions,
        rejects: rejects.clone(),
        memory: Memory::unlimited(),
        sources,
        companions: Vec::new(),
        receivers: Receivers { kept: readers, companions: Vec::new() },
        finish: true,
        incidents: Arc::default(),
    };
    let (_stopper, stop) = stop_pair();
    let watching = progress::follow(&bar, &gauges);
    let began = Instant::now();
    let ended = wiring::run(wiring, gauges.clone(), stop).await;
    watching.abort();
    bar.finish_and_clear();
    let outcome = ended?;
    inputs::all_delivered(&outcome.readers)?;
    let figures = Figures::gather(&gauges, &kept, rejects.total(), began.elapsed(), outcome.engine.digest());
    let failed = outcome.failed_sources.into_iter().next();
    Ok((Played { figures, kept, failed }, rejects))
}

/// The answers of the case that is played.
fn judge(args: &ReplayArgs) -> Result<Option<Arc<Mutex<Judge>>>> {
    let Some(name) = &args.dataset else {
        return Ok(None);
    };
    Ok(Some(Arc::new(Mutex::new(Judge::of(&data_dir(args.data.as_deref()), name)?))))
}

/// What is read: one source for each partition of what is played. Partitions have their ticks and settings each in
/// its own journal, and are played each by its own engine.
fn sources(args: &ReplayArgs, lateness: Span, over: &Value) -> Result<Vec<Box<dyn Source>>> {
    if let Some(name) = &args.dataset {
        let case = real::dataset(&data_dir(args.data.as_deref()), name)?;
        let feed = EntryFeed::new(name.as_str(), case.into_inputs().map(Ok));
        return Ok(vec![match args.speed {
            Some(speed) => Box::new(feed.at_speed(speed)),
            None => Box::new(feed),
        }]);
    }
    let whose = Whose { tenant: &args.tenant, entity: args.entity.as_deref() };
    let [only] = &args.inputs[..] else {
        return Ok(vec![inputs::merged(&args.inputs, whose, lateness, args.speed)?]);
    };
    let journals = journals_of(only)?;
    if journals.is_empty() {
        return Ok(vec![inputs::merged(&args.inputs, whose, lateness, args.speed)?]);
    }
    let pacer = args.speed.map(Pacer::new);
    let sources = journals.iter().enumerate().map(|(partition, folder)| {
        // Asked for other settings: those that the run had must not come back.
        let own = args.config.is_some();
        let over = over.clone();
        let laid = move |entry| match entry {
            // What a run wrote goes with any settings that are accepted; what does not changes nothing.
            Ok(Input::Settings(own)) => Ok(Input::Settings(lay_over(&own, &over).map_or(own, Arc::new))),
            other => other,
        };
        let entries =
            journal_entries(folder)?.filter(move |entry| !(own && matches!(entry, Ok(Input::Settings(_))))).map(laid);
        let feed = EntryFeed::new(only.display().to_string(), entries);
        let source: Box<dyn Source> = match &pacer {
            Some(pacer) => Box::new(feed.paced_by(pacer.clone())),
            None => Box::new(feed),
        };
        Ok(Box::new(OfPartition { partition, source }) as Box<dyn Source>)
    });
    sources.collect()
}

async fn readers(
    args: &ReplayArgs,
    kept: &Kept,
    judge: Option<&Arc<Mutex<Judge>>>,
    bar: &indicatif::ProgressBar,
    term: Term,
) -> Result<Vec<Reader>> {
    let mut sinks: Vec<Box<dyn Sink>> = vec![Box::new(KeepSink::new(kept))];
    if let Some(judge) = judge {
        sinks.push(Box::new(JudgeSink::new(judge)));
    }
    // Two replays beside each other are told by what differs.
    if !args.json && args.beside.is_none() {
        let style = LineStyle { term, tenant_width: 0 };
        sinks.push(Box::new(ScreenSink::new(style, bar.clone())));
    }
    if let Some(path) = &args.out {
        std::fs::File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?;
        sinks.push(Box::new(NdjsonSink::open(NdjsonSinkConfig::new("out", path.clone()))?));
    }
    if let Some(url) = &args.sink {
        sinks.push(inputs::nats_sink(url).await?);
    }
    Ok(sinks.into_iter().map(Reader::of).collect())
}

fn print(args: &ReplayArgs, figures: &Figures, kept: &Kept, judge: Option<&Judge>, term: &Term) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if args.json {
        let mut figures = figures.json();
        if let Some(judge) = judge {
            figures["answers"] = answers_json(judge);
        }
        writeln!(out, "{figures}")?;
        return Ok(());
    }
    let latest = kept.latest();
    if latest.len() <= PAGES_MAX {
        let several = tenant_count(&latest) > 1;
        for event in &latest {
            writeln!(out)?;
            write!(out, "{}", incident_page(&event.record, several.then_some(&*event.tenant), term))?;
        }
    } else {
        write!(out, "\n{}", incident_table(&latest, term))?;
    }
    if let Some(judge) = judge {
        write!(out, "\n{}", answers_table(judge, term))?;
    }
    writeln!(out, "\n{}", term.paint(Ink::Bold, &figures.line()))?;
    if let Some(path) = &args.out {
        writeln!(out, "every event is in {}", path.display())?;
    }
    Ok(())
}
