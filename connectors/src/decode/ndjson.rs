//! NDJSON: one JSON object a line, columns named as in the signal schemas.
//!
//! ```json
//! {"signal":"metric","time":"2026-03-01T10:00:00Z","name":"cpu","entity":"host:a","value":0.7,"labels":{"core":"1"}}
//! {"signal":"log","time":1772359200,"entity":"service:shop","severity":"error","body":"payment failed","order":17}
//! {"signal":"alert","time":"2026-03-01T10:00:00Z","source":"nagios","name":"HTTP","entity":"service:shop","severity":"critical","status":"firing"}
//! {"signal":"change","time":"2026-03-01T09:58:00Z","id":"d-17","type":"dev.cdevents.service.deployed.0.3.0","entity":"service:shop"}
//! {"signal":"edge","time":"2026-03-01T00:00:00Z","from":"service:shop","to":"host:a","relation":"runs_on"}
//! ```
//!
//! Unknown keys of a log row become attributes; of any other row they are a mistake.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::row::{Field, Pairs, Row, RowsConfig};
use super::scalar::Scalar;
use super::signals::Signals;
use crate::intake::reject::{BadRow, Reason};

/// Most keys of one object: far more than any row has.
const KEYS_MAX: usize = 256;

/// Decodes NDJSON lines.
#[derive(Debug)]
pub(crate) struct NdjsonDecoder {
    config: RowsConfig,
    /// What was decoded.
    pub signals: Signals,
}

impl NdjsonDecoder {
    /// A decoder; `config` has been checked.
    pub(crate) fn new(config: RowsConfig) -> NdjsonDecoder {
        NdjsonDecoder { config, signals: Signals::new() }
    }

    /// Decodes one line; an empty one is nothing.
    ///
    /// # Errors
    /// [`BadRow`]; the decoder goes on with the next line.
    pub(crate) fn line(&mut self, line: &[u8]) -> Result<(), BadRow> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(());
        }
        let row: Row<'_> = serde_json::from_slice(line).map_err(|error| {
            let reason = if error.is_data() { Reason::Type } else { Reason::Syntax };
            BadRow::new(reason, "", error.to_string())
        })?;
        self.signals.push(&row, &self.config)
    }
}

impl<'de> Deserialize<'de> for Row<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Row<'de>, D::Error> {
        struct RowVisitor;

        impl<'de> Visitor<'de> for RowVisitor {
            type Value = Row<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one JSON object a line")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Row<'de>, A::Error> {
                let mut row = Row::default();
                for _ in 0..KEYS_MAX {
                    let Some(Key(key)) = map.next_key()? else {
                        return Ok(row);
                    };
                    match (key.as_ref(), Field::of_name(&key)) {
                        (_, Some(field)) => row.set(field, map.next_value()?),
                        ("labels" | "attributes", _) => row.labels = map.next_value::<Map<'de>>()?.0,
                        ("annotations", _) => row.annotations = map.next_value::<Map<'de>>()?.0,
                        _ => row.unknown.push((key, map.next_value()?)),
                    }
                }
                Err(A::Error::custom(format!("an object has more than {KEYS_MAX} keys")))
            }
        }

        deserializer.deserialize_map(RowVisitor)
    }
}

/// A key, borrowed when it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar<'de>, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Int(number))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(i64::try_from(number).map_or(Scalar::UInt(number), Scalar::Int))
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Float(number))
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Bool(value))
            }

            fn visit_unit<E: Error>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Null)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nested)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar::Nested)
            }
        }

        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// An object of scalars; nulls are left out, other scalars become text.
struct Map<'a>(Pairs<'a>);

