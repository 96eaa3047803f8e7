//! Where a run keeps its state: named by its folder, or by the configuration that names it.

use std::path::PathBuf;

use anyhow::Result;
use bellwether_connectors::SinkConfig;
use clap::Args;

use crate::config::{self, Config, INCIDENTS_FILE};
use crate::exit::UsageError;
use crate::wiring::newest::{Newest, newest_engine};
use crate::wiring::partitions::{Partitions, PartitionsError, READERS_FOLDER};

/// Which run.
#[derive(Clone, Debug, Args)]
pub(super) struct StateArgs {
    /// The folder of a run, which may be going on
    #[arg(long, value_name = "PATH", default_value = "bellwether-state", global = true)]
    pub(super) from: PathBuf,
    /// The configuration of the run, instead of its folder
    #[arg(long, short, value_name = "FILE", conflicts_with = "from", global = true)]
    pub(super) config: Option<PathBuf>,
}

/// Where a run keeps what.
#[derive(Clone, Debug)]
pub(super) struct StateFolder {
    /// Everything that has no folder of its own.
    pub(super) state: PathBuf,
    /// What each partition has.
    pub(super) places: Vec<Place>,
    /// Files that incident events are written to, oldest events first in each.
    pub(super) files: Vec<PathBuf>,
}

/// Where a partition of the run keeps what commands look at.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The journal.
    pub(super) journal: PathBuf,
    /// The incident log.
    pub(super) log: PathBuf,
    /// Where the readers of the log keep where they are.
    pub(super) readers: PathBuf,
}

/// What each partition of a run has.
///
/// # Errors
/// When the number of partitions does not read.
pub(super) fn places(config: &Config) -> Result<Vec<Place>, PartitionsError> {
    let partitions = Partitions::of(&config.state)?;
    let place = |(partition, folder): (usize, PathBuf)| Place {
        journal: partitions.journal(config, partition).dir,
        log: partitions.incident_log(&config.incident_log, partition).1,
        readers: folder.join(READERS_FOLDER),
    };
    Ok(partitions.folders().enumerate().map(place).collect())
}

impl StateArgs {
    /// The places of the run.
    ///
    /// # Errors
    /// When the configuration is not accepted.
    pub(super) fn folder(&self) -> Result<StateFolder> {
        let Some(file) = &self.config else {
            let config = Config { state: self.from.clone(), ..Config::default() };
            let files = vec![self.from.join(INCIDENTS_FILE)];
            return Ok(StateFolder { places: places(&config)?, files, state: config.state });
        };
        let config = config::load_beside(file)?;
        let files = config.sinks_or_default().into_iter().filter_map(|sink| match sink {
            SinkConfig::Ndjson(file) => Some(file.path),
            _ => None,
        });
        Ok(StateFolder { places: places(&config)?, files: files.collect(), state: config.state })
    }
}

impl StateFolder {
    /// The engine of the newest checkpoint.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub(super) fn newest(&self) -> Result<Newest> {
        newest_engine(&self.state)?.ok_or_else(|| {
            let text = format!(
                "no checkpoint in `{}`: name the folder of a run with --from, or its configuration with -c; a run \
                 writes its first one within seconds",
                self.state.display()
            );
            UsageError(text).into()
        })
    }
}
