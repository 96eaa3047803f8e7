//! What happens to a tenant, one thing at a time: what the stages run over.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::alert::Sensed;
use crate::catalogue::Catalogue;
use crate::memory::{allocation, pairs};
use crate::signal::{AlertColumns, Batch, Relation};
use crate::time::EventTime;

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

impl Event {
    /// About how many bytes it holds beside itself.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            // Shared with whoever configured it.
            Event::Catalogue(_) => 0,
            Event::Alert(batch, row) => AlertColumns::of(batch).bytes(*row as usize),
            Event::Edge(edge) => {
                let texts = [&edge.from, &edge.to, &edge.source];
                size_of::<OwnedEdge>() + texts.into_iter().map(|text| allocation(text.len())).sum::<usize>()
            }
            Event::Change(change) => {
                let texts = [&change.id, &change.change_type, &change.entity].into_iter();
                let others = [&change.artifact, &change.who, &change.url, &change.text].into_iter().flatten();
                size_of::<OwnedChange>() + texts.chain(others).map(|text| allocation(text.len())).sum::<usize>()
            }
            Event::Action(_) => ACTION_BYTES,
            Event::Moved(moved) => size_of::<Moved>() + allocation(moved.entity.len()),
            Event::Sensed(sensed) => {
                let texts = [&sensed.name, &sensed.entity, &sensed.summary];
                let texts: usize = texts.into_iter().map(|text| allocation(text.len())).sum();
                size_of::<Sensed>() + texts + pairs(&sensed.labels)
            }
        }
    }
}

/// What an action takes: people write few, and short ones.
const ACTION_BYTES: usize = 1_024;

/// A series of `entity` has left its level, or is back at it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(crate) series: u64,
    pub(crate) entity: Box<str>,
    pub(crate) departure: Departure,
}

/// One series away from its level.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Departure {
    /// The series is watched since then.
    pub(crate) watched: EventTime,
    /// First point away.
    pub(crate) since: EventTime,
    /// First point back at the level, which may be a new one; `None` while away.
    pub(crate) until: Option<EventTime>,
    /// How surprising, in bits.
    pub(crate) bits: f32,
}
