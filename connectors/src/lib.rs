//! Sources, the journal and sinks: everything that does I/O.
//!
//! A [`Source`] reads signals and hands them to its [`Intake`], which returns when they are in
//! the [`Journal`]. The engine folds the journal; its events go to every [`Sink`]. This file
//! is the one list of connectors: a new one is its file, its variant here, and its line in
//! the README.

pub mod actions;
pub mod alertmanager;
pub mod auth;
pub mod bulk;
pub mod changes;
pub mod checkpoints;
pub mod collectd;
pub mod decode;
mod documents;
pub mod entity_resolution;
pub mod files;
pub mod forward;
#[cfg(test)]
mod fuzz;
pub mod http;
mod in_time;
pub mod influx;
pub mod journal;
mod json;
pub mod kafka;
pub mod limits;
pub mod loki;
pub mod nats;
pub mod ndjson_sink;
pub mod otlp;
pub mod packets;
pub mod protobuf;
pub mod receipts;
pub mod reject;
pub mod remote_write;
pub mod series_table;
mod service_graph;
pub mod sink;
pub mod snmp;
pub mod source;
pub mod statsd;
pub mod stdin;
mod streams;
pub mod syslog;
pub mod tap;
pub mod terminal;
pub mod tls;
pub mod topology_import;
pub mod webhook;
pub mod wire;
pub mod wires;

use std::sync::Arc;

use entity_resolution::EntityResolver;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use checkpoints::{Checkpoint, Checkpoints, CheckpointsError};
pub use journal::{Group, Journal, JournalConfig, JournalError, LocalJournal, Mark, Position};
pub use reject::{BadRow, Reason, RejectLog, Rejection};
pub use sink::{Delivered, Outgoing, Sink, SinkError};
pub use source::{AcceptError, Intake, Source, SourceError, Stop, Stopper, stop_pair};

/// Every source, as it is written in the configuration: `- files: {…}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SourceConfig {
    /// Files, read to their end or followed.
    Files(files::FilesConfig),
    /// Standard input.
    Stdin(stdin::StdinConfig),
    /// Rows on a NATS JetStream stream.
    Nats(nats::NatsSourceConfig),
    /// Rows on Kafka topics; only in a build with the feature `kafka`.
    Kafka(kafka::KafkaSourceConfig),
}

impl SourceConfig {
    /// Its name; unique among the sources of one configuration.
    pub fn name(&self) -> &str {
        match self {
            SourceConfig::Files(config) => &config.name,
            SourceConfig::Stdin(config) => &config.name,
            SourceConfig::Nats(config) => &config.name,
            SourceConfig::Kafka(config) => &config.name,
        }
    }

    /// The source; nothing is opened before it runs. `resolver` says what changes are about.
    ///
    /// # Errors
    /// [`SourceError::Config`] naming the key.
    pub fn build(self, resolver: &Arc<EntityResolver>) -> Result<Box<dyn Source>, SourceError> {
        Ok(match self {
            SourceConfig::Files(config) => Box::new(files::FilesSource::new(config)?),
            SourceConfig::Stdin(config) => Box::new(stdin::StdinSource::new(config)?),
            SourceConfig::Nats(config) => Box::new(nats::NatsSource::new(config, resolver.clone())?),
            SourceConfig::Kafka(config) => Box::new(kafka::KafkaSource::new(config)?),
        })
    }
}

/// Every sink, as it is written in the configuration: `- nats: {…}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SinkConfig {
    /// The incident stream on NATS JetStream, and the bucket of latest records.
    Nats(nats::NatsSinkConfig),
    /// NDJSON in a file.
    Ndjson(ndjson_sink::NdjsonSinkConfig),
    /// Lines on the terminal.
    Terminal(terminal::TerminalSinkConfig),
}

