//! File descriptors: how many the process may have, and how many of them connections get.
//!
//! Whoever connects takes one, with a credential or without. The journal, checkpoints and the incident
//! log need theirs whatever comes, so listeners share what is left beside a reserve.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::Limits;

/// Kept for files, receivers, sources, the runtime, and connections that are told there is no room.
const RESERVED: usize = 256;
/// As many as are asked for where more are allowed: some systems allow a thousand million.
const WANTED: u64 = 65_536;

/// Raises the limit of descriptors as far as the process may, and says what it is now.
pub fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    if current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
    {
        tracing::warn!(%error, wanted, "the limit of file descriptors cannot be raised; raise it with `ulimit -n`");
    }
    allowed()
}

/// How many the process may have.
fn allowed() -> usize {
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Most connections that each of `listeners` may hold of `allowed` descriptors.
fn share(allowed: usize, listeners: usize) -> usize {
    let left = allowed - RESERVED.min(allowed / 2);
    (left / listeners.max(1)).max(1)
}

/// `limits`, with no more connections for each of `listeners` than there are descriptors for.
pub(crate) fn within(limits: &Limits, listeners: usize) -> Limits {
    let allowed = allowed();
    let connections_max = limits.connections_max.min(share(allowed, listeners));
    if connections_max < limits.connections_max {
        tracing::warn!(
            configured = limits.connections_max,
            in_force = connections_max,
            descriptors = allowed,
            listeners,
            "`limits.connections_max` is lowered to what file descriptors are left for; raise `LimitNOFILE` or `ulimit -n`"
        );
    }
    Limits { connections_max, ..limits.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_listeners_together_leave_the_reserve_alone() {
        for (allowed, listeners) in [(1_024, 1), (1_024, 5), (65_536, 3), (300, 2), (usize::MAX, 4)] {
            let taken = share(allowed, listeners) * listeners;
            assert!(taken <= allowed - RESERVED.min(allowed / 2), "{allowed} for {listeners}: {taken}");
        }
        assert_eq!(share(1, 4), 1, "a listener that nobody reaches is none");
    }

    #[test]
    fn a_limit_that_fits_stays_as_it_is() {
        assert_eq!(within(&Limits { connections_max: 2, ..Limits::default() }, 1).connections_max, 2);
    }
}
