//! CSV (RFC 4180) with a header line: columns by name, or by a mapping.
//!
//! ```yaml
//! sources:
//!   - files:
//!       tenant: acme
//!       paths: [hosts.csv]
//!       rows:
//!         signal: metric
//!         columns: {time: timestamp, entity: host}
//!         constants: {unit: "%"}
//!         values: [cpu, memory]      # a wide table: one sample for each of these columns
//!         labels: [region]
//! ```
//!
//! Records are split by hand because they come in bounded pieces that must be resumable at any
//! byte, which a reader that owns its input does not offer.

use std::borrow::Cow;

use bellwether_engine::signal::SignalKind;

use super::row::{Field, Row, RowsConfig, known_fields};
use super::scalar::Scalar;
use super::signals::Signals;
use crate::intake::reject::{BadRow, Reason};

/// Most columns of a table.
const COLUMNS_MAX: usize = 4_096;

/// What a column means.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Role {
    Field(Field),
    Label(String),
    Annotation(String),
    /// Column of a wide table: the metric's name.
    Value(String),
    Unknown(String),
    Ignored,
}

/// The role of each of `names`.
///
/// Without `columns`, `labels` and `values` a column is what its name says; `labels.x` and
/// `annotations.x` are labels and annotations.
///
/// # Errors
/// [`BadRow`] when a configured column is not there, or a column of a table that is not of
/// logs means nothing.
pub(super) fn roles(names: &[String], config: &RowsConfig) -> Result<Vec<Role>, BadRow> {
    let wanted = config.columns.values().chain(&config.labels).chain(&config.values);
    for column in wanted {
        if !names.contains(column) {
            let known = names.join(", ");
            return Err(BadRow::new(Reason::Missing, column, format!("is not in the header: {known}")));
        }
    }
    let mapped = !(config.columns.is_empty() && config.labels.is_empty() && config.values.is_empty());
    names.iter().map(|name| role(name, mapped, config)).collect()
}

fn role(name: &str, mapped: bool, config: &RowsConfig) -> Result<Role, BadRow> {
    let by_mapping = config.columns.iter().find(|(_, column)| *column == name);
    if let Some(field) = by_mapping.and_then(|(field, _)| Field::of_name(field)) {
        return Ok(Role::Field(field));
    }
    if config.labels.iter().any(|l| l == name) {
        return Ok(Role::Label(name.to_owned()));
    }
    if config.values.iter().any(|v| v == name) {
        return Ok(Role::Value(name.to_owned()));
    }
    // A mapping may name only what is called differently.
    let field = Field::of_name(name).filter(|f| !config.columns.contains_key(f.name()));
    if let Some(field) = field {
        return Ok(Role::Field(field));
    }
    if let Some(label) = name.strip_prefix("labels.").or(name.strip_prefix("attributes.")) {
        return Ok(Role::Label(label.to_owned()));
    }
    if let Some(annotation) = name.strip_prefix("annotations.") {
        return Ok(Role::Annotation(annotation.to_owned()));
    }
    if mapped {
        return Ok(Role::Ignored);
    }
    if config.signal == Some(SignalKind::Log) {
        return Ok(Role::Unknown(name.to_owned()));
    }
    let known = known_fields(config.signal);
    Err(BadRow::new(
        Reason::Unknown,
        name,
        format!("is not known, known: {known}; map it in `rows.columns`, `rows.labels` or `rows.values`"),
    ))
}

/// Puts one cell where its role says; wide values are gathered in `wide`.
pub(super) fn place<'a>(row: &mut Row<'a>, wide: &mut Vec<(&'a str, Scalar<'a>)>, role: &'a Role, value: Scalar<'a>) {
    match role {
        Role::Ignored => {}
        _ if value.is_null() => {}
        Role::Field(field) => row.set(*field, value),
        Role::Value(name) => wide.push((name, value)),
        Role::Unknown(name) => row.unknown.push((Cow::Borrowed(name), value)),
        Role::Label(name) => row.labels.extend(text(name, &value)),
        Role::Annotation(name) => row.annotations.extend(text(name, &value)),
    }
}

fn text<'a>(name: &'a str, value: &Scalar<'a>) -> Option<(Cow<'a, str>, Cow<'a, str>)> {
    let text = match value {
        Scalar::Text(text) => text.clone(),
        other => Cow::Owned(other.text()?.into_owned()),
    };
    (!text.is_empty()).then_some((Cow::Borrowed(name), text))
}

