//! The latest closed tickets, learned again beside each new one (experience replay; Lin, 1992).

use serde::{Deserialize, Serialize};

use super::features::Row;

/// Tickets kept. Two weeks of the UCI incident log; with twice as many what has changed since is
/// learned against for longer, with half as many rare rows are forgotten.
pub(super) const KEPT_MAX: usize = 4_096;
/// Old tickets learned again beside each new one: the eight passes a regression over a file takes.
pub(super) const AGAIN: usize = 8;

/// A ring of tickets as rows, with what they taught.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Replay<L> {
    kept: Vec<(Box<[Row]>, L)>,
    next: usize,
    draws: u64,
}

impl<L: Clone> Replay<L> {
    /// What it holds at most, with `width` rows a ticket.
    pub(super) const fn bytes_max(width: usize) -> usize {
        KEPT_MAX * (2 * width + size_of::<(Box<[Row]>, L)>())
    }

    pub(super) fn new() -> Self {
        Self { kept: Vec::new(), next: 0, draws: 0 }
    }

    /// What it holds, with `width` rows a ticket.
    pub(super) fn bytes(&self, width: usize) -> usize {
        self.kept.len() * (2 * width + size_of::<(Box<[Row]>, L)>())
    }

    /// Keeps a ticket, in place of the oldest when full.
    pub(super) fn keep(&mut self, rows: &[Row], lesson: L) {
        if self.kept.len() < KEPT_MAX {
            self.kept.push((rows.into(), lesson));
        } else {
            let (old, taught) = &mut self.kept[self.next % KEPT_MAX];
            old.clone_from_slice(rows);
            *taught = lesson;
            self.next = (self.next + 1) % KEPT_MAX;
        }
    }

    /// One of those kept, by a sequence of draws that is part of the state.
    pub(super) fn draw(&mut self) -> Option<&(Box<[Row]>, L)> {
        self.draws = self.draws.wrapping_add(1);
        let at = mixed(self.draws) % (self.kept.len().max(1) as u64);
        self.kept.get(at as usize)
    }

    /// All of them, in no order.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &(Box<[Row]>, L)> {
        self.kept.iter()
    }

    /// Drops those whose lesson is not to be taught any more.
    pub(super) fn retain(&mut self, keep: impl Fn(&L) -> bool) {
        // The ring turns to its oldest first, so that it goes on in order.
        self.kept.rotate_left(self.next);
        self.next = 0;
        self.kept.retain(|(_, lesson)| keep(lesson));
    }
}

/// SplitMix64 of a counter (Steele et al., OOPSLA 2014).
fn mixed(counter: u64) -> u64 {
    let mut z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_drawn_evenly() {
        let mut replay = Replay::new();
        assert!(replay.draw().is_none());
        (0..KEPT_MAX as u32 + 10).for_each(|n| replay.keep(&[n as Row], n));
        assert_eq!(replay.kept.len(), KEPT_MAX);
        assert_eq!(replay.all().map(|(_, n)| *n).min(), Some(10), "the oldest ten are gone");
        let drawn: Vec<u32> = (0..4 * KEPT_MAX).filter_map(|_| replay.draw().map(|(_, n)| *n)).collect();
        let early = drawn.iter().filter(|n| **n < 10 + KEPT_MAX as u32 / 2).count();
        assert!((early as f64 / drawn.len() as f64 - 0.5).abs() < 0.02, "{early}");
    }

    #[test]
    fn after_dropping_some_the_oldest_still_goes_first() {
        let mut replay = Replay::new();
        (0..KEPT_MAX as u32 + 3).for_each(|n| replay.keep(&[0], n));
        replay.retain(|n| *n != 3);
        replay.keep(&[0], 9_001);
        replay.keep(&[0], 9_002);
        assert_eq!(replay.all().map(|(_, n)| *n).min(), Some(5), "3 was dropped, 4 went first");
    }
}
