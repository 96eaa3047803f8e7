//! The closed vocabularies of signals: severity, alert status, relation.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::levels::log_severity;

/// How bad a tool says it is; technical, apart from an incident's priority.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// May become a problem.
    #[default]
    Warning,
    /// A small problem.
    Minor,
    /// A problem users can feel.
    Major,
    /// A problem users cannot live with.
    Critical,
}

impl Severity {
    /// Every severity, mildest first.
    pub const ALL: [Severity; 5] =
        [Severity::Info, Severity::Warning, Severity::Minor, Severity::Major, Severity::Critical];

    /// The word in batches and records.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Minor => "minor",
            Severity::Major => "major",
            Severity::Critical => "critical",
        }
    }

    /// The OpenTelemetry severity number of this severity (INFO 9, WARN 13, ERROR 17, FATAL 21).
    pub const fn number(self) -> u8 {
        match self {
            Severity::Info => 9,
            Severity::Warning => 13,
            Severity::Minor => 15,
            Severity::Major => 17,
            Severity::Critical => 21,
        }
    }

    /// Reads the words monitoring tools use (`page`, `error`, `disaster`, `P2`, `high`, …), and the
    /// levels of logs in all their spellings.
    /// Unknown words are `None`: the caller decides on a default and counts it.
    pub fn read(text: &str) -> Option<Severity> {
        let lower = text.trim().to_ascii_lowercase();
        Some(match lower.as_str() {
            "critical" | "crit" | "fatal" | "emergency" | "emerg" | "alert" | "disaster" | "page" | "p1" | "sev1"
            | "down" | "5" => Severity::Critical,
            "major" | "error" | "err" | "high" | "p2" | "sev2" | "unreachable" | "4" => Severity::Major,
            "minor" | "average" | "medium" | "p3" | "sev3" | "3" => Severity::Minor,
            "warning" | "warn" | "low" | "p4" | "sev4" | "unknown" | "2" => Severity::Warning,
            "info" | "informational" | "information" | "notice" | "debug" | "none" | "ok" | "p5" | "sev5"
            | "not classified" | "0" | "1" => Severity::Info,
            // Other digits have no common meaning among monitoring tools.
            other if other.starts_with(|c: char| c.is_ascii_digit()) => return None,
            level => match log_severity(level) {
                0 => return None,
                21.. => Severity::Critical,
                17..=20 => Severity::Major,
                13..=16 => Severity::Warning,
                _ => Severity::Info,
            },
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Severity {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Severity, WordError> {
        Severity::ALL
            .into_iter()
            .find(|s| s.name() == text)
            .ok_or_else(|| WordError::new("severity", text, "info, warning, minor, major, critical"))
    }
}

/// Whether an alert fires or has recovered. Firing sorts first: of two rows at one instant
/// the recovery is the later word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    /// The condition holds.
    Firing,
    /// The condition has ended.
    Resolved,
}

impl AlertStatus {
    /// The word in batches and records.
    pub const fn name(self) -> &'static str {
        match self {
            AlertStatus::Firing => "firing",
            AlertStatus::Resolved => "resolved",
        }
    }
}

impl FromStr for AlertStatus {
    type Err = WordError;

    fn from_str(text: &str) -> Result<AlertStatus, WordError> {
        match text {
            "firing" => Ok(AlertStatus::Firing),
            "resolved" => Ok(AlertStatus::Resolved),
            _ => Err(WordError::new("status", text, "firing, resolved")),
        }
    }
}

/// What one entity is to another; read as `from relation to`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// `from` sends requests to `to` and needs its answers.
    Calls,
    /// `from` runs on `to`: a service on a host, a pod on a node.
    RunsOn,
    /// A cable or a link: a host to a switch, a switch to a router.
    ConnectsTo,
    /// `from` is a part of `to`: a service of a business service, a cell of a line.
    PartOf,
    /// `from` is owned by team `to`.
    OwnedBy,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Relation; 5] =
        [Relation::Calls, Relation::RunsOn, Relation::ConnectsTo, Relation::PartOf, Relation::OwnedBy];

    /// The word in batches.
    pub const fn name(self) -> &'static str {
        match self {
            Relation::Calls => "calls",
            Relation::RunsOn => "runs_on",
            Relation::ConnectsTo => "connects_to",
            Relation::PartOf => "part_of",
            Relation::OwnedBy => "owned_by",
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Relation {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Relation, WordError> {
        Relation::ALL
            .into_iter()
            .find(|r| r.name() == text)
            .ok_or_else(|| WordError::new("relation", text, "calls, runs_on, connects_to, part_of, owned_by"))
    }
}

/// A word that is not in its vocabulary.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown {what} `{text}`, known: {known}")]
pub struct WordError {
    what: &'static str,
    text: String,
    known: &'static str,
}

impl WordError {
    fn new(what: &'static str, text: &str, known: &'static str) -> WordError {
        WordError { what, text: text.chars().take(32).collect(), known }
    }
}
