//! `suppress`: holds back what needs nobody, and says who held it back and why.
//!
//! ```yaml
//! suppress:
//!   flapping: {changes: 5, within: 1h, quiet: 15m}
//!   inhibit:
//!     - {source: "name = 'HostDown'", target: "severity IN ('warning', 'minor')", equal: [host]}
//! ```
//!
//! Four mechanisms, asked in this order: maintenance windows of the catalogue, silences of
//! operators, inhibition by another firing alert, flapping. A suppressed alert stays in the
//! tables with its state; when the reason ends while it still fires, it goes on.

mod config;
mod inhibit;
mod matches;
mod silence;
pub(crate) mod stage;
mod table;
mod verdict;

pub use config::{FlappingConfig, SuppressConfig};
pub(crate) use inhibit::CompiledInhibit;
pub use inhibit::InhibitRule;
pub(crate) use table::Suppressions;
pub(crate) use verdict::compile;
