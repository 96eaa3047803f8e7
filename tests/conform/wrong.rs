//! Subscribers with one fault each, as they are really written, and the rule that the kit says they break.

use std::collections::BTreeMap;

use bellwether::conform::{Answer, Delivery, Held, Rule, Verdict, judge, plan};
use bellwether_engine::incident::IncidentRecord;
use serde_json::{Map, Value};

/// What a delivery is to a subscriber: its subject, and the record.
struct Seen {
    tenant: String,
    verb: String,
    record: Value,
}

impl Seen {
    fn of(delivery: &Delivery) -> Seen {
        let tenant = delivery.key().rsplitn(3, '/').nth(2).expect("a tenant").to_owned();
        let verb = delivery.subject().split('.').nth(4).expect("a verb").to_owned();
        Seen { tenant, verb, record: delivery.record() }
    }

    fn text(&self, field: &str) -> String {
        self.record[field].as_str().unwrap_or_default().to_owned()
    }

    fn revision(&self) -> u64 {
        self.record["revision"].as_u64().expect("a number")
    }
}

/// Tickets by the subscriber's own key.
type Tickets = BTreeMap<String, Held>;

/// The right way to hold a revision.
fn held(seen: &Seen) -> Held {
    let kept = ["title", "description", "merged_into", "parent_id", "resolved_at"];
    let fields: Map<String, Value> = kept.iter().map(|name| ((*name).to_owned(), seen.record[*name].clone())).collect();
    Held {
        tenant: seen.tenant.clone(),
        incident: seen.text("id"),
        revision: seen.revision(),
        status: seen.text("status"),
        acted: Some(vec![seen.revision()]),
        fields,
    }
}

fn key(seen: &Seen) -> String {
    format!("{}/{}", seen.tenant, seen.text("id"))
}

/// The right way to take a revision, under a key.
fn take_under(tickets: &mut Tickets, key: String, seen: &Seen) {
    let acted = match tickets.get(&key) {
        Some(known) if seen.revision() <= known.revision => return,
        known => known.and_then(|known| known.acted.clone()).unwrap_or_default(),
    };
    let mut now = held(seen);
    now.acted = Some(acted.into_iter().chain(now.acted.unwrap_or_default()).collect());
    tickets.insert(key, now);
}

fn take(tickets: &mut Tickets, seen: &Seen) {
    take_under(tickets, key(seen), seen);
}

fn verdict(subscriber: impl Fn(&mut Tickets, &Seen)) -> Verdict {
    let sent = plan(11, 2);
    let mut tickets = Tickets::new();
    sent.iter().for_each(|delivery| subscriber(&mut tickets, &Seen::of(delivery)));
    judge(&sent, &Answer(tickets.into_values().collect()))
}

/// A fault breaks its rule; what else it breaks by the way is said, too, and is not asserted.
#[track_caller]
fn breaks(rule: Rule, subscriber: impl Fn(&mut Tickets, &Seen)) {
    let verdict = verdict(subscriber);
    assert!(verdict.rules().contains(&rule), "{rule} is not among {:?}", verdict.rules());
}

/// A fault breaks its rule and no other.
#[track_caller]
fn breaks_only(rule: Rule, subscriber: impl Fn(&mut Tickets, &Seen)) {
    let verdict = verdict(subscriber);
    assert!(verdict.rules().iter().eq([&rule]), "{:#?}", verdict.broken);
}

#[test]
fn a_right_one_breaks_none() {
    let verdict = verdict(take);
    assert!(verdict.broken.is_empty() && verdict.incidents > 80, "{verdict:#?}");
    assert_eq!(verdict.not_judged, ["summary", "priority", "severity", "dedup_key", "acknowledged_at", "resolve_by"]);
}

#[test]
fn a_ticket_for_each_delivery() {
    breaks(Rule::Once, |tickets, seen| {
        tickets.insert(format!("{}", tickets.len()), held(seen));
    });
}

#[test]
fn a_comment_for_each_delivery() {
    breaks_only(Rule::Once, |tickets, seen| match tickets.get_mut(&key(seen)) {
        Some(known) if known.revision == seen.revision() => {
            known.acted.iter_mut().for_each(|a| a.push(seen.revision()))
        }
        _ => take(tickets, seen),
    });
}

#[test]
fn the_last_word_wins() {
    breaks(Rule::Newest, |tickets, seen| {
        tickets.insert(key(seen), held(seen));
    });
}

#[test]
fn revisions_compared_as_texts() {
    breaks(Rule::Newest, |tickets, seen| match tickets.get(&key(seen)) {
        Some(known) if known.revision.to_string() >= seen.revision().to_string() => {}
        _ => drop(tickets.insert(key(seen), held(seen))),
    });
}

#[test]
fn missing_revisions_are_waited_for() {
    breaks(Rule::Gaps, |tickets, seen| {
        if tickets.get(&key(seen)).map_or(0, |known| known.revision) + 1 == seen.revision() {
            take(tickets, seen);
        }
    });
}

