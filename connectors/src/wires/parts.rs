//! What building the wires and reloading them have in common.

use std::sync::Arc;

use crate::resolve::entity_resolution::{EntityError, EntityResolver};
use crate::resolve::series_table::SeriesTable;
use crate::server::auth::{Auth, AuthError};
use crate::server::descriptors;
use crate::server::http::{NamedWire, RouteError};
use crate::server::incidents::KnownIncidents;
use crate::server::listener::Transport;
use crate::server::tls::TlsError;
use crate::wires::declare::{Door, Shared, WireError};
use crate::wires::list::WireList;

/// Why the wires cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum WiresError {
    /// Credentials.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// Entity rules.
    #[error(transparent)]
    Entity(#[from] EntityError),
    /// A path that cannot be answered.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What one wire says of its own settings.
    #[error("{source}")]
    Wire {
        /// The wire.
        wire: &'static str,
        /// What it says.
        source: WireError,
    },
}

/// Whether strangers can reach a listener that would not ask who they are.
pub(super) fn check_listeners(config: &impl WireList, auth: &Auth) -> Result<(), AuthError> {
    let mut found = Ok(());
    config.each_endpoint(&mut |endpoint| {
        if found.is_ok() && !endpoint.asks_for_secret {
            found = auth.check_listener(endpoint.address);
        }
    });
    found
}

/// What the wires of `config` share, with empty tables but for what outlives a reload.
pub(super) fn shared(
    config: &impl WireList,
    auth: Arc<Auth>,
    incidents: Arc<KnownIncidents>,
) -> Result<Shared, EntityError> {
    let common = config.common();
    let resolver = Arc::new(EntityResolver::new(common.entity_resolution.clone())?);
    let series = Arc::new(SeriesTable::new(resolver.clone(), common.limits));
    let limits = descriptors::within(common.limits, connected(config));
    Ok(Shared { auth, limits, resolver, series, incidents })
}

/// Listeners whose senders hold connections.
fn connected(config: &impl WireList) -> usize {
    let mut count = 0;
    config.each_endpoint(&mut |endpoint| count += usize::from(endpoint.transport == Transport::Tcp));
    count
}

/// The wires over HTTP; one that `kept` gives is not built.
pub(crate) fn over_http(
    config: &impl WireList,
    shared: &Shared,
    kept: impl Fn(&'static str) -> Option<NamedWire>,
) -> Result<Vec<NamedWire>, WiresError> {
    let mut wires = Vec::new();
    for (name, wire) in config.wires() {
        for door in wire.doors() {
            let Door::Http(build) = door else { continue };
            wires.push(match kept(name).filter(|_| !wire.reads_files()) {
                Some(running) => running,
                None => (name, build(shared).map_err(|source| WiresError::Wire { wire: name, source })?),
            });
        }
    }
    Ok(wires)
}
