//! Parquet: batches of the signal schemas as they are, any other table by column mapping.
//!
//! The reader of the `parquet` crate trusts what a file says about itself in some places and
//! panics on a damaged one, so it runs behind [`std::panic::catch_unwind`]: a damaged file is
//! an error like any other. How much memory a file may ask for is looked at before (`pages.rs`).

mod pages;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray, RecordBatch, RecordBatchReader};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float64Type, Int64Type, SchemaRef, TimeUnit as ArrowUnit, TimestampNanosecondType,
    UInt64Type,
};
use arrow::util::display::array_value_to_string;
use bellwether_engine::signal::{Batch, SignalKind};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::reader::ChunkReader;

use super::csv::{Role, place, push_wide, roles};
use super::row::{Row, RowsConfig};
use super::scalar::Scalar;
use super::signals::Signals;
use super::time::{TIME_SECS_MAX, TIME_SECS_MIN};
use crate::intake::reject::{BadRow, Reason};

/// Rows decoded at a time.
const ROWS_PER_BATCH: usize = 8_192;

/// Reads a Parquet file.
pub(crate) struct ParquetDecoder {
    reader: ParquetRecordBatchReader,
    shape: Shape,
    config: RowsConfig,
    tenant: String,
    signals: Signals,
    /// Rows read so far.
    rows: u64,
}

enum Shape {
    /// The file has exactly the columns of this kind.
    Signal(SignalKind),
    /// Columns by role.
    Rows(Vec<Role>),
}

/// Rows of one step.
#[derive(Debug, Default)]
pub(crate) struct ParquetChunk {
    /// What was decoded.
    pub batches: Vec<Batch>,
    /// Row numbers, from 1, and what is wrong with them.
    pub bad: Vec<(u64, BadRow)>,
    /// Rows of the file up to here.
    pub rows: u64,
}

impl ParquetDecoder {
    /// Opens `input` for `tenant`.
    ///
    /// # Errors
    /// [`BadRow`] (of no row) when it is no Parquet file or its columns mean nothing.
    pub(crate) fn new(
        input: impl ChunkReader + 'static,
        rows: &RowsConfig,
        tenant: &str,
    ) -> Result<ParquetDecoder, BadRow> {
        rows.check().map_err(|e| BadRow::new(Reason::Syntax, "", e.to_string()))?;
        let mut config = rows.clone();
        if !config.values.is_empty() {
            config.signal.get_or_insert(SignalKind::Metric);
        }
        let metadata = guarded(|| ArrowReaderMetadata::load(&input, ArrowReaderOptions::default()))?;
        guarded(|| pages::check(&input, metadata.metadata()))?;
        let reader = guarded(|| {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input, metadata);
            builder.with_batch_size(ROWS_PER_BATCH).build()
        })?;
        let shape = shape_of(&reader.schema(), &config)?;
        Ok(ParquetDecoder { reader, shape, config, tenant: tenant.to_owned(), signals: Signals::new(), rows: 0 })
    }

    /// The next rows; `None` at the end of the file.
    ///
    /// # Errors
    /// [`BadRow`] (of no row) when the file is damaged here; it cannot be read further.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<ParquetChunk>, BadRow> {
        let reader = &mut self.reader;
        let next = guarded(|| reader.next().transpose())?;
        let Some(records) = next else { return Ok(None) };
        let first_row = self.rows + 1;
        self.rows += records.num_rows() as u64;
        let mut chunk = ParquetChunk { rows: self.rows, ..ParquetChunk::default() };
        match &self.shape {
            Shape::Signal(kind) => {
                let batch = signal_batch(*kind, &records, &self.tenant)?;
                chunk.bad.extend(bad_times(&batch, first_row));
                chunk.batches.extend(without(batch, &chunk.bad, first_row));
            }
            Shape::Rows(roles) => {
                let columns: Vec<Column> = records.columns().iter().map(Column::of).collect();
                for index in 0..records.num_rows() {
                    let mut row = Row::default();
                    let mut wide = Vec::new();
                    for (role, column) in roles.iter().zip(&columns) {
                        let value = match (role, column) {
                            // A label is text: a list or a map is written out, and nothing is lost.
                            (Role::Label(_) | Role::Annotation(_) | Role::Unknown(_), Column::Nested(array)) => {
                                written_out(array, index)
                            }
                            _ => column.value(index),
                        };
                        place(&mut row, &mut wide, role, value);
                    }
                    if let Err(bad) = push_wide(&mut self.signals, &self.config, &mut row, wide) {
                        chunk.bad.push((first_row + index as u64, bad));
                    }
                }
                chunk.batches = self.signals.take(&self.tenant);
            }
        }
        Ok(Some(chunk))
    }
}

