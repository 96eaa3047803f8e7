//! `bellwether run`: the service.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bellwether_connectors::journal::{Journal, LocalJournal, Position};
use bellwether_connectors::wires::{self, Wires};
use bellwether_connectors::{
    Checkpoint, Checkpoints, Intake, Mark, RejectLog, Sink, SinkConfig, Source, Stopper, stop_pair,
};
use bellwether_engine::CheckpointError;
use bellwether_engine::Engine;
use bellwether_engine::input::Input;
use bellwether_engine::time::{EventTime, Span};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::inputs;
use super::replay::threads;
use super::validate::load_catalogues;
use crate::config::{self, Config};
use crate::exit::{Exit, UsageError};
use crate::report::Figures;
use crate::wiring::feeds::TickFeed;
use crate::wiring::fold::Cadence;
use crate::wiring::gauges::Gauges;
use crate::wiring::screen::{KeepSink, Kept};
use crate::wiring::{self, Wiring};

/// Run the service: read the sources, keep the journal, tell the incidents
#[derive(Debug, Args)]
#[command(after_help = "\
What it accepts is in the journal before the sender hears so. Kill it at any moment: the next
start goes on from the newest checkpoint and tells nothing twice. SIGTERM and Ctrl-C stop it in
order: sources, engine, sinks, a last checkpoint, exit 0.

Examples:
  bellwether run -c bellwether.yaml
  bellwether validate bellwether.yaml      check the file first")]
pub(super) struct RunArgs {
    /// The YAML file
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Print the figures as JSON at the end, and nothing else on stdout
    #[arg(long)]
    json: bool,
}

