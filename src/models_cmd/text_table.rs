//! What the `models` commands read: a CSV with a header, or Parquet, its cells as
//! text. A broken cell is an error that names file, row and column; an empty
//! numeric cell is a missing value (NaN).

use super::text_rows::{TextRows, broken_cell, position};
use anyhow::{Context, Result};
use std::io::BufRead;
use std::path::Path;

/// A CSV with a header, or a Parquet file, cells as text.
#[derive(Debug, Clone, PartialEq)]
pub struct TextTable {
    name: String,
    /// Number of the first row in messages: the header of a CSV is its first.
    first_row: usize,
    /// Column names, in order.
    pub header: Vec<String>,
    records: Vec<csv::StringRecord>,
}

impl TextTable {
    /// Reads a whole CSV, or Parquet, which is known by its first bytes.
    ///
    /// # Errors
    /// When the file cannot be read, has no header, or a row has another
    /// number of cells than the header.
    pub fn read(path: &Path) -> Result<Self> {
        Self::all(TextRows::open(path)?)
    }

    /// Reads a whole CSV from `reader`; `name` is used in messages.
    ///
    /// # Errors
    /// As [`TextTable::read`].
    pub fn from_reader(name: &str, reader: impl BufRead) -> Result<Self> {
        Self::all(TextRows::of(name, Box::new(reader))?)
    }

    fn all(mut rows: TextRows<'_>) -> Result<Self> {
        let mut records = Vec::new();
        let mut record = csv::StringRecord::new();
        while rows.next_into(&mut record)? {
            records.push(record.clone());
        }
        let (name, first_row) = (rows.name().to_owned(), rows.first_row());
        Ok(Self { name, first_row, header: rows.header, records })
    }

