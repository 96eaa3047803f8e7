//! One attempt: what the receiver lacks is published in waves, then noted in the bucket.

use std::collections::{HashMap, HashSet};

use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use futures::future::try_join_all;

use super::message::headers;
use super::{NatsSink, WINDOW};
use crate::nats::NatsError;
use crate::sinks::{Outgoing, SinkError};

/// How often a delivery begins anew because others write to the stream, too.
const OVERTAKEN_MAX: usize = 16;
/// Room for the headers of a message.
const HEADER_BYTES: usize = 2_048;

impl NatsSink {
    /// Refuses the first event that the server can never take.
    pub(super) fn check_size(&self, events: &[Outgoing]) -> Result<(), SinkError> {
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
    pub(super) async fn attempt(&mut self, events: &[Outgoing]) -> Result<u64, NatsError> {
        self.check_claim().await?;
        if self.unsure {
            self.reconcile().await?;
        }
        let keys: Vec<String> = events.iter().map(|o| o.event.kv_key()).collect();
        self.learn(&keys).await?;
        self.unsure = true;
        let mut sent = 0;
        let mut overtaken = 0;
        let revisions: Vec<u64> = events.iter().map(|o| o.event.record.revision).collect();
        let mut begin = 0;
        while begin < events.len() {
            let (wave, end) = next_wave(&self.known, &keys, &revisions, begin);
            let acks = match self.publish(events, &wave).await {
                // Whoever else writes to the stream may do so, under another name.
                Err(NatsError::Overtaken) if overtaken < OVERTAKEN_MAX => {
                    overtaken += 1;
                    self.check_claim().await?;
                    self.reconcile().await?;
                    self.learn(&keys).await?;
                    self.unsure = true;
                    continue;
                }
                acks => acks?,
            };
            for (index, (sequence, duplicate)) in wave.into_iter().zip(acks) {
                self.known.insert(keys[index].clone(), revisions[index]);
                sent += u64::from(!duplicate);
                self.last = self.last.max(sequence);
            }
            begin = end;
        }
        self.store_latest(events, &keys).await?;
        self.settle(self.last).await?;
        self.unsure = false;
        Ok(sent)
    }

    /// Publishes a wave, each message to follow the one before it; sequences in the stream, and whether the server had
    /// them already.
    pub(super) async fn publish(&self, events: &[Outgoing], wave: &[usize]) -> Result<Vec<(u64, bool)>, NatsError> {
        let mut acks = Vec::with_capacity(wave.len());
        for (before, &index) in wave.iter().enumerate() {
            let event = &events[index].event;
            let mut headers = headers(event);
            let follows = (self.last + before as u64).to_string();
            headers.insert(async_nats::header::NATS_EXPECTED_LAST_SEQUENCE, follows.as_str());
            let published = self.context.publish_with_headers(event.subject(), headers, event.payload().into()).await;
            let ack = published.map_err(failed)?;
            acks.push(async move { ack.await.map(|a| (a.sequence, a.duplicate)) });
        }
        try_join_all(acks).await.map_err(failed)
    }
}

fn failed(error: PublishError) -> NatsError {
    match error.kind() {
        PublishErrorKind::WrongLastSequence => NatsError::Overtaken,
        _ => NatsError::request("publish an incident", error),
    }
}

/// The events from `begin` on that are sent together, at most one of an incident and [`WINDOW`] in all, and
/// where the next wave begins. A wave ends before the second revision of an incident instead of leaving that for
/// later: the stream has the order of the log. Events that the receiver has are not sent.
fn next_wave(known: &HashMap<String, u64>, keys: &[String], revisions: &[u64], begin: usize) -> (Vec<usize>, usize) {
    let mut busy: HashSet<&str> = HashSet::new();
    let mut wave = Vec::new();
    for index in begin..keys.len() {
        let (incident, revision) = (keys[index].as_str(), revisions[index]);
        let known = known.get(incident).copied().unwrap_or(0);
        if revision <= known {
            continue;
        }
        if wave.len() == WINDOW || !busy.insert(incident) {
            return (wave, index);
        }
        if revision != known + 1 {
            tracing::warn!(incident, revision, known, "revisions between are not on the stream");
        }
        wave.push(index);
    }
    (wave, keys.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waves_keep_the_order_of_the_log_across_incidents() {
        let keys = ["a", "b", "a", "c", "b", "d"].map(str::to_owned);
        let revisions = [3, 1, 4, 1, 2, 7];
        // The receiver has what `d` says, and `a` up to its second revision.
        let mut known = HashMap::from([("a".to_owned(), 2), ("d".to_owned(), 7)]);
        let (mut begin, mut waves) = (0, Vec::new());
        while begin < keys.len() {
            let (wave, end) = next_wave(&known, &keys, &revisions, begin);
            wave.iter().for_each(|index| {
                known.insert(keys[*index].clone(), revisions[*index]);
            });
            waves.push(wave);
            begin = end;
        }
        assert_eq!(waves, [vec![0, 1], vec![2, 3, 4]]);
    }
}
