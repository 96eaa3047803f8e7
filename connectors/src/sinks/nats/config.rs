//! Where incident events go on NATS, and what follows from it.

use std::path::PathBuf;
use std::time::Duration;

use bellwether_engine::time::Span;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NatsSink, failure};
use crate::declared::{Found, Probe};
use crate::nats::NatsConnection;
use crate::sinks::{DeclaredSink, Order, RecordVersion, Sink, SinkError};

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
    /// The version of the record that subscribers know.
    pub schema_version: RecordVersion,
}

impl Default for NatsSinkConfig {
    fn default() -> NatsSinkConfig {
        NatsSinkConfig {
            name: "nats".to_owned(),
            connection: NatsConnection::default(),
            replicas: 1,
            retain_age: Span::from_hours(30 * 24),
            give_up_after: Span::from_hours(1),
            schema_version: RecordVersion::default(),
        }
    }
}

impl DeclaredSink for NatsSinkConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        format!("{}: NATS at {}", self.name, self.connection.shown())
    }

    fn remembers(&self) -> bool {
        true
    }

    fn order(&self) -> Order {
        Order::EveryRevision
    }

    fn give_up_after(&self) -> Duration {
        Duration::from_nanos(self.give_up_after.0.max(0) as u64)
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.connection.paths()
    }

    fn probe(&self) -> Probe<'_> {
        Some(Box::pin(async { Ok(Found::of(self.connection.server().await?)) }))
    }

    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Sink>, SinkError>> {
        Box::pin(async {
            let opened = NatsSink::open(self.clone()).await;
            Ok(self.schema_version.of(Box::new(opened.map_err(|error| failure(&self.name, &error))?)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_publishes_is_said_without_the_password_in_the_url() {
        let config: NatsSinkConfig =
            serde_json::from_str(r#"{"connection":{"servers":["nats://bell:S3cret@127.0.0.1:4222"]}}"#).expect("reads");
        let said = config.describe();
        assert!(said.contains("127.0.0.1:4222") && !said.contains("S3cret"), "{said}");
    }
}
