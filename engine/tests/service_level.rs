//! Promised times over the life of an incident: told when they are at risk and when they are missed, standing while
//! somebody outside is waited for.

mod common;

use std::sync::Arc;

use bellwether_engine::EngineConfig;
use bellwether_engine::catalogue::Catalogue;
use bellwether_engine::incident::{AssignedBy, DeadlineState, IncidentEvent, Verb};
use bellwether_engine::input::{Action, Input, TicketVerb, Voice};
use bellwether_engine::signal::{AlertStatus, Severity};

use common::{alerts, at, engine, run, verbs};

/// Four hours to fix what the shop needs, one hour for the database team; ana is in the network team.
fn catalogue() -> Input {
    let json = serde_json::json!({
        "services": [{"entity": "service:shop", "owner": "database", "criticality": "high", "sla": "gold", "users": 400,
            "revenue_per_hour": 1200.0, "customers": ["retail"]}],
        "slas": [
            {"name": "gold", "respond": {"P2": "30m"}, "resolve": {"P2": "4h"}},
            {"name": "internal", "resolve": {"P2": "1h"}},
        ],
        "teams": [
            {"name": "database", "ola": "internal"},
            {"name": "network", "ola": "internal", "members": [{"name": "ana"}]},
        ],
    });
    let catalogue: Catalogue = serde_json::from_value(json).expect("a catalogue");
    assert_eq!(catalogue.check(), Ok(()));
    Input::Catalogue { tenant: "acme".into(), at: at(0), catalogue: Arc::new(catalogue) }
}

fn fires() -> Vec<Input> {
    vec![catalogue(), Input::Batch(alerts(&[(10, "Slow", "service:shop", Severity::Major, AlertStatus::Firing)]))]
}

fn tick(secs: i64) -> Input {
    Input::Tick(at(secs))
}

fn said(secs: i64, action: Action) -> Input {
    Input::Action { tenant: "acme".into(), at: at(secs), action }
}

fn ticket(secs: i64, incident: &str, verb: TicketVerb, text: &str) -> Input {
    let action = Action::TicketChanged {
        incident: incident.to_owned(),
        system: "rt".to_owned(),
        key: "7".to_owned(),
        verb,
        who: "eve".to_owned(),
        text: text.to_owned(),
    };
    said(secs, action)
}

/// How the clocks of both agreements stand.
fn stands(event: &IncidentEvent) -> [Option<DeadlineState>; 3] {
    let record = &event.record;
    let (sla, ola) = (record.sla.as_ref().expect("gold"), record.ola.as_ref());
    let state = |deadline: Option<bellwether_engine::incident::Deadline>| deadline.map(|deadline| deadline.state);
    [state(sla.respond), state(sla.resolve), state(ola.and_then(|ola| ola.resolve))]
}

#[test]
fn what_is_at_risk_is_told_before_it_is_missed_and_then_with_its_minute() {
    use DeadlineState::{AtRisk, Breached, OnTrack};
    let mut inputs = fires();
    inputs.extend((1..600).map(|minute| tick(minute * 60)));
    let events = run(&mut engine(EngineConfig::default(), 1), &inputs);
    let states: Vec<[DeadlineState; 3]> =
        events.iter().map(|event| stands(event).map(|state| state.expect("promised"))).collect();
    assert_eq!(
        states,
        [
            [OnTrack, OnTrack, OnTrack],
            [AtRisk, OnTrack, OnTrack], // 22:30 of 30 minutes
            [Breached, OnTrack, OnTrack],
            [Breached, OnTrack, AtRisk], // 45 of 60
            [Breached, OnTrack, Breached],
            [Breached, AtRisk, Breached], // three of four hours
            [Breached, Breached, Breached],
        ]
    );
    let since_opened = |event: &IncidentEvent| event.record.updated_at.0 - events[0].record.updated_at.0;
    let minutes: Vec<i64> = events.iter().map(|event| since_opened(event) / 60_000_000_000).collect();
    assert_eq!(minutes, [0, 22, 30, 45, 60, 180, 240]);
    let last = &events.last().expect("told").record;
    let by = last.sla.as_ref().and_then(|sla| sla.resolve).and_then(|deadline| deadline.by).expect("four hours");
    assert_eq!(by.0 - last.opened_at.0, 4 * 3_600_000_000_000);
    assert!(last.summary.contains("(missed)"), "{}", last.summary);
    assert_eq!(events[0].verb, Verb::Opened);
}

