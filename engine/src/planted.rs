//! Panics that tests plant into a stage, to see that one bug does not end everything. Builds without debug
//! assertions, which all that are handed out are, know none.

/// Of this tenant alone.
#[cfg(debug_assertions)]
const TENANT: &str = "planted";

/// Panics when `what` of the tenant `planted` names the entity `service:panic-in-<stage>`.
#[cfg(debug_assertions)]
pub(crate) fn panic_if_planted(stage: &str, tenant: &str, what: &dyn std::fmt::Debug) {
    if tenant == TENANT && format!("{what:?}").contains(&format!("service:panic-in-{stage}")) {
        panic!("planted in {stage}");
    }
}

#[cfg(not(debug_assertions))]
pub(crate) fn panic_if_planted(_: &str, _: &str, _: &dyn std::fmt::Debug) {}
