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
//! - the **stream** itself has the rest. The settled sequence is written to the bucket (key
//!   `outbox/<name>`) when all messages up to it are in the bucket, once for each delivery, so
//!   the rest is short.
//!
//! At opening, and after any answer that did not come, the sink reads the stream after the
//! settled sequence, brings the bucket up to date, and only then sends what is missing.
//! A publish whose answer was lost may still be on its way when the stream is read; it is then
//! on the same connection before the second copy, seconds apart, and there the duplicate
//! window does hold.
//!
//! Order: at most one revision of an incident is on its way at a time, so a lost one cannot be
//! overtaken by the next.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::kv::Store;
use async_nats::jetstream::stream::{Config as StreamConfig, DiscardPolicy, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{Context, kv};
use bellwether_engine::incident::IncidentEvent;
use bellwether_engine::time::Span;
use bytes::Bytes;
use futures::future::{BoxFuture, try_join_all};
use futures::{StreamExt, TryStreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nats::{NatsConnection, NatsError};
use crate::sinks::{Delivered, Outgoing, Sink, SinkError};

/// The stream of incident events.
pub const INCIDENT_STREAM: &str = "BELLWETHER_INCIDENTS";
/// The bucket with the latest record of each incident.
pub const INCIDENT_BUCKET: &str = "bellwether_incidents";

/// What the stream takes: incidents of every tenant.
const INCIDENT_SUBJECTS: &str = "bellwether.v1.*.incident.>";
/// Publishes on their way at a time.
const WINDOW: usize = 256;
/// Incidents whose revision is remembered here; beyond, all are forgotten and asked of the
/// bucket again.
const KNOWN_MAX: usize = 100_000;
/// Duplicate window of a stream we create: JetStream's default, longer than any retry pause.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(120);
/// Shortest duplicate window of a stream we find: twice the longest retry pause.
const DUPLICATE_WINDOW_MIN: Duration = Duration::from_secs(10);

/// Room for the headers of a message.
const HEADER_BYTES: usize = 2_048;

/// Where incident events go on NATS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NatsSinkConfig {
    /// Name in logs, and of this engine's place in the stream. Two engines that publish to one
    /// stream need two names.
    pub name: String,
    /// The server.
    pub connection: NatsConnection,
    /// Copies of stream and bucket in a cluster, 1 to 5; for those we create.
    pub replicas: usize,
    /// How long the stream keeps events; for one we create.
    pub retain_age: Span,
    /// When nothing could be delivered for this long, wait for a person (`bellwether sinks`). The
    /// incident log keeps what there is to deliver; nothing else waits.
    pub give_up_after: Span,
}

impl Default for NatsSinkConfig {
    fn default() -> NatsSinkConfig {
        NatsSinkConfig {
            name: "nats".to_owned(),
            connection: NatsConnection::default(),
            replicas: 1,
            retain_age: Span::from_hours(30 * 24),
            give_up_after: Span::from_hours(1),
        }
    }
}

/// The incident stream as a sink.
pub struct NatsSink {
    config: NatsSinkConfig,
    context: Context,
    stream: Stream,
    bucket: Store,
    /// Latest revision at the receiver, by bucket key.
    known: HashMap<String, u64>,
    /// Every message of the stream up to here is in the bucket.
    settled: u64,
    /// An answer did not come: the stream has to be read before anything is sent.
    unsure: bool,
}

/// What of a record is read back.
#[derive(Deserialize)]
struct Stored {
    revision: u64,
}

impl NatsSink {
    /// Connects, creates or checks stream and bucket, and learns what is there.
    ///
    /// # Errors
    /// [`NatsError`]: the server, or a setting that has to be changed by hand.
    pub async fn open(config: NatsSinkConfig) -> Result<NatsSink, NatsError> {
        let context = config.connection.connect().await?;
        let stream = ensure_stream(&context, &config).await?;
        let bucket = ensure_bucket(&context, &config).await?;
        let mut sink = NatsSink { config, context, stream, bucket, known: HashMap::new(), settled: 0, unsure: true };
        sink.reconcile().await?;
        Ok(sink)
    }

    fn outbox_key(&self) -> String {
        format!("outbox/{}", bellwether_engine::incident::sanitise_token(&self.config.name))
    }

    /// Reads the stream after the settled sequence and brings the bucket up to date.
    async fn reconcile(&mut self) -> Result<(), NatsError> {
        self.known.clear();
        let stored = get(&self.bucket, &self.outbox_key()).await?;
        let stored = stored.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse().ok());
        let state = self.stream.get_info().await.map_err(|e| NatsError::request("read the stream's state", e))?.state;
        // A mark beyond the end is of a stream that was made anew.
        self.settled = stored.filter(|mark| *mark <= state.last_sequence).unwrap_or(0);
        if state.messages > 0 && self.settled < state.last_sequence {
            self.settle_tail(state.last_sequence).await?;
        }
        self.unsure = false;
        Ok(())
    }

    async fn settle_tail(&mut self, last: u64) -> Result<(), NatsError> {
        let failed = |e: &dyn std::fmt::Display| NatsError::request("read the end of the stream", e);
        let consumer = self
            .stream
            .create_consumer(OrderedConfig {
                deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: self.settled + 1 },
                filter_subject: INCIDENT_SUBJECTS.to_owned(),
                ..OrderedConfig::default()
            })
            .await
            .map_err(|e| failed(&e))?;
        // `create_consumer` of an ordered consumer has no say in acknowledgements.
        debug_assert_eq!(consumer.cached_info().config.ack_policy, AckPolicy::None);
        let mut latest: BTreeMap<String, (u64, Bytes)> = BTreeMap::new();
        let mut messages = consumer.messages().await.map_err(|e| failed(&e))?;
        loop {
            let next = tokio::time::timeout(Duration::from_secs(5), messages.next()).await;
            let message = match next {
                Ok(Some(message)) => message.map_err(|e| failed(&e))?,
                Ok(None) => break,
                Err(_) => return Err(failed(&"nothing for 5 s")),
            };
            let (sequence, pending) = {
                let info = message.info().map_err(|e| failed(&e))?;
                (info.stream_sequence, info.pending)
            };
            if let Some((key, revision)) = identity(&message) {
                let entry = latest.entry(key).or_default();
                if revision > entry.0 {
                    *entry = (revision, message.payload.clone());
                }
            }
            if pending == 0 || sequence >= last {
                break;
            }
        }
        let tail: Vec<(String, u64, Bytes)> =
            latest.into_iter().map(|(key, (revision, payload))| (key, revision, payload)).collect();
        tracing::info!(
            incidents = tail.len(),
            after = self.settled,
            upto = last,
            "read the end of the incident stream"
        );
        for (key, revision, payload) in &tail {
            let in_bucket = self.stored_revision(key).await?;
            if *revision > in_bucket {
                put(&self.bucket, key, payload.clone()).await?;
            }
            self.known.insert(key.clone(), in_bucket.max(*revision));
        }
        self.settle(last).await
    }

    async fn settle(&mut self, sequence: u64) -> Result<(), NatsError> {
        if sequence > self.settled {
            put(&self.bucket, &self.outbox_key(), sequence.to_string().into()).await?;
            self.settled = sequence;
        }
        Ok(())
    }

    async fn stored_revision(&self, key: &str) -> Result<u64, NatsError> {
        let stored = get(&self.bucket, key).await?;
        let stored = stored.and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        Ok(stored.map_or(0, |s| s.revision))
    }

    /// Asks the bucket about the incidents of `keys` that are not known here.
    async fn learn(&mut self, keys: &[String]) -> Result<(), NatsError> {
        if self.known.len() > KNOWN_MAX {
            self.known.clear();
        }
        let mut unknown: Vec<&String> = keys.iter().filter(|k| !self.known.contains_key(*k)).collect();
        unknown.sort();
        unknown.dedup();
        let this = &*self;
        let ask = |key: &String| {
            let key = key.clone();
            async move { Ok::<_, NatsError>((this.stored_revision(&key).await?, key)) }
        };
        let asked: Vec<_> = unknown.into_iter().map(ask).collect();
        let answers: Vec<(u64, String)> = stream::iter(asked).buffered(WINDOW).try_collect().await?;
        self.known.extend(answers.into_iter().map(|(revision, key)| (key, revision)));
        Ok(())
    }

    /// Refuses the first event that the server can never take.
    fn check_size(&self, events: &[Outgoing]) -> Result<(), SinkError> {
        let limit = self.context.client().max_payload();
        let too_large = |outgoing: &&Outgoing| outgoing.event.payload().len() + HEADER_BYTES > limit;
        match events.iter().find(too_large) {
            Some(outgoing) => Err(SinkError::Refused {
                sink: self.config.name.clone(),
                key: outgoing.event.key(),
                reason: format!("it is larger than the server's `max_payload` of {limit} bytes: raise that"),
            }),
            None => Ok(()),
        }
    }

    /// One attempt to bring everything of `events` to the receiver; returns how many were new.
    async fn attempt(&mut self, events: &[Outgoing]) -> Result<u64, NatsError> {
        if self.unsure {
            self.reconcile().await?;
        }
        let keys: Vec<String> = events.iter().map(|o| o.event.kv_key()).collect();
        self.learn(&keys).await?;
        self.unsure = true;
        let mut sent = 0;
        let mut last = self.settled;
        let mut waiting: Vec<usize> = (0..events.len()).collect();
        while !waiting.is_empty() {
            let (wave, rest) = self.next_wave(events, &keys, &waiting);
            let acks = self.publish(events, &wave).await?;
            for (index, (sequence, duplicate)) in wave.into_iter().zip(acks) {
                self.known.insert(keys[index].clone(), events[index].event.record.revision);
                sent += u64::from(!duplicate);
                last = last.max(sequence);
            }
            waiting = rest;
        }
        self.store_latest(events, &keys).await?;
        self.settle(last).await?;
        self.unsure = false;
        Ok(sent)
    }

    /// The events to send now, at most one an incident and [`WINDOW`] in all, and those for
    /// later. Events the receiver has are in neither.
    fn next_wave(&self, events: &[Outgoing], keys: &[String], waiting: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let mut busy: HashMap<&str, ()> = HashMap::new();
        let (mut wave, mut rest) = (Vec::new(), Vec::new());
        for &index in waiting {
            let key = keys[index].as_str();
            let known = self.known.get(key).copied().unwrap_or(0);
            let revision = events[index].event.record.revision;
            if busy.contains_key(key) || wave.len() == WINDOW {
                busy.insert(key, ());
                rest.push(index);
            } else if revision > known {
                if revision != known + 1 {
                    tracing::warn!(incident = key, revision, known, "revisions between are not on the stream");
                }
                busy.insert(key, ());
                wave.push(index);
            }
        }
        (wave, rest)
    }

    /// Publishes a wave; sequences in the stream, and whether the server had them already.
    async fn publish(&self, events: &[Outgoing], wave: &[usize]) -> Result<Vec<(u64, bool)>, NatsError> {
        let failed = |e: &dyn std::fmt::Display| NatsError::request("publish an incident", e);
        let mut acks = Vec::with_capacity(wave.len());
        for &index in wave {
            let event = &events[index].event;
            let ack = self
                .context
                .publish_with_headers(event.subject(), headers(event), event.payload().into())
                .await
                .map_err(|e| failed(&e))?;
            acks.push(async move { ack.await.map(|a| (a.sequence, a.duplicate)) });
        }
        try_join_all(acks).await.map_err(|e| failed(&e))
    }

    /// Puts the newest of `events` of each incident into the bucket, whole if it fits.
    async fn store_latest(&self, events: &[Outgoing], keys: &[String]) -> Result<(), NatsError> {
        let mut newest: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, key) in keys.iter().enumerate() {
            // Skipped events may be older than what is there.
            if self.known.get(key) == Some(&events[index].event.record.revision) {
                newest.insert(key, index);
            }
        }
        let bytes_max = self.context.client().max_payload();
        let puts: Vec<_> = newest
            .into_iter()
            .map(|(key, index)| {
                let event = &events[index].event;
                let whole = serde_json::to_vec(&event.record).expect("a record is JSON");
                // Room for the headers that a bucket adds.
                let fits = whole.len() + 1_024 < bytes_max;
                put(&self.bucket, key, if fits { whole } else { event.payload() }.into())
            })
            .collect();
        stream::iter(puts).buffered(WINDOW).try_collect().await
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
pub(super) fn failure(sink: &str, error: &NatsError) -> SinkError {
    match error.is_retryable() {
        true => SinkError::unavailable(sink, error.to_string()),
        false => SinkError::config(sink, error.to_string()),
    }
}

