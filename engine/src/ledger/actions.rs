//! What an operator or a ticketing system says: acknowledgements, tickets, verdicts.

use super::budget::Worth;
use super::desk::Desk;
use super::feedback::{attach, detach, merge_as_told};
use super::incident::{Incident, State};
use super::life::{reopen, resolve};
use super::step::Step;
use crate::action::{Action, TicketVerb};
use crate::enrich::{clip, owner_of};
use crate::incident::{AssignedBy, StatusReason, TicketRef, Verb};
use crate::topology::Lookup;
use crate::turn::Item;

/// Longest text of what fixed an incident, in characters, as the record has it.
const REMARK_CHARS_MAX: usize = 512;

/// Obeys. Silences are the business of `suppress`, which does not pass them on.
pub(super) fn act(desk: &mut Desk<'_, '_>, action: Action) {
    match action {
        Action::Silence { .. } => {}
        Action::Acknowledge { incident, who, voice } => acknowledge(desk, &incident, &who, voice.reason()),
        Action::Resolve { incident, voice, .. } => {
            if let Some(number) = desk.named(&incident).filter(|number| desk.is_active(*number)) {
                desk.ledger.budget.note_acted(number, desk.turn.now);
                resolve(desk, number, voice.reason());
            }
        }
        Action::FalsePositive { incident, who } => false_positive(desk, &incident, &who),
        Action::Retract { incident, .. } => retract(desk, &incident),
        Action::Reopen { incident, .. } => go_on(desk, &incident),
        Action::Close { incident, voice, .. } => {
            if let Some(number) = desk.named(&incident) {
                if desk.is_active(number) {
                    desk.ledger.budget.note_acted(number, desk.turn.now);
                    resolve(desk, number, voice.reason());
                }
                desk.tell(number, Verb::Closed);
            }
        }
        Action::Attach { incident, alert, .. } => attach(desk, &incident, &alert),
        Action::Detach { incident, alert, .. } => detach(desk, &incident, &alert),
        Action::Merge { incident, into, .. } => merge_as_told(desk, &incident, &into),
        // It stays in the journal, for who learns from it; the incident may long be over.
        Action::Cause { .. } => {}
        Action::Solve { problem, .. } => desk.turn.run(Item::Solved(problem)),
        Action::TicketChanged { incident, verb, text, .. } => match verb {
            TicketVerb::Reassigned => reassign(desk, &incident, text),
            TicketVerb::Commented => remark(desk, &incident, &text),
            TicketVerb::Waiting => wait(desk, &incident, true),
            TicketVerb::Continued => wait(desk, &incident, false),
            TicketVerb::Reopened
            | TicketVerb::Prioritised
            | TicketVerb::Merged
            | TicketVerb::Linked
            | TicketVerb::Deleted => {}
        },
        Action::Ticket { incident, ticket } => link(desk, &incident, ticket),
    }
}

fn acknowledge(desk: &mut Desk<'_, '_>, id: &str, who: &str, reason: StatusReason) {
    let now = desk.now();
    let Some(number) = desk.named(id) else {
        return;
    };
    let Some(incident) = desk.ledger.get_mut(number).filter(|incident| incident.state == State::Open) else {
        return;
    };
    incident.state = State::Acknowledged;
    incident.reason = reason;
    incident.acknowledged_at = Some(now);
    who.clone_into(&mut incident.acknowledged_by);
    hand_over(incident, who, &desk.estate.lookup);
    desk.ledger.budget.note_acted(number, now);
    desk.tell(number, Verb::Acknowledged);
    desk.then(Step::Plan(number));
}

/// A person says that what was resolved goes on. Where no alert of it fires it ends as any other does, when it has been
/// quiet for long enough from now.
fn go_on(desk: &mut Desk<'_, '_>, id: &str) {
    let now = desk.now();
    let Some(number) = desk.named(id) else {
        return;
    };
    let Some(incident) = desk.ledger.get_mut(number).filter(|incident| incident.state == State::Resolved) else {
        return;
    };
    incident.last_news = now;
    if incident.live.is_empty() {
        incident.quiet_since = Some(now);
    }
    reopen(desk, number);
    if let Some(incident) = desk.ledger.get_mut(number) {
        incident.reason = StatusReason::Operator;
    }
}

/// Somebody else has the ticket: the record names who works on it. An incident that is over keeps who had it.
fn reassign(desk: &mut Desk<'_, '_>, id: &str, who: String) {
    let Some(number) = desk.ledger.of_id(id).filter(|number| desk.is_active(*number)) else {
        return;
    };
    if let Some(incident) = desk.ledger.get_mut(number) {
        hand_over(incident, &who, &desk.estate.lookup);
    }
    desk.look_again(number);
}

/// A person has it from now on, and so has their team, where the catalogue knows it.
fn hand_over(incident: &mut Incident, who: &str, lookup: &Lookup) {
    if let Some(team) = lookup.team_of(who)
        && incident.owner.as_ref().is_none_or(|owner| owner.team != team.name)
    {
        incident.owner = Some(owner_of(&team.name, lookup));
    }
    incident.owner.get_or_insert_default().assignee = who.to_owned();
    incident.assigned_by = AssignedBy::Person;
}

/// Somebody wrote something: what is said last of an incident is what fixed it.
fn remark(desk: &mut Desk<'_, '_>, id: &str, text: &str) {
    let number = desk.ledger.of_id(id);
    if let Some(incident) = number.and_then(|number| desk.ledger.get_mut(number)) {
        incident.remark = clip(text, REMARK_CHARS_MAX);
    }
}

/// Somebody outside is waited for, or not any more: the clocks stand or go on.
fn wait(desk: &mut Desk<'_, '_>, id: &str, waits: bool) {
    let Some(number) = desk.ledger.of_id(id).filter(|number| desk.is_active(*number)) else {
        return;
    };
    let now = desk.now();
    if let Some(incident) = desk.ledger.get_mut(number) {
        incident.pause(waits, now);
    }
    desk.look_again(number);
}

/// It was no incident: it is over, and so is what it was made of, also where it had ended by itself before.
fn false_positive(desk: &mut Desk<'_, '_>, id: &str, who: &str) {
    let (Some(number), now) = (desk.named(id), desk.now()) else {
        return;
    };
    let Desk { ledger, alerts, estate, .. } = desk;
    let Some(incident) = ledger.get(number) else {
        return;
    };
    let members: Vec<_> = incident.members.iter().filter_map(|alert| alerts.get(*alert)).collect();
    ledger.lessons.teach(id, who, now, members.into_iter(), (&estate.names, &estate.entities));
    ledger.budget.judge(number, Worth::False);
    if desk.is_active(number) {
        resolve(desk, number, StatusReason::FalsePositive);
    } else if let Some(incident) = desk.ledger.get_mut(number) {
        incident.reason = StatusReason::FalsePositive;
        desk.tell(number, Verb::Updated);
    }
}

/// What an incident taught does not hold any more: what was kept back is weighed again.
fn retract(desk: &mut Desk<'_, '_>, id: &str) {
    if desk.ledger.lessons.retract(id) == 0 {
        desk.stats.actions_unknown += 1;
        return;
    }
    let waiting: Vec<u64> = desk.ledger.candidates().collect();
    waiting.into_iter().for_each(|number| desk.wake(number, desk.now()));
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
