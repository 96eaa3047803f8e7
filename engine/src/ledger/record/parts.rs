//! What the parts of a record are built from.

use crate::alert::Alert;
use crate::correlate::Correlator;
use crate::dedup::Alerts;
use crate::diagnose::{Blast, Cause, Class, Diagnosis, Next};
use crate::enrich::Enriched;
use crate::symbols::Symbols;
use crate::topology::{Lookup, Topology};

use super::super::table::Ledger;

/// Everything a record is built from beside the incident and its judgement.
pub(in crate::ledger) struct RecordScene<'a> {
    pub(in crate::ledger) tenant: &'a str,
    pub(in crate::ledger) config_hash: &'a str,
    pub(in crate::ledger) alerts: &'a Alerts,
    pub(in crate::ledger) names: &'a Symbols,
    pub(in crate::ledger) entities: &'a Symbols,
    pub(in crate::ledger) topology: &'a Topology,
    pub(in crate::ledger) lookup: &'a Lookup,
    pub(in crate::ledger) correlator: &'a Correlator,
    pub(in crate::ledger) ledger: &'a Ledger,
}

/// The judgement, with its alerts looked up.
pub(super) struct Findings<'a> {
    pub(super) members: Vec<&'a Alert>,
    /// Series that moved, the clearest first.
    pub(super) evidence: Vec<&'a Alert>,
    /// The alert that began first.
    pub(super) first: Option<&'a Alert>,
    pub(super) diagnosis: &'a Diagnosis,
    pub(super) blast: &'a Blast,
    pub(super) class: Class,
    pub(super) primary: &'a str,
    pub(super) named: Option<&'a Cause>,
    /// Who is expected to follow, soonest first.
    pub(super) next: &'a [Next],
    /// Labels that nearly all alerts share.
    pub(super) shared: &'a [String],
}

impl<'a> Findings<'a> {
    pub(super) fn of(judged: &'a Enriched, scene: &RecordScene<'a>) -> Findings<'a> {
        let found = &judged.found;
        Findings {
            members: found.members.iter().filter_map(|alert| scene.alerts.get(*alert)).collect(),
            evidence: found.evidence.iter().filter_map(|alert| scene.alerts.get(*alert)).collect(),
            first: found.first.and_then(|alert| scene.alerts.get(alert)),
            diagnosis: &found.diagnosis,
            blast: &found.blast,
            class: found.class,
            primary: &found.primary.1,
            named: found.named.as_ref(),
            next: &found.next,
            shared: &found.shared,
        }
    }
}
