//! One life of the process: what `bellwether run` opens, in its order, and the tasks that run then.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bellwether::config::Config;
use bellwether::wiring::feeds::opening;
use bellwether::wiring::fold::Step;
use bellwether::wiring::outbox::{Delivery, Receivers};
use bellwether::wiring::pace::Cadence;
use bellwether::wiring::partitions::{CHECKPOINTS_FOLDER, JOURNAL_FOLDER, Partitions, PartitionsError, READERS_FOLDER};
use bellwether::wiring::recover::recover;
use bellwether::wiring::reload::SettingsWriter;
use bellwether::wiring::retold::Retold;
use bellwether::wiring::stepped::{Stepped, SteppedEngine, SteppedPartition};
use bellwether::wiring::{Partition, Wiring, no_questions};
use bellwether_connectors::host::Disk as _;
use bellwether_connectors::journal::OpenReport;
use bellwether_connectors::memory::Memory;
use bellwether_connectors::outbox::{IncidentLog, IncidentLogConfig, Reader};
use bellwether_connectors::{
    Checkpoints, Intake, Journal, JournalConfig, LocalJournal, Position, RejectLog, Stop, host, stop_pair,
};
use bellwether_engine::input::Input;
use bellwether_engine::time::Span;
use bellwether_engine::{EngineConfig, Workers};
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
    /// What was in the journal of each partition.
    pub(crate) seen: Vec<Seen>,
    /// Entries between two checkpoints.
    pub(crate) cadence: u64,
    /// Bytes of a segment.
    pub(crate) segment_bytes: u64,
    /// What the engine of each partition was at an orderly end: position and digest.
    pub(crate) last: Last,
}

/// Position and digest by partition.
pub(crate) type Last = Arc<Mutex<BTreeMap<usize, (Position, u64)>>>;

/// Who is to end in order, once asked.
pub(crate) type Asked = mpsc::Receiver<()>;

