//! How much a tenant may send a second: requests and bytes, each a bucket that fills again.
//!
//! A bucket holds ten seconds' worth, so that a burst after a pause passes. What a body takes is known when it
//! has come, so bytes go into debt, which has to be worked off before the next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bellwether_engine::signal::TenantName;

use crate::limits::Limits;

/// Seconds that a bucket holds.
const BURST_SECS: f64 = 10.0;

/// The buckets of a listener. Clones share them.
#[derive(Clone)]
pub(crate) struct Rates(Arc<Mutex<Buckets>>);

struct Buckets {
    requests_per_sec: f64,
    bytes_per_sec: f64,
    /// As many as there are tenants with a credential, at most.
    tenants: HashMap<TenantName, Bucket>,
}

/// What a tenant has left.
struct Bucket {
    requests: f64,
    bytes: f64,
    at: Instant,
}

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Rates {
        let rates = Buckets { requests_per_sec: 0.0, bytes_per_sec: 0.0, tenants: HashMap::new() };
        let rates = Rates(Arc::new(Mutex::new(rates)));
        rates.set(limits);
        rates
    }

    /// Puts other limits in force.
    pub(crate) fn set(&self, limits: &Limits) {
        let mut buckets = self.buckets();
        buckets.requests_per_sec = f64::from(limits.tenant_requests_per_sec_max);
        buckets.bytes_per_sec = limits.tenant_bytes_per_sec_max as f64;
    }

    /// Lets a request of `tenant` in, unless it has used up what it has.
    pub(crate) fn admit(&self, tenant: &TenantName) -> bool {
        self.buckets().admit(tenant, Instant::now())
    }

    /// A request of `tenant` has brought so many bytes.
    pub(crate) fn charge(&self, tenant: &TenantName, bytes: usize) {
        if let Some(bucket) = self.buckets().tenants.get_mut(tenant) {
            bucket.bytes -= bytes as f64;
        }
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    fn admit(&mut self, tenant: &TenantName, now: Instant) -> bool {
        let full = (self.requests_per_sec * BURST_SECS, self.bytes_per_sec * BURST_SECS);
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(tenant.clone(), Bucket { requests: full.0, bytes: full.1, at: now });
        }
        let Some(bucket) = self.tenants.get_mut(tenant) else { return true };
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.at = now;
        bucket.requests = (bucket.requests + passed * self.requests_per_sec).min(full.0);
        bucket.bytes = (bucket.bytes + passed * self.bytes_per_sec).min(full.1);
        let admitted = bucket.requests >= 1.0 && bucket.bytes > 0.0;
        bucket.requests -= f64::from(u8::from(admitted));
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_a_flood_waits_and_nobody_else_does() {
        let limits = Limits { tenant_requests_per_sec_max: 2, tenant_bytes_per_sec_max: 1_000, ..Limits::default() };
        let (rates, start) = (Rates::new(&limits), Instant::now());
        let [one, other] = ["a", "b"].map(|name| TenantName::new(name).expect("a name"));
        let admit = |tenant, secs| rates.buckets().admit(tenant, start + Duration::from_secs(secs));
        assert_eq!((0..30).filter(|_| admit(&one, 0)).count(), 20, "ten seconds' worth");
        assert!(admit(&other, 0));
        assert_eq!((0..30).filter(|_| admit(&one, 1)).count(), 2);
        rates.charge(&other, 15_000);
        assert!(!admit(&other, 4), "it owes a second's bytes");
        assert!(admit(&other, 6));
    }
}
