//! The causes of one incident: what alerts, what is silent around it, which changes came before.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_models::causes::{self, CauseChange, CauseEdge, CauseNode, CauseReasons, CauseSubject, RankedCause};

use super::changes::{Change, Changes, ONSET_SLACK};
use super::config::DiagnoseConfig;
use super::departed::{DepartedSeries, SURPRISING};
use super::precedent::Record;
use crate::alert::{Alert, DetectorKind};
use crate::dedup::Alerts;
use crate::entity::{entity_name, is_network, name_of, split_entity};
use crate::signal::{Relation, Severity};
use crate::symbols::{Sym, Symbols};
use crate::time::{EventTime, Span};
use crate::topology::Topology;

/// One cause as the record tells it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Cause {
    pub(crate) entity: Sym,
    pub(crate) change: Option<Change>,
    /// How often trouble followed changes of its type, where it is a change.
    pub(crate) precedent: Option<Record>,
    pub(crate) score: f64,
    pub(crate) confidence: f64,
    pub(crate) reasons: CauseReasons,
    /// Entities in trouble whose alerts name it.
    pub(crate) named_by: usize,
}

/// The diagnosis of one incident.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diagnosis {
    /// Best first; empty when nothing alerts.
    pub(crate) causes: Vec<Cause>,
    /// Changes near the onset with their nearness, best first.
    pub(crate) changes: Vec<(Change, f64)>,
    /// First symptom of any alert.
    pub(crate) onset: EventTime,
    /// The entities that alert, in order of first symptom, then by name.
    pub(crate) alerting: Vec<(Sym, EventTime)>,
}

impl Diagnosis {
    /// The first cause when it is sure enough to be named.
    pub(crate) fn named(&self, config: &DiagnoseConfig) -> Option<&Cause> {
        self.causes.first().filter(|cause| cause.confidence >= config.confidence_min)
    }

    /// That the cause lies at the entity of the first cause, by any change or by itself, 0–1.
    pub(crate) fn confidence_of_root(&self) -> f64 {
        let root = self.causes.first().map(|cause| cause.entity);
        self.causes.iter().filter(|cause| Some(cause.entity) == root).map(|cause| cause.confidence).sum()
    }

    /// The entity to look at first: the cause, or where it showed first.
    pub(crate) fn primary(&self) -> Option<Sym> {
        self.causes.first().map(|cause| cause.entity).or_else(|| self.alerting.first().map(|(entity, _)| *entity))
    }
}

/// What the stage looks at beside the alerts.
pub(super) struct Scene<'a> {
    pub(crate) config: &'a DiagnoseConfig,
    pub(crate) topology: &'a Topology,
    pub(crate) entities: &'a Symbols,
    pub(crate) changes: &'a Changes,
    pub(crate) alerts: &'a Alerts,
    pub(crate) departed: &'a DepartedSeries,
}

/// Silent entities looked at around the alerting ones.
const SILENT_MAX: usize = 512;

/// Steps from an alerting entity to a silent one that may be the cause.
const SILENT_HOPS: u8 = 2;

/// Age of a standing condition at which it has lost two thirds of its worth as a suspect: a disk
/// that has been nearly full for a day explains nothing that began just now.
const STANDING_SCALE: Span = Span::from_mins(30);

/// Worth below which a condition outside the incident makes no suspect: in the ranking it would count as
/// having shown first, and as explaining what depends on it.
const SUSPECT_MIN: f64 = 0.3;

/// No catalogue is complete: a condition that begins this near the trouble may be its cause
/// although no known way leads from the one to the other.
const REMOTE_AROUND: Span = Span::from_mins(4);

/// Symptoms that begin this long after the last wave of them are another wave.
const WAVES_APART: Span = Span::from_mins(1);

/// The same as [`REMOTE_AROUND`] for a further wave: of many waves each has fewer suspects.
const WAVE_AROUND: Span = Span::from_mins(2);

/// Waves looked at.
const WAVES_MAX: usize = 16;

/// With more of them than this, their coming together says nothing.
const REMOTE_MAX: usize = 8;

/// Names in alerts that are looked at: of a storm the first ones say enough.
const MENTIONS_MAX: usize = 4_096;

/// How sure it is that one entity needs another which its alert names.
const NAMED_CONFIDENCE: f64 = 0.5;

/// How far before the first symptom a series that moved dates the trouble of its entity.
const EVIDENCE_DATES: Span = Span::from_mins(2);

