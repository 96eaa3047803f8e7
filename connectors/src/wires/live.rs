//! The running wires' other half: what can be changed while they listen.
//!
//! Credentials, limits, entity rules, certificates and wires over HTTP change; addresses, and what
//! listens beside HTTP, wait for a restart and are named.

use std::sync::Arc;

use crate::server::auth::Auth;
use crate::server::http::{HttpRouter, NamedWire};
use crate::server::listener::Endpoint;
use crate::server::tls::LiveTls;
use crate::wires::declare::Shared;
use crate::wires::list::WireList;
use crate::wires::parts::{WiresError, check_listeners, over_http, shared};

/// The wires as they run.
pub struct RunningWires<L> {
    /// What the listeners were opened with: what needs a restart is compared with it.
    started: L,
    /// What is in force where it can be replaced.
    config: L,
    shared: Shared,
    http: Option<Arc<HttpRouter>>,
    certificates: Vec<Arc<LiveTls>>,
}

/// A reload that has been checked and only needs to be put in force.
pub struct PreparedWires<L> {
    config: L,
    shared: Shared,
    over_http: Option<Vec<NamedWire>>,
    /// Parts of the configuration that will be in force.
    pub applied: Vec<String>,
    /// Parts that stay as they were until a restart.
    pub needs_restart: Vec<String>,
}

impl<L: WireList> RunningWires<L> {
    pub(super) fn new(
        config: L,
        shared: Shared,
        http: Option<Arc<HttpRouter>>,
        certificates: Vec<Arc<LiveTls>>,
    ) -> RunningWires<L> {
        RunningWires { started: config.clone(), config, shared, http, certificates }
    }

    /// Checks `config` against what runs: secrets are read, wires built, nothing is changed.
    ///
    /// # Errors
    /// [`WiresError`] for the first thing that cannot work.
    pub fn prepare(&self, config: &L) -> Result<PreparedWires<L>, WiresError> {
        let checked = Auth::new(config.common().auth)?;
        check_listeners(&self.started, &checked)?;
        let mut applied = vec!["wires.auth".to_owned()];
        if !self.certificates.is_empty() {
            applied.push("certificates".to_owned());
        }
        let (was, is) = (self.config.common(), config.common());
        let same_ground = was.limits == is.limits && was.entity_resolution == is.entity_resolution;
        // What the wires share is replaced together with the wires that hold it.
        let shared = match same_ground {
            true => self.shared.clone(),
            false => shared(config, self.shared.auth.clone(), self.shared.incidents.clone())?,
        };
        let differing = self.config.differing(config);
        let over_http = match &self.http {
            None => None,
            Some(http) => {
                let kept = |name| http.wire(name).filter(|_| same_ground && !differing.contains(&name));
                Some(over_http(config, &shared, |name| Some((name, kept(name)?)))?)
            }
        };
        let mut of_http = self.config.names_over_http();
        of_http.extend(config.names_over_http());
        if self.http.is_some() && (!same_ground || differing.iter().any(|name| of_http.contains(name))) {
            applied.push("wires over HTTP".to_owned());
        }
        let needs_restart = self.waiting_for_restart(config);
        Ok(PreparedWires { config: config.clone(), shared, over_http, applied, needs_restart })
    }

    /// The parts of `config` that no running listener can take.
    fn waiting_for_restart(&self, config: &L) -> Vec<String> {
        let was = &self.started;
        let mut parts = Vec::new();
        if was.http() != config.http() {
            parts.push("wires.http".to_owned());
        }
        let (open, wanted) = (was.own_endpoints(), config.own_endpoints());
        let mut of_http = was.names_over_http();
        of_http.extend(config.names_over_http());
        for name in was.differing(config) {
            let open: Vec<_> = open.iter().filter(|(wire, _)| *wire == name).map(|(_, own)| own).collect();
            let wanted: Vec<_> = wanted.iter().filter(|(wire, _)| *wire == name).map(|(_, own)| own).collect();
            if open.is_empty() && wanted.is_empty() {
                continue;
            }
            if !of_http.contains(&name) {
                parts.push(format!("wires.{name}"));
                continue;
            }
            // Half of it is over HTTP and is replaced.
            parts.extend(open.iter().map(|own| format!("wires.{name} ({})", own.protocol)));
            let address =
                |list: &[&Endpoint<'_>], key: &str| list.iter().find(|own| own.key == key).map(|own| own.address);
            let mut keys: Vec<&str> = open.iter().chain(&wanted).map(|own| own.key).collect();
            keys.sort_unstable();
            keys.dedup();
            let moved = keys.into_iter().filter(|key| address(&open, key) != address(&wanted, key));
            parts.extend(moved.map(|key| format!("wires.{name}.{key}")));
        }
        if was.common().limits != config.common().limits && !open.is_empty() {
            let spoken: Vec<&str> = open.iter().map(|(_, own)| own.protocol).collect();
            parts.push(format!("wires.limits of {}", spoken.join(", ")));
        }
        if was.common().entity_resolution != config.common().entity_resolution && !open.is_empty() {
            let spoken: Vec<&str> = open.iter().map(|(_, own)| own.protocol).collect();
            parts.push(format!("wires.entity_resolution of {}", spoken.join(", ")));
        }
        parts
    }

    /// Puts a prepared reload in force.
    ///
    /// # Errors
    /// [`WiresError`] when a secret or certificate has changed since it was prepared; then the
    /// parts before it are in force.
    pub fn commit(&mut self, prepared: PreparedWires<L>) -> Result<(), WiresError> {
        for tls in &self.certificates {
            tls.reload()?;
        }
        if let (Some(http), Some(wires)) = (&self.http, prepared.over_http) {
            http.replace(prepared.shared.limits.clone(), wires)?;
        }
        self.shared.auth.replace(prepared.config.common().auth)?;
        self.shared = prepared.shared;
        self.config = prepared.config;
        Ok(())
    }
}
