//! Work that may panic, and the word that it did. Whatever it had in hand is half changed: who calls lets go of it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// A bug that an entry met: what was known of the tenant is gone from the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whose state is gone; `None` when the entry concerns everybody and has changed nothing.
    pub tenant: Option<Arc<str>>,
    /// What the panic said; standard error says where.
    pub reason: String,
}

/// Does the work; when it panics, says what the panic said.
///
/// # Errors
/// The text of the panic. What the work was changing must not be used again.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| text(&*panic))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    literal.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without words".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_says_is_kept() {
        assert_eq!(guarded(|| 7), Ok(7));
        assert_eq!(guarded(|| panic!("a {}", "bug")), Err::<(), _>("a bug".to_owned()));
        assert_eq!(guarded(|| panic!("plain")), Err::<(), _>("plain".to_owned()));
    }
}
