//! The sink that readers deliver to, opened as often as it takes, and what it declares.
//!
//! The readers of one sink in the logs of several partitions share it: one of them delivers at a time, in the order in
//! which they ask.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;

use crate::host;
use crate::sinks::{Delivered, GIVE_UP_AFTER, Order, Outgoing, Sink, SinkConfig, SinkError};

/// How long a receiver may take for an attempt; then it counts as away.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);
/// How long the start of a process waits for a receiver; then it is opened later.
const OPEN_MAX: Duration = Duration::from_secs(1);

/// Who gets the events of one reader. Clones share the sink.
#[derive(Clone)]
pub(super) struct Receiver {
    pub(super) name: String,
    shared: Arc<Mutex<Opening>>,
    /// It knows what it has: delivering again is safe.
    pub(super) remembers: bool,
    pub(super) order: Order,
    pub(super) give_up_after: Duration,
    pub(super) attempt_max: Duration,
}

/// A sink, and how to have it.
struct Opening {
    sink: Option<Box<dyn Sink>>,
    /// Opens the sink, as often as it takes.
    open: Option<SinkConfig>,
}

impl Receiver {
    /// Behind a sink that is open; it forgets what it has got.
    pub(super) fn of(sink: Box<dyn Sink>) -> Receiver {
        Receiver {
            name: sink.name().to_owned(),
            shared: Arc::new(Mutex::new(Opening { sink: Some(sink), open: None })),
            remembers: false,
            order: Order::EveryRevision,
            give_up_after: GIVE_UP_AFTER,
            attempt_max: ATTEMPT_MAX,
        }
    }

    /// Behind a configured sink. One that is away is opened later.
    pub(super) async fn configured(config: SinkConfig) -> Result<Receiver, SinkError> {
        let opened = host::timeout(OPEN_MAX, config.open()).await;
        let late = || SinkError::unavailable(config.name(), format!("nothing within {} s", OPEN_MAX.as_secs()));
        let sink = match opened.unwrap_or_else(|_| Err(late())) {
            Ok(sink) => Some(sink),
            Err(error) if error.is_retryable() => {
                tracing::warn!(%error, "the receiver is away: its events wait in the incident log");
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Receiver {
            name: config.name().to_owned(),
            remembers: config.remembers(),
            order: config.order(),
            give_up_after: config.give_up_after(),
            attempt_max: ATTEMPT_MAX,
            shared: Arc::new(Mutex::new(Opening { sink, open: Some(config) })),
        })
    }

    /// One attempt within its time: opens the sink if it is not open, delivers once. The time begins when no other
    /// reader delivers: each of those has its own limit.
    pub(super) async fn attempt(&self, events: &[Outgoing]) -> Result<Delivered, SinkError> {
        let mut shared = self.shared.lock().await;
        let (name, limit) = (&self.name, self.attempt_max);
        let late = || SinkError::unavailable(name, format!("no answer within {} s", limit.as_secs_f32()));
        let timed = host::timeout(limit, shared.deliver(name, events)).await;
        timed.unwrap_or_else(|_| Err(late()))
    }
}

impl Opening {
    async fn deliver(&mut self, name: &str, events: &[Outgoing]) -> Result<Delivered, SinkError> {
        let sink = match (&mut self.sink, &self.open) {
            (Some(sink), _) => sink,
            (none, Some(open)) => none.insert(open.open().await?),
            (None, None) => return Err(SinkError::config(name, "there is nothing to open")),
        };
        sink.deliver(events).await
    }
}
