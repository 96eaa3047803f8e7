//! How much memory the process may take, and who is turned away before it takes more.
//!
//! | what | is bounded by |
//! |---|---|
//! | the engine's tables | `engine.limits.tenant_bytes_max`, which the process lowers to each tenant's part ([`Memory::engine_bytes`]): what they shed follows from the journal alone |
//! | bodies that are being received | the room at the doors, at most a tenth |
//! | bodies that are being unpacked, decoded and stored | a budget of work, an eighth of all: a request waits for its part |
//! | everything together | what the process has resident, looked at when somebody comes: from three quarters of the limit on logs are told to come again, then metrics, traces and topology, at last everything |
//!
//! Doors may look at the process; the engine may not.

mod limit;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellwether_engine::signal::SignalKind;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use limit::{Limit, LimitSource};

/// What comes in, by who is turned away first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Log lines.
    Logs,
    /// Metrics, traces, topology.
    Metrics,
    /// Alerts, events, changes, and what people say about incidents.
    Alerts,
}

impl Class {
    /// Where signals of a kind belong.
    pub const fn of(kind: SignalKind) -> Class {
        match kind {
            SignalKind::Log => Class::Logs,
            SignalKind::Series | SignalKind::Metric | SignalKind::Edge => Class::Metrics,
            SignalKind::Alert | SignalKind::Change => Class::Alerts,
        }
    }

    /// The fill, in percent of the limit, from which it is told to come again.
    const fn percent(self) -> usize {
        match self {
            Class::Logs => 75,
            Class::Metrics => 85,
            Class::Alerts => 97,
        }
    }
}

/// The part of the limit that the engine's tables may take, in percent. A checkpoint is made beside them, and
/// waits for the incident log.
const ENGINE_PERCENT: usize = 40;
/// The part that requests may take while they are unpacked, decoded and stored.
const WORK_PERCENT: usize = 12;
/// The part that bodies may take while they are received.
const BODIES_PERCENT: usize = 10;
/// How old a look at the process may be.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a request waits for its part; senders give up after five seconds and more.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Work is counted in pieces of so many bytes.
const PIECE: usize = 1 << 10;

/// The memory of the process. Clones share it.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: Option<Limit>,
    /// What the process had resident when it was looked at last.
    resident: AtomicUsize,
    looked: Mutex<Option<Instant>>,
    /// For alerts and the like, and for everything else.
    work: [(Arc<Semaphore>, usize); 2],
}

/// What a request holds while it is unpacked, decoded and stored; given back when dropped.
#[derive(Debug, Default)]
pub struct Work(Option<OwnedSemaphorePermit>);

impl Work {
    /// It has turned out to take `bytes`: what was held beyond is given back.
    pub fn shrink(&mut self, bytes: usize) {
        if let Some(held) = &mut self.0 {
            drop(held.split(held.num_permits().saturating_sub(bytes.div_ceil(PIECE).max(1))));
        }
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::unlimited()
    }
}

impl Memory {
    /// For what reads a finite input: it takes what it needs.
    pub fn unlimited() -> Memory {
        Memory::of(None)
    }

    /// At most `limit`.
    pub fn within(limit: Limit) -> Memory {
        Memory::of(Some(limit))
    }

    fn of(limit: Option<Limit>) -> Memory {
        let all = limit.map_or(Semaphore::MAX_PERMITS / 2, |limit| limit.bytes / 100 * WORK_PERCENT / PIECE).max(1_024);
        // A quarter is for alerts: they are small, and get through a flood of samples.
        let work = [all / 4, all - all / 4].map(|pieces| {
            let pieces = pieces.min(u32::MAX as usize);
            (Arc::new(Semaphore::new(pieces)), pieces)
        });
        Memory(Arc::new(Inner { limit, resident: AtomicUsize::new(0), looked: Mutex::new(None), work }))
    }

    /// What the process may take.
    pub fn limit(&self) -> Option<Limit> {
        self.0.limit
    }

    /// Bytes that the tables of one of `tenants` may take: all that the engine may where there is one tenant,
    /// half of it where there are more. Not all of many fill theirs at once; where they do, doors close.
    pub fn engine_bytes(limit: Limit, tenants: usize) -> usize {
        limit.bytes / 100 * ENGINE_PERCENT / tenants.clamp(1, 2)
    }

    /// Bytes that the bodies of a listener may take, at most.
    pub(crate) fn bodies(&self) -> usize {
        self.0.limit.map_or(usize::MAX, |limit| limit.bytes / 100 * BODIES_PERCENT)
    }

    /// What the process has resident, as of a moment ago.
    pub fn resident(&self) -> usize {
        let now = Instant::now();
        let mut looked = self.0.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.is_none_or(|looked| now.duration_since(looked) >= LOOK_EVERY) {
            *looked = Some(now);
            self.0.resident.store(limit::resident().unwrap_or(0), Ordering::Relaxed);
        }
        self.0.resident.load(Ordering::Relaxed)
    }

    /// Whether what is of `class` has to come again.
    pub fn refuses(&self, class: Class) -> bool {
        self.0.limit.is_some_and(|limit| self.resident() >= limit.bytes / 100 * class.percent())
    }

    /// A part of `bytes` for a request of `class`, waited for; `None` when there was none for a while. One that
    /// would take more than there is gets it when nothing else runs.
    pub(crate) async fn work(&self, class: Class, bytes: usize) -> Option<Work> {
        if self.0.limit.is_none() {
            return Some(Work::default());
        }
        let (pieces, most) = &self.0.work[usize::from(class != Class::Alerts)];
        let wanted = bytes.div_ceil(PIECE).clamp(1, *most) as u32;
        let held = tokio::time::timeout(WAIT_MAX, pieces.clone().acquire_many_owned(wanted)).await;
        held.ok()?.ok().map(|held| Work(Some(held)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: usize) -> Memory {
        Memory::within(Limit { bytes, source: LimitSource::Configured })
    }

    #[test]
    fn logs_are_refused_first_and_alerts_last() {
        let resident = of(usize::MAX / 200).resident();
        assert!(resident > 1 << 20, "this process has something resident: {resident}");
        let refused = |bytes| [Class::Logs, Class::Metrics, Class::Alerts].map(|class| of(bytes).refuses(class));
        assert_eq!(refused(resident * 2), [false, false, false]);
        assert_eq!(refused(resident * 100 / 80), [true, false, false]);
        assert_eq!(refused(resident * 100 / 91), [true, true, false]);
        assert_eq!(refused(resident / 2), [true, true, true]);
        assert!(!Memory::unlimited().refuses(Class::Logs));
    }

    #[tokio::test]
    async fn work_waits_for_its_part_and_gives_back_what_it_does_not_need() {
        let memory = of(100 << 20);
        // All that there is for bulk, and more.
        let mut first = memory.work(Class::Metrics, 1 << 30).await.expect("nothing else runs");
        assert!(memory.work(Class::Metrics, 1).await.is_none(), "there is nothing left");
        assert!(memory.work(Class::Alerts, 1 << 20).await.is_some(), "alerts have a part of their own");
        first.shrink(1 << 20);
        let second = memory.work(Class::Logs, 1 << 20).await.expect("there is room again");
        drop((first, second));
        assert!(memory.work(Class::Logs, 1 << 30).await.is_some());
    }
}
