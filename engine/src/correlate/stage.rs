//! `correlate`: alerts join and leave groups; groups that become one or fall apart are told to the ledger.

use std::collections::BTreeMap;

use super::table::Correlator;
use crate::dedup::Alerts;
use crate::symbols::Sym;
use crate::tables::Tables;
use crate::time::{EventTime, Span};
use crate::timers::Timer;
use crate::topology::Estate;
use crate::turn::{Item, Turn};

/// How often old groups and silences are put away.
const SWEEP_EVERY: Span = Span::from_mins(5);

/// Takes what is live, and everything else that groups have to know.
pub(crate) fn take(item: Item, tables: &mut Tables, turn: &mut Turn<'_>) -> Option<Item> {
    let Tables { correlator, alerts, estate, ledger, stats, .. } = tables;
    match item {
        Item::Live(alert) => {
            let known = alerts.get(alert)?;
            if known.is_evidence(estate.lookup.matters(estate.entities.text(known.entity))) {
                stats.evidence += 1;
                let config = &turn.compiled.config;
                // What was called false is no news however many move with it.
                if ledger.lessons.covering(known, &estate.names, &estate.entities, &config.ledger).is_some() {
                    return None;
                }
                let budget = config.correlate.false_per_day;
                let bits = ledger.budget.bits(turn.now, budget);
                let together = correlator.movements.note((known.entity, alert), turn.now, budget, bits);
                // What moves alone waits where it is for somebody who asks about its entity.
                for moved in together {
                    if alerts.get(moved).is_some_and(|moved| moved.is_live() && moved.incident.is_none()) {
                        turn.then(Item::Place(moved));
                    }
                }
                return None;
            }
            if let Some(incident) = known.incident {
                if ledger.takes_back(incident, known, turn.now, &turn.compiled.config.ledger) {
                    return Some(Item::Returned { alert, incident });
                }
                // Its old place must not pull others to what is over.
                correlator.remove(alert);
            }
            if estate.topology.is_aging_due(turn.now) {
                turn.run(Item::AgeEdges);
                turn.then(Item::Place(alert));
                return None;
            }
            place(alert, correlator, alerts, estate, turn)
        }
        Item::Place(alert) => place(alert, correlator, alerts, estate, turn),
        Item::Row(alert) => {
            if let Some(known) = alerts.get(alert).filter(|known| known.is_live()) {
                correlator.touch(known, turn.now, &estate.topology);
            }
            Some(Item::Row(alert))
        }
        Item::Forget(alert) => {
            correlator.remove(alert);
            None
        }
        Item::Release(alerts) => {
            alerts.iter().for_each(|alert| correlator.remove(*alert));
            None
        }
        Item::Teach { alert, group, together, moves } => {
            let links = group.map_or_else(Vec::new, |group| correlator.links_to(alert, group, &estate.topology));
            correlator.teach(alert, &links, together);
            if moves {
                correlator.remove(alert);
            }
            None
        }
        Item::Split { incident, group } => {
            Some(Item::Parts { incident, parts: correlator.split(group, &estate.topology) })
        }
        Item::Learn(began) => {
            stats.delays_learned += learn(&began, correlator, estate);
            Some(Item::Learn(began))
        }
        Item::Due(Timer::Sweep) => {
            let closed = correlator.close_quiet(turn.now);
            if correlator.len() > 0 {
                turn.wake_sweep(turn.now.plus(SWEEP_EVERY));
            }
            Some(Item::GroupsClosed(closed))
        }
        Item::Settings => {
            correlator.reconfigure(&turn.compiled.config.correlate);
            Some(Item::Settings)
        }
        other => Some(other),
    }
}

/// Puts an alert into a group.
fn place(
    alert: u64,
    correlator: &mut Correlator,
    alerts: &Alerts,
    estate: &Estate,
    turn: &mut Turn<'_>,
) -> Option<Item> {
    let known = alerts.get(alert)?;
    let names = (&estate.names, &estate.entities);
    let assignment = correlator.assign(known, turn.now, &estate.topology, names);
    if correlator.len() == 1 {
        // There is something to sweep from now on.
        turn.wake_sweep(turn.now.plus(SWEEP_EVERY));
    }
    let closed = correlator.take_closed();
    if !closed.is_empty() {
        turn.run(Item::GroupsClosed(closed));
    }
    Some(Item::Grouped { alert, group: assignment.group, merged: assignment.merged })
}

