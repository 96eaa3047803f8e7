//! Clocks that are wrong and senders that are late: nothing that is said goes unseen for it.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use bellwether_engine::EngineConfig;
use bellwether_engine::incident::IncidentEvent;
use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, Batch, MetricBuilder, SeriesBuilder, SeriesType, Severity, alert_fingerprint,
};
use bellwether_engine::time::{EventTime, Span};
use proptest::prelude::*;

use common::{at, engine, run};

/// How far apart ticks are in these journals, in seconds.
const TICK: i64 = 5;
/// How long the estates below are watched.
const LASTS: i64 = 900;

fn config() -> EngineConfig {
    serde_json::from_value(serde_json::json!({
        "lateness": "10s",
        "sense": {
            "rules": [{"name": "TooHot", "metric": "temp", "when": "value > 90", "severity": "critical"}],
            "heartbeats": [{"name": "Silent", "metric": "temp", "timeout": "90s", "severity": "major"}],
            "anomalies": {"enabled": false}
        },
        "ledger": {"group_wait": "1s", "major": {"incidents_min": 0}},
        "correlate": {"threshold": 0.999}
    }))
    .expect("it is a configuration")
}

/// One host: how wrong its clock is, how often it is read, and when something is wrong with it.
#[derive(Clone, Debug)]
struct Host {
    skew: i64,
    every: i64,
    delay: i64,
    hot: Vec<(i64, i64)>,
    silent: Option<(i64, i64)>,
}

/// What one journal of a live estate is made of, in the order in which it arrives.
#[derive(Default)]
struct Live {
    arrivals: BTreeMap<i64, Vec<Row>>,
}

#[derive(Clone)]
enum Row {
    /// Seconds by the sender's clock, host, value.
    Sample(i64, usize, f64),
    /// Seconds by the tool's clock, name, whether it fires.
    Alert(i64, &'static str, bool),
}

impl Live {
    fn host(&mut self, number: usize, host: &Host, skewed: bool) {
        let skew = if skewed { host.skew } else { 0 };
        for now in (0..LASTS).step_by(host.every as usize) {
            if host.silent.is_some_and(|(from, to)| (from..to).contains(&now)) {
                continue;
            }
            let hot = host.hot.iter().any(|(from, lasts)| (*from..from + lasts).contains(&now));
            let row = Row::Sample(now + skew, number, if hot { 99.0 } else { 20.0 });
            self.arrivals.entry(now + host.delay).or_default().push(row);
        }
    }

    fn alert(&mut self, now: i64, skew: i64, name: &'static str, fires: bool) {
        self.arrivals.entry(now).or_default().push(Row::Alert(now + skew, name, fires));
    }

    /// As the program writes it: ticks, and what arrives between them in batches of at most `rows_max`.
    fn journal(&self, hosts: usize, rows_max: usize) -> Vec<Input> {
        self.followed_by(600, hosts, rows_max)
    }

