//! What must hold of every simulation.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_engine::signal::{AlertColumns, AlertStatus, ChangeColumns, MetricColumns, SignalKind};

use super::*;
use crate::estate::{EstateParams, Kind, Metric, random_estate};
use crate::faults::FaultKind;

fn bytes(plan: Plan) -> (Vec<u8>, Truth) {
    let mut simulation = Simulation::new(plan);
    let mut bytes = Vec::new();
    for input in simulation.by_ref() {
        input.encode(&mut bytes);
    }
    (bytes, simulation.into_truth())
}

fn random(seed: u64, entities: usize, faults: usize) -> Plan {
    Plan::random(&PlanParams::new(seed, entities, faults)).expect("a size within the limits")
}

/// One fault on the first item that can have it, in a quiet estate.
fn single(kind: FaultKind) -> Plan {
    let estate = random_estate(&EstateParams { seed: 3, entities: 150, tenants: 1 }).expect("150 is enough");
    let entity = estate
        .entities
        .iter()
        .position(|e| kind.spec().targets.contains(&e.kind))
        .expect("the estate has a target for each kind");
    let mut plan = Plan::quiet(3, estate, Span::from_mins(55));
    plan.faults.push(PlannedFault {
        kind,
        entity,
        at: plan.minute(10, 0),
        lasts: Span::from_mins(32),
        strength: 1.0,
        change: None,
    });
    plan
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let (one, truth_one) = bytes(random(11, 120, 3));
    let (two, truth_two) = bytes(random(11, 120, 3));
    assert!(one == two);
    assert_eq!(truth_one, truth_two);
    let (other, _) = bytes(random(12, 120, 3));
    assert!(one != other);
}

#[test]
fn a_quiet_estate_raises_no_alert() {
    let estate = random_estate(&EstateParams { seed: 8, entities: 200, tenants: 1 }).expect("200 is enough");
    let truth = Simulation::new(Plan::quiet(8, estate, Span::from_hours(26))).into_truth();
    assert_eq!(truth.alerts, vec![]);
}

#[test]
fn every_kind_of_fault_is_seen_by_some_tool() {
    for kind in FaultKind::ALL {
        let truth = Simulation::new(single(kind)).into_truth();
        let fault = &truth.faults[0];
        assert!(fault.firings > 0, "{}", kind.spec().name);
        assert_eq!(truth.alerts.len() as u64, fault.firings, "{}: nothing else is wrong", kind.spec().name);
    }
}

#[test]
fn alerts_come_from_what_the_fault_touches() {
    for kind in FaultKind::ALL.into_iter().filter(|k| *k != FaultKind::MonitoringFailure) {
        let truth = Simulation::new(single(kind)).into_truth();
        let fault = &truth.faults[0];
        let mut touched: BTreeSet<&str> = fault.affected.iter().map(|a| a.entity.as_str()).collect();
        touched.insert(&fault.cause);
        for alert in &truth.alerts {
            assert!(touched.contains(alert.entity.as_str()), "{}: {}", kind.spec().name, alert.entity);
        }
    }
}

#[test]
fn every_alert_in_the_journal_is_in_the_truth_and_recovers() {
    let mut simulation = Simulation::new(random(21, 150, 3));
    let mut last: BTreeMap<u64, (EventTime, AlertStatus)> = BTreeMap::new();
    for input in simulation.by_ref() {
        let Input::Batch(batch) = input else { continue };
        if batch.kind() != SignalKind::Alert {
            continue;
        }
        let alerts = AlertColumns::of(&batch);
        for row in 0..alerts.len() {
            let word = (EventTime(alerts.time[row]), alerts.status(row).expect("a known word"));
            let latest = last.entry(alerts.fingerprint[row]).or_insert(word);
            *latest = (*latest).max(word);
        }
    }
    let truth = simulation.into_truth();
    let known: BTreeSet<String> = truth.alerts.iter().map(|a| a.fingerprint.clone()).collect();
    let seen: BTreeSet<String> = last.keys().map(|f| format!("{f:016x}")).collect();
    assert_eq!(known, seen);
    let recovered = last.values().filter(|(_, status)| *status == AlertStatus::Resolved).count();
    assert!(recovered * 10 >= last.len() * 8, "{recovered} of {}", last.len());
}