async fn get(bucket: &Store, key: &str) -> Result<Option<Bytes>, NatsError> {
    bucket.get(key).await.map_err(|e| NatsError::request("read the bucket", e))
}

async fn put(bucket: &Store, key: &str, value: Bytes) -> Result<(), NatsError> {
    let stored = bucket.put(key, value).await;
    stored.map(|_| ()).map_err(|e| NatsError::request("write the bucket", e))
}

/// Bucket key and revision of a message on the stream.
fn identity(message: &async_nats::Message) -> Option<(String, u64)> {
    let id = message.headers.as_ref()?.get(async_nats::header::NATS_MESSAGE_ID)?.as_str();
    let (rest, revision) = id.rsplit_once('/')?;
    let (tenant, incident) = rest.rsplit_once('/')?;
    let tenant = bellwether_engine::incident::sanitise_token(tenant);
    Some((format!("{tenant}.{incident}"), revision.parse().ok()?))
}

/// CloudEvents attributes and what JetStream checks.
fn headers(event: &IncidentEvent) -> HeaderMap {
    let record = &event.record;
    let mut headers = HeaderMap::new();
    let attributes = [
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", event.key()),
        ("ce-source", format!("bellwether/{}", event.tenant)),
        ("ce-type", format!("bellwether.incident.{}.v1", event.verb)),
        ("ce-subject", record.id.clone()),
        ("ce-time", record.updated_at.to_string()),
        ("ce-datacontenttype", "application/json".to_owned()),
        ("ce-severitytext", record.severity.name().to_owned()),
        ("ce-severitynumber", record.severity.number().to_string()),
    ];
    for (name, value) in attributes {
        headers.insert(name, percent_encoded(&value).as_str());
    }
    headers.insert(async_nats::header::NATS_MESSAGE_ID, event.key().as_str());
    headers.insert(async_nats::header::NATS_EXPECTED_STREAM, INCIDENT_STREAM);
    headers
}

