//! What an operator or a ticketing system says: acknowledgements, tickets, verdicts.

use super::desk::Desk;
use super::feedback::{attach, detach, merge_as_told};
use super::incident::State;
use super::life::resolve;
use super::step::Step;
use crate::action::Action;
use crate::incident::{Owner, StatusReason, TicketRef, Verb};

/// Obeys. Silences are the business of `suppress`, which does not pass them on.
pub(super) fn act(desk: &mut Desk<'_, '_>, action: Action) {
    match action {
        Action::Silence { .. } => {}
        Action::Acknowledge { incident, who } => acknowledge(desk, &incident, &who),
        Action::Resolve { incident, .. } => resolve_active(desk, &incident, StatusReason::Operator),
        Action::FalsePositive { incident, .. } => resolve_active(desk, &incident, StatusReason::FalsePositive),
        Action::Close { incident, .. } => {
            if let Some(number) = desk.named(&incident) {
                if desk.is_active(number) {
                    resolve(desk, number, StatusReason::Operator);
                }
                desk.tell(number, Verb::Closed);
            }
        }
        Action::Attach { incident, alert, .. } => attach(desk, &incident, &alert),
        Action::Detach { incident, alert, .. } => detach(desk, &incident, &alert),
        Action::Merge { incident, into, .. } => merge_as_told(desk, &incident, &into),
        // It stays in the journal; what is not known is counted as with any word.
        Action::Cause { incident, .. } => _ = desk.named(&incident),
        Action::Ticket { incident, ticket } => link(desk, &incident, ticket),
    }
}

fn acknowledge(desk: &mut Desk<'_, '_>, id: &str, who: &str) {
    let now = desk.now();
    let Some(number) = desk.named(id) else {
        return;
    };
    let Some(incident) = desk.ledger.get_mut(number).filter(|incident| incident.state == State::Open) else {
        return;
    };
    incident.state = State::Acknowledged;
    incident.reason = StatusReason::Operator;
    incident.acknowledged_at = Some(now);
    who.clone_into(&mut incident.acknowledged_by);
    take_over(&mut incident.owner, who);
    desk.tell(number, Verb::Acknowledged);
    desk.then(Step::Plan(number));
}

fn take_over(owner: &mut Option<Owner>, who: &str) {
    owner.get_or_insert_default().assignee = who.to_owned();
}

fn resolve_active(desk: &mut Desk<'_, '_>, id: &str, reason: StatusReason) {
    if let Some(number) = desk.named(id).filter(|number| desk.is_active(*number)) {
        resolve(desk, number, reason);
    }
}

/// A ticket was opened for an incident, or has changed.
fn link(desk: &mut Desk<'_, '_>, id: &str, ticket: TicketRef) {
    let Some(number) = desk.named(id) else {
        return;
    };
    if let Some(incident) = desk.ledger.get_mut(number) {
        let same = |known: &&mut TicketRef| known.system == ticket.system && known.key == ticket.key;
        match incident.tickets.iter_mut().find(same) {
            Some(known) => *known = ticket,
            None => incident.tickets.push(ticket),
        }
    }
    desk.look_again(number);
}
