//! The service catalogue: who owns what, how much it matters, what was promised.
//!
//! ```yaml
//! teams:
//!   - {name: database, assignment_group: DBA, escalation: dba-lead}
//! services:
//!   - {entity: service:checkout, owner: shop, criticality: critical, sla: gold, customers: [retail]}
//!   - {entity: host:db-1, owner: database, skills: [postgres]}
//! calendars:
//!   - {name: office, zone: Europe/Berlin, hours: [mon-fri 08:00-18:00], holidays: [2026-12-25]}
//! slas:
//!   - {name: gold, respond: {P1: 15m, P2: 1h}, resolve: {P1: 4h, P2: 8h}}
//!   - {name: bronze, resolve: {P1: 8h, P3: 20h}, calendar: office, round_the_clock: [P1]}
//! escalations:
//!   - {name: nobody answers, when: "priority IN ('P1', 'P2')", after: 15m, to: {team: database}, repeat: 30m}
//! topology:
//!   - {from: service:checkout, to: service:db, relation: calls}
//! maintenance:
//!   - {entity: host:db-2, from: 2026-03-01T02:00:00Z, to: 2026-03-01T04:00:00Z, reason: patching}
//! ```
//!
//! A catalogue belongs to one tenant and replaces the tenant's earlier one. It enters the
//! engine through the journal, so that a replay sees the catalogue of the time.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::calendar::Calendar;
use crate::escalation::{EscalateTo, EscalationRule, RULES_MAX};
use crate::incident::Priority;
use crate::signal::Relation;
use crate::time::{EventTime, Span};

/// Everything one tenant knows about its estate beside telemetry.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Who can act.
    #[serde(default)]
    pub teams: Vec<Team>,
    /// What is known of each configuration item.
    #[serde(default)]
    pub services: Vec<CatalogueItem>,
    /// When somebody works.
    #[serde(default)]
    pub calendars: Vec<Calendar>,
    /// What was promised.
    #[serde(default)]
    pub slas: Vec<Sla>,
    /// Who is told when an incident waits for too long.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub escalations: Vec<EscalationRule>,
    /// Edges known beforehand.
    #[serde(default)]
    pub topology: Vec<CatalogueEdge>,
    /// Planned work, during which alerts are expected.
    #[serde(default)]
    pub maintenance: Vec<Maintenance>,
    /// Texts that tell what to do. The tenant's folder `knowledge` has one in each file.
    #[serde(default)]
    pub knowledge: Vec<KnowledgeArticle>,
}

/// A text that tells what to do.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KnowledgeArticle {
    /// Its name.
    pub id: String,
    /// Its headline.
    pub title: String,
    /// What it says.
    #[serde(default)]
    pub text: String,
}

impl Catalogue {
    /// Whether every name it gives is one that it has: agreements, calendars, owners' agreements, shifts.
    ///
    /// # Errors
    /// In words, the first name that leads nowhere.
    pub fn check(&self) -> Result<(), String> {
        let slas: BTreeSet<&str> = self.slas.iter().map(|sla| sla.name.as_str()).collect();
        let calendars: BTreeSet<&str> = self.calendars.iter().map(|calendar| calendar.name.as_str()).collect();
        let named = |who: String, list: &str, known: &BTreeSet<&str>, name: &str| {
            if name.is_empty() || known.contains(name) {
                return Ok(());
            }
            let all: Vec<&str> = known.iter().copied().collect();
            let all = if all.is_empty() { "it is empty".to_owned() } else { format!("it has {}", all.join(", ")) };
            Err(format!("{who} names `{name}`, which is not in `{list}`: {all}"))
        };
        self.calendars.iter().try_for_each(Calendar::check)?;
        for item in &self.services {
            named(format!("`sla` of {}", item.entity), "slas", &slas, &item.sla)?;
        }
        for sla in &self.slas {
            named(format!("`calendar` of SLA {}", sla.name), "calendars", &calendars, &sla.calendar)?;
            if !(0.0..=1.0).contains(&sla.at_risk) {
                return Err(format!("`at_risk` of SLA {} is {}: a share between 0 and 1", sla.name, sla.at_risk));
            }
        }
        for team in &self.teams {
            named(format!("`ola` of team {}", team.name), "slas", &slas, &team.ola)?;
            for member in &team.members {
                named(format!("`shift` of {}", member.name), "calendars", &calendars, &member.shift)?;
            }
        }
        if self.escalations.len() > RULES_MAX {
            return Err(format!("there are {} `escalations`: at most {RULES_MAX}", self.escalations.len()));
        }
        let teams: BTreeSet<&str> = self.teams.iter().map(|team| team.name.as_str()).collect();
        let people = self.teams.iter().flat_map(|team| &team.members).map(|member| member.name.as_str()).collect();
        let mut rules: BTreeSet<&str> = BTreeSet::new();
        for rule in &self.escalations {
            rule.check()?;
            if !rules.insert(&rule.name) {
                return Err(format!(
                    "two `escalations` are called `{}`: records name them, give each its own",
                    rule.name
                ));
            }
            named(format!("`calendar` of escalation {}", rule.name), "calendars", &calendars, &rule.calendar)?;
            let to = format!("`to` of escalation {}", rule.name);
            match &rule.to {
                EscalateTo::Team(team) => named(to, "teams", &teams, team)?,
                EscalateTo::Person(person) => named(to, "members of teams", &people, person)?,
                EscalateTo::Audience(_) => {}
            }
        }
        Ok(())
    }
}

