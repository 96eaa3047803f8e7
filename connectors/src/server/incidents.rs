//! Which incidents may be acted on, so that who acts on another hears so at once.
//!
//! The engine says what it tells: an incident is known before anybody outside can have heard of it. Until
//! the engine of every partition has read what was in its journal at the start, less may be known than was told
//! before: then nobody is refused.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

/// The incidents that were told and are not over, by tenant: as many as the engine's own tables hold.
#[derive(Debug)]
pub struct KnownIncidents {
    /// Engines that have not read what was there at the start.
    incomplete: AtomicUsize,
    ids: RwLock<HashMap<Box<str>, HashSet<Box<str>>>>,
}

impl Default for KnownIncidents {
    /// Of one engine.
    fn default() -> KnownIncidents {
        KnownIncidents { incomplete: AtomicUsize::new(1), ids: RwLock::default() }
    }
}

impl KnownIncidents {
    /// So many engines are to say what they know. To be said before the first is complete.
    pub fn expect(&self, engines: usize) {
        self.incomplete.store(engines, Ordering::Release);
    }

    /// `id` is told, and not over.
    pub fn open(&self, tenant: &str, id: &str) {
        let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_tenant) = ids.get_mut(tenant) {
            if !of_tenant.contains(id) {
                of_tenant.insert(id.into());
            }
        } else {
            ids.insert(tenant.into(), HashSet::from([id.into()]));
        }
    }

    /// `id` is closed, or has become a part of another.
    pub fn over(&self, tenant: &str, id: &str) {
        let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_tenant) = ids.get_mut(tenant) {
            of_tenant.remove(id);
        }
    }

    /// From here on nothing that one engine ever told is missing. To be said once by each.
    pub fn complete(&self) {
        // Said too often it means nothing more.
        let _ = self.incomplete.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1));
    }

    /// Whether `id` is certainly none that could be acted on.
    pub(crate) fn certainly_lacks(&self, tenant: &str, id: &str) -> bool {
        let complete = self.incomplete.load(Ordering::Acquire) == 0;
        let ids = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        complete && !ids.get(tenant).is_some_and(|of_tenant| of_tenant.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_refused_before_everything_told_is_known() {
        let known = KnownIncidents::default();
        known.open("acme", "inc_1");
        assert!(!known.certainly_lacks("acme", "inc_2"), "it may have been told before");
        known.expect(2);
        known.complete();
        assert!(!known.certainly_lacks("acme", "inc_2"), "the engine of the other partition may have told it");
        known.complete();
        assert!(known.certainly_lacks("acme", "inc_2") && !known.certainly_lacks("acme", "inc_1"));
        assert!(known.certainly_lacks("beta", "inc_1"), "it is another's");
        known.over("acme", "inc_1");
        assert!(known.certainly_lacks("acme", "inc_1"));
    }
}
