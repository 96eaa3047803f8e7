//! The time of day. The engine never reads it: time reaches it through the journal, as ticks.

use bellwether_connectors::host;
use bellwether_engine::time::EventTime;

/// The time of day.
pub fn now() -> EventTime {
    host::now()
}
