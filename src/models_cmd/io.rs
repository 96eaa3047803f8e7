//! Tables in and out of the `models` commands.
//!
//! In: CSV with a header from a file or stdin. A broken cell is an error that
//! names file, row and column; an empty numeric cell is a missing value (NaN).
//! Out: one [`Table`] as CSV, NDJSON or Parquet.

use anyhow::{Context, Result, bail};
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use clap::ValueEnum;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Comma separated, with a header.
    Csv,
    /// One JSON object a line.
    Ndjson,
    /// Apache Parquet, zstd. Needs `--out`.
    Parquet,
}

impl Format {
    /// The format that a file's ending asks for.
    fn of(path: &Path) -> Self {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("ndjson" | "jsonl" | "json") => Self::Ndjson,
            Some("parquet") => Self::Parquet,
            _ => Self::Csv,
        }
    }
}

/// Where the output of a command goes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct OutputArgs {
    /// Write here instead of to the terminal
    #[arg(long, short, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Output format; by default from the ending of --out, else csv
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

impl OutputArgs {
    fn format(&self) -> Format {
        self.format.unwrap_or_else(|| self.out.as_deref().map_or(Format::Csv, Format::of))
    }

    /// Writes `table` where and how the user asked.
    ///
    /// # Errors
    /// When the file cannot be written, or Parquet is asked of the terminal.
    /// A reader that closes the pipe early (`| head`) is not an error.
    pub fn write(&self, table: &Table) -> Result<()> {
        let format = self.format();
        let Some(path) = &self.out else {
            if format == Format::Parquet {
                bail!("parquet needs a file: add --out FILE.parquet");
            }
            return closed_pipe_is_fine(table.write_text(format, &mut BufWriter::new(std::io::stdout().lock())));
        };
        table.save_as(format, path)
    }
}

fn closed_pipe_is_fine(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        other => other,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Opens a file, or stdin for `-`; `.gz` is decompressed.
///
/// # Errors
/// When the file cannot be opened.
pub fn open(path: &Path) -> Result<Box<dyn Read>> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let file = BufReader::with_capacity(1 << 16, file);
    if path.extension().is_some_and(|e| e == "gz") {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(file)));
    }
    Ok(Box::new(file))
}

/// One column of an output table.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Numbers; NaN is written as an empty cell or null.
    Float(Vec<f64>),
    /// Whole numbers.
    Int(Vec<i64>),
    /// Yes or no, written `true`/`false`.
    Bool(Vec<bool>),
    /// Yes or no as 1 and 0, the habit of label columns.
    Flag(Vec<bool>),
    /// Text.
    Text(Vec<String>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Float(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::Bool(v) | Self::Flag(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }

    fn cell(&self, row: usize) -> String {
        match self {
            Self::Float(v) if v[row].is_finite() => v[row].to_string(),
            Self::Float(_) => String::new(),
            Self::Int(v) => v[row].to_string(),
            Self::Bool(v) => v[row].to_string(),
            Self::Flag(v) => i32::from(v[row]).to_string(),
            Self::Text(v) => v[row].clone(),
        }
    }

    fn json(&self, row: usize) -> serde_json::Value {
        match self {
            Self::Float(v) => v[row].into(),
            Self::Int(v) => v[row].into(),
            Self::Bool(v) => v[row].into(),
            Self::Flag(v) => i32::from(v[row]).into(),
            Self::Text(v) => v[row].clone().into(),
        }
    }

    fn arrow(&self) -> ArrayRef {
        match self {
            Self::Float(v) => Arc::new(Float64Array::from_iter(v.iter().map(|x| x.is_finite().then_some(*x)))),
            Self::Int(v) => Arc::new(Int64Array::from(v.clone())),
            Self::Bool(v) => Arc::new(BooleanArray::from(v.clone())),
            Self::Flag(v) => Arc::new(Int64Array::from_iter_values(v.iter().map(|b| i64::from(*b)))),
            Self::Text(v) => Arc::new(StringArray::from(v.clone())),
        }
    }
}

/// A table to write: named columns of one length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Table {
    columns: Vec<(String, Column)>,
}

