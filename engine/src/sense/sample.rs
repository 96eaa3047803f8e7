//! One sample of a series: as it came, and as the rules see it.

use serde::{Deserialize, Serialize};

use crate::time::EventTime;
use crate::waiting::Timed;

/// One sample that waits for the watermark.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) time: EventTime,
    pub(crate) series: u64,
    pub(crate) value: f64,
}

impl Sample {
    /// About what one takes that waits: lists of them grow by doubling.
    pub(crate) const WAITING_BYTES: usize = size_of::<Sample>() * 4 / 3;
}

impl Timed for Sample {
    fn time(&self) -> EventTime {
        self.time
    }

    fn bytes(&self) -> usize {
        Sample::WAITING_BYTES
    }
}

/// A late sample: what it tells acts as of `acts`, which is not before its time.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct LateSample {
    pub(super) acts: EventTime,
    pub(super) sample: Sample,
}

/// One sample as the rules see it: counters as rates.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Row {
    pub(super) time: EventTime,
    /// When it acts: its time, unless it is late.
    pub(super) acts: EventTime,
    pub(super) series: u64,
    pub(super) value: f64,
}
