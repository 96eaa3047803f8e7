//! The keys of documents as a tree: where a document is, found without putting a path together.
//!
//! ```text
//! root ── log ──── level
//!      │        └─ logger
//!      └─ host ─── name
//! ```
//!
//! Each step remembers which was entered after it last time. Documents alike walk the same way, so a
//! key is found by comparing it with one other.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::series_table::AsIs;

/// The path of what has none.
pub(super) const NO_PATH: u32 = u32::MAX;

/// Where a document begins.
const ROOT: u32 = 0;

/// Where keys lead that are beyond [`IN_ONE_MAX`].
const NOWHERE: u32 = 1;

/// Steps beyond those kept that one document may bring: a thousand times what a sender has. Keys
/// without a leaf below them are no leaves, so those do not bound it.
const IN_ONE_MAX: usize = 4_096;

/// Where to go back to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark(u32);

struct Step {
    key: Box<str>,
    parent: u32,
    /// Number of its path, once a leaf was there.
    path: Option<u32>,
    /// The step entered after it last time.
    next: u32,
}

impl Step {
    fn new(key: &str, parent: u32) -> Step {
        Step { key: key.into(), parent, path: None, next: ROOT }
    }
}

/// The tree and the place in it.
pub(super) struct Steps {
    steps: Vec<Step>,
    /// By the hash of the key, seeded with the parent. Of two that collide the later is found.
    by_key: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    at: u32,
    /// The step entered last.
    last: u32,
    room: usize,
}

impl Default for Steps {
    fn default() -> Steps {
        let nowhere = Step { path: Some(NO_PATH), ..Step::new("", ROOT) };
        let root = Step { path: Some(NO_PATH), ..Step::new("", ROOT) };
        Steps { steps: vec![root, nowhere], by_key: HashMap::default(), at: ROOT, last: ROOT, room: IN_ONE_MAX }
    }
}

impl Steps {
    /// Begins a document; forgets the steps of those before when there are more than `keep`, and
    /// answers whether it did.
    pub(super) fn begin(&mut self, keep: usize) -> bool {
        let forgets = self.steps.len() > keep;
        if forgets {
            *self = Steps::default();
        }
        (self.at, self.last, self.room) = (ROOT, ROOT, IN_ONE_MAX);
        forgets
    }

    /// Goes one step down.
    #[inline]
    pub(super) fn enter(&mut self, key: &str) -> Mark {
        let mark = Mark(self.at);
        let guess = self.steps[self.last as usize].next;
        let step = &self.steps[guess as usize];
        let right = guess > NOWHERE && step.parent == self.at && *step.key == *key;
        let to = if right { guess } else { self.find(key) };
        (self.at, self.last) = (to, to);
        mark
    }

    /// Goes back up.
    pub(super) fn leave(&mut self, mark: Mark) {
        self.at = mark.0;
    }

    /// Number of the present path, if it has one.
    pub(super) fn path(&self) -> Option<u32> {
        self.steps[self.at as usize].path
    }

    pub(super) fn set_path(&mut self, path: u32) {
        self.steps[self.at as usize].path = Some(path);
    }

    /// The keys down to here, with dots between them.
    pub(super) fn text(&self) -> String {
        let mut keys = Vec::new();
        let mut at = self.at;
        while at > NOWHERE {
            let step = &self.steps[at as usize];
            keys.push(&*step.key);
            at = step.parent;
        }
        let mut text = String::new();
        for key in keys.into_iter().rev() {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(key);
        }
        text
    }

    /// The step to `key`, known or new, noted as the one after the last.
    #[cold]
    fn find(&mut self, key: &str) -> u32 {
        if self.at == NOWHERE {
            return NOWHERE;
        }
        let hash = xxh3_64_with_seed(key.as_bytes(), u64::from(self.at));
        let is_it = |step: &Step| step.parent == self.at && *step.key == *key;
        let known = self.by_key.get(&hash).copied().filter(|known| is_it(&self.steps[*known as usize]));
        let to = match known {
            Some(known) => known,
            None if self.room == 0 => return NOWHERE,
            None => {
                self.room -= 1;
                let new = self.steps.len() as u32;
                self.steps.push(Step::new(key, self.at));
                self.by_key.insert(hash, new);
                new
            }
        };
        self.steps[self.last as usize].next = to;
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_like_the_one_before_finds_its_steps_and_one_full_of_keys_is_bounded() {
        let mut steps = Steps::default();
        let walk = |steps: &mut Steps| {
            let log = steps.enter("log");
            let level = steps.enter("level");
            let there = (steps.at, steps.text());
            steps.leave(level);
            steps.leave(log);
            there
        };
        assert_eq!(walk(&mut steps).1, "log.level");
        let before = steps.steps.len();
        assert!(!steps.begin(100));
        assert_eq!((walk(&mut steps).1.as_str(), steps.steps.len()), ("log.level", before));
        for key in 0..2 * IN_ONE_MAX {
            let mark = steps.enter(&format!("made-up-{key}"));
            let below = steps.enter("below");
            steps.leave(below);
            steps.leave(mark);
        }
        assert!(steps.steps.len() <= before + IN_ONE_MAX);
        let mark = steps.enter("one more");
        assert_eq!(steps.path(), Some(NO_PATH), "it leads nowhere");
        steps.leave(mark);
        assert_eq!(walk(&mut steps).1, "log.level", "what is known is found all the same");
        assert!(steps.begin(100), "and all is forgotten before the next");
        assert_eq!(steps.steps.len(), 2);
    }
}
