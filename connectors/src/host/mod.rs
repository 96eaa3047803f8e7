//! What a process stands on: a disk, a clock, waiting, threads that may block, chance.
//!
//! Who keeps something durable takes [`disk()`] when it is made, and asks for time here. All that is the
//! machine's. A simulation puts its own in its place, for everything that happens on its thread
//! ([`stand_on`]); builds without debug assertions, which all that are handed out are, cannot.

mod disk;
mod real;

use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use tokio::task::JoinError;

pub use disk::{Disk, DiskFile, Held, How, Listed, read, replace};
pub(crate) use disk::{ReadFrom, YOUNG_SUFFIX};

/// A machine that is made up.
pub trait MadeUp: Send + Sync {
    /// Its disk.
    fn disk(&self) -> Arc<dyn Disk>;
    /// The time of day.
    fn now(&self) -> EventTime;
    /// How long it has been up.
    fn uptime(&self) -> Duration;
    /// Returns after `time`.
    fn sleep(&self, time: Duration) -> BoxFuture<'static, ()>;
    /// Fills `bytes` by chance.
    fn chance(&self, bytes: &mut [u8]);
    /// Runs what has a thread of its own elsewhere.
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

#[cfg(debug_assertions)]
mod made_up {
    use std::cell::RefCell;
    use std::marker::PhantomData;
    use std::sync::Arc;

    use super::MadeUp;

    thread_local! {
        static MADE_UP: RefCell<Option<Arc<dyn MadeUp>>> = const { RefCell::new(None) };
    }

    /// Ends the standing on a made-up machine when it is dropped.
    pub struct Standing(PhantomData<*const ()>);

    /// Puts `host` in the place of the machine for this thread.
    pub fn stand_on(host: Arc<dyn MadeUp>) -> Standing {
        MADE_UP.set(Some(host));
        Standing(PhantomData)
    }

    impl Drop for Standing {
        fn drop(&mut self) {
            MADE_UP.set(None);
        }
    }

    pub(crate) fn made_up() -> Option<Arc<dyn MadeUp>> {
        MADE_UP.with_borrow(Clone::clone)
    }
}

#[cfg(not(debug_assertions))]
mod made_up {
    pub(crate) fn made_up() -> Option<std::sync::Arc<dyn super::MadeUp>> {
        None
    }
}

pub(crate) use made_up::made_up;
#[cfg(debug_assertions)]
pub use made_up::{Standing, stand_on};

/// The disk.
pub fn disk() -> Arc<dyn Disk> {
    static REAL: LazyLock<Arc<dyn Disk>> = LazyLock::new(|| Arc::new(real::RealDisk));
    made_up().map_or_else(|| REAL.clone(), |host| host.disk())
}

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "the one place in this crate that reads the wall clock")]
pub fn now() -> EventTime {
    made_up().map_or_else(|| event_time(SystemTime::now()), |host| host.now())
}

/// A time that the system says.
fn event_time(time: SystemTime) -> EventTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    EventTime(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Time that never jumps, since some instant of the past.
pub fn uptime() -> Duration {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    made_up().map_or_else(|| BEGAN.elapsed(), |host| host.uptime())
}

/// Returns after `time`.
pub async fn sleep(time: Duration) {
    match made_up() {
        Some(host) => host.sleep(time).await,
        None => tokio::time::sleep(time).await,
    }
}

/// Time has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

/// What `work` gives, if that takes no longer than `limit`; else it is dropped.
///
/// # Errors
/// [`Elapsed`].
pub async fn timeout<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, Elapsed> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = sleep(limit) => Err(Elapsed),
    }
}

/// Does `work` on a thread that may wait for the disk.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    match made_up() {
        Some(host) => {
            // Others go on meanwhile, as they do elsewhere.
            host.sleep(Duration::ZERO).await;
            Ok(work())
        }
        None => tokio::task::spawn_blocking(work).await,
    }
}

/// Does `work` beside the caller, on a thread that may wait for the disk. In the context of a runtime.
pub fn beside(work: impl FnOnce() + Send + 'static) {
    match made_up() {
        Some(host) => {
            let pause = host.sleep(Duration::ZERO);
            host.spawn(Box::pin(async move {
                pause.await;
                work();
            }));
        }
        None => drop(tokio::task::spawn_blocking(work)),
    }
}

/// A name that nobody has: 128 random bits in hexadecimal.
pub(crate) fn random_name() -> String {
    chance::<16>().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that nobody outside can know.
pub(crate) fn chance<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    match made_up() {
        Some(host) => host.chance(&mut bytes),
        None => {
            let random = ring::rand::SystemRandom::new();
            ring::rand::SecureRandom::fill(&random, &mut bytes).expect("the system has random numbers");
        }
    }
    bytes
}
