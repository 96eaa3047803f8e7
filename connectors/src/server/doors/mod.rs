//! Who is served when more come than can be: a listener's room for bodies, and its places for work.
//!
//! | what | is held | shared how |
//! |---|---|---|
//! | room (`room.rs`) | by a body's bytes, from its first until its request is answered | a credential holds at most half as much as is free, a tenant as much as is free, strangers an eighth of it |
//! | a place (`places.rs`) | while a body that has come is decoded and stored | the next goes to the tenant that has the fewest, then to its credential that has |
//!
//! | a tenant's rate (`rates.rs`) | for each request and its bytes | none: it is each tenant's own |
//!
//! A body that is being waited for has no place, so that slow senders hold up nobody. A quarter of both is
//! out of reach for bulk data: alerts and what people say about incidents get through a flood of samples.

mod body;
mod places;
mod rates;
mod room;

use std::sync::atomic::{AtomicUsize, Ordering};

use bellwether_engine::signal::TenantName;

pub(crate) use body::{BodyError, Metered};
pub(crate) use places::Places;
pub(crate) use rates::Rates;
pub(crate) use room::{Held, Room};

use crate::limits::Limits;
use crate::memory::Memory;

/// What a request brings, as far as others wait for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Metrics, logs, traces, topology: much of it, and sent again by whoever was refused.
    #[default]
    Bulk,
    /// Alerts, events, changes, and what people say about incidents.
    Alerts,
}

/// Whose request it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Holder {
    /// `None` as long as nobody is known to be behind it.
    pub(crate) tenant: Option<TenantName>,
    /// Which of the tenant's credentials.
    pub(crate) credential: u32,
}

impl Holder {
    /// Who signs the body: not known before it has come.
    pub(crate) const UNKNOWN: Holder = Holder { tenant: None, credential: 0 };
}

/// What a sender is told when the process is near to its limit of memory.
pub(crate) const NO_MEMORY: &str = "memory is short; retry in a moment";

/// What a sender is told whose tenant sends more than it may.
pub(crate) const TOO_FAST: &str =
    "more than `limits.tenant_requests_per_sec_max` or `limits.tenant_bytes_per_sec_max` allow";

/// The doors of one listener.
pub(crate) struct Doors {
    /// For bodies.
    pub(crate) room: Room,
    /// For work.
    pub(crate) places: Places,
    /// How much of each tenant.
    pub(crate) rates: Rates,
    /// What bodies may take of the process' memory.
    bytes_max: AtomicUsize,
}

impl Doors {
    /// As `limits` say.
    pub(crate) fn new(limits: &Limits) -> Doors {
        Doors {
            room: Room::new(room_for(limits)),
            places: Places::new(limits.requests_in_flight_max),
            rates: Rates::new(limits),
            bytes_max: AtomicUsize::new(usize::MAX),
        }
    }

    /// Bodies take their part of `memory` at most from now on.
    pub(crate) fn within(&self, limits: &Limits, memory: &Memory) {
        self.bytes_max.store(memory.bodies(), Ordering::Relaxed);
        self.resize(limits);
    }

    /// Puts other limits in force; what is held stays held.
    pub(crate) fn resize(&self, limits: &Limits) {
        self.room.resize(room_for(limits).min(self.bytes_max.load(Ordering::Relaxed)));
        self.rates.set(limits);
        self.places.resize(limits.requests_in_flight_max);
    }

    /// Why nobody can be served at the moment, in words; `None` when they can.
    pub(crate) fn full(&self, limits: &Limits) -> Option<&'static str> {
        if self.places.is_full() {
            Some("all places for requests are taken (`limits.requests_in_flight_max`)")
        } else if self.room.free() < limits.body_bytes_max {
            Some("all room for bodies is taken (`limits.requests_in_flight_max` times `limits.body_bytes_max`)")
        } else {
            None
        }
    }
}

/// Bodies that there is room for at least: a share of few places would hold no body.
const BODIES_MIN: usize = 64;

/// Bytes that all bodies of a listener may hold.
fn room_for(limits: &Limits) -> usize {
    let bodies = limits.requests_in_flight_max.max(BODIES_MIN);
    bodies.saturating_mul(limits.body_bytes_max.saturating_add(room::REQUEST_BYTES))
}

/// What is left of `max` for bulk data: alerts have the rest to themselves.
fn for_bulk(max: usize) -> usize {
    max - max / 4
}
