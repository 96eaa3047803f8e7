//! The groups of one tenant, and for each alert why it went where it went.

use std::collections::{BTreeMap, VecDeque};

use bellwether_models::group::{
    AlertView, Assignment, Begins, Counters, Evidence, GroupId, Grouper, LabelledPair, Link, Names, Why, WhyNot,
};
use serde::{Deserialize, Serialize};

use super::config::CorrelateConfig;
use super::movement::Movements;
use crate::alert::{Alert, DetectorKind};
use crate::condition::begins;
use crate::entity::name_of;
use crate::symbols::Symbols;
use crate::time::{EventTime, Span};
use crate::topology::{Delays, GroupDistance, Topology};

/// Why an alert went into its group, kept for the record.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Placement {
    pub(crate) score: f64,
    pub(crate) evidence: Evidence,
    pub(crate) linked_to: Option<u64>,
    /// Its text names the other's entity.
    pub(crate) names: bool,
    /// The other's text names its entity.
    pub(crate) named: bool,
}

impl Placement {
    /// Who names whom, for people; empty where no text names the other's entity.
    pub(crate) fn naming(&self) -> &'static str {
        match (self.names, self.named) {
            (true, true) => "the texts name each other's entity",
            (true, false) => "its text names the other's entity",
            (false, true) => "the other's text names its entity",
            (false, false) => "",
        }
    }
}

/// The groups of one tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Correlator {
    grouper: Grouper,
    pub(super) delays: Delays,
    pub(super) movements: Movements,
    placements: BTreeMap<u64, Placement>,
    /// Pairs that an operator has judged, oldest first.
    labels: VecDeque<LabelledPair>,
    #[serde(skip)]
    tokens: Vec<u32>,
}

/// Judged pairs kept to learn weights from: years of feedback; the oldest go first.
const LABELS_MAX: usize = 10_000;

/// Placements kept for explanations; the record shows fifty alerts.
const PLACEMENTS_MAX: usize = 50_000;

impl Correlator {
    pub(crate) fn new(config: &CorrelateConfig) -> Correlator {
        Correlator {
            grouper: Grouper::new(config.params()),
            delays: Delays::new(config.delays),
            movements: Movements::default(),
            placements: BTreeMap::new(),
            labels: VecDeque::new(),
            tokens: Vec::new(),
        }
    }

    /// Groups by other weights and thresholds from now on; groups that are there stay.
    pub(super) fn reconfigure(&mut self, config: &CorrelateConfig) {
        self.grouper.set_params(config.params());
        self.delays.set_config(config.delays);
    }

    /// Puts an alert into a group.
    pub(super) fn assign(
        &mut self,
        alert: &Alert,
        now: EventTime,
        topology: &Topology,
        (names, entities): (&Symbols, &Symbols),
    ) -> Assignment {
        let name = names.text(alert.name);
        let mut tokens = std::mem::take(&mut self.tokens);
        alert.tokens(name, &mut tokens);
        // A number that does not depend on when the name was first seen. Findings in logs have one name for all: what
        // they found is their type.
        let kind = if alert.detector() == Some(DetectorKind::LogWatch) { alert.seen() } else { name };
        let kind = xxhash_rust::xxh3::xxh3_64(kind.as_bytes()) as u32;
        let hub = self.grouper.params().hub_scale;
        let assignment = self.grouper.assign(
            &AlertView {
                id: alert.fingerprint,
                time_ns: alert.starts_at.max(EventTime(now.0.saturating_sub(ONSET_AGE_MAX.0))).0,
                begins: begins(alert, names),
                kind,
                entity: alert.entity.0,
                tokens: &tokens,
                names: Names { own: name_of(entities.text(alert.entity)), mentioned: &alert.mentioned },
            },
            &GroupDistance::new(topology, &self.delays, hub),
        );
        self.tokens = tokens;
        if assignment.fresh && self.placements.len() < PLACEMENTS_MAX {
            let Assignment { score, evidence, linked_to, .. } = assignment;
            let naming = |by: u64, of: u64| self.grouper.mentions(by, of);
            let placement = Placement {
                score,
                evidence,
                linked_to,
                names: linked_to.is_some_and(|other| naming(alert.fingerprint, other)),
                named: linked_to.is_some_and(|other| naming(other, alert.fingerprint)),
            };
            self.placements.insert(alert.fingerprint, placement);
        }
        assignment
    }

