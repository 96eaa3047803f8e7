//! The state of a run, opened: for each partition its journal, its log and its engine, from the newest good checkpoint.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bellwether_connectors::journal::{Journal, LocalJournal, OpenReport, Position};
use bellwether_connectors::outbox::IncidentLog;
use bellwether_connectors::{Checkpoints, CheckpointsError, private};
use bellwether_engine::time::Span;
use bellwether_engine::{Engine, EngineConfig, Workers};
use tokio::sync::mpsc;

use super::replay::threads;
use crate::config::Config;
use crate::exit::UsageError;
use crate::wiring::fold::Care;
use crate::wiring::outbox::Delivery;
use crate::wiring::pace::Cadence;
use crate::wiring::partitions::{CHECKPOINTS_FOLDER, Partitions, READERS_FOLDER};
use crate::wiring::quarantine::Quarantine;
use crate::wiring::question::Question;
use crate::wiring::recover::{RecoverError, Recovered, recover};
use crate::wiring::reload::QUESTIONS_MAX;
use crate::wiring::retold::Retold;
use crate::wiring::{Partition, Past};

/// A partition that is open.
pub(super) struct Opened {
    /// Its journal.
    pub(super) journal: Arc<dyn Journal>,
    /// What was found there.
    pub(super) report: OpenReport,
    /// Up to where its engine has read it.
    pub(super) position: Position,
    engine: Engine,
    retold: Option<Retold>,
    checkpoints: Checkpoints,
    quarantine: Quarantine,
    delivery: Delivery,
}

/// Opens every partition. Their checkpoints are read side by side.
///
/// # Errors
/// When another process has them, the disk fails, or what is on it does not fit together.
pub(super) async fn open_partitions(
    (config, settings): (&Config, &EngineConfig),
    partitions: &Partitions,
    accept: bool,
) -> Result<Vec<Opened>> {
    let workers = Workers::new(threads(config.threads)).map_err(|error| UsageError(error.to_string()))?;
    // Settings that cannot be used must not cost a checkpoint.
    Engine::on(&workers, settings.clone()).map_err(|error| UsageError(error.to_string()))?;
    let open = |partition: usize| {
        let (config, settings, partitions) = (config.clone(), settings.clone(), partitions.clone());
        let workers = workers.clone();
        tokio::task::spawn_blocking(move || {
            Opened::open((&config, &settings), &partitions, partition, &workers, accept)
        })
    };
    // Whoever has the first has all: two processes do not each get some.
    let mut opened = vec![open(0).await??];
    let others: Vec<_> = (1..partitions.count().get()).map(open).collect();
    for other in others {
        opened.push(other.await??);
    }
    Ok(opened)
}

