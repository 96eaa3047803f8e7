//! The mapping of a bridge: how an incident reads as a ticket, and a ticket's words as what they mean here.
//!
//! ```yaml
//! # `mapping` of a bridge
//! tenants:
//!   acme: {queue: acme, teams: {database: dba}}      # others are not this bridge's
//! priority: {P1: "90", P2: "70", P3: "50", P4: "30", P5: "10"}
//! states: {open: new, acknowledged: open, resolved: resolved, closed: resolved, merged: resolved}
//! said: {open: acknowledged, resolved: resolved, rejected: wont_fix, deleted: nothing}
//! subject: "{{ title }}"
//! fields: {bw_cause: "{{ cause }}"}
//! ```
//!
//! Everything is checked when the configuration is read: a priority or status without a value is refused there,
//! not found empty in a ticket.

use std::collections::BTreeMap;

use bellwether_engine::incident::{Escalation, IncidentRecord, IncidentStatus, Priority};
use bellwether_engine::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::system::{COMMON_FIELDS, Fields, OWNER, PRIORITY, QUEUE, STATUS, SUBJECT};
use super::template::{TemplateError, Templates};

/// How an incident reads as a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Whose incidents become tickets, and where their tickets lie.
    pub tenants: BTreeMap<String, TenantMapping>,
    /// The system's value for each priority.
    pub priority: PriorityWords,
    /// The system's word for each status.
    pub states: StateWords,
    /// What each of the system's words for a status means, when somebody else sets it. A word that is not here
    /// means nothing: it is shown with the ticket.
    pub said: BTreeMap<String, Said>,
    /// Template of the one line that says what it is.
    #[serde(default = "default_subject")]
    pub subject: String,
    /// Template of a new ticket's first text.
    #[serde(default = "default_text")]
    pub text: String,
    /// Template of a comment; `news` is what has changed, line by line.
    #[serde(default = "default_comment")]
    pub comment: String,
    /// Template of who gets it; nobody when left out. Somebody whom the system does not know is not set, and that is
    /// said.
    #[serde(default)]
    pub owner: Option<String>,
    /// Templates of further fields, which are kept as the incident is.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// What becomes of a ticket that a person closed while its incident goes on.
    #[serde(default)]
    pub closed_while_firing: ClosedWhileFiring,
    /// How long an incident has to go on after that.
    #[serde(default = "default_hold_after")]
    pub hold_after: Span,
    /// How long the same trouble opens no ticket after somebody has said that it will not be fixed.
    #[serde(default = "default_mute_for")]
    pub mute_for: Span,
}

impl Mapping {
    /// Itself; see [`super::audience::Audience::mapping`].
    pub(super) fn mapping(&self) -> Mapping {
        self.clone()
    }
}

/// Where a tenant's tickets lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantMapping {
    /// The queue of incidents of nobody in particular.
    pub queue: String,
    /// The queue of each owning team.
    #[serde(default)]
    pub teams: BTreeMap<String, String>,
    /// Where persons and audiences are told that rules of escalation name; teams are in `teams`. Only of what incidents
    /// are told to.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub people: BTreeMap<String, String>,
}

/// A value for each priority: one that is missing is a mistake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(non_snake_case, reason = "priorities are written so everywhere")]
pub struct PriorityWords {
    /// At once.
    pub P1: String,
    /// Within the hour.
    pub P2: String,
    /// Today.
    pub P3: String,
    /// This week.
    pub P4: String,
    /// When there is time.
    pub P5: String,
}

/// A word for each status: one that is missing is a mistake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateWords {
    /// Nobody has taken it.
    pub open: String,
    /// Somebody has.
    pub acknowledged: String,
    /// It is over; it may come back.
    pub resolved: String,
    /// It is over for good.
    pub closed: String,
    /// It went into another.
    pub merged: String,
}

/// What a status means that somebody has set in the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// Nothing to us.
    Nothing,
    /// Somebody works on it.
    Acknowledged,
    /// Somebody outside is waited for: promised times do not pass.
    Waiting,
    /// It is fixed.
    Resolved,
    /// It is over for good.
    Closed,
    /// It was no incident.
    FalsePositive,
    /// Nobody will do anything: the same trouble opens no ticket for `mute_for`.
    WontFix,
    /// It is gone.
    Deleted,
}

impl Said {
    /// Whether nobody works on the ticket any more.
    pub(super) fn is_end(self) -> bool {
        !matches!(self, Said::Nothing | Said::Acknowledged | Said::Waiting)
    }
}

/// What becomes of a ticket that a person closed while its incident goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClosedWhileFiring {
    /// It stays closed; a comment says once that the incident goes on.
    #[default]
    Hold,
    /// It is opened again.
    Reopen,
    /// A new ticket follows it.
    FollowUp,
}

pub(super) fn default_subject() -> String {
    "{{ title }}".to_owned()
}

pub(super) fn default_text() -> String {
    include_str!("text.j2").to_owned()
}

