//! `bellwether run`: the service.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bellwether_connectors::bridges::{self, Bridge, BridgeFigures};
use bellwether_connectors::journal::{Journal, Position};
use bellwether_connectors::memory::Memory;
use bellwether_connectors::outbox::{Reader, ReaderTotals};
use bellwether_connectors::private;
use bellwether_connectors::resolve::entity_resolution::EntityResolver;
use bellwether_connectors::server::descriptors;
use bellwether_connectors::sinks::Order;
use bellwether_connectors::wires::{self, WireList as _, Wires, WiresConfig};
use bellwether_connectors::{Intake, RejectLog, SinkConfig, Source, Stopper, stop_pair};
use bellwether_engine::time::Span;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::open_state::{Opened, duration, open_partitions};
use super::replay::threads;
use super::{inputs, status};
use crate::config::{self, Config, PageConfig};
use crate::exit::{Exit, UsageError};
use crate::page::Page;
use crate::report::Figures;
use crate::wiring::feeds::{OfPartition, TickFeed, opening};
use crate::wiring::gauges::Gauges;
use crate::wiring::outbox::Receivers;
use crate::wiring::partitions::Partitions;
use crate::wiring::question::Question;
use crate::wiring::readiness::Readiness;
use crate::wiring::reload::{Reloader, SettingsWriter};
use crate::wiring::screen::{KeepSink, Kept};
use crate::wiring::{self, Wiring};

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
    /// begins anew, incidents that are open are ended, and faults that go on are told again
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
    config.check_bridges().map_err(|error| UsageError(error.to_string()))?;
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
    let partitions = Partitions::open(config, threads(None)).map_err(|error| UsageError(error.to_string()))?;
    let limit = config.memory.limit();
    let memory = limit.map_or_else(Memory::unlimited, Memory::within);
    let settings = config.engine_within(limit);
    let opened = open_partitions((config, &settings), &partitions, args.accept_data_loss).await?;
    status::say_start(config, partitions.count());
    for (partition, Opened { position, report, .. }) in opened.iter().enumerate() {
        tracing::info!(partition, position = position.0, journal = report.last.0, "state restored");
    }
    let journals: Vec<Arc<dyn Journal>> = opened.iter().map(|of| of.journal.clone()).collect();
    let rejects = RejectLog::to_file(&config.state.join("rejected.ndjson"))?;
    let settings_writer = SettingsWriter::new(journals.clone(), rejects.clone());
    let new = opened.iter().all(|of| of.report.last == Position::START);
    if settings_writer.settings(&settings).await? && !new {
        tracing::info!("the engine's settings have changed: the journal says from where on");
    }
    settings_writer.catalogues(config).await?;
    for Opened { journal, report, .. } in opened.iter().filter(|_| config.tick != Span::ZERO) {
        let opening = opening(duration(config.tick), report.last == Position::START);
        Intake::new(journal.clone(), rejects.clone()).accept(&opening, None).await?;
    }

    let kept = Kept::default();
    let mut readers = open_readers(config, args.json).await?;
    let Bridges { readers: to_bridges, workers, figures } = open_bridges(config)?;
    readers.extend(to_bridges);
    let gauges = Arc::new(Gauges::of(partitions.count()));
    gauges.shows_memory(&memory);
    let (asking, parts): (Vec<_>, Vec<_>) = opened.into_iter().map(|of| of.connect(config, &settings)).unzip();
    // An engine that has read nothing yet is where it was restored.
    parts.iter().enumerate().for_each(|(partition, of)| gauges.at(partition, of.position));
    let ends: Vec<_> = journals.iter().map(|journal| journal.durable()).collect();
    let ends = move || ends.iter().map(|end| *end.borrow()).collect::<Vec<Position>>();
    let readiness = Arc::new(Readiness::new(gauges.clone()));
    let (durable, ready) = (ends.clone(), readiness.clone());
    let reasons = move || ready.reasons(&durable());
    let page = open_page(config, &gauges, reasons, asking.clone())?;
    let mut companions = vec![Reader::of(Box::new(KeepSink::new(&kept)))];
    companions.extend(page.as_ref().map(|page| page.reader()));
    let receivers = Receivers { kept: readers, companions };
    let Wires { sources: listeners, http, resolver, incidents, live, .. } = wires;
    let reloader = Arc::new(Reloader::new(args.config.clone(), config.clone(), live, settings_writer, asking));
    if let Some(http) = &http {
        let (reloads, durable, gauges) = (reloader.clone(), ends.clone(), gauges.clone());
        http.show_more(move || {
            gauges.exposition(&durable()) + &reloads.gauges().exposition() + &bridges::exposition(&figures)
        });
        http.administered_by(reloader.clone());
        http.ready_unless(move || readiness.reasons(&ends()));
        if let Some(page) = &page {
            http.hosts(page.clone());
        }
    }
    let sources = open_sources(config, &resolver, listeners)?;
    let dirs = (0..partitions.count().get()).map(|partition| partitions.journal(config, partition).dir).collect();
    let pictures = page.as_ref().map(|page| page.points_feed(dirs));
    let wiring = Wiring {
        companions: ticks(config.tick, parts.len()).into_iter().chain(workers).chain(pictures).collect(),
        partitions: parts,
        rejects: rejects.clone(),
        memory,
        sources,
        receivers,
        finish: false,
        incidents,
    };
    let (stopper, stop) = stop_pair();
    let listening = tokio::spawn(stop_on_signal(stopper));
    let reloading = tokio::spawn(reload_on_signal(reloader));
    let saying = tokio::spawn(status::follow(gauges.clone()));
    let keep = |page: Arc<Page>| page.keep(gauges.clone(), logs_of(config, &partitions), config.state.clone());
    let keeping = page.clone().map(|page| tokio::spawn(keep(page)));
    let began = Instant::now();
    let ended = wiring::run(wiring, gauges.clone(), stop).await;
    listening.abort();
    if let Some(keeping) = keeping {
        keeping.abort();
    }
    if let Some(page) = page {
        page.keep_last_words(&config.state);
    }
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

