//! When signals came, and when they say they happened.

use arrow::array::TimestampNanosecondArray;
use bellwether_engine::signal::Batch;
use bellwether_engine::time::EventTime;

use crate::host;

/// The time of arrival, for input that carries no time of its own. What is written to the
/// journal is the time of the event from then on: a replay reads the same.
pub fn arrival_time() -> EventTime {
    host::now()
}

/// The event times of a batch's rows, in nanoseconds, when its kind has them.
pub fn event_times(batch: &Batch) -> Option<&[i64]> {
    let column = batch.records().column_by_name("time")?;
    let times = column.as_any().downcast_ref::<TimestampNanosecondArray>()?;
    Some(times.values())
}
