//! What of the events read is handed over to a receiver that wants the newest of each incident.
//!
//! No verb keeps an older revision from being passed over. A record says how things stand: its status
//! and their times, who owns it, what it went into. So a receiver that shows how things stand has lost
//! nothing when it did not hear of `acknowledged`, or of `resolved` before `reopened`; and `merged` and
//! `closed` are the last there are. It has to go by the record, not by the verb: the first that it
//! hears of an incident may be `updated`.
//!
//! One thing does keep an older revision: an event handed over after it that names its incident, as
//! `merged` names what it went into and a related incident names the major one. Whoever links the two
//! has to have both by then.

use std::collections::HashSet;
use std::sync::Arc;

use crate::sinks::Outgoing;

/// The newest of each incident in `events`, in their order, and what is named by another before that.
pub(super) fn newest(events: Vec<Outgoing>) -> Vec<Outgoing> {
    let mut have: HashSet<(Arc<str>, String)> = HashSet::new();
    let mut kept: Vec<Outgoing> = Vec::new();
    for outgoing in events.into_iter().rev() {
        let (tenant, record) = (&outgoing.event.tenant, &outgoing.event.record);
        if have.insert((tenant.clone(), record.id.clone())) {
            for named in [&record.merged_into, &record.parent_id].into_iter().flatten() {
                have.remove(&(tenant.clone(), named.clone()));
            }
            kept.push(outgoing);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::tests::event;

    fn shown(events: &[Outgoing]) -> Vec<String> {
        events.iter().map(|outgoing| outgoing.event.key()).collect()
    }

    /// The same, naming `other`.
    fn merged_into(outgoing: &Outgoing, other: &Outgoing) -> Outgoing {
        let mut event = (*outgoing.event).clone();
        event.record.merged_into = Some(other.event.record.id.clone());
        Outgoing { event: Arc::new(event), ..outgoing.clone() }
    }

    #[test]
    fn the_newest_of_each_incident_is_handed_over_at_its_place() {
        let all = [event("a", 1, 1), event("a", 2, 1), event("b", 1, 1), event("a", 1, 2), event("a", 1, 3)];
        let wanted = [all[1].clone(), all[2].clone(), all[4].clone()];
        assert_eq!(shown(&newest(all.to_vec())), shown(&wanted));
        assert!(newest(Vec::new()).is_empty());
    }

    #[test]
    fn what_an_event_names_is_handed_over_before_it() {
        let into = [event("a", 1, 1), event("a", 1, 2), event("a", 1, 3), event("a", 1, 4)];
        let lost = merged_into(&event("a", 2, 2), &into[0]);
        // Another tenant's incident has the same number, and is another.
        let other = [event("b", 1, 1), event("b", 1, 2)];
        let all = [
            vec![event("a", 2, 1), into[0].clone(), other[0].clone(), into[1].clone()],
            vec![lost.clone(), into[2].clone(), into[3].clone(), other[1].clone()],
        ];
        let wanted = [into[1].clone(), lost, into[3].clone(), other[1].clone()];
        assert_eq!(shown(&newest(all.concat())), shown(&wanted));
    }
}
