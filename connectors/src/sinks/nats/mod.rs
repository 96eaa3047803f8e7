//! The incident stream: each revision once, in order, in JetStream; the latest record of each
//! incident in a key-value bucket.
//!
//! ```yaml
//! sinks:
//!   - nats: {connection: {servers: ["nats://127.0.0.1:4222"]}}
//! ```
//!
//! CloudEvents in binary mode: attributes in `ce-*` headers (lower case, NATS keeps the case),
//! the record as the payload, `Nats-Msg-Id` = `<tenant>/<id>/<revision>`.
//!
//! # Why each revision is there once
//!
//! After a restart the engine gives again every event after its checkpoint. Two memories at
//! the receiver tell what is there already, and neither is the duplicate window of the
//! stream, which is only minutes long:
//!
//! - the **bucket** has the latest record of each incident, with its revision, for every
//!   message up to the *settled* sequence;
//! - the **stream** itself has the rest. The settled sequence is written to a bucket of its own
//!   (`bellwether_outbox`, by the sink's name) when all messages up to it are in the bucket of
//!   incidents, once for each delivery, so the rest is short.
//!
//! At opening, and after any answer that did not come, the sink reads the stream after the
//! settled sequence, brings the bucket up to date, and only then sends what is missing.
//! A publish whose answer was lost may still be on its way when the stream is read; it is then
//! on the same connection before the second copy, seconds apart, and there the duplicate
//! window does hold.
//!
//! What another process has published meanwhile is not overwritten, and nothing is published beside it: see `fence.rs`.
//!
//! Order: that of the incident log, across incidents, too; a replay tells in the same. At most one revision of an
//! incident is on its way at a time, so a lost one cannot be overtaken by the next.

mod bucket;
mod config;
mod fence;
mod message;
mod open;
mod publish;

use std::collections::HashMap;

use async_nats::jetstream::Context;
use async_nats::jetstream::kv::Store;
use async_nats::jetstream::stream::Stream;
use futures::future::BoxFuture;

use self::open::{INCIDENTS, MARKS, ensure_bucket, ensure_stream};
use crate::host::random_name;
use crate::nats::NatsError;
use crate::sinks::{Delivered, Outgoing, Sink, SinkError};

pub use config::NatsSinkConfig;
pub use message::headers;

/// The stream of incident events.
pub const INCIDENT_STREAM: &str = "BELLWETHER_INCIDENTS";
/// The bucket with the latest record of each incident.
pub const INCIDENT_BUCKET: &str = "bellwether_incidents";

/// The bucket that says up to where of the stream that is so, by the sink's name.
pub const OUTBOX_BUCKET: &str = "bellwether_outbox";

/// What the stream takes: incidents of every tenant.
pub const INCIDENT_SUBJECTS: &str = "bellwether.v1.*.incident.>";
/// Publishes on their way at a time.
const WINDOW: usize = 256;

/// The incident stream as a sink.
pub struct NatsSink {
    config: NatsSinkConfig,
    context: Context,
    stream: Stream,
    bucket: Store,
    /// Settled sequences.
    marks: Store,
    /// Latest revision at the receiver, by bucket key.
    known: HashMap<String, u64>,
    /// Every message of the stream up to here is in the bucket.
    settled: u64,
    /// The last message of the stream: what is published next is to follow it.
    last: u64,
    /// By what our claim on the stream is known.
    claim: String,
    /// An answer did not come: the stream has to be read before anything is sent.
    unsure: bool,
}

impl NatsSink {
    /// Connects, creates or checks stream and bucket, and learns what is there.
    ///
    /// # Errors
    /// [`NatsError`]: the server, or a setting that has to be changed by hand.
    pub async fn open(config: NatsSinkConfig) -> Result<NatsSink, NatsError> {
        let context = config.connection.connect().await?;
        let stream = ensure_stream(&context, &config).await?;
        let bucket = ensure_bucket(&context, &config, &INCIDENTS).await?;
        let marks = ensure_bucket(&context, &config, &MARKS).await?;
        let mut sink = NatsSink {
            config,
            context,
            stream,
            bucket,
            marks,
            known: HashMap::new(),
            settled: 0,
            last: 0,
            claim: random_name(),
            unsure: true,
        };
        // First: what is on the stream then is all that there is to be known.
        sink.claim().await?;
        sink.reconcile().await?;
        Ok(sink)
    }
}

impl Sink for NatsSink {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(async move {
            self.check_size(events)?;
            let attempted = self.attempt(events).await;
            let sent = attempted.map_err(|error| failure(&self.config.name, &error))?;
            Ok(Delivered { sent, skipped: events.len() as u64 - sent })
        })
    }
}

/// What a reader makes of an error of NATS.
fn failure(sink: &str, error: &NatsError) -> SinkError {
    match error.is_retryable() {
        true => SinkError::unavailable(sink, error.to_string()),
        false => SinkError::config(sink, error.to_string()),
    }
}
