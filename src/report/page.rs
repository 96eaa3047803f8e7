//! One incident on a page: what broke, why we think so, whom it hurts, who should act, how
//! sure we are.

use bellwether_engine::incident::{Deadline, EntityRole, IncidentRecord, LinkRel, ProbableCause};

use super::{date_and_time, priority_ink, rough, safe, time_of_day};
use crate::term::{Ink, Term, clip, count, wrap};

/// Columns of the words on the left.
const LABEL_WIDTH: usize = 16;
/// Causes, pieces of evidence and names shown; the record has more.
const CAUSES_SHOWN: usize = 3;
const EVIDENCE_SHOWN: usize = 5;
const NAMES_SHOWN: usize = 8;
/// Cells of the bar that shows a share.
const BAR_CELLS: usize = 20;

/// The page of one incident; `tenant` is named when there is more than one.
pub fn incident_page(record: &IncidentRecord, tenant: Option<&str>, term: &Term) -> String {
    let mut page = Page { term, out: String::new() };
    page.title(record, tenant);
    page.field("what broke", &record.summary);
    page.times(record);
    page.causes(record);
    page.evidence(record);
    page.hurts(record);
    page.owner(record);
    page.sla(record);
    page.links(record);
    page.field("noise", &noise(record));
    page.out
}

struct Page<'a> {
    term: &'a Term,
    out: String,
}

impl Page<'_> {
    fn title(&mut self, record: &IncidentRecord, tenant: Option<&str>) {
        let priority = self.term.paint(priority_ink(record.priority), record.priority.name());
        let tenant = tenant.map_or(String::new(), |tenant| format!("{}  ", self.term.paint(Ink::Cyan, tenant)));
        let title = self.term.paint(Ink::Bold, &clip(&safe(&record.title), self.term.width - 6));
        let id = self.term.paint(Ink::Dim, &format!("{}  {}", record.id, record.status.name()));
        self.out.push_str(&format!("{priority}  {title}\n    {tenant}{id}\n\n"));
    }

    /// A field with its text wrapped beside its name; nothing when there is no text.
    fn field(&mut self, name: &str, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let wrapped = wrap(&safe(text), self.term.width, LABEL_WIDTH + 2, false);
        let name = self.term.paint(Ink::Dim, &format!("  {name:<width$}", width = LABEL_WIDTH));
        self.out.push_str(&format!("{name}{wrapped}\n"));
    }

    fn times(&mut self, record: &IncidentRecord) {
        let mut text = String::new();
        let started = record.started_at.unwrap_or(record.opened_at);
        text.push_str(&format!("first symptom {} UTC", date_and_time(started)));
        text.push_str(&format!(", told {} later", rough(record.opened_at.since(started))));
        if let Some(resolved) = record.resolved_at {
            text.push_str(&format!(", over at {} after {}", time_of_day(resolved), rough(resolved.since(started))));
        }
        self.field("when", &text);
    }

    fn causes(&mut self, record: &IncidentRecord) {
        for (index, cause) in record.probable_causes.iter().take(CAUSES_SHOWN).enumerate() {
            let name = if index == 0 { "why we think so" } else { "" };
            let name = self.term.paint(Ink::Dim, &format!("  {name:<width$}", width = LABEL_WIDTH));
            let what = format!("{:<32}", clip(&safe(&cause_name(cause)), 32));
            let what = if index == 0 { self.term.paint(Ink::Bold, &what) } else { what };
            let score = cause.score.clamp(0.0, 1.0);
            self.out.push_str(&format!("{name}{what} {} {:>3.0} %\n", self.bar(score), score * 100.0));
            if !cause.explanation.is_empty() {
                let text = wrap(&safe(&cause.explanation), self.term.width, LABEL_WIDTH + 4, true);
                self.out.push_str(&format!("{text}\n"));
            }
        }
        if let Some(confidence) = record.confidence {
            self.field("how sure", &sure(confidence));
        }
    }

    fn bar(&self, share: f64) -> String {
        let full = ((share * BAR_CELLS as f64).round() as usize).min(BAR_CELLS);
        let bar = "█".repeat(full);
        format!("{}{}", self.term.paint(Ink::Yellow, &bar), self.term.paint(Ink::Dim, &"░".repeat(BAR_CELLS - full)))
    }

    fn evidence(&mut self, record: &IncidentRecord) {
        for (index, entry) in record.evidence.iter().take(EVIDENCE_SHOWN).enumerate() {
            let entity = entry.entity_id.split_once(':').map_or(entry.entity_id.as_str(), |(_, name)| name);
            let says = if entry.text.is_empty() { &entry.name } else { &entry.text };
            let text = format!("{}  {entity}: {says}", time_of_day(entry.at));
            let line = clip(&safe(&text), self.term.width - LABEL_WIDTH - 2);
            let name = if index == 0 { "evidence" } else { "" };
            let name = self.term.paint(Ink::Dim, &format!("  {name:<width$}", width = LABEL_WIDTH));
            self.out.push_str(&format!("{name}{line}\n"));
        }
    }

    fn hurts(&mut self, record: &IncidentRecord) {
        let Some(impact) = &record.business_impact else { return };
        let mut parts = Vec::new();
        let affected = names(record, |role| role != Some(EntityRole::Cause), |id| id.starts_with("service:"));
        if !affected.is_empty() {
            parts.push(format!("services {affected}"));
        }
        let others = names(record, |role| role == Some(EntityRole::Affected), |id| !id.starts_with("service:"));
        if !others.is_empty() {
            parts.push(others);
        }
        if !impact.customers.is_empty() {
            parts.push(format!("customers {}", impact.customers.join(", ")));
        }
        self.field("whom it hurts", &parts.join("; "));
        let costs = [
            impact.users.map(|users| format!("{users} people use it")),
            impact.revenue_per_hour.map(|cost| format!("an hour of it costs {cost:.0}")),
        ];
        let costs: Vec<String> = costs.into_iter().flatten().collect();
        if !costs.is_empty() {
            self.field("", &costs.join("; "));
        }
        if impact.entities_at_risk > 0 {
            self.field("", &format!("{} more depend on these and may follow", impact.entities_at_risk));
        }
    }

    fn owner(&mut self, record: &IncidentRecord) {
        let Some(owner) = &record.owner else { return };
        let mut text = format!("team {}", owner.team);
        if !owner.assignment_group.is_empty() && owner.assignment_group != owner.team {
            text.push_str(&format!(" (queue {})", owner.assignment_group));
        }
        if !owner.assignee.is_empty() {
            text.push_str(&format!(", {}", owner.assignee));
        }
        if !owner.escalation.is_empty() {
            text.push_str(&format!("; then call {}", owner.escalation));
        }
        for it in &record.escalations {
            text.push_str(&format!("; {} {} was told at {} ({})", it.kind, it.to, time_of_day(it.at), it.rule));
        }
        let impact = record.impact.map_or(String::new(), |impact| format!(" from impact {impact}"));
        let urgency = record.urgency.map_or(String::new(), |urgency| format!(" and urgency {urgency}"));
        text.push_str(&format!("; {}{impact}{urgency}", record.priority));
        self.field("who should act", &text);
    }

    fn sla(&mut self, record: &IncidentRecord) {
        let Some(sla) = &record.sla else { return };
        let clock = |(what, deadline): (&str, Option<Deadline>)| {
            let at = deadline?.by?;
            Some(format!("{what} by {} (in {})", time_of_day(at), rough(at.since(record.opened_at))))
        };
        let clocks: Vec<String> =
            [("answer", sla.respond), ("fix", sla.resolve)].into_iter().filter_map(clock).collect();
        self.field("SLA clock", &format!("{}: {}", sla.name, clocks.join(", ")));
    }

    fn links(&mut self, record: &IncidentRecord) {
        for link in record.links.iter().filter(|link| matches!(link.rel, LinkRel::Runbook | LinkRel::Dashboard)) {
            let name = if link.rel == LinkRel::Runbook { "runbook" } else { "dashboard" };
            self.field(name, &link.href);
        }
    }
}

