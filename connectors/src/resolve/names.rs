//! The form of entities, and labels by their names.

use bellwether_engine::signal::LabelPairs;

/// The entity of telemetry that names none.
pub(crate) const UNKNOWN_ENTITY: &str = "unknown:unknown";

/// Longest entity name in bytes; the rest is cut. Kubernetes names end at 253.
pub(crate) const ENTITY_BYTES_MAX: usize = 256;

/// The non-empty value of label `name`, where `.` and `_` are one character.
pub(super) fn value_of<'a>(labels: LabelPairs<'a>, name: &str) -> Option<&'a str> {
    labels.iter().find(|(key, value)| !value.is_empty() && same_name(key, name)).map(|(_, value)| *value)
}

pub(super) fn same_name(a: &str, b: &str) -> bool {
    let folded = |byte: u8| if matches!(byte, b'.' | b'/') { b'_' } else { byte };
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(|(x, y)| folded(x) == folded(y))
}

/// `type:name` without control characters, cut to [`ENTITY_BYTES_MAX`].
pub(super) fn joined(kind: &str, name: &str) -> String {
    let mut entity = String::with_capacity(kind.len() + 1 + name.len());
    entity.push_str(kind);
    entity.push(':');
    for ch in name.chars() {
        if entity.len() + ch.len_utf8() > ENTITY_BYTES_MAX {
            break;
        }
        entity.push(if ch.is_control() { '_' } else { ch });
    }
    entity
}

/// The URL that `name` is, in lower case up to its path, without user, query and fragment; `None` for
/// what has neither a scheme nor a path.
pub(super) fn url_of(name: &str) -> Option<String> {
    let name = name.trim();
    if !name.contains('/') {
        return None;
    }
    let (scheme, rest) = name.split_once("://").unwrap_or(("", name));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    if address.is_empty() {
        return None;
    }
    let (scheme, address) = (scheme.to_ascii_lowercase(), address.to_ascii_lowercase());
    let gap = if scheme.is_empty() { "" } else { "://" };
    Some(format!("{scheme}{gap}{address}{}", path.trim_end_matches('/')))
}

/// `[::1]:9100` → `::1`, `db-1:9100` → `db-1`, `::1` stays.
pub(super) fn without_port(name: &str) -> &str {
    if let Some(rest) = name.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match name.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => name,
    }
}
