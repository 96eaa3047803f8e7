//! The engine of a run as its newest checkpoint has it, for commands that only look.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::path::Path;

use anyhow::Result;
use bellwether_connectors::{Checkpoint, Checkpoints};
use bellwether_engine::Engine;

/// The engine of the run in `folder`; nothing on disk is changed. `None` where no checkpoint is.
///
/// # Errors
/// When the checkpoint cannot be read, or is not one of this build.
pub fn newest_engine(folder: &Path) -> Result<Option<Engine>> {
    // Who only looks needs no threads.
    let resume = |checkpoint: &Checkpoint| Ok::<_, Infallible>(Engine::resume(NonZeroUsize::MIN, &checkpoint.state));
    let checkpoints = folder.join("checkpoints");
    if !checkpoints.is_dir() {
        return Ok(None);
    }
    match Checkpoints::look(checkpoints).restore(resume)? {
        None => Ok(None),
        Some((_, resumed)) => Ok(Some(resumed?)),
    }
}
