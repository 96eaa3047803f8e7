//! The engine of a run as its newest checkpoint has it, for commands that only look: also while it runs.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::path::Path;

use bellwether_connectors::{Checkpoint, Checkpoints, Position};
use bellwether_engine::Engine;
use bellwether_engine::time::EventTime;
use serde::Serialize;
use serde_json::{Value, json};

use crate::clock;
use crate::report::rough;

/// A checkpoint, read.
#[derive(Debug)]
pub struct Newest {
    /// The engine as it was.
    pub engine: Engine,
    /// Up to where it had read the journal.
    pub position: Position,
    /// When it was written down; `None` when the system does not say.
    pub written: Option<EventTime>,
}

impl Newest {
    /// The tenants, or the one that is wanted.
    ///
    /// # Errors
    /// The names there are, when it is none of them.
    pub fn tenants(&self, wanted: Option<&str>) -> Result<Vec<&str>, String> {
        let all: Vec<&str> = self.engine.tenant_names().collect();
        match wanted {
            None => Ok(all),
            Some(wanted) if all.contains(&wanted) => Ok(all.into_iter().filter(|name| *name == wanted).collect()),
            Some(wanted) => Err(format!("no tenant `{wanted}`, known: {}", all.join(", "))),
        }
    }

    /// What `of` knows of each of `tenants`, with whose it is.
    pub fn of_each<'t, T>(&self, tenants: &[&'t str], of: fn(&Engine, &str) -> Vec<T>) -> Vec<(&'t str, T)> {
        let of_one = |tenant: &'t str| of(&self.engine, tenant).into_iter().map(move |found| (tenant, found));
        tenants.iter().copied().flat_map(of_one).collect()
    }

    /// Something of a tenant for a program, under `name`.
    pub fn document(&self, tenant: &str, name: &str, found: &impl Serialize) -> Value {
        json!({"tenant": tenant, name: found, "checkpoint": self.json()})
    }

    /// How old it is, for people.
    pub fn age(&self) -> String {
        let position = self.position.0;
        match self.written {
            Some(at) => format!(
                "as of {} ago: the newest checkpoint, at journal position {position}",
                rough(clock::now().since(at))
            ),
            None => format!("as of the newest checkpoint, at journal position {position}"),
        }
    }

    /// The same for a program.
    pub fn json(&self) -> Value {
        json!({"position": self.position.0, "written_at": self.written.map(|at| at.to_string())})
    }
}

/// The engine of the run in `folder`; nothing on disk is changed. `None` where no checkpoint is.
///
/// # Errors
/// When the checkpoint cannot be read, or is not one of this build.
pub fn newest_engine(folder: &Path) -> anyhow::Result<Option<Newest>> {
    // Who only looks needs no threads.
    let resume = |checkpoint: &Checkpoint| Ok::<_, Infallible>(Engine::resume(NonZeroUsize::MIN, &checkpoint.state));
    let dir = folder.join("checkpoints");
    if !dir.is_dir() {
        return Ok(None);
    }
    let checkpoints = Checkpoints::look(dir);
    match checkpoints.restore(resume)? {
        None => Ok(None),
        Some((position, resumed)) => {
            Ok(Some(Newest { engine: resumed?, position, written: checkpoints.written_at(position) }))
        }
    }
}
