//! Fluent Forward: what fluentd, Fluent Bit and the Fluent loggers speak to each other.
//!
//! ```yaml
//! forward:
//!   listen: 127.0.0.1:24224
//!   shared_keys: [{ tenant: acme, key_file: forward.key }]   # else auth.networks
//!   tls: { certificate_file: tls.crt, key_file: tls.key }
//! ```
//!
//! A record is a log record: message, level, time and trace by their usual names, the entity
//! its other fields name or else the sender's address, the tag as `fluent.tag`. A message with
//! a `chunk` is acknowledged when the journal has synced all of it, and never when an entry of it was
//! refused: the sender keeps what is not acknowledged; a chunk that comes again, because
//! its acknowledgement was lost, is only acknowledged again. A full journal stops the reading,
//! so that the sender keeps its buffer. Reference: Fluentd forward protocol specification.

mod decode;
mod handshake;
mod msgpack;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{LogBuilder, TenantName};
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use xxhash_rust::xxh3::xxh3_128;

use crate::intake::reject::Refusals;
use crate::intake::{AcceptError, Intake, Source, SourceError, Stop};
use crate::journal::receipts::{Claim, Claims};
use crate::limits::Limits;
use crate::resolve::entity_resolution::EntityResolver;
use crate::server::auth::{Auth, AuthError, read_secret};
use crate::server::counters::WireCounters;
use crate::server::http::now;
use crate::server::listener::{Endpoint, Listening, Transport};
use crate::server::packets::GATHER;
use crate::server::refusals::Refused;
use crate::server::streams::{Caller, Conversation, Duplex, Listener, listen};
use crate::server::tls::{LiveTls, TlsConfig, TlsError};
use crate::wires::declare::{Door, WireConfig, WireRow};
use decode::{Context, decode, options};
use handshake::{Key, answer, helo, nonce};
use msgpack::Walk;

/// Rows gathered from one connection before they are stored.
const ROWS_MAX: usize = 10_000;

/// How long a chunk waits that another connection is storing already, before it is looked at
/// again.
const BUSY_PAUSE: Duration = Duration::from_millis(20);

/// Where Fluent Forward is received.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardConfig {
    /// Address and port.
    pub listen: SocketAddr,
    /// Keys that senders must know, each with its tenant. Without any, the tenant comes from
    /// the sender's address.
    pub shared_keys: Vec<SharedKey>,
    /// Speak TLS.
    pub tls: Option<TlsConfig>,
}

impl Default for ForwardConfig {
    fn default() -> ForwardConfig {
        let listen = SocketAddr::from(([127, 0, 0, 1], 24_224));
        ForwardConfig { listen, shared_keys: Vec::new(), tls: None }
    }
}

impl WireConfig for ForwardConfig {
    fn doors(&self) -> Vec<Door<'_>> {
        let endpoint = Endpoint {
            name: "forward",
            protocol: "Forward",
            key: "listen",
            transport: Transport::Tcp,
            address: self.listen,
            tls: self.tls.as_ref(),
            asks_for_secret: !self.shared_keys.is_empty(),
        };
        vec![Door::own(endpoint, |shared| {
            let (limits, resolver, auth) = (shared.limits.clone(), shared.resolver.clone(), shared.auth.clone());
            let forward = Forward::new("forward", self.clone(), limits, resolver, auth)?;
            Ok(Listening { counters: forward.counters(), tls: forward.tls(), source: Box::new(forward) })
        })]
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        let keys = self.shared_keys.iter_mut().map(|key| &mut key.key_file);
        keys.chain(self.tls.iter_mut().flat_map(TlsConfig::paths)).collect()
    }

    fn rows() -> &'static [WireRow] {
        &[WireRow {
            wire: "Fluent Forward, all four forms, shared key, TLS (`src/wires/forward`)",
            at: "port 24224",
            answers: "`ack` when all of it is stored, none when an entry was refused; a full journal stops the reading",
            again: "chunks",
            peer: "fluent-logger 0.11 for Python",
        }]
    }
}

/// A key and the tenant it stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedKey {
    /// Whose it is.
    pub tenant: String,
    /// A file with the key.
    pub key_file: PathBuf,
}