fn guarded<T, E: std::fmt::Display>(read: impl FnOnce() -> Result<T, E>) -> Result<T, BadRow> {
    let damaged = |reason: &str| {
        let detail = match missing_codec(reason) {
            Some(codec) => format!(
                "is compressed with {codec}, which is not supported: write it with snappy, gzip, lz4, zstd or uncompressed"
            ),
            None => format!("the Parquet file is damaged or cut short: {reason}"),
        };
        BadRow::new(Reason::Syntax, "", detail)
    };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(damaged(&error.to_string())),
        Err(_) => Err(damaged("its lengths contradict each other")),
    }
}

/// The codec that the reader says it lacks.
fn missing_codec(reason: &str) -> Option<&str> {
    const SAYS: [&str; 2] = ["Disabled feature at compile time: ", "The codec type "];
    let after = SAYS.iter().find_map(|says| reason.split_once(says))?.1;
    after.split_ascii_whitespace().next()
}

/// A list, a map or a structure as text.
fn written_out(array: &ArrayRef, row: usize) -> Scalar<'static> {
    if array.is_null(row) {
        return Scalar::Null;
    }
    array_value_to_string(array, row).map_or(Scalar::Nested, |text| Scalar::Text(Cow::Owned(text)))
}

fn shape_of(schema: &SchemaRef, config: &RowsConfig) -> Result<Shape, BadRow> {
    let names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    let kind = SignalKind::ALL.into_iter().find(|kind| {
        let want = kind.schema();
        want.fields().iter().map(|f| f.name()).eq(names.iter())
            && want
                .fields()
                .iter()
                .zip(schema.fields())
                .all(|(want, have)| want.data_type().equals_datatype(have.data_type()))
    });
    match kind {
        Some(kind) if config.columns.is_empty() && config.values.is_empty() => Ok(Shape::Signal(kind)),
        _ => roles(&names, config).map(Shape::Rows),
    }
}

/// The records under the kind's own schema; nulls where there may be none are an error.
fn signal_batch(kind: SignalKind, records: &RecordBatch, tenant: &str) -> Result<Batch, BadRow> {
    let schema = kind.schema();
    let columns: Result<Vec<ArrayRef>, _> =
        schema.fields().iter().zip(records.columns()).map(|(field, column)| cast(column, field.data_type())).collect();
    columns
        .and_then(|columns| RecordBatch::try_new(schema, columns))
        .map_err(|e| BadRow::new(Reason::Type, "", e.to_string()))
        .and_then(|records| Batch::new(tenant, kind, records).map_err(|e| BadRow::new(Reason::Type, "", e.to_string())))
}

/// Rows of a signal batch whose time is out of range or whose value is not finite.
fn bad_times(batch: &Batch, first_row: u64) -> Vec<(u64, BadRow)> {
    if batch.kind() == SignalKind::Series {
        return Vec::new();
    }
    let times = batch.records().column(0).as_primitive::<TimestampNanosecondType>();
    let range = TIME_SECS_MIN * 1_000_000_000..TIME_SECS_MAX * 1_000_000_000;
    let mut bad = Vec::new();
    for (index, time) in times.values().iter().enumerate() {
        if !range.contains(time) {
            let detail = format!(
                "`{}` is outside 2000 to 2090: check the clock and the unit",
                bellwether_engine::time::EventTime(*time)
            );
            bad.push((first_row + index as u64, BadRow::new(Reason::Time, "time", detail)));
        }
    }
    if batch.kind() == SignalKind::Metric {
        let values = batch.records().column(2).as_primitive::<Float64Type>();
        for (index, value) in values.values().iter().enumerate().filter(|(_, v)| !v.is_finite()) {
            let detail = format!("`{value}` is not finite: leave the row out when there is no value");
            bad.push((first_row + index as u64, BadRow::new(Reason::NotFinite, "value", detail)));
        }
        bad.sort_by_key(|(row, _)| *row);
        bad.dedup_by_key(|(row, _)| *row);
    }
    bad
}