impl Table {
    /// Adds a column. All columns of a table have one length.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, column: Column) -> Self {
        debug_assert!(self.columns.first().is_none_or(|(_, first)| first.len() == column.len()));
        self.columns.push((name.into(), column));
        self
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, column)| column.len())
    }

    /// Writes the table to a file in the format of its ending.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        self.save_as(Format::of(path), path)
    }

    fn save_as(&self, format: Format, path: &Path) -> Result<()> {
        let failed = || format!("cannot write `{}`", path.display());
        let file = File::create(path).with_context(failed)?;
        match format {
            Format::Parquet => self.write_parquet(file),
            text => self.write_text(text, &mut BufWriter::new(file)),
        }
        .with_context(failed)
    }

    fn write_text(&self, format: Format, out: &mut dyn Write) -> Result<()> {
        if format == Format::Ndjson {
            return self.write_ndjson(out);
        }
        let mut writer = csv::Writer::from_writer(out);
        writer.write_record(self.columns.iter().map(|(name, _)| name))?;
        for row in 0..self.rows() {
            writer.write_record(self.columns.iter().map(|(_, column)| column.cell(row)))?;
        }
        writer.flush()?;
        Ok(())
    }

    fn write_ndjson(&self, out: &mut dyn Write) -> Result<()> {
        for row in 0..self.rows() {
            out.write_all(b"{")?;
            for (i, (name, column)) in self.columns.iter().enumerate() {
                let comma = if i > 0 { "," } else { "" };
                let (name, value) = (serde_json::to_string(name)?, column.json(row));
                write!(out, "{comma}{name}:{value}")?;
            }
            out.write_all(b"}\n")?;
        }
        out.flush()?;
        Ok(())
    }

    fn write_parquet(&self, file: File) -> Result<()> {
        let batch = RecordBatch::try_from_iter(self.columns.iter().map(|(name, column)| (name, column.arrow())))?;
        let properties = parquet::file::properties::WriterProperties::builder()
            .set_compression(parquet::basic::Compression::ZSTD(parquet::basic::ZstdLevel::try_new(3)?))
            .build();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(())
    }
}

/// A CSV with a header, cells as text.
#[derive(Debug, Clone, PartialEq)]
pub struct TextTable {
    name: String,
    /// Column names, in order.
    pub header: Vec<String>,
    records: Vec<csv::StringRecord>,
}

/// What a file's rows may hold at most, so that a wrong file cannot fill the
/// memory: 50 million rows are a year of seconds and then some.
const ROWS_MAX: usize = 50_000_000;

impl TextTable {
    /// Reads a whole CSV.
    ///
    /// # Errors
    /// When the file cannot be read, has no header, or a row has another
    /// number of cells than the header.
    pub fn read(path: &Path) -> Result<Self> {
        Self::from_reader(&path.display().to_string(), open(path)?)
    }

    /// Reads a whole CSV from `reader`; `name` is used in messages.
    ///
    /// # Errors
    /// As [`TextTable::read`].
    pub fn from_reader(name: &str, reader: impl Read) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(reader);
        let header = reader.headers().with_context(|| format!("`{name}`: cannot read the header"))?;
        let header: Vec<String> = header.iter().map(|h| h.trim_start_matches('\u{feff}').to_owned()).collect();
        if header.iter().all(String::is_empty) {
            bail!("`{name}` is empty: a header line such as `timestamp,value` is needed");
        }
        let mut records = Vec::new();
        for (index, record) in reader.records().enumerate() {
            let row = index + 2;
            if index == ROWS_MAX {
                bail!("`{name}` has more than {ROWS_MAX} rows: split it");
            }
            records.push(record.with_context(|| format!("`{name}` row {row}: not a CSV row"))?);
        }
        Ok(Self { name: name.to_owned(), header, records })
    }

    /// Number of data rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.records.len()
    }

    /// The index of a column, by name without regard to case.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|h| h.eq_ignore_ascii_case(name))
    }

    /// The index of a column that must be there.
    ///
    /// # Errors
    /// When it is not, naming the columns there are.
    pub fn require(&self, name: &str) -> Result<usize> {
        self.position(name).with_context(|| {
            format!("`{}` has no column `{name}`; its columns are `{}`", self.name, self.header.join("`, `"))
        })
    }

    /// One column as text.
    #[must_use]
    pub fn text(&self, column: usize) -> Vec<String> {
        self.records.iter().map(|record| record.get(column).unwrap_or("").to_owned()).collect()
    }

    /// One column as numbers; empty, `nan`, `null`, `na` and infinities are NaN.
    ///
    /// # Errors
    /// Naming file, row and column of the first cell that is neither.
    pub fn numbers(&self, column: usize) -> Result<Vec<f64>> {
        self.cells(column, "a number", |cell| {
            if ["", "nan", "null", "na", "n/a", "none"].iter().any(|word| cell.eq_ignore_ascii_case(word)) {
                return Some(f64::NAN);
            }
            cell.parse().ok().map(|x: f64| if x.is_finite() { x } else { f64::NAN })
        })
    }

    /// One column as times in nanoseconds: see [`parse_time`].
    ///
    /// # Errors
    /// Naming file, row and column of the first cell that is no time.
    pub fn times(&self, column: usize) -> Result<Vec<i64>> {
        let remedy = "a time (seconds, milliseconds, microseconds or nanoseconds since 1970, or 2026-11-20T14:00:00Z)";
        self.cells(column, remedy, parse_time)
    }

    fn cells<T>(&self, column: usize, wanted: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
        let mut out = Vec::with_capacity(self.records.len());
        for (index, record) in self.records.iter().enumerate() {
            let cell = record.get(column).unwrap_or("");
            let Some(value) = parse(cell) else {
                let (name, row, header) = (&self.name, index + 2, &self.header[column]);
                bail!("`{name}` row {row} column `{header}`: `{}` is not {wanted}", clip(cell));
            };
            out.push(value);
        }
        Ok(out)
    }
}

