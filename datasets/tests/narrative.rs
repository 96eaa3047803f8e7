//! Every clause of a narrative says what a field of its record says.
//!
//! The stories and a few random estates are played, and each narrative is read clause by clause
//! against the clauses there are; what a clause names must be the value of a field of the same
//! record. A clause that no pattern knows, or one with another value, fails.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use bellwether_datasets::simulation::{Plan, PlanParams, Simulation};
use bellwether_datasets::story::STORIES;
use bellwether_engine::incident::{Deadline, IncidentRecord, ServiceLevel};
use bellwether_engine::time::EventTime;
use bellwether_engine::{Engine, EngineConfig};

/// What a narrative may say. In braces stands which field a value must come from.
const CLAUSES: &[&str] = &[
    "At {started} {entity} was the first to show trouble ({says})",
    ", then {then} within {spread} ({alerts} alerts so far)",
    ", then {then} within {spread} ({alerts} alerts in all)",
    ", nearly all with {shared}",
    "; it was over at {resolved}",
    "The likely cause is {subject} ({sure} % sure)",
    "The cause is unknown; the best guess is {subject} ({sure} % sure)",
    "The cause is unknown",
    "; one other incident is related to it",
    "; it is a major incident over {children} others",
    "; it is under major incident {parent}",
    "It hurts {services}",
    "It hurt {services}",
    "No service shows it yet, {alerting} entities are in trouble",
    "No service shows it yet, 1 entity is in trouble",
    "; {services}",
    "; {at_risk} more entities depend on it and may follow",
    "; 1 more entity depends on it and may follow",
    " ({services})",
    ", {next} in nine of ten cases",
    "Team {team} owns it",
    "Team {team} has it",
    "Team {team} resolves {sure_of_team} % of such incidents",
    "Nobody is known to own it, team {team} gives it out",
    " ({assignee} has the skill and the time)",
    " ({assignee} works on it)",
    "; {priority} from impact {impact} and urgency {urgency}",
    "; {priority} (was {was}) from impact {impact} and urgency {urgency}",
    "; SLA {sla} asks for an answer by {respond_by}",
    "; SLA {sla} asks for a fix by {resolve_by}",
    " and a fix by {resolve_by}",
    " ({stands})",
    "Scale out {primary} or shed load at the edge, and tell the support team that users see slow answers.",
    "Roll the change on {primary} back or verify it before anything else.",
    "Check power, links and interface errors of {primary}, and switch over to its standby.",
    "Check connections, locks and disk latency of {primary} before restarting its clients.",
    "Free or add space on {primary} and check what writes so much.",
    "Restart {primary} in a rolling way and keep a heap dump.",
    "Renew the certificate or check name resolution of {primary}.",
    "Check whether {primary} runs at all and what its last log lines say.",
    "Look at the slowest dependency of {primary} first.",
    "Runbook: {runbook}.",
    "It resembles {similar}",
    "It has come {occurrences} times in {window_days} days (problem {problem})",
    ".",
    " ",
];

fn name(id: &str) -> String {
    id.split_once(':').map_or(id, |(_, name)| name).to_owned()
}

fn clock(at: EventTime) -> String {
    let text = at.to_string();
    format!("{} UTC", &text[11..19])
}

/// A duration as narratives say it.
fn rough(nanos: i64) -> String {
    match nanos.max(0) / 1_000_000_000 {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

fn percent(share: f64) -> [String; 2] {
    // A record keeps three digits: what is rounded from more may differ by one.
    [share - 5e-4, share + 5e-4].map(|share| format!("{:.0}", share * 100.0))
}

fn clip(text: &str, chars_max: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line = line.trim();
    if line.chars().count() <= chars_max {
        return line.to_owned();
    }
    line.chars().take(chars_max - 1).chain(['…']).collect()
}

/// Every way to say some of `names`: `a`, `a, b`, `a, b and 3 more`.
fn begins_with_list<'a>(rest: &'a str, names: &BTreeSet<String>) -> Vec<&'a str> {
    let mut out = Vec::new();
    let mut at = rest;
    loop {
        let longest = names.iter().filter(|name| at.starts_with(name.as_str())).max_by_key(|name| name.len());
        let Some(found) = longest.filter(|name| !name.is_empty()) else { return out };
        at = &at[found.len()..];
        out.push(at);
        let more = at.strip_prefix(" and ").map(|tail| tail.trim_start_matches(|c: char| c.is_ascii_digit()));
        if let Some(after) = more.and_then(|tail| tail.strip_prefix(" more")) {
            out.push(after);
        }
        match at.strip_prefix(", ") {
            Some(next) => at = next,
            None => return out,
        }
    }
}

