//! One incident with its diagnosis and what the catalogue and the past add to it.

use super::experience::TicketFields;
use super::priority::Assessment;
use super::sla::SlaClock;
use crate::diagnose::Diagnosed;
use crate::incident::{Article, AssignedBy, Candidate, Owner, ProblemRef, SimilarIncident, TimeLeft};
use crate::signal::Severity;

/// A judged incident.
#[derive(Clone, Debug)]
pub(crate) struct Enriched {
    pub(crate) found: Diagnosed,
    pub(crate) severity: Severity,
    pub(crate) assessment: Assessment,
    pub(crate) owner: Owner,
    /// By whose word the owner has it.
    pub(crate) assigned_by: AssignedBy,
    pub(crate) sla: Option<SlaClock>,
    /// The agreement of the owner's team.
    pub(crate) ola: Option<SlaClock>,
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
    /// What trouble is the same when it comes again.
    pub(crate) kind: String,
    /// As a ticket, for what is learned from it.
    pub(crate) ticket: TicketFields,
    /// The teams that may resolve it, the likeliest first.
    pub(crate) candidates: Vec<Candidate>,
    /// How much longer it takes.
    pub(crate) time_left: Option<TimeLeft>,
    /// The problem that it is one of.
    pub(crate) problem: Option<ProblemRef>,
    /// What to read about it.
    pub(crate) knowledge: Vec<Article>,
    /// The chance that its SLA is breached.
    pub(crate) breach: Option<f64>,
    /// The narrative.
    pub(crate) summary: String,
}