impl Opened {
    fn open(
        (config, settings): (&Config, &EngineConfig),
        partitions: &Partitions,
        partition: usize,
        workers: &Workers,
        accept: bool,
    ) -> Result<Opened> {
        let folder = partitions.folder(partition);
        private::folder(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        let (journal, report) = LocalJournal::open(&partitions.journal(config, partition))?;
        let checkpoints = Checkpoints::open(folder.join(CHECKPOINTS_FOLDER))?;
        let quarantine = Quarantine::open(&folder)?;
        if !quarantine.is_empty() {
            tracing::warn!(
                partition,
                entries = quarantine.len(),
                "entries that met a bug are left out: see the folder `quarantine`"
            );
        }
        let Recovered { engine, position, new, .. } =
            recovered(settings, &folder, &checkpoints, report.first, workers, accept)?;
        let (log_config, log_folder) = partitions.incident_log(&config.incident_log, partition);
        let log = IncidentLog::open(&log_config, &log_folder)?;
        log.check_covers(position, report.last)?;
        let retold = Retold::of(&log, position, new)?;
        let cursors = folder.join(READERS_FOLDER);
        private::folder(&cursors).with_context(|| format!("cannot make `{}`", cursors.display()))?;
        let delivery = Delivery { log, cursors: Some(cursors) };
        Ok(Opened { journal: Arc::new(journal), report, position, engine, retold, checkpoints, quarantine, delivery })
    }

    /// As a part of the wiring, and where it is asked.
    pub(super) fn connect(self, config: &Config, settings: &EngineConfig) -> (mpsc::Sender<Question>, Partition) {
        let (asking, questions) = mpsc::channel(QUESTIONS_MAX);
        let Opened { journal, report, position, engine, retold, checkpoints, quarantine, delivery } = self;
        let past = past(settings, checkpoints.clone(), position, report.first);
        let partition = Partition {
            engine,
            position,
            journal,
            delivery,
            checkpoints: Some((checkpoints, cadence(config))),
            care: Some(Care { past, quarantine }),
            retold,
            questions,
        };
        (asking, partition)
    }
}

/// The engine and where it goes on; not without its state, unless the loss is accepted.
fn recovered(
    settings: &EngineConfig,
    folder: &Path,
    checkpoints: &Checkpoints,
    first: Position,
    workers: &Workers,
    accept: bool,
) -> Result<Recovered> {
    let folder = folder.join(CHECKPOINTS_FOLDER);
    match recover(settings, workers, checkpoints, first) {
        Ok(recovered) => {
            if let Some(gone) = recovered.lost {
                accept_loss(&lost(&folder, gone), gone, accept)?;
            }
            Ok(recovered)
        }
        Err(RecoverError::Settings(error)) => Err(UsageError(error.to_string()).into()),
        Err(RecoverError::Checkpoints(error @ CheckpointsError::Outdated { .. })) => {
            let recovered = Recovered::anew(Engine::on(workers, settings.clone())?, first);
            if let Some(gone) = recovered.lost {
                accept_loss(&outdated(&error, gone), gone, accept)?;
            }
            tracing::warn!(
                %error,
                "the journal is read again from its beginning; the checkpoints are kept beside (`.old`) for the build \
                 that wrote them"
            );
            checkpoints.keep_beside()?;
            Ok(recovered)
        }
        Err(RecoverError::Checkpoints(error)) => Err(error.into()),
    }
}

fn lost(folder: &Path, gone: Position) -> String {
    format!(
        "no checkpoint in `{}` reads, and the journal no longer has entries 1 to {gone}: what the engine knew \
         is lost with them (open incidents, what was learned of series, logs and delays). Put a checkpoint back \
         from a backup, those moved aside end in `.bad`",
        folder.display()
    )
}

fn outdated(error: &CheckpointsError, gone: Position) -> String {
    format!(
        "{error}, and the journal no longer has entries 1 to {gone}, of which this build could make its own. Nothing \
         was changed: the build that wrote it can go on"
    )
}

/// The state cannot be had: that is a person's decision.
fn accept_loss(why: &str, gone: Position, accept: bool) -> Result<()> {
    if !accept {
        let message = format!(
            "{why}; or begin anew with `--accept-data-loss`: incidents that are open are then ended, and faults that go \
             on are told again under other ids"
        );
        return Err(UsageError(message).into());
    }
    tracing::warn!(
        gone = gone.0,
        "no checkpoint reads: as accepted, the engine begins anew; incidents that are open are ended, faults that go on \
         are told again under other ids"
    );
    Ok(())
}

/// Where earlier states are had from: an engine without a checkpoint began at the journal's oldest entry, where
/// that is the first of all or where this one began.
fn past(settings: &EngineConfig, checkpoints: Checkpoints, began: Position, first: Position) -> Past {
    let oldest = Position(first.0.saturating_sub(1));
    let whole = oldest == Position::START || oldest == began;
    Past { checkpoints, beginning: whole.then(|| (oldest, settings.clone())) }
}

fn cadence(config: &Config) -> Cadence {
    Cadence { every: duration(config.checkpoint.every), entries: config.checkpoint.entries.max(1) }
}

/// A span of a configuration.
pub(super) fn duration(span: Span) -> Duration {
    Duration::from_nanos(u64::try_from(span.0).unwrap_or(0))
}