    /// Number of data rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.records.len()
    }

    /// The index of a column, by name without regard to case.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        position(&self.header, name)
    }

    /// The index of a column that must be there.
    ///
    /// # Errors
    /// When it is not, naming the columns there are.
    pub fn require(&self, name: &str) -> Result<usize> {
        self.position(name).with_context(|| {
            let columns = self.header.join("`, `");
            format!("`{}` has no column `{name}`; its columns are `{columns}`: name one by flag", self.name)
        })
    }

    /// The index of the value column: the one called `name`, else the only one
    /// whose name is not among `others`.
    ///
    /// # Errors
    /// When there is none or there are several, naming the columns there are.
    pub fn value_column(&self, name: &str, others: &[&str]) -> Result<usize> {
        if let Some(column) = self.position(name) {
            return Ok(column);
        }
        let is_value = |i: &usize| !others.iter().any(|other| self.header[*i].eq_ignore_ascii_case(other));
        let mut values = (0..self.header.len()).filter(is_value);
        match (values.next(), values.next()) {
            (Some(only), None) => Ok(only),
            _ => self.require(name),
        }
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

    /// One column as yes or no: 1 and 0, or words.
    ///
    /// # Errors
    /// Naming file, row and column of the first cell that is neither.
    pub fn flags(&self, column: usize) -> Result<Vec<bool>> {
        self.cells(column, A_FLAG, parse_flag)
    }

    /// One column as times in nanoseconds: see [`parse_time`].
    ///
    /// # Errors
    /// Naming file, row and column of the first cell that is no time.
    pub fn times(&self, column: usize) -> Result<Vec<i64>> {
        self.cells(column, A_TIME, parse_time)
    }

    fn cells<T>(&self, column: usize, wanted: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>> {
        let mut out = Vec::with_capacity(self.records.len());
        for (index, record) in self.records.iter().enumerate() {
            let cell = record.get(column).unwrap_or("");
            let Some(value) = parse(cell) else {
                return Err(broken_cell(&self.name, index + self.first_row, &self.header[column], cell, wanted));
            };
            out.push(value);
        }
        Ok(out)
    }
}

/// What a cell of yes or no has to be, for messages.
pub(super) const A_FLAG: &str = "1 or 0 (or true, false, yes, no)";
/// What a cell of a time has to be, for messages.
pub(super) const A_TIME: &str =
    "a time (seconds, milliseconds, microseconds or nanoseconds since 1970, or 2026-11-20T14:00:00Z)";

/// Yes or no: 1 and 0, or words.
pub(super) fn parse_flag(cell: &str) -> Option<bool> {
    match cell.to_ascii_lowercase().as_str() {
        "1" | "1.0" | "true" | "yes" => Some(true),
        "0" | "0.0" | "false" | "no" => Some(false),
        _ => None,
    }
}

/// A time as nanoseconds since 1970. Numbers are taken as seconds,
/// milliseconds, microseconds or nanoseconds by their size (seconds reach to
/// the year 5138, milliseconds start in 1973), but for those that read as a date of
/// 1900 to 2099 (`20260801`, `202608011030`, `20260801103000`); text as ISO 8601 / RFC 3339,
/// with a space or `T`, UTC where no offset is given.
#[must_use]
pub fn parse_time(text: &str) -> Option<i64> {
    if let Some(date) = date_of_digits(text) {
        return in_utc(date);
    }
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
    in_utc(text.parse::<jiff::civil::DateTime>().ok()?)
}

fn in_utc(civil: jiff::civil::DateTime) -> Option<i64> {
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    i64::try_from(zoned.timestamp().as_nanosecond()).ok()
}

/// Year, month and day, with hour and minute, with the second, written without anything between them.
fn date_of_digits(text: &str) -> Option<jiff::civil::DateTime> {
    let digits = matches!(text.len(), 8 | 12 | 14) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return None;
    }
    let part = |from: usize, to: usize| text.get(from..to).map_or(Some(0), |part| part.parse::<i8>().ok());
    let year: i16 = text[..4].parse().ok().filter(|year| (1900..2100).contains(year))?;
    let (month, day, hour, minute, second) = (part(4, 6)?, part(6, 8)?, part(8, 10)?, part(10, 12)?, part(12, 14)?);
    jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()
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
            "20140410",
            "201404100000",
            "20140410000000",
        ] {
            assert_eq!(parse_time(text), expected, "{text}");
        }
        assert_eq!(parse_time("yesterday"), None);
        assert_eq!(parse_time("17"), Some(17_000_000_000));
        assert_eq!(parse_time("20141410"), Some(20_141_410_000_000_000), "no date: seconds");
        assert_eq!(parse_time("1397088000000000"), Some(1_397_088_000_000_000_000), "microseconds");
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
    fn missing_numbers_are_nan() {
        let table = TextTable::from_reader("a.csv", "v\nNaN\n1.5\n\"\"\ninf\n".as_bytes()).expect("reads");
        let numbers = table.numbers(0).expect("numbers");
        assert!(numbers[0].is_nan() && numbers[1] == 1.5 && numbers[2].is_nan() && numbers[3].is_nan());
    }

    #[test]
    fn semicolons_and_tabs_part_cells_where_the_header_says_so() {
        for text in ["timestamp;value\n1;2\n", "timestamp\tvalue\n1\t2\n", "timestamp,value\n1,2\n"] {
            let table = TextTable::from_reader("a.csv", text.as_bytes()).expect("reads");
            assert_eq!(table.numbers(table.require("value").expect("is there")).expect("numbers"), [2.0], "{text}");
        }
    }

    #[test]
    fn the_only_other_column_is_the_value() {
        let table = TextTable::from_reader("a.csv", "timestamp,cpu\n1,2\n".as_bytes()).expect("reads");
        assert_eq!(table.value_column("value", &["timestamp"]).expect("one is left"), 1);
        let table = TextTable::from_reader("a.csv", "timestamp,a,b\n1,2,3\n".as_bytes()).expect("reads");
        assert!(table.value_column("value", &["timestamp"]).is_err());
    }

    #[test]
    fn broken_rows_say_what_is_wrong() {
        let fault = |text: &[u8]| TextTable::from_reader("a.csv", text).expect_err("broken").to_string();
        assert_eq!(fault(b"a,b\n1,2\n1,2,3\n"), "`a.csv` row 3 is broken: it has 3 cells, the header 2");
        assert_eq!(fault(b"a,b\n1,\xff\n"), "`a.csv` row 2 is not text (UTF-8): is this a CSV file?");
        assert_eq!(fault(b"\xff\xfe,b\n"), "`a.csv`: the header is not text (UTF-8): is this a CSV file?");
    }
}
