//! An incident event in one line.
//!
//! ```text
//! 02:03:41  opened    P1  acme  db-1 is slow after change CHG-1042      312 alerts
//! ```

use bellwether_engine::incident::{IncidentEvent, Verb};

use super::{priority_ink, safe, time_of_day};
use crate::term::{Ink, Term, clip, thousands};

/// How a line is laid out.
#[derive(Clone, Copy, Debug)]
pub struct LineStyle {
    /// Colours and width.
    pub term: Term,
    /// Columns for the tenant; 0 leaves it out.
    pub tenant_width: usize,
}

/// The event in one line that fits the terminal.
pub fn event_line(event: &IncidentEvent, style: LineStyle) -> String {
    let LineStyle { term, tenant_width } = style;
    let record = &event.record;
    let alerts = format!("{} alerts", thousands(record.alert_count));
    let tenant = match tenant_width {
        0 => String::new(),
        width => format!("{:<width$}  ", clip(&event.tenant, width)),
    };
    // Time, verb, priority and their gaps take 8 + 2 + 12 + 2 + 2 + 2 columns.
    let taken = 28 + tenant.chars().count() + 2 + alerts.chars().count();
    let room = term.width.saturating_sub(taken).max(20);
    let title = clip(&safe(&record.title), room);
    let verb = format!("{:<12}", event.verb.name());
    format!(
        "{}  {}  {}  {}{title:<room$}  {}",
        term.paint(Ink::Dim, &time_of_day(record.updated_at)),
        term.paint(verb_ink(event.verb), &verb),
        term.paint(priority_ink(record.priority), record.priority.name()),
        term.paint(Ink::Dim, &tenant),
        term.paint(Ink::Dim, &alerts),
    )
}

fn verb_ink(verb: Verb) -> Ink {
    match verb {
        Verb::Opened | Verb::Reopened | Verb::Escalated => Ink::Red,
        Verb::Resolved | Verb::Closed => Ink::Green,
        Verb::Acknowledged => Ink::Cyan,
        Verb::Updated | Verb::Merged | Verb::Split => Ink::Yellow,
    }
}
