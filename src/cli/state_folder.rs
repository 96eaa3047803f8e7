//! Where a run keeps its state: named by its folder, or by the configuration that names it.

use std::path::PathBuf;

use anyhow::Result;
use bellwether_connectors::SinkConfig;
use bellwether_connectors::outbox::IncidentLogConfig;
use clap::Args;

use crate::config::{self, INCIDENTS_FILE};
use crate::exit::UsageError;
use crate::wiring::newest::{Newest, newest_engine};

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
    /// Checkpoints, and everything that has no folder of its own.
    pub(super) state: PathBuf,
    /// The incident log.
    pub(super) log: PathBuf,
    /// Files that incident events are written to, oldest events first in each.
    pub(super) files: Vec<PathBuf>,
}

impl StateArgs {
    /// The places of the run.
    ///
    /// # Errors
    /// When the configuration is not accepted.
    pub(super) fn folder(&self) -> Result<StateFolder> {
        let Some(file) = &self.config else {
            let log = IncidentLogConfig::default().folder(&self.from);
            return Ok(StateFolder { log, files: vec![self.from.join(INCIDENTS_FILE)], state: self.from.clone() });
        };
        let config = config::load_beside(file)?;
        let files = config.sinks_or_default().into_iter().filter_map(|sink| match sink {
            SinkConfig::Ndjson(file) => Some(file.path),
            _ => None,
        });
        let log = config.incident_log.folder(&config.state);
        Ok(StateFolder { log, files: files.collect(), state: config.state })
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
