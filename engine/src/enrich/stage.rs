//! `enrich`: adds what the catalogue and the past know of a diagnosed incident.

use super::enriched::{Enriched, Words};
use super::history::signature;
use super::narrative::{Facts, Hierarchy, narrate};
use super::owner::{find_owner, pick_assignee};
use super::priority::assess;
use super::sla::clock;
use crate::case::Purpose;
use crate::diagnose::Diagnosed;
use crate::incident::Owner;
use crate::ledger::Incident;
use crate::signal::Severity;
use crate::tables::Tables;
use crate::turn::{Item, Turn};

/// Takes diagnosed incidents, and closed ones to remember.
pub(crate) fn take(item: Item, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    match item {
        Item::Diagnosed(found) => enrich(*found, tables, turn).map(|enriched| Item::Enriched(Box::new(enriched))),
        Item::Past(past) => {
            tables.history.add(*past, turn.compiled.config.limits.history_max);
            None
        }
        other => Some(other),
    }
}

fn enrich(found: Diagnosed, tables: &Tables, turn: &Turn<'_>) -> Option<Enriched> {
    let incident = tables.ledger.get(found.case.incident)?;
    let severity = found.live_severity.unwrap_or(incident.severity).max(incident.severity);
    // What is to come can wait a little, however bad it will be.
    let urgent = if found.to_come { severity.min(Severity::Minor) } else { severity };
    let assessment = assess(&found.blast, urgent);
    let owner = owner(&found, incident, tables, turn);
    let sla = clock(&found.blast, &tables.estate.lookup, assessment.priority, incident.opened_at);
    let mut enriched = Enriched { found, severity, assessment, owner, sla, words: Words::default() };
    if enriched.found.case.purpose != Purpose::Weigh {
        enriched.words = words(&enriched, incident, tables, turn);
    }
    Some(enriched)
}

/// Who owns the incident: who did, where that is settled, else by the diagnosis.
fn owner(found: &Diagnosed, incident: &Incident, tables: &Tables, turn: &Turn<'_>) -> Owner {
    let config = &turn.compiled.config;
    let estate = &tables.estate;
    let (primary, primary_id) = &found.primary;
    let settled = incident.owner_is_settled(turn.now, &config.ledger);
    let default_team = &config.enrich.default_team;
    let fitting = find_owner(*primary, &estate.lookup, &estate.topology, &estate.entities, default_team);
    let mut owner = match &incident.owner {
        Some(owner) if settled || owner.team == fitting.team => owner.clone(),
        _ => fitting,
    };
    if owner.assignee.is_empty() && config.enrich.assign_people {
        let skills = estate.lookup.items.get(primary_id).map_or(&[][..], |item| &item.skills[..]);
        let person = pick_assignee(&owner.team, skills, &estate.lookup, tables.ledger.load());
        owner.assignee = person.unwrap_or_default();
    }
    owner
}

fn words(enriched: &Enriched, incident: &Incident, tables: &Tables, turn: &Turn<'_>) -> Words {
    let config = &turn.compiled.config.enrich;
    let signature = signature(about(&enriched.found, tables));
    let similar = tables.history.similar(&signature, config.similar_min);
    let resolve_by = enriched.sla.as_ref().and_then(|sla| sla.resolve_by);
    let breach = resolve_by.and_then(|at| {
        let limit = at.since(incident.opened_at);
        tables.history.chance_longer_than(limit, &signature, config.similar_min)
    });
    let mut words = Words { signature, similar, breach, summary: String::new() };
    words.summary = narrate(&facts(enriched, &words, incident, tables, turn));
    words
}

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
        sla: enriched.sla.as_ref(),
        similar: words.similar.first(),
        hierarchy: hierarchy(incident),
        next: found.next.first(),
        now: turn.now,
        runbook: item.map(|i| i.runbook.as_str()).filter(|r| !r.is_empty()),
        shared: &found.shared,
    }
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
    use crate::enrich::Past;
    use crate::event::Event;
    use crate::incident::Verb;
    use crate::testing::Bench;
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
    fn what_was_like_it_before_is_found_and_only_where_words_are_asked_for() {
        let mut bench = bench();
        let signature = enriched(&mut bench, 1, Purpose::Update).words.signature;
        let past = Past { id: "inc_1".into(), ticket: String::new(), signature, duration: Span::from_mins(5) };
        assert!(bench.take(take, 15, Item::Past(Box::new(past))).nothing());
        let found = enriched(&mut bench, 1, Purpose::Update);
        assert_eq!(found.words.similar.first().map(|similar| similar.id.as_str()), Some("inc_1"));
        let weighed = enriched(&mut bench, 1, Purpose::Weigh);
        assert!(weighed.words.similar.is_empty() && weighed.words.summary.is_empty());
    }
}
