//! Which wire answers which path and method, with everything that a reload replaces at once.

use std::sync::Arc;

use http::Method;
use matchit::{InsertError, Router};

use super::NamedWire;
use crate::limits::Limits;
use crate::server::auth::Right;
use crate::server::counters::WireCounters;
use crate::server::wire::{Access, Answer, BoundRoute, HttpWire};

/// A wire under its name.
pub(super) struct Mounted {
    pub(super) id: &'static str,
    pub(super) wire: HttpWire,
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

/// What one wire answers at one path.
pub(super) struct Place {
    /// The wire's index in [`Routes::wires`].
    wire: usize,
    routes: Vec<Arc<BoundRoute>>,
}

impl Place {
    /// The route that takes `method`.
    pub(super) fn route(&self, method: &Method) -> Option<&BoundRoute> {
        self.routes.iter().find(|route| route.methods().contains(method)).map(Arc::as_ref)
    }

    /// Who may hear that a method is not taken: whoever may use the path for more than a look.
    pub(super) fn guard(&self) -> (Access, Right) {
        let takes = |route: &&Arc<BoundRoute>| matches!(route.answer, Answer::Take(_));
        let route = self.routes.iter().find(takes).or(self.routes.first());
        route.map_or((Access::Credential, Right::Send), |route| (route.access(), route.right()))
    }

    /// The methods that are taken, as `Allow` lists them.
    pub(super) fn allow(&self) -> String {
        let methods = self.routes.iter().flat_map(|route| route.methods()).map(Method::as_str);
        methods.collect::<Vec<_>>().join(", ")
    }
}

/// The wires of one listener between two reloads.
pub(super) struct Routes {
    pub(super) limits: Limits,
    pub(super) wires: Vec<Mounted>,
    places: Router<Place>,
}

impl Routes {
    /// Mounts `wires`; those that `before` had too go on counting where they were.
    ///
    /// # Errors
    /// [`RouteError`] when two of them claim one path, or one of them claims one twice.
    pub(super) fn new(limits: Limits, wires: Vec<NamedWire>, before: Option<&Routes>) -> Result<Routes, RouteError> {
        let mut places = Router::<Place>::new();
        for (index, (id, wire)) in wires.iter().enumerate() {
            for (path, place) in places_of(index, id, wire)? {
                if let Err(error) = places.insert(plain(&path), place) {
                    let owner = |with: &str| places.at(with).map(|found| wires[found.value.wire].0);
                    return Err(refusal(error, path, id, owner));
                }
            }
        }
        let counters = |id: &str| {
            let known = before.and_then(|before| before.wires.iter().find(|mounted| mounted.id == id));
            known.map(|mounted| mounted.counters.clone()).unwrap_or_default()
        };
        let wires = wires.into_iter().map(|(id, wire)| Mounted { counters: counters(id), id, wire }).collect();
        Ok(Routes { limits, wires, places })
    }

    /// The wire that answers `path`, and what it answers there; a literal part wins over a
    /// variable one.
    pub(super) fn find(&self, path: &str) -> Option<(&Mounted, &Place)> {
        let place = self.places.at(plain(path)).ok()?.value;
        Some((&self.wires[place.wire], place))
    }
}

/// The paths of `wire`, the routes of one path together.
fn places_of(index: usize, id: &'static str, wire: &HttpWire) -> Result<Vec<(String, Place)>, RouteError> {
    let mut found: Vec<(String, Place)> = Vec::new();
    for route in &wire.routes {
        let path = route.path().to_owned();
        match found.iter_mut().find(|(known, _)| plain(known) == plain(&path)) {
            None => found.push((path, Place { wire: index, routes: vec![route.clone()] })),
            Some((_, place)) if route.methods().iter().any(|method| place.route(method).is_some()) => {
                return Err(RouteError::Conflict { path, first: id, second: id });
            }
            Some((_, place)) => place.routes.push(route.clone()),
        }
    }
    Ok(found)
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
