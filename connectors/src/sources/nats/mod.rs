//! JetStream as a source: rows or events on a stream, acknowledged when they are in the journal.
//!
//! ```yaml
//! sources:
//!   - nats:
//!       name: telemetry
//!       stream: TELEMETRY
//!       subjects: ["telemetry.>"]
//!       tenant_token: 2            # telemetry.<tenant>.…; or `tenant: acme`
//!       rows: {signal: metric}     # as for files; each payload is one or more NDJSON rows
//! ```
//!
//! With `payload: events` the subject says what a message is (`events.rs`): feedback, tickets and
//! changes on the subjects `bellwether.v1.<tenant>.…`.
//!
//! A durable pull consumer, so that its lag can be seen and work-queue streams work. A message
//! is acknowledged after the journal has synced it; one that comes again nevertheless is
//! recognised by the cursor beside it in the journal (`seen.rs`), so each message is taken
//! exactly once. Bad rows are kept aside and do not come again.
//!
//! A server that is away, at the start or later, is tried again until it is there, and the rest of the
//! process goes on; one that will never do (credentials, version, a consumer of other settings) ends the
//! source with the remedy.

mod events;
mod seen;
mod stored;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config as ConsumerConfig;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use async_nats::jetstream::stream::{Config as StreamConfig, StorageType, Stream};
use async_nats::jetstream::{AckKind, Message};
use bellwether_engine::input::Input;
use bellwether_engine::signal::check_tenant;
use bellwether_engine::time::EventTime;
use futures::StreamExt;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::declared::{Found, Probe, ProbeError};
use crate::decode::ndjson::NdjsonDecoder;
use crate::decode::row::RowsConfig;
use crate::intake::reject::{BadRow, Reason};
use crate::intake::{Intake, Source, SourceError, Stop, arrival_time};
use crate::nats::{NatsConnection, NatsError};
use crate::resolve::entity_resolution::EntityResolver;
use crate::sources::DeclaredSource;
use seen::Delivery;
use stored::Stored;

/// How long a fetch waits for the first message.
const FETCH_WAIT: Duration = Duration::from_millis(500);
/// The server sends a message again when it was not acknowledged for this long: beyond the
/// slowest journal.
const ACK_WAIT: Duration = Duration::from_secs(60);
/// Pause after a failed fetch.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// First and longest pause while the server is away at the start.
const OPEN_PAUSE: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// Tenants with a decoder of their own; beyond, all are forgotten and describe their series
/// again.
const TENANTS_MAX: usize = 1_024;

/// Rows on a JetStream stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NatsSourceConfig {
    /// Name in logs and cursors, and of the durable consumer.
    pub name: String,
    /// The server.
    #[serde(default)]
    pub connection: NatsConnection,
    /// The stream. It is created with `subjects` when it does not exist.
    pub stream: String,
    /// Only these subjects of the stream; all of them when empty.
    #[serde(default)]
    pub subjects: Vec<String>,
    /// Whose signals these are.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Which token of the subject names the tenant, from 1. Only for subjects whose publishers
    /// the server's permissions bind to their tenant.
    #[serde(default)]
    pub tenant_token: Option<usize>,
    /// What a message holds.
    #[serde(default)]
    pub payload: Payload,
    /// How rows become signals.
    #[serde(default)]
    pub rows: RowsConfig,
    /// Messages taken at a time: they share one sync of the journal.
    #[serde(default = "default_batch")]
    pub batch: usize,
}

fn default_batch() -> usize {
    500
}

/// What messages hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// Rows of telemetry, one or more lines of JSON each.
    #[default]
    Rows,
    /// What their subject says: feedback, a ticket's news, a change.
    Events,
}

impl DeclaredSource for NatsSourceConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        format!("{}: stream {} at {}", self.name, self.stream, self.connection.servers.join(", "))
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.connection.paths()
    }

    fn probe(&self) -> Probe<'_> {
        Some(Box::pin(found(self)))
    }

    fn build(&self, resolver: &Arc<EntityResolver>) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(NatsSource::new(self.clone(), resolver.clone())?))
    }
}

