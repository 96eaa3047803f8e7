//! What the bridge does for an incident, and the public faults of others that must not be its own.

use bellwether_engine::incident::{IncidentStatus, Priority, ProbableCause, StatusReason};
use bellwether_engine::input::Action;
use bellwether_engine::time::Span;

use super::super::entry::Ended;
use super::super::step::{Ask, Next};
use super::super::strict::Fate;
use super::super::system::{KEY, LinkKind, OWNER, PRIORITY, QUEUE, STATUS, SUBJECT, SystemError};
use super::bench::{Bench, SETTLE, Told};

#[test]
fn an_incident_is_one_ticket_that_is_complete_and_read_back() {
    let mut bench = Bench::new();
    let mut told = Told::new("checkout");
    told.0.owner =
        serde_json::from_value(serde_json::json!({"team": "database", "assignee": "ana"})).expect("an owner");
    bench.tell(&told);
    bench.settle();
    assert_eq!(bench.tickets().len(), 1);
    let fields = [(SUBJECT, "checkout is slow"), (STATUS, "new"), (PRIORITY, "70"), (QUEUE, "dba"), (OWNER, "ana")];
    for (field, value) in fields {
        assert_eq!(bench.field(0, field), value, "{field}");
    }
    assert!(bench.tickets()[0].text.contains("checkout is slow") && bench.tickets()[0].text.contains("inc_checkout"));
    let asked = bench.system.inside().asked.clone();
    assert_eq!(asked, ["find acme/inc_checkout", "create acme/inc_checkout", "read 1"]);
    let [Action::Ticket { incident, ticket }] = &bench.actions[..] else { panic!("{:?}", bench.actions) };
    assert_eq!((incident.as_str(), ticket.key.as_str(), ticket.status.as_str()), ("inc_checkout", "1", "new"));
    assert_eq!(ticket.url, "https://tickets.test/1");
}

// jiralert#119: two senders race.
#[test]
fn an_intent_is_on_disk_before_it_is_sent_and_looked_up_before_anything_is_sent_again() {
    for arrived in [true, false] {
        let mut bench = Bench::new();
        let told = Told::new("a");
        bench.tell(&told);
        let key = Bench::key(&told);
        assert!(bench.step(&key), "looked up");
        let Some(Next::Ask(ask @ Ask::Create(_))) = bench.next_of(&key) else { panic!("it is made next") };
        if arrived {
            bench.send(&ask).expect("made");
        }
        bench.restart();
        bench.settle();
        let asked = bench.system.inside().asked.len();
        assert_eq!(asked, 1 + usize::from(arrived), "nothing is sent while the request may be on its way");
        bench.wait(SETTLE);
        bench.settle();
        assert_eq!(bench.tickets().len(), 1, "arrived: {arrived}");
        assert_eq!(bench.entry(&told).wanted, None);
    }
}

// jiralert#73: the key was never stored in the ticket.
#[test]
fn a_ticket_without_its_key_waits_for_a_person_and_no_second_one_is_made() {
    let mut bench = Bench::new();
    bench.system.inside().drops.push(KEY);
    let mut told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    let parked = bench.entry(&told).parked.expect("it waits for a person");
    assert!(parked.reason.contains("acme/inc_a") && parked.reason.contains("tickets retry"), "{}", parked.reason);
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle_in_time();
    assert_eq!(bench.tickets().len(), 1);
}

// alertmanager#4370: the search missed tickets in some states.
#[test]
fn a_lost_ticket_is_found_whatever_became_of_it_meanwhile() {
    let mut bench = Bench::new();
    let told = Told::new("a");
    bench.tell(&told);
    bench.fates([Fate::Well, Fate::AnswerLost]);
    bench.settle();
    bench.system.person(0, "ana", STATUS, "resolved");
    bench.wait(SETTLE);
    bench.settle();
    assert_eq!((bench.tickets().len(), bench.entry(&told).ticket), (1, Some("1".to_owned())));
    assert_eq!(bench.field(0, STATUS), "resolved", "what a person did stands");
}

