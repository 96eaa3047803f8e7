//! What people do to a ticket is theirs, and comes back.

use bellwether_engine::incident::{IncidentStatus, Priority};
use bellwether_engine::input::{Action, TicketVerb, Voice};
use bellwether_engine::time::Span;

use super::super::mapping::ClosedWhileFiring;
use super::super::strict::Fate;
use super::super::system::{LinkKind, OWNER, PRIORITY, STATUS, SUBJECT};
use super::bench::{Bench, SETTLE, Told};

/// An incident with its ticket.
fn opened(bench: &mut Bench) -> Told {
    let told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    bench.actions.clear();
    told
}

#[test]
fn what_a_person_touched_stays_as_it_is_also_before_it_was_heard_of() {
    for heard in [true, false] {
        let mut bench = Bench::new();
        let mut told = opened(&mut bench);
        bench.system.person(0, "ana", PRIORITY, "15");
        bench.system.person(0, "ana", OWNER, "boris");
        bench.system.person(0, "ana", SUBJECT, "the till");
        bench.system.person(0, "ana", STATUS, "stalled");
        if heard {
            bench.hear();
        }
        for priority in [Priority::P1, Priority::P3] {
            bench.tell(told.next(|record| {
                record.priority = priority;
                record.title = format!("{priority}");
                record.status = IncidentStatus::Acknowledged;
            }));
            bench.settle();
        }
        let fields = [(PRIORITY, "15"), (OWNER, "boris"), (SUBJECT, "the till"), (STATUS, "stalled")];
        for (field, value) in fields {
            assert_eq!(bench.field(0, field), value, "{field}, heard: {heard}");
        }
    }
}

#[test]
fn an_edit_between_reading_and_writing_is_not_overwritten() {
    for written in [true, false] {
        let mut bench = Bench::new();
        let mut told = opened(&mut bench);
        let key = Bench::key(&told);
        bench.tell(told.next(|record| record.priority = Priority::P1));
        if written {
            assert!(bench.step(&key), "and not read back yet");
        }
        bench.system.person(0, "ana", PRIORITY, "15");
        bench.settle();
        bench.tell(told.next(|record| record.priority = Priority::P3));
        bench.settle();
        assert_eq!(bench.field(0, PRIORITY), "15", "written before: {written}");
    }
}

#[test]
fn an_edit_while_the_answer_to_a_write_is_lost_is_not_overwritten() {
    for fates in [vec![Fate::AnswerLost], vec![Fate::Well, Fate::AnswerLost], vec![Fate::RequestLost]] {
        let mut bench = Bench::new();
        let mut told = opened(&mut bench);
        bench.tell(told.next(|record| record.priority = Priority::P1));
        bench.fates(fates.clone());
        bench.settle();
        bench.system.person(0, "ana", PRIORITY, "15");
        bench.restart();
        bench.wait(SETTLE);
        bench.settle();
        bench.tell(told.next(|record| record.priority = Priority::P3));
        bench.settle();
        assert_eq!(bench.field(0, PRIORITY), "15", "{fates:?}");
    }
}

// Uninett/Argus#664: what was closed there stayed open here.
#[test]
fn the_life_of_a_ticket_comes_back_as_what_people_said() {
    let mut bench = Bench::new();
    let _told = opened(&mut bench);
    let incident = "inc_a".to_owned();
    let mut said = |field: &str, value: &str| {
        bench.system.person(0, "ana", field, value);
        bench.hear();
        std::mem::take(&mut bench.actions)
    };
    let who = "ana".to_owned();
    let acknowledge = Action::Acknowledge { incident: incident.clone(), who: who.clone(), voice: Voice::Ticket };
    let changed = |verb: TicketVerb, text: &str| Action::TicketChanged {
        incident: incident.clone(),
        system: "desk".to_owned(),
        key: "1".to_owned(),
        verb,
        who: who.clone(),
        text: text.to_owned(),
    };
    assert_eq!(said(OWNER, "boris"), [changed(TicketVerb::Reassigned, "boris")], "boris may not know yet");
    assert_eq!(said(OWNER, "ana"), [changed(TicketVerb::Reassigned, "ana"), acknowledge.clone()], "taken");
    assert_eq!(said(PRIORITY, "15"), [changed(TicketVerb::Prioritised, "15")]);
    let status = said(STATUS, "open");
    assert!(matches!(&status[0], Action::Ticket { ticket, .. } if ticket.status == "open"), "{status:?}");
    assert_eq!(status[1..], [acknowledge]);
    let resolved = said(STATUS, "resolved");
    assert_eq!(resolved[1..], [Action::Resolve { incident: incident.clone(), who: who.clone(), voice: Voice::Ticket }]);
    let waits = [changed(TicketVerb::Waiting, "stalled"), changed(TicketVerb::Reopened, "stalled")];
    assert_eq!(said(STATUS, "stalled")[1..], waits);
    assert_eq!(said(STATUS, "new")[1..], [changed(TicketVerb::Continued, "new")], "nobody is waited for any more");
    let deleted = said(STATUS, "deleted");
    assert_eq!(deleted[1..], [changed(TicketVerb::Deleted, "deleted")]);
}

