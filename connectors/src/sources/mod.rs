//! The visible list of sources: what Bellwether reads by itself.
//!
//! A new one is its file or folder here, its variant and three arms below, its example, and its
//! row in the README.

pub mod files;
pub mod kafka;
pub mod nats;
pub mod stdin;

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::intake::{Source, SourceError};
use crate::resolve::entity_resolution::EntityResolver;

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

    /// The files it names.
    pub fn paths(&mut self) -> Vec<&mut PathBuf> {
        match self {
            SourceConfig::Files(config) => config.paths.iter_mut().collect(),
            SourceConfig::Nats(config) => config.connection.paths(),
            SourceConfig::Stdin(_) | SourceConfig::Kafka(_) => Vec::new(),
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
        check(schemars::schema_for!(crate::sinks::SinkConfig).as_value(), "sink");
        check(schemars::schema_for!(crate::JournalConfig).as_value(), "journal");
    }
}