/// Learns how long trouble took along the edges of an incident that is over; answers how many delays it held.
fn learn(began: &BTreeMap<Sym, EventTime>, correlator: &mut Correlator, estate: &Estate) -> u64 {
    let mut onsets: Vec<(Sym, EventTime)> = began.iter().map(|(entity, at)| (*entity, *at)).collect();
    onsets.sort_by_key(|(entity, at)| (*at, estate.entities.text(*entity)));
    correlator.delays.learn(&onsets, &estate.topology) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, OwnedEdge};
    use crate::signal::{AlertStatus, Relation};
    use crate::testing::{Bench, at, row};
    use crate::turn::TimerEffect;

    /// A bench where these alerts fire, each at its entity, and nothing but `dedup` has seen them.
    fn firing(alerts: &[(u64, &str)]) -> Bench {
        let mut bench = Bench::with(serde_json::json!({"correlate": {"hops_max": 2}}));
        for (alert, entity) in alerts {
            bench.take(crate::dedup::stage::take, 10, row(10, *alert, "Slow", entity, AlertStatus::Firing));
        }
        bench
    }

    fn live(bench: &mut Bench, secs: i64, alert: u64) -> Option<Item> {
        let done = bench.take(take, secs, Item::Live(alert));
        match done.items()[..] {
            // Nobody has looked at the age of edges yet.
            [Item::AgeEdges, Item::Place(_)] => {
                bench.run(secs, Item::AgeEdges);
                bench.take(take, secs, Item::Place(alert)).next
            }
            _ => done.next,
        }
    }

    #[test]
    fn alerts_of_one_time_and_place_share_a_group() {
        let mut bench = firing(&[(1, "host:a"), (2, "host:a")]);
        let Some(Item::Grouped { group: first, .. }) = live(&mut bench, 10, 1) else { panic!("it has a group") };
        let Some(Item::Grouped { group: second, merged, .. }) = live(&mut bench, 12, 2) else { panic!("so has it") };
        assert_eq!((first, merged.len()), (second, 0));
    }

    #[test]
    fn the_first_alert_of_all_starts_the_sweeping_and_a_sweep_closes_what_is_quiet() {
        let mut bench = firing(&[(1, "host:a")]);
        bench.run(10, Item::AgeEdges);
        let done = bench.take(take, 10, Item::Live(1));
        assert_eq!(done.timers(), [TimerEffect::WakeSweep(at(10 + 300))]);
        let done = bench.take(take, 86_400, Item::Due(Timer::Sweep));
        assert!(matches!(done.next, Some(Item::GroupsClosed(ref closed)) if closed.len() == 1));
        assert!(done.timers().is_empty(), "nothing is left to sweep");
    }

    #[test]
    fn what_is_forgotten_leaves_its_group() {
        let mut bench = firing(&[(1, "host:a")]);
        live(&mut bench, 10, 1);
        assert_eq!(bench.tables.correlator.len(), 1);
        assert!(bench.take(take, 11, Item::Forget(1)).nothing());
        assert_eq!(bench.tables.correlator.len(), 0);
    }

    #[test]
    fn a_judgement_is_kept_as_labels_and_moves_the_alert_where_asked() {
        let mut bench = firing(&[(1, "host:a"), (2, "host:a")]);
        live(&mut bench, 10, 1);
        let Some(Item::Grouped { group, .. }) = live(&mut bench, 11, 2) else { panic!("it has a group") };
        bench.take(take, 12, Item::Teach { alert: 2, group: Some(group), together: true, moves: false });
        assert!(bench.tables.correlator.labels().next().is_some_and(|label| label.together));
        assert_eq!(bench.tables.correlator.len(), 2);
        bench.take(take, 13, Item::Teach { alert: 2, group: Some(group), together: false, moves: true });
        assert_eq!(bench.tables.correlator.len(), 1);
    }

    #[test]
    fn trouble_that_is_over_teaches_the_delays_of_its_edges() {
        let mut bench = firing(&[]);
        let (from, to, source) = ("service:web".into(), "host:a".into(), "cmdb".into());
        let edge = OwnedEdge { from, to, relation: Relation::RunsOn, source, confidence: 1.0 };
        bench.run(1, Item::Event(Event::Edge(Box::new(edge))));
        let estate = &bench.tables.estate;
        let [host, web] = ["host:a", "service:web"].map(|id| estate.entities.get(id).expect("the edge names it"));
        let done = bench.take(take, 100, Item::Learn(BTreeMap::from([(host, at(10)), (web, at(20))])));
        assert!(matches!(done.next, Some(Item::Learn(_))), "changes learn of it too");
        assert_eq!(bench.tables.stats.delays_learned, 1);
    }
}