pub(super) fn default_comment() -> String {
    include_str!("comment.j2").to_owned()
}

pub(super) fn default_hold_after() -> Span {
    Span::from_secs(60)
}

pub(super) fn default_mute_for() -> Span {
    Span::from_hours(7 * 24)
}

/// A mapping does not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// A template.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// Something else.
    #[error("`{place}`: {reason}")]
    Value {
        /// Which key.
        place: String,
        /// What is wrong, and the remedy.
        reason: String,
    },
}

impl MappingError {
    /// That what is at `place` does not do.
    pub(super) fn at(place: impl Into<String>, reason: impl Into<String>) -> MappingError {
        MappingError::Value { place: place.into(), reason: reason.into() }
    }
}

/// A mapping that has been checked, ready to be used.
#[derive(Debug)]
pub(super) struct Rules {
    mapping: Mapping,
    templates: Templates,
}

/// What templates of further fields are named by.
const FIELD_PREFIX: &str = "fields.";

impl Rules {
    /// Checks a mapping.
    ///
    /// # Errors
    /// [`MappingError`] with the first key that does not do.
    pub(super) fn new(mapping: Mapping) -> Result<Rules, MappingError> {
        check(&mapping)?;
        let named = [(SUBJECT, &mapping.subject), ("text", &mapping.text), ("comment", &mapping.comment)];
        let named = named.into_iter().chain(mapping.owner.iter().map(|text| (OWNER, text)));
        let named = named.map(|(name, text)| (name.to_owned(), text.as_str()));
        let more = mapping.fields.iter().map(|(name, text)| (format!("{FIELD_PREFIX}{name}"), text.as_str()));
        let templates = Templates::new(named.chain(more))?;
        Ok(Rules { mapping, templates })
    }

    /// As it was written.
    pub(super) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    /// Whether this tenant's incidents become tickets here.
    pub(super) fn takes(&self, tenant: &str) -> bool {
        self.mapping.tenants.contains_key(tenant)
    }

    /// The fields of the ticket of `record`, as the templates have them.
    pub(super) fn fields(&self, tenant: &str, record: &IncidentRecord) -> Result<Fields, TemplateError> {
        let render = |name: &str| self.templates.render(name, tenant, record, &[]);
        let mut fields = Fields::new();
        fields.insert(SUBJECT.to_owned(), render(SUBJECT)?);
        fields.insert(STATUS.to_owned(), self.status(record.status).to_owned());
        fields.insert(PRIORITY.to_owned(), self.priority(record.priority).to_owned());
        if let Some(of) = self.mapping.tenants.get(tenant) {
            let team = record.owner.as_ref().and_then(|owner| of.teams.get(&owner.team));
            fields.insert(QUEUE.to_owned(), team.unwrap_or(&of.queue).clone());
        }
        if self.mapping.owner.is_some() {
            let owner = render(OWNER)?;
            // Nobody in particular is left to whoever gives it out there.
            if !owner.is_empty() {
                fields.insert(OWNER.to_owned(), owner);
            }
        }
        for name in self.mapping.fields.keys() {
            fields.insert(name.clone(), render(&format!("{FIELD_PREFIX}{name}"))?);
        }
        Ok(fields)
    }

