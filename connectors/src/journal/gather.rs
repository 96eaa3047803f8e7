//! Writes on their way: the writer waits a moment for those that are being decoded, so that one sync
//! makes them all durable. A sync costs what decoding a hundred alerts costs.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long the writer waits at most: less than a sync takes on most disks, and much less than any
/// sender waits.
const GATHER_MAX: Duration = Duration::from_millis(1);

/// How many writes are on their way, and who waits for them.
#[derive(Default)]
pub(super) struct Expected {
    count: AtomicUsize,
    writer: OnceLock<Thread>,
}

impl Expected {
    /// One more is on its way.
    pub(super) fn coming(self: &Arc<Expected>) -> PendingAppend {
        self.count.fetch_add(1, Ordering::SeqCst);
        PendingAppend { expected: Some(self.clone()), arrived: AtomicBool::new(false) }
    }

    /// Blocks the writer while any is on its way, and no longer than [`GATHER_MAX`]. `take` takes what
    /// has arrived and answers whether there is room for more.
    pub(super) fn gather(&self, mut take: impl FnMut() -> bool) {
        let mut until = None;
        loop {
            if !take() || self.count.load(Ordering::SeqCst) == 0 {
                return;
            }
            self.writer.get_or_init(thread::current);
            let now = Instant::now();
            let left = until.get_or_insert(now + GATHER_MAX).saturating_duration_since(now);
            if left.is_zero() {
                return;
            }
            thread::park_timeout(left);
        }
    }
}

/// A write that is on its way, until it has arrived or will not.
#[derive(Default)]
pub struct PendingAppend {
    expected: Option<Arc<Expected>>,
    arrived: AtomicBool,
}

impl PendingAppend {
    /// It waits in the queue: the writer need not wait for it. A second call does nothing.
    pub(super) fn arrived(&self) {
        let Some(expected) = self.expected.as_ref().filter(|_| !self.arrived.swap(true, Ordering::SeqCst)) else {
            return;
        };
        if expected.count.fetch_sub(1, Ordering::SeqCst) == 1
            && let Some(writer) = expected.writer.get()
        {
            writer.unpark();
        }
    }
}

impl Drop for PendingAppend {
    fn drop(&mut self) {
        self.arrived();
    }
}

impl fmt::Debug for PendingAppend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingAppend").field("arrived", &self.arrived).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_waits_for_what_comes_and_not_for_what_does_not() {
        let expected = Arc::new(Expected::default());
        let mut taken = 0;
        expected.gather(|| {
            taken += 1;
            true
        });
        assert_eq!(taken, 1, "nothing is on its way");

        // What never comes is waited for once, and not for long.
        let lost = expected.coming();
        let mut taken = 0;
        expected.gather(|| {
            taken += 1;
            taken < 1_000
        });
        assert!((2..1_000).contains(&taken), "{taken}");
        drop(lost);
        assert_eq!(expected.count.load(Ordering::SeqCst), 0);

        let coming = expected.coming();
        coming.arrived();
        drop(coming);
        assert_eq!(expected.count.load(Ordering::SeqCst), 0, "it is counted once");
    }

    #[test]
    fn what_arrives_while_the_writer_waits_is_taken() {
        let expected = Arc::new(Expected::default());
        let (first, second) = (expected.coming(), expected.coming());
        let queue = Arc::new(AtomicUsize::new(0));
        let arriving = thread::spawn({
            let queue = queue.clone();
            move || {
                queue.fetch_add(1, Ordering::SeqCst);
                first.arrived();
                queue.fetch_add(1, Ordering::SeqCst);
                drop(second);
            }
        });
        // Whatever the timing, with enough rounds both are taken.
        for _ in 0..10_000 {
            expected.gather(|| queue.load(Ordering::SeqCst) < 2);
            if queue.load(Ordering::SeqCst) == 2 {
                break;
            }
        }
        arriving.join().expect("it ends");
        assert_eq!((queue.load(Ordering::SeqCst), expected.count.load(Ordering::SeqCst)), (2, 0));
    }
}
