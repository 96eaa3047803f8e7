//! How often changes of a type preceded trouble where they were made.
//!
//! A type of change that is followed by trouble more often than changes are in general weighs
//! more when the next one stands before an incident. What is counted are changes and incidents
//! that nobody disowned, not what the ranking made of them: a type cannot talk itself up.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Types counted apart. Types are names that senders choose; more than this are a sender that
/// writes something else there, and the rest keep the weight of their words.
const TYPES_MAX: usize = 256;

/// Changes of a type after which its counts are halved, so that what was long ago fades.
const MADE_MAX: f64 = 512.0;

/// Changes of a type at which its own record weighs as much as that of all changes.
const SUPPORT: f64 = 8.0;

/// Bounds of the factor on the weight of a type: its record corrects the words, it does not
/// replace them.
const FACTOR: std::ops::RangeInclusive<f64> = 0.5..=1.6;

/// Changes made, and how many of them trouble followed, by type; of one tenant.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Precedents {
    by_type: BTreeMap<Box<str>, Record>,
}

/// The record of one type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Changes made.
    pub(crate) made: f64,
    /// How many of them trouble followed.
    pub(crate) followed: f64,
}

impl Precedents {
    /// A change was made.
    pub(super) fn made(&mut self, change_type: &str) {
        if !self.by_type.contains_key(change_type) && self.by_type.len() >= TYPES_MAX {
            return;
        }
        let record = self.by_type.entry(change_type.into()).or_default();
        if record.made >= MADE_MAX {
            record.made /= 2.0;
            record.followed /= 2.0;
        }
        record.made += 1.0;
    }

    /// Trouble has followed a change; once for each.
    pub(super) fn followed(&mut self, change_type: &str) {
        if let Some(record) = self.by_type.get_mut(change_type) {
            record.followed = (record.followed + 1.0).min(record.made);
        }
    }

    /// The record of a type, when any of it is known.
    pub(crate) fn of(&self, change_type: &str) -> Option<Record> {
        self.by_type.get(change_type).copied()
    }

    /// How much likelier than any change one of this type is to be followed by trouble: 1 where
    /// nothing is known, its record and that of all mixed by how many there were.
    pub(super) fn factor(&self, change_type: &str) -> f64 {
        let all = self.by_type.values().fold(Record::default(), |sum, record| Record {
            made: sum.made + record.made,
            followed: sum.followed + record.followed,
        });
        if all.followed <= 0.0 {
            return 1.0;
        }
        let usual = all.followed / all.made;
        let own = self.of(change_type).unwrap_or_default();
        let share = (own.followed + SUPPORT * usual) / (own.made + SUPPORT);
        (share / usual).clamp(*FACTOR.start(), *FACTOR.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taught(records: &[(&str, usize, usize)]) -> Precedents {
        let mut precedents = Precedents::default();
        for (change_type, made, followed) in records {
            (0..*made).for_each(|_| precedents.made(change_type));
            (0..*followed).for_each(|_| precedents.followed(change_type));
        }
        precedents
    }

    #[test]
    fn a_type_that_trouble_follows_weighs_more_and_one_that_never_hurt_less() {
        let precedents = taught(&[("schema", 10, 8), ("flag", 90, 2)]);
        assert!(precedents.factor("schema") > 1.5, "{}", precedents.factor("schema"));
        assert!(precedents.factor("flag") < 0.7, "{}", precedents.factor("flag"));
        assert!((precedents.factor("unheard of") - 1.0).abs() < 1e-12);
    }

    #[test]
    fn nothing_is_made_of_few_changes_or_of_none_that_hurt() {
        assert!((taught(&[]).factor("schema") - 1.0).abs() < 1e-12);
        assert!((taught(&[("schema", 50, 0)]).factor("schema") - 1.0).abs() < 1e-12);
        let factor = taught(&[("schema", 1, 1), ("flag", 3, 1)]).factor("schema");
        assert!((0.95..1.15).contains(&factor), "{factor}");
    }

    #[test]
    fn counts_fade_and_types_are_bounded() {
        let mut precedents = taught(&[("flag", 2_000, 2_000)]);
        let record = precedents.of("flag").expect("counted");
        assert!(record.made <= MADE_MAX && record.followed <= record.made);
        (0..2 * TYPES_MAX).for_each(|number| precedents.made(&format!("made up {number}")));
        assert_eq!(precedents.by_type.len(), TYPES_MAX);
    }
}
