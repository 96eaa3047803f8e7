//! What every inbound wire shares: a request, what a wire makes of it, and what it answers.
//!
//! A wire is a function without I/O: bytes and headers in, journal entries and a reply out.
//! The server around it ([`crate::server::http`], [`crate::wires::syslog`], …) reads the socket, appends the
//! entries to the journal and only then sends the reply. So each wire is tested with plain
//! byte strings, and "acknowledged means durable" is kept in one place.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, Method};
use bellwether_engine::input::Input;
use bellwether_engine::signal::Batch;
use bellwether_engine::time::EventTime;
use bytes::Bytes;

use crate::intake::reject::Refusals;
use crate::journal::receipts::{Claim, Claims};
use crate::limits::{Compression, Limits};
use crate::server::auth::Right;

/// Seconds a refused sender is asked to wait before it tries again.
pub const RETRY_AFTER_SECS: u64 = 1;

/// One request as a wire sees it: authenticated, bounded in size, not yet decompressed.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The tenant of the credential; empty for routes with [`Access::Own`].
    pub tenant: &'a str,
    /// The HTTP method.
    pub method: &'a Method,
    /// The path, without the query.
    pub path: &'a str,
    /// The raw query, without `?`.
    pub query: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body as it came over the wire.
    pub body: &'a [u8],
    /// When it was received: stands in where a payload carries no time.
    pub received: EventTime,
    /// What of it is claimed; `None` when nobody remembers anything.
    pub claims: Option<&'a Claims>,
}

impl Request<'_> {
    /// A header's value in lower case without parameters' spaces, or `""`.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map_or("", str::trim)
    }

    /// The media type: the part of `Content-Type` before `;`, in lower case.
    pub fn media_type(&self) -> String {
        let value = self.header("content-type");
        let plain = value.split(';').next().unwrap_or_default();
        plain.trim().to_ascii_lowercase()
    }

    /// Claims a part of the body that may come again in another request.
    pub fn claim(&self, key: u128) -> Claim {
        self.claims.map_or(Claim::Ours, |claims| claims.take(key))
    }

    /// The first value of query parameter `name`, percent-decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters(name).into_iter().next()
    }

    /// All values of query parameter `name`, percent-decoded.
    pub fn parameters(&self, name: &str) -> Vec<String> {
        self.query
            .split('&')
            .filter_map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (percent_decoded(key) == name).then(|| percent_decoded(value))
            })
            .collect()
    }
}

/// Undoes `%41` and `+`; a broken escape stays as it is.
pub fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match escape {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Who may use a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Whoever shows a bearer token, basic credentials or a client certificate.
    Credential,
    /// The wire checks a signature over the body itself and names the tenant.
    Own,
}

/// One path a wire answers.
#[derive(Clone, Debug)]
pub struct Route {
    /// The path, `{name}` for a variable part.
    pub path: String,
    /// Who may.
    pub access: Access,
}

impl Route {
    /// A route for authenticated senders.
    pub fn new(path: impl Into<String>) -> Route {
        Route { path: path.into(), access: Access::Credential }
    }
}

/// What a wire answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Further headers, names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A reply without a body.
    pub fn empty(status: u16) -> Reply {
        Reply { status, ..Reply::default() }
    }

    /// A plain text reply.
    pub fn text(status: u16, text: impl Into<String>) -> Reply {
        Reply {
            status,
            headers: vec![("content-type", "text/plain; charset=utf-8".to_owned())],
            body: Bytes::from(text.into()),
        }
    }

    /// A JSON reply.
    pub fn json(status: u16, value: &impl serde::Serialize) -> Reply {
        Reply {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: Bytes::from(serde_json::to_vec(value).unwrap_or_default()),
        }
    }

    /// The same reply with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// 503 with `Retry-After`: what the clients of most wires retry without loss.
    pub fn overloaded(reason: &str) -> Reply {
        Reply::text(503, format!("{reason}\n")).with("retry-after", RETRY_AFTER_SECS.to_string())
    }

    /// The value of header `name`.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}

/// What a wire made of one request.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Journal entries; the reply is sent only after they are durable.
    pub inputs: Vec<Input>,
    /// What to answer then.
    pub reply: Reply,
    /// Events decoded and taken.
    pub accepted: u64,
    /// Events refused.
    pub refused: Refusals,
}

impl Outcome {
    /// Nothing for the journal, only an answer.
    pub fn answer(reply: Reply) -> Outcome {
        Outcome { reply, ..Outcome::default() }
    }

    /// A request refused as a whole.
    pub fn refused(reply: Reply, reason: &'static str) -> Outcome {
        let mut refused = Refusals::default();
        refused.add(reason, 1);
        Outcome { reply, refused, ..Outcome::default() }
    }

    /// Adds `batch` to what the journal gets, unless it is empty.
    pub fn push(&mut self, batch: Batch) {
        if !batch.is_empty() {
            self.inputs.push(Input::Batch(batch));
        }
    }
}

/// The request's body, unpacked as its `Content-Encoding` says; the refusal otherwise.
pub(crate) fn unpacked<'r>(limits: &Limits, request: &Request<'r>) -> Result<Cow<'r, [u8]>, Outcome> {
    let encoding = request.header("content-encoding");
    let Some(compression) = Compression::from_header(encoding) else {
        let text = format!("content encoding `{encoding}` is not supported\n");
        return Err(Outcome::refused(Reply::text(415, text), "encoding"));
    };
    if compression == Compression::None && request.body.len() <= limits.decompressed_bytes_max {
        return Ok(Cow::Borrowed(request.body));
    }
    let mut body = Vec::new();
    match limits.unpack(request.body, compression, &mut body) {
        Ok(()) => Ok(Cow::Owned(body)),
        Err(error) => {
            let reply = Reply::text(error.status(), format!("{error}\n"));
            Err(Outcome::refused(reply, error.reason()))
        }
    }
}

