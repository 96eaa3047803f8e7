//! The engines of a run as their newest checkpoints have them, for commands that only look: also while it runs.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

use bellwether_connectors::{Checkpoint, Checkpoints, Position};
use bellwether_engine::Engine;
use bellwether_engine::time::EventTime;
use serde::Serialize;
use serde_json::{Value, json};

use super::partitions::{CHECKPOINTS_FOLDER, Partitions};
use crate::clock;
use crate::report::rough;

/// The newest checkpoint of each partition, read.
#[derive(Debug)]
pub struct Newest {
    /// One engine that knows all tenants as they were.
    pub engine: Engine,
    partitions: Partitions,
    /// Of each partition that has one.
    read: BTreeMap<usize, Read>,
}

/// Where a checkpoint stands.
#[derive(Clone, Copy, Debug)]
struct Read {
    /// Up to where the engine had read the journal.
    position: Position,
    /// When it was written down; `None` when the system does not say.
    written: Option<EventTime>,
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
        json!({"tenant": tenant, name: found, "checkpoint": self.json(tenant)})
    }

    /// How old it is, for people: that of one tenant, or the oldest of all.
    pub fn age(&self, tenant: Option<&str>) -> String {
        let of_tenant = tenant.and_then(|tenant| self.read.get(&self.partitions.of_tenant(tenant)));
        let oldest = || self.read.values().min_by_key(|read| read.written);
        let Some(Read { position, written }) = of_tenant.or_else(oldest) else { return "as of the start".to_owned() };
        let which =
            if of_tenant.is_none() && self.read.len() > 1 { "oldest of the partitions' newest" } else { "newest" };
        match written {
            Some(at) => {
                let ago = rough(clock::now().since(*at));
                format!("as of {ago} ago: the {which} checkpoint, at journal position {position}")
            }
            None => format!("as of the {which} checkpoint, at journal position {position}"),
        }
    }

    /// How old what is known of a tenant is, for a program.
    pub fn json(&self, tenant: &str) -> Value {
        let read = self.read.get(&self.partitions.of_tenant(tenant));
        let written = read.and_then(|read| read.written).map(|at| at.to_string());
        json!({"position": read.map(|read| read.position.0), "written_at": written})
    }
}

/// The engines of the run in `folder`, as one; nothing on disk is changed. `None` where no checkpoint is.
///
/// # Errors
/// When a checkpoint cannot be read, or is not one of this build.
pub fn newest_engine(folder: &Path) -> anyhow::Result<Option<Newest>> {
    let partitions = Partitions::of(folder)?;
    let mut engine: Option<Engine> = None;
    let mut read = BTreeMap::new();
    for (partition, folder) in partitions.folders().enumerate() {
        let dir = folder.join(CHECKPOINTS_FOLDER);
        if !dir.is_dir() {
            continue;
        }
        // Who only looks needs no threads.
        let resume = |checkpoint: &Checkpoint| Ok(Engine::resume(NonZeroUsize::MIN, &checkpoint.state));
        let checkpoints = Checkpoints::look(dir);
        let Some((position, resumed)) = checkpoints.restore(resume)? else { continue };
        read.insert(partition, Read { position, written: checkpoints.written_at(position) });
        match &mut engine {
            Some(engine) => engine.absorb(resumed?),
            none => *none = Some(resumed?),
        }
    }
    Ok(engine.map(|engine| Newest { engine, partitions, read }))
}
