//! The table of alerts, by its facts.

use super::*;
use crate::alert::Sensed;
use crate::signal::Severity;

struct Bench {
    alerts: Alerts,
    names: Symbols,
    entities: Symbols,
    bytes_max: usize,
}

impl Bench {
    fn new(capacity: usize) -> Bench {
        Bench {
            alerts: Alerts::new(capacity, 2),
            names: Symbols::new(100),
            entities: Symbols::new(100),
            bytes_max: usize::MAX,
        }
    }

    fn push(&mut self, fingerprint: u64, at: i64, status: AlertStatus, severity: Severity) -> News {
        let sensed = Sensed {
            name: "DiskFull".into(),
            entity: "host:a".into(),
            severity,
            status,
            fingerprint,
            starts_at: EventTime::from_secs(at),
            ends_at: None,
            late: Span::ZERO,
            labels: Box::default(),
            summary: "disk is full".into(),
            message: Box::default(),
            observation: None,
        };
        let now = EventTime::from_secs(at);
        let config = DedupConfig::default();
        let row = AlertRow::Own(&sensed);
        let (news, _) = self.alerts.observe(&row, now, &config, self.bytes_max, &mut self.names, &mut self.entities);
        news
    }
}

#[test]
fn a_second_copy_is_counted_and_dropped() {
    let mut bench = Bench::new(10);
    assert_eq!(bench.push(1, 0, AlertStatus::Firing, Severity::Minor), News::Fired);
    assert_eq!(bench.push(1, 1, AlertStatus::Firing, Severity::Minor), News::Repeat);
    assert_eq!(bench.push(1, 2, AlertStatus::Firing, Severity::Major), News::Worse);
    assert_eq!(bench.push(1, 3, AlertStatus::Resolved, Severity::Major), News::Recovered);
    assert_eq!(bench.push(1, 4, AlertStatus::Firing, Severity::Major), News::FiredAgain);
    assert_eq!(bench.alerts.get(1).map(|a| a.count), Some(5));
    assert_eq!(bench.push(2, 5, AlertStatus::Resolved, Severity::Major), News::UnknownRecovery);
}

#[test]
fn the_recovered_make_room_before_the_firing() {
    let mut bench = Bench::new(2);
    bench.push(1, 0, AlertStatus::Firing, Severity::Minor);
    bench.push(2, 1, AlertStatus::Firing, Severity::Minor);
    bench.push(2, 2, AlertStatus::Resolved, Severity::Minor);
    bench.push(3, 3, AlertStatus::Firing, Severity::Minor);
    assert!(bench.alerts.get(1).is_some() && bench.alerts.get(2).is_none());
    bench.push(4, 4, AlertStatus::Firing, Severity::Minor);
    assert!(bench.alerts.get(1).is_none(), "the oldest of the firing goes next");
    assert_eq!((bench.alerts.len(), bench.alerts.evicted()), (2, 2));
}

#[test]
fn the_recovery_of_an_alert_whose_details_were_shed_is_known() {
    let mut bench = Bench::new(2);
    for (number, at) in [(1, 0), (2, 1), (3, 2)] {
        assert_eq!(bench.push(number, at, AlertStatus::Firing, Severity::Minor), News::Fired);
    }
    assert_eq!((bench.alerts.shed_len(), bench.alerts.lost()), (1, 0));
    assert_eq!(bench.push(1, 3, AlertStatus::Firing, Severity::Minor), News::ShedRepeat, "no room for details");
    assert!(matches!(bench.push(1, 4, AlertStatus::Resolved, Severity::Minor), News::ShedRecovered(_)));
    assert_eq!(bench.push(1, 5, AlertStatus::Resolved, Severity::Minor), News::UnknownRecovery);
}

#[test]
fn details_come_back_where_there_is_room_and_states_beyond_the_limit_are_counted() {
    let mut bench = Bench::new(1);
    for number in 1..=4 {
        bench.push(number, number as i64, AlertStatus::Firing, Severity::Minor);
    }
    assert_eq!((bench.alerts.shed_len(), bench.alerts.lost()), (2, 1), "two states are kept, the oldest is lost");
    bench.alerts.set_capacity(2, 2);
    assert_eq!(bench.push(3, 9, AlertStatus::Firing, Severity::Minor), News::Recalled);
    assert!(bench.alerts.get(3).is_some() && bench.alerts.shed(3).is_none());
    assert_eq!(bench.push(1, 10, AlertStatus::Resolved, Severity::Minor), News::UnknownRecovery);
}

#[test]
fn alerts_within_their_number_make_room_when_their_texts_are_too_much() {
    let mut bench = Bench::new(1_000);
    bench.push(0, 0, AlertStatus::Firing, Severity::Minor);
    let one = bench.alerts.bytes();
    bench.bytes_max = 10 * one;
    for number in 1..100 {
        bench.push(number, number as i64, AlertStatus::Firing, Severity::Minor);
        assert!(bench.alerts.bytes() <= bench.bytes_max);
    }
    assert_eq!((bench.alerts.len(), bench.alerts.evicted()), (10, 90));
    let kept = postcard::to_stdvec(&bench.alerts).expect("it saves");
    let mut back: Alerts = postcard::from_bytes(&kept).expect("it reads");
    back.reindex();
    assert_eq!(back.bytes(), bench.alerts.bytes(), "a restored table sheds what this one would have");
    bench.bytes_max = 3 * one;
    bench.push(100, 100, AlertStatus::Firing, Severity::Minor);
    assert_eq!(bench.alerts.len(), 3, "as many as it takes");
    (0..=100).for_each(|number| drop(bench.alerts.forget(number)));
    assert_eq!(bench.alerts.bytes(), 0);
}

#[test]
fn a_million_fingerprints_stay_within_the_limit() {
    let mut bench = Bench::new(1_000);
    for i in 0..100_000_i64 {
        bench.push(i as u64, i, AlertStatus::Firing, Severity::Minor);
    }
    assert_eq!(bench.alerts.len(), 1_000);
    assert!(bench.alerts.seen.len() <= 2_001 && bench.alerts.slots.len() == 1_000);
}

#[test]
fn silence_long_enough_is_a_recovery() {
    let mut bench = Bench::new(10);
    bench.push(1, 0, AlertStatus::Firing, Severity::Minor);
    assert!(!bench.alerts.expire(1, EventTime::from_secs(3600)));
    assert!(bench.alerts.expire(1, EventTime::from_secs(24 * 3600)));
    assert!(bench.alerts.get(1).is_some_and(|a| !a.is_firing()));
}
