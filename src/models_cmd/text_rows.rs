//! A CSV with a header, or Parquet, read row by row: for what is larger than its sum. A broken row is an
//! error that names file and row.

use super::io::open;
use super::parquet_rows;
use anyhow::{Context, Result, anyhow, bail};
use csv::StringRecord;
use std::io::BufRead;
use std::path::Path;

/// What a file's rows may hold at most, so that a wrong file cannot fill the
/// memory: 50 million rows are a year of seconds and then some.
pub(super) const ROWS_MAX: usize = 50_000_000;
/// The header of a CSV is its first row.
const FIRST_ROW_OF_CSV: usize = 2;

/// Where the rows come from.
enum Source<'r> {
    Csv(Box<csv::Reader<Box<dyn BufRead + 'r>>>),
    Parquet(std::vec::IntoIter<StringRecord>),
}

/// The rows of one file.
pub struct TextRows<'r> {
    name: String,
    /// Column names, in order.
    pub header: Vec<String>,
    source: Source<'r>,
    first_row: usize,
    read: usize,
}

impl<'r> TextRows<'r> {
    /// Opens a CSV, or Parquet, which is known by its first bytes.
    ///
    /// # Errors
    /// When the file cannot be read or has no header.
    pub fn open(path: &Path) -> Result<Self> {
        if parquet_rows::is_parquet(path) {
            let (header, records) = parquet_rows::read(path, ROWS_MAX)?;
            let (name, source) = (path.display().to_string(), Source::Parquet(records.into_iter()));
            return Ok(Self { name, header, source, first_row: 1, read: 0 });
        }
        let name = if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() };
        Self::of(&name, open(path)?)
    }

    /// Reads CSV from `reader`; `name` is used in messages.
    ///
    /// # Errors
    /// As [`TextRows::open`].
    pub fn of(name: &str, mut reader: Box<dyn BufRead + 'r>) -> Result<Self> {
        let delimiter = delimiter(reader.fill_buf().with_context(|| format!("cannot read `{name}`"))?);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).delimiter(delimiter).from_reader(reader);
        let header = reader.headers().map_err(|error| anyhow!("`{name}`: the header is {}", csv_fault(&error)))?;
        let header: Vec<String> = header.iter().map(|h| h.trim_start_matches('\u{feff}').to_owned()).collect();
        if header.iter().all(String::is_empty) {
            bail!("`{name}` is empty: a header line such as `timestamp,value` is needed");
        }
        let source = Source::Csv(Box::new(reader));
        Ok(Self { name: name.to_owned(), header, source, first_row: FIRST_ROW_OF_CSV, read: 0 })
    }

    /// The file, for messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the first row, for messages.
    #[must_use]
    pub fn first_row(&self) -> usize {
        self.first_row
    }

    /// The number of the row that was read last, for messages.
    #[must_use]
    pub fn row(&self) -> usize {
        self.first_row + self.read.saturating_sub(1)
    }

    /// Reads the next row into `record`; false at the end.
    ///
    /// # Errors
    /// When it is broken, or a row has another number of cells than the header.
    pub fn next_into(&mut self, record: &mut StringRecord) -> Result<bool> {
        let more = match &mut self.source {
            Source::Csv(reader) => reader.read_record(record).map_err(|error| {
                anyhow!("`{}` row {} is {}", self.name, self.first_row + self.read, csv_fault(&error))
            })?,
            Source::Parquet(records) => match records.next() {
                Some(next) => {
                    *record = next;
                    true
                }
                None => false,
            },
        };
        if more && self.read == ROWS_MAX {
            bail!("`{}` has more than {ROWS_MAX} rows: split it", self.name);
        }
        self.read += usize::from(more);
        Ok(more)
    }

    /// The index of a column, by name without regard to case.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        position(&self.header, name)
    }

    /// A cell of the row read last that is `wanted`, as `parse` reads it.
    ///
    /// # Errors
    /// Naming file, row and column when it is not.
    pub fn cell<T>(
        &self,
        record: &StringRecord,
        column: usize,
        wanted: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let cell = record.get(column).unwrap_or("");
        parse(cell).ok_or_else(|| broken_cell(&self.name, self.row(), &self.header[column], cell, wanted))
    }
}

/// The index of a column, by name without regard to case.
pub(super) fn position(header: &[String], name: &str) -> Option<usize> {
    header.iter().position(|h| h.eq_ignore_ascii_case(name))
}

/// The error about a cell that is not what is wanted.
pub(super) fn broken_cell(name: &str, row: usize, column: &str, cell: &str, wanted: &str) -> anyhow::Error {
    anyhow!("`{name}` row {row} column `{column}`: `{}` is not {wanted}", clip(cell))
}

/// What parts the cells of a file that begins like this: the first of comma,
/// semicolon and tab that its first line holds.
fn delimiter(begin: &[u8]) -> u8 {
    let line = begin.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // Marks inside a quoted name part nothing: `Zeit;"CPU, gesamt"`.
    let outside = || line.split(|byte| *byte == b'"').step_by(2);
    b",;\t".iter().copied().find(|mark| outside().any(|part| part.contains(mark))).unwrap_or(b',')
}

/// What is wrong with a row, in words that follow "is".
fn csv_fault(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("broken: it has {len} cells, the header {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "not text (UTF-8): is this a CSV file?".to_owned(),
        csv::ErrorKind::Io(error) => format!("not readable: {error}"),
        _ => format!("not CSV: {error}"),
    }
}

/// At most 60 characters of a cell, for messages.
fn clip(cell: &str) -> String {
    cell.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_inside_a_quoted_name_part_nothing() {
        assert_eq!(delimiter(b"Zeit;\"CPU, gesamt\"\n1;2"), b';');
        assert_eq!(delimiter(b"\"a;b\",\"c\"\n"), b',');
    }

    #[test]
    fn rows_come_one_by_one_and_a_broken_one_has_its_number() {
        let mut rows = TextRows::of("a.csv", Box::new("a,b\n1,2\n3,x\n5\n".as_bytes())).expect("a header");
        let mut record = StringRecord::new();
        assert!(rows.next_into(&mut record).expect("whole"));
        assert_eq!((rows.row(), record.get(1)), (2, Some("2")));
        assert!(rows.next_into(&mut record).expect("whole"));
        let number = |cell: &str| cell.parse::<u8>().ok();
        let error = rows.cell(&record, 1, "a number", number).expect_err("x is none").to_string();
        assert_eq!(error, "`a.csv` row 3 column `b`: `x` is not a number");
        let error = rows.next_into(&mut record).expect_err("ragged").to_string();
        assert_eq!(error, "`a.csv` row 4 is broken: it has 1 cells, the header 2");
    }
}
