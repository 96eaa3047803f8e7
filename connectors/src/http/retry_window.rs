//! Recognises a request that is sent again after its answer was lost.
//!
//! Senders repeat the same bytes when they miss the acknowledgement. For wires whose events
//! carry their own times, equal bytes of one tenant are the same events, so the second copy is
//! answered like the first and not stored again. The window is bounded by entries and time and
//! lives in memory: after a restart the engine's own deduplication (series and time,
//! fingerprint) is what remains.

use std::collections::HashMap;
use std::sync::Mutex;

use bellwether_engine::time::{EventTime, Span};
use xxhash_rust::xxh3::Xxh3;

use crate::wire::Reply;

/// How long an answer is remembered at least. OpenTelemetry exporters give up after 5 minutes.
const WINDOW: Span = Span::from_mins(10);

/// Most answers remembered per generation; two generations are kept. At one request a
/// millisecond that is half a minute of re-sends, in about 4 MB.
const GENERATION_MAX: usize = 32_768;

/// What is known of a body that came before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Seen {
    /// Never, or too long ago.
    New,
    /// It is being stored right now; whether that succeeds is not known yet.
    InFlight,
    /// It was stored and answered so.
    Answered(Reply),
}

#[derive(Default)]
struct Generations {
    current: HashMap<u128, Option<Reply>>,
    previous: HashMap<u128, Option<Reply>>,
    started: EventTime,
}

/// The window.
#[derive(Default)]
pub(crate) struct RetryWindow {
    state: Mutex<Generations>,
}

/// The key of a request: tenant, path and body.
pub(crate) fn request_key(tenant: &str, path: &str, body: &[u8]) -> u128 {
    let mut hasher = Xxh3::new();
    for part in [tenant.as_bytes(), path.as_bytes()] {
        hasher.update(part);
        hasher.update(&[0xff]);
    }
    hasher.update(body);
    hasher.digest128()
}

impl RetryWindow {
    /// What is known of `key`; a new one is noted as being stored.
    pub(crate) fn begin(&self, key: u128, now: EventTime) -> Seen {
        let mut state = self.state.lock().unwrap_or_else(|held| held.into_inner());
        state.turn(now);
        let known = state.current.get(&key).or_else(|| state.previous.get(&key));
        match known {
            Some(Some(reply)) => Seen::Answered(reply.clone()),
            Some(None) => Seen::InFlight,
            None => {
                state.current.insert(key, None);
                Seen::New
            }
        }
    }

    /// The request was answered; only successes are remembered.
    pub(crate) fn end(&self, key: u128, reply: &Reply) {
        let mut state = self.state.lock().unwrap_or_else(|held| held.into_inner());
        state.previous.remove(&key);
        if (200..300).contains(&reply.status) {
            state.current.insert(key, Some(reply.clone()));
        } else {
            state.current.remove(&key);
        }
    }

    /// The request's sender went away before it was answered.
    pub(crate) fn abandon(&self, key: u128) {
        let mut state = self.state.lock().unwrap_or_else(|held| held.into_inner());
        if state.current.get(&key).is_some_and(Option::is_none) {
            state.current.remove(&key);
        }
        if state.previous.get(&key).is_some_and(Option::is_none) {
            state.previous.remove(&key);
        }
    }
}

impl Generations {
    fn turn(&mut self, now: EventTime) {
        let old = now.since(self.started) > WINDOW;
        if old || self.current.len() >= GENERATION_MAX {
            self.previous = std::mem::take(&mut self.current);
            self.started = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: EventTime = EventTime::from_secs(1_000);

    #[test]
    fn the_same_bytes_are_answered_as_before() {
        let window = RetryWindow::default();
        let key = request_key("acme", "/write", b"body");
        assert_eq!(window.begin(key, NOW), Seen::New);
        assert_eq!(window.begin(key, NOW), Seen::InFlight);
        window.end(key, &Reply::empty(204));
        assert_eq!(window.begin(key, NOW), Seen::Answered(Reply::empty(204)));
        assert_eq!(window.begin(request_key("other", "/write", b"body"), NOW), Seen::New);
    }

    #[test]
    fn a_failed_request_may_come_again() {
        let window = RetryWindow::default();
        window.begin(7, NOW);
        window.end(7, &Reply::empty(503));
        assert_eq!(window.begin(7, NOW), Seen::New);
        window.abandon(7);
        assert_eq!(window.begin(7, NOW), Seen::New);
    }

    #[test]
    fn an_answer_is_forgotten_in_time_and_never_too_many_are_kept() {
        let window = RetryWindow::default();
        window.begin(1, NOW);
        window.end(1, &Reply::empty(200));
        let later = NOW.plus(Span::from_mins(11));
        assert_eq!(window.begin(1, later), Seen::Answered(Reply::empty(200)));
        assert_eq!(window.begin(1, later.plus(Span::from_mins(11))), Seen::New);
        for key in 0..200_000u128 {
            window.begin(key, later);
            window.end(key, &Reply::empty(200));
        }
        let state = window.state.lock().expect("not poisoned");
        assert!(state.current.len() + state.previous.len() <= 2 * GENERATION_MAX);
    }
}
