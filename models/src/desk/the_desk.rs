//! Both models of tickets behind one seam: asked at opening, taught at closing.

use serde::{Deserialize, Serialize};

use super::assign::{Assigner, Assignment};
use super::ticket::{Outcome, Ticket};
use super::timer::{OpenTiming, Timer, Timing};

/// What the desk says of a ticket.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer<'a> {
    /// Who will resolve it, best first. Empty before anything was learned.
    pub groups: Vec<Assignment<'a>>,
    /// How long it will take.
    pub timing: Timing,
}

/// A service desk's experience. Call [`Desk::learn`] in the order in which tickets are closed.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Desk {
    assigner: Assigner,
    timer: Timer,
    learned: u64,
}

impl Desk {
    /// What a desk holds at most: 20 MiB, where 128 groups and as many different values as there are rows were
    /// met. The UCI incident log's 71 groups take 9 MiB.
    pub const BYTES_MAX: usize = Assigner::BYTES_MAX + Timer::BYTES_MAX;

    /// What is to be expected of a ticket that was just opened, with at most `ranks` groups.
    #[must_use]
    pub fn predict(&self, ticket: &Ticket<'_>, ranks: usize) -> Answer<'_> {
        Answer { groups: self.assigner.predict(ticket, ranks), timing: self.timer.predict(ticket) }
    }

    /// What is to be expected of a ticket that is still open after so many hours.
    #[must_use]
    pub fn predict_open(&self, ticket: &Ticket<'_>, elapsed_hours: f64, limit_hours: Option<f64>) -> OpenTiming {
        self.timer.predict_open(ticket, elapsed_hours, limit_hours)
    }

    /// How many closed tickets taught it.
    #[must_use]
    pub fn learned(&self) -> u64 {
        self.learned
    }

    /// What it holds, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.assigner.bytes() + self.timer.bytes()
    }

    /// Learns from a ticket that was closed: as it stood when it was opened, and how it ended.
    pub fn learn(&mut self, ticket: &Ticket<'_>, outcome: &Outcome<'_>) {
        self.assigner.learn(ticket, outcome);
        self.timer.learn(ticket, outcome);
        self.learned += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_desk_stays_within_what_it_states() {
        const { assert!(Desk::BYTES_MAX < 21 << 20) };
        let mut desk = Desk::default();
        for n in 0..6_000_u32 {
            let text = format!("{n}");
            let ticket = Ticket { caller: &text, item: &text, location: &text, category: &text, ..Ticket::default() };
            let group = format!("g{}", n % 300);
            desk.learn(&ticket, &Outcome { group: Some(&group), breached: Some(n % 2 == 0), hours: Some(1.0) });
        }
        // Saved it is smaller than held by the slack of vectors alone.
        let saved = postcard::to_stdvec(&desk).expect("saves").len();
        assert!(saved < Desk::BYTES_MAX && saved > Desk::BYTES_MAX / 2, "{saved} of {}", Desk::BYTES_MAX);
        assert!(desk.bytes() < Desk::BYTES_MAX && desk.bytes().abs_diff(saved) < saved / 4, "{}", desk.bytes());
        assert_eq!(desk.learned(), 6_000);
    }
}
