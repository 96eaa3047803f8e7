//! `bellwether run`: the service.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bellwether_connectors::journal::{Journal, LocalJournal, Position};
use bellwether_connectors::memory::Memory;
use bellwether_connectors::outbox::{IncidentLog, Reader, ReaderTotals};
use bellwether_connectors::private;
use bellwether_connectors::resolve::entity_resolution::EntityResolver;
use bellwether_connectors::server::descriptors;
use bellwether_connectors::wires::{self, WireList as _, Wires, WiresConfig};
use bellwether_connectors::{Checkpoint, Checkpoints, Intake, RejectLog, SinkConfig, Source, Stopper, stop_pair};
use bellwether_engine::time::Span;
use bellwether_engine::{Engine, EngineConfig};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::replay::threads;
use super::{inputs, status};
use crate::config::{self, Config};
use crate::exit::{Exit, UsageError};
use crate::report::Figures;
use crate::wiring::feeds::{TickFeed, opening};
use crate::wiring::fold::Care;
use crate::wiring::gauges::Gauges;
use crate::wiring::outbox::Delivery;
use crate::wiring::pace::Cadence;
use crate::wiring::quarantine::Quarantine;
use crate::wiring::readiness::Readiness;
use crate::wiring::reload::{QUESTIONS_MAX, Reloader, SettingsWriter};
use crate::wiring::screen::{KeepSink, Kept};
use crate::wiring::{self, Past, Wiring};

/// Where the readers of the incident log keep where they are, in the state folder.
pub(super) const READERS_FOLDER: &str = "readers";

/// Run the service: read the sources, keep the journal, tell the incidents
#[derive(Debug, Args)]
#[command(after_help = "\
What it accepts is in the journal before the sender hears so. Kill it at any moment: the next
start goes on from the newest checkpoint and tells nothing twice. SIGTERM and Ctrl-C stop it in
order: sources, engine, a last checkpoint, what receivers take within seconds, exit 0; the rest
waits in the incident log for the next start. SIGHUP reads the file again: what can
change while it runs does, what needs a restart is named in the log, and a mistake changes nothing.
On stderr it says what it listens on and where incidents go, and at most once a minute how much it
watches, when that has changed; -q leaves that out.

Examples:
  bellwether run -c bellwether.yaml
  bellwether validate bellwether.yaml      check the file first")]
