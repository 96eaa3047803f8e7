//! What waits for the watermark, as a checkpoint keeps it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use serde::{Deserialize, Serialize};

use super::pending::Pending;
use super::room::WaitingRoom;
use crate::alert::Sensed;
use crate::event::{Event, Moved, OwnedChange, OwnedEdge};
use crate::planted::{self, Bug};
use crate::sense::{LogLine, Shards};
use crate::signal::{AlertColumns, Batch, LogColumns, SignalError, SignalKind, ipc};
use crate::time::EventTime;

/// What waits, as a checkpoint keeps it. Alert and log rows go into one batch each.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct SavedPending {
    alerts: Vec<u8>,
    alert_times: Vec<EventTime>,
    logs: Vec<u8>,
    log_times: Vec<EventTime>,
    others: Vec<(EventTime, u64, SavedEvent)>,
}

#[derive(Debug, Serialize, Deserialize)]
enum SavedEvent {
    Catalogue(String),
    Edge(OwnedEdge),
    Change(OwnedChange),
    Action(String),
    Moved(Box<Moved>),
    Sensed(Box<Sensed>),
}

/// Why what waited cannot be let in again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreError {
    /// The rows are no signals of this version.
    #[error(transparent)]
    Signal(#[from] SignalError),
    /// A catalogue or an action does not read.
    #[error("what waited does not read: {0}")]
    Json(#[from] serde_json::Error),
}

impl SavedPending {
    /// What waits at a tenant.
    pub(crate) fn of(tenant: &str, room: &WaitingRoom, shards: &Shards) -> SavedPending {
        let mut saved = SavedPending::default();
        if planted::has(Bug::WaitingNotSaved) {
            return saved;
        }
        let mut alerts = Vec::new();
        for pending in room.iter() {
            let event = match &pending.event {
                Event::Alert(batch, row) => {
                    alerts.push((batch, *row));
                    saved.alert_times.push(pending.time);
                    continue;
                }
                // JSON: these hold maps and tagged enums that postcard cannot read back.
                Event::Catalogue(catalogue) => {
                    SavedEvent::Catalogue(serde_json::to_string(&**catalogue).expect("a catalogue is JSON"))
                }
                Event::Action(action) => {
                    SavedEvent::Action(serde_json::to_string(&**action).expect("an action is JSON"))
                }
                Event::Edge(edge) => SavedEvent::Edge((**edge).clone()),
                Event::Change(change) => SavedEvent::Change((**change).clone()),
                Event::Moved(moved) => SavedEvent::Moved(moved.clone()),
                Event::Sensed(sensed) => SavedEvent::Sensed(sensed.clone()),
            };
            saved.others.push((pending.time, pending.key, event));
        }
        saved.alerts = one_batch(tenant, SignalKind::Alert, alerts.into_iter());
        saved.log_times = shards.waiting_lines().map(|line| line.time).collect();
        saved.logs = one_batch(tenant, SignalKind::Log, shards.waiting_lines().map(LogLine::place));
        saved
    }

    /// Puts it back.
    pub(crate) fn restore(self, tenant: &str, room: &mut WaitingRoom, shards: &mut Shards) -> Result<(), RestoreError> {
        if !self.alerts.is_empty() {
            let batch = ipc::decode(tenant, SignalKind::Alert, &self.alerts)?;
            let batch = Arc::new(batch);
            let fingerprints = AlertColumns::of(&batch).fingerprint.to_vec();
            for (row, (time, key)) in self.alert_times.into_iter().zip(fingerprints).enumerate() {
                let event = Event::Alert(batch.clone(), row as u32);
                room.push(Pending::new(time, event, key));
            }
        }
        if !self.logs.is_empty() {
            let batch = ipc::decode(tenant, SignalKind::Log, &self.logs)?;
            let batch = Arc::new(batch);
            let columns = LogColumns::of(&batch);
            for (row, time) in self.log_times.into_iter().enumerate().take(columns.len()) {
                let line = LogLine::new(&batch, &columns, row, time);
                shards.push_line(line);
            }
        }
        for (time, key, event) in self.others {
            let event = match event {
                SavedEvent::Catalogue(json) => Event::Catalogue(serde_json::from_str(&json)?),
                SavedEvent::Action(json) => Event::Action(serde_json::from_str(&json)?),
                SavedEvent::Edge(edge) => Event::Edge(Box::new(edge)),
                SavedEvent::Change(change) => Event::Change(Box::new(change)),
                SavedEvent::Moved(moved) => Event::Moved(moved),
                SavedEvent::Sensed(sensed) => Event::Sensed(sensed),
            };
            room.push(Pending::new(time, event, key));
        }
        Ok(())
    }
}

/// Rows of many batches as the bytes of one; nothing for none. They are picked out of whole batches: a
/// slice for each row would take a kilobyte and more for columns, and there may be a million.
fn one_batch<'a>(tenant: &str, kind: SignalKind, rows: impl Iterator<Item = (&'a Arc<Batch>, u32)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut places: HashMap<*const Batch, usize> = HashMap::new();
    let mut batches: Vec<&RecordBatch> = Vec::new();
    let mut picked: Vec<(usize, usize)> = Vec::new();
    for (batch, row) in rows {
        let place = *places.entry(Arc::as_ptr(batch)).or_insert_with(|| {
            batches.push(batch.records());
            batches.len() - 1
        });
        picked.push((place, row as usize));
    }
    if picked.is_empty() {
        return bytes;
    }
    let all = interleave_record_batch(&batches, &picked).expect("all rows have one schema");
    let batch = Batch::new(tenant, kind, all).expect("the rows came from checked batches");
    ipc::encode(&batch, &mut bytes);
    bytes
}
