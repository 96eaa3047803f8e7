//! One incident with its diagnosis and what the catalogue and the past add to it.

use super::priority::Assessment;
use super::sla::SlaClock;
use crate::diagnose::Diagnosed;
use crate::incident::{Owner, SimilarIncident};
use crate::signal::Severity;

/// A judged incident.
#[derive(Clone, Debug)]
pub(crate) struct Enriched {
    pub(crate) found: Diagnosed,
    pub(crate) severity: Severity,
    pub(crate) assessment: Assessment,
    pub(crate) owner: Owner,
    pub(crate) sla: Option<SlaClock>,
    /// What is left out where only the cause is asked for.
    pub(crate) words: Words,
}

/// What a revision says beside the findings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    /// Hashes of what the incident is about.
    pub(crate) signature: Vec<u64>,
    /// Past incidents like it, the most alike first.
    pub(crate) similar: Vec<SimilarIncident>,
    /// The chance that its SLA is breached.
    pub(crate) breach: Option<f64>,
    /// The narrative.
    pub(crate) summary: String,
}
