//! `enrich`: adds what the catalogue and the past know of a diagnosed incident.

use super::closed::Closed;
use super::enriched::{Enriched, Words};
use super::experience::{Ended, Likely, TicketFields};
use super::history::{Past, signature};
use super::knowledge::Knowledge;
use super::narrative::{Facts, Hierarchy, narrate};
use super::owner::{carried, owner_of, owning_team, pick_assignee};
use super::priority::assess;
use super::problems::Trouble;
use super::sla::{Life, calendar, clock, strictest};
use crate::case::Purpose;
use crate::diagnose::Diagnosed;
use crate::entity::split_entity;
use crate::incident::{AssignedBy, Candidate, Owner, Priority, TimeLeft};
use crate::ledger::Incident;
use crate::signal::Severity;
use crate::tables::Tables;
use crate::time::Span;
use crate::turn::{Item, Turn};

/// Takes diagnosed incidents, and closed ones to remember.
pub(crate) fn take(item: Item, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    match item {
        Item::Diagnosed(found) => enrich(*found, tables, turn).map(|enriched| Item::Enriched(Box::new(enriched))),
        Item::Closed(closed) => {
            remember(*closed, tables, turn);
            None
        }
        Item::Solved(problem) => {
            if !tables.problems.close(turn.tenant, &problem) {
                tables.stats.actions_unknown += 1;
            }
            None
        }
        Item::NewCatalogue => {
            tables.knowledge = Knowledge::of(&tables.estate.lookup.knowledge);
            Some(Item::NewCatalogue)
        }
        other => Some(other),
    }
}

/// Learns from an incident that is over, and remembers it.
fn remember(closed: Closed, tables: &mut Tables, turn: &Turn<'_>) {
    let limits = &turn.compiled.config.limits;
    let Closed { id, ticket, signature, kind, change, resolution, opened_at, took, counted, fields, team, breached } =
        closed;
    let ended = Ended { team, breached, took: counted };
    tables.experience.learn(&fields, opened_at, &ended, limits.tenant_bytes_max);
    tables.problems.add(Trouble { kind, opened_at, took, change });
    tables.history.add(Past { id, ticket, signature, duration: counted, resolution }, limits.history_max);
}

fn enrich(found: Diagnosed, tables: &Tables, turn: &Turn<'_>) -> Option<Enriched> {
    let incident = tables.ledger.get(found.case.incident)?;
    let config = &turn.compiled.config.enrich;
    let severity = found.live_severity.unwrap_or(incident.severity).max(incident.severity);
    // What is to come can wait a little, however bad it will be.
    let urgent = if found.to_come { severity.min(Severity::Minor) } else { severity };
    let assessment = assess(&found.blast, urgent, &config.priority);
    let asked = Asked::of(&found, assessment.priority, incident, tables, turn);
    let (owner, assigned_by) = owner(&found, &asked, incident, tables, turn);
    let lookup = &tables.estate.lookup;
    let life = Life {
        began: incident.opened_at,
        acknowledged_at: incident.acknowledged_at,
        resolved_at: incident.resolved_at,
        pauses: &incident.pauses,
        now: turn.now,
    };
    let sla = strictest(&found.blast, lookup, assessment.priority);
    let sla = sla.map(|sla| clock(sla, assessment.priority, lookup, &life));
    let ola = lookup.teams.get(&owner.team).and_then(|team| lookup.slas.get(&team.ola));
    let given = Life { began: incident.given_at(&owner.team, turn.now), ..life };
    let ola = ola.map(|ola| clock(ola, assessment.priority, lookup, &given));
    let words = Words::default();
    let mut enriched = Enriched { found, severity, assessment, owner, assigned_by, sla, ola, words };
    if enriched.found.case.purpose != Purpose::Weigh {
        enriched.words = words_of(&enriched, asked, incident, tables, turn);
    }
    Some(enriched)
}

/// What experience is asked, and what it answers.
struct Asked {
    fields: TicketFields,
    likely: Vec<Likely>,
}

