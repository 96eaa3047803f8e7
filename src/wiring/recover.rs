//! Where the engine goes on when a process starts.

use std::cmp::Ordering;

use bellwether_connectors::journal::Position;
use bellwether_connectors::{Checkpoint, Checkpoints, CheckpointsError, Refusal};
use bellwether_engine::{BuildError, CheckpointError, Engine, EngineConfig, Workers};

/// The engine, and where it goes on.
pub struct Recovered {
    /// Restored from the newest good checkpoint, or new.
    pub engine: Engine,
    /// Up to where it has read the journal.
    pub position: Position,
    /// It is new, and knows nothing of what was told.
    pub new: bool,
    /// It is new, and the journal's entries up to here are gone: what the engine knew is lost, and whether it may
    /// begin anew is a person's decision.
    pub lost: Option<Position>,
}

impl Recovered {
    /// A new engine, which reads the journal from its oldest entry, `first`.
    pub fn anew(engine: Engine, first: Position) -> Recovered {
        let position = Position(first.0.saturating_sub(1));
        Recovered { engine, position, new: true, lost: Some(position).filter(|begin| *begin != Position::START) }
    }
}

/// Why the engine cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// Settings that cannot be used.
    #[error(transparent)]
    Settings(#[from] BuildError),
    /// The checkpoints cannot be read, or are of another build.
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
    let resume = |checkpoint: &Checkpoint| Engine::resume_on(workers, &checkpoint.state).map_err(refusal);
    Ok(match checkpoints.restore(resume)? {
        Some((position, engine)) => Recovered { engine, position, new: false, lost: None },
        None => Recovered::anew(engine, first),
    })
}

/// What a state that is not taken means for its file.
fn refusal(error: CheckpointError) -> Refusal {
    match error.version() {
        Some(Ordering::Less) => Refusal::Older(error.to_string()),
        Some(Ordering::Greater) => Refusal::Newer(error.to_string()),
        _ => Refusal::Damaged(error.to_string()),
    }
}
