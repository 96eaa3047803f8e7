//! An incident of the demo as a ticket: as it would stand in Request Tracker with the mapping of
//! `examples/request-tracker`.

use anyhow::{Context as _, Result, bail};
use bellwether_connectors::bridges::system::{OWNER, PRIORITY, QUEUE, STATUS, SUBJECT};
use bellwether_connectors::bridges::{BridgeConfig, TenantMapping, drafted};
use bellwether_engine::incident::IncidentEvent;

use crate::config::{self, Config};
use crate::term::{Ink, Term, wrap};

/// The mapping that is shown.
const EXAMPLE: &str = include_str!("../../examples/request-tracker/bridges.yaml");
/// Width of a field's name.
const LABEL_WIDTH: usize = 12;

/// The ticket of `event`, whole.
///
/// # Errors
/// When the example does not read, or the record does not go through it: the tests have both.
pub(super) fn ticket(event: &IncidentEvent, term: &Term) -> Result<String> {
    let Config { mut bridges, .. } = config::parse("examples/request-tracker/bridges.yaml", EXAMPLE.to_owned())?;
    let bridge = bridges.first_mut().context("the example has no bridge")?;
    let BridgeConfig::RequestTracker(tracker) = &mut *bridge else { bail!("the example is of another system") };
    // The story's tenants are others than the example's.
    let queue =
        TenantMapping { queue: event.tenant.to_string(), teams: Default::default(), people: Default::default() };
    tracker.mapping.tenants.entry(event.tenant.to_string()).or_insert(queue);
    let (mut fields, text) = drafted(bridge, &event.tenant, &event.record)?;
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        let name = term.paint(Ink::Dim, &format!("  {name:<LABEL_WIDTH$}"));
        let value = if value.is_empty() { "nobody yet" } else { value };
        out.push_str(&format!("{name}{}\n", wrap(value, term.width, LABEL_WIDTH + 2, false)));
    };
    let first = [SUBJECT, QUEUE, STATUS, PRIORITY, OWNER].map(|name| (name, fields.remove(name).unwrap_or_default()));
    first.iter().for_each(|(name, value)| line(name, value));
    fields.iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| line(name, value));
    out.push('\n');
    for of_text in text.lines() {
        out.push_str(&format!("  {}\n", term.paint(Ink::Dim, "│ ") + &wrap(of_text, term.width, 4, false)));
    }
    Ok(out)
}
