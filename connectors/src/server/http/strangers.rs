//! Connections that have not shown a good credential: when there is no room, the oldest gives way.
//!
//! Otherwise whoever opens as many connections as there may be, and says nothing, keeps all others out.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How long a connection has to show whose it is before it may have to give way.
const GRACE: Duration = Duration::from_secs(1);

/// Whether a connection is known, and what asks it to leave.
pub(super) struct Acquaintance {
    since: Instant,
    known: AtomicBool,
    leave: Notify,
}

impl Acquaintance {
    /// Its sender has shown a good credential: it stays.
    pub(super) fn introduced(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    /// Returns when it has to give way.
    pub(super) async fn to_leave(&self) {
        self.leave.notified().await;
    }
}

/// Strangers of a listener, the oldest first.
#[derive(Default)]
pub(super) struct Strangers(VecDeque<Weak<Acquaintance>>);

impl Strangers {
    /// A connection that has just come. Of those that are gone or known no more than `connections_max`
    /// entries are kept.
    pub(super) fn add(&mut self, connections_max: usize) -> Arc<Acquaintance> {
        if self.0.len() >= connections_max.saturating_mul(2) {
            self.0.retain(|other| other.upgrade().is_some_and(|other| !other.known.load(Ordering::Relaxed)));
        }
        let fresh = Acquaintance { since: Instant::now(), known: AtomicBool::new(false), leave: Notify::new() };
        let fresh = Arc::new(fresh);
        self.0.push_back(Arc::downgrade(&fresh));
        fresh
    }

    /// Asks the oldest to leave; false when none has been a stranger for long enough.
    pub(super) fn make_room(&mut self) -> bool {
        while let Some(oldest) = self.0.front() {
            match oldest.upgrade().filter(|oldest| !oldest.known.load(Ordering::Relaxed)) {
                Some(stranger) if stranger.since.elapsed() < GRACE => return false,
                Some(stranger) => {
                    stranger.leave.notify_one();
                    self.0.pop_front();
                    return true;
                }
                None => drop(self.0.pop_front()),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_oldest_stranger_leaves_and_nobody_who_is_known() {
        let mut strangers = Strangers::default();
        let [known, first, second] = [(); 3].map(|()| strangers.add(8));
        known.introduced();
        assert!(!strangers.make_room(), "they have just come");
        tokio::time::sleep(GRACE).await;
        assert!(strangers.make_room());
        let asked = |one: Arc<Acquaintance>| async move {
            tokio::time::timeout(Duration::from_millis(10), one.to_leave()).await.is_ok()
        };
        assert_eq!((asked(known).await, asked(first).await, asked(second).await), (false, true, false));
        assert!(strangers.0.len() <= 1);
    }

    #[test]
    fn those_that_are_gone_are_forgotten() {
        let mut strangers = Strangers::default();
        (0..1_000).for_each(|_| drop(strangers.add(8)));
        assert!(strangers.0.len() <= 17, "{}", strangers.0.len());
    }
}
