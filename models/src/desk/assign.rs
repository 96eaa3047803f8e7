//! Who will resolve a ticket: multinomial logistic regression over hashed fields, learned from each ticket
//! that is closed.
//!
//! The group that people dispatched it to at opening is one of the fields, so that the answer is theirs
//! where they are mostly right and another where they mostly are not.

use serde::{Deserialize, Serialize};

use super::features::{FOR_GROUP, Row, for_group};
use super::linear::{Linear, Penalty};
use super::platt::Platt;
use super::replay::{AGAIN, Replay};
use super::ticket::{Outcome, Ticket};

/// Most groups known at once. A new one beyond takes the place of the one that closed nothing for longest.
pub const GROUPS_MAX: usize = 128;
/// Longest name of a group that is learned, in bytes: the longest that a signal's fields may have.
const NAME_BYTES_MAX: usize = 256;
/// Groups for which there is room at first.
const ROOM_AT_FIRST: usize = 8;
/// A constant pull instead of a prior: groups come and go, and what nobody confirms is to fade.
const PENALTY: Penalty = Penalty { always: 0.003, prior: 0.0 };

/// A group that may resolve a ticket.
#[derive(Clone, PartialEq, Debug)]
pub struct Assignment<'a> {
    /// Its name.
    pub group: &'a str,
    /// How often answers that sure are right, 0 to 1.
    pub confidence: f64,
}

/// Who resolves which tickets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Assigner {
    linear: Linear,
    /// Names, and when each was last learned, in tickets.
    groups: Vec<(String, u64)>,
    learned: u64,
    replay: Replay<u16>,
    platt: Platt,
}

impl Default for Assigner {
    fn default() -> Self {
        Self {
            linear: Linear::new(ROOM_AT_FIRST, PENALTY),
            groups: Vec::new(),
            learned: 0,
            replay: Replay::new(),
            platt: Platt::new(),
        }
    }
}

impl Assigner {
    /// What it holds at most.
    pub const BYTES_MAX: usize = Linear::bytes_max(GROUPS_MAX)
        + Replay::<u16>::bytes_max(FOR_GROUP)
        + Platt::BYTES_MAX
        + GROUPS_MAX * (NAME_BYTES_MAX + size_of::<(String, u64)>());

    /// What it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let names: usize = self.groups.iter().map(|(name, _)| name.len() + size_of::<(String, u64)>()).sum();
        self.linear.bytes() + self.replay.bytes(FOR_GROUP) + Platt::BYTES_MAX + names
    }

    /// The groups that are likeliest to resolve `ticket`, best first, at most `ranks`. Empty before anything
    /// was learned.
    #[must_use]
    pub fn predict(&self, ticket: &Ticket<'_>, ranks: usize) -> Vec<Assignment<'_>> {
        let chances = self.chances(&for_group(ticket));
        let Some(first) = chances.iter().copied().max_by(f64::total_cmp) else {
            return Vec::new();
        };
        let mut order: Vec<usize> = (0..chances.len()).collect();
        order.sort_by(|a, b| chances[*b].total_cmp(&chances[*a]).then_with(|| self.groups[*a].cmp(&self.groups[*b])));
        let confidences = sharpened(&chances, self.platt.corrected(first));
        let told = order.into_iter().take(ranks);
        told.map(|at| Assignment { group: &self.groups[at].0, confidence: confidences[at] }).collect()
    }

    /// Learns who resolved `ticket`; a ticket without a group teaches nothing.
    pub fn learn(&mut self, ticket: &Ticket<'_>, outcome: &Outcome<'_>) {
        let Some(name) = outcome.group.filter(|name| !name.is_empty() && name.len() <= NAME_BYTES_MAX) else {
            return;
        };
        let rows = for_group(ticket);
        let chances = self.chances(&rows);
        let first = (0..chances.len()).max_by(|a, b| chances[*a].total_cmp(&chances[*b]).then(b.cmp(a)));
        if let Some(first) = first {
            self.platt.learn(chances[first], self.groups[first].0 == name);
        }
        let group = self.place_of(name);
        self.learned += 1;
        self.groups[usize::from(group)].1 = self.learned;
        self.linear.meet(&rows);
        self.replay.keep(&rows, group);
        let mut room = Vec::new();
        step(&mut self.linear, self.groups.len(), &rows, group, &mut room);
        for _ in 0..AGAIN {
            if let Some((rows, group)) = self.replay.draw() {
                step(&mut self.linear, self.groups.len(), rows, *group, &mut room);
            }
        }
    }

    /// Chances of the groups, in the order of their places.
    fn chances(&self, rows: &[Row]) -> Vec<f64> {
        let mut scores = vec![0.0; self.linear.outputs()];
        self.linear.scores(rows, &mut scores);
        scores.truncate(self.groups.len());
        softmax(&mut scores);
        scores.into_iter().map(f64::from).collect()
    }

    /// The place of a group; a new one is made room for.
    fn place_of(&mut self, name: &str) -> u16 {
        if let Some(known) = self.groups.iter().position(|(group, _)| group == name) {
            return known as u16;
        }
        if self.groups.len() < GROUPS_MAX {
            if self.groups.len() == self.linear.outputs() {
                self.linear.widen(2 * self.groups.len());
            }
            self.groups.push((name.to_owned(), self.learned));
            return (self.groups.len() - 1) as u16;
        }
        let idle = (0..GROUPS_MAX).min_by_key(|at| self.groups[*at].1).unwrap_or(0);
        self.linear.forget(idle);
        self.replay.retain(|group| usize::from(*group) != idle);
        self.groups[idle] = (name.to_owned(), self.learned);
        idle as u16
    }
}

