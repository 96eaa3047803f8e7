//! Building the wires of a configuration: sources to run, and what tells how they fare.

use std::sync::Arc;

use crate::intake::Source;
use crate::resolve::entity_resolution::EntityResolver;
use crate::server::auth::Auth;
use crate::server::counters::WireCounters;
use crate::server::http::{HttpRouter, HttpSource};
use crate::server::incidents::KnownIncidents;
use crate::wires::declare::Door;
use crate::wires::list::WireList;
use crate::wires::live::RunningWires;
use crate::wires::parts::{WiresError, check_listeners, over_http, shared};

/// The built wires.
pub struct Wires<L> {
    /// To be run with the journal's intake.
    pub sources: Vec<Box<dyn Source>>,
    /// The HTTP listener, for its reports; absent when there is none.
    pub http: Option<Arc<HttpRouter>>,
    /// Totals of the other listeners, by source name.
    pub counters: Vec<(&'static str, Arc<WireCounters>)>,
    /// Which labels make which entity, for sources beside the wires.
    pub resolver: Arc<EntityResolver>,
    /// Which incidents may be acted on: to be told by who knows.
    pub incidents: Arc<KnownIncidents>,
    /// What can be changed while they run.
    pub live: RunningWires<L>,
}

/// Builds every wire that `config` names.
///
/// # Errors
/// [`WiresError`] for the first thing that cannot work.
pub fn build<L: WireList>(config: &L) -> Result<Wires<L>, WiresError> {
    let auth = Arc::new(Auth::new(config.common().auth)?);
    check_listeners(config, &auth)?;
    let shared = shared(config, auth, Arc::default())?;
    let (mut sources, mut counters): (Vec<Box<dyn Source>>, Vec<_>) = (Vec::new(), Vec::new());
    let mut certificates = Vec::new();
    let mut http = None;
    if let Some(own) = config.http() {
        let named = over_http(config, &shared, |_| None)?;
        let wires = Arc::new(HttpRouter::new(shared.auth.clone(), shared.limits.clone(), named)?);
        let source = HttpSource::new("http", own, wires.clone())?;
        certificates.extend(source.tls());
        sources.push(Box::new(source));
        http = Some(wires);
    }
    for (name, wire) in config.wires() {
        for door in wire.doors() {
            let Door::Own(endpoint, build) = door else { continue };
            let listening = build(&shared).map_err(|source| WiresError::Wire { wire: name, source })?;
            counters.push((endpoint.name, listening.counters));
            certificates.extend(listening.tls);
            sources.push(listening.source);
        }
    }
    if let Some(http) = &http {
        http.show_others(counters.clone());
    }
    let (resolver, incidents) = (shared.resolver.clone(), shared.incidents.clone());
    let live = RunningWires::new(config.clone(), shared, http.clone(), certificates);
    Ok(Wires { sources, http, counters, resolver, incidents, live })
}
