//! Each word as its action, what is refused, and what comes again.

use std::sync::Arc;

use bellwether_engine::incident::TicketRef;
use bellwether_engine::input::{Action, Input, TicketVerb, Voice};
use bellwether_engine::time::EventTime;
use proptest::prelude::*;

use super::*;
use crate::journal::receipts::{Claims, Receipts};
use crate::server::testing::{headers, post, serve};

const INCIDENT: &str = "inc_01KDV0000000000000000000AA";

fn told(path: &str, body: &str) -> Outcome {
    let headers = headers(&[("content-type", "application/json")]);
    serve(&Actions::new(Limits::default(), Arc::default()), &post(path, &headers, body.as_bytes()))
}

fn actions(outcome: &Outcome) -> Vec<Action> {
    let action = |input: &Input| match input {
        Input::Action { tenant, at, action } => {
            assert_eq!((&**tenant, *at), ("acme", EventTime::from_secs(1_000_000)));
            action.clone()
        }
        other => panic!("no action: {other:?}"),
    };
    outcome.inputs().iter().map(action).collect()
}

#[test]
fn each_kind_of_feedback_is_its_action() {
    let (incident, who) = (INCIDENT.to_owned(), "ana".to_owned());
    let (alert, into) = ("00ff00ff00ff00ff".to_owned(), "inc_2".to_owned());
    let plain = format!(r#"{{"incident":"{INCIDENT}","who":"ana"}}"#);
    let of_alert = format!(r#"{{"incident":"{INCIDENT}","who":"ana","alert":"{alert}"}}"#);
    let of_cause = format!(r#"{{"incident":"{INCIDENT}","who":"ana","cause":"host:db-1"}}"#);
    let merge = format!(r#"{{"incident":"{INCIDENT}","who":"ana","into":"inc_2"}}"#);
    for (kind, body, want) in [
        (
            "acknowledge",
            &plain,
            Action::Acknowledge { incident: incident.clone(), who: who.clone(), voice: Voice::Operator },
        ),
        ("resolve", &plain, Action::Resolve { incident: incident.clone(), who: who.clone(), voice: Voice::Operator }),
        ("close", &plain, Action::Close { incident: incident.clone(), who: who.clone(), voice: Voice::Operator }),
        ("false_positive", &plain, Action::FalsePositive { incident: incident.clone(), who: who.clone() }),
        ("reopen", &plain, Action::Reopen { incident: incident.clone(), who: who.clone() }),
        ("retract", &plain, Action::Retract { incident: incident.clone(), who: who.clone() }),
        ("attach", &of_alert, Action::Attach { incident: incident.clone(), alert: alert.clone(), who: who.clone() }),
        ("detach", &of_alert, Action::Detach { incident: incident.clone(), alert, who: who.clone() }),
        (
            "cause",
            &of_cause,
            Action::Cause { incident: incident.clone(), cause: "host:db-1".to_owned(), who: who.clone() },
        ),
        ("merge", &merge, Action::Merge { incident, into, who }),
    ] {
        let outcome = told(&format!("/feedback/{kind}"), body);
        assert_eq!((outcome.reply().status, actions(&outcome)), (202, vec![want]), "{kind}");
    }
}

#[test]
fn a_ticket_is_named_and_its_end_is_the_incidents() {
    let (incident, who) = (INCIDENT.to_owned(), "servicenow".to_owned());
    let named = |status: &str| Action::Ticket {
        incident: incident.clone(),
        ticket: TicketRef {
            system: "servicenow".to_owned(),
            key: "INC1".to_owned(),
            url: String::new(),
            status: status.to_owned(),
        },
    };
    let voice = Voice::Ticket;
    let acknowledge = Action::Acknowledge { incident: incident.clone(), who: who.clone(), voice };
    let resolve = Action::Resolve { incident: incident.clone(), who: who.clone(), voice };
    let wrong = Action::FalsePositive { incident: incident.clone(), who: who.clone() };
    let close = Action::Close { incident: incident.clone(), who: who.clone(), voice };
    let said = r#""key":"INC1""#;
    for (verb, more, want) in [
        ("created", "", vec![named("created")]),
        ("updated", r#","status":"In Progress""#, vec![named("In Progress")]),
        ("acknowledged", "", vec![named("acknowledged"), acknowledge]),
        ("resolved", "", vec![named("resolved"), resolve]),
        ("resolved", r#","resolution":"false_positive""#, vec![named("resolved"), wrong.clone()]),
        ("closed", r#","resolution":"fixed""#, vec![named("closed"), close.clone()]),
        ("closed", r#","resolution":"false_positive""#, vec![named("closed"), wrong, close]),
    ] {
        let body = format!(r#"{{"incident":"{INCIDENT}",{said}{more}}}"#);
        let outcome = told(&format!("/ticket/{verb}/servicenow"), &body);
        assert_eq!((outcome.reply().status, actions(&outcome)), (202, want), "{verb} {more}");
    }
}

#[test]
fn what_was_done_to_a_ticket_is_kept_with_who_did_it() {
    let body = format!(r#"{{"incident":"{INCIDENT}","key":"17","who":"ana","text":"boris"}}"#);
    for (verb, want) in [
        ("reassigned", TicketVerb::Reassigned),
        ("commented", TicketVerb::Commented),
        ("reopened", TicketVerb::Reopened),
        ("prioritised", TicketVerb::Prioritised),
        ("merged", TicketVerb::Merged),
        ("linked", TicketVerb::Linked),
        ("deleted", TicketVerb::Deleted),
    ] {
        let outcome = told(&format!("/ticket/{verb}/servicenow"), &body);
        let changed = Action::TicketChanged {
            incident: INCIDENT.to_owned(),
            system: "servicenow".to_owned(),
            key: "17".to_owned(),
            verb: want,
            who: "ana".to_owned(),
            text: "boris".to_owned(),
        };
        assert_eq!((outcome.reply().status, actions(&outcome)), (202, vec![changed]), "{verb}");
    }
    assert_eq!(told("/ticket/resolved/servicenow", &body).reply().status, 400, "a state has no text");
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_stored() {
    let long = "x".repeat(2_000);
    for (path, body, named) in [
        ("/feedback/praise", r#"{"incident":"i","who":"a"}"#, "known: acknowledge"),
        ("/feedback/attach", r#"{"incident":"i","who":"a"}"#, "`alert`"),
        ("/feedback/attach", r#"{"incident":"i","who":"a","alert":"17"}"#, "16 hexadecimal digits"),
        ("/feedback/resolve", r#"{"incident":"i","who":"a","alert":"00ff00ff00ff00ff"}"#, "`resolve` has none"),
        ("/feedback/merge", r#"{"incident":"i","who":"a"}"#, "`into`"),
        ("/feedback/cause", r#"{"incident":"i","who":"a"}"#, "`cause`"),
        ("/feedback/resolve", r#"{"incident":" ","who":"a"}"#, "`incident`"),
        ("/feedback/resolve", r#"{"incident":"i","who":"a\u0007"}"#, "control"),
        ("/feedback/resolve", &format!(r#"{{"incident":"i","who":"{long}"}}"#), "longer than"),
        ("/feedback/resolve", r#"{"incident":"i","whom":"a"}"#, "whom"),
        ("/feedback/resolve", "[", "EOF"),
        ("/ticket/eaten/rt", r#"{"incident":"i","key":"1"}"#, "known: created"),
        ("/ticket/created/rt", r#"{"incident":"i","key":"1","resolution":"fixed"}"#, "`resolution`"),
        ("/ticket/resolved/rt", r#"{"incident":"i","key":"1","resolution":"magic"}"#, "magic"),
    ] {
        let outcome = told(path, body);
        let reply = String::from_utf8_lossy(&outcome.reply().body).into_owned();
        assert_eq!((outcome.reply().status, outcome.inputs().len()), (400, 0), "{path} {reply}");
        assert!(reply.contains(named), "{path}: {reply}");
    }
    assert_eq!(Actions::new(Limits::default(), Arc::default()).routes().len(), 2);
}

#[test]
fn what_is_about_no_incident_is_told_so_and_not_stored() {
    let known = Arc::new(KnownIncidents::default());
    known.open("acme", INCIDENT);
    known.complete();
    let (wire, headers) = (Actions::new(Limits::default(), known), headers(&[]));
    let tell = |path: &str, body: String| {
        let outcome = serve(&wire, &post(path, &headers, body.as_bytes()));
        (outcome.reply().status, outcome.inputs().len(), outcome.refused.describe())
    };
    let lost =
        |path: &str, body: &str| assert_eq!(tell(path, body.to_owned()), (404, 0, "1 unknown_incident".to_owned()));
    assert_eq!(tell("/feedback/resolve", format!(r#"{{"incident":"{INCIDENT}","who":"ana"}}"#)).0, 202);
    lost("/feedback/resolve", r#"{"incident":"inc_gone","who":"ana"}"#);
    lost("/ticket/resolved/rt", r#"{"incident":"inc_gone","key":"17"}"#);
    lost("/feedback/merge", &format!(r#"{{"incident":"{INCIDENT}","into":"inc_gone","who":"ana"}}"#));
}

#[test]
fn what_comes_again_under_its_id_is_answered_and_not_stored() {
    let receipts = Arc::new(Receipts::default());
    let headers = headers(&[]);
    let wire = Actions::new(Limits::default(), Arc::default());
    let tell = |who: &str| {
        let claims = Claims::new(receipts.clone(), "acme", EventTime::from_secs(1));
        let body = format!(r#"{{"id":"42","incident":"i","who":"{who}"}}"#);
        let request = post("/feedback/resolve", &headers, body.as_bytes());
        let outcome = serve(&wire, &Request { claims: Some(&claims), ..request });
        claims.keep();
        (outcome.reply().status, outcome.inputs().len())
    };
    assert_eq!((tell("ana"), tell("ana")), ((202, 1), (202, 0)));
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn arbitrary_payloads_never_panic(
        kind in prop_oneof![Just("attach".to_owned()), Just("resolved".to_owned()), any::<String>()],
        body in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..200),
            any::<[String; 3]>().prop_map(|[a, b, c]| json!({"incident": a, "who": b, "alert": c}).to_string().into_bytes()),
            any::<[String; 3]>().prop_map(|[a, b, c]| json!({"incident": a, "key": b, "status": c}).to_string().into_bytes()),
        ],
    ) {
        for said in [feedback(&kind, &body), ticket(&kind, "rt", &body)].into_iter().flatten() {
            prop_assert!((1..=3).contains(&said.actions.len()));
        }
    }
}