/// What is left of `rest` after a value of the field, in every way that it can be read.
fn after_value<'a>(rest: &'a str, field: &str, record: &IncidentRecord) -> Vec<&'a str> {
    let label = |name: &str| record.labels.get(name).cloned().into_iter().collect::<Vec<_>>();
    let promised = |of: fn(&ServiceLevel) -> Option<Deadline>| {
        let by = record.sla.as_ref().and_then(of).and_then(|deadline| deadline.by);
        by.map(clock).into_iter().collect::<Vec<_>>()
    };
    let impact = record.business_impact.as_ref().expect("every record has it");
    let entities = || -> BTreeSet<String> {
        let timeline = record.description.lines().filter_map(|line| line.strip_prefix("- "));
        let timeline = timeline.filter_map(|line| line.split_once("Z ")).map(|(_, id)| name(id));
        record.entities.iter().map(|entity| name(&entity.id)).chain(timeline).collect()
    };
    let first_cause = record.probable_causes.first();
    let values: Vec<String> = match field {
        "started" => record.started_at.map(clock).into_iter().collect(),
        "resolved" => record.resolved_at.map(clock).into_iter().collect(),
        "entity" => entities().into_iter().collect(),
        "then" => return begins_with_list(rest, &entities()),
        "says" => {
            let said = record.alerts.iter().flat_map(|alert| alert.annotations.values().chain([&alert.name]));
            said.map(|text| clip(text, 140)).collect()
        }
        "spread" => {
            let last = record.labels.get("alerts.last_onset").and_then(|text| EventTime::parse_rfc3339(text).ok());
            last.zip(record.started_at).map(|(last, first)| rough(last.since(first).0)).into_iter().collect()
        }
        "alerts" => vec![record.alert_count.to_string()],
        "shared" => label("shared").iter().flat_map(|all| all.split(", ")).map(str::to_owned).collect(),
        "sure" => first_cause.map(|cause| percent(cause.score).to_vec()).unwrap_or_default(),
        "subject" => return after_subject(rest, record),
        "children" => label("major.incidents"),
        "parent" => record.parent_id.clone().into_iter().collect(),
        "alerting" => vec![impact.entities_alerting.to_string()],
        "at_risk" => vec![impact.entities_at_risk.to_string()],
        "services" => return after_services(rest, record),
        "next" => {
            let first = impact.next.first().map(|next| {
                let within = rough(next.expected_by.since(record.updated_at).0);
                format!("{} probably first, within {within}", name(&next.entity_id))
            });
            first.into_iter().collect()
        }
        "team" => record.owner.iter().map(|owner| owner.team.clone()).collect(),
        "assignee" => record.owner.iter().map(|owner| owner.assignee.clone()).collect(),
        "priority" => vec![record.priority.to_string()],
        "impact" => record.impact.iter().map(ToString::to_string).collect(),
        "urgency" => record.urgency.iter().map(ToString::to_string).collect(),
        "sla" => record.sla.iter().map(|sla| sla.name.clone()).collect(),
        "respond_by" => promised(|sla| sla.respond),
        "resolve_by" => promised(|sla| sla.resolve),
        "stands" => vec!["at risk".to_owned(), "missed".to_owned()],
        "was" => ["P1", "P2", "P3", "P4", "P5"].map(str::to_owned).to_vec(),
        "sure_of_team" => {
            let best = record.assignment.iter().filter_map(|assignment| assignment.candidates.first());
            best.filter_map(|best| best.confidence).flat_map(percent).collect()
        }
        "problem" => record.problem.iter().map(|problem| problem.id.clone()).collect(),
        "occurrences" => record.problem.iter().map(|problem| problem.occurrences.to_string()).collect(),
        "window_days" => record.problem.iter().map(|problem| problem.window_days.to_string()).collect(),
        "primary" => record.primary_entity.iter().map(|entity| name(&entity.id)).collect(),
        "runbook" => record.links.iter().map(|link| link.href.clone()).collect(),
        "similar" => {
            let like = |similar: &bellwether_engine::incident::SimilarIncident| {
                percent(similar.score).map(|share| format!("{} ({share} %)", similar.id))
            };
            record.similar.iter().flat_map(like).collect()
        }
        other => panic!("no field is called {other}"),
    };
    values.iter().filter(|value| !value.is_empty()).filter_map(|value| rest.strip_prefix(value.as_str())).collect()
}

/// `services a, b`, `business service c`, `customers d`: names of the record.
fn after_services<'a>(rest: &'a str, record: &IncidentRecord) -> Vec<&'a str> {
    // Lists of entities are cut at their length; the impact names what the narrative may.
    let impact = record.business_impact.as_ref().expect("every record has it");
    let of = |kind: &str, labels: Vec<String>| -> BTreeSet<String> {
        let listed = record.entities.iter().filter(|entity| entity.entity_type == kind).map(|entity| name(&entity.id));
        listed.chain(labels).collect()
    };
    let business = of("business", impact.business_services.clone());
    let services = of("service", Vec::new());
    let customers: BTreeSet<String> = impact.customers.iter().cloned().collect();
    let kinds = [
        ("business services ", &business),
        ("business service ", &business),
        ("services ", &services),
        ("service ", &services),
        ("customers ", &customers),
        ("customer ", &customers),
    ];
    kinds.iter().filter_map(|(word, names)| Some(begins_with_list(rest.strip_prefix(word)?, names))).flatten().collect()
}