/// At most 60 characters of a cell, for messages.
fn clip(cell: &str) -> String {
    cell.chars().take(60).collect()
}

/// A time as nanoseconds since 1970. Numbers are taken as seconds,
/// milliseconds, microseconds or nanoseconds by their size (seconds reach to
/// the year 5138, milliseconds start in 1973); text as ISO 8601 / RFC 3339,
/// with a space or `T`, UTC where no offset is given.
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    if let Ok(whole) = text.parse::<i64>() {
        let unit = match whole.unsigned_abs() {
            0..=99_999_999_999 => 1_000_000_000,
            100_000_000_000..=99_999_999_999_999 => 1_000_000,
            100_000_000_000_000..=99_999_999_999_999_999 => 1_000,
            _ => 1,
        };
        return whole.checked_mul(unit);
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return (seconds.is_finite() && seconds.abs() < 9e9).then_some((seconds * 1e9) as i64);
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(instant.as_nanosecond()).ok();
    }
    let civil = text.parse::<jiff::civil::DateTime>().ok()?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    i64::try_from(zoned.timestamp().as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_habit_meet() {
        let expected = Some(1_397_088_000_000_000_000);
        for text in [
            "1397088000",
            "1397088000000",
            "1397088000.0",
            "2014-04-10 00:00:00",
            "2014-04-10T00:00:00Z",
            "2014-04-10T02:00:00+02:00",
            "2014-04-10",
        ] {
            assert_eq!(parse_time(text), expected, "{text}");
        }
        assert_eq!(parse_time("yesterday"), None);
        assert_eq!(parse_time("17"), Some(17_000_000_000));
    }

    #[test]
    fn a_broken_cell_names_file_row_and_column() {
        let table = TextTable::from_reader("a.csv", "timestamp,value\n1,2\n2,abc\n".as_bytes()).expect("reads");
        let error = table.numbers(1).expect_err("abc is no number").to_string();
        assert_eq!(error, "`a.csv` row 3 column `value`: `abc` is not a number");
        let error = table.require("level").expect_err("no such column").to_string();
        assert!(error.contains("`timestamp`, `value`"), "{error}");
        assert!(TextTable::from_reader("a.csv", "".as_bytes()).is_err());
        assert!(
            TextTable::from_reader("a.csv", "a,b\n1\n".as_bytes()).expect_err("ragged").to_string().contains("row 2")
        );
    }

    #[test]
    fn missing_numbers_are_nan_and_come_out_empty() {
        let table = TextTable::from_reader("a.csv", "v\nNaN\n1.5\n\"\"\ninf\n".as_bytes()).expect("reads");
        let numbers = table.numbers(0).expect("numbers");
        assert!(numbers[0].is_nan() && numbers[1] == 1.5 && numbers[2].is_nan() && numbers[3].is_nan());
        let mut csv = Vec::new();
        Table::default().with("v", Column::Float(numbers)).write_text(Format::Ndjson, &mut csv).expect("writes");
        assert_eq!(String::from_utf8(csv).expect("utf8"), "{\"v\":null}\n{\"v\":1.5}\n{\"v\":null}\n{\"v\":null}\n");
    }
}
