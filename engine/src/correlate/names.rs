//! What the entities of a tenant are called, and which of them an alert's texts name: evidence for
//! `correlate`, and a way for `diagnose`.

use std::collections::{HashMap, HashSet};

use crate::alert::Alert;
use crate::entity::name_of;
use crate::symbols::{Sym, Symbols};
use crate::topology::Lookup;

/// What the entities of a tenant are called, to tell a name from another word. Grows with the table
/// of entities, of which it keeps four bytes each; made anew when a checkpoint is restored.
#[derive(Debug, Default)]
pub(crate) struct KnownNames {
    names: HashSet<u32>,
    seen: usize,
    /// The names of the catalogue's items, and their other names, to the one name of each.
    listed: HashMap<u32, u32>,
}

impl KnownNames {
    /// Knows the names of a catalogue.
    pub(crate) fn of(lookup: &Lookup) -> KnownNames {
        let mut known = KnownNames::default();
        known.set_catalogue(lookup);
        known
    }

    /// Takes the names of a catalogue instead of those of the one before.
    pub(super) fn set_catalogue(&mut self, lookup: &Lookup) {
        let items = lookup.items.keys().map(|item| (name_of(item), name_of(item)));
        let others = lookup.aliases.iter().map(|(alias, item)| (name_of(alias), name_of(item)));
        self.listed = items.chain(others).filter(|(name, _)| *name != 0).collect();
    }

    /// The names that an alert's texts hold, but its own.
    pub(super) fn read(&mut self, alert: &Alert, names: &Symbols, entities: &Symbols) -> Box<[u32]> {
        self.learn(entities);
        let own = name_of(entities.text(alert.entity));
        let is_name = |word: u32| self.names.contains(&word) || self.listed.contains_key(&word);
        let mut found = Vec::new();
        alert.names_in_texts(names.text(alert.name), own, is_name, &mut found);
        for name in &mut found {
            *name = self.listed.get(name).copied().unwrap_or(*name);
        }
        found.retain(|name| *name != own);
        found.sort_unstable();
        found.dedup();
        found.into()
    }

    /// Learns the entities that came since it was last asked.
    fn learn(&mut self, entities: &Symbols) {
        self.names.extend((self.seen..entities.len()).map(|at| name_of(entities.text(Sym(at as u32)))));
        self.seen = entities.len();
    }
}