/// `change C on e (text), made 3 min before`, `e: demand exceeds its capacity` or `e`.
fn after_subject<'a>(rest: &'a str, record: &IncidentRecord) -> Vec<&'a str> {
    let Some(cause) = record.probable_causes.first() else { return Vec::new() };
    let entity = cause.entity.as_ref().map_or_else(String::new, |entity| name(&entity.id));
    let mut out: Vec<&str> = Vec::new();
    if let Some(after) = rest.strip_prefix(entity.as_str()) {
        out.push(after);
        if record.class == "capacity" {
            out.extend(after.strip_prefix(": demand exceeds its capacity"));
        }
    }
    let change = record.changes.iter().find(|change| change.id == cause.reference);
    if let Some((change, onset)) = change.zip(record.started_at) {
        let made = format!("), made {} before", rough(onset.since(change.at).0));
        let text = rest.strip_prefix(&format!("change {} on {entity} (", change.id));
        if let Some((text, after)) = text.and_then(|text| text.split_once(&made))
            && cause.explanation.contains(text.trim_end_matches('…'))
        {
            out.push(after);
        }
    }
    out
}

/// What is left of `rest` after a clause, in every way that it can be read.
fn after_clause<'a>(rest: &'a str, clause: &str, record: &IncidentRecord) -> Vec<&'a str> {
    let Some((words, tail)) = clause.split_once('{') else {
        return rest.strip_prefix(clause).into_iter().collect();
    };
    let (field, tail) = tail.split_once('}').expect("a closed brace");
    let Some(rest) = rest.strip_prefix(words) else { return Vec::new() };
    after_value(rest, field, record).into_iter().flat_map(|rest| after_clause(rest, tail, record)).collect()
}

/// The first stretch of the narrative that no clause with values of the record covers.
fn untraceable(record: &IncidentRecord) -> Option<String> {
    let mut open: BTreeSet<&str> = BTreeSet::from([record.summary.as_str()]);
    let mut shortest = record.summary.as_str();
    while let Some(rest) = open.pop_last() {
        if rest.is_empty() {
            return None;
        }
        if rest.len() < shortest.len() {
            shortest = rest;
        }
        open.extend(CLAUSES.iter().flat_map(|clause| after_clause(rest, clause, record)));
    }
    Some(shortest.to_owned())
}

/// Every revision told of a plan.
fn told(plan: Plan) -> Vec<IncidentRecord> {
    let mut engine = Engine::new(EngineConfig::default(), NonZeroUsize::MIN).expect("default settings");
    let mut events = Vec::new();
    for input in Simulation::new(plan) {
        engine.apply(&input, &mut events);
    }
    engine.finish(&mut events);
    events.into_iter().map(|event| event.record).collect()
}

fn sentences(record: &IncidentRecord) -> usize {
    // Every sentence begins with one of these words.
    let begins = [
        "At ",
        "The ",
        "It ",
        "No service",
        "Team ",
        "Scale ",
        "Roll ",
        "Check ",
        "Free ",
        "Restart ",
        "Renew ",
        "Look ",
    ];
    begins.iter().map(|word| record.summary.matches(&format!(". {word}")).count()).sum::<usize>() + 1
}

fn all_are_traceable(records: &[IncidentRecord]) {
    for record in records.iter().filter(|record| !record.truncated && !record.alerts.is_empty()) {
        let left = untraceable(record);
        assert_eq!(left, None, "of `{}`, {} revision {}", record.summary, record.id, record.revision);
        assert!((3..=6).contains(&sentences(record)), "{} sentences: {}", sentences(record), record.summary);
    }
}

#[test]
fn every_clause_of_the_stories_is_a_field_of_the_record() {
    for story in &STORIES {
        let records = told((story.plan)(42));
        assert!(!records.is_empty(), "{}: nothing was told", story.name);
        all_are_traceable(&records);
    }
}

#[test]
fn every_clause_about_random_estates_is_a_field_of_the_record() {
    for seed in 0..3 {
        let plan = Plan::random(&PlanParams::new(seed, 80, 4)).expect("a plan");
        all_are_traceable(&told(plan));
    }
}

#[test]
fn a_clause_from_nowhere_is_caught() {
    let records = told((STORIES[0].plan)(42));
    let record = records.last().expect("an incident");
    assert_eq!(untraceable(record), None);
    let changed = |from: &str, to: &str| {
        let mut other = record.clone();
        assert!(other.summary.contains(from), "`{from}` in `{}`", other.summary);
        other.summary = other.summary.replacen(from, to, 1);
        untraceable(&other)
    };
    let alerts = record.alert_count.to_string();
    assert!(changed(&format!("{alerts} alerts"), "7 alerts").is_some(), "another count");
    assert!(changed("Team ", "The moon is full. Team ").is_some(), "a sentence about nothing");
    assert!(changed("made ", "made by mistake ").is_some(), "a word about a change");
    assert!(changed(" % sure", "1 % sure").is_some(), "another confidence");
}