// grafana/alerting#543 and alertmanager#2104: an old ticket was taken for the new one.
#[test]
fn a_new_occurrence_of_the_same_trouble_has_a_ticket_of_its_own() {
    let mut bench = Bench::new();
    let mut old = Told::new("a");
    bench.tell(&old);
    bench.settle();
    bench.tell(old.status(IncidentStatus::Resolved));
    bench.tell(old.status(IncidentStatus::Closed));
    bench.settle();
    let (comments, writes) = (bench.tickets()[0].comments.len(), bench.tickets()[0].writes);
    let mut new = Told::new("b");
    new.0.dedup_key.clone_from(&old.0.dedup_key);
    new.0.title.clone_from(&old.0.title);
    bench.tell(&new);
    bench.settle();
    bench.tell(new.status(IncidentStatus::Resolved));
    bench.settle();
    assert_eq!(bench.tickets().len(), 2);
    assert_eq!((bench.tickets()[0].comments.len(), bench.tickets()[0].writes), (comments, writes));
    assert_eq!(bench.field(1, STATUS), "resolved");
}

// alertmanager#4431, grafana/alerting#636: what came back did not open its ticket again.
#[test]
fn what_comes_back_opens_its_ticket_again_and_the_outcome_is_read() {
    let mut bench = Bench::new();
    let mut told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle();
    assert_eq!(bench.field(0, STATUS), "resolved");
    bench.tell(told.status(IncidentStatus::Open));
    bench.settle();
    assert_eq!(bench.field(0, STATUS), "new");
    let said: Vec<String> = bench.tickets()[0].comments.iter().map(|(_, text)| text.clone()).collect();
    assert!(said[0].contains("It is over") && said[1].contains("It is back"), "{said:?}");
}

// jiralert#169: a status that cannot be reached was tried for ever, or given up in silence.
#[test]
fn a_status_that_cannot_be_reached_is_said_and_shown_and_tried_with_the_next_revision() {
    let mut bench = Bench::new();
    let mut told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    bench.system.inside().unreachable.push("resolved");
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle();
    let entry = bench.entry(&told);
    assert_eq!(entry.refused.get(STATUS).map(String::as_str), Some("resolved"));
    assert_eq!(bench.tickets()[0].comments.len(), 1, "people are told in the ticket all the same");
    assert!(entry.is_done(), "and it is not tried for ever");
}

// alertmanager#3664, netdata#18179: what was filtered or muted was never resolved.
#[test]
fn no_filter_keeps_a_resolution_back() {
    let mut bench = Bench::new();
    let mut told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    bench.system.person(0, "ana", STATUS, "open");
    bench.system.person(0, "ana", OWNER, "ana");
    bench.hear();
    bench.tell(told.next(|record| {
        record.status = IncidentStatus::Resolved;
        record.priority = Priority::P5;
        record.status_reason = Some(StatusReason::AutoResolved);
    }));
    bench.settle();
    assert_eq!(bench.field(0, STATUS), "resolved");
}

// alertmanager#3639, robusta#525: keys collided across teams.
#[test]
fn incidents_of_two_tenants_have_a_ticket_each_whatever_they_share() {
    let mut bench = Bench::new();
    let told = Told::new("a");
    bench.tell_of("acme", &told);
    bench.tell_of("globex", &told);
    bench.settle();
    let per_key = bench.per_key();
    assert_eq!(per_key.len(), 2);
    assert_eq!((per_key["acme/inc_a"], per_key["globex/inc_a"]), (1, 1));
    assert_eq!((bench.field(0, QUEUE).as_str(), bench.field(1, QUEUE).as_str()), ("acme", "globex"));
}

// alertmanager#4918, signoz#12891: throttled for ever, or dropped.
#[test]
fn what_is_throttled_or_turned_away_is_tried_until_it_is_there() {
    let mut bench = Bench::new();
    let mut told = Told::new("a");
    bench.tell(&told);
    let throttled = Fate::Fails(SystemError::Throttled(Span::from_secs(7)));
    let away = Fate::Fails(SystemError::Away("nobody listens".to_owned()));
    bench.fates([throttled, away, Fate::RequestLost, Fate::Well, Fate::RequestLost, Fate::RequestLost]);
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle_in_time();
    assert_eq!((bench.tickets().len(), bench.field(0, STATUS).as_str()), (1, "resolved"));
}

#[test]
fn what_has_no_ticket_yet_comes_first() {
    let mut bench = Bench::new();
    let mut old = Told::new("a");
    bench.tell(&old);
    bench.settle();
    bench.tell(old.next(|record| record.priority = Priority::P1));
    bench.wait(Span::from_secs(1));
    let new = Told::new("b");
    bench.tell(&new);
    let (due, _) = bench.shared.tickets.lock().due(bench.now, &std::collections::BTreeSet::new(), 1);
    assert_eq!(due, [Bench::key(&new)]);
}