/// The page, where there is to be one.
fn open_page(
    config: &Config,
    gauges: &Arc<Gauges>,
    reasons: impl Fn() -> Vec<String> + Send + Sync + 'static,
    asking: Vec<mpsc::Sender<Question>>,
) -> Result<Option<Arc<Page>>> {
    let open = |page: PageConfig| Page::running(&page, &config.state, gauges, reasons, asking);
    let opened = config.page.as_ref().map(|page| open(page.within(config.memory.limit()))).transpose();
    opened.with_context(|| format!("cannot keep the key of the page's cookies in `{}`", config.state.display()))
}

/// Where each partition's incident log is.
fn logs_of(config: &Config, partitions: &Partitions) -> Vec<PathBuf> {
    let log = |partition| partitions.incident_log(&config.incident_log, partition).1;
    (0..partitions.count().get()).map(log).collect()
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

/// Each partition has its own: one whose journal is full keeps the time from itself alone.
fn ticks(every: Span, partitions: usize) -> Vec<Box<dyn Source>> {
    let every = duration(every);
    let tick =
        |partition| -> Box<dyn Source> { Box::new(OfPartition { partition, source: Box::new(TickFeed::new(every)) }) };
    (0..partitions).filter(|_| !every.is_zero()).map(tick).collect()
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

/// What the bridges consist of.
struct Bridges {
    readers: Vec<Reader>,
    workers: Vec<Box<dyn Source>>,
    figures: Vec<BridgeFigures>,
}

fn open_bridges(config: &Config) -> Result<Bridges> {
    let mut all = Bridges { readers: Vec::new(), workers: Vec::new(), figures: Vec::new() };
    for bridge in &config.bridges {
        let Bridge { sink, worker, figures } = Bridge::open(bridge, &config.state)
            .map_err(|error| UsageError(format!("bridge `{}`: {error}", bridge.name())))?;
        // A ticket shows how things stand.
        all.readers.push(Reader::of(sink).with_order(Order::Newest));
        all.workers.push(worker);
        all.figures.push(figures);
    }
    Ok(all)
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
