//! `expected.yaml`: the incidents that must come of a scenario, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_engine::incident::{
    CauseKind, EntityRole, IncidentEvent, IncidentRecord, Priority, SchemaVersion, Verb, in_version,
};
use serde::Deserialize;

use super::conditions::Events;
use super::folder::{Played, Scenario};

/// What must come of a scenario.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expected {
    incidents: Vec<ExpectedIncident>,
    #[serde(default)]
    noisy: Option<Noisy>,
}

/// One incident.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedIncident {
    tenant: String,
    /// Ranked first.
    cause: ExpectedCause,
    owner: ExpectedOwner,
    priority: Priority,
    class: String,
    /// Labels with their values; an empty value asks only that the label is there.
    labels: BTreeMap<String, Option<String>>,
    /// At least so many notifications of the tools went into it.
    notifications_min: usize,
    affected: ExpectedAffected,
    /// Words of title, summary or description.
    #[serde(default)]
    mentions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedCause {
    kind: CauseKind,
    #[serde(rename = "ref")]
    reference: String,
    entity: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedOwner {
    team: String,
    assignment_group: String,
    escalation: String,
}

/// Who is hurt.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedAffected {
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    /// No entity's name may contain these.
    #[serde(default)]
    exclude_containing: Vec<String>,
    /// By entity type, exactly these names.
    #[serde(default)]
    exactly: BTreeMap<String, BTreeSet<String>>,
}

/// A tenant with many notifications that nobody is called for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Noisy {
    tenant: String,
    notifications_min: usize,
}

/// Checks the events of a run against the expectation and the simulator's truth.
pub(crate) fn check(scenario: &Scenario, seed: u64, played: &Played, events: &Events) {
    let what = format!("{}, seed {seed}", scenario.name);
    let expected: BTreeSet<&str> = scenario.expected.incidents.iter().map(|i| i.tenant.as_str()).collect();
    let calls = events.calls();
    let got: BTreeSet<&str> = calls.tenants().collect();
    assert_eq!(got, expected, "{what}: tenants whose people are called");
    let truth: BTreeSet<&str> = played.truth.faults.iter().map(|f| f.tenant.as_str()).collect();
    assert_eq!(truth, expected, "{what}: the simulator broke something else");
    for incident in &scenario.expected.incidents {
        let what = format!("{what}, {}", incident.tenant);
        check_incident(&what, incident, played, calls.of(&incident.tenant));
    }
    if let Some(noisy) = &scenario.expected.noisy {
        let notifications = played.notifications().get(noisy.tenant.as_str()).copied().unwrap_or(0);
        assert!(notifications >= noisy.notifications_min, "{what}: only {notifications} of noise");
        assert!(calls.of(&noisy.tenant).is_empty(), "{what}: somebody is called for noise");
    }
    check_isolation(&what, played, events);
}

fn check_incident(what: &str, expected: &ExpectedIncident, played: &Played, events: &[IncidentEvent]) {
    check_life(what, events);
    let record = &events.last().expect("a tenant in the map has events").record;
    let ids: BTreeSet<&str> = events.iter().map(|e| e.record.id.as_str()).collect();
    let titles: Vec<&str> = events.iter().map(|e| e.record.title.as_str()).collect();
    assert_eq!(ids.len(), 1, "{what}: one ticket, got {titles:#?}");
    let notifications = played.notifications().get(expected.tenant.as_str()).copied().unwrap_or(0);
    assert!(notifications >= expected.notifications_min, "{what}: only {notifications} notifications");
    assert!(
        record.alert_count >= expected.notifications_min as u64,
        "{what}: {} of {notifications} notifications are in the ticket",
        record.alert_count
    );
    check_cause(what, &expected.cause, record);
    let owner = record.owner.as_ref().unwrap_or_else(|| panic!("{what}: nobody owns it"));
    let named = (&*owner.team, &*owner.assignment_group, &*owner.escalation);
    let wanted = &expected.owner;
    assert_eq!(named, (&*wanted.team, &*wanted.assignment_group, &*wanted.escalation), "{what}: owner");
    assert_eq!(record.priority, expected.priority, "{what}: priority");
    let alerts: Vec<&str> = record.alerts.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(record.class, expected.class, "{what}: class of {}, by {alerts:?}", record.title);
    // What was promised and whom it hurts are labels in the first version of the record.
    let labels = in_version(record.clone(), SchemaVersion::V1).labels;
    for (name, value) in &expected.labels {
        let have = labels.get(name);
        assert!(have.is_some(), "{what}: label {name} is missing from {labels:?}");
        assert!(value.is_none() || have == value.as_ref(), "{what}: label {name} is {have:?}");
    }
    check_affected(what, &expected.affected, record);
    let text = format!("{} {} {}", record.title, record.summary, record.description);
    for word in &expected.mentions {
        assert!(text.contains(word.as_str()), "{what}: `{word}` is not in: {text}");
    }
}

