//! One life of the process: what `bellwether run` opens, in its order, and the tasks that run then.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bellwether::wiring::fold::Step;
use bellwether::wiring::outbox::Delivery;
use bellwether::wiring::pace::Cadence;
use bellwether::wiring::recover::recover;
use bellwether::wiring::reload::SettingsWriter;
use bellwether::wiring::stepped::{Stepped, SteppedEngine};
use bellwether::wiring::{Wiring, no_questions};
use bellwether_connectors::host::Disk as _;
use bellwether_connectors::outbox::{IncidentLog, IncidentLogConfig, Reader};
use bellwether_connectors::{
    Checkpoints, Intake, Journal, JournalConfig, LocalJournal, Position, RejectLog, Stop, host, stop_pair,
};
use bellwether_engine::EngineConfig;
use bellwether_engine::input::Input;
use bellwether_engine::time::Span;
use tokio::sync::mpsc;

use super::disk::MadeUpDisk;
use super::receiver::MadeUpReceiver;
use super::sender::{Door, GrowingFile};
use super::witness::{Seen, Witnessed};
use super::world::{Group, World};

/// The state folder.
const STATE: &str = "/state";
/// How long it takes until a receiver is given up: longer than a run.
const GIVE_UP_AFTER: Duration = Duration::from_secs(36_000);
/// How often the time of day is written into the journal.
const TICK: Duration = Duration::from_secs(2);

/// Where checkpoints are, for who damages one.
pub(crate) fn checkpoints_folder() -> PathBuf {
    Path::new(STATE).join("checkpoints")
}

/// Incidents that open, change and close within seconds.
pub(crate) fn settings() -> EngineConfig {
    let settings = serde_json::json!({
        "lateness": "5s",
        "suppress": {"flapping": {"changes": 5, "within": "20s", "quiet": "5s"}},
        "ledger": {
            "group_wait": "3s", "update_every": "2s", "update_every_max": "4s", "resolve_after": "5s",
            "reopen_within": "15s", "close_after": "10s",
        },
    });
    serde_json::from_value(settings).expect("they are settings")
}

/// What a process is started with, and what it leaves.
#[derive(Clone)]
pub(crate) struct Process {
    /// In which world.
    pub(crate) world: World,
    /// On which disk.
    pub(crate) disk: MadeUpDisk,
    /// Where requests reach it.
    pub(crate) door: Door,
    /// What it reads beside them.
    pub(crate) file: GrowingFile,
    /// Who is told.
    pub(crate) receivers: Vec<(MadeUpReceiver, bool)>,
    /// What was in its journal.
    pub(crate) seen: Seen,
    /// Entries between two checkpoints.
    pub(crate) cadence: u64,
    /// Bytes of a segment.
    pub(crate) segment_bytes: u64,
    /// What its engine was at an orderly end: position and digest.
    pub(crate) last: Arc<Mutex<Option<(Position, u64)>>>,
}

/// Who is to end in order, once asked.
pub(crate) type Asked = mpsc::Receiver<()>;

impl Process {
    fn journal_config(&self) -> JournalConfig {
        JournalConfig {
            segment_bytes: self.segment_bytes,
            retain_bytes: 2 * self.segment_bytes,
            retain_age: Span::from_hours(24),
            capacity_bytes: 4 << 20,
            ..JournalConfig::new(Path::new(STATE).join("journal"))
        }
    }

    fn log_config(&self) -> IncidentLogConfig {
        IncidentLogConfig {
            segment_bytes: self.segment_bytes,
            retain_bytes: self.segment_bytes,
            capacity_bytes: 4 << 20,
            ..IncidentLogConfig::default()
        }
    }

