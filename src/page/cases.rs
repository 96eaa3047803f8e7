//! The incidents that reports count, as they were unpacked lately.

use std::time::Duration;

use super::kept::Kept;
use super::model::Scope;
use crate::review::Case;

/// How long the cases that a report counts are kept: they are unpacked from every record.
const CASES_FOR: Duration = Duration::from_secs(30);
/// Scopes of which they are kept; of one with 30,000 incidents they are some 20 MB.
const SCOPES_MAX: usize = 4;

/// What was counted lately.
#[derive(Debug)]
pub(super) struct Cases(pub(super) Kept<Scope, Vec<Case>>);

impl Default for Cases {
    fn default() -> Cases {
        Cases(Kept::new(CASES_FOR, SCOPES_MAX))
    }
}
