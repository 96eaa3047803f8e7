//! What the `models` commands open, and the one [`Table`] they write as CSV,
//! NDJSON or Parquet.

use anyhow::{Context, Result, bail};
use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampNanosecondArray,
};
use clap::ValueEnum;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
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

/// First bytes of gzip.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Opens a file, or stdin for `-`; gzip is known by its first bytes and
/// decompressed.
///
/// # Errors
/// When the file cannot be opened or is a folder.
pub fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let failed = || format!("cannot read `{}`", path.display());
    let raw: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(path).with_context(failed)?;
        if file.metadata().with_context(failed)?.is_dir() {
            bail!("cannot read `{}`: it is a folder, name a file in it", path.display());
        }
        Box::new(file)
    };
    let mut raw = BufReader::with_capacity(1 << 16, raw);
    if raw.fill_buf().with_context(failed)?.starts_with(&GZIP_MAGIC) {
        return Ok(Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(raw))));
    }
    Ok(Box::new(raw))
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
    /// Instants, nanoseconds since 1970: ISO 8601 in UTC as text, timestamps in Parquet. What is not
    /// known is written as an empty cell or null.
    Time(Vec<Option<i64>>),
    /// Instants that text shows as they were written.
    TimeAs(Vec<i64>, Vec<String>),
    /// Lists of texts: lists in Parquet and NDJSON, a JSON array in a cell of CSV.
    Texts(Vec<Vec<String>>),
}

/// An instant as ISO 8601; as nanoseconds where the calendar ends.
#[must_use]
pub fn stamp(at_ns: i64) -> String {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(at_ns));
    stamp.map_or_else(|_| at_ns.to_string(), |stamp| stamp.to_string())
}

impl Column {
    /// Instants that are all known.
    #[must_use]
    pub fn times(at_ns: impl IntoIterator<Item = i64>) -> Self {
        Self::Time(at_ns.into_iter().map(Some).collect())
    }

    fn len(&self) -> usize {
        match self {
            Self::Float(v) => v.len(),
            Self::Int(v) => v.len(),
            Self::Bool(v) | Self::Flag(v) => v.len(),
            Self::Text(v) | Self::TimeAs(_, v) => v.len(),
            Self::Time(v) => v.len(),
            Self::Texts(v) => v.len(),
        }
    }

    fn cell(&self, row: usize) -> String {
        match self {
            Self::Float(v) if v[row].is_finite() => v[row].to_string(),
            Self::Float(_) => String::new(),
            Self::Int(v) => v[row].to_string(),
            Self::Bool(v) => v[row].to_string(),
            Self::Flag(v) => i32::from(v[row]).to_string(),
            Self::Text(v) | Self::TimeAs(_, v) => v[row].clone(),
            Self::Time(v) => v[row].map(stamp).unwrap_or_default(),
            Self::Texts(v) => serde_json::json!(v[row]).to_string(),
        }
    }

    fn json(&self, row: usize) -> serde_json::Value {
        match self {
            Self::Float(v) => v[row].into(),
            Self::Int(v) => v[row].into(),
            Self::Bool(v) => v[row].into(),
            Self::Flag(v) => i32::from(v[row]).into(),
            Self::Text(v) | Self::TimeAs(_, v) => v[row].clone().into(),
            Self::Time(v) => v[row].map(stamp).into(),
            Self::Texts(v) => v[row].clone().into(),
        }
    }

    fn arrow(&self) -> ArrayRef {
        match self {
            Self::Float(v) => Arc::new(Float64Array::from_iter(v.iter().map(|x| x.is_finite().then_some(*x)))),
            Self::Int(v) => Arc::new(Int64Array::from(v.clone())),
            Self::Bool(v) => Arc::new(BooleanArray::from(v.clone())),
            Self::Flag(v) => Arc::new(Int64Array::from_iter_values(v.iter().map(|b| i64::from(*b)))),
            Self::Text(v) => Arc::new(StringArray::from(v.clone())),
            Self::Time(v) => Arc::new(TimestampNanosecondArray::from(v.clone()).with_timezone("UTC")),
            Self::TimeAs(v, _) => Arc::new(TimestampNanosecondArray::from(v.clone()).with_timezone("UTC")),
            Self::Texts(v) => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for texts in v {
                    texts.iter().for_each(|text| lists.values().append_value(text));
                    lists.append(true);
                }
                Arc::new(lists.finish())
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_numbers_come_out_empty() {
        let numbers = Column::Float(vec![f64::NAN, 1.5, f64::INFINITY]);
        let mut text = Vec::new();
        Table::default().with("v", numbers).write_text(Format::Ndjson, &mut text).expect("writes");
        assert_eq!(String::from_utf8(text).expect("utf8"), "{\"v\":null}\n{\"v\":1.5}\n{\"v\":null}\n");
    }

    #[test]
    fn gzip_is_known_by_its_bytes_not_its_name() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("packed");
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(b"v\n1\n").expect("packs");
        std::fs::write(&path, packer.finish().expect("packs")).expect("writes");
        let mut text = String::new();
        open(&path).expect("opens").read_to_string(&mut text).expect("unpacks");
        assert_eq!(text, "v\n1\n");
        let error = open(folder.path()).err().expect("a folder is no file").to_string();
        assert!(error.contains("it is a folder"), "{error}");
    }
}