    /// Lives until it is asked to end, or must.
    ///
    /// # Errors
    /// Why it must.
    pub(crate) async fn live(self, life: Group, mut asked: Asked) -> Result<()> {
        let state = Path::new(STATE);
        self.disk.make_folder(state).context("the state folder")?;
        let (journal, report) = LocalJournal::open(&self.journal_config())?;
        let journal = Witnessed::new(Arc::new(journal), self.seen.clone(), report.first, &self.world)?;
        let journal: Arc<dyn Journal> = Arc::new(journal);
        let checkpoints = Checkpoints::open(checkpoints_folder())?;
        let recovered = recover(&settings(), NonZeroUsize::MIN, &checkpoints, report.first)?;
        if let Some(gone) = recovered.lost {
            self.world.wrong(format!("no checkpoint reads, and entries 1 to {gone} are gone"));
            bail!("the state is lost");
        }
        let log = IncidentLog::open(&self.log_config(), &state.join("incident-log"))?;
        log.check_covers(recovered.position, report.last)?;
        let cursors = state.join("readers");
        self.disk.make_folder(&cursors).context("the readers' folder")?;
        let writer = SettingsWriter::new(journal.clone(), RejectLog::counting());
        writer.settings(&settings()).await?;
        let reader = |(receiver, remembers): &(MadeUpReceiver, bool)| {
            Reader::of(receiver.sink(&self.world, &self.disk)).with(*remembers, GIVE_UP_AFTER)
        };
        let delivery = Delivery {
            log,
            readers: self.receivers.iter().map(reader).collect(),
            companions: Vec::new(),
            cursors: Some(cursors),
        };
        let every = Duration::from_secs(36_000);
        let wiring = Wiring {
            engine: recovered.engine,
            position: recovered.position,
            journal: journal.clone(),
            rejects: RejectLog::counting(),
            sources: Vec::new(),
            companions: Vec::new(),
            delivery,
            checkpoints: Some((checkpoints, Cadence { every, entries: self.cadence })),
            finish: false,
            incidents: Arc::default(),
            care: None,
            questions: no_questions(),
        };
        let Stepped { intake, engine, appending, readers, telling, end } = Stepped::new(wiring)?;
        self.world.note(life, |line| line.push_str(&format!("process: life {life} goes on at {}", recovered.position)));
        let (said, mut ended) = mpsc::channel(16);
        for task in telling {
            self.world.spawn(life, task);
        }
        let told = said.clone();
        self.world.spawn(life, async move {
            let _ = told.send(Ended::Log(appending.await.map_err(anyhow::Error::from))).await;
        });
        let count = readers.len();
        for reader in readers {
            let told = said.clone();
            self.world.spawn(life, async move {
                let _ = reader.await;
                let _ = told.send(Ended::Reader).await;
            });
        }
        let told = said.clone();
        let last = self.last.clone();
        let world = self.world.clone();
        self.world.spawn(life, async move {
            let _ = told.send(Ended::Engine(fold(engine, &world, &last).await)).await;
        });
        // A source that cannot go on ends the process.
        let told = said.clone();
        let (stopper, stop) = stop_pair();
        let (ticking, world, sources) = (intake.clone(), self.world.clone(), stop.clone());
        self.world.spawn(life, async move {
            if let Err(error) = ticks(ticking, world, sources).await {
                let _ = told.send(Ended::Source(error)).await;
            }
        });
        let reading = self.file.clone().read(self.world.clone(), intake.clone(), stop);
        self.world.spawn(life, reading);
        self.door.set(Some((life, intake)));

        tokio::select! {
            biased;
            ended = ended.recv() => match ended.expect("somebody holds the other end") {
                Ended::Log(Err(error)) | Ended::Engine(Err(error)) | Ended::Source(error) => return Err(error),
                Ended::Log(Ok(())) | Ended::Engine(Ok(())) | Ended::Reader => bail!("something ended too early"),
            },
            _ = asked.recv() => {}
        }
        self.door.set(None);
        stopper.stop();
        // Whoever is still being answered is waited for.
        self.world.sleep(Duration::from_secs(4)).await;
        self.world.note(2, |line| line.push_str("process: ends in order"));
        end.of_journal(*journal.durable().borrow());
        let (mut log_over, mut engine_over, mut readers_over) = (false, false, 0);
        while !(log_over && engine_over && readers_over == count) {
            match ended.recv().await.expect("somebody holds the other end") {
                Ended::Engine(over) => {
                    over?;
                    engine_over = true;
                }
                Ended::Log(over) => {
                    over?;
                    log_over = true;
                    end.of_log();
                }
                Ended::Reader => readers_over += 1,
                Ended::Source(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What ended.
enum Ended {
    Log(Result<()>),
    Engine(Result<()>),
    Reader,
    Source(anyhow::Error),
}

async fn fold(mut engine: SteppedEngine, world: &World, last: &Mutex<Option<(Position, u64)>>) -> Result<()> {
    loop {
        match engine.step()? {
            // Others act, too.
            Step::Folded => world.sleep(Duration::ZERO).await,
            Step::Idle => engine.rest().await?,
            Step::Ended => break,
        }
    }
    let position = engine.position();
    let engine = engine.conclude().await?;
    *last.lock().unwrap_or_else(PoisonError::into_inner) = Some((position, engine.digest()));
    Ok(())
}

async fn ticks(intake: Intake, world: World, stop: Stop) -> Result<()> {
    while !stop.is_stopped() {
        world.sleep(TICK).await;
        intake.accept(&[Input::Tick(host::now())], None).await?;
    }
    Ok(())
}
