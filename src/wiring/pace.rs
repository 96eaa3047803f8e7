//! When the next checkpoint is due.
//!
//! The first of a process comes early, and each after it at twice the distance until the configured one is reached:
//! a process that dies again and again moves on whatever its pace. One that could not be written is tried again
//! at growing distances, and nothing waits for it.

use std::time::Duration;

use bellwether_connectors::host;
use bellwether_connectors::journal::Position;
use bellwether_engine::State;

/// The first checkpoint of a process comes after this,
const FIRST_AFTER: Duration = Duration::from_secs(1);
/// or after so many entries.
const FIRST_ENTRIES: u64 = 500;
/// The first further attempt at what could not be written; the next come at twice the distance.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest distance of attempts.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// When a checkpoint is due.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    /// After this long.
    pub every: Duration,
    /// After this many entries.
    pub entries: u64,
}

/// A snapshot that is not on disk yet.
pub(super) struct Pending {
    pub(super) position: Position,
    /// From when it is taken until it is being written: the incident log may not have caught up with it.
    pub(super) state: Option<State>,
}

/// Since the last checkpoint, and until the next.
pub(super) struct Pace {
    /// When the last one was taken, on the clock that never jumps.
    since: Duration,
    entries: u64,
    /// The distance in force, which grows to the cadence.
    now: Cadence,
    /// Attempts that failed, one after the other, and when the next is due.
    failed: Option<(u32, Duration)>,
    pub(super) pending: Option<Pending>,
}

impl Pace {
    pub(super) fn new() -> Pace {
        let now = Cadence { every: FIRST_AFTER, entries: FIRST_ENTRIES };
        Pace { since: host::uptime(), entries: 0, now, failed: None, pending: None }
    }

    /// An entry was folded.
    pub(super) fn folded(&mut self) {
        self.entries += 1;
    }

    /// The next is due at once: going back to the one before would be dear.
    pub(super) fn hurry(&mut self) {
        self.now.every = Duration::ZERO;
    }

    /// Whether something becomes due with time alone.
    pub(super) fn waits(&self) -> bool {
        self.pending.is_some() || self.entries > 0
    }

    /// Whether a snapshot is to be taken.
    pub(super) fn is_due(&self, cadence: &Cadence) -> bool {
        if self.pending.is_some() || self.entries == 0 {
            return false;
        }
        match self.failed {
            Some((_, next)) => host::uptime() >= next,
            None => {
                self.entries >= self.now.entries.min(cadence.entries)
                    || host::uptime().saturating_sub(self.since) >= self.now.every.min(cadence.every)
            }
        }
    }

    /// A snapshot is being taken of what is known up to `position`.
    pub(super) fn begun(&mut self, position: Position, cadence: &Cadence) {
        let grown = |span: Duration| span.saturating_mul(2).max(FIRST_AFTER).min(cadence.every);
        self.now =
            Cadence { every: grown(self.now.every), entries: self.now.entries.saturating_mul(2).min(cadence.entries) };
        (self.since, self.entries, self.pending) = (host::uptime(), 0, Some(Pending { position, state: None }));
    }

    /// It is taken.
    pub(super) fn taken(&mut self, state: State) {
        if let Some(pending) = &mut self.pending {
            pending.state = Some(state);
        }
    }

    /// It is gone before it was taken: the next is due at once.
    pub(super) fn gone(&mut self) {
        self.pending = None;
        self.entries += 1;
        self.hurry();
    }

    /// The snapshot that may be written once the log has the events up to `logged`.
    pub(super) fn ready(&mut self, logged: Position) -> Option<(Position, State)> {
        let pending = self.pending.as_mut().filter(|pending| pending.position <= logged)?;
        Some((pending.position, pending.state.take()?))
    }

    /// It is on disk. Answers whether those before it could not be written.
    pub(super) fn written(&mut self) -> bool {
        self.pending = None;
        self.failed.take().is_some()
    }

    /// It could not be written. Answers how many attempts have failed so far, and when the next is.
    pub(super) fn failed(&mut self) -> (u32, Duration) {
        let before = self.failed.map_or(0, |(attempts, _)| attempts);
        let pause = RETRY_FIRST.saturating_mul(1 << before.min(16)).min(RETRY_MAX);
        self.pending = None;
        self.failed = Some((before.saturating_add(1), host::uptime() + pause));
        // What was read since the last one on disk is still to be kept.
        self.entries += 1;
        (before.saturating_add(1), pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RARELY: Cadence = Cadence { every: Duration::from_secs(3_600), entries: 20_000 };

    #[test]
    fn the_first_checkpoint_comes_early_and_the_distance_grows_to_what_is_configured() {
        let mut pace = Pace::new();
        let mut distances = Vec::new();
        for _ in 0..8 {
            let mut entries = 0;
            while !pace.is_due(&RARELY) {
                pace.folded();
                entries += 1;
            }
            distances.push(entries);
            pace.begun(Position(1), &RARELY);
            assert!(!pace.is_due(&RARELY), "one at a time");
            pace.written();
        }
        assert_eq!(distances, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000]);
    }

    #[test]
    fn what_could_not_be_written_is_tried_again_at_growing_distances() {
        let mut pace = Pace::new();
        let pauses: Vec<u64> = (0..8).map(|_| pace.failed().1.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(!pace.is_due(&RARELY), "not before the pause is over");
        assert!(pace.written() && !pace.written());
    }
}
