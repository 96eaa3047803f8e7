//! Places for requests whose body has come: bounded, waited for briefly, and given fairly.
//!
//! Whoever finds none waits. A place that becomes free goes to alerts before bulk data, then to the
//! tenant that has the fewest, then to its credential that has, then to who has waited longest: a tenant
//! alone may have them all, and gives them back one by one when others come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bellwether_engine::signal::TenantName;
use tokio::sync::oneshot;

use super::{Holder, Lane, for_bulk};

/// How long a place is waited for; senders give up after five seconds and more.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// Requests that wait at once. A tenant may have as many of them as are free.
const WAITING_MAX: usize = 1_024;
/// For how long a refusal says that the doors are full.
const FULL_FOR: Duration = Duration::from_secs(5);

/// The places of a listener. Clones share them.
#[derive(Clone)]
pub(crate) struct Places(Arc<Mutex<Taken>>);

#[derive(Default)]
struct Taken {
    max: usize,
    all: usize,
    bulk: usize,
    /// Entries of those who have a place.
    tenants: HashMap<Option<TenantName>, usize>,
    credentials: HashMap<Holder, usize>,
    waiting: Vec<Waiting>,
    /// When somebody waited in vain.
    refused: Option<Instant>,
}

struct Waiting {
    holder: Holder,
    lane: Lane,
    give: oneshot::Sender<Place>,
}

/// A place, until it is dropped.
pub(crate) struct Place {
    places: Places,
    holder: Holder,
    lane: Lane,
}

impl Places {
    /// As many as `max`.
    pub(crate) fn new(max: usize) -> Places {
        Places(Arc::new(Mutex::new(Taken { max, ..Taken::default() })))
    }

    /// Changes how many there are.
    pub(crate) fn resize(&self, max: usize) {
        self.taken().max = max;
        self.pass_on();
    }

    /// Whether there is none, and somebody has just waited in vain.
    pub(crate) fn is_full(&self) -> bool {
        let taken = self.taken();
        taken.all >= taken.max && taken.refused.is_some_and(|refused| refused.elapsed() < FULL_FOR)
    }

    /// A place for `holder`; `None` when there was none for a while.
    pub(crate) async fn take(&self, holder: &Holder, lane: Lane) -> Option<Place> {
        let (give, given) = oneshot::channel();
        if !self.taken().queue(Waiting { holder: holder.clone(), lane, give }) {
            return None;
        }
        self.pass_on();
        let place = tokio::time::timeout(WAIT_MAX, given).await.ok().and_then(Result::ok);
        if place.is_none() {
            self.taken().refused = Some(Instant::now());
        }
        place
    }

    /// Gives what is free to those who wait.
    fn pass_on(&self) {
        loop {
            // Sent without the lock: a place that nobody takes any more comes back by its drop.
            let Some(next) = self.taken().next() else { return };
            let Waiting { holder, lane, give } = next;
            drop(give.send(Place { places: self.clone(), holder, lane }));
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().give_back(&self.holder, self.lane);
        self.places.pass_on();
    }
}

impl Taken {
    /// Lets it wait, unless its tenant has enough that do.
    fn queue(&mut self, waiting: Waiting) -> bool {
        self.waiting.retain(|other| !other.give.is_closed());
        let own = self.waiting.iter().filter(|other| other.holder.tenant == waiting.holder.tenant).count();
        let queued = own < WAITING_MAX - self.waiting.len().min(WAITING_MAX);
        if queued {
            self.waiting.push(waiting);
        } else {
            self.refused = Some(Instant::now());
        }
        queued
    }

    /// Whose turn it is, its place taken.
    fn next(&mut self) -> Option<Waiting> {
        self.waiting.retain(|waiting| !waiting.give.is_closed());
        if self.all >= self.max {
            return None;
        }
        let bulk_too = self.bulk < for_bulk(self.max);
        let may = self.waiting.iter().enumerate().filter(|(_, waiting)| bulk_too || waiting.lane == Lane::Alerts);
        let turn = |(at, waiting): &(usize, &Waiting)| {
            let tenant = self.tenants.get(&waiting.holder.tenant).copied().unwrap_or(0);
            let credential = self.credentials.get(&waiting.holder).copied().unwrap_or(0);
            (waiting.lane == Lane::Bulk, tenant, credential, *at)
        };
        let at = may.min_by_key(turn)?.0;
        let waiting = self.waiting.remove(at);
        self.all += 1;
        self.bulk += usize::from(waiting.lane == Lane::Bulk);
        *self.tenants.entry(waiting.holder.tenant.clone()).or_default() += 1;
        *self.credentials.entry(waiting.holder.clone()).or_default() += 1;
        Some(waiting)
    }

    fn give_back(&mut self, holder: &Holder, lane: Lane) {
        self.all -= 1;
        self.bulk -= usize::from(lane == Lane::Bulk);
        for left in [self.tenants.get_mut(&holder.tenant), self.credentials.get_mut(holder)].into_iter().flatten() {
            *left = left.saturating_sub(1);
        }
        self.tenants.retain(|_, has| *has > 0);
        self.credentials.retain(|_, has| *has > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tenant: &str, credential: u32) -> Holder {
        Holder { tenant: Some(TenantName::new(tenant).expect("a name")), credential }
    }

    async fn take(places: &Places, holder: &Holder, lane: Lane) -> Option<Place> {
        tokio::time::timeout(Duration::from_millis(20), places.take(holder, lane)).await.ok().flatten()
    }

    #[tokio::test]
    async fn a_tenant_alone_has_them_all_and_the_next_goes_to_who_has_the_fewest() {
        let places = Places::new(4);
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(take(&places, &of("a", 0), Lane::Alerts).await.expect("a place"));
        }
        assert!(take(&places, &of("a", 0), Lane::Alerts).await.is_none());
        let (mine, other_credential, others) = (of("a", 0), of("a", 1), of("b", 0));
        let queue = [&mine, &other_credential, &others].map(|holder| {
            let (places, holder) = (places.clone(), holder.clone());
            async move { places.take(&holder, Lane::Alerts).await }
        });
        let [first, second, third] = queue.map(|waits| tokio::spawn(waits));
        tokio::time::sleep(Duration::from_millis(50)).await;
        held.pop();
        let third = third.await.expect("runs").expect("who has none is next");
        assert!(!first.is_finished() && !second.is_finished());
        held.pop();
        let second = second.await.expect("runs").expect("then the credential that has none");
        assert!(!first.is_finished());
        drop((second, third));
        assert!(first.await.expect("runs").is_some());
    }

    #[tokio::test]
    async fn bulk_data_leaves_a_quarter_to_alerts() {
        let places = Places::new(4);
        let mut bulk = Vec::new();
        for n in 0..3 {
            bulk.push(take(&places, &of(&format!("t{n}"), 0), Lane::Bulk).await.expect("a place"));
        }
        assert!(take(&places, &of("late", 0), Lane::Bulk).await.is_none());
        assert!(take(&places, &of("t0", 0), Lane::Alerts).await.is_some());
        assert!(!places.is_full());
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_and_it_shows() {
        let places = Places::new(1);
        let held = places.take(&of("a", 0), Lane::Alerts).await;
        assert!(places.take(&of("b", 0), Lane::Alerts).await.is_none());
        assert!(places.is_full());
        drop(held);
        assert!(!places.is_full());
        let taken = places.taken();
        assert!(taken.tenants.is_empty() && taken.credentials.is_empty());
    }
}
