//! CSV files as cells, for layouts with several header rows, odd columns or
//! lines of uneven length. `name.csv` and `name.csv.gz` are the same file.

use super::LoadError;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// A CSV file in memory, header rows included.
pub(super) struct Grid {
    /// The file that was read.
    pub(super) path: PathBuf,
    /// All rows, of any length.
    pub(super) rows: Vec<csv::StringRecord>,
}

impl Grid {
    /// Reads `path`, or the same with `.gz` added or taken away.
    pub(super) fn read(path: &Path) -> Result<Self, LoadError> {
        let path = either(path);
        let file = BufReader::new(File::open(&path).map_err(LoadError::read(&path))?);
        let plain: Box<dyn Read> = if path.extension().is_some_and(|e| e == "gz") {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(plain);
        let mut rows = Vec::new();
        for (index, record) in reader.records().enumerate() {
            let row = index + 1;
            rows.push(record.map_err(|source| LoadError::Row { path: path.clone(), row, source })?);
        }
        if rows.is_empty() {
            return Err(LoadError::meta(&path, "the file is empty"));
        }
        Ok(Self { path, rows })
    }

    /// Position of a column in the first row, ignoring case.
    pub(super) fn position(&self, column: &str) -> Result<usize, LoadError> {
        let found = self.rows[0].iter().position(|head| head.trim().eq_ignore_ascii_case(column));
        found.ok_or_else(|| LoadError::Column { path: self.path.clone(), column: column.to_owned() })
    }

    /// One cell, empty where the row is short.
    pub(super) fn text(&self, row: usize, column: usize) -> &str {
        self.rows[row].get(column).unwrap_or("").trim()
    }

    /// One cell as a number; an empty one, `nan` and `null` are missing (NaN).
    pub(super) fn number(&self, row: usize, column: usize) -> Result<f64, LoadError> {
        let cell = self.text(row, column);
        if cell.is_empty() || cell.eq_ignore_ascii_case("null") {
            return Ok(f64::NAN);
        }
        cell.parse().map_err(|_| self.bad(row, column, "a number"))
    }

    /// The error for a cell that does not parse.
    pub(super) fn bad(&self, row: usize, column: usize, wanted: &'static str) -> LoadError {
        LoadError::Cell {
            path: self.path.clone(),
            row: row + 1,
            column: self.rows[0].get(column).unwrap_or("").to_owned(),
            cell: self.text(row, column).chars().take(60).collect(),
            wanted,
        }
    }
}

/// The path, or the same with `.gz` added or taken away when only that exists.
pub(super) fn either(path: &Path) -> PathBuf {
    if path.exists() {
        return path.to_path_buf();
    }
    let other = if path.extension().is_some_and(|e| e == "gz") {
        path.with_extension("")
    } else {
        let mut name = path.as_os_str().to_owned();
        name.push(".gz");
        PathBuf::from(name)
    };
    if other.exists() { other } else { path.to_path_buf() }
}

/// Files of a folder whose name without `.gz` ends with `ending`, by name;
/// none when the folder does not exist.
pub(super) fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, LoadError> {
    let mut out = Vec::new();
    if !folder.is_dir() {
        return Ok(out);
    }
    for entry in std::fs::read_dir(folder).map_err(LoadError::read(folder))? {
        let path = entry.map_err(LoadError::read(folder))?.path();
        if plain_name(&path).ends_with(ending) {
            out.push(path);
        }
    }
    out.sort();
    out.dedup_by_key(|path| plain_name(path));
    Ok(out)
}

/// The file name without `.gz`.
pub(super) fn plain_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.trim_end_matches(".gz").to_owned()
}

/// Series over one clock, column by column.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Series {
    /// Name of each series.
    pub names: Vec<String>,
    /// Seconds since 1970 of each row.
    pub at_secs: Vec<f64>,
    /// One vector of values per series, NaN where missing.
    pub values: Vec<Vec<f64>>,
}

impl Series {
    /// Reads every column but those in `skip` as numbers over the column `clock`.
    pub(super) fn read(path: &Path, clock: &str, skip: &[&str]) -> Result<Self, LoadError> {
        let grid = Grid::read(path)?;
        let clock_column = grid.position(clock)?;
        let mut out = Self::default();
        for row in 1..grid.rows.len() {
            out.at_secs.push(grid.number(row, clock_column)?);
        }
        for column in 0..grid.rows[0].len() {
            let name = grid.text(0, column);
            if column == clock_column || skip.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                continue;
            }
            out.names.push(name.to_owned());
            let values: Result<Vec<f64>, LoadError> =
                (1..grid.rows.len()).map(|row| grid.number(row, column)).collect();
            out.values.push(values?);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_cell_names_file_row_and_column() {
        let path = std::env::temp_dir().join(format!("bellwether-grid-{}.csv", std::process::id()));
        std::fs::write(&path, "time,a_cpu\n1,2.5\n2,oops\n").expect("temporary file");
        let error = Series::read(&path, "time", &[]).expect_err("oops is no number").to_string();
        std::fs::remove_file(&path).expect("temporary file");
        assert!(error.ends_with("row 3 column `a_cpu`: `oops` is not a number"), "{error}");
    }

    #[test]
    fn a_file_is_found_with_and_without_gz() {
        let path = std::env::temp_dir().join(format!("bellwether-either-{}.csv.gz", std::process::id()));
        std::fs::write(&path, "x").expect("temporary file");
        assert_eq!(either(&path.with_extension("")), path);
        std::fs::remove_file(&path).expect("temporary file");
        assert_eq!(either(&path.with_extension("")), path.with_extension(""));
    }
}
