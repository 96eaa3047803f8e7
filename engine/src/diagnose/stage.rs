//! `diagnose`: what an incident's alerts say of its cause, and whom it hurts.

use std::collections::BTreeSet;

use super::blast::blast_radius;
use super::cause::{Scene, diagnose};
use super::changes::Change;
use super::class::classify;
use super::diagnosed::Diagnosed;
use super::next::who_is_next;
use super::shared::shared_labels;
use crate::alert::Alert;
use crate::case::Case;
use crate::dedup::Alerts;
use crate::event::{Event, OwnedChange};
use crate::symbols::Sym;
use crate::tables::Tables;
use crate::time::Span;
use crate::turn::{Item, Turn};

/// Alerts examined of one incident; the worst and earliest of a larger one.
const ALERTS_EXAMINED_MAX: usize = 5_000;

/// Alerts whose entities are asked for series that moved.
const ENTITIES_ASKED_MAX: usize = 512;

/// Series that moved within this long before the first alert have to do with it.
const EVIDENCE_AROUND: Span = Span::from_mins(5);

/// Series that are told of one incident.
const EVIDENCE_MAX: usize = 8;

/// Takes changes, series that leave their level, and incidents that are to be judged.
pub(crate) fn take(item: Item, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    match item {
        Item::Event(Event::Change(change)) => {
            let change = owned(*change, tables, turn);
            tables.suspects.changes.add(change, turn.compiled.config.limits.changes_max, tables.room.changes);
            None
        }
        Item::Event(Event::Moved(moved)) => {
            let entity = tables.estate.resolve(&moved.entity);
            tables.suspects.departed.note(entity, moved.series, moved.departure, turn.now);
            None
        }
        Item::Learn(began) => {
            tables.suspects.changes.learn(&began);
            None
        }
        Item::Case(case) => judge(case, tables, turn).map(|found| Item::Diagnosed(Box::new(found))),
        other => Some(other),
    }
}

fn owned(change: OwnedChange, tables: &mut Tables, turn: &Turn<'_>) -> Change {
    let OwnedChange { id, change_type, entity, artifact, who, url, text } = change;
    let entity = tables.estate.resolve(&entity);
    Change { at: turn.now, id, change_type, entity, artifact, who, url, text, followed: false }
}

/// The series of the entities that alert which moved around the beginning or since, the clearest first.
fn evidence_of<'a>(members: &[&Alert], alerts: &'a Alerts) -> Vec<&'a Alert> {
    let Some(onset) = members.iter().map(|alert| alert.began_at).min() else {
        return Vec::new();
    };
    let entities: BTreeSet<Sym> = members.iter().map(|alert| alert.entity).take(ENTITIES_ASKED_MAX).collect();
    let moved = entities.into_iter().flat_map(|entity| alerts.evidence_at(entity, onset, EVIDENCE_AROUND));
    let mut found: Vec<&Alert> = moved.collect();
    let score = |alert: &Alert| alert.observation.as_ref().map_or(0.0, |seen| seen.score);
    found.sort_by(|a, b| score(b).total_cmp(&score(a)).then(a.fingerprint.cmp(&b.fingerprint)));
    found.truncate(EVIDENCE_MAX);
    found
}

