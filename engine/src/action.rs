//! What an operator or a ticketing system says of an incident or an alert.

use serde::{Deserialize, Serialize};

use crate::incident::{StatusReason, TicketRef};
use crate::time::EventTime;

/// Who says it: the record tells by whose word an incident is acknowledged or over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Voice {
    /// A person, to us.
    #[default]
    Operator,
    /// A ticketing system: somebody said it there.
    Ticket,
}

impl Voice {
    /// Why the status is what it is.
    pub(crate) fn reason(self) -> StatusReason {
        match self {
            Voice::Operator => StatusReason::Operator,
            Voice::Ticket => StatusReason::Ticket,
        }
    }

    /// Entries of the journal leave out what they have always meant.
    fn is_operator(&self) -> bool {
        *self == Voice::Operator
    }
}

/// What can be done to a ticket beside moving it through its states.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketVerb {
    /// Somebody else has it; nobody, where the text is empty.
    Reassigned,
    /// Somebody wrote something.
    Commented,
    /// It goes on after it was closed.
    Reopened,
    /// It is more or less urgent.
    Prioritised,
    /// It is a part of another ticket.
    Merged,
    /// It belongs together with another ticket.
    Linked,
    /// It is gone.
    Deleted,
    /// Somebody outside is waited for: promised times do not pass.
    Waiting,
    /// Nobody outside is waited for any more.
    Continued,
}

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
        /// Said here or in a ticket.
        #[serde(default, skip_serializing_if = "Voice::is_operator")]
        voice: Voice,
    },
    /// It is fixed.
    Resolve {
        /// Incident id.
        incident: String,
        /// Who says so.
        who: String,
        /// Said here or in a ticket.
        #[serde(default, skip_serializing_if = "Voice::is_operator")]
        voice: Voice,
    },
    /// It is over.
    Close {
        /// Incident id.
        incident: String,
        /// Who says so.
        who: String,
        /// Said here or in a ticket.
        #[serde(default, skip_serializing_if = "Voice::is_operator")]
        voice: Voice,
    },
    /// It was no incident.
    FalsePositive {
        /// Incident id.
        incident: String,
        /// Who says so.
        who: String,
    },
    /// What an incident taught when it was called false does not hold any more.
    Retract {
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
    /// A problem is solved: it is one again when it comes back.
    Solve {
        /// The problem's id.
        problem: String,
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
    /// Somebody did something to a ticket that is not its state.
    TicketChanged {
        /// Incident id.
        incident: String,
        /// Which system.
        system: String,
        /// The ticket's key there.
        key: String,
        /// What was done.
        verb: TicketVerb,
        /// Who did it.
        who: String,
        /// To whom, how soon, what was said, which other ticket.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
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
    /// What was resolved goes on, a person says.
    Reopen {
        /// Incident id.
        incident: String,
        /// Who says so.
        who: String,
    },
}

impl Action {
    /// The ids of the incidents that have to be open for it.
    pub fn incidents(&self) -> impl Iterator<Item = &str> {
        let (incident, into) = match self {
            Action::Acknowledge { incident, .. }
            | Action::Resolve { incident, .. }
            | Action::Close { incident, .. }
            | Action::FalsePositive { incident, .. }
            | Action::Attach { incident, .. }
            | Action::Detach { incident, .. }
            | Action::Reopen { incident, .. }
            | Action::Ticket { incident, .. } => (Some(incident), None),
            Action::Merge { incident, into, .. } => (Some(incident), Some(into)),
            // What was taught outlives its incident, what the cause was is known when it is over, and a ticket
            // lives on.
            Action::Retract { .. }
            | Action::Cause { .. }
            | Action::Solve { .. }
            | Action::TicketChanged { .. }
            | Action::Silence { .. } => (None, None),
        };
        incident.into_iter().chain(into).map(String::as_str)
    }
}