/// A series that moved counts for this much of what an alert would.
const EVIDENCE_SHARE: f64 = 0.5;

/// Ranks the causes of one incident's alerts, each with when it began there. `evidence` are series of the
/// entities that alert, which moved.
pub(super) fn diagnose<'a>(
    alerts: impl Iterator<Item = (&'a Alert, EventTime)>,
    evidence: &[&Alert],
    scene: &Scene<'_>,
) -> Diagnosis {
    let mut symptoms: BTreeMap<Sym, CauseNode> = BTreeMap::new();
    let mut mentions: BTreeSet<(Sym, u32)> = BTreeSet::new();
    // What an entity says of itself in alerts that name nobody.
    let mut own_condition: BTreeMap<Sym, f64> = BTreeMap::new();
    for (alert, began_at) in alerts {
        let node = symptoms.entry(alert.entity).or_insert(CauseNode { trust: 0.0, ..CauseNode::SILENT });
        let worth = worth(alert, scene);
        node.alerting = true;
        node.onset_ns = node.onset_ns.min(began_at.0);
        node.trust = node.trust.max(worth);
        node.strength = 1.0 - (1.0 - node.strength) * (1.0 - worth * strength(alert));
        node.condition = node.condition.max(worth * alert.condition);
        if alert.mentioned.is_empty() {
            let own = own_condition.entry(alert.entity).or_default();
            *own = own.max(worth * alert.condition);
        }
        if mentions.len() < MENTIONS_MAX {
            mentions.extend(alert.mentioned.iter().map(|name| (alert.entity, *name)));
        }
        if alert.detector() == Some(DetectorKind::LogWatch) {
            node.logs = node.logs.max(0.5 + 0.5 * strength(alert));
        }
    }
    let Some(onset) = symptoms.values().map(|n| n.onset_ns).min() else {
        return Diagnosis::default();
    };
    let onset = EventTime(onset);
    for alert in evidence {
        let Some(node) = symptoms.get_mut(&alert.entity) else { continue };
        let share = EVIDENCE_SHARE * scene.departed.surprise(alert.entity, onset);
        node.strength = 1.0 - (1.0 - node.strength) * (1.0 - share * strength(alert));
        node.condition = node.condition.max(share * alert.condition);
        if alert.starts_at >= onset.minus(EVIDENCE_DATES) && share > EVIDENCE_SHARE * SURPRISING {
            node.onset_ns = node.onset_ns.min(alert.starts_at.0);
        }
    }
    let onset = EventTime(symptoms.values().map(|n| n.onset_ns).fold(onset.0, i64::min));
    for (entity, node) in &mut symptoms {
        if let Some(seen) = away(*entity, onset, scene) {
            node.condition = node.condition.max(seen.condition);
        }
    }
    let mut alerting: Vec<(Sym, EventTime)> =
        symptoms.iter().map(|(entity, node)| (*entity, EventTime(node.onset_ns))).collect();
    alerting.sort_by_key(|(entity, at)| (*at, scene.entities.text(*entity)));

    let nodes = with_silent(&symptoms, &alerting, onset, scene);
    let number: BTreeMap<Sym, u32> = nodes.iter().enumerate().map(|(i, (entity, _))| (*entity, i as u32)).collect();
    let mut cause_nodes: Vec<CauseNode> = nodes.iter().map(|(_, node)| *node).collect();
    let mut edges = edges_among(&nodes, &number, scene.topology);
    let named = named_among(&nodes, &number, &mentions, scene.entities);
    let known: BTreeSet<(u32, u32)> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
    for (by, of) in blamed_among(&named, &known) {
        cause_nodes[of as usize].named += 1.0 / alerting.len() as f64;
        // Who says that another fails does not speak of itself.
        let own = own_condition.get(&nodes[by as usize].0).copied().unwrap_or_default();
        let blaming = &mut cause_nodes[by as usize];
        blaming.condition = blaming.condition.min(own);
        blaming.blames = true;
    }
    add_named(&named, &known, &mut edges);
    let window = scene.config.change_window;
    let changes: Vec<&Change> = scene
        .changes
        .before(onset.plus(ONSET_SLACK), window)
        .filter(|change| number.contains_key(&change.entity))
        .collect();
    let cause_changes: Vec<CauseChange> = changes
        .iter()
        .map(|change| CauseChange {
            node: number[&change.entity],
            at_ns: change.at.0,
            weight: scene.changes.weight(&change.change_type),
        })
        .collect();
    let mut ranked = Vec::new();
    causes::rank(&scene.config.ranking.params(), &cause_nodes, &edges, &cause_changes, &mut ranked);
    Diagnosis {
        causes: ranked.iter().take(10).map(|cause| tell(cause, &nodes, &changes, &named, scene)).collect(),
        changes: near_changes(&changes, onset, scene),
        onset,
        alerting,
    }
}