/// Appends the row, once for each wide value when there are such columns.
pub(super) fn push_wide<'a>(
    signals: &mut Signals,
    config: &RowsConfig,
    row: &mut Row<'a>,
    wide: Vec<(&'a str, Scalar<'a>)>,
) -> Result<(), BadRow> {
    if config.values.is_empty() {
        return signals.push(row, config);
    }
    let mut first_bad = None;
    for (name, value) in wide {
        if matches!(&value, Scalar::Text(text) if text.trim().is_empty()) {
            continue;
        }
        row.set(Field::Name, Scalar::Text(Cow::Borrowed(name)));
        row.set(Field::Value, value);
        if let Err(mut bad) = signals.push(row, config) {
            if bad.column == Field::Value.name() {
                bad.column = name.to_owned();
            }
            first_bad.get_or_insert(bad);
        }
    }
    first_bad.map_or(Ok(()), Err)
}

/// Decodes CSV records.
#[derive(Debug)]
pub(crate) struct CsvDecoder {
    config: RowsConfig,
    roles: Vec<Role>,
    /// What was decoded.
    pub signals: Signals,
}

impl CsvDecoder {
    /// A decoder; `config` has been checked.
    pub(crate) fn new(mut config: RowsConfig) -> CsvDecoder {
        if !config.values.is_empty() {
            config.signal.get_or_insert(SignalKind::Metric);
        }
        CsvDecoder { config, roles: Vec::new(), signals: Signals::new() }
    }

    /// What parts the cells.
    pub(crate) fn delimiter(&self) -> u8 {
        // An ASCII character, as the configuration's check says.
        self.config.delimiter as u8
    }

    /// Reads the header line.
    ///
    /// # Errors
    /// [`BadRow`] naming the column that is missing or not known.
    pub(crate) fn header(&mut self, line: &[u8]) -> Result<(), BadRow> {
        let names: Vec<String> = self.split(line)?.into_iter().map(|name| name.trim().to_owned()).collect();
        self.roles = roles(&names, &self.config)?;
        Ok(())
    }

    /// Decodes one record; an empty line is nothing.
    ///
    /// # Errors
    /// [`BadRow`]; the decoder goes on with the next record.
    pub(crate) fn line(&mut self, line: &[u8]) -> Result<(), BadRow> {
        if line.is_empty() {
            return Ok(());
        }
        let cells = self.split(line)?;
        if cells.len() != self.roles.len() {
            let detail = format!("has {} columns, the header has {}", cells.len(), self.roles.len());
            return Err(BadRow::new(Reason::Syntax, "", detail));
        }
        let mut row = Row::default();
        let mut wide = Vec::new();
        for (role, cell) in self.roles.iter().zip(cells) {
            let value = if cell.is_empty() { Scalar::Null } else { Scalar::Text(cell) };
            place(&mut row, &mut wide, role, value);
        }
        push_wide(&mut self.signals, &self.config, &mut row, wide)
    }

    fn split<'a>(&self, line: &'a [u8]) -> Result<Vec<Cow<'a, str>>, BadRow> {
        let line = std::str::from_utf8(line)
            .map_err(|e| BadRow::new(Reason::Syntax, "", format!("is not UTF-8 at byte {}", e.valid_up_to())))?;
        split_record(line, self.config.delimiter)
            .ok_or_else(|| BadRow::new(Reason::Syntax, "", "its quotes are not closed, or followed by text"))
    }
}

/// The cells of a record; `None` when quotes are broken or there are too many cells.
fn split_record(mut line: &str, delimiter: char) -> Option<Vec<Cow<'_, str>>> {
    let mut cells = Vec::new();
    loop {
        if cells.len() == COLUMNS_MAX {
            return None;
        }
        let (cell, rest) = match line.strip_prefix('"') {
            Some(quoted) => quoted_cell(quoted)?,
            None => match line.find(delimiter) {
                Some(end) => (Cow::Borrowed(&line[..end]), &line[end..]),
                None => (Cow::Borrowed(line), ""),
            },
        };
        cells.push(cell);
        if rest.is_empty() {
            return Some(cells);
        }
        line = rest.strip_prefix(delimiter)?;
    }
}