/// The runs of `batch` between bad rows, which are in order.
fn without(batch: Batch, bad: &[(u64, BadRow)], first_row: u64) -> Vec<Batch> {
    let mut runs = Vec::new();
    let mut start = 0;
    let ends = bad.iter().map(|(row, _)| (row - first_row) as usize).chain([batch.len()]);
    for end in ends {
        if end > start {
            runs.push(batch.slice(start, end - start));
        }
        start = end + 1;
    }
    runs
}

/// A column of any type as scalars.
enum Column {
    Text(ArrayRef),
    /// Bytes that nobody marked as text, as Impala and old Spark write it.
    Bytes(ArrayRef),
    Int(PrimitiveArray<Int64Type>),
    UInt(PrimitiveArray<UInt64Type>),
    Float(PrimitiveArray<Float64Type>),
    Bool(BooleanArray),
    /// Times, as nanoseconds in text so that no unit is guessed.
    Time(PrimitiveArray<TimestampNanosecondType>),
    Nested(ArrayRef),
}

impl Column {
    fn of(array: &ArrayRef) -> Column {
        let nested = || Column::Nested(array.clone());
        let as_type = |to: DataType| cast(array, &to).ok();
        match array.data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(_, _) => {
                as_type(DataType::Utf8).map_or_else(nested, Column::Text)
            }
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => as_type(DataType::Int64).map_or_else(nested, |a| Column::Int(typed(&a))),
            DataType::UInt64 => Column::UInt(typed(array)),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                as_type(DataType::Binary).map_or_else(nested, Column::Bytes)
            }
            DataType::Float16
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal32(_, _)
            | DataType::Decimal64(_, _)
            | DataType::Decimal128(_, _)
            | DataType::Decimal256(_, _) => {
                as_type(DataType::Float64).map_or_else(nested, |a| Column::Float(typed(&a)))
            }
            DataType::Boolean => Column::Bool(array.as_boolean().clone()),
            DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => {
                as_type(DataType::Timestamp(ArrowUnit::Nanosecond, None))
                    .map_or_else(nested, |a| Column::Time(typed(&a)))
            }
            _ => nested(),
        }
    }

    fn value(&self, row: usize) -> Scalar<'_> {
        let null = match self {
            Column::Text(a) | Column::Bytes(a) | Column::Nested(a) => a.is_null(row),
            Column::Int(a) => a.is_null(row),
            Column::UInt(a) => a.is_null(row),
            Column::Float(a) => a.is_null(row),
            Column::Bool(a) => a.is_null(row),
            Column::Time(a) => a.is_null(row),
        };
        if null {
            return Scalar::Null;
        }
        match self {
            Column::Text(a) => Scalar::Text(Cow::Borrowed(a.as_string::<i32>().value(row))),
            Column::Bytes(a) => Scalar::Text(text_of(a.as_binary::<i32>().value(row))),
            Column::Int(a) => Scalar::Int(a.value(row)),
            Column::UInt(a) => Scalar::UInt(a.value(row)),
            Column::Float(a) => Scalar::Float(a.value(row)),
            Column::Bool(a) => Scalar::Bool(a.value(row)),
            Column::Time(a) => {
                let at = bellwether_engine::time::EventTime(a.value(row));
                Scalar::Text(Cow::Owned(at.to_string()))
            }
            Column::Nested(_) => Scalar::Nested,
        }
    }
}

/// Text as it is; what is none (an identifier of 16 bytes) in hexadecimal digits.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
    }
}

fn typed<T: ArrowPrimitiveType>(array: &ArrayRef) -> PrimitiveArray<T> {
    array.as_primitive::<T>().clone()
}

/// Writes batches of one kind to Parquet bytes, as the signal schemas have them.
///
/// # Errors
/// When a batch is of another kind or the writer refuses it.
pub fn write_parquet(
    kind: SignalKind,
    batches: &[Batch],
    out: impl std::io::Write + Send,
) -> Result<(), parquet::errors::ParquetError> {
    let mut writer = parquet::arrow::ArrowWriter::try_new(out, Arc::clone(&kind.schema()), None)?;
    for batch in batches {
        writer.write(batch.records())?;
    }
    writer.close()?;
    Ok(())
}

#[cfg(test)]
mod tests;
