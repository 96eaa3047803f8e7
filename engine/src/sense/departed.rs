//! Which series have left their level: what the diagnosis asks about entities that raise no alert.

use serde::{Deserialize, Serialize};

use crate::diagnose::{Departure, speaks_of_state};
use crate::time::EventTime;

use super::series::Series;

/// Bits of surprise from which a point is away: one in five hundred.
const AWAY_BITS: f64 = 9.0;

/// Bits below which a point is back.
const BACK_BITS: f64 = 5.0;

/// So many points in a row make up a mind, either way.
const POINTS: u8 = 2;

/// Where a series stands.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Standing {
    away: Option<Departure>,
    /// Points in a row that say otherwise, and the first of them.
    contrary: u8,
    first: EventTime,
}

/// A series of `entity` has left its level, or is back at it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Moved {
    pub(crate) series: u64,
    pub(crate) entity: Box<str>,
    pub(crate) departure: Departure,
}

/// Looks at one more point of a series, `bits` of surprise away from its level.
pub(super) fn look(series: &mut Series, id: u64, at: EventTime, bits: f64, out: &mut Vec<(EventTime, Moved)>) {
    let state = &mut series.standing;
    let contrary = if state.away.is_some() { bits < BACK_BITS } else { bits >= AWAY_BITS };
    if !contrary {
        state.contrary = 0;
        return;
    }
    if state.contrary == 0 {
        state.first = at;
    }
    state.contrary += 1;
    if state.contrary < POINTS {
        return;
    }
    state.contrary = 0;
    let departure = match state.away.take() {
        Some(departure) => Departure { until: Some(state.first), ..departure },
        None => *state.away.insert(Departure { since: state.first, until: None, bits: bits as f32 }),
    };
    if speaks_of_state(&series.meta.name) {
        out.push((at, Moved { series: id, entity: series.meta.entity.clone(), departure }));
    }
}
