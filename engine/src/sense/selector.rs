//! Which series a setting is about, by their labels.

use std::collections::BTreeMap;

use super::glob::Glob;
use crate::alert::{LabelSet, label};

/// Labels that a series must have: a pattern, with `!` before it what must not be. A label that a series has
/// not is an empty one.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelSelector(Vec<(String, bool, Glob)>);

impl LabelSelector {
    pub(super) fn new(written: &BTreeMap<String, String>) -> LabelSelector {
        let compiled = written.iter().map(|(name, pattern)| match pattern.strip_prefix('!') {
            Some(not) => (name.clone(), false, Glob::new(not)),
            None => (name.clone(), true, Glob::new(pattern)),
        });
        LabelSelector(compiled.collect())
    }

    pub(super) fn matches(&self, labels: &LabelSet) -> bool {
        self.0.iter().all(|(name, wanted, glob)| glob.matches(label(labels, name).unwrap_or("")) == *wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_label_must_match_and_what_is_denied_must_not() {
        let written = [("fstype", "!squashfs"), ("mountpoint", "/srv*")].map(|(n, p)| (n.to_owned(), p.to_owned()));
        let selector = LabelSelector::new(&written.into());
        let of = |pairs: &[(&str, &str)]| pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect::<LabelSet>();
        assert!(selector.matches(&of(&[("fstype", "ext4"), ("mountpoint", "/srv/data")])));
        assert!(selector.matches(&of(&[("mountpoint", "/srv")])), "what is not said is not squashfs");
        assert!(!selector.matches(&of(&[("fstype", "squashfs"), ("mountpoint", "/srv")])));
        assert!(!selector.matches(&of(&[("fstype", "ext4")])));
    }
}
