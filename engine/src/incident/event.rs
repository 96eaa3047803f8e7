//! One revision of one incident, and how it is addressed on the stream.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::record::{CUT_PREFIX, IncidentRecord};

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
    /// Somebody was told by a rule of escalation.
    Escalated,
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
            Verb::Escalated => "escalated",
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
            tenant_token(&self.tenant),
            self.verb,
            self.record.priority,
            sanitise_token(service)
        )
    }

    /// The key of this incident's latest record in the bucket: `<tenant>.<id>`.
    pub fn kv_key(&self) -> String {
        format!("{}.{}", tenant_token(&self.tenant), self.record.id)
    }

    /// The record as JSON of at most [`RECORD_BYTES_MAX`] bytes: the longest lists are cut,
    /// `truncated` is set, the counts stay, and labels say how long the lists were.
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
    // Labels that say what was cut are few, and stay.
    let labels = record.labels.keys().filter(|name| !name.starts_with(CUT_PREFIX)).count();
    let lengths = [
        ("alerts", record.alerts.len()),
        ("evidence", record.evidence.len()),
        ("entities", record.entities.len()),
        ("changes", record.changes.len()),
        ("links", record.links.len()),
        ("labels", labels),
    ];
    let longest = lengths.into_iter().max_by_key(|(_, length)| *length);
    let Some((list, length)) = longest.filter(|(_, length)| *length > 0) else {
        return false;
    };
    let keep = length / 2;
    match list {
        "alerts" => record.alerts.truncate(keep),
        "evidence" => record.evidence.truncate(keep),
        "entities" => record.entities.truncate(keep),
        "changes" => record.changes.truncate(keep),
        "links" => record.links.truncate(keep),
        _ => {
            let mut kept = 0;
            record.labels.retain(|name, _| {
                kept += usize::from(!name.starts_with(CUT_PREFIX));
                kept <= keep || name.starts_with(CUT_PREFIX)
            });
        }
    }
    record.note_cut(list, length);
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

/// The subject token of a tenant, its own: of a name that [`sanitise_token`] changes, a hash follows, so
/// that `a.b` and `a-b` share neither subjects nor keys. `=` stands in no token of a plain name.
pub fn tenant_token(tenant: &str) -> String {
    let token = sanitise_token(tenant);
    match token == tenant {
        true => token,
        false => format!("{token}={:016x}", xxhash_rust::xxh3::xxh3_64(tenant.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(alerts: usize, text: &str) -> IncidentRecord {
        let at = "2026-03-01T10:00:00Z";
        let alert = |n: usize| {
            serde_json::json!({"fingerprint": format!("{n:016x}"), "source": "test", "status": "firing",
            "starts_at": at, "annotations": {"summary": text}})
        };
        let record = serde_json::json!({
            "schema_version": "1", "id": "inc_0", "dedup_key": "k", "revision": 1, "status": "open", "severity": "major",
            "priority": "P2", "title": "slow", "opened_at": at, "updated_at": at, "entities": [], "alert_count": 90,
            "alerts": (0..alerts).map(alert).collect::<Vec<_>>(), "labels": {"zone": "eu", "tenant": "acme"},
        });
        serde_json::from_value(record).expect("a record")
    }

    #[test]
    fn a_payload_that_was_cut_says_which_list_and_how_long_it_was() {
        let event = |record| IncidentEvent { tenant: "acme".into(), verb: Verb::Opened, record };
        let read = |event: &IncidentEvent| serde_json::from_slice::<IncidentRecord>(&event.payload()).expect("reads");
        let whole = event(record(40, "short"));
        assert_eq!(read(&whole), whole.record);
        let cut = read(&event(record(40, &"x".repeat(4_000))));
        assert!(cut.truncated && cut.alerts.len() < 40 && cut.alert_count == 90);
        assert_eq!((cut.labels["truncated.alerts"].as_str(), cut.labels["zone"].as_str()), ("40", "eu"));
        assert_eq!(cut.detail_ref, "kv:bellwether_incidents/acme.inc_0");
        // What the engine has cut before was longer still.
        let mut long = record(40, &"x".repeat(4_000));
        long.note_cut("alerts", 312);
        assert_eq!(read(&event(long)).labels["truncated.alerts"], "312");
    }

    #[test]
    fn a_token_holds_nothing_the_server_reads_as_syntax() {
        assert_eq!(sanitise_token("checkout.v2 >*"), "checkout-v2---");
        assert_eq!(sanitise_token(""), "none");
        assert_eq!(sanitise_token("_INBOX"), "-INBOX");
        assert_eq!(sanitise_token("ähnlich"), "-hnlich");
    }

    #[test]
    fn no_two_tenants_share_a_token() {
        let long = "x".repeat(64);
        let names = ["a.b", "a-b", "a b", "_a", "-a", "", "none", &long, &format!("{long}y")];
        let tokens: std::collections::BTreeSet<String> = names.iter().map(|name| tenant_token(name)).collect();
        assert_eq!(tokens.len(), names.len(), "{tokens:?}");
        assert_eq!(tenant_token("acme"), "acme");
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-=".contains(c);
        assert!(tokens.iter().all(|token| token.chars().all(plain)), "{tokens:?}");
    }
}
