//! When the rows of a file happened: by their time column, by a plain counter in it, or by their number.

use crate::models_cmd::io::Column;
use crate::models_cmd::text_table::TextTable;
use crate::progress::note;
use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Step assumed when the file has no times.
pub(super) const STEP_NS: i64 = 60_000_000_000;
/// Nanoseconds of a second.
const SECOND_NS: i64 = 1_000_000_000;

/// What the files so far said about time: a file that goes on goes on with its clock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Clock {
    /// Rows so far.
    rows: i64,
    /// Whether the time column was a plain counter; `None` while two rows have not been seen.
    counts: Option<bool>,
}

impl Clock {
    /// The times of the rows of `table`, as a column and in nanoseconds; row numbers, as minutes,
    /// where it has no column `name`.
    pub(super) fn times(&mut self, table: &TextTable, name: &str) -> Result<(Column, Vec<i64>)> {
        let first = self.rows;
        self.rows += table.rows() as i64;
        let Some(column) = table.position(name) else {
            note(&format!("no column `{name}`: rows count as minutes (`--time-column` names another)"));
            let rows: Vec<i64> = (first..self.rows).collect();
            let at_ns = rows.iter().map(|row| row * STEP_NS).collect();
            return Ok((Column::Int(rows), at_ns));
        };
        let mut at_ns = table.times(column)?;
        if self.counts.is_none() && at_ns.len() > 1 {
            self.counts = Some(is_counter(&at_ns));
        }
        if self.counts == Some(true) {
            at_ns.iter_mut().for_each(|at| *at = at.saturating_mul(STEP_NS / SECOND_NS));
        }
        tell_order(&at_ns);
        Ok((Column::TimeAs(at_ns.clone(), table.text(column)), at_ns))
    }
}

/// Plain counters 0, 1, 2 … are row numbers, not seconds of 1970.
fn is_counter(at_ns: &[i64]) -> bool {
    let counts = |(i, at): (usize, &i64)| *at == (i as i64 + at_ns[0] / SECOND_NS).saturating_mul(SECOND_NS);
    at_ns[0].unsigned_abs() <= SECOND_NS.unsigned_abs() && at_ns.iter().enumerate().all(counts)
}

/// How far clocks are set back at the end of summer time, nanoseconds: half an hour on Lord Howe.
const SET_BACK_NS: std::ops::RangeInclusive<i64> = 25 * 60_000_000_000..=60 * 60_000_000_000;

/// Says where the clock was set back, where that is all, or how many rows are out of order.
fn tell_order(at_ns: &[i64]) {
    let backward: Vec<usize> = (1..at_ns.len()).filter(|row| at_ns[*row] <= at_ns[row - 1]).collect();
    // The clock goes back by an hour less one step.
    let set_back = |row: &usize| {
        let step = row.checked_sub(2).map_or(0, |before| at_ns[row - 1] - at_ns[before]).max(0);
        SET_BACK_NS.contains(&(at_ns[row - 1] - at_ns[*row] + step))
    };
    match backward.first() {
        // Once a year, however long the series is.
        Some(row) if backward.len() <= 1 + at_ns.len() / 500 && backward.iter().all(set_back) => note(&format!(
            "the clock goes back at row {}, as at the end of summer time: write times with their zone \
             (2026-10-25T02:30:00+01:00), or the hour that comes twice is judged as one",
            row + 2
        )),
        _ => tell_disorder(backward.len()),
    }
}

/// Says how many rows are not newer than the one before: models read a stream.
pub fn tell_disorder(rows: usize) {
    if rows > 0 {
        note(&format!("{rows} rows are not newer than the row before: sort them by time"));
    }
}