#[test]
fn alerts_flap_and_come_twice_and_faults_overlap() {
    let mut twice = 0;
    let mut said = BTreeSet::new();
    let mut simulation = Simulation::new(random(21, 600, 4));
    for input in simulation.by_ref() {
        let Input::Batch(batch) = input else { continue };
        if batch.kind() == SignalKind::Alert {
            let alerts = AlertColumns::of(&batch);
            let words = (0..alerts.len()).map(|row| {
                let status = alerts.status(row).expect("a known word");
                (alerts.fingerprint[row], alerts.time[row], status == AlertStatus::Firing)
            });
            twice += words.filter(|word| !said.insert(*word)).count();
        }
    }
    assert!(twice * 200 >= said.len(), "{twice} copies of {}", said.len());
    let truth = simulation.into_truth();
    let mut noise: BTreeMap<&str, usize> = BTreeMap::new();
    for alert in truth.alerts.iter().filter(|alert| alert.fault.is_none()) {
        *noise.entry(&alert.fingerprint).or_default() += 1;
    }
    assert!(noise.values().any(|firings| *firings >= 5), "nothing flaps: {noise:?}");
    let overlap = |seed| {
        let plan = random(seed, 100, 6);
        plan.faults.windows(2).any(|pair| pair[1].at < pair[0].at.plus(pair[0].lasts))
    };
    assert!((0..10).filter(|seed| overlap(*seed)).count() >= 5, "faults hardly overlap");
}

#[test]
fn what_arrives_is_never_later_than_promised() {
    let plan = random(31, 150, 3);
    // The slowest tool, its clock behind, a long way round and a second copy.
    let latest = Span::from_secs(20 + 5 + 3).plus_late(&plan);
    let mut newest = EventTime::MIN;
    for input in Simulation::new(plan) {
        let times: Vec<i64> = match &input {
            Input::Batch(batch) if batch.kind() == SignalKind::Alert => AlertColumns::of(batch).time.to_vec(),
            Input::Batch(batch) if batch.kind() == SignalKind::Metric => MetricColumns::of(batch).time.to_vec(),
            Input::Tick(at) => vec![at.0],
            _ => Vec::new(),
        };
        for time in times {
            assert!(newest <= EventTime(time).plus(latest), "{newest} {}", EventTime(time));
            newest = newest.max(EventTime(time));
        }
    }
}

trait PlusLate {
    fn plus_late(self, plan: &Plan) -> Span;
}

impl PlusLate for Span {
    fn plus_late(self, plan: &Plan) -> Span {
        Span(self.0 + plan.noise.late_max.0 + STEP.0)
    }
}

#[test]
fn a_fault_after_a_change_names_it() {
    let plan = random(41, 300, 20);
    let announced: BTreeSet<String> =
        plan.faults.iter().filter_map(|f| f.change.as_ref()).map(|c| c.id.clone()).collect();
    assert!(!announced.is_empty());
    let mut told = BTreeSet::new();
    let mut simulation = Simulation::new(plan);
    for input in simulation.by_ref() {
        if let Input::Batch(batch) = input
            && batch.kind() == SignalKind::Change
        {
            let changes = ChangeColumns::of(&batch);
            told.extend((0..batch.len()).map(|row| changes.row(row).id.to_owned()));
        }
    }
    let truth = simulation.into_truth();
    let named: BTreeSet<String> = truth.faults.iter().filter_map(|f| f.change.clone()).collect();
    assert_eq!(named, announced);
    assert!(announced.is_subset(&told));
}

#[test]
fn readings_show_the_season_and_the_fault() {
    let mut plan = single(FaultKind::SlowDisk);
    plan.lasts = Span::from_mins(40);
    let host = plan.faults[0].entity;
    assert_eq!(plan.estate.entities[host].kind, Kind::Host);
    let (name, _) = Metric::DiskLatency.series().expect("exported");
    let series = series_id(name, &plan.estate.entities[host].id, &[]);
    let begins = plan.faults[0].at;
    let (mut before, mut during) = (Vec::new(), Vec::new());
    for input in Simulation::new(plan) {
        let Input::Batch(batch) = input else { continue };
        if batch.kind() != SignalKind::Metric {
            continue;
        }
        let samples = MetricColumns::of(&batch);
        for (row, _) in samples.series.iter().enumerate().filter(|(_, s)| **s == series) {
            let list = if samples.time[row] < begins.0 { &mut before } else { &mut during };
            list.push(samples.value[row]);
        }
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(before.len() >= 9 && during.len() >= 20);
    assert!(mean(&during) > 10.0 * mean(&before));
}