/// A header value as the CloudEvents binding wants it: space, `"`, `%` and everything that is
/// not printable ASCII percent-encoded.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' => out.push_str(&format!("%{byte:02X}")),
            0x21..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

async fn ensure_stream(context: &Context, config: &NatsSinkConfig) -> Result<Stream, NatsError> {
    let wanted = StreamConfig {
        name: INCIDENT_STREAM.to_owned(),
        description: Some("Incidents, one message a revision".to_owned()),
        subjects: vec![INCIDENT_SUBJECTS.to_owned()],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        num_replicas: config.replicas,
        max_age: Duration::from_nanos(config.retain_age.0.max(0) as u64),
        duplicate_window: DUPLICATE_WINDOW,
        allow_direct: true,
        ..StreamConfig::default()
    };
    let stream =
        context.get_or_create_stream(wanted).await.map_err(|e| NatsError::request("create the incident stream", e))?;
    check_stream(&stream.cached_info().config)?;
    Ok(stream)
}

/// What a stream somebody else made must have. Ages, sizes and copies are the operator's.
fn check_stream(config: &StreamConfig) -> Result<(), NatsError> {
    let wrong = |setting, have: String, want: &str, remedy| NatsError::Setting {
        what: "stream",
        name: config.name.clone(),
        setting,
        have,
        want: want.to_owned(),
        remedy,
    };
    if !config.subjects.iter().any(|s| s == INCIDENT_SUBJECTS) {
        let have = config.subjects.join(", ");
        return Err(wrong("subjects", have, INCIDENT_SUBJECTS, "add the subject with `nats stream edit`"));
    }
    if config.retention != RetentionPolicy::Limits {
        let have = format!("{:?}", config.retention).to_lowercase();
        return Err(wrong(
            "retention",
            have,
            "limits",
            "a queue would forget what was published: move the stream aside",
        ));
    }
    if config.storage != StorageType::File {
        return Err(wrong(
            "storage",
            "memory".to_owned(),
            "file",
            "incidents would not survive the server: move the stream aside",
        ));
    }
    if config.no_ack {
        return Err(wrong("no_ack", "true".to_owned(), "false", "nothing would be acknowledged: edit the stream"));
    }
    if config.duplicate_window < DUPLICATE_WINDOW_MIN {
        let have = format!("{:?}", config.duplicate_window);
        return Err(wrong("duplicate_window", have, "at least 10s", "edit the stream"));
    }
    Ok(())
}

