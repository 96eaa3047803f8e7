//! The parts of a record that concern the service desk: what was promised, who should have it, what it costs,
//! what it is one of. From version 2 on; version 1 had some of it as labels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::EventTime;

/// How a promised time stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeadlineState {
    /// There is time.
    OnTrack,
    /// The clock stands: somebody outside is waited for.
    Paused,
    /// Most of the time is gone.
    AtRisk,
    /// It was kept.
    Met,
    /// It was not kept, or is not any more.
    Breached,
}

impl DeadlineState {
    /// As records write it.
    pub const fn name(self) -> &'static str {
        match self {
            DeadlineState::OnTrack => "on_track",
            DeadlineState::Paused => "paused",
            DeadlineState::AtRisk => "at_risk",
            DeadlineState::Met => "met",
            DeadlineState::Breached => "breached",
        }
    }
}

/// A promised time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deadline {
    /// By when, working hours and pauses counted; absent while the clock stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "EventTime")]
    pub by: Option<EventTime>,
    /// How it stands at this revision.
    pub state: DeadlineState,
}

/// An agreement and its clocks: of the service (SLA), or of the team (OLA).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceLevel {
    /// Its name in the catalogue.
    pub name: String,
    /// Somebody acknowledges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Deadline")]
    pub respond: Option<Deadline>,
    /// It is resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Deadline")]
    pub resolve: Option<Deadline>,
    /// The chance, 0–1, that it is not resolved in time, as incidents like it went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0, max = 1))]
    pub breach_probability: Option<f64>,
}

/// How much longer it takes, as incidents like it went.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeLeft {
    /// Hours within which half of those that lasted as long as this were resolved.
    #[schemars(range(min = 0))]
    pub p50_hours: f64,
    /// Hours within which nine in ten were.
    #[schemars(range(min = 0))]
    pub p90_hours: f64,
}

/// By whose word a team has the incident.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AssignedBy {
    /// The catalogue names it as the owner of what is in trouble.
    Catalogue,
    /// It resolved such incidents before, surely enough.
    Experience,
    /// Somebody said so, here or in the ticket.
    Person,
    /// Nobody is known: whoever gives it out decides.
    #[default]
    Dispatcher,
}

/// Who should have it, and why.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// By whose word `owner` has it.
    pub by: AssignedBy,
    /// The likeliest teams, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    pub candidates: Vec<Candidate>,
}

/// A team that may resolve it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Its name.
    pub team: String,
    /// How often answers that sure were right, 0–1; absent where nothing was learned yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64", range(min = 0, max = 1))]
    pub confidence: Option<f64>,
    /// Why it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub reasons: Vec<String>,
}

/// Whom it hurts and what that costs, in figures.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessImpact {
    /// Entities in trouble.
    pub entities_alerting: u64,
    /// Entities that depend on the cause and show nothing yet.
    pub entities_at_risk: u64,
    /// Services among both.
    pub services: u64,
    /// Services in trouble.
    pub services_alerting: u64,
    /// Business services among both, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub business_services: Vec<String>,
    /// Customers of both, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub customers: Vec<String>,
    /// People who use what is in trouble, where the catalogue says how many. Whoever uses two services counts
    /// for the one that more people use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub users: Option<u64>,
    /// What an hour of it costs, in the tenant's currency, where the catalogue says so of what is in trouble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub revenue_per_hour: Option<f64>,
    /// Who is expected to follow, soonest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    pub next: Vec<NextEntity>,
}

/// An entity that is expected to follow.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NextEntity {
    /// `service:checkout`.
    pub entity_id: String,
    /// When such usually follow.
    pub likely_at: EventTime,
    /// By when nine in ten follow.
    pub expected_by: EventTime,
}

/// The problem that it is one of: trouble that comes again and again.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProblemRef {
    /// `prb_` and 16 hexadecimal digits.
    #[schemars(regex(pattern = r"^prb_[0-9a-f]{16}$"))]
    pub id: String,
    /// How often it was there within `window_days`, this time counted.
    #[schemars(range(min = 1))]
    pub occurrences: u64,
    /// Days in which they were counted.
    #[schemars(range(min = 1))]
    pub window_days: u64,
    /// When it was first there.
    pub first_at: EventTime,
    /// Minutes that those before took together.
    pub minutes: u64,
    /// The change before most of them; absent when there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub change: String,
}

/// A text that tells what to do.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Article {
    /// Its name in the tenant's folder.
    pub id: String,
    /// Its headline.
    pub title: String,
    /// How well it fits, 0–1.
    #[schemars(range(min = 0, max = 1))]
    pub score: f64,
}

/// That somebody was told by a rule of escalation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// The rule's name in the catalogue.
    pub rule: String,
    /// When.
    pub at: EventTime,
    /// What `to` is: `team`, `person` or `audience`.
    pub kind: String,
    /// Who.
    pub to: String,
    /// How many times it was then by this rule.
    #[schemars(range(min = 1))]
    pub time: u64,
}
