//! One revision of one incident, and how it is addressed on the stream.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::IncidentRecord;

/// Records stay below this many bytes of JSON: CloudEvents consumers need not take more.
pub const RECORD_BYTES_MAX: usize = 64 * 1024;

/// What happened to an incident; the verb in its subject and CloudEvents type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// First revision.
    Opened,
    /// The engine learned something worth telling.
    Updated,
    /// Somebody took it.
    Acknowledged,
    /// It recovered.
    Resolved,
    /// It relapsed within the reopen window.
    Reopened,
    /// It was absorbed by another incident.
    Merged,
    /// Part of it became another incident.
    Split,
    /// It is over.
    Closed,
}

impl Verb {
    /// The word in subjects.
    pub const fn name(self) -> &'static str {
        match self {
            Verb::Opened => "opened",
            Verb::Updated => "updated",
            Verb::Acknowledged => "acknowledged",
            Verb::Resolved => "resolved",
            Verb::Reopened => "reopened",
            Verb::Merged => "merged",
            Verb::Split => "split",
            Verb::Closed => "closed",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One revision of one incident.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct IncidentEvent {
    /// Whose it is.
    pub tenant: Arc<str>,
    /// What happened.
    pub verb: Verb,
    /// The incident after it happened.
    pub record: IncidentRecord,
}

impl IncidentEvent {
    /// `<tenant>/<id>/<revision>`: the idempotency key, also `Nats-Msg-Id` and the CloudEvents id.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.tenant, self.record.id, self.record.revision)
    }

    /// `bellwether.v1.<tenant>.incident.<verb>.<priority>.<service>`.
    pub fn subject(&self) -> String {
        let service = self
            .record
            .primary_entity
            .as_ref()
            .map_or("none", |e| e.id.split_once(':').map_or(e.id.as_str(), |(_, name)| name));
        format!(
            "bellwether.v1.{}.incident.{}.{}.{}",
            sanitise_token(&self.tenant),
            self.verb,
            self.record.priority,
            sanitise_token(service)
        )
    }

    /// The key of this incident's latest record in the bucket: `<tenant>.<id>`.
    pub fn kv_key(&self) -> String {
        format!("{}.{}", sanitise_token(&self.tenant), self.record.id)
    }

    /// The record as JSON of at most [`RECORD_BYTES_MAX`] bytes: the longest lists are cut,
    /// `truncated` is set and the counts stay.
    pub fn payload(&self) -> Vec<u8> {
        let whole = to_json(&self.record);
        if whole.len() < RECORD_BYTES_MAX {
            return whole;
        }
        let mut record = self.record.clone();
        record.truncated = true;
        record.detail_ref = format!("kv:bellwether_incidents/{}", self.kv_key());
        loop {
            if !cut_once(&mut record) {
                // Every list is empty: only the texts are left, which have limits of their own.
                record.description.clear();
                return to_json(&record);
            }
            let json = to_json(&record);
            if json.len() < RECORD_BYTES_MAX {
                return json;
            }
        }
    }
}

fn to_json(record: &IncidentRecord) -> Vec<u8> {
    serde_json::to_vec(record).expect("a record has string keys and finite numbers or null")
}

/// Halves the longest of the record's lists; false when all are empty.
fn cut_once(record: &mut IncidentRecord) -> bool {
    let lengths = [
        record.alerts.len(),
        record.evidence.len(),
        record.entities.len(),
        record.changes.len(),
        record.links.len(),
        record.labels.len(),
    ];
    let longest = lengths.iter().enumerate().max_by_key(|(_, length)| **length);
    let Some((which, &length)) = longest.filter(|(_, length)| **length > 0) else {
        return false;
    };
    let keep = length / 2;
    match which {
        0 => record.alerts.truncate(keep),
        1 => record.evidence.truncate(keep),
        2 => record.entities.truncate(keep),
        3 => record.changes.truncate(keep),
        4 => record.links.truncate(keep),
        _ => {
            while record.labels.len() > keep {
                record.labels.pop_last();
            }
        }
    }
    true
}

/// A NATS subject token: every character outside `[A-Za-z0-9_-]` becomes `-`; at most 64
/// characters, never empty, and never beginning with `_`, which the server reserves.
pub fn sanitise_token(text: &str) -> String {
    let mut token: String = text
        .chars()
        .take(64)
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '-' })
        .collect();
    if token.is_empty() {
        token.push_str("none");
    }
    if token.starts_with('_') {
        token.replace_range(0..1, "-");
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_nothing_the_server_reads_as_syntax() {
        assert_eq!(sanitise_token("checkout.v2 >*"), "checkout-v2---");
        assert_eq!(sanitise_token(""), "none");
        assert_eq!(sanitise_token("_INBOX"), "-INBOX");
        assert_eq!(sanitise_token("ähnlich"), "-hnlich");
    }
}