/// A wire spoken over HTTP.
pub trait HttpWire: Send + Sync + 'static {
    /// The kind of wire, e.g. `remote_write`; its name in metrics and in configuration.
    fn kind(&self) -> &'static str;

    /// The paths it answers.
    fn routes(&self) -> Vec<Route>;

    /// The right that a request to `path` takes, unless it is a mere look.
    fn right(&self, path: &str) -> Right {
        let _ = path;
        Right::Send
    }

    /// Decodes one request. Must not block on anything but the processor.
    fn serve(&self, request: &Request<'_>) -> Outcome;

    /// True when a byte-identical body of one tenant can only be a re-send, because its events
    /// carry their own times: the server then answers it without a second journal entry.
    fn resend_is_duplicate(&self, request: &Request<'_>) -> bool {
        let _ = request;
        false
    }

    /// What to answer to such a re-send: by default what decoding it again says, of which nothing
    /// is stored.
    fn answer_again(&self, request: &Request<'_>) -> Reply {
        let outcome = self.serve(request);
        self.undo(&outcome.inputs);
        outcome.reply
    }

    /// What to answer when the journal or a limit refuses the entries for now.
    fn overloaded(&self, request: &Request<'_>, reason: &str) -> Reply {
        let _ = request;
        Reply::overloaded(reason)
    }

    /// The entries of `outcome` were not stored: forget what was noted about them.
    fn undo(&self, inputs: &[Input]) {
        let _ = inputs;
    }
}

/// Running totals of one wire, read by `/metrics` and `bellwether check`.
#[derive(Debug, Default)]
pub struct WireCounters {
    requests: AtomicU64,
    bytes: AtomicU64,
    accepted: AtomicU64,
    duplicates: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl WireCounters {
    /// One request of `bytes` bytes came in.
    pub fn request(&self, bytes: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// `count` events are durable.
    pub fn accept(&self, count: u64) {
        self.accepted.fetch_add(count, Ordering::Relaxed);
    }

    /// `count` events had been accepted before.
    pub fn duplicate(&self, count: u64) {
        self.duplicates.fetch_add(count, Ordering::Relaxed);
    }

    /// Events refused for `reason`.
    pub fn refuse(&self, reason: &'static str, count: u64) {
        let mut refused = self.refused.lock().unwrap_or_else(|held| held.into_inner());
        *refused.entry(reason).or_default() += count;
    }

    /// The totals now.
    pub fn read(&self) -> WireTotals {
        let refused = self.refused.lock().unwrap_or_else(|held| held.into_inner());
        WireTotals {
            requests: self.requests.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            duplicates: self.duplicates.load(Ordering::Relaxed),
            refused: refused.clone(),
        }
    }
}

/// A reading of [`WireCounters`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireTotals {
    /// Requests or datagrams.
    pub requests: u64,
    /// Bytes before decompression.
    pub bytes: u64,
    /// Events stored.
    pub accepted: u64,
    /// Events recognised as re-sent.
    pub duplicates: u64,
    /// Events refused, by reason.
    pub refused: BTreeMap<&'static str, u64>,
}

#[cfg(test)]
pub(crate) mod testing {
    //! Requests for the tests of wires, and a journal in memory.

    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use futures::future::BoxFuture;
    use tokio::sync::watch;

    use super::*;
    use crate::intake::Intake;
    use crate::intake::reject::RejectLog;
    use crate::journal::receipts::Receipts;
    use crate::journal::{Entries, Group, Journal, JournalError, Position};

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
        fn append(&self, group: Arc<Group>) -> BoxFuture<'_, Result<Position, JournalError>> {
            Box::pin(async move {
                if self.full.load(Ordering::Relaxed) {
                    let reason = "the shelf is full".to_owned();
                    return Err(JournalError::Full { reason });
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
            tenant: "acme",
            method: &Method::POST,
            path,
            query: "",
            headers,
            body,
            received: EventTime::from_secs(1_000_000),
            claims: None,
        }
    }

    /// A header map of these pairs.
    pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let value = value.parse().expect("test headers are plain");
                (axum::http::HeaderName::from_static(name), value)
            })
            .collect()
    }

    /// The batches of an outcome.
    pub(crate) fn batches(outcome: &Outcome) -> Vec<&Batch> {
        outcome
            .inputs
            .iter()
            .filter_map(|input| match input {
                Input::Batch(batch) => Some(batch),
                _ => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_decoded_and_may_repeat() {
        let headers = HeaderMap::new();
        let mut request = testing::post("/", &headers, b"");
        request.query = "filter=a%3D%22b+c%22&filter=x&bad=%4";
        assert_eq!(request.parameters("filter"), vec!["a=\"b c\"", "x"]);
        assert_eq!(request.parameter("bad").as_deref(), Some("%4"));
        assert_eq!(request.parameter("none"), None);
    }

    #[test]
    fn refusals_of_one_reason_are_summed() {
        let mut refusals = Refusals::default();
        refusals.add("late", 2);
        refusals.add("early", 1);
        refusals.add("late", 3);
        assert_eq!(refusals.describe(), "5 late, 1 early");
        assert_eq!(refusals.total(), 6);
    }
}
