//! CSV files, gzipped or not, as columns of cells.

use super::{LabelledSeries, LoadError};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// A whole CSV file in memory.
pub(super) struct Rows {
    path: PathBuf,
    header: csv::StringRecord,
    records: Vec<csv::StringRecord>,
}

impl Rows {
    pub(super) fn read(path: &Path) -> Result<Self, LoadError> {
        let file = BufReader::new(File::open(path).map_err(LoadError::read(path))?);
        let plain: Box<dyn Read> = if path.extension().is_some_and(|e| e == "gz") {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        let row_error = |row| move |source| LoadError::Row { path: path.to_path_buf(), row, source };
        let mut reader = csv::Reader::from_reader(plain);
        let header = reader.headers().map_err(row_error(1))?.clone();
        let mut records = Vec::new();
        for (index, record) in reader.into_records().enumerate() {
            records.push(record.map_err(row_error(index + 2))?);
        }
        Ok(Self { path: path.to_path_buf(), header, records })
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn header(&self) -> impl Iterator<Item = &str> {
        self.header.iter()
    }

    pub(super) fn position(&self, column: &str) -> Result<usize, LoadError> {
        let found = self.header.iter().position(|h| h.eq_ignore_ascii_case(column));
        found.ok_or_else(|| LoadError::Column { path: self.path.clone(), column: column.to_owned() })
    }

    /// Parses one column; `wanted` names what a cell should be.
    pub(super) fn column<T>(
        &self,
        column: &str,
        wanted: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, LoadError> {
        let position = self.position(column)?;
        let cell = |(index, record): (usize, &csv::StringRecord)| {
            let cell = record.get(position).unwrap_or("");
            parse(cell).ok_or_else(|| LoadError::Cell {
                path: self.path.clone(),
                row: index + 2,
                column: column.to_owned(),
                cell: cell.to_owned(),
                wanted,
            })
        };
        self.records.iter().enumerate().map(cell).collect()
    }
}

/// A number; an empty cell is missing.
pub(super) fn number(cell: &str) -> Option<f64> {
    if cell.is_empty() { Some(f64::NAN) } else { cell.parse().ok() }
}

/// A 0/1 label; floats occur.
pub(super) fn label(cell: &str) -> Option<bool> {
    cell.parse::<f64>().ok().map(|x| x > 0.5)
}

/// Seconds since 1970, or a UTC time as text.
pub(super) fn seconds(cell: &str) -> Option<i64> {
    if let Ok(seconds) = cell.parse() {
        return Some(seconds);
    }
    if let Ok(instant) = cell.parse::<jiff::Timestamp>() {
        return Some(instant.as_second());
    }
    let civil = cell.parse::<jiff::civil::DateTime>().ok()?;
    Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Files of a folder with an ending, by name.
pub(super) fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, LoadError> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(LoadError::read(folder))? {
        let path = entry.map_err(LoadError::read(folder))?.path();
        if path.to_string_lossy().ends_with(ending) {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}

/// The file name without folder and ending.
pub(super) fn stem(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    name.trim_end_matches(".gz").trim_end_matches(".csv").to_owned()
}

/// A JSON side file.
pub(super) fn json(path: &Path) -> Result<serde_json::Value, LoadError> {
    let text = std::fs::read(path).map_err(LoadError::read(path))?;
    serde_json::from_slice(&text).map_err(|error| LoadError::meta(path, error))
}

/// Series of `timestamp,value,label` files whose `meta.json` holds `train_len`:
/// the layout shared by KPI and WSD.
pub(super) fn labelled_folder(folder: &Path) -> Result<Vec<LabelledSeries>, LoadError> {
    let meta_path = folder.join("meta.json");
    let meta = json(&meta_path)?;
    let mut out = Vec::new();
    for path in files(folder, ".csv.gz")? {
        let name = stem(&path);
        let train_len = meta[&name]["train_len"].as_u64();
        let train_len = train_len.ok_or_else(|| LoadError::meta(&meta_path, format!("`{name}` has no train_len")))?;
        out.push(labelled_file(&path, train_len as usize)?);
    }
    Ok(out)
}

/// One `timestamp,value,label` file.
pub(super) fn labelled_file(path: &Path, train_len: usize) -> Result<LabelledSeries, LoadError> {
    let rows = Rows::read(path)?;
    Ok(LabelledSeries {
        name: stem(path),
        at_secs: rows.column("timestamp", "a time", seconds)?,
        values: rows.column("value", "a number", number)?,
        labels: rows.column("label", "0 or 1", label)?,
        train_len: train_len.min(rows.len()),
        path: path.to_path_buf(),
    })
}

/// All value columns of a machine's file, row-major, and the labels if any.
pub(super) fn matrix(path: &Path) -> Result<(usize, Vec<f64>, Vec<bool>), LoadError> {
    let rows = Rows::read(path)?;
    let names: Vec<String> = rows.header().filter(|h| *h != "label").map(str::to_owned).collect();
    let mut values = vec![0.0; names.len() * rows.len()];
    for (column, name) in names.iter().enumerate() {
        for (row, value) in rows.column(name, "a number", number)?.into_iter().enumerate() {
            values[row * names.len() + column] = value;
        }
    }
    let labels = if rows.header().any(|h| h == "label") { rows.column("label", "0 or 1", label)? } else { Vec::new() };
    Ok((names.len(), values, labels))
}

/// Machines of a folder of `<name>_train.csv.gz` and `<name>_test.csv.gz`.
pub(super) fn machines(folder: &Path) -> Result<Vec<super::Machine>, LoadError> {
    let mut out = Vec::new();
    for test_path in files(folder, "_test.csv.gz")? {
        let name = stem(&test_path).trim_end_matches("_test").to_owned();
        let train_path = folder.join(format!("{name}_train.csv.gz"));
        let (dims, train, _) = matrix(&train_path)?;
        let (test_dims, test, labels) = matrix(&test_path)?;
        if dims != test_dims {
            return Err(LoadError::meta(&test_path, format!("{test_dims} series, but {dims} in training")));
        }
        out.push(super::Machine { name, dims, train, test, labels, paths: [train_path, test_path] });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_cell_names_file_row_and_column() {
        let path = std::env::temp_dir().join(format!("bellwether-rows-{}.csv", std::process::id()));
        std::fs::write(&path, "timestamp,value,label\n1,2.5,0\n2,oops,1\n").expect("temporary file");
        let error = labelled_file(&path, 1).expect_err("oops is no number").to_string();
        std::fs::remove_file(&path).expect("temporary file");
        assert!(error.ends_with("row 3 column `value`: `oops` is not a number"), "{error}");
    }

    #[test]
    fn times_are_seconds_or_text() {
        assert_eq!(seconds("1397088000"), Some(1_397_088_000));
        assert_eq!(seconds("2014-04-10 00:00:00"), Some(1_397_088_000));
        assert_eq!(seconds("2014-04-10T00:00:00Z"), Some(1_397_088_000));
        assert_eq!(seconds("noon"), None);
    }
}