/// A team.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Team {
    /// Its name.
    pub name: String,
    /// Its queue in the ticketing system.
    #[serde(default)]
    pub assignment_group: String,
    /// Whom to call when it does not answer.
    #[serde(default)]
    pub escalation: String,
    /// What the team has promised the others (operational level agreement): name of an entry of `slas`, counted
    /// from when the team was given the incident.
    #[serde(default)]
    pub ola: String,
    /// Its people.
    #[serde(default)]
    pub members: Vec<Member>,
}

/// A person.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The login in the ticketing system.
    pub name: String,
    /// What the person is good at.
    #[serde(default)]
    pub skills: Vec<String>,
    /// How many open incidents the person can carry.
    #[serde(default = "default_capacity")]
    pub capacity: u32,
    /// When the person works: name of an entry of `calendars`; always, where it is left out.
    #[serde(default)]
    pub shift: String,
    /// When the person is away all the same.
    #[serde(default)]
    pub away: Vec<Away>,
}

/// A time in which a person is given nothing.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Away {
    /// From when.
    pub from: EventTime,
    /// Until when.
    pub to: EventTime,
}

fn default_capacity() -> u32 {
    3
}

/// How much an item matters; OpenTelemetry's `service.criticality`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    /// Hardly anybody notices.
    Low,
    /// Some notice.
    #[default]
    Medium,
    /// Many notice.
    High,
    /// The business stops.
    Critical,
}

/// One configuration item.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogueItem {
    /// `type:name`.
    pub entity: String,
    /// The owning team.
    #[serde(default)]
    pub owner: String,
    /// How much it matters.
    #[serde(default)]
    pub criticality: Criticality,
    /// Name of an entry of `slas`.
    #[serde(default)]
    pub sla: String,
    /// The customers or user groups that depend on it.
    #[serde(default)]
    pub customers: Vec<String>,
    /// How many people use it.
    #[serde(default)]
    pub users: u64,
    /// What an hour without it costs, in the tenant's currency.
    #[serde(default)]
    pub revenue_per_hour: f64,
    /// `deployment.environment.name`.
    #[serde(default)]
    pub environment: String,
    /// Where to read what to do.
    #[serde(default)]
    pub runbook: String,
    /// Where to look.
    #[serde(default)]
    pub dashboard: String,
    /// What fixing it takes.
    #[serde(default)]
    pub skills: Vec<String>,
    /// Other names of the same item.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Ids of other systems: `servicenow.sys_id`, `backstage.ref`, …
    #[serde(default)]
    pub external_ids: BTreeMap<String, String>,
}

/// What was promised, by priority.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sla {
    /// Its name.
    pub name: String,
    /// Somebody acknowledges within.
    #[serde(default)]
    pub respond: BTreeMap<Priority, Span>,
    /// It is resolved within.
    #[serde(default)]
    pub resolve: BTreeMap<Priority, Span>,
    /// The clocks run while these work: name of an entry of `calendars`; always, where it is left out.
    #[serde(default)]
    pub calendar: String,
    /// Priorities whose clocks run round the clock all the same.
    #[serde(default)]
    pub round_the_clock: Vec<Priority>,
    /// The share of the time, 0–1, after which it is at risk.
    #[serde(default = "default_at_risk")]
    #[schemars(range(min = 0, max = 1))]
    pub at_risk: f64,
}

fn default_at_risk() -> f64 {
    0.75
}

impl Default for Sla {
    fn default() -> Sla {
        Sla {
            name: String::new(),
            respond: BTreeMap::new(),
            resolve: BTreeMap::new(),
            calendar: String::new(),
            round_the_clock: Vec::new(),
            at_risk: default_at_risk(),
        }
    }
}

/// An edge known beforehand.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogueEdge {
    /// The dependent item.
    pub from: String,
    /// What it depends on, is part of, or is owned by.
    pub to: String,
    /// What `from` is to `to`.
    pub relation: Relation,
    /// How sure, 0–1.
    #[serde(default = "default_confidence")]
    pub confidence: f64,
}

fn default_confidence() -> f64 {
    0.9
}

/// Planned work on one item and everything that runs on it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// `type:name`.
    pub entity: String,
    /// When it begins.
    pub from: EventTime,
    /// When it ends.
    pub to: EventTime,
    /// What is done.
    #[serde(default)]
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_leads_nowhere_is_refused_with_those_there_are() {
        let json = serde_json::json!({
            "services": [{"entity": "service:a", "sla": "gold"}],
            "slas": [{"name": "gold", "calendar": "office"}],
            "calendars": [{"name": "office", "hours": ["mon-fri 08:00-18:00"]}],
            "teams": [{"name": "db", "ola": "gold", "members": [{"name": "ana", "shift": "office"}]}],
            "escalations": [{"name": "a", "calendar": "office", "to": {"team": "db"}}, {"name": "b", "to": {"person": "ana"}}],
        });
        let read = |json: &serde_json::Value| serde_json::from_value::<Catalogue>(json.clone()).expect("a catalogue");
        assert_eq!(read(&json).check(), Ok(()));
        let places = [("/services/0/sla", "gold"), ("/slas/0/calendar", "office"), ("/teams/0/ola", "gold")];
        let rules = [("/escalations/0/calendar", "office"), ("/escalations/0/to/team", "db")];
        let people = [("/teams/0/members/0/shift", "office"), ("/escalations/1/to/person", "ana")];
        for (place, there) in places.into_iter().chain(rules).chain(people) {
            let mut wrong = json.clone();
            *wrong.pointer_mut(place).expect("it is there") = "glod".into();
            let said = read(&wrong).check().expect_err(place);
            assert!(said.contains("`glod`") && said.contains(there), "{said}");
        }
    }
}