/// Revisions count up by one, the first is the opening, and the recovery is told.
fn check_life(what: &str, events: &[IncidentEvent]) {
    let mut revisions: BTreeMap<&str, u64> = BTreeMap::new();
    for event in events {
        let last = revisions.entry(event.record.id.as_str()).or_insert(0);
        assert_eq!(event.record.revision, *last + 1, "{what}: a revision is missing or doubled");
        assert_eq!(*last == 0, event.verb == Verb::Opened, "{what}: {} at revision {}", event.verb, last);
        *last = event.record.revision;
    }
    let resolved = events.iter().any(|e| e.verb == Verb::Resolved);
    assert!(resolved, "{what}: everything recovered, and nobody was told");
}

fn check_cause(what: &str, expected: &ExpectedCause, record: &IncidentRecord) {
    let ranked: Vec<(&str, f64)> = record.probable_causes.iter().map(|c| (c.reference.as_str(), c.score)).collect();
    let first = record.probable_causes.first().unwrap_or_else(|| panic!("{what}: no cause"));
    assert_eq!(first.reference, expected.reference, "{what}: first of {ranked:?}");
    assert_eq!(first.kind, expected.kind, "{what}: kind of cause");
    let entity = first.entity.as_ref().map(|e| e.id.as_str());
    assert_eq!(entity, Some(expected.entity.as_str()), "{what}: entity of the cause");
}

fn check_affected(what: &str, expected: &ExpectedAffected, record: &IncidentRecord) {
    let hurt: BTreeSet<&str> = record
        .entities
        .iter()
        .filter(|e| matches!(e.role, Some(EntityRole::Cause | EntityRole::Affected)))
        .map(|e| e.id.as_str())
        .collect();
    let listed: BTreeSet<&str> = record.entities.iter().map(|e| e.id.as_str()).collect();
    for entity in &expected.include {
        assert!(hurt.contains(entity.as_str()), "{what}: {entity} is not among the hurt {hurt:?}");
    }
    for entity in &expected.exclude {
        assert!(!hurt.contains(entity.as_str()), "{what}: {entity} is well, but listed in {hurt:?}");
    }
    for part in &expected.exclude_containing {
        let stranger = listed.iter().find(|entity| entity.contains(part.as_str()));
        assert_eq!(stranger, None, "{what}: nothing of `{part}` belongs here");
    }
    for (kind, names) in &expected.exactly {
        let have: BTreeSet<String> = listed
            .iter()
            .filter_map(|id| id.split_once(':'))
            .filter(|(of, _)| of == kind)
            .map(|(_, name)| name.to_owned())
            .collect();
        assert_eq!(&have, names, "{what}: every {kind} that is hurt, and none else");
    }
}

/// No word of one tenant's names in another's records. Each tenant's names begin with its word.
fn check_isolation(what: &str, played: &Played, events: &Events) {
    let tenants: BTreeSet<&str> = played
        .inputs
        .iter()
        .filter_map(|input| match input {
            bellwether_engine::input::Input::Catalogue { tenant, .. } => Some(&**tenant),
            _ => None,
        })
        .collect();
    let word = |tenant: &str| tenant.split('-').next().unwrap_or(tenant).to_ascii_lowercase();
    for tenant in events.tenants() {
        let others: BTreeSet<String> = tenants.iter().filter(|t| **t != tenant).map(|t| word(t)).collect();
        for event in events.of(tenant) {
            let text = String::from_utf8(event.payload()).expect("a payload is JSON").to_ascii_lowercase();
            let leaked = text.split(|c: char| !c.is_ascii_alphanumeric()).find(|w| others.contains(*w));
            assert_eq!(leaked, None, "{what}: a word of another tenant in a record of {tenant}");
        }
    }
}