/// How strong a symptom one alert is.
fn strength(alert: &Alert) -> f64 {
    let told = match alert.severity {
        Severity::Info => 0.2,
        Severity::Warning => 0.4,
        Severity::Minor => 0.55,
        Severity::Major => 0.75,
        Severity::Critical => 0.9,
    };
    match &alert.observation {
        Some(o) if o.score > 0.0 => told * (0.5 + 0.5 * o.score.clamp(0.0, 1.0)),
        _ => told,
    }
}

/// The alerting entities and the silent ones around them, in an order that does not depend on
/// when names were first seen.
fn with_silent(
    symptoms: &BTreeMap<Sym, CauseNode>,
    alerting: &[(Sym, EventTime)],
    onset: EventTime,
    scene: &Scene<'_>,
) -> Vec<(Sym, CauseNode)> {
    let mut silent: BTreeSet<Sym> = BTreeSet::new();
    for (entity, _) in alerting {
        if silent.len() >= SILENT_MAX {
            break;
        }
        let around = scene.topology.suspects(*entity, SILENT_HOPS);
        let room = SILENT_MAX - silent.len();
        let new = around.into_iter().map(|reach| reach.entity).filter(|e| !symptoms.contains_key(e));
        silent.extend(new.take(room));
    }
    let mut remote = remote_suspects(alerting, onset, scene);
    remote.retain(|entity| !symptoms.contains_key(entity) && !silent.contains(entity));
    let mut nodes: Vec<(Sym, CauseNode)> = symptoms.iter().map(|(e, n)| (*e, *n)).collect();
    nodes.extend(remote.into_iter().map(|e| (e, suspect(e, onset, scene))));
    nodes.extend(silent.into_iter().map(|e| (e, suspect(e, onset, scene))));
    nodes.sort_by_key(|(entity, _)| scene.entities.text(*entity));
    nodes
}

/// Entities anywhere with a condition, told or not, that began near the trouble: near its onset,
/// and near each further wave of it, which may have a cause of its own.
fn remote_suspects(alerting: &[(Sym, EventTime)], onset: EventTime, scene: &Scene<'_>) -> BTreeSet<Sym> {
    // A busy host has some series that moves at any time.
    let counts = |alert: &Alert| !alert.is_anomaly() || worth(alert, scene) > SURPRISING;
    let told = |at, around| scene.alerts.conditions_near(at, around, REMOTE_MAX, counts).into_iter().flatten();
    let untold = scene.departed.near(onset, REMOTE_AROUND, REMOTE_MAX).into_iter().flatten();
    let mut remote: BTreeSet<Sym> = told(onset, REMOTE_AROUND).chain(untold).collect();
    let (mut last, mut waves) = (onset, 0);
    for (_, at) in alerting {
        if at.since(last) >= WAVES_APART && waves < WAVES_MAX {
            (last, waves) = (*at, waves + 1);
            remote.extend(told(*at, WAVE_AROUND));
        }
    }
    remote
}

/// How much a condition says by beginning when it did, 0–1: a series that moved on an entity whose series always do, little.
fn worth(alert: &Alert, scene: &Scene<'_>) -> f64 {
    if alert.is_anomaly() { scene.departed.surprise(alert.entity, alert.starts_at) } else { 1.0 }
}

/// A silent entity, or one with a condition that was told before, outside of this incident.
fn suspect(entity: Sym, onset: EventTime, scene: &Scene<'_>) -> CauseNode {
    let (mut node, mut trust) = (CauseNode::SILENT, 0.0_f64);
    for alert in scene.alerts.conditions_at(entity, onset) {
        let age = onset.since(alert.starts_at).as_secs_f64().max(0.0);
        let worth = worth(alert, scene);
        let fresh = worth * (-age / STANDING_SCALE.as_secs_f64()).exp();
        if fresh * alert.condition < SUSPECT_MIN {
            continue;
        }
        trust = trust.max(worth);
        node.alerting = true;
        node.outside = true;
        // It counts as there from the beginning, not as having shown first.
        node.onset_ns = node.onset_ns.min(alert.starts_at.max(onset).0);
        node.strength = node.strength.max(strength(alert) * fresh);
        node.condition = node.condition.max(alert.condition * fresh);
    }
    if let Some(seen) = away(entity, onset, scene).filter(|seen| seen.condition >= SUSPECT_MIN) {
        trust = trust.max(seen.trust);
        node.alerting = true;
        node.outside = true;
        node.onset_ns = node.onset_ns.min(seen.since.max(onset).0);
        node.strength = node.strength.max(seen.strength);
        node.condition = node.condition.max(seen.condition);
    }
    if node.alerting {
        node.trust = trust;
    }
    node
}

