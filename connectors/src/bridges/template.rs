//! What a ticket says, worded by the site: templates over an incident's record.
//!
//! A template has no files, no network and a bounded number of steps; what it names and is not there is a
//! mistake, found when the configuration is read: each one is tried on a record with everything and on one with
//! next to nothing. What comes out is without control characters, and without those that turn the reading
//! direction of what follows: a host's name must not make a ticket say something else.

use bellwether_engine::incident::{EntityRole, IncidentRecord, LinkRel};
use bellwether_engine::signal::cut_to;
use bellwether_engine::time::EventTime;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

/// Steps that a template may take: a loop over every list of a record is some thousand.
const FUEL: u64 = 200_000;
/// Bytes of a template as it is written.
const TEMPLATE_BYTES_MAX: usize = 16 << 10;
/// Bytes that come out at most: twice the longest text of a record, before a system cuts it.
const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// A template does not read, or names what is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template `{name}`: {reason}")]
pub struct TemplateError {
    /// Which.
    pub name: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The templates of one bridge, by name.
pub(super) struct Templates {
    environment: Environment<'static>,
}

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Templates")
    }
}

impl Templates {
    /// Reads templates, each with its name, and tries each.
    ///
    /// # Errors
    /// [`TemplateError`] of the first that does not do.
    pub(super) fn new<'t>(all: impl IntoIterator<Item = (String, &'t str)>) -> Result<Templates, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        let mut names = Vec::new();
        for (name, text) in all {
            if text.len() > TEMPLATE_BYTES_MAX {
                let reason = format!("it is longer than {TEMPLATE_BYTES_MAX} bytes");
                return Err(TemplateError { name, reason });
            }
            let added = environment.add_template_owned(name.clone(), text.to_owned());
            added.map_err(|error| TemplateError { name: name.clone(), reason: in_words(&error) })?;
            names.push(name);
        }
        let templates = Templates { environment };
        for record in [sparse(), full()] {
            for name in &names {
                templates.render(name, "acme", &record, &["it is new".to_owned()])?;
            }
        }
        Ok(templates)
    }

    /// What template `name` says of a record. `news` is what has changed, in words.
    ///
    /// # Errors
    /// [`TemplateError`] when it takes too many steps, or names what this record does not have.
    pub(super) fn render(
        &self,
        name: &str,
        tenant: &str,
        record: &IncidentRecord,
        news: &[String],
    ) -> Result<String, TemplateError> {
        let failed = |error: minijinja::Error| TemplateError { name: name.to_owned(), reason: in_words(&error) };
        let template = self.environment.get_template(name).map_err(failed)?;
        let text = template.render(Page::of(tenant, record, news)).map_err(failed)?;
        Ok(plain(&text))
    }
}

/// What went wrong, with the line.
fn in_words(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
    format!("{error:#}{line}").lines().next().unwrap_or_default().to_owned()
}

/// Without characters that are no text, cut where it is far too long, without blanks at its ends.
fn plain(text: &str) -> String {
    let turns = |letter: char| matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let kept = |letter: &char| (!letter.is_control() || matches!(letter, '\n' | '\t')) && !turns(*letter);
    let text: String = text.chars().filter(kept).collect();
    cut_to(&text, OUTPUT_BYTES_MAX).trim().to_owned()
}

/// What a template may name: the record, with nothing left out, and the same in words where that is shorter.
#[derive(Serialize)]
struct Page<'r> {
    tenant: &'r str,
    id: &'r str,
    dedup_key: &'r str,
    revision: u64,
    status: String,
    status_reason: String,
    severity: String,
    priority: &'static str,
    impact: u8,
    urgency: u8,
    title: &'r str,
    summary: &'r str,
    description: &'r str,
    class: &'r str,
    environment: &'r str,
    started_at: String,
    opened_at: String,
    updated_at: String,
    acknowledged_at: String,
    resolved_at: String,
    merged_into: &'r str,
    parent_id: &'r str,
    entity: &'r str,
    affected: Vec<&'r str>,
    team: &'r str,
    assignment_group: &'r str,
    assignee: &'r str,
    escalation: &'r str,
    cause: &'r str,
    cause_why: &'r str,
    confidence: u8,
    causes: Vec<Cause<'r>>,
    changes: Vec<ChangeLine<'r>>,
    alerts: Vec<AlertLine<'r>>,
    alert_count: u64,
    customers: &'r str,
    business_services: &'r str,
    runbooks: Vec<&'r str>,
    similar: Vec<Similar<'r>>,
    labels: &'r std::collections::BTreeMap<String, String>,
    news: &'r [String],
}

