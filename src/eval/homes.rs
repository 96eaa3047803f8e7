//! Where alerts were seen while an engine ran, and what became of the incidents.

use std::collections::BTreeMap;

use bellwether_engine::Engine;
use bellwether_engine::incident::{IncidentEvent, ProbableCause};
use bellwether_engine::time::{EventTime, Span};

/// A tool's clock may differ from what the engine made of it by this much.
const CLOCK_SLACK: Span = Span::from_mins(5);

/// What was told of an incident.
#[derive(Clone, Debug, Default)]
pub struct IncidentHistory {
    /// When it was told first.
    pub first_at: Option<EventTime>,
    /// Causes of the first word.
    pub first: Vec<ProbableCause>,
    /// Causes of the last word that named some.
    pub last: Vec<ProbableCause>,
    /// The incident it became part of.
    pub merged_into: Option<String>,
}

/// An alert: tenant and fingerprint.
pub type Key = (String, u64);

/// Where alerts were seen: by tenant and fingerprint, firing by firing.
#[derive(Debug, Default)]
pub struct Homes {
    /// The incident of each firing, by its beginning.
    pub by_alert: BTreeMap<Key, BTreeMap<EventTime, String>>,
    /// From which incident to which alerts went.
    pub moves: Vec<(String, String)>,
}

impl Homes {
    /// Looks where the alerts of these tenants are now.
    pub fn look(&mut self, engine: &Engine, tenants: &[String]) {
        for tenant in tenants {
            for placed in engine.placed(tenant) {
                let Some(incident) = placed.incident else { continue };
                let firings = self.by_alert.entry((tenant.clone(), placed.fingerprint)).or_default();
                if let Some(before) = firings.insert(placed.starts_at, incident.clone())
                    && before != incident
                {
                    self.moves.push((before, incident));
                }
            }
        }
    }

    /// The incident of the firing that began about then.
    pub fn of(&self, key: &Key, at: EventTime) -> Option<&String> {
        let firings = self.by_alert.get(key)?;
        let far = |time: &EventTime| time.0.abs_diff(at.0);
        let (time, incident) = firings.iter().min_by_key(|(time, _)| far(time))?;
        (far(time) <= CLOCK_SLACK.0.unsigned_abs()).then_some(incident)
    }
}

/// Takes an event into the history of its incident.
pub fn keep(incidents: &mut BTreeMap<String, IncidentHistory>, event: IncidentEvent) {
    let record = event.record;
    let told = incidents.entry(record.id).or_default();
    if told.first_at.is_none() {
        told.first_at = Some(record.updated_at);
        told.first.clone_from(&record.probable_causes);
    }
    told.merged_into = record.merged_into;
    if !record.probable_causes.is_empty() {
        told.last = record.probable_causes;
    }
}

/// The incident that an incident is part of in the end.
#[must_use]
pub fn end_of(incidents: &BTreeMap<String, IncidentHistory>, id: &str) -> String {
    let mut id = id.to_owned();
    // Merges cannot go round in a circle; the bound is for a record that says otherwise.
    for _ in 0..incidents.len() {
        match incidents.get(&id).and_then(|told| told.merged_into.clone()) {
            Some(into) => id = into,
            None => break,
        }
    }
    id
}
