//! Small typed reads of Arrow columns whose types a batch has already checked.

use arrow::array::{Array, RecordBatch, StringArray, TimestampNanosecondArray};

use crate::time::EventTime;

/// Column `index` of a checked batch as its concrete type.
pub(crate) fn column<T: Array + 'static>(records: &RecordBatch, index: usize) -> &T {
    records.column(index).as_any().downcast_ref::<T>().expect("batch checked the column types")
}

/// The text of row `row`, or `None` when it is null.
pub(crate) fn optional_text(column: &StringArray, row: usize) -> Option<&str> {
    (!column.is_null(row)).then(|| column.value(row))
}

/// The time of row `row`, or `None` when it is null.
pub(crate) fn optional_time(column: &TimestampNanosecondArray, row: usize) -> Option<EventTime> {
    (!column.is_null(row)).then(|| EventTime(column.value(row)))
}