#[derive(Serialize)]
struct Cause<'r> {
    rank: u64,
    what: &'r str,
    entity: &'r str,
    score: u8,
    why: &'r str,
}

#[derive(Serialize)]
struct ChangeLine<'r> {
    id: &'r str,
    what: &'r str,
    entity: &'r str,
    at: String,
    url: &'r str,
}

#[derive(Serialize)]
struct AlertLine<'r> {
    name: &'r str,
    source: &'r str,
    status: String,
    since: String,
    url: &'r str,
}

#[derive(Serialize)]
struct Similar<'r> {
    id: &'r str,
    ticket: &'r str,
    score: u8,
}

/// 0–1 in percent.
fn percent(score: f64) -> u8 {
    (score.clamp(0.0, 1.0) * 100.0).round() as u8
}

/// The word that the record has for something.
fn word<T: Serialize>(of: T) -> String {
    serde_json::to_value(of).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl<'r> Page<'r> {
    fn of(tenant: &'r str, record: &'r IncidentRecord, news: &'r [String]) -> Page<'r> {
        let time = |at: Option<EventTime>| at.map(|at| at.to_string()).unwrap_or_default();
        let owner = record.owner.as_ref();
        let first = record.probable_causes.first();
        let label = |name: &str| record.labels.get(name).map_or("", String::as_str);
        let entity = |entity: Option<&'r bellwether_engine::incident::EntityRef>| entity.map_or("", |e| e.id.as_str());
        Page {
            tenant,
            id: &record.id,
            dedup_key: &record.dedup_key,
            revision: record.revision,
            status: word(record.status),
            status_reason: record.status_reason.map(word).unwrap_or_default(),
            severity: word(record.severity),
            priority: record.priority.name(),
            impact: record.impact.unwrap_or_default(),
            urgency: record.urgency.unwrap_or_default(),
            title: &record.title,
            summary: &record.summary,
            description: &record.description,
            class: &record.class,
            environment: &record.environment,
            started_at: time(record.started_at),
            opened_at: record.opened_at.to_string(),
            updated_at: record.updated_at.to_string(),
            acknowledged_at: time(record.acknowledged_at),
            resolved_at: time(record.resolved_at),
            merged_into: record.merged_into.as_deref().unwrap_or_default(),
            parent_id: record.parent_id.as_deref().unwrap_or_default(),
            entity: entity(record.primary_entity.as_ref()),
            affected: (record.entities.iter())
                .filter(|entity| entity.role == Some(EntityRole::Affected))
                .map(|entity| entity.id.as_str())
                .collect(),
            team: owner.map_or("", |owner| &owner.team),
            assignment_group: owner.map_or("", |owner| &owner.assignment_group),
            assignee: owner.map_or("", |owner| &owner.assignee),
            escalation: owner.map_or("", |owner| &owner.escalation),
            cause: first.map_or("", |cause| &cause.reference),
            cause_why: first.map_or("", |cause| &cause.explanation),
            confidence: record.confidence.map_or(0, percent),
            causes: (record.probable_causes.iter())
                .map(|cause| Cause {
                    rank: cause.rank,
                    what: &cause.reference,
                    entity: entity(cause.entity.as_ref()),
                    score: percent(cause.score),
                    why: &cause.explanation,
                })
                .collect(),
            changes: (record.changes.iter())
                .map(|change| ChangeLine {
                    id: &change.id,
                    what: &change.change_type,
                    entity: &change.entity_id,
                    at: change.at.to_string(),
                    url: &change.url,
                })
                .collect(),
            alerts: (record.alerts.iter())
                .map(|alert| AlertLine {
                    name: &alert.name,
                    source: &alert.source,
                    status: word(alert.status),
                    since: alert.starts_at.to_string(),
                    url: &alert.url,
                })
                .collect(),
            alert_count: record.alert_count,
            customers: label("impact.customers"),
            business_services: label("impact.business_services"),
            runbooks: (record.links.iter())
                .filter(|link| link.rel == LinkRel::Runbook)
                .map(|link| link.href.as_str())
                .collect(),
            similar: (record.similar.iter())
                .map(|past| Similar { id: &past.id, ticket: &past.ticket, score: percent(past.score) })
                .collect(),
            labels: &record.labels,
            news,
        }
    }
}

/// A record with next to nothing.
fn sparse() -> IncidentRecord {
    record_of(serde_json::json!({}))
}

/// A record with everything that a template can name.
fn full() -> IncidentRecord {
    let at = "2026-03-01T10:00:00Z";
    record_of(serde_json::json!({
        "status_reason": "detected", "impact": 1, "urgency": 2, "confidence": 0.9, "summary": "s", "description": "d",
        "class": "database", "started_at": at, "acknowledged_at": at, "resolved_at": at, "environment": "production",
        "primary_entity": {"id": "service:a", "type": "service"},
        "entities": [{"id": "service:a", "type": "service", "role": "affected"}],
        "owner": {"team": "t", "assignment_group": "g", "assignee": "a", "escalation": "e"},
        "probable_causes": [{"rank": 1, "kind": "entity", "ref": "host:a", "score": 0.9, "explanation": "e"}],
        "changes": [{"id": "c", "type": "deployed", "at": at}],
        "alerts": [{"fingerprint": "00ff00ff00ff00ff", "source": "s", "name": "n", "status": "firing", "starts_at": at}],
        "links": [{"rel": "runbook", "href": "https://runbooks.test/a"}],
        "similar": [{"id": "inc_1", "score": 0.5, "ticket": "17"}],
    }))
}

fn record_of(more: serde_json::Value) -> IncidentRecord {
    let mut record = serde_json::json!({
        "schema_version": "1", "id": "inc_01KDV0000000000000000000AA", "dedup_key": "k", "revision": 1,
        "status": "open", "severity": "major", "priority": "P2", "title": "t", "opened_at": "2026-03-01T10:00:00Z",
        "updated_at": "2026-03-01T10:00:00Z", "entities": [], "alert_count": 1,
    });
    if let (Some(record), serde_json::Value::Object(more)) = (record.as_object_mut(), more) {
        record.extend(more);
    }
    serde_json::from_value(record).expect("the samples are records")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Templates, TemplateError> {
        Templates::new([("subject".to_owned(), text)])
    }

    fn said(text: &str, record: &IncidentRecord) -> String {
        one(text).expect("reads").render("subject", "acme", record, &[]).expect("renders")
    }

    #[test]
    fn a_template_that_names_what_is_not_there_is_refused_when_it_is_read() {
        for (text, named) in [
            ("{{ titel }}", "undefined"),
            ("{{ title", "unexpected end"),
            ("{% for c in causes %}{{ c.whta }}{% endfor %}", "undefined"),
            ("{{ labels['impact.customers'] }}", "undefined"),
            ("{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}", "fuel"),
        ] {
            let error = one(text).expect_err(text).to_string();
            assert!(error.contains("subject") && error.contains(named), "{text}: {error}");
        }
        assert_eq!(said("{{ labels['impact.customers'] | default('nobody') }}", &sparse()), "nobody");
    }

    #[test]
    fn any_script_passes_and_what_turns_or_hides_text_does_not() {
        let mut record = sparse();
        record.title = "קופה 🔥 \u{202e}gnp.exe\u{2066}\u{7}\r\n线".to_owned();
        assert_eq!(said("{{ title }}", &record), "קופה 🔥 gnp.exe\n线");
    }

    #[test]
    fn what_a_record_says_is_text_and_no_template() {
        let mut record = sparse();
        record.title = "{{ tenant }} {% raw %}".to_owned();
        assert_eq!(said("{{ title }}", &record), "{{ tenant }} {% raw %}");
    }
}
