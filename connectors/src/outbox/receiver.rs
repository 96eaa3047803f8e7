//! The sink that a reader delivers to, opened as often as it takes, and what it declares.

use std::time::Duration;

use crate::host;
use crate::sinks::{Delivered, GIVE_UP_AFTER, Order, Outgoing, Sink, SinkConfig, SinkError};

/// How long a receiver may take for an attempt; then it counts as away.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);
/// How long the start of a process waits for a receiver; then it is opened later.
const OPEN_MAX: Duration = Duration::from_secs(1);

/// Who gets the events of one reader.
pub(super) struct Receiver {
    pub(super) name: String,
    sink: Option<Box<dyn Sink>>,
    /// Opens the sink, as often as it takes.
    open: Option<SinkConfig>,
    /// It knows what it has: delivering again is safe.
    pub(super) remembers: bool,
    pub(super) order: Order,
    pub(super) give_up_after: Duration,
    pub(super) attempt_max: Duration,
}

impl Receiver {
    /// Behind a sink that is open; it forgets what it has got.
    pub(super) fn of(sink: Box<dyn Sink>) -> Receiver {
        Receiver {
            name: sink.name().to_owned(),
            sink: Some(sink),
            open: None,
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
            sink,
            remembers: config.remembers(),
            order: config.order(),
            give_up_after: config.give_up_after(),
            attempt_max: ATTEMPT_MAX,
            open: Some(config),
        })
    }

    /// One attempt within its time: opens the sink if it is not open, delivers once.
    pub(super) async fn attempt(&mut self, events: &[Outgoing]) -> Result<Delivered, SinkError> {
        let (name, limit) = (self.name.clone(), self.attempt_max);
        let late = || SinkError::unavailable(&name, format!("no answer within {} s", limit.as_secs_f32()));
        let timed = host::timeout(limit, self.open_and_deliver(events)).await;
        timed.unwrap_or_else(|_| Err(late()))
    }

    async fn open_and_deliver(&mut self, events: &[Outgoing]) -> Result<Delivered, SinkError> {
        let sink = match (&mut self.sink, &self.open) {
            (Some(sink), _) => sink,
            (none, Some(open)) => none.insert(open.open().await?),
            (None, None) => return Err(SinkError::config(&self.name, "there is nothing to open")),
        };
        sink.deliver(events).await
    }
}
