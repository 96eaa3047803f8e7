//! Where the engine goes on when a process starts.

use bellwether_connectors::journal::Position;
use bellwether_connectors::{Checkpoint, Checkpoints, CheckpointsError};
use bellwether_engine::{BuildError, Engine, EngineConfig, Workers};

/// The engine, and where it goes on.
pub struct Recovered {
    /// Restored from the newest good checkpoint, or new.
    pub engine: Engine,
    /// Up to where it has read the journal.
    pub position: Position,
    /// No checkpoint reads and the journal's entries up to here are gone: what the engine knew is lost, and
    /// whether it may begin anew is a person's decision.
    pub lost: Option<Position>,
}

/// Why the engine cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// Settings that cannot be used.
    #[error(transparent)]
    Settings(#[from] BuildError),
    /// The checkpoints cannot be read.
    #[error(transparent)]
    Checkpoints(#[from] CheckpointsError),
}

/// The engine from the newest good checkpoint, with the settings it had then: the journal says where they
/// change. Or a new one with `settings`, which reads the journal from its oldest entry, `first`.
///
/// # Errors
/// [`RecoverError`]; settings that cannot be used cost no checkpoint.
pub fn recover(
    settings: &EngineConfig,
    workers: &Workers,
    checkpoints: &Checkpoints,
    first: Position,
) -> Result<Recovered, RecoverError> {
    let engine = Engine::on(workers, settings.clone())?;
    let resume = |checkpoint: &Checkpoint| Engine::resume_on(workers, &checkpoint.state);
    Ok(match checkpoints.restore(resume)? {
        Some((position, engine)) => Recovered { engine, position, lost: None },
        None => {
            let begin = Position(first.0.saturating_sub(1));
            Recovered { engine, position: begin, lost: Some(begin).filter(|begin| *begin != Position::START) }
        }
    })
}
