//! Which wire answers which path, with everything that a reload replaces at once.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::limits::Limits;
use crate::server::wire::{Access, HttpWire, WireCounters};

/// A wire under its component id.
pub(super) struct Mounted {
    pub(super) id: String,
    pub(super) wire: Arc<dyn HttpWire>,
    pub(super) counters: Arc<WireCounters>,
}

/// One path of a wire.
pub(super) struct Mount {
    segments: Vec<Option<String>>,
    pub(super) access: Access,
    wire: usize,
}

/// Two wires cannot answer one path.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("path `{path}` is claimed by `{first}` and by `{second}`; give one of them another path")]
pub struct RouteConflict {
    path: String,
    first: String,
    second: String,
}

/// The wires of one listener between two reloads.
pub(super) struct Routes {
    pub(super) limits: Limits,
    pub(super) wires: Vec<Mounted>,
    pub(super) places: Semaphore,
    mounts: Vec<Mount>,
}

impl Routes {
    /// Mounts `wires`; those that `before` had too go on counting where they were.
    ///
    /// # Errors
    /// [`RouteConflict`] when two of them claim one path.
    pub(super) fn new(
        limits: Limits,
        wires: Vec<(String, Arc<dyn HttpWire>)>,
        before: Option<&Routes>,
    ) -> Result<Routes, RouteConflict> {
        let mut mounts: Vec<Mount> = Vec::new();
        for (index, (id, wire)) in wires.iter().enumerate() {
            for route in wire.routes() {
                let segments = segments_of(&route.path);
                if let Some(other) = mounts.iter().find(|mount| mount.segments == segments) {
                    let first = wires[other.wire].0.clone();
                    return Err(RouteConflict { path: route.path, first, second: id.clone() });
                }
                mounts.push(Mount { segments, access: route.access, wire: index });
            }
        }
        let counters = |id: &str| {
            let known = before.and_then(|before| before.wires.iter().find(|mounted| mounted.id == id));
            known.map(|mounted| mounted.counters.clone()).unwrap_or_default()
        };
        let wires = wires.into_iter().map(|(id, wire)| Mounted { counters: counters(&id), id, wire }).collect();
        Ok(Routes { places: Semaphore::new(limits.requests_in_flight_max), limits, wires, mounts })
    }

    /// The wire that answers `path`, and for whom; a literal part wins over a variable one.
    pub(super) fn find(&self, path: &str) -> Option<(&Mounted, Access)> {
        let parts: Vec<&str> = path.trim_end_matches('/').split('/').collect();
        let fits = |mount: &&Mount| {
            mount.segments.len() == parts.len()
                && mount
                    .segments
                    .iter()
                    .zip(&parts)
                    .all(|(segment, part)| segment.as_ref().is_none_or(|literal| literal == part))
        };
        let variables = |mount: &&Mount| mount.segments.iter().filter(|s| s.is_none()).count();
        let mount = self.mounts.iter().filter(fits).min_by_key(variables)?;
        Some((&self.wires[mount.wire], mount.access))
    }
}

fn segments_of(path: &str) -> Vec<Option<String>> {
    path.trim_end_matches('/').split('/').map(|part| (!part.starts_with('{')).then(|| part.to_owned())).collect()
}
