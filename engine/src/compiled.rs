//! The configuration, checked, with its expressions compiled: what every stage works by.

use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::config::EngineConfig;
use crate::sense::CompiledSense;
use crate::suppress::{self, CompiledInhibit};
use crate::time::Span;

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A setting is out of bounds or an expression does not read.
    #[error("configuration cannot be used: {0}")]
    Config(String),
    /// The threads could not be started.
    #[error("cannot start {threads} threads, ask for fewer: {why}")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// What the system says.
        why: String,
    },
}

/// The configuration, checked, with its expressions compiled.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) config: EngineConfig,
    pub(crate) config_hash: String,
    pub(crate) sense: CompiledSense,
    pub(crate) inhibit: Vec<CompiledInhibit>,
    /// Threads for the shards; none when there is one thread: handing work to a single worker and
    /// waiting for it only costs two wake-ups an entry.
    pub(crate) workers: Workers,
}

/// The threads that engines work on. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Workers(pub(crate) Option<Arc<rayon::ThreadPool>>);

impl Workers {
    /// So many threads, to be shared by any number of engines; none of its own for one.
    ///
    /// # Errors
    /// [`BuildError::Threads`] when they cannot be started.
    pub fn new(threads: NonZeroUsize) -> Result<Workers, BuildError> {
        let threads = threads.get();
        if threads == 1 {
            return Ok(Workers(None));
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("engine-{i}"));
        let pool = pool.build().map_err(|e| BuildError::Threads { threads, why: e.to_string() })?;
        Ok(Workers(Some(Arc::new(pool))))
    }
}

impl Compiled {
    /// Checks and compiles.
    ///
    /// # Errors
    /// [`BuildError::Config`] naming the first setting that cannot be.
    pub(crate) fn new(config: EngineConfig, workers: Workers) -> Result<Compiled, BuildError> {
        for (name, span) in [
            ("lateness", config.lateness),
            ("sample_age_max", config.sample_age_max),
            ("ledger.group_wait", config.ledger.group_wait),
            ("ledger.update_every", config.ledger.update_every),
        ] {
            if span < Span::ZERO {
                return Err(BuildError::Config(format!("{name} must not be negative")));
            }
        }
        let threshold = config.correlate.threshold;
        if !(threshold > 0.0 && threshold < 1.0) {
            let text = format!("correlate.threshold is {threshold}, use a number between 0 and 1");
            return Err(BuildError::Config(text));
        }
        let sense = CompiledSense::new(&config.sense).map_err(|e| BuildError::Config(e.to_string()))?;
        let inhibit =
            suppress::compile(&config.suppress).map_err(|e| BuildError::Config(format!("suppress.inhibit: {e}")))?;
        Ok(Compiled { config_hash: config.hash(), config, sense, inhibit, workers })
    }
}

/// Checks settings without making an engine of them.
///
/// # Errors
/// [`BuildError`] when they cannot be used.
pub fn check_settings(config: &EngineConfig) -> Result<(), BuildError> {
    Compiled::new(config.clone(), Workers::default()).map(|_| ())
}