impl Asked {
    fn of(found: &Diagnosed, priority: Priority, incident: &Incident, tables: &Tables, turn: &Turn<'_>) -> Asked {
        let Tables { estate, alerts, experience, .. } = tables;
        let (primary, id) = &found.primary;
        let team = owning_team(*primary, &estate.lookup, &estate.topology, &estate.entities);
        let first = found.first.and_then(|alert| alerts.get(alert));
        let item = estate.lookup.items.get(id);
        let fields = TicketFields {
            category: found.class.name().to_owned(),
            subcategory: first.map_or("", |alert| estate.names.text(alert.name)).to_owned(),
            symptom: split_entity(id).0.to_owned(),
            location: item.map(|item| item.environment.clone()).unwrap_or_default(),
            caller: found.blast.customers_now.first().cloned().unwrap_or_default(),
            opened_by: first.map_or("", |alert| estate.names.text(alert.source)).to_owned(),
            priority: priority.name().to_owned(),
            item: id.clone(),
            team: team.unwrap_or_default(),
        };
        let weighed = found.case.purpose == Purpose::Weigh;
        let opened_at = if incident.is_told() { incident.opened_at } else { turn.now };
        let likely = if weighed { Vec::new() } else { experience.teams(&fields, opened_at) };
        Asked { fields, likely }
    }
}

/// Who has the incident, by whose word: who had it, where that is settled; whom experience is sure of; whom the
/// catalogue names; else whoever gives it out.
fn owner(
    found: &Diagnosed,
    asked: &Asked,
    incident: &Incident,
    tables: &Tables,
    turn: &Turn<'_>,
) -> (Owner, AssignedBy) {
    let config = &turn.compiled.config;
    let estate = &tables.estate;
    let sure = asked.likely.first().filter(|best| best.confidence >= config.enrich.assign_from);
    let (team, by) = match sure {
        Some(best) if best.team != asked.fields.team => (best.team.as_str(), AssignedBy::Experience),
        _ if !asked.fields.team.is_empty() => (asked.fields.team.as_str(), AssignedBy::Catalogue),
        _ => (config.enrich.default_team.as_str(), AssignedBy::Dispatcher),
    };
    let settled = incident.owner_is_settled(turn.now, &config.ledger) || incident.assigned_by == AssignedBy::Person;
    let (mut owner, by) = match &incident.owner {
        Some(owner) if settled => (owner.clone(), incident.assigned_by),
        Some(owner) if owner.team == team => (owner.clone(), by),
        _ => (owner_of(team, &estate.lookup), by),
    };
    if owner.assignee.is_empty() && config.enrich.assign_people {
        let skills = estate.lookup.items.get(&found.primary.1).map_or(&[][..], |item| &item.skills[..]);
        let person = pick_assignee(&owner.team, skills, &estate.lookup, tables.ledger.load(), turn.now);
        owner.assignee = person.unwrap_or_default();
    }
    (owner, by)
}

fn words_of(enriched: &Enriched, asked: Asked, incident: &Incident, tables: &Tables, turn: &Turn<'_>) -> Words {
    let config = &turn.compiled.config.enrich;
    let Asked { fields, likely } = asked;
    let signature = signature(about(&enriched.found, tables));
    let similar = tables.history.similar(&signature, config.similar_min);
    let over = incident.resolved_at.is_some();
    // While the clock stands nobody knows by when it has to be over.
    let promised = enriched.sla.as_ref().filter(|sla| sla.resolve_by().is_some()).and_then(|sla| sla.promised);
    let passed = enriched.sla.as_ref().map_or(turn.now.since(incident.opened_at), |sla| sla.passed);
    let expected = tables.experience.expected(&fields, incident.opened_at, passed, promised).filter(|_| !over);
    let resembling = || tables.history.chance_longer_than(promised?, &signature, config.similar_min);
    let breach = expected.map_or_else(resembling, |expected| expected.breach);
    let kind = trouble_kind(&enriched.found, tables);
    let (entities, opened) = (tables.estate.entities.len(), incident.opened_at);
    let mut words = Words {
        signature,
        similar,
        breach: breach.filter(|_| !over),
        summary: String::new(),
        candidates: candidates(enriched, &fields, &likely, tables),
        time_left: expected.map(|it| {
            let [p50_hours, p90_hours] =
                [it.p50_hours, it.p90_hours].map(|hours| tenths(on_the_wall(hours, enriched, tables, turn)));
            TimeLeft { p50_hours, p90_hours }
        }),
        problem: tables.problems.of(turn.tenant, &kind, opened, entities),
        knowledge: knowledge(&enriched.found, tables),
        kind,
        ticket: fields,
    };
    words.summary = narrate(&facts(enriched, &words, incident, tables, turn));
    words
}