/// The stream, and how far its consumer is.
async fn found(config: &NatsSourceConfig) -> Result<Found, ProbeError> {
    let server = config.connection.server().await?;
    let context = config.connection.connect().await?;
    let Ok(stream) = context.get_stream(&config.stream).await else {
        return match config.subjects.is_empty() {
            true => Err(format!("{server} has no stream `{}`: create it, or name `subjects`", config.stream).into()),
            false => Ok(Found::of(format!("{server}; stream {} will be created", config.stream))),
        };
    };
    let behind = match stream.get_consumer::<ConsumerConfig>(&config.name).await {
        Ok(mut consumer) => consumer.info().await.map(|info| info.num_pending).ok(),
        Err(_) => None,
    };
    let unread = if behind.is_none() { ", not read yet" } else { "" };
    Ok(Found { what: format!("{server}; stream {}{unread}", config.stream), behind })
}

/// JetStream as a source.
pub(crate) struct NatsSource {
    config: NatsSourceConfig,
    resolver: Arc<EntityResolver>,
}

impl NatsSource {
    /// A source; connects when it runs. What changes are about is named by `resolver`.
    ///
    /// # Errors
    /// [`SourceError::Config`] when the configuration contradicts itself.
    pub(crate) fn new(config: NatsSourceConfig, resolver: Arc<EntityResolver>) -> Result<NatsSource, SourceError> {
        let wrong = |reason: String| SourceError::config(&config.name, reason);
        config.rows.check().map_err(|e| wrong(e.to_string()))?;
        match (&config.tenant, config.tenant_token) {
            (Some(tenant), None) => check_tenant(tenant).map_err(|e| wrong(e.to_string()))?,
            (None, Some(token)) if token > 0 => {}
            _ => {
                return Err(wrong("set either `tenant` or `tenant_token` (from 1)".to_owned()));
            }
        }
        if config.batch == 0 {
            return Err(wrong("`batch` must be at least 1".to_owned()));
        }
        if config.name.is_empty() || config.name.contains(['.', '*', '>', ' ', '/', '\\']) {
            return Err(wrong("`name` becomes a consumer's name: letters, digits, `_` and `-`".to_owned()));
        }
        if config.payload == Payload::Events && config.rows != RowsConfig::default() {
            return Err(wrong("`rows` is for `payload: rows`".to_owned()));
        }
        Ok(NatsSource { config, resolver })
    }
}

impl Source for NatsSource {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn run(self: Box<Self>, intake: Intake, stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(run(self.config, self.resolver, intake, stop))
    }
}

async fn run(
    config: NatsSourceConfig,
    resolver: Arc<EntityResolver>,
    intake: Intake,
    mut stop: Stop,
) -> Result<(), SourceError> {
    let name = config.name.clone();
    let Some((mut consumer, created)) = open_when_there(&config, &mut stop).await? else { return Ok(()) };
    let mut stored = Stored::restore(&name, config.tenant.as_deref(), &intake, &created);
    if let Ok(info) = consumer.info().await {
        stored.floor(info.ack_floor.stream_sequence);
    }
    let mut decoder = Decoder { config, resolver, tenants: BTreeMap::new() };
    while !stop.is_stopped() {
        let messages = match fetch(&consumer, decoder.config.batch).await {
            Ok(messages) => messages,
            Err(error) => {
                tracing::warn!(source = name, %error, "nothing can be fetched, trying again");
                stop.sleep(RETRY_PAUSE).await;
                continue;
            }
        };
        if messages.is_empty() {
            continue;
        }
        let new = |message: &&Message| {
            let tenant = tenant_of(&decoder.config, &message.subject).ok();
            delivery(message).is_none_or(|delivery| stored.take(delivery, tenant))
        };
        let fresh: Vec<&Message> = messages.iter().filter(new).collect();
        let inputs = decoder.decode(fresh.into_iter(), &intake);
        stored.accept(&inputs).await.map_err(|e| SourceError::accept(&name, e))?;
        for message in &messages {
            // A lost acknowledgement brings the message again, and `seen` knows it.
            if let Err(error) = message.ack_with(AckKind::Ack).await {
                tracing::debug!(source = name, %error, "an acknowledgement was lost");
            }
        }
    }
    Ok(())
}

