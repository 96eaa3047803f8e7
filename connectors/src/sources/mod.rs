//! The visible list of sources: what Bellwether reads by itself.
//!
//! A new one is its file or folder here, which says everything about it ([`DeclaredSource`]), its line
//! below, its example, and its row in the README.

mod declare;

pub mod files;
pub mod kafka;
pub mod nats;
pub mod stdin;

use crate::declared::list_of;

pub use declare::DeclaredSource;

list_of! {
    /// Every source, as it is written in the configuration: `- files: {…}`.
    pub enum SourceConfig: DeclaredSource {
        /// Files, read to their end or followed.
        Files(files::FilesConfig),
        /// Standard input.
        Stdin(stdin::StdinConfig),
        /// Rows on a NATS JetStream stream.
        Nats(nats::NatsSourceConfig),
        /// Rows on Kafka topics; only in a build with the feature `kafka`.
        Kafka(kafka::KafkaSourceConfig),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