/// What trouble is the same when it comes again: of this class, where it began.
fn trouble_kind(found: &Diagnosed, tables: &Tables) -> String {
    let root = found.named.as_ref().map(|cause| tables.estate.entities.text(cause.entity));
    format!("{} {}", root.unwrap_or(&found.primary.1), found.class.name())
}

/// How long it is until so many hours have passed that count.
fn on_the_wall(hours: f64, enriched: &Enriched, tables: &Tables, turn: &Turn<'_>) -> f64 {
    let lookup = &tables.estate.lookup;
    let sla = enriched.sla.as_ref().and_then(|clock| lookup.slas.get(&clock.name));
    let calendar = sla.and_then(|sla| calendar(sla, enriched.assessment.priority, lookup));
    let until = calendar.and_then(|calendar| calendar.after(turn.now, Span((hours * NANOS_PER_HOUR) as i64)));
    until.map_or(hours, |until| until.since(turn.now).0 as f64 / NANOS_PER_HOUR)
}

const NANOS_PER_HOUR: f64 = 3.6e12;

fn tenths(hours: f64) -> f64 {
    (hours * 10.0).round() / 10.0
}

/// The teams that may resolve it: who has it, and whom experience names.
fn candidates(enriched: &Enriched, fields: &TicketFields, likely: &[Likely], tables: &Tables) -> Vec<Candidate> {
    let lookup = &tables.estate.lookup;
    let skills = lookup.items.get(&enriched.found.primary.1).map_or(&[][..], |item| &item.skills[..]);
    let mut teams: Vec<(&str, Option<f64>)> = likely.iter().map(|it| (it.team.as_str(), Some(it.confidence))).collect();
    for team in [fields.team.as_str(), enriched.owner.team.as_str()] {
        if !team.is_empty() && !teams.iter().any(|(known, _)| *known == team) {
            teams.push((team, None));
        }
    }
    let candidate = |(team, confidence): (&str, Option<f64>)| {
        let mut reasons = Vec::new();
        if team == fields.team {
            reasons.push(format!("the catalogue names it for {}", fields.item));
        }
        if let Some(confidence) = confidence {
            reasons.push(format!("it resolves {:.0} % of such incidents", confidence * 100.0));
        }
        let members = lookup.teams.get(team).map_or(&[][..], |team| &team.members[..]);
        let able: Vec<&str> =
            skills.iter().filter(|s| members.iter().any(|m| m.skills.contains(s))).map(String::as_str).collect();
        if !able.is_empty() {
            reasons.push(format!("its people know {}", able.join(", ")));
        }
        if let Some((carried, places)) = carried(team, lookup, tables.ledger.load()) {
            reasons.push(format!("its people carry {carried} of {places} incidents"));
        }
        if reasons.is_empty() {
            reasons.push("nobody is known to own it".to_owned());
        }
        Candidate { team: team.to_owned(), confidence: confidence.map(|c| (c * 1_000.0).round() / 1_000.0), reasons }
    };
    teams.into_iter().take(super::experience::TEAMS_SHOWN).map(candidate).collect()
}

