//! What the receiver has: the bucket of latest records, brought up to date from the end of the stream.

use std::collections::BTreeMap;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy};
use async_nats::jetstream::kv::Store;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use super::message::identity;
use super::{INCIDENT_SUBJECTS, NatsSink, WINDOW};
use crate::nats::NatsError;
use crate::sinks::Outgoing;

/// Incidents whose revision is remembered here; beyond, all are forgotten and asked of the
/// bucket again.
const KNOWN_MAX: usize = 100_000;

/// What of a record is read back.
#[derive(Deserialize)]
struct Stored {
    revision: u64,
}

impl NatsSink {
    /// The key of this sink's mark.
    pub(super) fn mark_key(&self) -> String {
        bellwether_engine::incident::sanitise_token(&self.config.name)
    }

    /// The settled sequence as it was written down. Before, it stood among the incidents: it is taken from
    /// there once, and is gone.
    async fn stored_mark(&self) -> Result<Option<u64>, NatsError> {
        let read = |bytes: Bytes| std::str::from_utf8(&bytes).ok()?.parse().ok();
        let kept = get(&self.marks, &self.mark_key()).await?.and_then(read);
        let before = format!("outbox/{}", self.mark_key());
        let Some(old) = get(&self.bucket, &before).await? else { return Ok(kept) };
        let mark: Option<u64> = kept.or_else(|| read(old));
        if let Some(mark) = mark {
            put(&self.marks, &self.mark_key(), mark.to_string().into()).await?;
        }
        self.bucket.purge(before).await.map_err(|e| NatsError::request("clean the bucket", e))?;
        Ok(mark)
    }

    /// Reads the stream after the settled sequence and brings the bucket up to date.
    pub(super) async fn reconcile(&mut self) -> Result<(), NatsError> {
        self.known.clear();
        let stored = self.stored_mark().await?;
        let state = self.stream.get_info().await.map_err(|e| NatsError::request("read the stream's state", e))?.state;
        // A mark beyond the end is of a stream that was made anew.
        self.last = state.last_sequence;
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
            self.put_newer(key, *revision, payload.clone()).await?;
            let in_bucket = self.stored_revision(key).await?;
            self.known.insert(key.clone(), in_bucket.max(*revision));
        }
        self.settle(last).await
    }

    pub(super) async fn settle(&mut self, sequence: u64) -> Result<(), NatsError> {
        if sequence > self.settled {
            put(&self.marks, &self.mark_key(), sequence.to_string().into()).await?;
            self.settled = sequence;
        }
        Ok(())
    }

    async fn stored_revision(&self, key: &str) -> Result<u64, NatsError> {
        Ok(get(&self.bucket, key).await?.map_or(0, |bytes| revision_of(&bytes)))
    }

    /// Asks the bucket about the incidents of `keys` that are not known here.
    pub(super) async fn learn(&mut self, keys: &[String]) -> Result<(), NatsError> {
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

    /// Puts the newest of `events` of each incident into the bucket, whole if it fits.
    pub(super) async fn store_latest(&self, events: &[Outgoing], keys: &[String]) -> Result<(), NatsError> {
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
                self.put_newer(key, event.record.revision, if fits { whole } else { event.payload() }.into())
            })
            .collect();
        stream::iter(puts).buffered(WINDOW).try_collect().await
    }
}

/// The revision of a record in the bucket; 0 for what is none.
pub(super) fn revision_of(record: &[u8]) -> u64 {
    serde_json::from_slice::<Stored>(record).map_or(0, |stored| stored.revision)
}

async fn get(bucket: &Store, key: &str) -> Result<Option<Bytes>, NatsError> {
    bucket.get(key).await.map_err(|e| NatsError::request("read the bucket", e))
}

async fn put(bucket: &Store, key: &str, value: Bytes) -> Result<(), NatsError> {
    let stored = bucket.put(key, value).await;
    stored.map(|_| ()).map_err(|e| NatsError::request("write the bucket", e))
}