fn cause_name(cause: &ProbableCause) -> String {
    let entity = cause.entity.as_ref().map_or("", |entity| entity.id.as_str());
    let kind = serde_json::to_value(cause.kind).ok();
    let kind = kind.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().replace('_', " ");
    match (cause.reference.as_str(), entity) {
        ("", entity) => entity.to_owned(),
        (reference, "") => format!("{kind} {reference}"),
        (reference, entity) if reference == entity => entity.to_owned(),
        (reference, entity) => format!("{kind} {reference} on {entity}"),
    }
}

fn sure(confidence: f64) -> String {
    let word = match confidence {
        c if c >= 0.8 => "very",
        c if c >= 0.6 => "fairly",
        c if c >= 0.4 => "not very",
        _ => "hardly: treat it as a hint",
    };
    format!("{:.0} %, {word}", confidence * 100.0)
}

fn names(record: &IncidentRecord, role: impl Fn(Option<EntityRole>) -> bool, id: impl Fn(&str) -> bool) -> String {
    let all: Vec<&str> = record.entities.iter().filter(|e| role(e.role) && id(&e.id)).map(|e| e.id.as_str()).collect();
    let plain = |id: &&str| id.strip_prefix("service:").unwrap_or(id).to_owned();
    let mut shown: Vec<String> = all.iter().take(NAMES_SHOWN).map(plain).collect();
    if all.len() > NAMES_SHOWN {
        shown.push(format!("{} more", all.len() - NAMES_SHOWN));
    }
    shown.join(", ")
}

fn noise(record: &IncidentRecord) -> String {
    let alerts = count(record.alert_count, "alert notification");
    format!("{alerts} in, one incident out, {}", count(record.revision, "revision"))
}
