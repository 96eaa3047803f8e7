//! Alerts: what each says, and where it is: in an incident, held back and by what, or support for others.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::others::template_of;
use crate::alert::{Alert, DetectorKind};
use crate::config::EngineConfig;
use crate::signal::Severity;
use crate::tables::Tables;
use crate::time::EventTime;

/// Longest text of an alert that is shown.
const TEXT_CHARS_MAX: usize = 400;

/// Where an alert is, as people choose it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// Anywhere.
    #[default]
    Any,
    /// In an incident that was told.
    Incident,
    /// Held back: by a silence, maintenance, what explains it, or because it flaps.
    Suppressed,
    /// What it says was called false before.
    Taught,
    /// A movement that supports and dates what others say, and opens nothing by itself.
    Evidence,
    /// In no incident: it waits to see whether there is more to it, or was too light.
    Waiting,
}

/// Which alerts are asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertsWanted {
    /// Each has to be in its name, entity, source or what was seen; lower case.
    pub words: Vec<String>,
    /// Of this entity alone.
    pub entity: Option<String>,
    /// Where they are.
    pub place: Place,
    /// Those that fire alone.
    pub firing: bool,
    /// What our watch over log streams found alone.
    pub logs: bool,
    /// How many are passed over,
    pub skip: usize,
    /// and how many are shown.
    pub max: usize,
}

/// What holds an alert back.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Held {
    /// `silence`, `maintenance`, `inhibition`, `flapping`.
    pub by: &'static str,
    /// In words: which rule, whose silence.
    pub reason: String,
    /// Until when; `None` when only another event can end it.
    pub until: Option<EventTime>,
}

/// What one of our own detectors saw.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Seen {
    /// Which: `rule`, `heartbeat`, `anomaly`, `exhaustion`, `log-watch`.
    pub detector: &'static str,
    /// The metric, or the text of the log template.
    pub what: String,
    /// The template's id, where it is one.
    pub template: String,
    /// What was seen.
    pub value: Option<f64>,
    /// What was expected.
    pub expected: Option<f64>,
    /// How far it is from usual, 0–1.
    pub score: f64,
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct AlertView {
    /// 16 hexadecimal digits.
    pub fingerprint: String,
    /// The rule's name.
    pub name: String,
    /// Who says so.
    pub source: String,
    /// The entity it is about.
    pub entity: String,
    /// As who says so judges it.
    pub severity: Severity,
    /// Whether it fires.
    pub firing: bool,
    /// Beginning of the present or last firing.
    pub starts_at: EventTime,
    /// When it was last heard of.
    pub last_at: EventTime,
    /// End of the last firing, when it is over.
    pub resolved_at: Option<EventTime>,
    /// How often it was heard of.
    pub count: u64,
    /// In words.
    pub summary: String,
    /// The line that showed it, where a log line did.
    pub example: String,
    /// Where to look.
    pub url: String,
    /// Where it is.
    pub place: Place,
    /// Its incident, when it is in one that was told.
    pub incident: Option<String>,
    /// What holds it back.
    pub held: Option<Held>,
    /// What one of our detectors saw.
    pub seen: Option<Seen>,
}

/// A page of alerts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct AlertsSeen {
    /// Those that fire first, the latest first.
    pub alerts: Vec<AlertView>,
    /// How many are so.
    pub total: usize,
    /// How many fire, by where they are.
    pub firing: BTreeMap<Place, u64>,
    /// Firing alerts of which only the state is kept, for lack of room.
    pub shed: u64,
}

