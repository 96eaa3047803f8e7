//! One attempt: what the receiver lacks is published in waves, then noted in the bucket.

use std::collections::HashMap;

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
        let mut waiting: Vec<usize> = (0..events.len()).collect();
        while !waiting.is_empty() {
            let (wave, rest) = self.next_wave(events, &keys, &waiting);
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
                self.known.insert(keys[index].clone(), events[index].event.record.revision);
                sent += u64::from(!duplicate);
                self.last = self.last.max(sequence);
            }
            waiting = rest;
        }
        self.store_latest(events, &keys).await?;
        self.settle(self.last).await?;
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