/// The articles that fit what its alerts say.
fn knowledge(found: &Diagnosed, tables: &Tables) -> Vec<crate::incident::Article> {
    let Tables { alerts, estate, knowledge, .. } = tables;
    let known = || found.members.iter().take(ALERTS_READ).filter_map(|alert| alerts.get(*alert));
    let title = known().next().map_or("", |alert| estate.names.text(alert.name));
    let said =
        known().flat_map(|alert| [estate.names.text(alert.name), estate.entities.text(alert.entity), alert.summary()]);
    let words: Vec<&str> = [found.class.name(), found.primary.1.as_str()].into_iter().chain(said).collect();
    knowledge.fitting(title, &words.join(" "))
}

/// Alerts whose words are held against those of articles.
const ALERTS_READ: usize = 16;

/// What the incident is about, for comparison with others: its class, its entities, its alerts by name.
fn about<'a>(found: &'a Diagnosed, tables: &'a Tables) -> impl Iterator<Item = &'a str> {
    let Tables { alerts, estate, .. } = tables;
    let members = found.members.iter().filter_map(|alert| alerts.get(*alert));
    let names = members.map(|alert| estate.names.text(alert.name));
    let entities = found.diagnosis.alerting.iter().map(|(entity, _)| estate.entities.text(*entity));
    std::iter::once(found.class.name()).chain(std::iter::once(found.primary.1.as_str())).chain(entities).chain(names)
}

fn facts<'a>(
    enriched: &'a Enriched,
    words: &'a Words,
    incident: &'a Incident,
    tables: &'a Tables,
    turn: &Turn<'_>,
) -> Facts<'a> {
    let estate = &tables.estate;
    let found = &enriched.found;
    let item = estate.lookup.items.get(&found.primary.1);
    let first = found.first.and_then(|alert| tables.alerts.get(alert));
    let says = first.map_or("", |a| if a.summary().is_empty() { estate.names.text(a.name) } else { a.summary() });
    let first_entity = first.map_or("", |alert| estate.entities.text(alert.entity));
    let in_order = found.diagnosis.alerting.iter().map(|(entity, _)| estate.entities.text(*entity));
    let guess = found.named.as_ref().or_else(|| found.diagnosis.causes.first());
    Facts {
        onset: found.diagnosis.onset,
        last_onset: found.diagnosis.alerting.last().map_or(found.diagnosis.onset, |(_, at)| *at),
        first: (first_entity, says),
        then: in_order.filter(|entity| *entity != first_entity).collect(),
        alerts: incident.alert_count,
        over: incident.resolved_at,
        cause: guess.map(|cause| (cause, estate.entities.text(cause.entity))),
        cause_is_sure: found.named.is_some(),
        blast: &found.blast,
        class: found.class,
        owner: &enriched.owner,
        priority: enriched.assessment.priority,
        impact: enriched.assessment.impact,
        urgency: enriched.assessment.urgency,
        assigned_by: enriched.assigned_by,
        sure_of_team: sure_of(&enriched.owner.team, &words.candidates),
        was: incident.told.as_ref().map(|told| told.priority),
        sla: enriched.sla.as_ref(),
        similar: words.similar.first(),
        problem: words.problem.as_ref(),
        hierarchy: hierarchy(incident),
        next: found.next.first(),
        now: turn.now,
        runbook: item.map(|i| i.runbook.as_str()).filter(|r| !r.is_empty()),
        shared: &found.shared,
    }
}

/// How often answers were right that were as sure of this team.
fn sure_of(team: &str, candidates: &[Candidate]) -> Option<f64> {
    candidates.iter().find(|candidate| candidate.team == team)?.confidence
}