/// Runs until the sources end or a signal comes.
///
/// # Errors
/// When the configuration is not accepted, a receiver or a file cannot be opened, or the disk
/// fails while running.
pub(super) fn run(args: &RunArgs) -> Result<Exit> {
    let folder = args.config.parent().unwrap_or(Path::new("")).to_owned();
    let config = config::load::<Config>(&args.config)?.relative_to(&folder);
    if config.sources.is_empty() && config.wires.listeners().is_empty() {
        let message =
            format!("`{}` has neither sources nor wires: there would be nothing to read", args.config.display());
        return Err(UsageError(message).into());
    }
    let wires = wires::build(&config.wires).map_err(|error| UsageError(format!("wires: {error}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(serve(args, &config, wires));
    // A blocked read of stdin or a file must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit
}

async fn serve(args: &RunArgs, config: &Config, wires: Wires) -> Result<Exit> {
    std::fs::create_dir_all(&config.state).with_context(|| format!("cannot make `{}`", config.state.display()))?;
    let (journal, report) = LocalJournal::open(&config.journal_config())?;
    if let Some(torn) = &report.torn {
        tracing::warn!(segment = %torn.segment.display(), bytes = torn.bytes, reason = torn.reason,
            "a crash left the journal's end unfinished: cut, it had not been acknowledged");
    }
    let checkpoints = Checkpoints::open(config.state.join("checkpoints"))?;
    let (engine, position) = recover(config, &checkpoints, report.first)?;
    tracing::info!(position = position.0, journal = report.last.0, "starting");
    let journal: Arc<dyn Journal> = Arc::new(journal);
    let rejects = RejectLog::to_file(&config.state.join("rejected.ndjson"))?;
    tell_catalogues(config, &journal, &rejects).await?;

    let kept = Kept::default();
    let mut sinks = open_sinks(config, args.json).await?;
    sinks.push(Box::new(KeepSink::new(&kept)));
    let gauges = Arc::new(Gauges::default());
    let sources = open_sources(config, wires, &gauges)?;
    let wiring = Wiring {
        engine,
        position,
        journal,
        rejects: rejects.clone(),
        sources,
        companions: ticks(config.tick),
        sinks,
        checkpoints: Some((checkpoints, cadence(config))),
        finish: false,
    };
    let (stopper, stop) = stop_pair();
    let listening = tokio::spawn(stop_on_signal(stopper));
    let began = Instant::now();
    let ended = wiring::run(wiring, gauges.clone(), stop).await;
    listening.abort();
    rejects.flush()?;
    let outcome = ended?;
    let figures = Figures::gather(&gauges, &kept, rejects.total(), began.elapsed(), outcome.engine.digest());
    report_end(args, &figures)?;
    inputs::report_rejects(&rejects)?;
    if let Some(error) = outcome.failed_sources.into_iter().next() {
        return Err(error.into());
    }
    Ok(if rejects.total() > 0 { Exit::Rejected } else { Exit::Ok })
}

fn report_end(args: &RunArgs, figures: &Figures) -> Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match args.json {
        true => writeln!(out, "{}", figures.json())?,
        false => writeln!(out, "{}", figures.line())?,
    }
    Ok(())
}

/// The engine from the newest good checkpoint, or a new one that reads the journal from its
/// oldest entry.
fn recover(config: &Config, checkpoints: &Checkpoints, first: Position) -> Result<(Engine, Position)> {
    let threads = threads(config.threads);
    let new = || Engine::new(config.engine.clone(), threads).map_err(|error| UsageError(error.to_string()));
    // First: settings that cannot be used must not cost a checkpoint.
    let engine = new()?;
    let restore = |checkpoint: &Checkpoint| match Engine::restore(config.engine.clone(), threads, &checkpoint.state) {
        Ok(engine) => Ok(Some(engine)),
        // Not damaged: the settings changed, and the journal is read again with the new ones.
        Err(CheckpointError::Config { .. }) => Ok(None),
        Err(error) => Err(error.to_string()),
    };
    let from_start = Position(first.0.saturating_sub(1));
    match checkpoints.restore(restore)? {
        Some((position, Some(engine))) => Ok((engine, position)),
        Some((_, None)) => {
            tracing::warn!(
                from = first.0,
                "the engine's settings changed: the journal is read again with the new ones"
            );
            Ok((engine, from_start))
        }
        None => Ok((engine, from_start)),
    }
}

fn cadence(config: &Config) -> Cadence {
    Cadence { every: duration(config.checkpoint.every), entries: config.checkpoint.entries.max(1) }
}

fn duration(span: Span) -> Duration {
    Duration::from_nanos(u64::try_from(span.0).unwrap_or(0))
}

fn ticks(every: Span) -> Vec<Box<dyn Source>> {
    match duration(every) {
        Duration::ZERO => Vec::new(),
        every => vec![Box::new(TickFeed::new(every))],
    }
}

/// Writes each tenant's catalogue into the journal, unless it is the one written last.
async fn tell_catalogues(config: &Config, journal: &Arc<dyn Journal>, rejects: &RejectLog) -> Result<()> {
    let intake = Intake::new(journal.clone(), rejects.clone());
    for (tenant, catalogue) in load_catalogues(config)? {
        let name = format!("catalogue/{tenant}");
        // It describes the world as it was before the first signal, too.
        let at = EventTime::from_secs(0);
        let input = Input::Catalogue { tenant: tenant.into(), at, catalogue: Arc::new(catalogue) };
        let mut bytes = Vec::new();
        input.encode(&mut bytes);
        let cursor = xxhash_rust::xxh3::xxh3_64(&bytes).to_le_bytes().to_vec();
        if intake.cursor(&name).as_ref() != Some(&cursor) {
            intake.accept(&[input], Some(Mark { source: name, cursor })).await?;
        }
    }
    Ok(())
}

/// What is read and what is listened for; the gauges are shown where the wires show theirs.
fn open_sources(config: &Config, wires: Wires, gauges: &Arc<Gauges>) -> Result<Vec<Box<dyn Source>>> {
    if let Some(http) = &wires.http {
        let gauges = gauges.clone();
        http.show_more(move || gauges.exposition());
    }
    let mut sources = config.sources.iter().map(|source| source.clone().build()).collect::<Result<Vec<_>, _>>()?;
    sources.extend(wires.sources);
    Ok(sources)
}

async fn open_sinks(config: &Config, quiet: bool) -> Result<Vec<Box<dyn Sink>>> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    for sink in config.sinks_or_default() {
        if !(quiet && matches!(sink, SinkConfig::Terminal(_))) {
            sinks.push(sink.open().await?);
        }
    }
    Ok(sinks)
}

/// Waits for SIGTERM or Ctrl-C; a second one ends the process at once.
async fn stop_on_signal(stopper: Stopper) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::warn!("signals cannot be listened to: kill -9 is safe, too");
        std::future::pending::<()>().await;
        return;
    };
    tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    stopper.stop();
    tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    tracing::warn!("asked twice: ending at once, the journal has everything");
    std::process::exit(Exit::Failure as i32);
}
