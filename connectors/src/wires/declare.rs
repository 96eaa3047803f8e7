//! What a wire declares of itself, beside its configuration.

use std::path::PathBuf;
use std::sync::Arc;

use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityResolver;
use crate::resolve::series_table::SeriesTable;
use crate::server::auth::Auth;
use crate::server::incidents::KnownIncidents;
use crate::server::listener::{Endpoint, Listening};
use crate::server::wire::{HttpHandler, HttpWire};

/// A wire's configuration, from which everything else about it follows. Its name is its field in
/// the list ([`wire_list!`](crate::wire_list)).
pub trait WireConfig: Send + Sync {
    /// How senders reach it. What is built for HTTP is handed over here and nowhere else, so that a
    /// wire over HTTP cannot be built without its listener.
    fn doors(&self) -> Vec<Door<'_>>;

    /// The files it names.
    fn paths(&mut self) -> Vec<&mut PathBuf> {
        Vec::new()
    }

    /// Whether a reload builds its handler of HTTP anew although its settings are as they were,
    /// because what it read from files may have changed. Otherwise it goes on with what it has
    /// learned.
    fn reads_files(&self) -> bool {
        false
    }

    /// Its rows in the table of `WIRES.md`.
    fn rows() -> &'static [WireRow]
    where
        Self: Sized;
}

/// One way to a wire.
pub enum Door<'c> {
    /// Through the listener that all wires over HTTP share.
    Http(Build<'c, HttpWire>),
    /// Through a listener of its own. A reload keeps it as it is.
    Own(Endpoint<'c>, Build<'c, Listening>),
}

impl<'c> Door<'c> {
    /// Through HTTP, answered by what `build` gives.
    pub fn http<W: HttpHandler>(build: impl Fn(&Shared) -> Result<W, WireError> + 'c) -> Door<'c> {
        Door::Http(Box::new(move |shared| Ok(HttpWire::new(Arc::new(build(shared)?)))))
    }

    /// Through `endpoint`, where what `build` gives listens.
    pub fn own(endpoint: Endpoint<'c>, build: impl Fn(&Shared) -> Result<Listening, WireError> + 'c) -> Door<'c> {
        Door::Own(endpoint, Box::new(build))
    }
}

/// How something is built of what wires share.
pub type Build<'c, T> = Box<dyn Fn(&Shared) -> Result<T, WireError> + 'c>;

/// Why one wire cannot be built: its own error, which says what to change.
pub type WireError = Box<dyn std::error::Error + Send + Sync>;

/// What wires are built of beside their own settings.
#[derive(Clone)]
pub struct Shared {
    /// Who may send, and whose it is.
    pub auth: Arc<Auth>,
    /// How much they may send.
    pub limits: Limits,
    /// Which labels make which entity.
    pub resolver: Arc<EntityResolver>,
    /// Series that have been described.
    pub series: Arc<SeriesTable>,
    /// Which incidents may be acted on.
    pub incidents: Arc<KnownIncidents>,
}

/// A row of the table of `WIRES.md`, in Markdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireRow {
    /// What is spoken, with the place of its code.
    pub wire: &'static str,
    /// Path, port or transport.
    pub at: &'static str,
    /// What the sender hears.
    pub answers: &'static str,
    /// How what comes again is known.
    pub again: &'static str,
    /// The real program it is tried with.
    pub peer: &'static str,
}
