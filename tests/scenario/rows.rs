//! Inputs taken apart into rows and put together again: other batches, another order.

use std::collections::BTreeMap;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertColumns, Batch, ChangeColumns, EdgeColumns, LogColumns, MetricColumns, SignalKind,
};
use bellwether_engine::time::{EventTime, Span};

/// Batches are closed when they span this much event time: rows that wait longer for their
/// batch to fill would come later than the lateness allows.
const BATCH_SPAN_MAX: Span = Span::from_secs(20);

/// Rows are moved by at most this much when shuffled.
const SHUFFLE_MAX: Span = Span::from_secs(60);

/// The event times of a batch's rows; none for series, which have no time.
pub(crate) fn times(batch: &Batch) -> Option<Vec<i64>> {
    Some(match batch.kind() {
        SignalKind::Series => return None,
        SignalKind::Edge => EdgeColumns::of(batch).time.to_vec(),
        SignalKind::Change => ChangeColumns::of(batch).time.to_vec(),
        SignalKind::Metric => MetricColumns::of(batch).time.to_vec(),
        SignalKind::Log => LogColumns::of(batch).time.to_vec(),
        SignalKind::Alert => AlertColumns::of(batch).time.to_vec(),
    })
}

/// One row each, in order; what is not a batch stays as it is.
fn rows(inputs: &[Input]) -> Vec<Input> {
    let mut rows = Vec::new();
    for input in inputs {
        match input {
            Input::Batch(batch) => rows.extend((0..batch.len()).map(|i| Input::Batch(batch.slice(i, 1)))),
            other => rows.push(other.clone()),
        }
    }
    rows
}

/// The same rows in the order of their event time moved by a seeded amount of up to
/// [`SHUFFLE_MAX`]: within the lateness, so that nothing may change.
pub(crate) fn shuffled(inputs: &[Input], seed: u64) -> Vec<Input> {
    let mut keyed: Vec<(i64, Input)> = Vec::new();
    for (number, row) in rows(inputs).into_iter().enumerate() {
        let key = match &row {
            Input::Batch(batch) => times(batch).map_or(i64::MIN, |times| {
                let share = mix(seed, number as u64) >> 32;
                times[0] + ((share as i128 * SHUFFLE_MAX.0 as i128) >> 32) as i64
            }),
            Input::Tick(at) => at.0,
            Input::Catalogue { .. } | Input::Settings(_) => i64::MIN,
            Input::Action { at, .. } => at.0,
        };
        keyed.push((key, row));
    }
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, row)| row).collect()
}

/// The same rows in batches of at most `rows_max`.
pub(crate) fn rebatched(inputs: &[Input], rows_max: usize) -> Vec<Input> {
    let rows = rows(inputs);
    if rows_max == 1 {
        return rows;
    }
    let mut out = Vec::new();
    let mut open: BTreeMap<(String, SignalKind), Vec<Batch>> = BTreeMap::new();
    let mut since = EventTime::MAX;
    for row in rows {
        let Input::Batch(batch) = row else {
            flush(&mut open, &mut since, &mut out);
            out.push(row);
            continue;
        };
        let at = times(&batch).map_or(EventTime::MIN, |times| EventTime(times[0]));
        if since != EventTime::MAX && at.since(since) > BATCH_SPAN_MAX {
            flush(&mut open, &mut since, &mut out);
        }
        if at != EventTime::MIN {
            since = since.min(at);
        }
        let pile = open.entry((batch.tenant().to_owned(), batch.kind())).or_default();
        pile.push(batch);
        if pile.len() == rows_max {
            let full = std::mem::take(pile);
            out.push(together(&full));
        }
    }
    flush(&mut open, &mut since, &mut out);
    out
}

fn flush(open: &mut BTreeMap<(String, SignalKind), Vec<Batch>>, since: &mut EventTime, out: &mut Vec<Input>) {
    let piles = std::mem::take(open).into_values().filter(|pile| !pile.is_empty());
    out.extend(piles.map(|pile| together(&pile)));
    *since = EventTime::MAX;
}

fn together(pile: &[Batch]) -> Input {
    let (tenant, kind) = (pile[0].tenant(), pile[0].kind());
    let records = arrow::compute::concat_batches(&kind.schema(), pile.iter().map(Batch::records));
    let records = records.expect("rows of one kind have one schema");
    Input::Batch(Batch::new(tenant, kind, records).expect("the rows were a batch before"))
}

/// Two numbers into one (the finaliser of SplitMix64).
pub(crate) fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_add(b.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::folder::load;

    fn count(inputs: &[Input]) -> usize {
        inputs.iter().map(Input::rows).sum()
    }

    #[test]
    fn no_row_is_lost_or_made() {
        let scenario = load("plant-line");
        let inputs = scenario.play(scenario.seed).inputs;
        let whole = count(&inputs);
        let mixed = shuffled(&inputs, 3);
        assert_eq!(count(&mixed), whole);
        assert_ne!(mixed, rows(&inputs));
        for rows_max in [1, 100, 8_192] {
            let batches = rebatched(&mixed, rows_max);
            assert_eq!(count(&batches), whole);
            assert!(batches.iter().all(|input| input.rows() <= rows_max));
        }
    }

    #[test]
    fn a_shuffled_row_is_never_later_than_the_shuffle_allows() {
        let scenario = load("plant-line");
        let inputs = shuffled(&scenario.play(scenario.seed).inputs, 5);
        let mut newest = i64::MIN;
        for input in &inputs {
            let at = match input {
                Input::Batch(batch) => times(batch).map(|times| times[0]),
                Input::Tick(at) => Some(at.0),
                _ => None,
            };
            if let Some(at) = at {
                assert!(newest <= at.saturating_add(SHUFFLE_MAX.0));
                newest = newest.max(at);
            }
        }
        assert!(SHUFFLE_MAX.0 + BATCH_SPAN_MAX.0 < scenario.config.lateness.0);
    }
}
