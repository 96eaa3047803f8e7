//! Which series have left their level: what the diagnosis asks about entities that raise no alert.

use bellwether_models::metric::Verdict;
use serde::{Deserialize, Serialize};

use crate::condition::speaks_of_state;
use crate::event::{Departure, Moved};
use crate::time::{EventTime, Span};

use super::meta::SeriesMeta;

/// Bits of surprise from which a point is away: one in five hundred.
const AWAY_BITS: f64 = 9.0;

/// Bits below which a point is back.
const BACK_BITS: f64 = 5.0;

/// So many points in a row make up a mind, either way.
const POINTS: u8 = 2;

/// A level that a series left is known for this long: going back to it is no news.
const USUAL_KEPT: Span = Span::from_hours(6);

/// The band of a level is this much wider when a series comes back to it.
const USUAL_WIDER: f64 = 0.5;

/// Where a series stands against its usual level.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Level {
    away: Option<Departure>,
    usual: Option<Usual>,
    /// Points in a row that say otherwise, and the first of them.
    contrary: u8,
    first: EventTime,
}

/// The band a series was in before it left it.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Usual {
    left_at: EventTime,
    lower: f64,
    upper: f64,
}

impl Level {
    /// Notes the band that `verdict` says is being left; a level left before stays the usual one.
    pub(super) fn leave(&mut self, at: EventTime, verdict: &Verdict) {
        let known = self.usual.is_some_and(|usual| at.since(usual.left_at) <= USUAL_KEPT);
        if !known && verdict.lower.is_finite() && verdict.upper.is_finite() {
            self.usual = Some(Usual { left_at: at, lower: verdict.lower, upper: verdict.upper });
        }
    }

    /// Whether `value` is back where the series was before it left, or on the way there from
    /// what `verdict` expected instead.
    pub(super) fn is_back(&self, at: EventTime, value: f64, verdict: &Verdict) -> bool {
        self.usual.is_some_and(|usual| {
            let slack = USUAL_WIDER * (usual.upper - usual.lower);
            let (low, high) = (usual.lower - slack, usual.upper + slack);
            let (low, high) = (low.min(verdict.expected), high.max(verdict.expected));
            value >= low && value <= high && at.since(usual.left_at) <= USUAL_KEPT
        })
    }
}

/// Looks at one more point of a series.
pub(super) fn look(
    state: &mut Level,
    (id, meta): (u64, &SeriesMeta),
    (watched, at): (EventTime, EventTime),
    value: f64,
    verdict: &Verdict,
    out: &mut Vec<(EventTime, Moved)>,
) {
    let back = state.is_back(at, value, verdict);
    let bits = verdict.departure;
    let contrary = match state.away {
        Some(_) => back || bits < BACK_BITS,
        None => !back && bits >= AWAY_BITS,
    };
    if !contrary {
        state.contrary = 0;
        return;
    }
    if state.contrary == 0 {
        state.first = at;
        if state.away.is_none() {
            state.leave(at, verdict);
        }
    }
    state.contrary += 1;
    if state.contrary < POINTS {
        return;
    }
    state.contrary = 0;
    let departure = match state.away.take() {
        Some(departure) => Departure { until: Some(state.first), ..departure },
        None => *state.away.insert(Departure { watched, since: state.first, until: None, bits: bits as f32 }),
    };
    if speaks_of_state(&meta.name) {
        out.push((at, Moved { series: id, entity: meta.entity.clone(), departure }));
    }
}
