//! How a plan reaches a subscriber: as the sinks and the bridge to webhooks send incidents, but for what is planted.

use std::io::Write;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::{Config as StreamConfig, StorageType};
use bellwether_connectors::bridges::system::SystemError;
use bellwether_connectors::bridges::webhook::{CloudEvent, Webhook};
use bellwether_connectors::nats::NatsConnection;
use bellwether_connectors::sinks::nats::{INCIDENT_STREAM, INCIDENT_SUBJECTS, headers};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::story::Delivery;

/// By what the kit's own stream is known.
const OURS: &str = "Made by bellwether conform: not for production";
/// For so long the kit's stream knows a message again: the shortest that a server takes, for what comes again is to
/// come through, as a redelivery does.
const KNOWN_FOR: Duration = Duration::from_millis(100);
/// So many times that pass at most until it has forgotten one, on a busy machine.
const FORGETS_WITHIN: u32 = 100;
/// Bytes that the kit's stream holds.
const STREAM_BYTES_MAX: i64 = 1 << 30;
/// How often a webhook is tried, and the pause after the first time, which doubles.
const TRIES_MAX: u32 = 6;
const PAUSE: Duration = Duration::from_millis(500);

/// What could not be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The server has the real stream.
    #[error(
        "the server has a stream {INCIDENT_STREAM} that the kit did not make: start another server for the \
         subscriber under test, `nats-server -js`"
    )]
    NotOurs,
    /// A request to the server.
    #[error("NATS cannot {what}: {reason}")]
    Nats {
        /// What was tried.
        what: &'static str,
        /// What the server said.
        reason: String,
    },
    /// A webhook.
    #[error("`{key}` was not taken: {reason}; sent so far: {sent}. Mend the subscriber and send all again")]
    Webhook {
        /// Which revision.
        key: String,
        /// The last answer.
        reason: String,
        /// How many were taken before.
        sent: usize,
    },
}

#[derive(Serialize)]
struct Line {
    key: String,
    subject: String,
    record: Value,
}

/// Writes a line a delivery, as the sink `ndjson` does.
///
/// # Errors
/// When it cannot be written.
pub fn write_lines(deliveries: &[Delivery], out: &mut impl Write) -> std::io::Result<()> {
    for delivery in deliveries {
        let line = Line { key: delivery.key(), subject: delivery.subject(), record: delivery.record() };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}

fn nats<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> SendError {
    move |error| SendError::Nats { what, reason: error.to_string() }
}

/// Publishes to the incident stream of a server that has none but the kit's, emptied first.
///
/// # Errors
/// [`SendError`].
pub async fn to_nats(deliveries: &[Delivery], connection: &NatsConnection) -> Result<(), SendError> {
    let context = connection.connect().await.map_err(nats("connect"))?;
    empty_stream(&context).await?;
    for delivery in deliveries {
        let mut headers = headers(delivery.event());
        headers.insert("ce-type", format!("bellwether.incident.{}.v1", delivery.verb()).as_str());
        let payload = Bytes::from(delivery.record().to_string());
        let mut came_through = false;
        for _ in 0..FORGETS_WITHIN {
            let sent = context.publish_with_headers(delivery.subject(), headers.clone(), payload.clone()).await;
            came_through = !sent.map_err(nats("publish"))?.await.map_err(nats("publish"))?.duplicate;
            if came_through {
                break;
            }
            // The server still knows the one before.
            tokio::time::sleep(KNOWN_FOR).await;
        }
        if !came_through {
            return Err(nats("publish a revision a second time")("the server does not forget the first"));
        }
    }
    Ok(())
}

async fn empty_stream(context: &Context) -> Result<(), SendError> {
    let wanted = StreamConfig {
        name: INCIDENT_STREAM.to_owned(),
        description: Some(OURS.to_owned()),
        subjects: vec![INCIDENT_SUBJECTS.to_owned()],
        storage: StorageType::File,
        max_bytes: STREAM_BYTES_MAX,
        duplicate_window: KNOWN_FOR,
        ..StreamConfig::default()
    };
    if let Ok(stream) = context.get_stream(INCIDENT_STREAM).await {
        if stream.cached_info().config.description.as_deref() != Some(OURS) {
            return Err(SendError::NotOurs);
        }
        return stream.purge().await.map(drop).map_err(nats("empty the stream"));
    }
    context.create_stream(wanted).await.map(drop).map_err(nats("create the stream"))
}

/// Posts one after the other, as the bridge to webhooks does; what is not taken is sent again, later each time.
///
/// # Errors
/// [`SendError`]: one that was not taken at last.
pub async fn to_webhook(deliveries: &[Delivery], webhook: &Webhook) -> Result<(), SendError> {
    for (sent, delivery) in deliveries.iter().enumerate() {
        let (key, data) = (delivery.key(), delivery.record());
        let event = delivery.event();
        let event = CloudEvent::new(&key, &event.tenant, "conformance", &event.record, &data);
        let mut pause = PAUSE;
        for tries in 1.. {
            let Err(error) = webhook.post(&event).await else { break };
            let hopeless = matches!(error, SystemError::Denied(_) | SystemError::Refused(_) | SystemError::Gone);
            if hopeless || tries == TRIES_MAX {
                return Err(SendError::Webhook { key: key.clone(), reason: error.to_string(), sent });
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
    Ok(())
}