#[test]
fn nothing_is_made_without_opened() {
    breaks(Rule::Gaps, |tickets, seen| {
        if seen.verb == "opened" || tickets.contains_key(&key(seen)) {
            take(tickets, seen);
        }
    });
}

#[test]
fn the_status_read_out_of_the_verb() {
    breaks(Rule::Status, |tickets, seen| {
        take(tickets, seen);
        let known = tickets.get_mut(&key(seen)).expect("it is held");
        if known.revision == seen.revision() {
            known.status = match seen.verb.as_str() {
                "opened" | "updated" | "reopened" | "split" => "open".to_owned(),
                verb => verb.to_owned(),
            };
        }
    });
}

#[test]
fn a_merge_into_what_is_not_there_yet_is_dropped() {
    breaks_only(Rule::Merged, |tickets, seen| {
        let into = seen.record["merged_into"].as_str().map(|id| format!("{}/{id}", seen.tenant));
        if into.is_none_or(|into| tickets.contains_key(&into)) {
            take(tickets, seen);
        }
    });
}

#[test]
fn the_first_parent_is_kept() {
    breaks(Rule::Parent, |tickets, seen| {
        let before = tickets.get(&key(seen)).map(|known| known.fields["parent_id"].clone());
        take(tickets, seen);
        if let Some(parent) = before.filter(|parent| !parent.is_null()) {
            tickets.get_mut(&key(seen)).expect("it is held").fields["parent_id"] = parent;
        }
    });
}

#[test]
fn what_a_part_has_left_is_closed() {
    breaks(Rule::Split, |tickets, seen| {
        take(tickets, seen);
        if seen.verb == "split" {
            tickets.get_mut(&key(seen)).expect("it is held").status = "closed".to_owned();
        }
    });
}

#[test]
fn resolved_is_the_end() {
    breaks(Rule::Reopened, |tickets, seen| {
        if tickets.get(&key(seen)).is_none_or(|known| known.status != "resolved") {
            take(tickets, seen);
        }
    });
}

#[test]
fn the_time_of_the_end_stays_when_it_is_back() {
    breaks(Rule::Reopened, |tickets, seen| {
        let before = tickets.get(&key(seen)).map(|known| known.fields["resolved_at"].clone());
        take(tickets, seen);
        if let Some(at) = before.filter(|at| !at.is_null()) {
            tickets.get_mut(&key(seen)).expect("it is held").fields["resolved_at"] = at;
        }
    });
}

#[test]
fn known_by_what_comes_again() {
    breaks(Rule::Recurrence, |tickets, seen| {
        take_under(tickets, format!("{}/{}", seen.tenant, seen.text("dedup_key")), seen);
    });
}

#[test]
fn known_by_the_id_alone() {
    breaks_only(Rule::Tenants, |tickets, seen| take_under(tickets, seen.text("id"), seen));
}

#[test]
fn a_verb_that_is_not_known_is_left_out() {
    let known = ["opened", "updated", "acknowledged", "resolved", "reopened", "merged", "split", "closed"];
    breaks_only(Rule::UnknownVerbs, |tickets, seen| {
        if known.contains(&seen.verb.as_str()) {
            take(tickets, seen);
        }
    });
}

#[test]
fn a_record_with_a_field_that_is_not_known_is_refused() {
    breaks_only(Rule::UnknownFields, |tickets, seen| {
        if serde_json::from_value::<IncidentRecord>(seen.record.clone()).is_ok() {
            take(tickets, seen);
        }
    });
}

#[test]
fn texts_trimmed_cleaned_or_cut() {
    let ways: [fn(&str) -> String; 4] = [
        |text| text.trim().to_owned(),
        |text| text.chars().filter(|c| !('\u{200b}'..='\u{202e}').contains(c)).collect(),
        |text| text.lines().next().unwrap_or_default().to_owned(),
        |text| text.chars().filter(|c| u32::from(*c) <= 0xffff).collect(),
    ];
    for way in ways {
        breaks_only(Rule::Texts, |tickets, seen| {
            let mut seen = Seen { record: seen.record.clone(), tenant: seen.tenant.clone(), verb: seen.verb.clone() };
            seen.record["title"] = way(&seen.text("title")).into();
            take(tickets, &seen);
        });
    }
    breaks_only(Rule::Texts, |tickets, seen| {
        if seen.record.to_string().len() < 32 << 10 {
            take(tickets, seen);
        }
    });
}

#[test]
fn one_version_alone() {
    for version in ["1", "2"] {
        breaks(Rule::Versions, |tickets, seen| {
            if seen.text("schema_version") == version {
                take(tickets, seen);
            }
        });
    }
}

#[test]
fn a_ticket_for_each_name() {
    breaks(Rule::NothingElse, |tickets, seen| {
        take(tickets, seen);
        let Some(parent) = seen.record["parent_id"].as_str() else { return };
        let mut made_up = held(seen);
        made_up.incident = parent.to_owned();
        tickets.entry(format!("{}/{parent}", seen.tenant)).or_insert(made_up);
    });
}
