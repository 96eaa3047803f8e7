//! What an operator or a ticketing system says: silences, acknowledgements, tickets, verdicts.

use super::Tenant;
use crate::engine::Compiled;
use crate::incident::{IncidentEvent, Owner, StatusReason, Verb};
use crate::input::Action;
use crate::ledger::State;
use crate::time::EventTime;

impl Tenant {
    /// An operator or a ticketing system says something.
    pub(super) fn act(&mut self, action: Action, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        match action {
            Action::Silence { id, matching, from, until, who, why } => {
                self.silences.set(&id, &matching, (from, until), &who, &why);
                self.silence_began(now, compiled, out);
            }
            Action::Acknowledge { incident, who } => {
                if let Some(number) = self.known(&incident, State::Open) {
                    if let Some(incident) = self.ledger.get_mut(number) {
                        incident.state = State::Acknowledged;
                        incident.reason = StatusReason::Operator;
                        incident.acknowledged_at = Some(now);
                        incident.acknowledged_by.clone_from(&who);
                        take_over(&mut incident.owner, &who);
                    }
                    self.tell(number, Verb::Acknowledged, now, compiled, out);
                    self.plan(number, now, compiled);
                }
            }
            Action::Resolve { incident, .. } => self.act_resolve(&incident, StatusReason::Operator, now, compiled, out),
            Action::FalsePositive { incident, .. } => {
                self.act_resolve(&incident, StatusReason::FalsePositive, now, compiled, out);
            }
            Action::Close { incident, .. } => {
                if let Some(number) = self.named(&incident) {
                    if self.ledger.get(number).is_some_and(|i| i.is_active()) {
                        self.resolve(number, StatusReason::Operator, now, compiled, out);
                    }
                    self.close(number, now, compiled, out);
                }
            }
            Action::Attach { incident, alert, .. } => self.attach(&incident, &alert, now, compiled, out),
            Action::Detach { incident, alert, .. } => self.detach(&incident, &alert, now, compiled, out),
            Action::Merge { incident, into, .. } => self.merge_as_told(&incident, &into, now, compiled, out),
            Action::Ticket { incident, ticket } => {
                let Some(number) = self.named(&incident) else {
                    return;
                };
                if let Some(incident) = self.ledger.get_mut(number) {
                    let same = |t: &&mut crate::incident::TicketRef| t.system == ticket.system && t.key == ticket.key;
                    match incident.tickets.iter_mut().find(same) {
                        Some(known) => *known = ticket,
                        None => incident.tickets.push(ticket),
                    }
                    incident.dirty = true;
                }
                self.wake_incident(number, now);
            }
        }
    }

    fn act_resolve(
        &mut self,
        id: &str,
        reason: StatusReason,
        now: EventTime,
        compiled: &Compiled,
        out: &mut Vec<IncidentEvent>,
    ) {
        if let Some(number) = self.named(id)
            && self.ledger.get(number).is_some_and(|i| i.is_active())
        {
            self.resolve(number, reason, now, compiled, out);
        }
    }

    /// A new silence may cover what fires now.
    fn silence_began(&mut self, now: EventTime, compiled: &Compiled, out: &mut Vec<IncidentEvent>) {
        let mut firing: Vec<u64> = self.alerts.iter().filter(|a| a.is_firing()).map(|a| a.fingerprint).collect();
        firing.sort_unstable();
        for fingerprint in firing {
            self.consider(fingerprint, now, compiled, out);
        }
    }

    pub(super) fn named(&mut self, id: &str) -> Option<u64> {
        let number = self.ledger.of_id(id);
        if number.is_none() {
            self.stats.actions_unknown += 1;
        }
        number
    }

    fn known(&mut self, id: &str, state: State) -> Option<u64> {
        let number = self.named(id)?;
        (self.ledger.get(number)?.state == state).then_some(number)
    }
}

fn take_over(owner: &mut Option<Owner>, who: &str) {
    owner.get_or_insert_default().assignee = who.to_owned();
}
