//! `bellwether demo`: a story through the whole product, and a report at its end.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bellwether_connectors::journal::{Journal, JournalConfig, LocalJournal, Position};
use bellwether_connectors::memory::Memory;
use bellwether_connectors::nats::testing::{NatsServer, NatsServerError};
use bellwether_connectors::outbox::{IncidentLog, IncidentLogConfig, Reader};
use bellwether_connectors::sinks::nats::{NatsSink, NatsSinkConfig};
use bellwether_connectors::sinks::ndjson::{NdjsonSink, NdjsonSinkConfig};
use bellwether_connectors::{Checkpoints, RejectLog, Sink, Source, stop_pair};
use bellwether_datasets::simulation::{Plan, Simulation};
use bellwether_datasets::story::{Story, story};
use bellwether_datasets::truth::Truth;
use bellwether_engine::time::Span;
use bellwether_engine::{Engine, EngineConfig};
use clap::Args;
use indicatif::ProgressBar;

use super::demo_report::{Played, tell};
use super::page::until_interrupted;
use super::read_back::{ReadBack, read_back};
use super::replay::threads;
use super::simulate::story_names;
use crate::config::INCIDENTS_FILE;
use crate::exit::Exit;
use crate::page::Page;
use crate::progress;
use crate::report::{Figures, LineStyle};
use crate::term::{Ink, Term, wrap};
use crate::wiring::feeds::EntryFeed;
use crate::wiring::gauges::Gauges;
use crate::wiring::outbox::{Delivery, Receivers};
use crate::wiring::pace::Cadence;
use crate::wiring::partitions::{CHECKPOINTS_FOLDER, JOURNAL_FOLDER};
use crate::wiring::recorded::journals_of;
use crate::wiring::screen::{KeepSink, Kept, ScreenSink};
use crate::wiring::{self, Partition, Wiring};

/// Play a story through the whole product: simulator, journal, engine, NATS, report
#[derive(Debug, Args)]
#[command(after_help = "\
With a NATS server (`make nats` installs one into .tools) the incidents go through the real
JetStream and are read back; without one the demo says what it leaves out. Everything it writes
is under --out.

Examples:
  bellwether demo
  bellwether demo plant-line --seconds 5
  bellwether demo msp --no-nats
  bellwether demo plant-line --serve       look at it in a browser")]
pub(super) struct DemoArgs {
    /// The story
    #[arg(value_name = "SCENARIO", default_value = "database-network-change", value_parser = story_names())]
    scenario: String,
    /// Seed of its noise
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// How long the story may take here
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// Serve the page of what happened afterwards, until Ctrl-C
    #[arg(long)]
    serve: bool,
    /// Where the page listens, on this machine
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9098")]
    listen: SocketAddr,
    /// Leave NATS out
    #[arg(long)]
    no_nats: bool,
    /// Folder for what it writes; the story's folder in it is written anew
    #[arg(long, value_name = "DIR", default_value = "demo-out")]
    out: PathBuf,
}

/// Plays the story and tells what happened.
///
/// # Errors
/// When the folder cannot be written or NATS fails half-way.
pub(super) fn run(args: &DemoArgs) -> Result<Exit> {
    let story = story(&args.scenario)?;
    let folder = args.out.join(story.name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot write `{}` anew", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(play(args, story, &folder))?;
    Ok(Exit::Ok)
}

async fn play(args: &DemoArgs, story: &Story, folder: &Path) -> Result<()> {
    let term = Term::stdout();
    let plan = (story.plan)(args.seed);
    let nats = match args.no_nats {
        true => Err(LeftOut::Asked),
        false => NatsServer::start().map_err(LeftOut::Server),
    };
    introduce(story, &plan, &nats, folder, args, &term)?;

    let bar = progress::story_bar(plan.lasts);
    let stage = Stage::set(&plan, &nats, folder, &bar, term).await?;
    let (gauges, kept, simulation) = (stage.gauges.clone(), stage.kept.clone(), stage.simulation.clone());
    let watching = progress::follow_story(&bar, &gauges, plan.start);
    let began = Instant::now();
    let (_stopper, stop) = stop_pair();
    let speed = plan.lasts.as_secs_f64() / f64::from(args.seconds);
    let outcome = wiring::run(stage.wiring(speed), gauges.clone(), stop).await;
    watching.abort();
    bar.finish_and_clear();
    let mut outcome = outcome?;

    let figures = Figures::gather(&gauges, &kept, 0, began.elapsed(), outcome.engine.digest());
    let back: Option<ReadBack> = match &nats {
        Ok(server) => Some(read_back(&server.connection()).await?),
        Err(_) => None,
    };
    let truth: Truth = simulation.lock().unwrap_or_else(PoisonError::into_inner).truth().clone();
    let played = Played { story, folder, kept: &kept, figures: &figures, truth: &truth, back: back.as_ref() };
    tell(&played, &mut outcome.engine, &gauges, &term)?;
    if args.serve {
        let page = Page::finished(outcome.engine, gauges, format!("the story “{}”", story.title));
        // Every revision is in the log of the folder; the engine has told its last.
        page.recall(&[IncidentLogConfig::default().folder(folder)]);
        page.recall_points(&journals_of(folder)?).await;
        println_heading(&term, "The page")?;
        until_interrupted(page, args.listen).await?;
    }
    Ok(())
}

fn println_heading(term: &Term, heading: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "\n{}\n", term.heading(heading))?;
    Ok(())
}