/// Its place among the incidents, as the narrative says it.
fn hierarchy(incident: &Incident) -> Hierarchy<'_> {
    match (&incident.parent, incident.under.len()) {
        (_, children @ 1..) => Hierarchy::Over(children),
        (Some(parent), _) if incident.over.is_some() => Hierarchy::Under(parent),
        _ => Hierarchy::Alone,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::case::Case;
    use crate::catalogue::{Catalogue, CatalogueItem};
    use crate::event::Event;
    use crate::incident::Verb;
    use crate::testing::{Bench, at};
    use crate::time::Span;

    fn bench() -> Bench {
        let mut bench = Bench::with(serde_json::json!({"enrich": {"default_team": "operations"}}));
        let item = CatalogueItem {
            entity: "host:a".to_owned(),
            owner: "storage".to_owned(),
            runbook: "https://runbooks/disk".to_owned(),
            ..CatalogueItem::default()
        };
        let catalogue = Catalogue { services: vec![item], ..Catalogue::default() };
        bench.run(0, Item::Event(Event::Catalogue(Arc::new(catalogue))));
        bench.fire(10, 1, "host:a");
        bench.fire(10, 2, "host:b");
        bench
    }

    /// The incident of an alert, diagnosed and then given to this stage.
    fn enriched(bench: &mut Bench, alert: u64, purpose: Purpose) -> Enriched {
        let incident = bench.tables.alerts.get(alert).and_then(|alert| alert.incident).expect("it is in one");
        let case = Item::Case(Case { incident, purpose });
        let found = bench.take(crate::diagnose::stage::take, 20, case).next.expect("it is diagnosed");
        match bench.take(take, 20, found).next {
            Some(Item::Enriched(enriched)) => *enriched,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_catalogue_says_who_owns_it_and_where_to_read() {
        let found = enriched(&mut bench(), 1, Purpose::Update);
        assert_eq!(found.owner.team, "storage");
        assert!(found.words.summary.contains("https://runbooks/disk"), "{}", found.words.summary);
    }

    fn closed(signature: Vec<u64>) -> Closed {
        Closed {
            id: "inc_1".into(),
            ticket: String::new(),
            signature,
            kind: "host:a disk".into(),
            change: String::new(),
            resolution: "vacuumed".into(),
            opened_at: at(0),
            took: Span::from_mins(5),
            counted: Span::from_mins(5),
            fields: TicketFields::default(),
            team: "database".into(),
            breached: None,
        }
    }

    #[test]
    fn whom_experience_is_sure_of_gets_it_and_the_catalogue_where_it_is_not() {
        let mut bench = bench();
        let fields = enriched(&mut bench, 1, Purpose::Update).words.ticket;
        assert_eq!((fields.item.as_str(), fields.team.as_str()), ("host:a", "storage"));
        for count in 0..120 {
            let Enriched { owner, assigned_by, words, .. } = enriched(&mut bench, 1, Purpose::Update);
            if count < 50 {
                assert_eq!((owner.team.as_str(), assigned_by), ("storage", AssignedBy::Catalogue), "{count}");
                assert_eq!(words.candidates[0].confidence, None);
            }
            let mut taught = closed(vec![count]);
            taught.fields = fields.clone();
            bench.take(take, 15, Item::Closed(Box::new(taught)));
        }
        let found = enriched(&mut bench, 1, Purpose::Update);
        assert_eq!((found.owner.team.as_str(), found.assigned_by), ("database", AssignedBy::Experience));
        assert!(found.words.summary.contains("Team database resolves"), "{}", found.words.summary);
        let teams: Vec<&str> = found.words.candidates.iter().map(|candidate| candidate.team.as_str()).collect();
        assert_eq!(teams, ["database", "storage"]);
        assert!(found.words.time_left.is_some(), "it took five minutes each time");
    }

    #[test]
    fn how_sure_it_is_of_a_team_is_said_of_that_team_also_where_another_is_likelier_by_now() {
        let candidate = |team: &str, confidence| Candidate { team: team.into(), confidence, reasons: Vec::new() };
        let candidates = [candidate("network", Some(0.6)), candidate("database", Some(0.3)), candidate("web", None)];
        assert_eq!([sure_of("database", &candidates), sure_of("web", &candidates)], [Some(0.3), None]);
        assert_eq!(sure_of("storage", &candidates), None);
    }

    #[test]
    fn what_nobody_is_known_to_own_is_for_whoever_gives_it_out() {
        let mut bench = Bench::new();
        bench.fire(10, 1, "host:z");
        let found = enriched(&mut bench, 1, Purpose::Update);
        assert_eq!((found.owner.team.as_str(), found.assigned_by), ("operations", AssignedBy::Dispatcher));
        assert!(found.words.summary.contains("team operations gives it out"), "{}", found.words.summary);
    }

    #[test]
    fn the_article_that_fits_is_named() {
        let mut bench = bench();
        let article = crate::catalogue::KnowledgeArticle {
            id: "disks.md".into(),
            title: "DiskFull".into(),
            text: "What hurts when a disk is full".into(),
        };
        let catalogue = Catalogue { knowledge: vec![article], ..Catalogue::default() };
        bench.run(15, Item::Event(Event::Catalogue(Arc::new(catalogue))));
        let found = enriched(&mut bench, 1, Purpose::Update);
        assert_eq!(found.words.knowledge.first().map(|article| article.id.as_str()), Some("disks.md"));
    }

    #[test]
    fn an_owner_who_has_acknowledged_stays() {
        let mut bench = bench();
        bench.wait(100);
        let number = bench.tables.alerts.get(1).and_then(|alert| alert.incident).expect("it is open");
        let id = bench.tables.ledger.get(number).map(|incident| incident.id.clone()).expect("it is known");
        let acknowledge = crate::action::Action::Acknowledge {
            incident: id,
            who: "ana".to_owned(),
            voice: crate::action::Voice::Operator,
        };
        let told = bench.run(110, Item::Event(Event::Action(Box::new(acknowledge))));
        assert_eq!(told[0].verb, Verb::Acknowledged);
        let found = enriched(&mut bench, 1, Purpose::Update);
        assert_eq!((found.owner.team.as_str(), found.owner.assignee.as_str()), ("storage", "ana"));
    }

    #[test]
    fn the_chance_that_it_is_late_holds_working_time_against_working_time() {
        let mut bench = bench();
        let catalogue = serde_json::json!({
            "services": [{"entity": "host:a", "sla": "office"}],
            "slas": [{"name": "office", "calendar": "day", "resolve": {"P1": "2h", "P2": "2h", "P3": "2h", "P4": "2h", "P5": "2h"}}],
            "calendars": [{"name": "day", "hours": ["mon-fri 09:00-17:00"]}],
        });
        let catalogue: Catalogue = serde_json::from_value(catalogue).expect("a catalogue");
        bench.run(15, Item::Event(Event::Catalogue(Arc::new(catalogue))));
        let signature = enriched(&mut bench, 1, Purpose::Update).words.signature;
        // Three working hours each: more than two, though less than the eleven from midnight until the deadline.
        for count in 0..4 {
            let counted = Span::from_hours(3);
            let past =
                Closed { id: format!("inc_{count}"), took: Span::from_hours(24), counted, ..closed(signature.clone()) };
            bench.take(take, 16, Item::Closed(Box::new(past)));
        }
        let found = enriched(&mut bench, 1, Purpose::Update);
        let by = found.sla.as_ref().and_then(|sla| sla.resolve).and_then(|deadline| deadline.by).expect("promised");
        assert_eq!(by, at(11 * 3_600));
        assert_eq!(found.words.breach, Some(5.0 / 6.0));
    }

    #[test]
    fn what_was_like_it_before_is_found_and_only_where_words_are_asked_for() {
        let mut bench = bench();
        let signature = enriched(&mut bench, 1, Purpose::Update).words.signature;
        assert!(bench.take(take, 15, Item::Closed(Box::new(closed(signature)))).nothing());
        let found = enriched(&mut bench, 1, Purpose::Update);
        assert_eq!(found.words.similar.first().map(|similar| similar.id.as_str()), Some("inc_1"));
        assert!(found.words.summary.contains("of which was said: vacuumed"), "{}", found.words.summary);
        let weighed = enriched(&mut bench, 1, Purpose::Weigh);
        assert!(weighed.words.similar.is_empty() && weighed.words.summary.is_empty());
    }
}
