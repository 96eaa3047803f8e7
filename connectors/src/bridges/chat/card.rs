//! What a message shows of an incident, small: how bad, what, whom it hurts, who has it, why most probably.

use bellwether_engine::incident::{EntityRole, IncidentStatus, Priority};

use super::super::receiver::Telling;
use super::super::text::{cut, one_line};

/// Characters of a title; and of a line below it.
const TITLE_CHARS_MAX: usize = 140;
const LINE_CHARS_MAX: usize = 200;
/// Services that are named.
const SERVICES_MAX: usize = 5;

/// A message, before any chat's markup: texts in one line each, cut.
pub(super) struct Card {
    /// What it is, with its priority.
    pub(super) title: String,
    /// Names and values, in order; none is empty.
    pub(super) facts: Vec<(&'static str, String)>,
    /// Where more is to be seen.
    pub(super) link: Option<String>,
    /// How bad it looks.
    pub(super) light: Light,
}

/// How bad it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Light {
    Red,
    Orange,
    Yellow,
    Grey,
    Green,
}

impl Light {
    /// As a colour for the web.
    pub(super) fn colour(self) -> &'static str {
        match self {
            Light::Red => "#d72b3f",
            Light::Orange => "#e8912d",
            Light::Yellow => "#e0c341",
            Light::Grey => "#8d8d8d",
            Light::Green => "#2eb67d",
        }
    }
}

impl Card {
    /// Of an incident as it is told; `page` is where Bellwether's page is.
    pub(super) fn of(telling: &Telling, page: Option<&str>) -> Card {
        let record = &telling.record;
        let line = |text: &str| cut(&one_line(text), LINE_CHARS_MAX);
        let over = !matches!(record.status, IncidentStatus::Open | IncidentStatus::Acknowledged);
        let light = match record.priority {
            _ if over => Light::Green,
            Priority::P1 => Light::Red,
            Priority::P2 => Light::Orange,
            Priority::P3 => Light::Yellow,
            Priority::P4 | Priority::P5 => Light::Grey,
        };
        let hit = record.entities.iter().filter(|entity| entity.role == Some(EntityRole::Affected));
        let hit: Vec<&str> = hit.map(|entity| entity.id.as_str()).take(SERVICES_MAX).collect();
        let owner = record.owner.as_ref().map(|owner| match owner.assignee.as_str() {
            "" => owner.team.clone(),
            assignee => format!("{} ({assignee})", owner.team),
        });
        let cause = record.probable_causes.first();
        let cause = cause.map(|cause| format!("{}, {:.0} % sure", cause.reference, cause.score * 100.0));
        let status = match (record.status, record.acknowledged_by.as_str()) {
            (IncidentStatus::Acknowledged, who) if !who.is_empty() => format!("acknowledged by {who}"),
            (status, _) => status.name().to_owned(),
        };
        let facts = [
            ("Status", status),
            ("Hits", hit.join(", ")),
            ("Owner", owner.unwrap_or_default()),
            ("Cause", cause.unwrap_or_default()),
        ];
        Card {
            title: cut(&one_line(&format!("{} {}", record.priority.name(), telling.subject)), TITLE_CHARS_MAX),
            facts: facts
                .into_iter()
                .map(|(name, value)| (name, line(&value)))
                .filter(|(_, value)| !value.is_empty())
                .collect(),
            link: page.map(|page| format!("{}/page/incidents/{}", page.trim_end_matches('/'), record.id)),
            light,
        }
    }
}