/// One step towards `group` among the first `groups` outputs.
fn step(linear: &mut Linear, groups: usize, rows: &[Row], group: u16, room: &mut Vec<f32>) {
    room.resize(linear.outputs(), 0.0);
    linear.scores(rows, room);
    softmax(&mut room[..groups]);
    room[groups..].fill(f32::NAN);
    room[usize::from(group)] -= 1.0;
    linear.step(rows, room);
}

fn softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|score| *score = (*score - most).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|score| *score /= sum);
}

/// `chances` to the power that makes the largest of them `first`: the order stays, and they sum to one.
fn sharpened(chances: &[f64], first: f64) -> Vec<f64> {
    let most = chances.iter().copied().fold(0.0, f64::max);
    let powered = |power: f64| -> Vec<f64> {
        let parts: Vec<f64> = chances.iter().map(|chance| (chance / most).powf(power)).collect();
        let sum: f64 = parts.iter().sum();
        parts.into_iter().map(|part| part / sum).collect()
    };
    // The largest grows with the power.
    let (mut low, mut high) = (0.0, POWER_MAX);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        let reached = powered(middle).into_iter().fold(0.0, f64::max);
        if reached < first { low = middle } else { high = middle }
    }
    powered(0.5 * (low + high))
}

/// Beyond it the largest of two unequal chances is certain.
const POWER_MAX: f64 = 64.0;
/// Halvings after which a power is exact to a millionth.
const HALVINGS: usize = 26;

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(group: &str) -> Outcome<'_> {
        Outcome { group: Some(group), ..Outcome::default() }
    }

    /// Tickets about printers go to one group, about mail to the other, whoever calls.
    fn taught() -> Assigner {
        let mut assigner = Assigner::default();
        for n in 0..200 {
            let (category, group) = if n % 3 == 0 { ("printer", "field") } else { ("mail", "messaging") };
            let caller = format!("c{n}");
            assigner.learn(&Ticket { category, caller: &caller, ..Ticket::default() }, &closed(group));
        }
        assigner
    }

    #[test]
    fn what_went_to_a_group_goes_there_and_the_answer_is_nearly_sure() {
        let assigner = taught();
        let said = assigner.predict(&Ticket { category: "printer", ..Ticket::default() }, 5);
        assert_eq!(said.len(), 2, "as many as there are");
        assert_eq!(said[0].group, "field");
        assert!(said[0].confidence > 0.9 && said[0].confidence + said[1].confidence > 0.999, "{said:?}");
        assert_eq!(assigner.predict(&Ticket { category: "mail", ..Ticket::default() }, 1)[0].group, "messaging");
    }

    #[test]
    fn before_anything_is_learned_nothing_is_said_and_one_group_is_all_there_is() {
        let mut assigner = Assigner::default();
        assert!(assigner.predict(&Ticket::default(), 5).is_empty());
        assigner.learn(&Ticket::default(), &Outcome::default());
        assert!(assigner.predict(&Ticket::default(), 5).is_empty(), "a ticket without a group teaches nothing");
        assigner.learn(&Ticket::default(), &closed("only"));
        let said = assigner.predict(&Ticket { category: "new", ..Ticket::default() }, 5);
        assert_eq!((said.len(), said[0].group), (1, "only"));
        assert!((said[0].confidence - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_new_group_beyond_the_limit_takes_the_place_of_the_one_idle_longest() {
        let mut assigner = Assigner::default();
        for n in 0..GROUPS_MAX {
            assigner.learn(&Ticket::default(), &closed(&format!("g{n}")));
        }
        assigner.learn(&Ticket::default(), &closed("g0"));
        assigner.learn(&Ticket { category: "x", ..Ticket::default() }, &closed("new"));
        let names: Vec<&str> = assigner.groups.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), GROUPS_MAX);
        assert!(names.contains(&"g0") && names.contains(&"new") && !names.contains(&"g1"), "{names:?}");
        assert!(assigner.replay.all().filter(|(_, group)| *group == 1).count() == 1, "g1's tickets are gone");
    }

    #[test]
    fn confidences_are_sharpened_to_the_first_and_keep_their_order() {
        let chances = [0.2, 0.5, 0.3];
        for first in [0.4, 0.5, 0.8] {
            let sharp = sharpened(&chances, first);
            assert!((sharp[1] - first).abs() < 1e-5, "{sharp:?}");
            assert!(sharp[1] > sharp[2] && sharp[2] > sharp[0]);
            assert!((sharp.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        }
        assert!((sharpened(&chances, 0.1)[1] - 1.0 / 3.0).abs() < 1e-6, "less sure than a guess there is none");
    }

    #[test]
    fn a_saved_assigner_goes_on_exactly_as_before() {
        let mut one = taught();
        let mut two: Assigner = postcard::from_bytes(&postcard::to_stdvec(&one).expect("saves")).expect("restores");
        for assigner in [&mut one, &mut two] {
            assigner.learn(&Ticket { category: "vpn", ..Ticket::default() }, &closed("network"));
        }
        assert_eq!(one, two);
    }
}
