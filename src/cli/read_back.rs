//! The incident stream read back as a consumer would: what is there, and is each revision there
//! once and in order?

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::jetstream::consumer::pull::OrderedConfig;
use bellwether_connectors::nats::NatsConnection;
use bellwether_connectors::sinks::nats::{INCIDENT_BUCKET, INCIDENT_STREAM};
use futures::StreamExt as _;

/// A message that does not come for this long is not there.
const MESSAGE_WAIT: Duration = Duration::from_secs(5);

/// What a consumer found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadBack {
    /// Messages on the stream.
    pub messages: u64,
    /// Messages by verb.
    pub verbs: BTreeMap<String, u64>,
    /// Keys (`tenant/id/revision`) that came a second time.
    pub repeated: u64,
    /// Revisions that did not follow the one before.
    pub out_of_order: u64,
    /// Records in the bucket.
    pub records: u64,
    /// The largest payload.
    pub bytes_max: usize,
}

impl ReadBack {
    /// Each revision once and in order.
    pub fn is_exactly_once(&self) -> bool {
        self.repeated == 0 && self.out_of_order == 0
    }

    fn note(&mut self, subject: &str, key: &str, seen: &mut Seen) {
        self.messages += 1;
        let verb = subject.split('.').nth(4).unwrap_or("?");
        *self.verbs.entry(verb.to_owned()).or_default() += 1;
        let (incident, revision) = key.rsplit_once('/').unwrap_or((key, "0"));
        let revision: u64 = revision.parse().unwrap_or(0);
        if !seen.keys.insert(key.to_owned()) {
            self.repeated += 1;
        } else if revision != seen.latest.get(incident).copied().unwrap_or(0) + 1 {
            self.out_of_order += 1;
        }
        let latest = seen.latest.entry(incident.to_owned()).or_default();
        *latest = revision.max(*latest);
    }
}

#[derive(Default)]
struct Seen {
    keys: BTreeSet<String>,
    latest: BTreeMap<String, u64>,
}

/// Reads the whole stream.
///
/// # Errors
/// When the server, the stream or a message is not there.
pub async fn read_back(connection: &NatsConnection) -> Result<ReadBack> {
    let context = connection.connect().await?;
    let mut stream = context.get_stream(INCIDENT_STREAM).await.context("the incident stream is not there")?;
    let last = stream.info().await?.state.last_sequence;
    let mut back = ReadBack::default();
    let mut seen = Seen::default();
    if last > 0 {
        let consumer = stream.create_consumer(OrderedConfig::default()).await?;
        let mut messages = consumer.messages().await?;
        loop {
            let next = tokio::time::timeout(MESSAGE_WAIT, messages.next()).await.context("the stream ended early")?;
            let message = next.context("the stream ended early")??;
            let key = message.headers.as_ref().and_then(|headers| headers.get("Nats-Msg-Id"));
            back.note(&message.subject, key.map(|key| key.as_str()).unwrap_or_default(), &mut seen);
            back.bytes_max = back.bytes_max.max(message.payload.len());
            if message.info().map_err(|error| anyhow::anyhow!("{error}"))?.stream_sequence >= last {
                break;
            }
        }
    }
    let bucket = context.get_key_value(INCIDENT_BUCKET).await.context("the bucket is not there")?;
    let mut keys = bucket.keys().await?;
    while let Some(key) = keys.next().await {
        key?;
        back.records += 1;
    }
    Ok(back)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(keys: &[&str]) -> ReadBack {
        let (mut back, mut seen) = (ReadBack::default(), Seen::default());
        keys.iter().for_each(|key| back.note("bellwether.v1.acme.incident.opened.P1.db", key, &mut seen));
        back
    }

    #[test]
    fn what_is_missing_or_doubled_is_seen() {
        assert!(noted(&["acme/inc_a/1", "acme/inc_b/1", "acme/inc_a/2"]).is_exactly_once());
        assert_eq!(noted(&["acme/inc_a/1", "acme/inc_a/1"]).repeated, 1);
        assert_eq!(noted(&["acme/inc_a/1", "acme/inc_a/3"]).out_of_order, 1);
        assert_eq!(noted(&["acme/inc_a/2", "acme/inc_a/1"]).out_of_order, 2);
        assert_eq!(noted(&["acme/inc_a/1"]).verbs["opened"], 1);
    }
}
