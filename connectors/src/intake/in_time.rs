//! Batches of several kinds that were read together, put in order of time.
//!
//! A chunk of a file gives one batch for each kind: all its changes, all its alerts, all its log
//! lines. When the chunk spans minutes, the last log line would make the first alert late. So
//! batches are cut where their rows move into another [`SLICE`] of event time, and the slices
//! are put in order. What spans less stays whole: dense telemetry pays nothing.

use arrow::array::TimestampNanosecondArray;
use bellwether_engine::input::Input;
use bellwether_engine::signal::Batch;

/// Out of order by at most this much, in nanoseconds: below any sensible lateness.
const SLICE: i64 = 2_000_000_000;

/// `inputs` in order of time, slice by slice; what has no time keeps its place before the rest.
pub(crate) fn in_time_order(inputs: &[Input]) -> Vec<Input> {
    let Some((first, last)) = time_range(inputs) else { return inputs.to_vec() };
    if last - first < SLICE || inputs.len() < 2 {
        return inputs.to_vec();
    }
    let mut slices: Vec<(i64, Input)> = inputs.iter().flat_map(cut).collect();
    // Stable: kinds of one slice stay in the order in which they act.
    slices.sort_by_key(|(slice, _)| *slice);
    slices.into_iter().map(|(_, input)| input).collect()
}

fn times(batch: &Batch) -> Option<&[i64]> {
    let column = batch.records().column_by_name("time")?;
    let times = column.as_any().downcast_ref::<TimestampNanosecondArray>()?;
    Some(times.values())
}

fn time_range(inputs: &[Input]) -> Option<(i64, i64)> {
    let of_input = |input: &Input| match input {
        Input::Batch(batch) => Some((*times(batch)?.iter().min()?, *times(batch)?.iter().max()?)),
        Input::Tick(at) => Some((at.0, at.0)),
        Input::Catalogue { .. } | Input::Action { .. } | Input::Settings(_) => None,
    };
    inputs.iter().filter_map(of_input).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

fn cut(input: &Input) -> Vec<(i64, Input)> {
    let slice_of = |at: i64| at.div_euclid(SLICE);
    match input {
        Input::Tick(at) => vec![(slice_of(at.0), input.clone())],
        Input::Catalogue { .. } | Input::Action { .. } | Input::Settings(_) => vec![(i64::MIN, input.clone())],
        Input::Batch(batch) => {
            let Some(times) = times(batch) else { return vec![(i64::MIN, input.clone())] };
            let mut from = 0;
            let runs = times.chunk_by(|a, b| slice_of(*a) == slice_of(*b));
            let piece = |run: &[i64]| {
                let whole = Input::Batch(batch.slice(from, run.len()));
                from += run.len();
                (slice_of(run[0]), whole)
            };
            runs.map(piece).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::{LogBuilder, MetricBuilder};
    use bellwether_engine::time::EventTime;

    use super::*;

    fn metrics(secs: &[i64]) -> Input {
        let mut builder = MetricBuilder::new();
        secs.iter().for_each(|at| builder.push(EventTime::from_secs(*at), 7, 1.0));
        Input::Batch(builder.finish("acme").expect("a tenant"))
    }

    #[test]
    fn a_late_row_of_one_kind_does_not_make_another_kind_late() {
        let ordered = in_time_order(&[metrics(&[10, 11, 600]), metrics(&[100, 101, 300])]);
        let all: Vec<i64> = ordered
            .iter()
            .flat_map(|input| match input {
                Input::Batch(batch) => times(batch).expect("times").to_vec(),
                _ => Vec::new(),
            })
            .map(|at| at / 1_000_000_000)
            .collect();
        assert_eq!(all, [10, 11, 100, 101, 300, 600]);
    }

    #[test]
    fn what_is_close_in_time_stays_whole() {
        let dense = [metrics(&[10, 11]), metrics(&[10, 11])];
        assert_eq!(in_time_order(&dense), dense);
        let empty = Input::Batch(LogBuilder::new().finish("acme").expect("a tenant"));
        assert_eq!(in_time_order(std::slice::from_ref(&empty)), [empty]);
    }
}
