//! Accepting the next connection of a listener, whatever goes wrong with the one before.
//!
//! Without a free descriptor `accept` fails at once and for ever until one is given back: it is tried
//! again after a growing pause, counted, and told once a minute. No listener ends by it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use tokio::net::{TcpListener, TcpStream};

use crate::server::counters::WireCounters;

/// First and longest pause after a connection that could not be accepted.
const PAUSE: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(1)];
/// How often failures are told.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// A listener that goes on.
pub(crate) struct Acceptor {
    listener: TcpListener,
    counters: Arc<WireCounters>,
    pause: Duration,
    told: Option<Instant>,
}

impl Acceptor {
    /// `listener`, whose failures `counters` hold.
    pub(crate) fn new(listener: TcpListener, counters: Arc<WireCounters>) -> Acceptor {
        Acceptor { listener, counters, pause: PAUSE[0], told: None }
    }

    /// The next connection, and from where. Dropped while it waits, no connection is lost.
    pub(crate) async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => {
                    self.pause = PAUSE[0];
                    return accepted;
                }
                Err(error) => {
                    let pause = self.failed(&error);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Counts and tells a failure; how long to wait before the next attempt.
    fn failed(&mut self, error: &io::Error) -> Duration {
        let reason = reason(error);
        self.counters.refuse(reason, 1);
        if self.told.is_none_or(|told| told.elapsed() >= TOLD_EVERY) {
            self.told = Some(Instant::now());
            tracing::warn!(%error, reason, "a connection could not be accepted; told once a minute");
        }
        if reason == ABORTED {
            return Duration::ZERO;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE[1]);
        pause
    }
}

/// The sender has gone before it was accepted: the next one waits for nothing.
const ABORTED: &str = "aborted";

fn reason(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => "file_descriptors",
        Some(Errno::CONNABORTED) => ABORTED,
        _ => "accept_failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_descriptors_it_waits_longer_each_time_and_counts() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let counters = Arc::new(WireCounters::default());
        let mut acceptor = Acceptor::new(listener, counters.clone());
        let full = io::Error::from_raw_os_error(Errno::MFILE.raw_os_error());
        let pauses: Vec<Duration> = (0..8).map(|_| acceptor.failed(&full)).collect();
        assert!(pauses.is_sorted() && pauses[0] == PAUSE[0] && pauses[7] == PAUSE[1], "{pauses:?}");
        let gone = io::Error::from_raw_os_error(Errno::CONNABORTED.raw_os_error());
        assert_eq!(acceptor.failed(&gone), Duration::ZERO);
        assert_eq!(counters.read().refused, [("file_descriptors", 8), (ABORTED, 1)].into());
    }
}
