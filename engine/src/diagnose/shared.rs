//! What nearly all alerts of an incident share: the places that they carry as labels.

use std::collections::BTreeMap;

use crate::alert::{Alert, label};

/// Share of the alerts that must agree in a label for it to be worth a word.
const SHARED_LABEL_SHARE: f64 = 0.9;

/// `name=value` pairs that nearly all alerts carry and that are not the same for every alert
/// of the tenant anyway (that is the tenant's job, so only places are considered).
pub(super) fn shared_labels(members: &[&Alert]) -> Vec<String> {
    const PLACES: [&str; 8] = ["region", "zone", "site", "datacenter", "line", "cluster", "environment", "customer"];
    let mut shared = Vec::new();
    for place in PLACES {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for value in members.iter().filter_map(|a| label(&a.labels, place)) {
            *counts.entry(value).or_default() += 1;
        }
        let most = counts.iter().max_by_key(|(value, count)| (**count, std::cmp::Reverse(**value)));
        if let Some((value, count)) = most
            && members.len() > 1
            && *count as f64 >= SHARED_LABEL_SHARE * members.len() as f64
        {
            shared.push(format!("{place}={value}"));
        }
    }
    shared
}