/// Judges one incident; `None` when it is gone.
fn judge(case: Case, tables: &Tables, turn: &Turn<'_>) -> Option<Diagnosed> {
    let Tables { alerts, estate, suspects, correlator, ledger, .. } = tables;
    let config = &turn.compiled.config.diagnose;
    let incident = ledger.get(case.incident)?;
    let mut members: Vec<&Alert> = incident.members.iter().filter_map(|alert| alerts.get(*alert)).collect();
    members.sort_by_key(|alert| {
        let worst_first = std::cmp::Reverse((alert.is_live(), alert.severity));
        (worst_first, alert.began_at, alert.fingerprint)
    });
    members.truncate(ALERTS_EXAMINED_MAX);
    let evidence = evidence_of(&members, alerts);
    let diagnosis = diagnose(
        members.iter().map(|alert| (*alert, alert.began_at)).chain(incident.left_alerts(alerts)),
        &evidence,
        &Scene {
            config,
            topology: &estate.topology,
            entities: &estate.entities,
            changes: &suspects.changes,
            alerts,
            departed: &suspects.departed,
        },
    );
    let named = diagnosis.named(config).cloned();
    let primary = diagnosis.primary();
    let primary_id = primary.map_or_else(String::new, |entity| estate.entities.text(entity).to_owned());
    let alerting: Vec<_> = diagnosis.alerting.iter().map(|(entity, _)| *entity).collect();
    let blast = blast_radius(
        named.as_ref().map(|cause| cause.entity),
        &alerting,
        &estate.topology,
        &estate.entities,
        &estate.lookup.items,
        config.hops_max,
    );
    let by_change = named.as_ref().is_some_and(|cause| cause.change.is_some());
    let class = classify(by_change, &primary_id, members.iter().copied(), &estate.names, &estate.entities);
    let next = named.as_ref().map_or_else(Vec::new, |cause| {
        let around = (&estate.topology, correlator.delays(), &estate.entities);
        who_is_next(cause.entity, diagnosis.onset, &diagnosis.alerting, turn.now, around, config.hops_max)
    });
    Some(Diagnosed {
        case,
        first: members.iter().min_by_key(|alert| (alert.began_at, alert.fingerprint)).map(|alert| alert.fingerprint),
        live_severity: members.iter().filter(|alert| alert.is_live()).map(|alert| alert.severity).max(),
        to_come: members.iter().all(|alert| alert.is_forecast()),
        shared: shared_labels(&members),
        members: members.iter().map(|alert| alert.fingerprint).collect(),
        evidence: evidence.iter().map(|alert| alert.fingerprint).collect(),
        diagnosis,
        named,
        primary: (primary, primary_id),
        blast,
        class,
        next,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::alert::{DetectorKind, Observation, Sensed};
    use crate::case::Purpose;
    use crate::event::{Departure, Moved, OwnedEdge};
    use crate::incident::EvidenceSignal;
    use crate::signal::{AlertStatus, Relation};
    use crate::testing::{Bench, at, sensed};
    use crate::time::Span;

    fn change(id: &str, entity: &str) -> Item {
        let (id, change_type, entity) = (id.into(), "schema".into(), entity.into());
        let change = OwnedChange { id, change_type, entity, artifact: None, who: None, url: None, text: None };
        Item::Event(Event::Change(Box::new(change)))
    }

    fn case(bench: &mut Bench, secs: i64, incident: u64) -> Option<Diagnosed> {
        match bench.take(take, secs, Item::Case(Case { incident, purpose: Purpose::Update })).next? {
            Item::Diagnosed(found) => Some(*found),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_is_remembered_and_a_second_word_replaces_the_first() {
        let mut bench = Bench::new();
        for (secs, entity) in [(10, "db:a"), (20, "db:b")] {
            assert!(bench.take(take, secs, change("chg-1", entity)).nothing());
        }
        let changes: Vec<_> = bench.tables.suspects.changes.before(at(30), Span::from_hours(1)).collect();
        assert_eq!((changes.len(), changes[0].at), (1, at(20)));
        assert_eq!(bench.tables.estate.entities.text(changes[0].entity), "db:b");
    }

    #[test]
    fn trouble_that_is_over_teaches_which_changes_it_followed() {
        let mut bench = Bench::new();
        bench.take(take, 10, change("chg-1", "db:a"));
        let entity = bench.tables.estate.entities.get("db:a").expect("the change names it");
        assert!(bench.take(take, 500, Item::Learn(BTreeMap::from([(entity, at(60))]))).nothing());
        let record = bench.tables.suspects.changes.precedents.of("schema").expect("one was made");
        assert_eq!((record.made, record.followed), (1.0, 1.0));
    }

    #[test]
    fn a_series_away_from_its_level_is_known_by_its_entity() {
        let mut bench = Bench::new();
        let departure = Departure { watched: at(0), since: at(5), until: None, bits: 20.0 };
        let moved = Moved { series: 1, entity: "host:a".into(), departure };
        bench.take(take, 10, Item::Event(Event::Moved(Box::new(moved))));
        let entity = bench.tables.estate.entities.get("host:a").expect("it is named");
        assert_eq!(bench.tables.suspects.departed.at(entity, at(10)).count(), 1);
    }

    #[test]
    fn an_incident_is_judged_by_its_alerts_the_worst_first_and_a_gone_one_not_at_all() {
        let mut bench = Bench::new();
        bench.fire(10, 1, "host:a");
        bench.fire(12, 2, "host:a");
        bench.end(14, 1, "host:a");
        let incident = bench.tables.alerts.get(1).and_then(|alert| alert.incident).expect("they are a candidate");
        let found = case(&mut bench, 15, incident).expect("it is there");
        assert_eq!((found.members, found.first), (vec![2, 1], Some(1)), "what fires is worse than what is over");
        assert_eq!((found.primary.1.as_str(), found.class.name()), ("host:a", "storage"));
        assert!(case(&mut bench, 15, incident + 1).is_none());
    }

    #[test]
    fn a_series_that_moves_makes_a_suspect_of_an_entity_that_rarely_does_and_of_no_restless_one() {
        let mut bench = Bench::new();
        let onset = 10_000;
        let restless: Vec<String> = (0..9).map(|host| format!("host:restless-{host}")).collect();
        for minutes in (12..70).rev().step_by(5) {
            let since = at(onset - 60 * minutes);
            for entity in &restless {
                let departure = Departure { watched: at(0), since, until: None, bits: 20.0 };
                let moved = Moved { series: 1, entity: entity.as_str().into(), departure };
                bench.take(take, onset - 60 * minutes, Item::Event(Event::Moved(Box::new(moved))));
            }
        }
        for (alert, entity) in restless.iter().map(String::as_str).chain(["host:still"]).enumerate() {
            let sensed = sensed(onset - 20, alert as u64, "MetricAnomaly", entity, AlertStatus::Firing);
            let observation = Observation {
                signal: EvidenceSignal::Metric,
                name: "system.memory.utilization".into(),
                value: Some(0.9),
                expected: Some(0.4),
                score: 0.9,
                detector: DetectorKind::Anomaly,
                felt: false,
            };
            let moves = Sensed { observation: Some(observation), ..sensed };
            bench.take(crate::dedup::stage::take, onset - 20, Item::Event(Event::Sensed(Box::new(moves))));
        }
        let (from, to, source) = ("service:shop".into(), restless[0].as_str().into(), "cmdb".into());
        let edge = OwnedEdge { from, to, relation: Relation::RunsOn, source, confidence: 1.0 };
        bench.run(onset - 10, Item::Event(Event::Edge(Box::new(edge))));
        bench.fire(onset, 100, "service:shop");
        let incident = bench.tables.alerts.get(100).and_then(|alert| alert.incident).expect("it is a candidate");
        let found = case(&mut bench, onset + 1, incident).expect("it is there");
        let conditions = found.diagnosis.causes.iter().filter(|cause| cause.reasons.condition > 0.0);
        let entities = &bench.tables.estate.entities;
        let suspects: Vec<&str> = conditions.map(|cause| entities.text(cause.entity)).collect();
        assert_eq!(suspects, ["service:shop", "host:still"]);
    }
}