/// What the metrics of an entity say of its state.
struct Away {
    since: EventTime,
    trust: f64,
    strength: f64,
    condition: f64,
}

/// Bits of departure that count in full.
const AWAY_BITS_FULL: f64 = 40.0;

/// A departure counts for this much of what an alert about the same would.
const AWAY_SHARE: f64 = 0.8;

fn away(entity: Sym, onset: EventTime, scene: &Scene<'_>) -> Option<Away> {
    let mut best: Option<Away> = None;
    let surprise = scene.departed.surprise(entity, onset);
    for departure in scene.departed.at(entity, onset) {
        let age = onset.since(departure.since).as_secs_f64().max(0.0);
        let fresh = (-age / STANDING_SCALE.as_secs_f64()).exp();
        let weight = AWAY_SHARE * surprise * fresh * (f64::from(departure.bits) / AWAY_BITS_FULL).min(1.0);
        let seen = Away { since: departure.since, trust: surprise, strength: 0.5 * weight, condition: weight };
        if best.as_ref().is_none_or(|best| best.condition < seen.condition) {
            best = Some(seen);
        }
    }
    best
}

fn edges_among(nodes: &[(Sym, CauseNode)], number: &BTreeMap<Sym, u32>, topology: &Topology) -> Vec<CauseEdge> {
    let mut edges = Vec::new();
    for (entity, _) in nodes {
        for edge in topology.edges(*entity).iter().filter(|e| e.outgoing) {
            let (Some(from), Some(to)) = (number.get(entity), number.get(&edge.other)) else {
                continue;
            };
            edges.push(CauseEdge {
                from: *from,
                to: *to,
                relation: model_relation(edge.relation),
                confidence: edge.confidence,
            });
        }
    }
    edges
}

/// Which nodes are named in the alerts of which others, by their numbers: `(by, of)`.
fn named_among(
    nodes: &[(Sym, CauseNode)],
    number: &BTreeMap<Sym, u32>,
    mentions: &BTreeSet<(Sym, u32)>,
    entities: &Symbols,
) -> BTreeSet<(u32, u32)> {
    if mentions.is_empty() {
        return BTreeSet::new();
    }
    let names: BTreeSet<(u32, u32)> =
        nodes.iter().map(|(entity, _)| (name_of(entities.text(*entity)), number[entity])).collect();
    let called = |name: u32| names.range((name, 0)..=(name, u32::MAX)).map(|(_, node)| *node);
    mentions
        .iter()
        .filter_map(|(entity, name)| Some((*number.get(entity)?, *name)))
        .flat_map(|(by, name)| called(name).map(move |of| (by, of)))
        .collect()
}

/// Who says that whom fails, by their numbers: `(by, of)`. An alert that names what its entity depends on says where it
/// looks itself; where that is the place of a dependency, as in an address, it is the dependency. One that names
/// who depends on its entity says for whom.
fn blamed_among(named: &BTreeSet<(u32, u32)>, known: &BTreeSet<(u32, u32)>) -> BTreeSet<(u32, u32)> {
    let needs = |node: u32| known.range((node, 0)..=(node, u32::MAX)).map(|(_, to)| *to);
    let mut blamed = BTreeSet::new();
    for (by, of) in named {
        if known.contains(&(*by, *of)) {
            blamed.insert((*by, *of));
            continue;
        }
        let mut there = needs(*by).filter(|near| known.contains(&(*near, *of))).peekable();
        if there.peek().is_some() {
            blamed.extend(there.map(|near| (*by, near)));
        } else if !known.contains(&(*of, *by)) {
            blamed.insert((*by, *of));
        }
    }
    blamed
}

