//! Room for bodies that are being received, in bytes, shared by what is free.
//!
//! Bodies may take as long as a sender's line is slow, so room is not waited for: a body is let grow while
//! its holder has less than is free for it (the dynamic thresholds by which switches share their buffers,
//! Choudhury and Hahne 1998). Alone, a tenant gets half; with others, each gets as much, and there is
//! always something left for who comes next.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Holder, Lane, for_bulk};
use bellwether_engine::signal::TenantName;

/// What a request holds before its first byte: its headers, its connection's buffers.
pub(super) const REQUEST_BYTES: usize = 16 << 10;
/// The part of what is free that one credential may hold, and all strangers together.
const CREDENTIAL_PART: usize = 2;
const STRANGERS_PART: usize = 8;

/// Room for bodies. Clones share it.
#[derive(Clone)]
pub(crate) struct Room(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    bytes_max: usize,
    bytes: usize,
    bulk: usize,
    /// Entries of those who hold something: as many as there are requests at most.
    tenants: HashMap<(Lane, Option<TenantName>), usize>,
    credentials: HashMap<(Lane, Holder), usize>,
}

/// What one request holds, until it is dropped.
pub(crate) struct Held {
    room: Room,
    holder: Holder,
    lane: Lane,
    bytes: AtomicUsize,
}

impl Room {
    /// Room of `bytes_max` bytes.
    pub(crate) fn new(bytes_max: usize) -> Room {
        Room(Arc::new(Mutex::new(Taken { bytes_max, ..Taken::default() })))
    }

    /// Changes how much there is.
    pub(crate) fn resize(&self, bytes_max: usize) {
        self.taken().bytes_max = bytes_max;
    }

    /// Bytes that nobody holds.
    pub(crate) fn free(&self) -> usize {
        let taken = self.taken();
        taken.bytes_max.saturating_sub(taken.bytes)
    }

    /// Lets a request of `holder` in, its body not yet; `None` when it has its share.
    pub(crate) fn hold(&self, holder: &Holder, lane: Lane) -> Option<Arc<Held>> {
        let held = Held { room: self.clone(), holder: holder.clone(), lane, bytes: AtomicUsize::new(0) };
        held.grow(REQUEST_BYTES).then(|| Arc::new(held))
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Takes `bytes` more; false, and nothing is taken, when the holder has its share.
    pub(crate) fn grow(&self, bytes: usize) -> bool {
        let taken = self.room.taken().take(&self.holder, self.lane, bytes);
        if taken {
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        taken
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.taken().give(&self.holder, self.lane, *self.bytes.get_mut());
    }
}

impl Taken {
    fn take(&mut self, holder: &Holder, lane: Lane, bytes: usize) -> bool {
        let left = self.bytes_max.saturating_sub(self.bytes);
        let free = match lane {
            Lane::Alerts => left,
            Lane::Bulk => left.min(for_bulk(self.bytes_max).saturating_sub(self.bulk)),
        };
        let (of_tenant, of_credential) = ((lane, holder.tenant.clone()), (lane, holder.clone()));
        let has = |held: Option<&usize>| held.copied().unwrap_or(0).saturating_add(bytes);
        let tenant = has(self.tenants.get(&of_tenant));
        let fits = match &holder.tenant {
            None => tenant <= free / STRANGERS_PART,
            Some(_) => tenant <= free && has(self.credentials.get(&of_credential)) <= free / CREDENTIAL_PART,
        };
        if fits {
            self.bytes += bytes;
            self.bulk += if lane == Lane::Bulk { bytes } else { 0 };
            *self.tenants.entry(of_tenant).or_default() += bytes;
            *self.credentials.entry(of_credential).or_default() += bytes;
        }
        fits
    }

    fn give(&mut self, holder: &Holder, lane: Lane, bytes: usize) {
        self.bytes -= bytes;
        self.bulk -= if lane == Lane::Bulk { bytes } else { 0 };
        less(&mut self.tenants, &(lane, holder.tenant.clone()), bytes);
        less(&mut self.credentials, &(lane, holder.clone()), bytes);
    }
}

/// Takes `bytes` off what `key` has, and forgets who has nothing.
fn less<K: Hash + Eq>(of: &mut HashMap<K, usize>, key: &K, bytes: usize) {
    if let Some(has) = of.get_mut(key) {
        *has = has.saturating_sub(bytes);
        if *has == 0 {
            of.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn of(tenant: &str, credential: u32) -> Holder {
        Holder { tenant: Some(TenantName::new(tenant).expect("a name")), credential }
    }

    /// Requests of 1 MiB until one is refused.
    fn fill(room: &Room, holder: &Holder, lane: Lane) -> Vec<Arc<Held>> {
        let one = || room.hold(holder, lane).filter(|held| held.grow(MIB - REQUEST_BYTES));
        std::iter::from_fn(one).collect()
    }

    #[test]
    fn who_comes_late_finds_room_whoever_was_there_before() {
        let room = Room::new(64 * MIB);
        let first = fill(&room, &of("a", 0), Lane::Alerts);
        assert_eq!(first.len(), 21, "a third for one credential");
        let second = fill(&room, &of("a", 1), Lane::Alerts);
        assert!((30..=33).contains(&(first.len() + second.len())), "about half for one tenant: {}", second.len());
        let mut held = vec![first, second];
        for tenant in ["b", "c", "d", "e"] {
            let more = fill(&room, &of(tenant, 0), Lane::Alerts);
            assert!(!more.is_empty(), "{tenant} gets nothing");
            held.push(more);
        }
        drop(held);
        let taken = room.taken();
        assert_eq!((taken.bytes, taken.bulk, taken.tenants.len(), taken.credentials.len()), (0, 0, 0, 0));
    }

    #[test]
    fn strangers_get_the_least_and_take_nobodys_room() {
        let room = Room::new(64 * MIB);
        let strangers = fill(&room, &Holder::UNKNOWN, Lane::Alerts);
        assert_eq!(strangers.len(), 7);
        assert!(fill(&room, &of("a", 0), Lane::Alerts).len() > 15);
    }

    #[test]
    fn any_number_of_tenants_with_bulk_data_leaves_a_quarter_to_alerts() {
        let room = Room::new(64 * MIB);
        let held: Vec<_> = (0..500).map(|n| fill(&room, &of(&format!("t{n}"), 0), Lane::Bulk)).collect();
        assert!(held.iter().map(Vec::len).sum::<usize>() >= 40);
        assert!(room.free() >= 16 * MIB, "{}", room.free());
        assert!(!fill(&room, &of("t0", 0), Lane::Alerts).is_empty());
    }
}
