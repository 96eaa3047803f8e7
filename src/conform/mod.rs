//! The conformance kit: by which a subscriber of the incident stream finds out whether it keeps the rules of
//! `docs/conformance.md`.
//!
//! ```text
//! plan(seed, rounds) ──▶ deliveries ──▶ send ──▶ the subscriber ──▶ its answer, JSON Lines
//!        │                                                                 │
//!        └────────────── what stands at the end ──▶ judge ◀────────────────┘ ──▶ rules broken
//! ```
//!
//! A plan is a function of its seed: whoever judges makes it anew, and nothing is kept between the two commands.

mod answer;
mod judge;
mod plan;
mod rules;
mod send;
mod story;
mod texts;

pub use answer::{Answer, AnswerError, Held};
pub use judge::{Broken, Verdict, judge};
pub use plan::{ROUNDS_MAX, plan};
pub use rules::Rule;
pub use send::{SendError, to_nats, to_webhook, write_lines};
pub use story::Delivery;
