//! SLA clocks: by when somebody must answer and by when it must be over.

use crate::diagnose::Blast;
use crate::incident::Priority;
use crate::time::{EventTime, Span};
use crate::topology::Lookup;

/// The clocks of one incident.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SlaClock {
    /// The agreement that is strictest for this incident.
    pub(crate) name: String,
    pub(crate) respond_by: Option<EventTime>,
    pub(crate) resolve_by: Option<EventTime>,
}

/// The strictest agreement among the affected items, counted from `opened_at`.
pub(super) fn clock(blast: &Blast, lookup: &Lookup, priority: Priority, opened_at: EventTime) -> Option<SlaClock> {
    let mut names: Vec<&str> = blast
        .affected
        .keys()
        .filter_map(|id| lookup.items.get(id))
        .map(|item| item.sla.as_str())
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    let strictest = names.into_iter().filter_map(|name| lookup.slas.get(name)).min_by_key(|sla| {
        let span =
            |of: &std::collections::BTreeMap<Priority, Span>| of.get(&priority).copied().unwrap_or(Span(i64::MAX));
        (span(&sla.resolve), span(&sla.respond))
    })?;
    Some(SlaClock {
        name: strictest.name.clone(),
        respond_by: strictest.respond.get(&priority).map(|span| opened_at.plus(*span)),
        resolve_by: strictest.resolve.get(&priority).map(|span| opened_at.plus(*span)),
    })
}