/// Somebody closes the ticket, the engine resolves the incident, and the trouble goes on.
fn closed_by_ana(policy: ClosedWhileFiring) -> (Bench, Told) {
    let mut bench = Bench::with(|mapping| mapping.closed_while_firing = policy);
    let mut told = opened(&mut bench);
    bench.system.person(0, "ana", STATUS, "resolved");
    bench.hear();
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle();
    assert!(bench.tickets()[0].comments.len() <= 1);
    bench.wait(Span::from_secs(5));
    bench.tell(told.status(IncidentStatus::Open));
    bench.settle();
    assert_eq!(bench.field(0, STATUS), "resolved", "not at once: what was said may be on its way");
    bench.settle_in_time();
    (bench, told)
}

#[test]
fn a_ticket_that_was_closed_while_it_fires_is_held_and_that_is_said_once() {
    let (mut bench, mut told) = closed_by_ana(ClosedWhileFiring::Hold);
    let goes_on = |bench: &Bench| {
        bench.tickets()[0].comments.iter().filter(|(_, text)| text.contains("the trouble goes on")).count()
    };
    assert_eq!((bench.field(0, STATUS).as_str(), goes_on(&bench)), ("resolved", 1));
    bench.tell(told.next(|record| record.priority = Priority::P1));
    bench.settle_in_time();
    assert_eq!((bench.field(0, STATUS).as_str(), goes_on(&bench), bench.tickets().len()), ("resolved", 1, 1));
    bench.system.person(0, "ana", STATUS, "open");
    bench.hear();
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle();
    assert_eq!(bench.field(0, STATUS), "resolved", "open again, it is followed again");
}

#[test]
fn by_policy_it_is_opened_again_or_followed_by_another() {
    let (bench, _) = closed_by_ana(ClosedWhileFiring::Reopen);
    assert_eq!((bench.tickets().len(), bench.field(0, STATUS).as_str()), (1, "new"));
    let (mut bench, mut told) = closed_by_ana(ClosedWhileFiring::FollowUp);
    assert_eq!((bench.tickets().len(), bench.field(1, STATUS).as_str()), (2, "new"));
    assert_eq!(bench.tickets()[1].links, [(LinkKind::Follows, "1".to_owned())]);
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle();
    assert_eq!(bench.field(1, STATUS), "resolved");
}

#[test]
fn a_ticket_that_somebody_opened_again_after_the_incident_was_over_is_theirs() {
    let mut bench = Bench::new();
    let mut told = opened(&mut bench);
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle();
    bench.system.person(0, "ana", STATUS, "open");
    bench.hear();
    bench.tell(told.status(IncidentStatus::Closed));
    bench.settle();
    assert_eq!(bench.field(0, STATUS), "open");
}

#[test]
fn what_will_not_be_fixed_opens_no_ticket_for_a_time() {
    let mut bench = Bench::new();
    let told = opened(&mut bench);
    bench.system.person(0, "ana", STATUS, "rejected");
    bench.hear();
    let mut again = Told::new("b");
    again.0.dedup_key.clone_from(&told.0.dedup_key);
    bench.tell(&again);
    bench.tell_of("globex", &again);
    bench.settle();
    assert_eq!(bench.tickets().len(), 2, "another tenant's has one");
    bench.restart();
    bench.wait(Span::from_hours(6 * 24));
    bench.settle();
    assert_eq!(bench.tickets().len(), 2);
    bench.wait(Span::from_hours(25));
    bench.settle();
    assert_eq!(bench.tickets().len(), 3, "the trouble goes on after a week");
}

#[test]
fn a_ticket_that_was_merged_into_another_is_written_to_no_more() {
    let mut bench = Bench::new();
    let mut told = opened(&mut bench);
    let other = Told::new("b");
    bench.tell(&other);
    bench.settle();
    bench.system.inside().tickets[0].merged_into = Some("2".to_owned());
    let writes = bench.tickets()[1].writes;
    bench.tell(told.next(|record| record.priority = Priority::P1));
    bench.settle_in_time();
    assert_eq!(bench.tickets()[1].writes, writes, "the other is of another incident");
    assert!(bench.entry(&told).is_done());
}