impl Process {
    /// How many partitions it has.
    fn count(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.seen.len()).expect("there is at least one")
    }

    /// The partitions as they lie on the disk; they are begun where there are none.
    fn partitions(&self) -> Result<Partitions, PartitionsError> {
        let config = Config { state: STATE.into(), partitions: Some(self.count()), ..Config::default() };
        Partitions::open(&config, NonZeroUsize::MIN)
    }

    /// Where the checkpoints of `partition` are, for who damages one.
    pub(crate) fn checkpoints_folder(&self, partition: usize) -> PathBuf {
        match self.count() {
            NonZeroUsize::MIN => Path::new(STATE).join(CHECKPOINTS_FOLDER),
            _ => Path::new(STATE).join("partitions").join(partition.to_string()).join(CHECKPOINTS_FOLDER),
        }
    }

    fn journal_config(&self, folder: &Path) -> JournalConfig {
        JournalConfig {
            segment_bytes: self.segment_bytes,
            retain_bytes: 2 * self.segment_bytes,
            retain_age: Span::from_hours(24),
            capacity_bytes: 4 << 20,
            ..JournalConfig::new(folder.join(JOURNAL_FOLDER))
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

    /// What `open_state.rs` does.
    fn open(&self, partitions: &Partitions, partition: usize, workers: &Workers) -> Result<(OpenReport, Partition)> {
        let folder = partitions.folder(partition);
        self.disk.make_folder(&folder).context("a partition's folder")?;
        let (journal, report) = LocalJournal::open(&self.journal_config(&folder))?;
        let journal = Witnessed::new(Arc::new(journal), self.seen[partition].clone(), report.first, &self.world)?;
        let checkpoints = Checkpoints::open(folder.join(CHECKPOINTS_FOLDER))?;
        let recovered = recover(&settings(), workers, &checkpoints, report.first)?;
        if let Some(gone) = recovered.lost {
            self.world.wrong(format!("no checkpoint reads, and entries 1 to {gone} are gone"));
            bail!("the state is lost");
        }
        let log = IncidentLog::open(&self.log_config(), &folder.join("incident-log"))?;
        log.check_covers(recovered.position, report.last)?;
        let retold = Retold::of(&log, recovered.position, recovered.new)?;
        let cursors = folder.join(READERS_FOLDER);
        self.disk.make_folder(&cursors).context("the readers' folder")?;
        let cadence = Cadence { every: Duration::from_secs(36_000), entries: self.cadence };
        let opened = Partition {
            engine: recovered.engine,
            position: recovered.position,
            journal: Arc::new(journal),
            delivery: Delivery { log, cursors: Some(cursors) },
            checkpoints: Some((checkpoints, cadence)),
            care: None,
            retold,
            questions: no_questions(),
        };
        Ok((report, opened))
    }

    /// Lives until it is asked to end, or must.
    ///
    /// # Errors
    /// Why it must.
    pub(crate) async fn live(self, life: Group, mut asked: Asked) -> Result<()> {
        self.disk.make_folder(Path::new(STATE)).context("the state folder")?;
        let partitions = self.partitions()?;
        let workers = Workers::new(NonZeroUsize::MIN)?;
        let (mut reports, mut opened) = (Vec::new(), Vec::new());
        for partition in 0..partitions.count().get() {
            let (report, of) = self.open(&partitions, partition, &workers)?;
            self.world.note(life, |line| {
                line.push_str(&format!("process: life {life} goes on at {} of {partition}", of.position));
            });
            reports.push(report);
            opened.push(of);
        }
        let journals: Vec<Arc<dyn Journal>> = opened.iter().map(|of| of.journal.clone()).collect();
        SettingsWriter::new(journals.clone(), RejectLog::counting()).settings(&settings()).await?;
        for (journal, report) in journals.iter().zip(reports) {
            let opening = opening(TICK, report.last == Position::START);
            Intake::new(journal.clone(), RejectLog::counting()).accept(&opening, None).await?;
        }
        let reader = |(receiver, remembers): &(MadeUpReceiver, bool)| {
            Reader::of(receiver.sink(&self.world, &self.disk)).with(*remembers, GIVE_UP_AFTER)
        };
        let wiring = Wiring {
            partitions: opened,
            rejects: RejectLog::counting(),
            memory: Memory::unlimited(),
            sources: Vec::new(),
            companions: Vec::new(),
            receivers: Receivers { kept: self.receivers.iter().map(reader).collect(), companions: Vec::new() },
            finish: false,
            incidents: Arc::default(),
        };
        let Stepped { intake, partitions: running, telling, end } = Stepped::new(wiring)?;
        self.world.spawn(life, telling);
        let (said, mut ended) = mpsc::channel(16);
        let (count, mut readers_left) = (running.len(), 0);
        for (partition, SteppedPartition { engine, appending, readers, telling }) in running.into_iter().enumerate() {
            self.world.spawn(life, telling);
            let told = said.clone();
            self.world.spawn(life, async move {
                let _ = told.send(Ended::Log(appending.await.map_err(anyhow::Error::from))).await;
            });
            readers_left += readers.len();
            for reader in readers {
                let told = said.clone();
                self.world.spawn(life, async move {
                    let _ = reader.await;
                    let _ = told.send(Ended::Reader).await;
                });
            }
            let (told, last, world) = (said.clone(), self.last.clone(), self.world.clone());
            self.world.spawn(life, async move {
                let _ = told.send(Ended::Engine(fold(engine, &world, partition, &last).await)).await;
            });
        }
        // A source that cannot go on ends the process.
        let (stopper, stop) = stop_pair();
        for partition in 0..count {
            let (told, ticking) = (said.clone(), intake.only(partition));
            let (world, stop) = (self.world.clone(), stop.clone());
            self.world.spawn(life, async move {
                if let Err(error) = ticks(ticking, world, stop).await {
                    let _ = told.send(Ended::Source(error)).await;
                }
            });
        }
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
        end.of_journals();
        let (mut logs_left, mut engines_left) = (count, count);
        while logs_left + engines_left + readers_left > 0 {
            match ended.recv().await.expect("somebody holds the other end") {
                Ended::Engine(over) => {
                    over?;
                    engines_left -= 1;
                }
                Ended::Log(over) => {
                    over?;
                    logs_left -= 1;
                    if logs_left == 0 {
                        end.of_logs();
                    }
                }
                Ended::Reader => readers_left -= 1,
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

async fn fold(mut engine: SteppedEngine, world: &World, partition: usize, last: &Last) -> Result<()> {
    loop {
        match engine.step()? {
            // Others act, too.
            Step::Busy => world.sleep(Duration::ZERO).await,
            Step::Idle => engine.rest().await?,
            Step::Ended => break,
        }
    }
    let position = engine.position();
    let engine = engine.conclude().await?;
    last.lock().unwrap_or_else(PoisonError::into_inner).insert(partition, (position, engine.digest()));
    Ok(())
}

async fn ticks(intake: Intake, world: World, stop: Stop) -> Result<()> {
    while !stop.is_stopped() {
        world.sleep(TICK).await;
        intake.accept(&[Input::Tick(host::now())], None).await?;
    }
    Ok(())
}
