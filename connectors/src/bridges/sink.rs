//! The end of the incident log's reader: what was told is filed in the memory of tickets, which is durable, and that
//! is all that the reader waits for. A ticketing system that is away delays nobody.

use bellwether_engine::incident::IncidentEvent;
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;

use super::entry::{Entry, Key};
use super::rules::Shared;
use crate::intake::arrival_time;
use crate::sinks::{Delivered, Outgoing, Sink, SinkError};

/// Files what was told.
pub(super) struct FilingSink(pub(super) Shared);

impl FilingSink {
    async fn file(&self, events: &[Outgoing]) -> Result<Delivered, SinkError> {
        let name = &self.0.name;
        let rules = &self.0.rules;
        let ours: Vec<_> =
            events.iter().filter(|of| rules.takes(&of.event.tenant)).map(|of| of.event.clone()).collect();
        let now = arrival_time();
        let filed = self.0.tickets.with(move |store| {
            let mut sent = 0;
            for event in &ours {
                let IncidentEvent { tenant, record, .. } = &**event;
                let key = Key { tenant: tenant.to_string(), incident: record.id.clone() };
                let begin = || Some(Entry::new(key.clone(), &record.dedup_key, now));
                let news = store.change(&key, begin, |entry, _| entry.file(record, now))?.unwrap_or_default();
                if news {
                    sent += 1;
                    store.wake(&key, EventTime::MIN);
                }
            }
            Ok(sent)
        });
        let sent = filed.await.map_err(|error| SinkError::unavailable(name, error.to_string()))?;
        if sent > 0 {
            self.0.tickets.wake();
        }
        Ok(Delivered { sent, skipped: events.len() as u64 - sent })
    }
}

impl Sink for FilingSink {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(self.file(events))
    }
}