impl SinkConfig {
    /// Its name; unique among the sinks of one configuration.
    pub fn name(&self) -> &str {
        match self {
            SinkConfig::Nats(config) => &config.name,
            SinkConfig::Ndjson(config) => &config.name,
            SinkConfig::Terminal(config) => &config.name,
        }
    }

    /// Opens the sink: connects, checks, and learns what the receiver has.
    ///
    /// # Errors
    /// [`SinkError`] saying what to change.
    pub async fn open(self) -> Result<Box<dyn Sink>, SinkError> {
        Ok(match self {
            SinkConfig::Nats(config) => {
                let name = config.name.clone();
                let opened = nats::NatsSink::open(config).await;
                Box::new(opened.map_err(|e| SinkError::config(&name, e.to_string()))?)
            }
            SinkConfig::Ndjson(config) => Box::new(ndjson_sink::NdjsonSink::open(config)?),
            SinkConfig::Terminal(config) => Box::new(terminal::TerminalSink::new(config)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_reads_as_the_readme_writes_it_and_a_misspelt_key_is_refused() {
        let files =
            r#"{"files":{"tenant":"acme","paths":["a.csv"],"rows":{"signal":"metric","columns":{"time":"ts"}}}}"#;
        let source: SourceConfig = serde_json::from_str(files).expect("reads");
        assert_eq!(source.name(), "files");
        source.build(&Arc::default()).expect("builds");
        for wrong in ["tenent", "pathes", "row"] {
            let right = ["tenant", "paths", "rows"]
                [["tenent", "pathes", "row"].iter().position(|w| *w == wrong).expect("listed")];
            let text = files.replace(&format!("\"{right}\""), &format!("\"{wrong}\""));
            let error = serde_json::from_str::<SourceConfig>(&text).expect_err("refused").to_string();
            assert!(error.contains(wrong) && error.contains(right), "{error}");
        }
    }

    #[test]
    fn a_configuration_that_contradicts_itself_is_refused_before_anything_is_opened() {
        let cases = [
            r#"{"files":{"tenant":"a b","paths":["a.csv"]}}"#,
            r#"{"files":{"tenant":"acme","paths":[]}}"#,
            r#"{"files":{"tenant":"acme","paths":["a"],"rows":{"columns":{"tiem":"ts"}}}}"#,
            r#"{"files":{"tenant":"acme","paths":["a"],"rows":{"delimiter":"\""}}}"#,
            r#"{"stdin":{"tenant":"acme","format":"parquet"}}"#,
            r#"{"stdin":{"tenant":"acme","format":"lines"}}"#,
            r#"{"nats":{"name":"n","stream":"S"}}"#,
            r#"{"nats":{"name":"n","stream":"S","tenant":"acme","tenant_token":2}}"#,
            r#"{"nats":{"name":"a.b","stream":"S","tenant":"acme"}}"#,
            r#"{"nats":{"name":"a","stream":"S","tenant":"acme","payload":"events","rows":{"signal":"log"}}}"#,
        ];
        for case in cases {
            let source: SourceConfig = serde_json::from_str(case).expect("reads");
            assert!(source.build(&Arc::default()).is_err(), "{case}");
        }
    }

    #[test]
    fn every_key_has_a_help_text() {
        fn check(schema: &serde_json::Value, path: &str) {
            let properties = schema.get("properties").and_then(|p| p.as_object());
            for (name, property) in properties.into_iter().flatten() {
                // The variant of an enum is described beside its only property.
                let described = property.get("description").is_some() || schema.get("description").is_some();
                assert!(described, "{path}.{name} has no help text");
            }
            let children = schema.as_object().into_iter().flatten();
            for (name, child) in children {
                check(child, &format!("{path}.{name}"));
            }
            for child in schema.as_array().into_iter().flatten() {
                check(child, path);
            }
        }
        check(schemars::schema_for!(SourceConfig).as_value(), "source");
        check(schemars::schema_for!(SinkConfig).as_value(), "sink");
        check(schemars::schema_for!(JournalConfig).as_value(), "journal");
    }
}
