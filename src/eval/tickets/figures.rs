//! The figures of one cut, and of several.

use super::Said;
use crate::models_cmd::tickets::Closed;
use bellwether_models::score::causes::calibration_error;
use bellwether_models::score::tickets::{auc, covered, pinball};

/// A column of the table.
pub(super) struct Column {
    /// As the table shows it.
    pub(super) head: &'static str,
    /// As files name it.
    pub(super) column: &'static str,
    /// Whether more is better.
    pub(super) higher: bool,
}

const fn column(head: &'static str, column: &'static str, higher: bool) -> Column {
    Column { head, column, higher }
}

/// The share that p90 is to cover.
const LEVEL: f64 = 0.9;

/// Every figure, in order.
pub(super) const FIGURES: [Column; 9] = [
    column("group @1", "assign1", true),
    column("@3", "assign3", true),
    column("@5", "assign5", true),
    column("group ECE", "assign_ece", false),
    column("bounced @1", "bounced1", true),
    column("AUC", "breach_auc", true),
    column("breach ECE", "breach_ece", false),
    column("pinball .9", "pinball90", false),
    column("p90 off by", "p90_off", false),
];

/// The answers about some tickets beside the truth.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Place of the right group, from 1; 0 when it is not among those said.
    places: Vec<(usize, bool)>,
    /// Confidence of the first group and whether it is right.
    pub(super) assigned: Vec<(f64, bool)>,
    /// Chance of a breach and whether it came.
    pub(super) breaches: Vec<(f64, bool)>,
    /// Hours said and hours taken.
    hours: Vec<(f64, f64)>,
    late: usize,
    tickets: usize,
}

impl Judged {
    pub(super) fn of(asked: &[&Closed], said: &[Said]) -> Self {
        let mut judged = Self { tickets: asked.len(), ..Self::default() };
        for (ticket, said) in asked.iter().zip(said) {
            judged.late += usize::from(ticket.breached == Some(true));
            // As the truth is told elsewhere: a ticket that ended with no group has no right answer.
            if !ticket.last_group.is_empty() && !said.groups.is_empty() {
                let place = said.groups.iter().position(|group| *group == ticket.last_group).map_or(0, |at| at + 1);
                judged.places.push((place, ticket.bounced));
                judged.assigned.extend((!said.confidence.is_nan()).then_some((said.confidence, place == 1)));
            }
            if let (Some(breached), false) = (ticket.breached, said.breach.is_nan()) {
                judged.breaches.push((said.breach, breached));
            }
            if let (Some(hours), false) = (ticket.hours, said.p90_hours.is_nan()) {
                judged.hours.push((said.p90_hours, hours));
            }
        }
        judged
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.places.extend(other.places);
        self.assigned.extend(other.assigned);
        self.breaches.extend(other.breaches);
        self.hours.extend(other.hours);
        self.late += other.late;
        self.tickets += other.tickets;
    }

    pub(super) fn late_share(&self) -> f64 {
        self.late as f64 / self.tickets as f64
    }

    pub(super) fn figures(&self) -> [f64; FIGURES.len()] {
        let within = |k: usize| share(self.places.iter().map(|(place, _)| (1..=k).contains(place)));
        let bounced = share(self.places.iter().filter(|(_, bounced)| *bounced).map(|(place, _)| *place == 1));
        let ece = |answers: &[(f64, bool)]| if answers.is_empty() { f64::NAN } else { calibration_error(answers) };
        [
            within(1),
            within(3),
            within(5),
            ece(&self.assigned),
            bounced,
            auc(&self.breaches),
            ece(&self.breaches),
            pinball(&self.hours, LEVEL),
            (covered(&self.hours) - LEVEL).abs(),
        ]
    }
}

fn share(answers: impl Iterator<Item = bool>) -> f64 {
    let (mut yes, mut all) = (0.0, 0.0);
    for answer in answers {
        yes += f64::from(u8::from(answer));
        all += 1.0;
    }
    yes / all
}

/// The median over cuts, figure by figure.
pub(super) fn middle(cuts: &[[f64; FIGURES.len()]]) -> [f64; FIGURES.len()] {
    std::array::from_fn(|at| {
        let mut values: Vec<f64> = cuts.iter().map(|cells| cells[at]).collect();
        values.sort_unstable_by(f64::total_cmp);
        let half = values.len() / 2;
        if values.len() % 2 == 1 { values[half] } else { f64::midpoint(values[half - 1], values[half]) }
    })
}

/// The worst of all cuts, figure by figure.
pub(super) fn worst(cuts: &[[f64; FIGURES.len()]]) -> [f64; FIGURES.len()] {
    std::array::from_fn(|at| {
        let values = cuts.iter().map(|cells| cells[at]);
        if FIGURES[at].higher { values.fold(f64::NAN, f64::min) } else { values.fold(f64::NAN, f64::max) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_worst_of_cuts_know_which_way_is_better() {
        let cuts: Vec<[f64; FIGURES.len()]> = [0.3, 0.1, 0.2].map(|value| [value; FIGURES.len()]).to_vec();
        assert_eq!(middle(&cuts), [0.2; FIGURES.len()]);
        let worst = worst(&cuts);
        assert_eq!((worst[0], worst[3]), (0.1, 0.3), "the lowest share, the largest error");
        assert_eq!(middle(&cuts[..2])[0], 0.2, "between two");
    }
}
