//! One event that waits for the watermark, and the order in which they come out.

use std::cmp::Ordering;

use crate::alert::AlertRow;
use crate::event::Event;
use crate::signal::AlertStatus;
use crate::time::EventTime;
use crate::waiting::Timed;

/// One event that waits, with what orders it.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) time: EventTime,
    rank: u8,
    pub(super) key: u64,
    /// When the row says it is: what is late acts with others at one instant.
    dated: EventTime,
    status: AlertStatus,
    /// What it holds beside itself.
    held: u32,
    pub(crate) event: Event,
}

impl Pending {
    /// An event at `time`; `key` orders events of one kind and instant by content.
    pub(crate) fn new(time: EventTime, event: Event, key: u64) -> Pending {
        let (rank, dated, status) = match &event {
            Event::Catalogue(_) => (0, time, AlertStatus::Firing),
            Event::Edge(_) => (1, time, AlertStatus::Firing),
            Event::Change(_) => (2, time, AlertStatus::Firing),
            Event::Action(_) => (3, time, AlertStatus::Firing),
            Event::Moved(_) => (4, time, AlertStatus::Firing),
            Event::Alert(batch, row) => {
                let alert = AlertRow::wire(batch, *row);
                (5, alert.dated(), alert.status())
            }
            Event::Sensed(sensed) => (5, AlertRow::Own(sensed).dated(), sensed.status),
        };
        let held = event.bytes() as u32;
        Pending { time, rank, key, dated, status, held, event }
    }

    fn order(&self, other: &Pending) -> Ordering {
        (self.time, self.rank, self.key, self.dated, self.status)
            .cmp(&(other.time, other.rank, other.key, other.dated, other.status))
            .then_with(|| self.tie_break().cmp(&other.tie_break()))
    }

    /// Rarely asked for: two rows about one alert at one instant.
    fn tie_break(&self) -> String {
        match &self.event {
            Event::Alert(batch, row) => AlertRow::wire(batch, *row).tie_break(),
            Event::Sensed(sensed) => AlertRow::Own(sensed).tie_break(),
            Event::Edge(edge) => format!("{:?}", edge),
            Event::Change(change) => format!("{:?}", change),
            Event::Action(action) => format!("{:?}", action),
            Event::Moved(moved) => format!("{moved:?}"),
            Event::Catalogue(_) => String::new(),
        }
    }
}

impl Timed for Pending {
    fn time(&self) -> EventTime {
        self.time
    }

    fn bytes(&self) -> usize {
        size_of::<Pending>() * 4 / 3 + self.held as usize
    }
}

/// Sorts a stretch into the order the stages see.
pub(super) fn sort(events: &mut [Pending]) {
    events.sort_by(Pending::order);
}
