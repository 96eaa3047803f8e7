//! Whether what is accepted also arrives: what makes a running process not ready beside its doors.
//!
//! An engine that falls behind, or a receiver that gets nothing, does not show where senders are answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellwether_connectors::journal::Position;
use bellwether_connectors::outbox;

use super::gauges::Gauges;

/// How long an entry may wait for the engine.
const ENGINE_LAG_MAX: Duration = Duration::from_secs(60);
/// How long an event may wait for a receiver.
const READER_LAG_MAX: Duration = Duration::from_secs(300);

/// Looks at the gauges whenever somebody asks.
pub struct Readiness {
    gauges: Arc<Gauges>,
    /// Of each partition.
    lags: Mutex<Vec<Lag>>,
}

impl Readiness {
    /// Of what `gauges` show.
    pub fn new(gauges: Arc<Gauges>) -> Readiness {
        let lags = gauges.positions().map(|_| Lag::default()).collect();
        Readiness { gauges, lags: Mutex::new(lags) }
    }

    /// Why senders had better wait, in words; `durable` are the ends of the journals.
    pub fn reasons(&self, durable: &[Position]) -> Vec<String> {
        let mut reasons = Vec::new();
        let mut lags = self.lags.lock().unwrap_or_else(PoisonError::into_inner);
        let several = lags.len() > 1;
        for (partition, ((lag, read), end)) in lags.iter_mut().zip(self.gauges.positions()).zip(durable).enumerate() {
            if let Some(behind) = lag.beyond(read, *end, Instant::now()) {
                let (secs, entries) = (behind.as_secs(), end.0.saturating_sub(read.0));
                let which = if several { format!(" of partition {partition}") } else { String::new() };
                reasons
                    .push(format!("the engine{which} is {secs} s behind the journal, with {entries} entries to read"));
            }
        }
        for (reader, records) in outbox::waiting(self.gauges.readers(), READER_LAG_MAX) {
            let minutes = READER_LAG_MAX.as_secs() / 60;
            reasons
                .push(format!("receiver `{reader}` has got nothing for {minutes} min; {records} records wait for it"));
        }
        reasons
    }
}

/// How long the engine has taken to read what was there when it was first looked for.
#[derive(Default)]
struct Lag(Option<(Position, Instant)>);

impl Lag {
    /// How far behind the engine is, at `now`, when that is too far.
    fn beyond(&mut self, read: Position, durable: Position, now: Instant) -> Option<Duration> {
        let (end, since) = *self.0.get_or_insert((durable, now));
        if read >= end {
            self.0 = (read < durable).then_some((durable, now));
            return None;
        }
        let behind = now.saturating_duration_since(since);
        (behind > ENGINE_LAG_MAX).then_some(behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_reads_what_comes_is_not_behind_and_one_that_hangs_is() {
        let (mut lag, start) = (Lag::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        for secs in 0..600 {
            let end = 100 + 10 * secs;
            assert_eq!(lag.beyond(Position(end - 20), Position(end), at(secs)), None, "two seconds behind, at {secs}");
        }
        let hangs = Position(7_000);
        assert_eq!(lag.beyond(hangs, Position(8_000), at(700)), None);
        assert_eq!(lag.beyond(hangs, Position(9_000), at(730)), None);
        assert!(lag.beyond(hangs, Position(9_000), at(790)).is_some());
        assert_eq!(lag.beyond(Position(9_000), Position(9_000), at(791)), None, "it has caught up");
    }
}