/// What is read from, once the server is there; `None` when told to stop before.
async fn open_when_there(config: &NatsSourceConfig, stop: &mut Stop) -> Result<Option<Opened>, SourceError> {
    let mut pause = OPEN_PAUSE[0];
    let mut away = false;
    loop {
        let opened = tokio::select! {
            opened = open(config) => opened,
            () = stop.stopped() => return Ok(None),
        };
        match opened {
            Ok(opened) => {
                if away {
                    tracing::warn!(source = config.name, "the server answers: what waits there is read");
                }
                return Ok(Some(opened));
            }
            Err(error) if error.is_retryable() => {
                if !std::mem::replace(&mut away, true) {
                    tracing::warn!(source = config.name, %error, "the server is away: tried again, everything else goes on");
                }
            }
            Err(error) => return Err(SourceError::config(&config.name, error.to_string())),
        }
        if stop.sleep(pause).await {
            return Ok(None);
        }
        pause = (pause * 2).min(OPEN_PAUSE[1]);
    }
}

/// A consumer, and when its stream was made.
type Opened = (Consumer<ConsumerConfig>, String);

async fn open(config: &NatsSourceConfig) -> Result<Opened, NatsError> {
    let context = config.connection.connect().await?;
    let stream = match context.get_stream(&config.stream).await {
        Ok(stream) => stream,
        Err(_) if !config.subjects.is_empty() => context
            .create_stream(StreamConfig {
                name: config.stream.clone(),
                subjects: config.subjects.clone(),
                storage: StorageType::File,
                ..StreamConfig::default()
            })
            .await
            .map_err(|e| NatsError::request("create the source's stream", e))?,
        Err(error) => {
            let reason = format!("{error}; create it, or name `subjects`");
            return Err(NatsError::request("find the source's stream", reason));
        }
    };
    let created = stream.cached_info().created.to_string();
    let consumer_config = ConsumerConfig {
        durable_name: Some(config.name.clone()),
        description: Some("bellwether source".to_owned()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        filter_subjects: config.subjects.clone(),
        max_ack_pending: (config.batch as i64).saturating_mul(4),
        ..ConsumerConfig::default()
    };
    let found = stream
        .get_or_create_consumer(&config.name, consumer_config.clone())
        .await
        .map_err(|e| NatsError::request("create the source's consumer", e))?;
    check_consumer(&found.cached_info().config, config)?;
    let consumer = restart(&stream, found, consumer_config).await?;
    Ok((consumer, created))
}

/// Makes a consumer that has messages on their way to a process that died begin again behind
/// what was acknowledged. Left alone, it would send them only after [`ACK_WAIT`], behind much
/// newer ones, and the engine would have to treat them as late.
async fn restart(
    stream: &Stream,
    found: Consumer<ConsumerConfig>,
    config: ConsumerConfig,
) -> Result<Consumer<ConsumerConfig>, NatsError> {
    let info = found.cached_info();
    if info.num_ack_pending == 0 {
        return Ok(found);
    }
    let start_sequence = info.ack_floor.stream_sequence + 1;
    let name = config.durable_name.clone().unwrap_or_default();
    let deleted = stream.delete_consumer(&name).await;
    deleted.map_err(|e| NatsError::request("restart the source's consumer", e))?;
    let config = ConsumerConfig { deliver_policy: DeliverPolicy::ByStartSequence { start_sequence }, ..config };
    let created = stream.create_consumer(config).await;
    created.map_err(|e| NatsError::request("restart the source's consumer", e))
}

fn check_consumer(have: &async_nats::jetstream::consumer::Config, config: &NatsSourceConfig) -> Result<(), NatsError> {
    let wrong = |setting, have: String, want: String| NatsError::Setting {
        what: "consumer",
        name: config.name.clone(),
        setting,
        have,
        want,
        remedy: "edit or delete the consumer, or give the source another name",
    };
    if have.ack_policy != AckPolicy::Explicit {
        return Err(wrong("ack policy", format!("{:?}", have.ack_policy), "explicit".to_owned()));
    }
    let mut filters = have.filter_subjects.clone();
    if !have.filter_subject.is_empty() {
        filters.push(have.filter_subject.clone());
    }
    if filters != config.subjects {
        return Err(wrong("filter", filters.join(", "), config.subjects.join(", ")));
    }
    Ok(())
}

async fn fetch(consumer: &Consumer<ConsumerConfig>, batch: usize) -> Result<Vec<Message>, NatsError> {
    let failed = |e: &dyn std::fmt::Display| NatsError::request("fetch messages", e);
    let mut incoming =
        consumer.batch().max_messages(batch).expires(FETCH_WAIT).messages().await.map_err(|e| failed(&e))?;
    let mut messages = Vec::new();
    while let Some(message) = incoming.next().await {
        match message {
            Ok(message) => messages.push(message),
            // What came before the failure is good.
            Err(error) if messages.is_empty() => return Err(failed(&error)),
            Err(_) => break,
        }
    }
    Ok(messages)
}

fn delivery(message: &Message) -> Option<Delivery> {
    let info = message.info().ok()?;
    Some(Delivery { stream: info.stream_sequence, consumer: info.consumer_sequence, first: info.delivered == 1 })
}

struct Decoder {
    config: NatsSourceConfig,
    resolver: Arc<EntityResolver>,
    tenants: BTreeMap<String, NdjsonDecoder>,
}

impl Decoder {
    fn decode<'m>(&mut self, messages: impl Iterator<Item = &'m Message>, intake: &Intake) -> Vec<Input> {
        if self.tenants.len() > TENANTS_MAX {
            self.tenants.clear();
        }
        let mut events = Vec::new();
        for message in messages {
            let sequence = message.info().map_or(0, |i| i.stream_sequence);
            let reject = |bad: BadRow, row: &[u8]| {
                intake.reject(&bad.at(&self.config.name, &message.subject, sequence, row));
            };
            let tenant = match tenant_of(&self.config, &message.subject) {
                Ok(tenant) => tenant,
                Err(bad) => {
                    reject(bad, &message.payload);
                    continue;
                }
            };
            if self.config.payload == Payload::Events {
                match events::decode(&message.subject, &message.payload, tenant, published(message), &self.resolver) {
                    Ok(inputs) => events.extend(inputs),
                    Err(bad) => reject(bad, &message.payload),
                }
                continue;
            }
            let decoder =
                self.tenants.entry(tenant.to_owned()).or_insert_with(|| NdjsonDecoder::new(self.config.rows.clone()));
            for line in message.payload.split(|b| *b == b'\n') {
                if let Err(bad) = decoder.line(line) {
                    reject(bad, line);
                }
            }
        }
        events.extend(self.tenants.iter_mut().flat_map(|(tenant, decoder)| decoder.signals.take_inputs(tenant)));
        events
    }
}

/// When the stream took the message: what came again was said then, too.
fn published(message: &Message) -> EventTime {
    let nanos = message.info().ok().and_then(|info| i64::try_from(info.published.unix_timestamp_nanos()).ok());
    nanos.map_or_else(arrival_time, EventTime)
}

fn tenant_of<'a>(config: &'a NatsSourceConfig, subject: &'a str) -> Result<&'a str, BadRow> {
    let tenant = match (&config.tenant, config.tenant_token) {
        (Some(tenant), _) => return Ok(tenant),
        (None, token) => token.and_then(|t| subject.split('.').nth(t - 1)).unwrap_or_default(),
    };
    check_tenant(tenant).map(|()| tenant).map_err(|e| BadRow::new(Reason::Word, "tenant", e.to_string()))
}
