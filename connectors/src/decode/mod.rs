//! Decoders: bytes in, batches out, no I/O.
//!
//! Each text format turns a line into a [`row::Row`]; [`signals::Signals`] checks the row
//! against its kind and gathers batches. A bad row is a [`crate::BadRow`] that names the
//! column; the rows around it go on.

pub mod actions;
pub mod any_time;
pub mod changes;
pub mod csv;
pub mod documents;
pub mod json;
pub mod level;
pub mod lines;
pub mod ndjson;
pub mod parquet;
pub mod protobuf;
pub mod row;
pub mod scalar;
pub mod signals;
pub mod split;
pub mod time;
pub mod topology;

use bellwether_engine::signal::Batch;
use bellwether_engine::time::EventTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::intake::reject::BadRow;
use crate::intake::text::without_mark;

pub use lines::LinesConfig;
pub use row::RowsConfig;
pub use signals::Signals;

/// How bytes are to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated values with a header line.
    Csv,
    /// Plain log lines.
    Lines,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// The format a file name stands for; `.gz` is looked through.
    pub(crate) fn of_name(name: &str) -> Option<Format> {
        let name = name.strip_suffix(".gz").unwrap_or(name);
        match name.rsplit_once('.')?.1 {
            "ndjson" | "jsonl" | "json" => Some(Format::Ndjson),
            "csv" => Some(Format::Csv),
            "log" | "txt" => Some(Format::Lines),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    }
}

/// A decoder of one of the formats that come line by line.
#[derive(Debug)]
pub(crate) enum LineDecoder {
    /// One JSON object a line.
    Ndjson(ndjson::NdjsonDecoder),
    /// Comma-separated values.
    Csv(csv::CsvDecoder),
    /// Plain log lines.
    Lines(lines::LinesDecoder),
}

/// Why there is no decoder for lines of this kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecoderError {
    /// `rows` contradicts itself.
    #[error(transparent)]
    Rows(#[from] row::RowsError),
    /// A format that has no lines.
    #[error("Parquet is not read line by line: use ndjson, csv or lines, or read it from a file")]
    Parquet,
}

impl LineDecoder {
    /// A decoder for `format`, which must not be Parquet.
    ///
    /// # Errors
    /// [`DecoderError`] when the configuration contradicts itself.
    pub(crate) fn new(format: Format, rows: &RowsConfig, lines: &LinesConfig) -> Result<LineDecoder, DecoderError> {
        rows.check()?;
        match format {
            Format::Ndjson => Ok(LineDecoder::Ndjson(ndjson::NdjsonDecoder::new(rows.clone()))),
            Format::Csv => Ok(LineDecoder::Csv(csv::CsvDecoder::new(rows.clone()))),
            Format::Lines => Ok(LineDecoder::Lines(lines::LinesDecoder::new(lines.clone()))),
            Format::Parquet => Err(DecoderError::Parquet),
        }
    }

    /// The delimiter of cells, when a line break inside a quoted one does not end a line.
    pub(crate) fn quoted(&self) -> Option<u8> {
        match self {
            LineDecoder::Csv(decoder) => Some(decoder.delimiter()),
            _ => None,
        }
    }

    /// True when the first line describes the others.
    pub(crate) fn has_header(&self) -> bool {
        matches!(self, LineDecoder::Csv(_))
    }

    /// Reads the first line.
    ///
    /// # Errors
    /// [`BadRow`] when no row of the file can be read with it.
    pub(crate) fn header(&mut self, line: &[u8]) -> Result<(), BadRow> {
        let line = without_mark(line);
        match self {
            LineDecoder::Csv(decoder) => decoder.header(line),
            _ => Ok(()),
        }
    }

    /// Reads a line; `arrival` is the time of a line that has none.
    ///
    /// # Errors
    /// [`BadRow`]; the decoder goes on with the next line.
    pub(crate) fn line(&mut self, line: &[u8], arrival: EventTime) -> Result<(), BadRow> {
        let line = without_mark(line);
        match self {
            LineDecoder::Ndjson(decoder) => decoder.line(line),
            LineDecoder::Csv(decoder) => decoder.line(line),
            LineDecoder::Lines(decoder) => decoder.line(line, arrival),
        }
    }

    /// What was gathered.
    pub(crate) fn signals(&mut self) -> &mut Signals {
        match self {
            LineDecoder::Ndjson(decoder) => &mut decoder.signals,
            LineDecoder::Csv(decoder) => &mut decoder.signals,
            LineDecoder::Lines(decoder) => &mut decoder.signals,
        }
    }

    /// The gathered batches of `tenant`, whose name the configuration has checked.
    pub(crate) fn take(&mut self, tenant: &str) -> Vec<Batch> {
        self.signals().take(tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals(format: Format, lines: &[&str]) -> usize {
        let rows: RowsConfig = serde_json::from_str(r#"{"signal":"log"}"#).expect("reads");
        let lines_config = LinesConfig { entity: "service:shop".to_owned(), ..LinesConfig::default() };
        let mut decoder = LineDecoder::new(format, &rows, &lines_config).expect("a decoder");
        for (at, line) in lines.iter().enumerate() {
            match at == 0 && decoder.has_header() {
                true => decoder.header(line.as_bytes()).expect(line),
                false => decoder.line(line.as_bytes(), EventTime(7)).expect(line),
            }
        }
        decoder.signals().len()
    }

    #[test]
    fn a_byte_order_mark_is_no_text_in_any_format() {
        let row = "\u{feff}{\"time\":\"2026-11-30T00:00:00Z\",\"entity\":\"a\",\"body\":\"x\"}";
        assert_eq!(signals(Format::Ndjson, &[row, row]), 2);
        assert_eq!(signals(Format::Csv, &["\u{feff}\"time\",entity,body", "2026-11-30T00:00:00Z,a,x"]), 1);
        assert_eq!(signals(Format::Lines, &["\u{feff}2026-11-30T00:00:00Z ERROR x"]), 1);
    }

    #[test]
    fn a_quote_within_a_cell_is_text() {
        assert_eq!(
            signals(
                Format::Csv,
                &["time,entity,body", "2026-11-30T00:00:00Z,a,15\" rack", "2026-11-30T00:00:00Z,a,\"\"\"q\"\"\""]
            ),
            2
        );
    }
}