// JBI#1030, TA-jira#133: cut before it was rendered; no text beyond Latin-1.
#[test]
fn text_of_any_script_is_cut_after_it_was_rendered() {
    let mut bench = Bench::new();
    let mut told = Told::new("a");
    told.0.title = "שרת 🔥 ".repeat(20);
    bench.tell(&told);
    bench.settle();
    let subject = bench.field(0, SUBJECT);
    assert!(subject.len() <= 120 && subject.starts_with("שרת 🔥"), "{subject}");
    assert!(bench.entry(&told).refused.is_empty());
}

// icinga-jira#20: one alert by three ways, three tickets.
#[test]
fn what_is_told_again_changes_nothing() {
    let mut bench = Bench::new();
    let told = Told::new("a");
    for _ in 0..3 {
        bench.tell(&told);
        bench.settle();
    }
    let asked = bench.system.inside().asked.len();
    bench.tell(&told);
    bench.settle();
    assert_eq!((bench.tickets().len(), bench.system.inside().asked.len()), (1, asked));
}

// jiralert#54: what came later was not shown in the ticket.
#[test]
fn what_is_learned_later_is_in_the_ticket_and_said_once() {
    let mut bench = Bench::new();
    let mut told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    let cause: ProbableCause =
        serde_json::from_str(r#"{"rank": 1, "kind": "entity", "ref": "host:db-1", "score": 0.9}"#).expect("a cause");
    bench.tell(told.next(|record| {
        record.priority = Priority::P1;
        record.probable_causes = vec![cause];
    }));
    bench.fates([Fate::Well, Fate::AnswerLost, Fate::Well, Fate::AnswerLost]);
    bench.settle_in_time();
    assert_eq!((bench.field(0, "cause").as_str(), bench.field(0, PRIORITY).as_str()), ("host:db-1", "90"));
    let comments = bench.tickets()[0].comments.clone();
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(comments[0].1.contains("Priority P1 instead of P2") && comments[0].1.contains("host:db-1"));
}

// github-for-jira#403, JBI#1389: bots answered each other.
#[test]
fn an_equal_value_is_no_write() {
    let mut bench = Bench::new();
    let mut told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    let writes = bench.tickets()[0].writes;
    bench.tell(told.next(|record| record.alert_count = 7));
    bench.settle();
    assert_eq!(bench.tickets()[0].writes, writes);
    bench.system.person(0, "ana", STATUS, "open");
    bench.tell(told.status(IncidentStatus::Acknowledged));
    bench.settle();
    assert_eq!(bench.tickets()[0].writes, writes, "it is what it is to be");
}

#[test]
fn a_ticket_that_is_written_to_again_and_again_is_left_alone_for_a_while() {
    let mut bench = Bench::new();
    let mut told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    for turn in 0..100 {
        let priority = if turn % 2 == 0 { Priority::P1 } else { Priority::P2 };
        bench.tell(told.next(|record| record.priority = priority));
        bench.settle();
    }
    assert_eq!(bench.tickets()[0].writes, 30);
    let reason = bench.entry(&told).trouble.expect("it says why").reason;
    assert!(reason.contains("30 times"), "{reason}");
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.wait(Span::from_mins(11));
    bench.settle();
    assert_eq!(bench.field(0, STATUS), "resolved", "it goes on");
}

#[test]
fn what_went_into_another_and_what_is_under_a_major_one_is_linked_when_both_tickets_are_there() {
    let mut bench = Bench::new();
    let (mut gone, mut kept, mut major) = (Told::new("gone"), Told::new("kept"), Told::new("major"));
    bench.tell(&gone);
    bench.settle();
    bench.tell(gone.next(|record| {
        record.status = IncidentStatus::Merged;
        record.merged_into = Some("inc_kept".to_owned());
    }));
    bench.settle();
    assert_eq!(bench.field(0, STATUS), "resolved", "its ticket is closed, never deleted");
    bench.tell(kept.next(|record| record.parent_id = Some("inc_major".to_owned())));
    bench.tell(major.next(|record| drop(record.labels.insert("major.incidents".to_owned(), "1".to_owned()))));
    bench.settle_in_time();
    assert_eq!(bench.tickets()[0].comments.len(), 1, "said once");
    let links = |at: usize| bench.tickets()[at].links.clone();
    let id = |key: &str| (bench.tickets().iter().position(|held| held.key == key).expect(key) + 1).to_string();
    assert_eq!(links(0), [(LinkKind::DuplicateOf, id("acme/inc_kept"))]);
    let at = id("acme/inc_kept").parse::<usize>().expect("a number") - 1;
    assert_eq!(links(at), [(LinkKind::PartOf, id("acme/inc_major"))]);
}

#[test]
fn a_ticket_that_is_gone_is_written_to_no_more_and_not_made_again() {
    let mut bench = Bench::new();
    let mut told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    bench.fates([Fate::Fails(SystemError::Gone)]);
    bench.tell(told.status(IncidentStatus::Resolved));
    bench.settle_in_time();
    assert_eq!((bench.tickets().len(), bench.entry(&told).ended), (1, Some(Ended::Deleted)));
}

#[test]
fn a_ticket_that_is_gone_before_it_was_read_back_is_not_asked_for_again() {
    let mut bench = Bench::new();
    let told = Told::new("a");
    bench.tell(&told);
    let gone = || Fate::Fails(SystemError::Gone);
    bench.fates([Fate::Well, Fate::Well, gone(), gone(), gone()]);
    bench.settle_in_time();
    assert_eq!(bench.entry(&told).ended, Some(Ended::Deleted));
    assert_eq!(bench.system.inside().asked, ["find acme/inc_a", "create acme/inc_a", "read 1"]);
}

#[test]
fn what_was_no_incident_before_there_was_a_ticket_has_none() {
    let mut bench = Bench::new();
    let mut told = Told::new("a");
    bench.tell(told.next(|record| {
        record.status = IncidentStatus::Resolved;
        record.status_reason = Some(StatusReason::FalsePositive);
    }));
    let mut over = Told::new("b");
    bench.tell(over.status(IncidentStatus::Resolved));
    bench.settle();
    assert_eq!(bench.per_key().into_keys().collect::<Vec<_>>(), ["acme/inc_b"], "one that was, and is over, has one");
    assert_eq!(bench.field(0, STATUS), "resolved");
}

#[test]
fn without_its_memory_the_bridge_finds_its_tickets_and_leaves_what_may_be_theirs() {
    let mut bench = Bench::new();
    let mut told = Told::new("a");
    bench.tell(&told);
    bench.settle();
    bench.system.person(0, "ana", PRIORITY, "20");
    let key = Bench::key(&told);
    assert!(bench.shared.tickets.lock().forget(&key).expect("kept"));
    bench.tell(told.next(|record| record.status = IncidentStatus::Resolved));
    bench.settle();
    assert_eq!(bench.tickets().len(), 1);
    assert_eq!((bench.field(0, PRIORITY).as_str(), bench.field(0, STATUS).as_str()), ("20", "resolved"));
}

#[test]
fn a_line_of_the_memory_that_is_cut_short_or_damaged_costs_no_ticket() {
    let mut bench = Bench::new();
    let (a, b) = (Told::new("a"), Told::new("b"));
    bench.tell(&a);
    bench.settle();
    bench.tell(&b);
    bench.settle();
    let path = bench.memory();
    let whole = std::fs::read(&path).expect("reads");
    let cuts = (0..whole.len()).step_by(97);
    for cut in cuts {
        std::fs::write(&path, &whole[..cut]).expect("written");
        bench.restart();
        bench.tell(&a);
        bench.tell(&b);
        bench.settle_in_time();
        assert_eq!(bench.tickets().len(), 2, "cut at {cut}");
        std::fs::write(&path, &whole).expect("written");
    }
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&path, damaged).expect("written");
    bench.restart();
    bench.tell(&a);
    bench.tell(&b);
    bench.settle_in_time();
    assert_eq!(bench.tickets().len(), 2);
}

#[test]
fn the_memory_is_bounded_and_lets_go_of_what_is_over_first() {
    let bench = Bench::new();
    let path = bench.memory();
    let mut store = super::super::store::Store::open(&path, 40_000).expect("opens");
    let mut full = None;
    for number in 0..200 {
        let told = Told::new(&format!("n{number}"));
        let key = Bench::key(&told);
        let now = bench.now.plus(Span::from_secs(number));
        let begin = || Some(super::super::entry::Entry::new(key.clone(), "", now));
        let kept = store.change(&key, begin, |entry, _| {
            entry.file(&told.0, now);
            // Every other one is over.
            if number % 2 == 0 {
                entry.wanted = None;
            }
        });
        if let Err(error) = kept {
            full = Some(error.to_string());
            break;
        }
    }
    assert!(full.expect("there is no room for all that goes on").contains("memory of tickets is full"));
    assert!(store.entries().all(|entry| entry.wanted.is_some()), "what was over gave way");
    assert!(std::fs::metadata(&path).expect("is there").len() < 2 << 20);
}
