//! What people look at: entities, alerts, changes, log templates and problems of one tenant, as they stand.
//!
//! Nothing here changes a table or decides anything; lists are bounded, so that a look costs what it shows and one pass
//! over the table that it is about.

pub(crate) mod alerts;
pub(crate) mod entities;
pub(crate) mod others;

pub use alerts::{AlertView, AlertsSeen, AlertsWanted, Held, Place, Seen};
pub use entities::{EntityLine, EntityView};
pub use others::{ChangeView, ProblemView, TemplateView};
