//! Kafka as a source: rows on topics, their offsets committed when they are in the journal.
//!
//! ```yaml
//! sources:
//!   - kafka:
//!       name: telemetry
//!       brokers: ["127.0.0.1:9092"]
//!       topics: [telemetry]
//!       tenant: acme
//!       rows: {signal: metric}     # as for files; each message is one or more NDJSON rows
//! ```
//!
//! The offsets are also the source's cursor, in the journal beside the rows: what the broker
//! sends again after a crash is recognised, so each message is taken exactly once. Bad rows
//! are kept aside and do not come again. The client is librdkafka, which is C and costs a
//! minute to compile: only a build with the feature `kafka` has it.

#[cfg(feature = "kafka")]
mod consumer;
mod offsets;
#[cfg(all(test, feature = "kafka"))]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use bellwether_engine::signal::check_tenant;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::row::RowsConfig;
use crate::intake::{Intake, Source, SourceError, Stop};
use crate::resolve::entity_resolution::EntityResolver;
use crate::sources::DeclaredSource;

/// Rows on Kafka topics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaSourceConfig {
    /// Name in logs and cursors.
    pub name: String,
    /// Brokers to begin with, `host:port`.
    pub brokers: Vec<String>,
    /// The consumer group, whose lag shows how far behind we are.
    #[serde(default = "default_group")]
    pub group: String,
    /// Topics to read; one that begins with `^` is a pattern.
    pub topics: Vec<String>,
    /// Whose signals these are.
    pub tenant: String,
    /// How rows become signals.
    #[serde(default)]
    pub rows: RowsConfig,
    /// Messages taken at a time: they share one sync of the journal.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// Further properties of the client, `fetch.min.bytes` and the like.
    #[serde(default)]
    pub librdkafka: BTreeMap<String, String>,
}

fn default_group() -> String {
    "bellwether".to_owned()
}

fn default_batch() -> usize {
    500
}

impl DeclaredSource for KafkaSourceConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        format!("{}: topics {} at {}", self.name, self.topics.join(", "), self.brokers.join(", "))
    }

    fn build(&self, _: &Arc<EntityResolver>) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(KafkaSource::new(self.clone())?))
    }
}

/// Properties the source needs as they are.
const OWN_PROPERTIES: [&str; 5] =
    ["bootstrap.servers", "group.id", "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset"];

/// Kafka as a source.
pub(crate) struct KafkaSource {
    config: KafkaSourceConfig,
}

impl KafkaSource {
    /// A source; connects when it runs.
    ///
    /// # Errors
    /// [`SourceError::Config`] when the configuration contradicts itself, or this build has no
    /// Kafka.
    pub(crate) fn new(config: KafkaSourceConfig) -> Result<KafkaSource, SourceError> {
        let wrong = |reason: String| SourceError::config(&config.name, reason);
        config.rows.check().map_err(|e| wrong(e.to_string()))?;
        check_tenant(&config.tenant).map_err(|error| wrong(error.to_string()))?;
        if config.brokers.is_empty() || config.topics.is_empty() {
            return Err(wrong("`brokers` and `topics` must each name at least one".to_owned()));
        }
        if config.batch == 0 {
            return Err(wrong("`batch` must be at least 1".to_owned()));
        }
        if let Some(own) = OWN_PROPERTIES.iter().find(|own| config.librdkafka.contains_key(**own)) {
            return Err(wrong(format!("`librdkafka.{own}` is set by the source itself; leave it out")));
        }
        if cfg!(not(feature = "kafka")) {
            return Err(wrong("this build has no Kafka; build it with `--features kafka`".to_owned()));
        }
        Ok(KafkaSource { config })
    }
}

impl Source for KafkaSource {
    fn name(&self) -> &str {
        &self.config.name
    }

    #[cfg(feature = "kafka")]
    fn run(self: Box<Self>, intake: Intake, stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(consumer::run(self.config, intake, stop))
    }

    #[cfg(not(feature = "kafka"))]
    fn run(self: Box<Self>, _: Intake, _: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        unreachable!("a source is not made in a build without the feature")
    }
}