    /// Where those are told whom rules of escalation named after the first `before` times, each once.
    pub(super) fn escalated(&self, tenant: &str, record: &IncidentRecord, before: usize) -> Vec<String> {
        let Some(of) = self.mapping.tenants.get(tenant) else { return Vec::new() };
        let place = |it: &Escalation| if it.kind == "team" { of.teams.get(&it.to) } else { of.people.get(&it.to) };
        let mut places: Vec<String> = record.escalations.iter().skip(before).filter_map(place).cloned().collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The first text of the ticket of `record`.
    pub(super) fn text(&self, tenant: &str, record: &IncidentRecord) -> Result<String, TemplateError> {
        self.templates.render("text", tenant, record, &[])
    }

    /// A comment on `record` that says what is new.
    pub(super) fn comment(
        &self,
        tenant: &str,
        record: &IncidentRecord,
        news: &[String],
    ) -> Result<String, TemplateError> {
        self.templates.render("comment", tenant, record, news)
    }

    /// The system's word for a status.
    pub(super) fn status(&self, status: IncidentStatus) -> &str {
        let StateWords { open, acknowledged, resolved, closed, merged } = &self.mapping.states;
        match status {
            IncidentStatus::Open => open,
            IncidentStatus::Acknowledged => acknowledged,
            IncidentStatus::Resolved => resolved,
            IncidentStatus::Closed => closed,
            IncidentStatus::Merged => merged,
        }
    }

    fn priority(&self, priority: Priority) -> &str {
        let words = &self.mapping.priority;
        match priority {
            Priority::P1 => &words.P1,
            Priority::P2 => &words.P2,
            Priority::P3 => &words.P3,
            Priority::P4 => &words.P4,
            Priority::P5 => &words.P5,
        }
    }

    /// What a word for a status means that somebody else has set.
    pub(super) fn said(&self, word: &str) -> Option<Said> {
        self.mapping.said.get(word).copied()
    }

    /// Whether nobody works on a ticket in this status.
    pub(super) fn is_end(&self, word: &str) -> bool {
        self.said(word).is_some_and(Said::is_end)
    }
}

fn check(mapping: &Mapping) -> Result<(), MappingError> {
    if mapping.tenants.is_empty() {
        return Err(MappingError::at("tenants", "it names none: no incident would become a ticket"));
    }
    let queues = mapping.tenants.iter().flat_map(|(tenant, of)| {
        let teams = of.teams.iter().map(move |(team, queue)| (format!("tenants.{tenant}.teams.{team}"), queue));
        let people = of.people.iter().map(move |(name, place)| (format!("tenants.{tenant}.people.{name}"), place));
        std::iter::once((format!("tenants.{tenant}.queue"), &of.queue)).chain(teams).chain(people)
    });
    let PriorityWords { P1, P2, P3, P4, P5 } = &mapping.priority;
    let priorities = [("P1", P1), ("P2", P2), ("P3", P3), ("P4", P4), ("P5", P5)];
    let StateWords { open, acknowledged, resolved, closed, merged } = &mapping.states;
    let live = [("open", open), ("acknowledged", acknowledged)];
    let over = [("resolved", resolved), ("closed", closed), ("merged", merged)];
    let priorities = priorities.into_iter().map(|(name, value)| (format!("priority.{name}"), value));
    let states = live.into_iter().chain(over).map(|(name, value)| (format!("states.{name}"), value));
    for (place, value) in queues.chain(priorities).chain(states) {
        if value.trim().is_empty() {
            return Err(MappingError::at(place, "it is empty: the ticket would be, too"));
        }
    }
    let is_end = |word: &String| mapping.said.get(word).is_some_and(|said| said.is_end());
    if let Some((name, word)) = over.into_iter().find(|(_, word)| !is_end(word)) {
        let reason = format!("`said` has to say that `{word}` is an end: `{word}: resolved`");
        return Err(MappingError::at(format!("states.{name}"), reason));
    }
    if let Some((name, word)) = live.into_iter().find(|(_, word)| is_end(word)) {
        let reason = format!("`said` has `{word}` as an end: a ticket that is {name} would count as closed");
        return Err(MappingError::at(format!("states.{name}"), reason));
    }
    if let Some(name) = mapping.fields.keys().find(|name| COMMON_FIELDS.contains(&name.as_str())) {
        return Err(MappingError::at(format!("fields.{name}"), "it is a key of its own"));
    }
    if mapping.hold_after.0 < 0 || mapping.mute_for.0 < 0 {
        return Err(MappingError::at("hold_after", "it, and `mute_for`, cannot be less than nothing"));
    }
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The mapping of the tests.
    pub(in crate::bridges) const MAPPING: &str = r#"{
        "tenants": {"acme": {"queue": "acme", "teams": {"database": "dba"}}, "globex": {"queue": "globex"}},
        "priority": {"P1": "90", "P2": "70", "P3": "50", "P4": "30", "P5": "10"},
        "states": {"open": "new", "acknowledged": "open", "resolved": "resolved", "closed": "resolved", "merged": "resolved"},
        "said": {"open": "acknowledged", "resolved": "resolved", "rejected": "wont_fix", "deleted": "deleted", "stalled": "waiting"},
        "owner": "{{ assignee }}",
        "fields": {"cause": "{{ cause }}"}
    }"#;

    fn mapping(change: impl FnOnce(&mut serde_json::Value)) -> Result<Rules, String> {
        let mut value: serde_json::Value = serde_json::from_str(MAPPING).expect("JSON");
        change(&mut value);
        let mapping: Mapping = serde_json::from_value(value).map_err(|error| error.to_string())?;
        Rules::new(mapping).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_without_mapping_is_refused_when_the_configuration_is_read() {
        mapping(|_| ()).expect("as it is, it does");
        let refused = |change: fn(&mut serde_json::Value), named: &str| {
            let error = mapping(change).expect_err(named);
            assert!(error.contains(named), "{error}");
        };
        refused(|m| drop(m["priority"].as_object_mut().and_then(|p| p.remove("P4"))), "P4");
        refused(|m| drop(m["states"].as_object_mut().and_then(|p| p.remove("merged"))), "merged");
        refused(|m| m["priority"]["P2"] = " ".into(), "priority.P2");
        refused(|m| m["tenants"]["acme"]["teams"]["database"] = "".into(), "tenants.acme.teams.database");
        refused(|m| m["states"]["resolved"] = "done".into(), "states.resolved");
        refused(|m| m["states"]["open"] = "rejected".into(), "states.open");
        refused(|m| m["subject"] = "{{ tittle }}".into(), "subject");
        refused(|m| m["fields"]["status"] = "x".into(), "fields.status");
        refused(|m| m["tenants"] = serde_json::json!({}), "tenants");
    }
}
