//! The one place that reads the wall clock. The engine never does: time reaches it through the
//! journal, as ticks.

use bellwether_engine::time::EventTime;

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> EventTime {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    EventTime(i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX))
}
