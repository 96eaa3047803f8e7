//! Who may publish: the process that opened the sink last.
//!
//! A process that was stopped and goes on, or one of a state folder that was copied, does not know that another has
//! taken its place. So a sink claims the stream when it opens: it leaves a word of its own in the bucket of settled
//! sequences, and looks before each delivery whether that still stands. What is on its way when another
//! takes over is held back by the server: every publish says which message it is to follow, and every record in the
//! bucket which version it replaces.
//!
//! A claim is by the sink's name: sinks of several processes that are to publish to one stream have names of their own.

use async_nats::jetstream::kv::{Operation, UpdateErrorKind};
use bytes::Bytes;

use super::bucket::revision_of;
use super::{INCIDENT_STREAM, NatsSink};
use crate::nats::NatsError;

/// How often a record that others write at the same time is tried.
const ATTEMPTS_MAX: usize = 8;

impl NatsSink {
    /// The key of the claim, beside the sink's mark.
    fn claim_key(&self) -> String {
        format!("{}.owner", self.mark_key())
    }

    /// From here on every other process with a sink of this name is fenced.
    pub(super) async fn claim(&self) -> Result<(), NatsError> {
        let stored = self.marks.put(self.claim_key(), self.claim.clone().into()).await;
        stored.map(|_| ()).map_err(|e| NatsError::request("claim the incident stream", e))
    }

    /// Whether nobody has claimed the stream since.
    pub(super) async fn check_claim(&self) -> Result<(), NatsError> {
        let claim = self.marks.entry(self.claim_key()).await;
        let claim = claim.map_err(|e| NatsError::request("read who has claimed the incident stream", e))?;
        match claim.filter(|claim| claim.operation == Operation::Put) {
            Some(claim) if claim.value == self.claim.as_bytes() => Ok(()),
            Some(claim) => Err(NatsError::Fenced {
                stream: INCIDENT_STREAM,
                sink: self.config.name.clone(),
                since: claim.created.to_string(),
            }),
            // Somebody has emptied the bucket: nobody else is there.
            None => self.claim().await,
        }
    }

    /// Puts a record at `key`, unless the bucket has that revision or a newer one.
    pub(super) async fn put_newer(&self, key: &str, revision: u64, value: Bytes) -> Result<(), NatsError> {
        for _ in 0..ATTEMPTS_MAX {
            let entry = self.bucket.entry(key).await.map_err(|e| NatsError::request("read the bucket", e))?;
            let (stored, at) = match &entry {
                Some(entry) if entry.operation == Operation::Put => (revision_of(&entry.value), entry.revision),
                Some(entry) => (0, entry.revision),
                None => (0, 0),
            };
            if stored >= revision {
                return Ok(());
            }
            match self.bucket.update(key, value.clone(), at).await {
                Ok(_) => return Ok(()),
                // Another wrote it in between, or this write of ours came through without its answer.
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {}
                Err(error) => return Err(NatsError::request("write the bucket", error)),
            }
        }
        Err(NatsError::request("write the bucket", format!("`{key}` changes all the time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nats::testing::NatsServer;
    use crate::sinks::nats::NatsSinkConfig;
    use crate::sinks::tests::event;
    use crate::sinks::{Outgoing, Sink as _};

    async fn open(server: &NatsServer, name: &str) -> NatsSink {
        let connection = server.connection();
        let config = NatsSinkConfig { name: name.to_owned(), connection, ..NatsSinkConfig::default() };
        NatsSink::open(config).await.expect("opens")
    }

    async fn messages(server: &NatsServer) -> u64 {
        let context = server.connection().connect().await.expect("connects");
        context.get_stream(INCIDENT_STREAM).await.expect("the stream").cached_info().state.messages
    }

    #[tokio::test]
    async fn a_process_that_another_has_taken_over_from_publishes_nothing_more_and_says_why() {
        let server = NatsServer::start().expect("a NATS server: run `make nats`");
        let mut old = open(&server, "nats").await;
        old.deliver(&[event("acme", 1, 1)]).await.expect("delivered");
        let mut new = open(&server, "nats").await;
        let error = old.deliver(&[event("acme", 2, 1)]).await.expect_err("it is fenced");
        assert!(!error.is_retryable() && error.to_string().contains("another process has published"), "{error}");
        new.deliver(&[event("acme", 1, 2)]).await.expect("delivered");
        assert_eq!(messages(&server).await, 2);
    }

    #[tokio::test]
    async fn what_was_on_its_way_when_another_took_over_is_held_back_by_the_server() {
        let server = NatsServer::start().expect("a NATS server: run `make nats`");
        let old = open(&server, "nats").await;
        let mut new = open(&server, "nats").await;
        let events: Vec<Outgoing> = (1..=2).map(|revision| event("acme", 1, revision)).collect();
        new.deliver(&events).await.expect("delivered");
        // The old one had looked before, and hangs behind that.
        let published = old.publish(&[event("acme", 2, 1)], &[0]).await;
        assert!(matches!(published, Err(NatsError::Overtaken)), "{published:?}");
        assert_eq!(messages(&server).await, 2);
        let key = events[0].event.kv_key();
        old.put_newer(&key, 1, events[0].event.payload().into()).await.expect("nothing to do");
        let stored = old.bucket.get(&key).await.expect("reads").expect("it is there");
        assert_eq!(revision_of(&stored), 2, "the newer record stays");
    }

    #[tokio::test]
    async fn two_that_have_names_of_their_own_share_a_stream() {
        let server = NatsServer::start().expect("a NATS server: run `make nats`");
        let (mut one, mut two) = (open(&server, "one").await, open(&server, "two").await);
        for revision in 1..=5 {
            assert_eq!(one.deliver(&[event("acme", 1, revision)]).await.expect("delivered").sent, 1);
            assert_eq!(two.deliver(&[event("beta", 1, revision)]).await.expect("delivered").sent, 1);
        }
        assert_eq!(messages(&server).await, 10);
    }
}
