//! What an operator or a ticketing system says of an incident or an alert.

use serde::{Deserialize, Serialize};

use crate::incident::TicketRef;
use crate::time::EventTime;

/// What an operator or a ticketing system says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Somebody takes the incident.
    Acknowledge {
        /// Incident id.
        incident: String,
        /// Who.
        who: String,
    },
    /// It is fixed.
    Resolve {
        /// Incident id.
        incident: String,
        /// Who says so.
        who: String,
    },
    /// It is over.
    Close {
        /// Incident id.
        incident: String,
        /// Who says so.
        who: String,
    },
    /// It was no incident.
    FalsePositive {
        /// Incident id.
        incident: String,
        /// Who says so.
        who: String,
    },
    /// An alert belongs to this incident, wherever it is now.
    Attach {
        /// Incident id.
        incident: String,
        /// The alert's fingerprint, 16 hexadecimal digits.
        alert: String,
        /// Who says so.
        who: String,
    },
    /// An alert does not belong to this incident: it becomes one of its own.
    Detach {
        /// Incident id.
        incident: String,
        /// The alert's fingerprint, 16 hexadecimal digits.
        alert: String,
        /// Who says so.
        who: String,
    },
    /// Two incidents are one.
    Merge {
        /// The incident that ends.
        incident: String,
        /// The one that goes on with its alerts.
        into: String,
        /// Who says so.
        who: String,
    },
    /// What the cause turned out to be: a label to judge the engine by, which changes nothing.
    Cause {
        /// Incident id.
        incident: String,
        /// The entity, `type:name`, or the change, as records name it.
        cause: String,
        /// Who says so.
        who: String,
    },
    /// A bridge opened or changed a ticket.
    Ticket {
        /// Incident id.
        incident: String,
        /// The ticket and its state.
        ticket: TicketRef,
    },
    /// Alerts that match are expected until then.
    Silence {
        /// Id of the silence; a second one with the same id replaces the first.
        id: String,
        /// SQL expression over alert columns.
        matching: String,
        /// From when.
        from: EventTime,
        /// Until when.
        until: EventTime,
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
}