/// An alert that names another entity speaks of what it waits for: a call nobody else knows of,
/// where the topology has no edge between the two.
fn add_named(named: &BTreeSet<(u32, u32)>, known: &BTreeSet<(u32, u32)>, edges: &mut Vec<CauseEdge>) {
    let unknown = named.iter().filter(|(by, of)| !known.contains(&(*by, *of)) && !known.contains(&(*of, *by)));
    let edge = |(by, of): &(u32, u32)| CauseEdge {
        from: *by,
        to: *of,
        relation: causes::Relation::Calls,
        confidence: NAMED_CONFIDENCE,
    };
    edges.extend(unknown.map(edge));
}

fn model_relation(relation: Relation) -> causes::Relation {
    match relation {
        Relation::Calls => causes::Relation::Calls,
        Relation::RunsOn => causes::Relation::RunsOn,
        Relation::ConnectsTo => causes::Relation::ConnectsTo,
        Relation::PartOf => causes::Relation::PartOf,
        Relation::OwnedBy => causes::Relation::OwnedBy,
    }
}

fn tell(
    ranked: &RankedCause,
    nodes: &[(Sym, CauseNode)],
    changes: &[&Change],
    named: &BTreeSet<(u32, u32)>,
    scene: &Scene<'_>,
) -> Cause {
    let (entity, change) = match ranked.subject {
        CauseSubject::Node(node) => (nodes[node as usize].0, None),
        CauseSubject::Change(i) => (changes[i].entity, Some(changes[i].clone())),
    };
    let precedent = change.as_ref().and_then(|change| scene.changes.precedents.of(&change.change_type));
    let named_by = named.iter().filter(|(_, of)| nodes[*of as usize].0 == entity).count();
    let RankedCause { score, confidence, because: reasons, .. } = *ranked;
    Cause { entity, change, precedent, score, confidence, reasons, named_by }
}

/// Changes near the onset with their nearness 0–1, nearest first.
fn near_changes(changes: &[&Change], onset: EventTime, scene: &Scene<'_>) -> Vec<(Change, f64)> {
    let window = scene.config.change_window;
    let mut near: Vec<(Change, f64)> = changes
        .iter()
        .map(|change| {
            let before = onset.since(change.at).as_secs_f64().max(0.0);
            let nearness = 1.0 - (before / window.as_secs_f64().max(1.0)).min(1.0);
            ((*change).clone(), nearness * scene.changes.weight(&change.change_type))
        })
        .collect();
    near.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.id.cmp(&b.0.id)));
    near.truncate(20);
    near
}

/// Fewer changes of a type than this are no record worth a word.
const PRECEDENTS_TOLD: f64 = 5.0;

/// Why a cause stands where it stands, in one sentence of the record.
pub(crate) fn explain_cause(cause: &Cause, entities: &Symbols) -> String {
    let entity = entities.text(cause.entity);
    let name = entity_name(entity);
    let reasons = &cause.reasons;
    let mut parts: Vec<String> = Vec::new();
    if let Some(change) = &cause.change {
        let text = change.text.as_deref().unwrap_or(&change.change_type);
        parts.push(format!("{} on {name} at {} ({text})", change.id, change.at));
    }
    if let Some(record) = cause.precedent.filter(|record| record.made >= PRECEDENTS_TOLD && record.followed >= 1.0) {
        parts.push(format!("trouble followed {:.0} of {:.0} such changes", record.followed, record.made));
    }
    if reasons.explains > 0.05 {
        let share = (reasons.explains * 100.0).round();
        parts.push(format!("trouble at {name} would explain {share:.0} % of the symptoms"));
    }
    if cause.named_by > 0 {
        let who = if cause.named_by == 1 { "one entity".to_owned() } else { format!("{} entities", cause.named_by) };
        parts.push(format!("the alerts of {who} name it"));
    }
    if reasons.condition > 0.7 {
        parts.push("what it reports is a condition of its own".to_owned());
    }
    if reasons.onset > 0.9 {
        parts.push("it showed first".to_owned());
    } else if reasons.strength == 0.0 {
        let kind = if is_network(split_entity(entity).0) { "device" } else { "entity" };
        parts.push(format!("the {kind} itself raised no alert"));
    }
    if reasons.unexplained > 0.9 && reasons.strength > 0.0 {
        parts.push("nothing it depends on is in trouble".to_owned());
    }
    let mut sentence = parts.join("; ");
    if sentence.is_empty() {
        sentence = format!("{name} is one of the entities in trouble");
    }
    sentence
}