/// The alerts that are asked for.
pub(crate) fn alerts(tables: &Tables, config: &EngineConfig, wanted: &AlertsWanted) -> AlertsSeen {
    let estate = &tables.estate;
    let entity = wanted.entity.as_ref().map(|name| {
        let name = estate.lookup.aliases.get(name).unwrap_or(name);
        estate.entities.get(name)
    });
    let mut seen = AlertsSeen { shed: tables.alerts.shed_len() as u64, ..AlertsSeen::default() };
    let mut found: Vec<(&Alert, Place)> = Vec::new();
    for alert in tables.alerts.iter() {
        let place = place(tables, config, alert);
        if alert.is_firing() {
            *seen.firing.entry(place).or_default() += 1;
        }
        let fits = (wanted.place == Place::Any || wanted.place == place)
            && (!wanted.firing || alert.is_firing())
            && (!wanted.logs || alert.detector() == Some(DetectorKind::LogWatch))
            && entity.is_none_or(|entity| entity == Some(alert.entity))
            && wanted.words.iter().all(|word| says(tables, alert, word));
        if fits {
            found.push((alert, place));
        }
    }
    seen.total = found.len();
    let order =
        |(alert, _): &(&Alert, Place)| (Reverse(alert.is_firing()), Reverse(alert.starts_at), alert.fingerprint);
    let until = wanted.skip.saturating_add(wanted.max);
    if until > 0 && until < found.len() {
        found.select_nth_unstable_by_key(until - 1, order);
        found.truncate(until);
    }
    found.sort_unstable_by_key(order);
    let shown = found.into_iter().skip(wanted.skip).take(wanted.max);
    seen.alerts = shown.map(|(alert, place)| view(tables, alert, place)).collect();
    seen
}

/// Whether a word is in what people know an alert by.
fn says(tables: &Tables, alert: &Alert, word: &str) -> bool {
    let estate = &tables.estate;
    let texts = [
        estate.names.text(alert.name),
        estate.entities.text(alert.entity),
        estate.names.text(alert.source),
        alert.seen(),
    ];
    texts.into_iter().any(|text| has(text, word))
}

/// Whether `text` has `word`, which is in lower case, whatever the case of its letters (of ASCII).
fn has(text: &str, word: &str) -> bool {
    let (text, word) = (text.as_bytes(), word.as_bytes());
    word.is_empty() || text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word))
}

fn place(tables: &Tables, config: &EngineConfig, alert: &Alert) -> Place {
    let estate = &tables.estate;
    if alert.suppression.is_some() {
        return Place::Suppressed;
    }
    if alert.incident.and_then(|number| tables.ledger.get(number)).is_some_and(|incident| incident.is_told()) {
        return Place::Incident;
    }
    if tables.ledger.lessons.covering(alert, &estate.names, &estate.entities, &config.ledger).is_some() {
        return Place::Taught;
    }
    match alert.is_evidence(estate.lookup.matters(estate.entities.text(alert.entity))) {
        true => Place::Evidence,
        false => Place::Waiting,
    }
}

fn view(tables: &Tables, alert: &Alert, place: Place) -> AlertView {
    let estate = &tables.estate;
    let incident = alert.incident.and_then(|number| tables.ledger.get(number)).filter(|incident| incident.is_told());
    let cut = |text: &str| -> String { text.chars().take(TEXT_CHARS_MAX).collect() };
    let annotation = |name| cut(crate::alert::label(&alert.annotations, name).unwrap_or_default());
    let summary = match annotation("summary") {
        empty if empty.is_empty() => annotation("description"),
        summary => summary,
    };
    AlertView {
        fingerprint: format!("{:016x}", alert.fingerprint),
        name: estate.names.text(alert.name).to_owned(),
        source: estate.names.text(alert.source).to_owned(),
        entity: estate.entities.text(alert.entity).to_owned(),
        severity: alert.severity,
        firing: alert.is_firing(),
        starts_at: alert.starts_at,
        last_at: alert.last_at,
        resolved_at: alert.resolved_at.filter(|_| !alert.is_firing()),
        count: alert.count,
        summary,
        example: annotation("message"),
        url: alert.url.as_deref().unwrap_or_default().to_owned(),
        place,
        incident: incident.map(|incident| incident.id.clone()),
        held: alert.suppression.as_ref().map(|held| Held {
            by: held.by.name(),
            reason: held.reason.to_string(),
            until: held.until,
        }),
        seen: alert.observation.as_ref().map(|seen| Seen {
            detector: seen.detector.name(),
            what: cut(&seen.name),
            template: template_of(&alert.labels).to_owned(),
            value: seen.value.filter(|value| value.is_finite()),
            expected: seen.expected.filter(|value| value.is_finite()),
            score: seen.score,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whatever_their_case() {
        assert!(has("DiskFull", "disk") && has("host:DB-1", "db-1") && has("any", "") && !has("disk", "disks"));
    }
}