impl<'de> Deserialize<'de> for Map<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Map<'de>, D::Error> {
        struct MapVisitor;

        impl<'de> Visitor<'de> for MapVisitor {
            type Value = Map<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_unit<E: Error>(self) -> Result<Map<'de>, E> {
                Ok(Map(Pairs::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Map<'de>, A::Error> {
                let mut pairs = Pairs::new();
                while let Some((Key(name), value)) = map.next_entry::<Key<'de>, Scalar<'de>>()? {
                    if pairs.len() == KEYS_MAX {
                        return Err(A::Error::custom(format!("an object has more than {KEYS_MAX} keys")));
                    }
                    match value {
                        Scalar::Null => {}
                        Scalar::Nested => {
                            return Err(A::Error::custom(format!(
                                "label `{name}` is an object or a list, should be text"
                            )));
                        }
                        Scalar::Text(text) => pairs.push((name, text)),
                        other => pairs.push((name, Cow::Owned(other.text().unwrap_or_default().into_owned()))),
                    }
                }
                Ok(Map(pairs))
            }
        }

        deserializer.deserialize_any(MapVisitor)
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::{AlertColumns, EdgeColumns, LogColumns, MetricColumns, SeriesColumns, SignalKind};
    use proptest::prelude::*;

    use super::*;

    fn decoder() -> NdjsonDecoder {
        NdjsonDecoder::new(RowsConfig::default())
    }

    fn refused(line: &str) -> BadRow {
        decoder().line(line.as_bytes()).expect_err("refused")
    }

    #[test]
    fn the_rows_of_the_header_read() {
        let mut decoder = decoder();
        let header = include_str!("ndjson.rs").lines().take_while(|l| l.starts_with("//!"));
        let rows: Vec<&str> = header.filter_map(|l| l.strip_prefix("//! {")).collect();
        assert_eq!(rows.len(), 5);
        for row in rows {
            decoder.line(format!("{{{row}").as_bytes()).expect(row);
        }
        let batches = decoder.signals.take("acme");
        let kinds: Vec<SignalKind> = batches.iter().map(|b| b.kind()).collect();
        use SignalKind as K;
        assert_eq!(kinds, [K::Series, K::Edge, K::Change, K::Metric, K::Log, K::Alert]);
        let series = SeriesColumns::of(&batches[0]).row(0);
        assert_eq!((series.name, series.labels.get("core")), ("cpu", Some("1")));
        assert_eq!(MetricColumns::of(&batches[3]).series, [series.series]);
        let log = LogColumns::of(&batches[4]);
        assert_eq!((log.severity[0], log.attributes(0).get("order")), (17, Some("17")));
        assert_eq!(AlertColumns::of(&batches[5]).source(0), "nagios");
        assert_eq!(EdgeColumns::of(&batches[1]).len(), 1);
    }

    #[test]
    fn a_series_is_described_once() {
        let mut decoder = decoder();
        let line = br#"{"signal":"metric","time":1772359200,"name":"cpu","entity":"host:a","value":1}"#;
        decoder.line(line).expect("reads");
        decoder.line(line).expect("reads");
        assert_eq!(decoder.signals.take("acme").iter().map(|b| b.len()).collect::<Vec<_>>(), [1, 2]);
        decoder.line(line).expect("reads");
        assert_eq!(decoder.signals.take("acme").len(), 1);
    }

    #[test]
    fn a_bad_row_names_its_column_and_why() {
        let metric = r#""signal":"metric","time":1772359200,"name":"cpu","entity":"host:a""#;
        let cases = [
            (format!("{{{metric}}}"), Reason::Missing, "value"),
            (format!("{{{metric},\"value\":\"NaN\"}}"), Reason::NotFinite, "value"),
            (format!("{{{metric},\"value\":\"many\"}}"), Reason::Type, "value"),
            (format!("{{{metric},\"value\":1,\"vaule\":2}}"), Reason::Unknown, "vaule"),
            (format!("{{{metric},\"value\":1,\"body\":\"x\"}}"), Reason::Unknown, "body"),
            (format!("{{{metric},\"value\":{{}}}}"), Reason::Type, "value"),
            (r#"{"time":1}"#.to_owned(), Reason::Missing, "signal"),
            (r#"{"signal":"metrics"}"#.to_owned(), Reason::Word, "signal"),
            (r#"{"signal":"series"}"#.to_owned(), Reason::Missing, "time"),
            (r#"{"signal":"log","time":5,"entity":"a","body":"b"}"#.to_owned(), Reason::Time, "time"),
            (
                r#"{"signal":"edge","time":1772359200,"from":"a","to":"b","relation":"likes"}"#.to_owned(),
                Reason::Word,
                "relation",
            ),
            ("{".to_owned(), Reason::Syntax, ""),
            ("[1]".to_owned(), Reason::Type, ""),
            (r#"{"labels":{"a":[1]}}"#.to_owned(), Reason::Type, ""),
        ];
        for (line, reason, column) in cases {
            let bad = refused(&line);
            assert_eq!((bad.reason, bad.column.as_str()), (reason, column), "{line}: {bad}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_a_stack_overflow() {
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        assert_eq!(refused(&deep).reason, Reason::Syntax);
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decoder().line(&bytes);
        }

        #[test]
        fn arbitrary_values_never_panic(
            key in "signal|time|name|entity|value|labels|severity|fingerprint|type|other",
            value in r#"null|true|-1|18446744073709551615|1e400|1e308|"[^"\\]{0,8}"|\{\}|\[\]|\{"a":null\}"#,
            kind in "metric|log|alert|change|edge",
        ) {
            let line = format!(
                r#"{{"signal":"{kind}","time":1772359200,"name":"n","entity":"e","value":1,"body":"b","id":"i","{key}":{value}}}"#
            );
            let mut decoder = decoder();
            let _ = decoder.line(line.as_bytes());
            decoder.signals.take("acme");
        }
    }
}
