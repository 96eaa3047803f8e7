//! A Parquet file as rows of text, so that whatever reads a CSV reads it, too. Times are written as
//! ISO 8601 in UTC, what is missing as an empty cell.

use anyhow::{Context, Result, bail};
use arrow::array::{Array, ArrayRef, RecordBatch, TimestampNanosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// First bytes of Parquet.
const MAGIC: [u8; 4] = *b"PAR1";

/// Whether the file begins as Parquet does. What cannot be read is not: its reader says why.
#[must_use]
pub(super) fn is_parquet(path: &Path) -> bool {
    let mut begin = [0; MAGIC.len()];
    path.is_file() && File::open(path).is_ok_and(|mut file| file.read_exact(&mut begin).is_ok()) && begin == MAGIC
}

/// Names of the columns and the rows of a file, `rows_max` at most.
///
/// # Errors
/// When it is broken, has a column that is no single value, or more rows.
pub(super) fn read(path: &Path, rows_max: usize) -> Result<(Vec<String>, Vec<csv::StringRecord>)> {
    let broken = || format!("`{}` is no whole Parquet file", path.display());
    let file = File::open(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).with_context(broken)?;
    let header: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    if let Some(field) = builder.schema().fields().iter().find(|field| field.data_type().is_nested()) {
        let (name, kind) = (field.name(), field.data_type());
        bail!("`{}` column `{name}` is a {kind}: write one value a cell", path.display());
    }
    let mut records = Vec::new();
    for batch in builder.build().with_context(broken)? {
        let batch = batch.with_context(broken)?;
        if records.len() + batch.num_rows() > rows_max {
            bail!("`{}` has more than {rows_max} rows: split it", path.display());
        }
        push_rows(&batch, &mut records).with_context(broken)?;
    }
    Ok((header, records))
}

fn push_rows(batch: &RecordBatch, records: &mut Vec<csv::StringRecord>) -> Result<()> {
    let options = FormatOptions::default().with_null("");
    let columns: Vec<ArrayRef> = batch.columns().iter().map(in_nanoseconds).collect::<Result<_>>()?;
    let cells: Vec<Cells<'_>> = columns.iter().map(|column| Cells::of(column, &options)).collect::<Result<_>>()?;
    for row in 0..batch.num_rows() {
        records.push(cells.iter().map(|cells| cells.text(row)).collect());
    }
    Ok(())
}

/// Times of any unit as nanoseconds without a zone: they are instants, whatever zone they are shown in.
fn in_nanoseconds(column: &ArrayRef) -> Result<ArrayRef> {
    match column.data_type() {
        DataType::Timestamp(unit, _) => {
            let plain = cast(column, &DataType::Timestamp(*unit, None))?;
            Ok(cast(&plain, &DataType::Timestamp(TimeUnit::Nanosecond, None))?)
        }
        _ => Ok(column.clone()),
    }
}

enum Cells<'a> {
    Times(&'a TimestampNanosecondArray),
    Shown(ArrayFormatter<'a>),
}

impl<'a> Cells<'a> {
    fn of(column: &'a ArrayRef, options: &FormatOptions<'a>) -> Result<Self> {
        Ok(match column.as_any().downcast_ref::<TimestampNanosecondArray>() {
            Some(times) => Self::Times(times),
            None => Self::Shown(ArrayFormatter::try_new(column, options)?),
        })
    }

    fn text(&self, row: usize) -> String {
        match self {
            Self::Times(times) if times.is_null(row) => String::new(),
            Self::Times(times) => super::io::stamp(times.value(row)),
            Self::Shown(cells) => cells.value(row).to_string(),
        }
    }
}
