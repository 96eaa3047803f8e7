//! What a system's numbers stand for: asked for once, and again when a name is not among what is known.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::system::Answered;

/// Lists that are remembered; beyond, all are asked for again.
const LISTS_MAX: usize = 1_000;

/// Names and numbers of the things that a system lists, by where it lists them.
#[derive(Default)]
pub(super) struct Names(Mutex<BTreeMap<String, BTreeMap<String, String>>>);

impl Names {
    /// The number of `name` in the list `list`, which `ask` gives as names with their numbers.
    pub(super) async fn id<F: Future<Output = Answered<BTreeMap<String, String>>>>(
        &self,
        list: &str,
        name: &str,
        ask: impl FnOnce() -> F,
    ) -> Answered<Option<String>> {
        let known = self.look(list, |names| names.get(name).cloned());
        if known.is_some() {
            return Ok(known);
        }
        self.keep(list, ask().await?);
        Ok(self.look(list, |names| names.get(name).cloned()))
    }

    /// The name that number `id` has in the list `list`; the number itself when it has none.
    pub(super) async fn name<F: Future<Output = Answered<BTreeMap<String, String>>>>(
        &self,
        list: &str,
        id: &str,
        ask: impl FnOnce() -> F,
    ) -> Answered<String> {
        let of = |names: &BTreeMap<String, String>| {
            names.iter().find(|(_, number)| number.as_str() == id).map(|(name, _)| name.clone())
        };
        if let Some(known) = self.look(list, of) {
            return Ok(known);
        }
        self.keep(list, ask().await?);
        Ok(self.look(list, of).unwrap_or_else(|| id.to_owned()))
    }

    fn look<T>(&self, list: &str, of: impl FnOnce(&BTreeMap<String, String>) -> Option<T>) -> Option<T> {
        of(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(list)?)
    }

    fn keep(&self, list: &str, names: BTreeMap<String, String>) {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() >= LISTS_MAX {
            lists.clear();
        }
        lists.insert(list.to_owned(), names);
    }
}
