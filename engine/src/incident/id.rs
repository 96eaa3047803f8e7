//! Incident ids: ULIDs computed from the data instead of drawn at random.

use xxhash_rust::xxh3::xxh3_128;

use crate::time::EventTime;

/// What every incident id begins with.
const INCIDENT_ID_PREFIX: &str = "inc_";

/// Crockford's base 32 alphabet (ULID specification).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The id of the incident that tenant `tenant` opened for `first_fingerprint` at `opened_at`.
///
/// `inc_` and a ULID: 48 bits of milliseconds, so that ids sort by time, then 80 bits of
/// XXH3 over what makes the occurrence unique, so that a replay gives the same id.
pub fn incident_id(tenant: &str, first_fingerprint: u64, opened_at: EventTime) -> String {
    let mut identity = Vec::with_capacity(tenant.len() + 17);
    identity.extend_from_slice(tenant.as_bytes());
    identity.push(0xff);
    identity.extend_from_slice(&first_fingerprint.to_be_bytes());
    identity.extend_from_slice(&opened_at.0.to_be_bytes());
    let entropy = xxh3_128(&identity) & ((1u128 << 80) - 1);
    let millis = opened_at.as_millis().clamp(0, (1 << 48) - 1) as u128;
    let ulid = (millis << 80) | entropy;

    let mut id = String::with_capacity(INCIDENT_ID_PREFIX.len() + 26);
    id.push_str(INCIDENT_ID_PREFIX);
    for digit in (0..26).rev() {
        id.push(char::from(ALPHABET[((ulid >> (digit * 5)) & 31) as usize]));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_ulid_of_its_time_and_data() {
        let at = EventTime::from_millis(1_767_225_600_000);
        let id = incident_id("acme", 42, at);
        assert_eq!(id.len(), 30);
        assert_eq!(id, incident_id("acme", 42, at));
        assert_ne!(id, incident_id("beta", 42, at));
        assert_ne!(id, incident_id("acme", 43, at));
        assert!(id < incident_id("acme", 42, at.plus(crate::time::Span::from_secs(1))));
        // The ULID of 2026-01-01T00:00:00Z begins with its 48 bits of milliseconds.
        assert!(id.starts_with("inc_01KDV"), "{id}");
    }
}