    /// Keeps a group awake: one of its alerts was heard of again.
    pub(super) fn touch(&mut self, alert: &Alert, now: EventTime, topology: &Topology) {
        let hub = self.grouper.params().hub_scale;
        if self.grouper.group_of(alert.fingerprint).is_some() {
            self.grouper.assign(
                &AlertView {
                    id: alert.fingerprint,
                    time_ns: now.0,
                    begins: Begins::Anywhere,
                    kind: 0,
                    entity: alert.entity.0,
                    tokens: &[],
                    names: Names::default(),
                },
                &GroupDistance::new(topology, &self.delays, hub),
            );
        }
    }

    /// Takes an alert out for good.
    pub(super) fn remove(&mut self, fingerprint: u64) {
        self.grouper.remove(fingerprint);
        self.placements.remove(&fingerprint);
    }

    /// Closes groups that have been quiet; answers their ids.
    pub(super) fn close_quiet(&mut self, now: EventTime) -> Vec<GroupId> {
        self.grouper.close_quiet(now.0);
        self.grouper.take_closed()
    }

    /// Ids of groups that closed by themselves since the last call.
    pub(super) fn take_closed(&mut self) -> Vec<GroupId> {
        self.grouper.take_closed()
    }

    /// Splits a group whose parts no longer link; answers the new groups with their alerts.
    pub(super) fn split(&mut self, group: GroupId, topology: &Topology) -> Vec<(GroupId, Vec<u64>)> {
        let hub = self.grouper.params().hub_scale;
        let parts = self.grouper.split(group, &GroupDistance::new(topology, &self.delays, hub));
        parts.into_iter().filter(|part| *part != group).map(|part| (part, self.grouper.alerts_of(part))).collect()
    }

    /// Why an alert went into its group when it did.
    pub(crate) fn placement(&self, fingerprint: u64) -> Option<&Placement> {
        self.placements.get(&fingerprint)
    }

    /// What a link of this evidence would score without each kind of it.
    pub(crate) fn without(&self, evidence: &Evidence) -> [f64; 4] {
        let params = self.grouper.params();
        let (whole, parts) = (params.logit(evidence), params.contributions(evidence));
        std::array::from_fn(|kind| match kind {
            // Onsets too far apart forbid the link whatever the rest says.
            0 => 0.0,
            _ => 1.0 / (1.0 + (parts[kind] - whole).exp()),
        })
    }

    /// Why an alert is in its group now.
    pub(crate) fn why(&mut self, fingerprint: u64, topology: &Topology) -> Option<Why> {
        let hub = self.grouper.params().hub_scale;
        self.grouper.why(fingerprint, &GroupDistance::new(topology, &self.delays, hub))
    }

    /// Why an alert is not in another group.
    pub(crate) fn why_not(&mut self, fingerprint: u64, group: GroupId, topology: &Topology) -> Option<WhyNot> {
        let hub = self.grouper.params().hub_scale;
        self.grouper.why_not(fingerprint, group, &GroupDistance::new(topology, &self.delays, hub))
    }

    /// The best links of an active alert into a group, its own or another.
    pub(super) fn links_to(&mut self, fingerprint: u64, group: GroupId, topology: &Topology) -> Vec<Link> {
        let hub = self.grouper.params().hub_scale;
        let distance = GroupDistance::new(topology, &self.delays, hub);
        self.grouper.links(fingerprint, group, &distance)
    }

    /// Somebody who knows has judged an alert's links: they are kept as labels, and the types of
    /// the alerts are learned as belonging together or not.
    pub(super) fn teach(&mut self, fingerprint: u64, links: &[Link], together: bool) {
        for link in links {
            if let (Some(a), Some(b)) = (self.grouper.kind_of(fingerprint), self.grouper.kind_of(link.alert)) {
                self.grouper.learned_mut().observe(a, b, together);
            }
            if self.labels.len() >= LABELS_MAX {
                self.labels.pop_front();
            }
            self.labels.push_back(LabelledPair { evidence: link.evidence, together });
        }
    }

    /// The pairs that operators have judged, oldest first.
    pub(crate) fn labels(&self) -> impl Iterator<Item = &LabelledPair> {
        self.labels.iter()
    }

    /// How long trouble takes along edges, as learned.
    pub(crate) fn delays(&self) -> &Delays {
        &self.delays
    }

    /// What has been done and shed.
    pub(crate) fn counters(&self) -> Counters {
        self.grouper.counters()
    }

    /// Alerts in groups now.
    pub(crate) fn len(&self) -> usize {
        self.grouper.len()
    }
}

/// An onset older than this before the alert came is not believed: a condition may have begun
/// long ago, but it did not begin this trouble.
const ONSET_AGE_MAX: Span = Span::from_mins(30);