async fn ensure_bucket(context: &Context, config: &NatsSinkConfig) -> Result<Store, NatsError> {
    if let Ok(bucket) = context.get_key_value(INCIDENT_BUCKET).await {
        let stream = &bucket.stream.cached_info().config;
        let wrong = |setting, have: String, want: &str, remedy| NatsError::Setting {
            what: "bucket",
            name: INCIDENT_BUCKET.to_owned(),
            setting,
            have,
            want: want.to_owned(),
            remedy,
        };
        if stream.storage != StorageType::File {
            return Err(wrong(
                "storage",
                "memory".to_owned(),
                "file",
                "what was delivered would be forgotten: delete the bucket, it is rebuilt from the stream",
            ));
        }
        if !stream.max_age.is_zero() && stream.max_age < Duration::from_secs(24 * 3600) {
            return Err(wrong(
                "ttl",
                format!("{:?}", stream.max_age),
                "none, or at least 24h",
                "what was delivered would be forgotten: edit the bucket",
            ));
        }
        return Ok(bucket);
    }
    context
        .create_key_value(kv::Config {
            bucket: INCIDENT_BUCKET.to_owned(),
            description: "The latest record of each incident".to_owned(),
            history: 1,
            storage: StorageType::File,
            num_replicas: config.replicas,
            ..kv::Config::default()
        })
        .await
        .map_err(|e| NatsError::request("create the incident bucket", e))
}