    /// The same, with so many seconds of silence at the end.
    fn followed_by(&self, silence: i64, hosts: usize, rows_max: usize) -> Vec<Input> {
        let mut series = SeriesBuilder::new();
        let ids: Vec<u64> = (0..hosts)
            .map(|host| {
                let (entity, name) = (format!("service:s{host}"), format!("h{host}"));
                series.push("temp", &entity, "", SeriesType::Gauge, &[("host.name", &name)])
            })
            .collect();
        let mut inputs = vec![Input::Tick(at(-TICK)), Input::Tick(at(0))];
        inputs.push(Input::Batch(series.finish("acme").expect("plain")));
        let end = self.arrivals.keys().last().copied().unwrap_or(0) + silence;
        for now in 0..=end {
            if now > 0 && now % TICK == 0 {
                inputs.push(Input::Tick(at(now)));
            }
            let rows = self.arrivals.get(&now).map(Vec::as_slice).unwrap_or_default();
            rows.chunks(rows_max).for_each(|rows| batches(rows, &ids, &mut inputs));
        }
        inputs
    }
}

fn batches(rows: &[Row], ids: &[u64], out: &mut Vec<Input>) {
    let (mut metric, mut alerts) = (MetricBuilder::new(), AlertBuilder::new());
    let mut said = false;
    for row in rows {
        match row {
            Row::Sample(secs, host, value) => metric.push(at(*secs), ids[*host], *value),
            Row::Alert(secs, name, fires) => {
                said = true;
                push_alert(&mut alerts, at(*secs), name, *fires);
            }
        }
    }
    let filled = |batch: Batch| (!batch.is_empty()).then_some(Input::Batch(batch));
    out.extend(filled(metric.finish("acme").expect("plain")));
    if said {
        out.extend(filled(alerts.finish("acme").expect("plain")));
    }
}

/// As Prometheus says it: it will end in four minutes if nothing more is said.
fn push_alert(alerts: &mut AlertBuilder, time: EventTime, name: &str, fires: bool) {
    alerts.push(&AlertRow {
        time,
        source: "prometheus",
        name,
        entity: "service:pay",
        severity: Severity::Critical,
        status: if fires { AlertStatus::Firing } else { AlertStatus::Resolved },
        fingerprint: alert_fingerprint("prometheus", name, "service:pay", &[]),
        labels: &[],
        annotations: &[("summary", "it hurts")],
        starts_at: time,
        ends_at: Some(if fires { time.plus(Span::from_mins(4)) } else { time }),
        url: None,
    });
}

/// What was told: how often alerts fired and recovered, and which.
fn told(inputs: &[Input]) -> (u64, u64, BTreeSet<String>, Vec<IncidentEvent>) {
    let mut engine = engine(config(), 1);
    let events = run(&mut engine, inputs);
    let of = |event: &IncidentEvent| {
        let alerts = event.record.alerts.iter();
        alerts.map(|alert| format!("{} {}", alert.name, alert.fingerprint)).collect::<Vec<_>>()
    };
    let alerts = events.iter().flat_map(of).collect();
    let stats = engine.stats().total;
    (stats.alerts_fired, stats.alerts_recovered + stats.alerts_expired, alerts, events)
}

fn hosts() -> impl Strategy<Value = Vec<Host>> {
    // Apart from each other: what recovers and comes again within one reading is one.
    let hot = prop::collection::vec((0..4_i64, 20..60_i64), 0..3).prop_map(|episodes| {
        let slots: BTreeMap<i64, i64> = episodes.into_iter().map(|(slot, lasts)| (60 + slot * 200, lasts)).collect();
        slots.into_iter().collect()
    });
    let silent = prop::option::weighted(0.3, (300..400_i64).prop_map(|from| (from, from + 240)));
    let host = (-600..=600_i64, 1..16_i64, 0..4_i64, hot, silent).prop_map(|(skew, every, delay, hot, silent)| Host {
        skew,
        every,
        delay,
        hot,
        silent,
    });
    prop::collection::vec(host, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Beside the same estate with right clocks; and however rows are batched.
    #[test]
    fn no_skew_within_ten_minutes_hides_an_alert_a_recovery_or_a_breach(
        hosts in hosts(),
        tool in -600..=600_i64,
        rows_max in 1..40_usize,
    ) {
        let estate = |skewed: bool| {
            let mut live = Live::default();
            hosts.iter().enumerate().for_each(|(number, host)| live.host(number, host, skewed));
            let skew = if skewed { tool } else { 0 };
            live.alert(100, skew, "PaymentsFail", true);
            live.alert(400, skew, "PaymentsSlow", true);
            live.alert(300, skew, "PaymentsFail", false);
            live
        };
        let right = told(&estate(false).journal(hosts.len(), 1_000));
        let skewed = told(&estate(true).journal(hosts.len(), 1_000));
        prop_assert_eq!(&right.2, &skewed.2);
        // Breaches of a host that is behind are told at once where they lasted, so two of them may be one.
        let behind = hosts.iter().any(|host| host.skew < 0);
        let one_for_one = if behind { skewed.0 <= right.0 } else { skewed.0 == right.0 };
        prop_assert!(one_for_one, "{} fired instead of {}", skewed.0, right.0);
        prop_assert_eq!(right.0 - right.1, skewed.0 - skewed.1, "what goes on is the same");
        let cut = told(&estate(true).journal(hosts.len(), rows_max));
        prop_assert_eq!(skewed.3, cut.3);
    }
}

fn host(skew: i64, hot: &[(i64, i64)]) -> Host {
    Host { skew, every: 1, delay: 0, hot: hot.to_vec(), silent: None }
}

/// When each alert was first told, by the sender's host and in seconds.
fn first_told(hosts: &[Host]) -> (Vec<IncidentEvent>, Vec<Input>) {
    let mut live = Live::default();
    hosts.iter().enumerate().for_each(|(number, host)| live.host(number, host, true));
    let journal = live.journal(hosts.len(), 1_000);
    (told(&journal).3, journal)
}

#[test]
fn a_fast_host_delays_nobody_and_is_told_no_later_itself() {
    for skew in [30, 420, 590] {
        let (_, journal) = first_told(&[host(0, &[(200, 60)]), host(skew, &[(300, 60)])]);
        let mut engine = engine(config(), 1);
        let mut at_second = BTreeMap::new();
        let (mut now, mut events) = (at(0), Vec::new());
        for input in &journal {
            if let Input::Tick(tick) = input {
                now = *tick;
            }
            engine.apply(input, &mut events);
            for event in events.drain(..) {
                let host = event.record.alerts[0].labels["host.name"].clone();
                at_second.entry(host).or_insert(now.since(at(0)).as_secs_f64());
            }
        }
        // The lateness, a tick, and the wait for other symptoms.
        let soon = |from: f64| from..=from + 20.0;
        assert!(soon(200.0).contains(&at_second["h0"]) && soon(300.0).contains(&at_second["h1"]), "{at_second:?}");
        let stats = engine.stats();
        let [clock] = &stats.tenants["acme"].clocks[..] else { panic!("one clock is off: {stats:?}") };
        assert_eq!(clock.name, "h1");
        assert!((clock.ahead.as_secs_f64() - skew as f64).abs() <= TICK as f64, "{clock:?}");
    }
}

#[test]
fn the_times_of_a_fast_host_are_told_as_they_were_by_ours() {
    let (events, _) = first_told(&[host(420, &[(300, 60)])]);
    let began = events[0].record.started_at.expect("it began").since(at(0)).as_secs_f64();
    assert!((295.0..=305.0).contains(&began), "{began}");
}

#[test]
fn a_host_that_was_cut_off_is_watched_in_its_own_order() {
    let mut live = Live::default();
    live.host(0, &host(0, &[]), true);
    // Ten minutes of backlog arrive within ten seconds, out of order by up to a lateness.
    for second in 0..600_i64 {
        let value = if (200..260).contains(&second) { 99.0 } else { 20.0 };
        let arrives = 620 + (second + [0, 9, 4, 7][second as usize % 4]) / 60;
        live.arrivals.entry(arrives).or_default().push(Row::Sample(second, 1, value));
    }
    live.arrivals.values_mut().for_each(|rows| rows.reverse());
    // And it goes on.
    for second in 631..LASTS {
        live.arrivals.entry(second).or_default().push(Row::Sample(second, 1, 20.0));
    }
    let (fired, recovered, _, events) = told(&live.followed_by(30, 2, 1_000));
    assert_eq!((fired, recovered), (1, 1));
    assert_eq!(events[0].record.started_at, Some(at(200)));
    assert_eq!(told(&live.followed_by(30, 2, 3)).3, events, "however it is cut");
}

#[test]
fn a_host_whose_clock_is_set_back_is_heard_again_within_minutes() {
    let mut live = Live::default();
    live.host(0, &host(0, &[]), true);
    for second in 0..LASTS {
        let by_its_clock = if second < 300 { second } else { second - 500 };
        let value = if second > 600 { 99.0 } else { 20.0 };
        live.arrivals.entry(second).or_default().push(Row::Sample(by_its_clock, 1, value));
    }
    let (fired, ..) = told(&live.followed_by(30, 2, 1_000));
    assert_eq!(fired, 1);
}

#[test]
fn a_slow_clock_is_no_silent_host_and_is_named() {
    let mut live = Live::default();
    live.host(0, &host(0, &[]), true);
    live.host(1, &Host { every: 15, ..host(-600, &[]) }, true);
    let mut engine = engine(config(), 1);
    assert_eq!(run(&mut engine, &live.followed_by(30, 2, 1_000)), []);
    let stats = engine.stats().total;
    assert_eq!(stats.off_time.left_out(), 0);
    let clocks = &engine.stats().tenants["acme"].clocks;
    assert!(clocks[0].name == "h1" && (clocks[0].ahead.as_secs_f64() + 600.0).abs() <= TICK as f64, "{clocks:?}");
}

#[test]
fn the_host_of_the_engine_itself_may_set_its_clock_back_and_forth() {
    for jump in [-3_600, -600, 480, 3_600, 356_000_000] {
        // Everything is dated by the one clock, which is wrong from 300 to 600.
        let wrong = |second: i64| if (300..600).contains(&second) { second + jump } else { second };
        let mut series = SeriesBuilder::new();
        let id = series.push("temp", "host:a", "", SeriesType::Gauge, &[]);
        let mut inputs = vec![Input::Tick(at(-TICK)), Input::Batch(series.finish("acme").expect("plain"))];
        let mut engine = engine(config(), 1);
        let mut events = Vec::new();
        let mut fired = Vec::new();
        for second in 0..LASTS {
            if second % TICK == 0 {
                inputs.push(Input::Tick(at(wrong(second))));
            }
            let hot = [100, 400, 700].iter().any(|from| (*from..from + 30).contains(&second));
            let mut metric = MetricBuilder::new();
            metric.push(at(wrong(second)), id, if hot { 99.0 } else { 20.0 });
            inputs.push(Input::Batch(metric.finish("acme").expect("plain")));
            let before = engine.watermark();
            inputs.drain(..).for_each(|input| engine.apply(&input, &mut events));
            assert!(engine.watermark() >= before, "the watermark goes back at {second}");
            if engine.stats().total.alerts_fired as usize > fired.len() {
                fired.push(second);
            }
        }
        let expected = [100, 400, 700];
        let in_time = fired.iter().zip(expected).all(|(fired, from)| (from..from + 30).contains(fired));
        assert!(fired.len() == expected.len() && in_time, "a jump of {jump}: {fired:?}");
        let stats = engine.stats().total;
        assert_eq!(stats.alerts_recovered + stats.alerts_expired, 3, "a jump of {jump}");
    }
}

/// What a tool says of one alert at 100 s and later, and two minutes in which nothing comes: how often it fired and
/// recovered.
fn said(rows: &[(i64, i64, bool)]) -> (u64, u64) {
    let mut live = Live::default();
    for (arrives, dated, fires) in rows {
        live.arrivals.entry(*arrives).or_default().push(Row::Alert(*dated, "Down", *fires));
    }
    let (fired, recovered, ..) = told(&live.followed_by(120, 0, 1));
    (fired, recovered)
}

#[test]
fn a_recovery_is_not_over_before_its_alert_begins() {
    // Nine seconds ahead is put up with, eleven are not.
    assert_eq!(said(&[(100, 109, true), (101, 112, false)]), (1, 1));
    // The tool's clock is set right in between.
    assert_eq!(said(&[(101, 701, true), (101, 101, false)]), (1, 1));
    assert_eq!(said(&[(101, 701, true), (101, 101, false), (102, 102, true)]), (2, 1));
}

#[test]
fn what_comes_late_together_ends_as_it_was_last_said() {
    assert_eq!(said(&[(400, 100, false), (400, 160, true)]), (1, 0));
    assert_eq!(said(&[(400, 160, true), (400, 100, false)]), (1, 0));
    assert_eq!(said(&[(400, 160, false), (400, 100, true)]), (1, 1));
}

#[test]
fn time_in_which_nobody_listened_is_no_silence() {
    let mut live = Live::default();
    live.host(0, &host(0, &[]), true);
    // The program is away for half an hour: its first tick comes before anything else.
    let away = Span::from_mins(30);
    let later = |input: Input| match input {
        Input::Tick(at) => Input::Tick(at.plus(away)),
        other => other,
    };
    let mut inputs = live.followed_by(0, 1, 1_000);
    inputs.extend((1..10).map(|tick| later(Input::Tick(at(LASTS + tick * TICK)))));
    let mut engine = engine(config(), 1);
    let mut events = Vec::new();
    inputs.iter().for_each(|input| engine.apply(input, &mut events));
    assert_eq!(events, []);
    // A minute and a half later it is one.
    let rest = (10..40).map(|tick| later(Input::Tick(at(LASTS + tick * TICK))));
    rest.for_each(|input| engine.apply(&input, &mut events));
    assert_eq!(events.len(), 1);
}

#[test]
fn a_restart_with_late_samples_waiting_changes_nothing() {
    let (events, journal) = first_told(&[host(0, &[]), host(-300, &[(200, 60), (500, 60)]), host(300, &[(240, 60)])]);
    let threads = std::num::NonZeroUsize::MIN;
    for cut in [journal.len() / 3, journal.len() / 2, journal.len() - 40] {
        let mut first = engine(config(), 1);
        let mut told = Vec::new();
        journal[..cut].iter().for_each(|input| first.apply(input, &mut told));
        let mut second = bellwether_engine::Engine::restore(config(), threads, &first.snapshot()).expect("it restores");
        assert_eq!(second.digest(), first.digest());
        journal[cut..].iter().for_each(|input| second.apply(input, &mut told));
        second.finish(&mut told);
        assert_eq!(told, events, "cut at {cut}");
    }
}