pub(super) struct RunArgs {
    /// The YAML file
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Start although the journal no longer has what the state was made of and no checkpoint reads: the engine
    /// begins anew, incidents that are open are not followed any more, and faults that go on are told again
    #[arg(long)]
    accept_data_loss: bool,
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
    let config = config::load_beside(&args.config)?;
    if config.sources.is_empty() && !config.wires.listens() {
        let message =
            format!("`{}` has neither sources nor wires: there would be nothing to read", args.config.display());
        return Err(UsageError(message).into());
    }
    config.check_names().map_err(|error| UsageError(error.to_string()))?;
    descriptors::raise();
    let wires = wires::build(&config.wires).map_err(|error| UsageError(format!("wires: {error}")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(serve(args, config, wires));
    // A blocked read of stdin or a file must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    exit
}

async fn serve(args: &RunArgs, config: Config, wires: Wires<WiresConfig>) -> Result<Exit> {
    let config = &config;
    private::folder(&config.state).with_context(|| format!("cannot make `{}`", config.state.display()))?;
    let (journal, report) = LocalJournal::open(&config.journal_config())?;
    let checkpoints = Checkpoints::open(config.state.join("checkpoints"))?;
    let quarantine = Quarantine::open(&config.state)?;
    if !quarantine.is_empty() {
        tracing::warn!(entries = quarantine.len(), "entries that met a bug are left out: see the folder `quarantine`");
    }
    let limit = config.memory.limit();
    let memory = limit.map_or_else(Memory::unlimited, Memory::within);
    let settings = config.engine_within(limit);
    let (engine, position) = recover(config, &settings, &checkpoints, report.first, args.accept_data_loss)?;
    let log = IncidentLog::open(&config.incident_log, &config.incident_log.folder(&config.state))?;
    log.check_covers(position, report.last)?;
    let cursors = config.state.join(READERS_FOLDER);
    private::folder(&cursors).with_context(|| format!("cannot make `{}`", cursors.display()))?;
    status::say_start(config);
    tracing::info!(position = position.0, journal = report.last.0, "state restored");
    let journal: Arc<dyn Journal> = Arc::new(journal);
    let rejects = RejectLog::to_file(&config.state.join("rejected.ndjson"))?;
    let settings_writer = SettingsWriter::new(journal.clone(), rejects.clone());
    if settings_writer.settings(&settings).await? && report.last != Position::START {
        tracing::info!("the engine's settings have changed: the journal says from where on");
    }
    settings_writer.catalogues(config).await?;
    if config.tick != Span::ZERO {
        let opening = opening(duration(config.tick), report.last == Position::START);
        Intake::new(journal.clone(), rejects.clone()).accept(&opening, None).await?;
    }

    let kept = Kept::default();
    let delivery = Delivery {
        log,
        readers: open_readers(config, args.json).await?,
        companions: vec![Reader::of(Box::new(KeepSink::new(&kept)))],
        cursors: Some(cursors),
    };
    let gauges = Arc::new(Gauges::default());
    gauges.shows_memory(&memory);
    let (asking, questions) = mpsc::channel(QUESTIONS_MAX);
    let Wires { sources: listeners, http, resolver, incidents, live, .. } = wires;
    let reloader = Arc::new(Reloader::new(args.config.clone(), config.clone(), live, settings_writer, asking));
    if let Some(http) = &http {
        // An engine that has read nothing yet is where it was restored.
        gauges.at(position);
        let (watched, gauges) = (gauges.clone(), gauges.clone());
        let (reloads, durable) = (reloader.clone(), journal.durable());
        http.show_more(move || gauges.exposition(*durable.borrow()) + &reloads.gauges().exposition());
        http.administered_by(reloader.clone());
        let (readiness, durable) = (Readiness::new(watched), journal.durable());
        http.ready_unless(move || readiness.reasons(*durable.borrow()));
    }
    let sources = open_sources(config, &resolver, listeners)?;
    let wiring = Wiring {
        engine,
        position,
        journal,
        rejects: rejects.clone(),
        memory,
        sources,
        companions: ticks(config.tick),
        delivery,
        checkpoints: Some((checkpoints.clone(), cadence(config))),
        care: Some(Care { past: past(settings, checkpoints, position, report.first), quarantine }),
        finish: false,
        incidents,
        questions,
    };
    let (stopper, stop) = stop_pair();
    let listening = tokio::spawn(stop_on_signal(stopper));
    let reloading = tokio::spawn(reload_on_signal(reloader));
    let saying = tokio::spawn(status::follow(gauges.clone()));
    let began = Instant::now();
    let ended = wiring::run(wiring, gauges.clone(), stop).await;
    listening.abort();
    reloading.abort();
    saying.abort();
    rejects.flush()?;
    let outcome = ended?;
    outcome.readers.iter().for_each(report_left);
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
/// oldest entry; not when that is not the beginning, unless the loss is accepted.
fn recover(
    config: &Config,
    settings: &EngineConfig,
    checkpoints: &Checkpoints,
    first: Position,
    accept: bool,
) -> Result<(Engine, Position)> {
    let threads = threads(config.threads);
    let new = || Engine::new(settings.clone(), threads).map_err(|error| UsageError(error.to_string()));
    // First: settings that cannot be used must not cost a checkpoint.
    let engine = new()?;
    // With the settings it had then: the journal says where they change.
    let resume = |checkpoint: &Checkpoint| Engine::resume(threads, &checkpoint.state);
    Ok(match checkpoints.restore(resume)? {
        Some((position, engine)) => (engine, position),
        None => {
            let begin = Position(first.0.saturating_sub(1));
            if begin != Position::START {
                accept_loss(config, begin, accept)?;
            }
            (engine, begin)
        }
    })
}

/// The state is lost: that is a person's decision.
fn accept_loss(config: &Config, gone: Position, accept: bool) -> Result<()> {
    let folder = config.state.join("checkpoints");
    let folder = folder.display();
    if !accept {
        let message = format!(
            "no checkpoint in `{folder}` reads, and the journal no longer has entries 1 to {gone}: what the engine knew \
             is lost with them (open incidents, what was learned of series, logs and delays). Put a checkpoint back \
             from a backup, those moved aside end in `.bad`; or begin anew with `--accept-data-loss`: incidents that \
             are open are then not followed any more, and faults that go on are told again under other ids"
        );
        return Err(UsageError(message).into());
    }
    tracing::warn!(
        gone = gone.0,
        "no checkpoint reads: as accepted, the engine begins anew; incidents that are open are not followed any more, \
         faults that go on are told again under other ids"
    );
    Ok(())
}

/// Where earlier states are had from: an engine without a checkpoint began at the journal's oldest entry, where
/// that is the first of all or where this one began.
fn past(settings: EngineConfig, checkpoints: Checkpoints, began: Position, first: Position) -> Past {
    let oldest = Position(first.0.saturating_sub(1));
    let whole = oldest == Position::START || oldest == began;
    Past { checkpoints, beginning: whole.then_some((oldest, settings)) }
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

/// What is read and what is listened for.
fn open_sources(
    config: &Config,
    resolver: &Arc<EntityResolver>,
    listeners: Vec<Box<dyn Source>>,
) -> Result<Vec<Box<dyn Source>>> {
    let built = config.sources.iter().map(|source| source.build(resolver));
    let mut sources = built.collect::<Result<Vec<_>, _>>()?;
    sources.extend(listeners);
    Ok(sources)
}

async fn open_readers(config: &Config, quiet: bool) -> Result<Vec<Reader>> {
    let mut readers = Vec::new();
    for sink in config.sinks_or_default() {
        if !(quiet && matches!(sink, SinkConfig::Terminal(_))) {
            readers.push(Reader::configured(sink).await?);
        }
    }
    Ok(readers)
}

/// Says what a receiver has not got.
fn report_left(reader: &ReaderTotals) {
    if reader.left > 0 {
        let reason = reader.reason.as_deref().unwrap_or("there was no more time");
        tracing::warn!(reader = reader.name, left = reader.left, reason, "its events wait in the incident log");
    }
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

/// Reads the configuration again on each SIGHUP; the reloader says in the log what came of it.
async fn reload_on_signal(reloader: Arc<Reloader>) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        tracing::warn!("SIGHUP cannot be listened to: reload with POST /-/reload");
        return;
    };
    while hangup.recv().await.is_some() {
        let _ = reloader.run().await;
    }
}