#[test]
fn the_clock_stands_while_somebody_outside_is_waited_for() {
    let mut inputs = fires();
    inputs.push(tick(600));
    let mut fold = engine(EngineConfig::default(), 1);
    let opened = run(&mut fold, &inputs).remove(0);
    let id = &opened.record.id;
    let waits = vec![ticket(3_600, id, TicketVerb::Waiting, "stalled"), tick(3_700)];
    let paused = run(&mut fold, &waits);
    let resolve = |event: &IncidentEvent| event.record.sla.as_ref().and_then(|sla| sla.resolve).expect("promised");
    let last = resolve(paused.last().expect("it is told"));
    assert_eq!((last.by, last.state), (None, DeadlineState::Paused));
    let goes_on = vec![ticket(3 * 3_600, id, TicketVerb::Continued, "open"), tick(3 * 3_600 + 100)];
    let last = run(&mut fold, &goes_on);
    let last = resolve(last.last().expect("it is told"));
    assert_eq!(last.by.map(|by| by.0), resolve(&opened).by.map(|by| by.0 + 2 * 3_600_000_000_000));
}

#[test]
fn who_takes_it_brings_it_to_their_team_whose_own_clock_begins_then() {
    let mut fold = engine(EngineConfig::default(), 1);
    let mut inputs = fires();
    inputs.push(tick(600));
    let opened = run(&mut fold, &inputs).remove(0).record;
    let assignment = opened.assignment.as_ref().expect("version 2");
    assert_eq!((assignment.by, assignment.candidates[0].team.as_str()), (AssignedBy::Catalogue, "database"));
    let impact = opened.business_impact.as_ref().expect("version 2");
    assert_eq!((impact.users, impact.revenue_per_hour, impact.customers.len()), (Some(400), Some(1200.0), 1));
    let (incident, who) = (opened.id.clone(), "ana".to_owned());
    let takes = vec![said(1_800, Action::Acknowledge { incident, who, voice: Voice::Ticket }), tick(1_900)];
    let events = run(&mut fold, &takes);
    // After half an hour somebody should have answered: that is at risk before.
    assert_eq!(verbs(&events), [(Verb::Updated, 2), (Verb::Acknowledged, 3)]);
    let taken = &events[1].record;
    assert_eq!(taken.acknowledged_by, "ana");
    let owner = taken.owner.as_ref().expect("an owner");
    assert_eq!((owner.team.as_str(), owner.assignee.as_str()), ("network", "ana"));
    assert!(taken.summary.contains("Team network has it (ana works on it)"), "{}", taken.summary);
    assert_eq!(taken.assignment.as_ref().map(|it| it.by), Some(AssignedBy::Person));
    let by = taken.ola.as_ref().and_then(|ola| ola.resolve).and_then(|deadline| deadline.by).expect("an hour");
    assert_eq!(by.0 - taken.updated_at.0, 3_600_000_000_000);
}

#[test]
fn the_fourth_time_it_is_a_problem_and_what_was_said_of_the_last_is_shown() {
    let mut fold = engine(EngineConfig::default(), 1);
    let mut opened = Vec::new();
    for n in 0..5_i64 {
        let begin = n * 3 * 86_400;
        let alert =
            |secs, status| Input::Batch(alerts(&[(begin + secs, "Slow", "service:shop", Severity::Major, status)]));
        let mut inputs = if n == 0 { vec![catalogue()] } else { Vec::new() };
        // A neighbourhood: what could have been in trouble, too.
        for other in 0..40 {
            let name = format!("host:{other}");
            inputs.push(Input::Batch(alerts(&[(begin + 5, "Note", &name, Severity::Info, AlertStatus::Firing)])));
        }
        inputs.extend([alert(10, AlertStatus::Firing), tick(begin + 120)]);
        let events = run(&mut fold, &inputs);
        let record = events.iter().find(|e| e.verb == Verb::Opened).map(|e| e.record.clone()).expect("it is told");
        let id = record.id.clone();
        opened.push(record);
        let over = [
            ticket(begin + 300, &id, TicketVerb::Commented, "emptied the queue"),
            alert(600, AlertStatus::Resolved),
            tick(begin + 3 * 86_400 - 60),
        ];
        run(&mut fold, &over);
    }
    let problems: Vec<Option<u64>> = opened.iter().map(|r| r.problem.as_ref().map(|p| p.occurrences)).collect();
    assert_eq!(problems, [None, None, Some(3), Some(4), Some(5)]);
    let last = opened.last().expect("five");
    assert_eq!(last.similar.first().map(|similar| similar.resolution.as_str()), Some("emptied the queue"));
    assert!(last.summary.contains("It has come 5 times in 30 days"), "{}", last.summary);
}
