//! Telling sources to stop.

use std::time::Duration;

use tokio::sync::watch;

use crate::host;

/// Tells sources to stop; dropping it does too.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Whether to stop; one for each source.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// A pair of [`Stopper`] and [`Stop`].
pub fn stop_pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Tells every [`Stop`].
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// True once stopped.
    pub fn is_stopped(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns once stopped.
    pub async fn stopped(&mut self) {
        // An error means the stopper is gone, which is a stop.
        let _ = self.0.wait_for(|stop| *stop).await;
    }

    /// Sleeps; returns true when stopped meanwhile.
    pub async fn sleep(&mut self, time: Duration) -> bool {
        host::timeout(time, self.stopped()).await.is_ok()
    }
}