/// A cell after its opening quote, and what follows its closing quote.
fn quoted_cell(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut end = text.find('"')?;
    if !text[end + 1..].starts_with('"') {
        return Some((Cow::Borrowed(&text[..end]), &text[end + 1..]));
    }
    let mut cell = String::new();
    let mut start = 0;
    loop {
        cell.push_str(&text[start..end]);
        if !text[end + 1..].starts_with('"') {
            return Some((Cow::Owned(cell), &text[end + 1..]));
        }
        cell.push('"');
        start = end + 2;
        end = start + text[start..].find('"')?;
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::{MetricColumns, SeriesColumns};
    use proptest::prelude::*;

    use super::*;

    fn config(yaml: &str) -> RowsConfig {
        serde_json::from_str(yaml).expect("a configuration")
    }

    #[test]
    fn columns_named_as_in_the_schema_need_no_mapping() {
        let mut decoder = CsvDecoder::new(config(r#"{"signal":"metric"}"#));
        decoder.header(b"time,name,entity,value,labels.core").expect("header");
        decoder.line(b"2026-03-01T10:00:00Z,cpu,host:a,0.5,1").expect("row");
        let batches = decoder.signals.take("acme");
        assert_eq!(SeriesColumns::of(&batches[0]).row(0).labels.get("core"), Some("1"));
        assert_eq!(MetricColumns::of(&batches[1]).value, [0.5]);
    }

    #[test]
    fn a_wide_table_gives_a_sample_for_each_value_column() {
        let mut decoder = CsvDecoder::new(config(
            r#"{"columns":{"time":"ts","entity":"host"},"values":["cpu","mem"],"labels":["dc"],"entity_type":"host"}"#,
        ));
        decoder.header(b"ts,host,cpu,mem,dc,comment").expect("header");
        decoder.line(b"1772359200,a,1,2,eu,\"x, \"\"y\"\"\"").expect("row");
        decoder.line(b"1772359260,a,,4,eu,").expect("a hole is no sample");
        let bad = decoder.line(b"1772359320,a,inf,6,eu,").expect_err("not finite");
        assert_eq!((bad.reason, bad.column.as_str()), (Reason::NotFinite, "cpu"));
        let batches = decoder.signals.take("acme");
        let series = SeriesColumns::of(&batches[0]);
        assert_eq!((series.row(0).name, series.row(0).entity), ("cpu", "host:a"));
        assert_eq!(MetricColumns::of(&batches[1]).value, [1.0, 2.0, 4.0, 6.0]);
    }

    #[test]
    fn a_header_that_cannot_work_says_which_column() {
        let mut decoder = CsvDecoder::new(config(r#"{"signal":"metric"}"#));
        let bad = decoder.header(b"time,cpu_util").expect_err("unknown column");
        assert_eq!((bad.reason, bad.column.as_str()), (Reason::Unknown, "cpu_util"));
        let mut decoder = CsvDecoder::new(config(r#"{"columns":{"time":"ts"}}"#));
        let bad = decoder.header(b"time,value").expect_err("missing column");
        assert_eq!((bad.reason, bad.column.as_str()), (Reason::Missing, "ts"));
    }

    #[test]
    fn broken_records_are_refused() {
        let mut decoder = CsvDecoder::new(config(r#"{"signal":"metric"}"#));
        decoder.header(b"time,name,entity,value").expect("header");
        for line in [&b"1,2,3"[..], b"\"1,2,3,4", b"\"1\"x,2,3,4", b"\xff,2,3,4"] {
            assert_eq!(decoder.line(line).expect_err("refused").reason, Reason::Syntax);
        }
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn cells_come_back(cells in proptest::collection::vec("[a-z\", \n]{0,8}", 1..6)) {
            let quoted: Vec<String> = cells.iter().map(|c| format!("\"{}\"", c.replace('"', "\"\""))).collect();
            let line = quoted.join(",");
            let back = split_record(&line, ',').expect("splits");
            prop_assert_eq!(back, cells);
        }

        #[test]
        fn arbitrary_bytes_never_panic(header in "[a-z,\"]{0,20}", line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut decoder = CsvDecoder::new(config(r#"{"signal":"log"}"#));
            if decoder.header(header.as_bytes()).is_ok() {
                let _ = decoder.line(&line);
            }
        }
    }
}