/// Why the story is played without NATS.
#[derive(Debug, thiserror::Error)]
enum LeftOut {
    /// It was asked for.
    #[error("--no-nats was given")]
    Asked,
    /// There is no server.
    #[error(transparent)]
    Server(NatsServerError),
}

fn introduce(
    story: &Story,
    plan: &Plan,
    nats: &Result<NatsServer, LeftOut>,
    folder: &Path,
    args: &DemoArgs,
    term: &Term,
) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n", term.heading(&format!("Bellwether · {}", story.title)))?;
    writeln!(out, "{}\n", wrap(story.text, term.width, 2, true))?;
    let field = |name: &str| term.paint(Ink::Dim, &format!("  {name:<10}"));
    let entities = plan.estate.entities.len();
    let tenants = match plan.estate.tenants.len() {
        1 => String::new(),
        several => format!(" of {several} tenants"),
    };
    let minutes = plan.lasts.0 / Span::from_mins(1).0;
    writeln!(
        out,
        "{}{entities} entities{tenants}, {minutes} minutes, played in about {} s",
        field("estate"),
        args.seconds
    )?;
    writeln!(out, "{}journal on disk → engine → incident log → sinks, all in {}", field("path"), folder.display())?;
    match nats {
        Ok(server) => {
            writeln!(out, "{}JetStream of a real nats-server, just for this, at {}", field("NATS"), server.url())?
        }
        Err(reason) => {
            let reason = wrap(&format!("left out: {reason}"), term.width, 12, false);
            writeln!(out, "{}{reason}", field("NATS"))?;
        }
    }
    writeln!(out)?;
    Ok(())
}

/// Everything the story is played on.
struct Stage {
    engine: Engine,
    journal: Arc<dyn Journal>,
    checkpoints: Checkpoints,
    receivers: Receivers,
    log: IncidentLog,
    simulation: Arc<Mutex<Simulation>>,
    gauges: Arc<Gauges>,
    kept: Kept,
}

impl Stage {
    async fn set(
        plan: &Plan,
        nats: &Result<NatsServer, LeftOut>,
        folder: &Path,
        bar: &ProgressBar,
        term: Term,
    ) -> Result<Stage> {
        let engine = Engine::new(EngineConfig::default(), threads(None))?;
        let (journal, _) = LocalJournal::open(&JournalConfig::new(folder.join(JOURNAL_FOLDER)))?;
        let kept = Kept::default();
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        // First in the list: the latency told is that of the furthest receiver.
        if let Ok(server) = nats {
            let config = NatsSinkConfig { connection: server.connection(), ..NatsSinkConfig::default() };
            sinks.push(Box::new(NatsSink::open(config).await?));
        }
        let widest = plan.estate.tenants.iter().map(|tenant| tenant.name.len()).max().unwrap_or(0);
        let tenant_width = if plan.estate.tenants.len() > 1 { widest.min(16) } else { 0 };
        sinks.push(Box::new(ScreenSink::new(LineStyle { term, tenant_width }, bar.clone())));
        let path = folder.join(INCIDENTS_FILE);
        sinks.push(Box::new(NdjsonSink::open(NdjsonSinkConfig::new("file", path))?));
        sinks.push(Box::new(KeepSink::new(&kept)));
        let log = IncidentLogConfig::default();
        let log = IncidentLog::open(&log, &log.folder(folder))?;
        let receivers = Receivers { kept: sinks.into_iter().map(Reader::of).collect(), companions: Vec::new() };
        Ok(Stage {
            engine,
            journal: Arc::new(journal),
            checkpoints: Checkpoints::open(folder.join(CHECKPOINTS_FOLDER))?,
            receivers,
            log,
            simulation: Arc::new(Mutex::new(Simulation::new(plan.clone()))),
            gauges: Arc::new(Gauges::default()),
            kept,
        })
    }

    fn wiring(self, speed: f64) -> Wiring {
        let simulation = self.simulation;
        let entries = std::iter::from_fn(move || {
            let next = simulation.lock().unwrap_or_else(PoisonError::into_inner).next();
            next.map(Ok)
        });
        let feed: Box<dyn Source> = Box::new(EntryFeed::new("story", entries).at_speed(speed));
        let partition = Partition {
            engine: self.engine,
            position: Position::START,
            journal: self.journal,
            delivery: Delivery { log: self.log, cursors: None },
            checkpoints: Some((self.checkpoints, Cadence { every: Duration::from_secs(2), entries: 2_000 })),
            care: None,
            retold: None,
            questions: wiring::no_questions(),
        };
        Wiring {
            partitions: vec![partition],
            rejects: RejectLog::counting(),
            memory: Memory::unlimited(),
            sources: vec![feed],
            companions: Vec::new(),
            receivers: self.receivers,
            finish: true,
            incidents: Arc::default(),
        }
    }
}
