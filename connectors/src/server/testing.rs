//! Requests for the tests of wires, and a journal in memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use bellwether_engine::input::Input;
use bellwether_engine::signal::{Batch, TenantName};
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use http::{HeaderMap, Method};
use tokio::sync::watch;

use crate::intake::Intake;
use crate::intake::reject::RejectLog;
use crate::journal::receipts::Receipts;
use crate::journal::{Entries, Journal, JournalError, Position, WriteBatch};
use crate::server::outcome::Outcome;
use crate::server::reply::Reply;
use crate::server::request::Request;
use crate::server::wire::{HttpHandler, Route};

/// The tenant of the tests.
pub(crate) fn acme() -> &'static TenantName {
    static ACME: LazyLock<TenantName> = LazyLock::new(|| TenantName::new("acme").expect("a name"));
    &ACME
}

/// Keeps entries, or says it is full.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) full: AtomicBool,
    entries: Mutex<Vec<Input>>,
    receipts: Arc<Receipts>,
}

impl Shelf {
    /// A shelf and the intake in front of it.
    pub(crate) fn with_intake() -> (Arc<Shelf>, Intake) {
        let shelf = Arc::new(Shelf::default());
        (shelf.clone(), Intake::new(shelf, RejectLog::counting()))
    }

    /// What was accepted so far.
    pub(crate) fn entries(&self) -> Vec<Input> {
        self.entries.lock().expect("not poisoned").clone()
    }
}

impl Journal for Shelf {
    fn append(&self, group: Arc<WriteBatch>) -> BoxFuture<'_, Result<Position, JournalError>> {
        Box::pin(async move {
            if self.full.load(Ordering::Relaxed) {
                let reason = "the shelf is full".to_owned();
                return Err(JournalError::Full { reason, own_limit: true });
            }
            let mut entries = self.entries.lock().expect("not poisoned");
            for bytes in &group.entries {
                entries.push(Input::decode(bytes).expect("the intake encodes inputs"));
            }
            if let Some(claims) = &group.claims {
                claims.keep();
            }
            Ok(Position(entries.len() as u64))
        })
    }

    fn durable(&self) -> watch::Receiver<Position> {
        watch::channel(Position::START).1
    }

    fn read(&self, _: Position) -> Result<Box<dyn Entries>, JournalError> {
        unreachable!("wires only write")
    }

    fn cursor(&self, _: &str) -> Option<Vec<u8>> {
        None
    }

    fn receipts(&self) -> Arc<Receipts> {
        self.receipts.clone()
    }

    fn release(&self, _: Position) {}
}

/// A POST of tenant `acme` received at second 1,000,000.
pub(crate) fn post<'a>(path: &'a str, headers: &'a HeaderMap, body: &'a [u8]) -> Request<'a> {
    Request {
        tenant: acme(),
        method: &Method::POST,
        path,
        query: "",
        headers,
        body,
        received: EventTime::from_secs(1_000_000),
        claims: None,
    }
}

/// What the route of `wire` that takes `request` makes of it.
pub(crate) fn serve<W: HttpHandler>(wire: &W, request: &Request<'_>) -> Outcome {
    route_of(wire, request).take(wire, request).expect("the route takes something")
}

/// What the route of `wire` that `request` looks at shows.
pub(crate) fn look<W: HttpHandler>(wire: &W, request: &Request<'_>) -> Reply {
    route_of(wire, request).look(wire, request).expect("the route is a look")
}

fn route_of<W: HttpHandler>(wire: &W, request: &Request<'_>) -> Route<W> {
    let takes = |route: &Route<W>| {
        let mut router = matchit::Router::new();
        router.insert(route.path(), ()).expect("a path");
        route.methods().contains(request.method) && router.at(request.path).is_ok()
    };
    // The server's order: a literal path wins over one with a variable part.
    let mut routes: Vec<Route<W>> = wire.routes().into_iter().filter(takes).collect();
    routes.sort_by_key(|route| route.path().contains('{'));
    routes.into_iter().next().unwrap_or_else(|| panic!("no route takes {} {}", request.method, request.path))
}

/// A header map of these pairs.
pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            let value = value.parse().expect("test headers are plain");
            (http::HeaderName::from_static(name), value)
        })
        .collect()
}

/// The batches of an outcome.
pub(crate) fn batches(outcome: &Outcome) -> Vec<&Batch> {
    outcome
        .inputs()
        .iter()
        .filter_map(|input| match input {
            Input::Batch(batch) => Some(batch),
            _ => None,
        })
        .collect()
}
