//! Which wire answers which path, with everything that a reload replaces at once.

use std::sync::Arc;

use matchit::{InsertError, Router};
use tokio::sync::Semaphore;

use super::NamedWire;
use crate::limits::Limits;
use crate::server::counters::WireCounters;
use crate::server::wire::{HttpHandler, Route};

/// A wire under its name.
pub(super) struct Mounted {
    pub(super) id: &'static str,
    pub(super) wire: Arc<dyn HttpHandler>,
    pub(super) counters: Arc<WireCounters>,
}

/// A path that cannot be answered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RouteError {
    /// Two wires cannot answer one path.
    #[error("path `{path}` is claimed by `{first}` and by `{second}`; give one of them another path")]
    Conflict {
        /// The path.
        path: String,
        /// Who has it.
        first: &'static str,
        /// Who wants it, too.
        second: &'static str,
    },
    /// Not a path.
    #[error("path `{path}` of `{wire}` cannot be used: {reason}; write `/part/part`")]
    Path {
        /// The path.
        path: String,
        /// Whose it is.
        wire: &'static str,
        /// Why.
        reason: String,
    },
}

/// The wires of one listener between two reloads.
pub(super) struct Routes {
    pub(super) limits: Limits,
    pub(super) wires: Vec<Mounted>,
    pub(super) places: Semaphore,
    /// The wire's place in `wires`, and the route.
    routes: Router<(usize, Route)>,
}

impl Routes {
    /// Mounts `wires`; those that `before` had too go on counting where they were.
    ///
    /// # Errors
    /// [`RouteError`] when two of them claim one path.
    pub(super) fn new(limits: Limits, wires: Vec<NamedWire>, before: Option<&Routes>) -> Result<Routes, RouteError> {
        let mut routes = Router::new();
        for (index, (id, wire)) in wires.iter().enumerate() {
            for route in wire.routes() {
                let path = route.path.clone();
                if let Err(error) = routes.insert(plain(&path), (index, route)) {
                    let owner = |with: &str| routes.at(with).map(|found| wires[found.value.0].0);
                    return Err(refusal(error, path, id, owner));
                }
            }
        }
        let counters = |id: &str| {
            let known = before.and_then(|before| before.wires.iter().find(|mounted| mounted.id == id));
            known.map(|mounted| mounted.counters.clone()).unwrap_or_default()
        };
        let wires = wires.into_iter().map(|(id, wire)| Mounted { counters: counters(id), id, wire }).collect();
        Ok(Routes { places: Semaphore::new(limits.requests_in_flight_max), limits, wires, routes })
    }

    /// The wire that answers `path`, and how; a literal part wins over a variable one.
    pub(super) fn find(&self, path: &str) -> Option<(&Mounted, &Route)> {
        let (wire, route) = self.routes.at(plain(path)).ok()?.value;
        Some((&self.wires[*wire], route))
    }
}

/// A path without the slashes at its end, which say nothing.
fn plain(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    }
}

fn refusal(
    error: InsertError,
    path: String,
    wire: &'static str,
    owner: impl Fn(&str) -> Result<&'static str, matchit::MatchError>,
) -> RouteError {
    match &error {
        InsertError::Conflict { with } => {
            RouteError::Conflict { path, first: owner(with).unwrap_or(wire), second: wire }
        }
        _ => RouteError::Path { path, wire, reason: error.to_string() },
    }
}
