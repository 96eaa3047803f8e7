//! An event as a message: CloudEvents in binary mode, and its key for the server to know it by.

use async_nats::HeaderMap;
use bellwether_engine::incident::IncidentEvent;

use super::INCIDENT_STREAM;

/// Bucket key and revision of a message on the stream.
pub(super) fn identity(message: &async_nats::Message) -> Option<(String, u64)> {
    let id = message.headers.as_ref()?.get(async_nats::header::NATS_MESSAGE_ID)?.as_str();
    let (rest, revision) = id.rsplit_once('/')?;
    let (tenant, incident) = rest.rsplit_once('/')?;
    let tenant = bellwether_engine::incident::tenant_token(tenant);
    Some((format!("{tenant}.{incident}"), revision.parse().ok()?))
}

/// CloudEvents attributes and what JetStream checks.
pub fn headers(event: &IncidentEvent) -> HeaderMap {
    let record = &event.record;
    let mut headers = HeaderMap::new();
    let attributes = [
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", event.key()),
        ("ce-source", format!("bellwether/{}", event.tenant)),
        ("ce-type", format!("bellwether.incident.{}.v1", event.verb)),
        ("ce-subject", record.id.clone()),
        ("ce-time", record.updated_at.to_string()),
        ("ce-datacontenttype", "application/json".to_owned()),
        ("ce-severitytext", record.severity.name().to_owned()),
        ("ce-severitynumber", record.severity.number().to_string()),
    ];
    for (name, value) in attributes {
        headers.insert(name, percent_encoded(&value).as_str());
    }
    headers.insert(async_nats::header::NATS_MESSAGE_ID, event.key().as_str());
    headers.insert(async_nats::header::NATS_EXPECTED_STREAM, INCIDENT_STREAM);
    headers
}

/// A header value as the CloudEvents binding wants it: space, `"`, `%` and everything that is
/// not printable ASCII percent-encoded.
fn percent_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' => out.push_str(&format!("%{byte:02X}")),
            0x21..=0x7e => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
