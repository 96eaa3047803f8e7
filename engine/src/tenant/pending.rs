//! What waits for the watermark, and the order in which it comes out.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use serde::{Deserialize, Serialize};

use super::Tenant;
use crate::alert::{AlertRow, Sensed};
use crate::catalogue::Catalogue;
use crate::input::Action;
use crate::sense::{LogLine, Moved};
use crate::signal::{AlertColumns, AlertStatus, Batch, LogColumns, Relation, SignalKind, ipc};
use crate::time::EventTime;
use crate::waiting::Timed;

/// One edge, owned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OwnedEdge {
    pub(crate) from: Box<str>,
    pub(crate) to: Box<str>,
    pub(crate) relation: Relation,
    pub(crate) source: Box<str>,
    pub(crate) confidence: f64,
}

/// One change, owned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OwnedChange {
    pub(crate) id: Box<str>,
    pub(crate) change_type: Box<str>,
    pub(crate) entity: Box<str>,
    pub(crate) artifact: Option<Box<str>>,
    pub(crate) who: Option<Box<str>>,
    pub(crate) url: Option<Box<str>>,
    pub(crate) text: Option<Box<str>>,
}

/// One thing that happens to a tenant. The discriminant order is the order at one instant. Small:
/// a storm's alerts wait in lists of these, and whatever an alert does not have is boxed.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Catalogue(Arc<Catalogue>),
    Edge(Box<OwnedEdge>),
    Change(Box<OwnedChange>),
    Action(Box<Action>),
    /// A row of another tool's batch, shared, not copied.
    Alert(Arc<Batch>, u32),
    /// A series has left its level, or is back.
    Moved(Box<Moved>),
    /// Raised by our own sensing.
    Sensed(Box<Sensed>),
}

/// One event that waits, with what orders it.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) time: EventTime,
    rank: u8,
    key: u64,
    status: AlertStatus,
    pub(crate) event: Event,
}

impl Pending {
    /// An event at `time`; `key` orders events of one kind and instant by content.
    pub(crate) fn new(time: EventTime, event: Event, key: u64) -> Pending {
        let (rank, status) = match &event {
            Event::Catalogue(_) => (0, AlertStatus::Firing),
            Event::Edge(_) => (1, AlertStatus::Firing),
            Event::Change(_) => (2, AlertStatus::Firing),
            Event::Action(_) => (3, AlertStatus::Firing),
            Event::Moved(_) => (4, AlertStatus::Firing),
            Event::Alert(batch, row) => (5, AlertRow::wire(batch, *row).status()),
            Event::Sensed(sensed) => (5, sensed.status),
        };
        Pending { time, rank, key, status, event }
    }

    fn order(&self, other: &Pending) -> Ordering {
        (self.time, self.rank, self.key, self.status)
            .cmp(&(other.time, other.rank, other.key, other.status))
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
}

/// Sorts a stretch into the order the stages see.
pub(super) fn sort(events: &mut [Pending]) {
    events.sort_by(Pending::order);
}

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

impl SavedPending {
    /// What waits at `tenant`.
    pub(crate) fn of(tenant: &Tenant) -> SavedPending {
        let mut saved = SavedPending::default();
        let mut alerts = Vec::new();
        for pending in tenant.pending.iter() {
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
        saved.alerts = one_batch(&tenant.name, SignalKind::Alert, alerts.into_iter());
        let lines = || tenant.logs.iter().flat_map(|shard| shard.pending().iter());
        saved.log_times = lines().map(|line| line.time).collect();
        saved.logs = one_batch(&tenant.name, SignalKind::Log, lines().map(LogLine::place));
        saved
    }

    /// Puts it back.
    pub(crate) fn restore(self, tenant: &mut Tenant) -> Result<(), String> {
        let name = tenant.name.clone();
        if !self.alerts.is_empty() {
            let batch = ipc::decode(&name, SignalKind::Alert, &self.alerts).map_err(|e| e.to_string())?;
            let batch = Arc::new(batch);
            let fingerprints = AlertColumns::of(&batch).fingerprint.to_vec();
            for (row, (time, key)) in self.alert_times.into_iter().zip(fingerprints).enumerate() {
                let event = Event::Alert(batch.clone(), row as u32);
                tenant.pending.push(Pending::new(time, event, key));
            }
        }
        if !self.logs.is_empty() {
            let batch = ipc::decode(&name, SignalKind::Log, &self.logs).map_err(|e| e.to_string())?;
            let batch = Arc::new(batch);
            let columns = LogColumns::of(&batch);
            for (row, time) in self.log_times.into_iter().enumerate().take(columns.len()) {
                let line = LogLine::new(&batch, &columns, row, time);
                tenant.logs[crate::sense::shard_of(line.stream())].push(line);
            }
        }
        for (time, key, event) in self.others {
            let event = match event {
                SavedEvent::Catalogue(json) => {
                    Event::Catalogue(serde_json::from_str(&json).map_err(|e| e.to_string())?)
                }
                SavedEvent::Action(json) => Event::Action(serde_json::from_str(&json).map_err(|e| e.to_string())?),
                SavedEvent::Edge(edge) => Event::Edge(Box::new(edge)),
                SavedEvent::Change(change) => Event::Change(Box::new(change)),
                SavedEvent::Moved(moved) => Event::Moved(moved),
                SavedEvent::Sensed(sensed) => Event::Sensed(sensed),
            };
            tenant.pending.push(Pending::new(time, event, key));
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
