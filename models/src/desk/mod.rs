//! The service desk: who will resolve this ticket, will it miss its agreement, how long will it
//! take, and which earlier report was about the same trouble?
//!
//! [`Desk`] holds [`Assigner`] and [`Timer`]; it is asked with a [`Ticket`] as it stood when it was
//! opened, and taught by the [`Outcome`] of tickets that are closed. Both are linear models over hashed
//! fields that learn from each closed ticket and, for each, a few of the latest ones again
//! (experience replay), so that one pass over the stream reaches what several passes over a file do.
//! What each says is held against what came back, over a rolling window, before anybody may rely on it.
//!
//! - **In order of closing.** The recently opened tickets that are closed already are the quick ones. Whoever
//!   learns by the time of opening learns from a biased sample (right truncation); all that
//!   closed in a stretch of time are there, quick and slow, as they would be among those opened.
//! - **Nothing from the future.** A ticket is judged by fields that were filled in when it was
//!   opened; of its life only what is known once it is closed teaches.
//! - **Bounded.** See [`Desk::BYTES_MAX`] and [`Similar::BYTES_MAX`].

mod assign;
mod curve;
mod features;
mod linear;
mod platt;
mod replay;
mod similar;
mod the_desk;
mod ticket;
mod timer;
mod words;

pub use assign::{Assigner, Assignment, GROUPS_MAX};
pub use similar::{Found, Report, Similar};
pub use the_desk::{Answer, Desk};
pub use ticket::{Outcome, Ticket};
pub use timer::{OpenTiming, Timer, Timing};