/// Why the listener cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// A key, or the tenant it stands for.
    #[error(transparent)]
    Key(#[from] AuthError),
    /// A certificate or key of TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// The listener as a source.
pub struct Forward {
    name: String,
    config: ForwardConfig,
    keys: Vec<Key>,
    tls: Option<Arc<LiveTls>>,
    limits: Limits,
    resolver: Arc<EntityResolver>,
    auth: Arc<Auth>,
    counters: Arc<WireCounters>,
}

impl Forward {
    /// A listener called `name`; reads the files of its keys and certificates.
    ///
    /// # Errors
    /// [`ForwardError`] for a file that cannot be read or used, or a tenant that is no name.
    pub fn new(
        name: impl Into<String>,
        config: ForwardConfig,
        limits: Limits,
        resolver: Arc<EntityResolver>,
        auth: Arc<Auth>,
    ) -> Result<Forward, ForwardError> {
        let mut keys = Vec::with_capacity(config.shared_keys.len());
        for key in &config.shared_keys {
            let tenant = TenantName::new(&key.tenant).map_err(AuthError::from)?;
            keys.push(Key { tenant, secret: read_secret(&key.key_file)? });
        }
        let tls = config.tls.clone().map(|tls| LiveTls::new(tls, &[])).transpose()?.map(Arc::new);
        Ok(Forward { name: name.into(), config, keys, tls, limits, resolver, auth, counters: Arc::default() })
    }

    /// Its TLS, to be reloaded.
    pub fn tls(&self) -> Option<Arc<LiveTls>> {
        self.tls.clone()
    }

    /// What it has received so far.
    pub fn counters(&self) -> Arc<WireCounters> {
        self.counters.clone()
    }

    async fn speak(&self, caller: Caller, intake: &Intake, mut stop: Stop) -> Result<(), SourceError> {
        let Caller { mut stream, from, tenant } = caller;
        let mut framer = Framer { buffer: Vec::new(), walk: Walk::default(), bytes_max: self.limits.body_bytes_max };
        let tenant = match self.keys.is_empty() {
            true => tenant,
            false => self.greet(&mut stream, &mut framer, &mut stop).await,
        };
        let Some(tenant) = tenant else {
            let refused = Refused { sender: Some(from.ip()), component: &self.name, reason: "unauthorized" };
            self.counters.refuse(refused.reason, 1);
            self.auth.refused(refused).wait().await;
            return Ok(());
        };
        let entity = self.resolver.host(&from.ip().to_string());
        let mut taken = Taken::new(intake, &tenant);
        loop {
            let message = match framer.next_message() {
                Ok(message) => message,
                Err(reason) => {
                    // Where the next message begins cannot be known.
                    self.counters.refuse(reason, 1);
                    break;
                }
            };
            if let Some(message) = message {
                if let Some(chunk) = options(&message).chunk {
                    let key = xxh3_128(&[tenant.as_bytes(), &[0xff], &message].concat());
                    let mut claim = taken.claims.take(key);
                    while claim == Claim::Busy {
                        // What is gathered here goes first: two connections must not wait for each other.
                        self.store(&tenant, &mut taken, &mut stream, intake).await?;
                        tokio::time::sleep(BUSY_PAUSE).await;
                        claim = taken.claims.take(key);
                    }
                    if claim == Claim::Taken {
                        self.counters.duplicate(1);
                        // What was refused of it then is so again.
                        if self.read(&message, &entity, &mut LogBuilder::new()).is_empty() {
                            taken.answers.push(acknowledgement(chunk));
                        }
                        continue;
                    }
                }
                let refused = self.read(&message, &entity, &mut taken.rows);
                for (reason, count) in refused.iter() {
                    self.counters.refuse(reason, count);
                }
                if let Some(chunk) = options(&message).chunk.filter(|_| refused.is_empty()) {
                    taken.answers.push(acknowledgement(chunk));
                }
                if taken.rows.len() >= ROWS_MAX {
                    self.store(&tenant, &mut taken, &mut stream, intake).await?;
                }
                continue;
            }
            // Nothing more to read at once: who waits for an answer gets it now.
            if !taken.answers.is_empty() {
                self.store(&tenant, &mut taken, &mut stream, intake).await?;
            }
            let patience = match taken.rows.is_empty() {
                true => Duration::from_secs(self.limits.idle_timeout_secs),
                false => GATHER,
            };
            match framer.read(&mut stream, patience, &mut stop).await {
                Heard::Bytes(length) => self.counters.request(length),
                Heard::Silence if !taken.rows.is_empty() => {
                    self.store(&tenant, &mut taken, &mut stream, intake).await?;
                }
                Heard::Silence | Heard::End => break,
            }
        }
        self.store(&tenant, &mut taken, &mut stream, intake).await
    }

    /// The handshake; the tenant of the key that the sender knows.
    async fn greet(&self, stream: &mut Box<dyn Duplex>, framer: &mut Framer, stop: &mut Stop) -> Option<TenantName> {
        let patience = Duration::from_secs(self.limits.header_timeout_secs);
        let nonce = nonce()?;
        stream.write_all(&helo(&nonce)).await.ok()?;
        let message = loop {
            if let Some(message) = framer.next_message().ok()? {
                break message;
            }
            if !matches!(framer.read(stream, patience, stop).await, Heard::Bytes(_)) {
                return None;
            }
        };
        let (tenant, pong) = answer(&message, &nonce, &self.keys);
        stream.write_all(&pong).await.ok()?;
        tenant.cloned()
    }

    /// Reads one message into rows; what of it is refused.
    fn read(&self, message: &[u8], entity: &str, rows: &mut LogBuilder) -> Refusals {
        let context = Context { limits: &self.limits, resolver: &self.resolver, entity, received: now() };
        let mut refused = Refusals::default();
        decode(message, &context, rows, &mut refused);
        refused
    }

    /// Waits for the journal, then answers: while it is full nothing is read.
    async fn store(
        &self,
        tenant: &TenantName,
        taken: &mut Taken,
        stream: &mut Box<dyn Duplex>,
        intake: &Intake,
    ) -> Result<(), SourceError> {
        let rows = taken.rows.len() as u64;
        let claims = std::mem::replace(&mut taken.claims, intake.claims(tenant));
        if rows > 0 {
            let batch = taken.rows.finish_for(tenant);
            match intake.accept_claimed(&[Input::Batch(batch)], claims).await {
                Ok(_) => self.counters.accept(rows),
                Err(AcceptError::Fatal(error)) => return Err(SourceError::Fatal(error)),
                // Too large for the journal, now and ever: it is not stored, so nobody is told that it is.
                Err(_) => {
                    self.counters.refuse("journal", rows);
                    taken.answers.clear();
                }
            }
        }
        let answers: Vec<u8> = std::mem::take(&mut taken.answers).concat();
        // Who has hung up sends the chunk again and is answered then.
        let _ = stream.write_all(&answers).await;
        Ok(())
    }
}

/// Rows of one connection on their way to the journal, and what is to be answered then.
struct Taken {
    rows: LogBuilder,
    claims: Claims,
    answers: Vec<Vec<u8>>,
}

impl Taken {
    fn new(intake: &Intake, tenant: &str) -> Taken {
        Taken { rows: LogBuilder::new(), claims: intake.claims(tenant), answers: Vec::new() }
    }
}

/// `{"ack": chunk}`
fn acknowledgement(chunk: &[u8]) -> Vec<u8> {
    let mut out = vec![0x81, 0xa3, b'a', b'c', b'k', 0xdb];
    out.extend((chunk.len() as u32).to_be_bytes());
    out.extend_from_slice(chunk);
    out
}

/// What came of reading.
enum Heard {
    Bytes(usize),
    Silence,
    End,
}

/// Cuts a stream into messages. Holds one message and what was read beside it.
struct Framer {
    buffer: Vec<u8>,
    walk: Walk,
    bytes_max: usize,
}

/// The rows of whatever messages `stream` holds, as one connection would give them; for who tries the decoder alone.
pub(crate) fn rows_of(stream: &[u8], limits: &Limits, resolver: &EntityResolver, received: EventTime) -> LogBuilder {
    let mut rows = LogBuilder::new();
    let mut refused = Refusals::default();
    let bytes_max = limits.body_bytes_max;
    let mut framer = Framer { buffer: stream.to_vec(), walk: Walk::default(), bytes_max };
    let context = Context { limits, resolver, entity: "host:sender", received };
    while let Ok(Some(message)) = framer.next_message() {
        decode(&message, &context, &mut rows, &mut refused);
        options(&message);
    }
    rows
}

impl Framer {
    /// The next whole message.
    fn next_message(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        match self.walk.go_on(&self.buffer) {
            Ok(()) => {
                let length = std::mem::take(&mut self.walk).length;
                let rest = self.buffer.split_off(length);
                Ok(Some(std::mem::replace(&mut self.buffer, rest)))
            }
            Err(msgpack::Stop::Short) if self.buffer.len() > self.bytes_max => Err("too_large"),
            Err(msgpack::Stop::Short) => Ok(None),
            Err(msgpack::Stop::Broken) => Err("malformed"),
        }
    }

    async fn read(&mut self, stream: &mut Box<dyn Duplex>, patience: Duration, stop: &mut Stop) -> Heard {
        let mut piece = [0; 16 << 10];
        let read = tokio::select! {
            () = stop.stopped() => return Heard::End,
            read = tokio::time::timeout(patience, stream.read(&mut piece)) => read,
        };
        match read {
            Ok(Ok(length @ 1..)) => {
                self.buffer.extend_from_slice(&piece[..length]);
                Heard::Bytes(length)
            }
            Ok(_) => Heard::End,
            Err(_) => Heard::Silence,
        }
    }
}

impl Conversation for Forward {
    fn asks_for_secret(&self) -> bool {
        !self.keys.is_empty()
    }

    fn listener(&self) -> Listener<'_> {
        Listener {
            name: &self.name,
            address: self.config.listen,
            tls: self.tls.as_ref(),
            auth: &self.auth,
            limits: &self.limits,
            counters: &self.counters,
        }
    }

    fn converse(
        self: Arc<Self>,
        caller: Caller,
        intake: Intake,
        stop: Stop,
    ) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move { self.speak(caller, &intake, stop).await })
    }
}

impl Source for Forward {
    fn name(&self) -> &str {
        &self.name
    }

    fn run(self: Box<Self>, intake: Intake, stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        listen(*self, intake, stop)
    }
}

#[cfg(test)]
mod tests;
