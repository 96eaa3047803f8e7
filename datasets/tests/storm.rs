//! A storm: 100,000 alerts within one minute over an estate of 10,000 entities. The engine stays
//! within a stated amount of memory, knows each recovery as one, and leaves nothing open.
//!
//! Once with the default tables, which hold the storm, and once with tables a tenth of its size:
//! there the details of alerts are shed and counted, and their recoveries still end what they began.
//! Alone in its file, because it looks at the memory of its process.

#![allow(clippy::print_stderr)] // the figures are what people look for

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_datasets::estate::{EstateParams, random_estate};
use bellwether_datasets::simulation::Plan;
use bellwether_datasets::simulation::inventory_of;
use bellwether_engine::incident::{IncidentEvent, IncidentStatus};
use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, EdgeBuilder, EdgeRow, Severity, alert_fingerprint,
};
use bellwether_engine::time::{EventTime, Span};
use bellwether_engine::{Engine, EngineConfig, TenantStats};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

const ENTITIES: usize = 10_000;
const ALERTS: usize = 100_000;
const RULES: [&str; 10] = [
    "HighLatency",
    "ErrorRate",
    "Unreachable",
    "HighCpu",
    "MemoryLow",
    "QueueGrows",
    "ProbeFailed",
    "PacketLoss",
    "Restarted",
    "ConnectionsRefused",
];

/// What the whole process may have held at its worst, the estate and the rows of the storm included.
const PEAK_MIB_MAX: u64 = 256;

/// Both runs look at one memory: one after the other.
static ALONE: Mutex<()> = Mutex::new(());

fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// One alert of the storm: milliseconds of its beginning and end, rule, entity.
struct Strike {
    fires_ms: i64,
    recovers_ms: i64,
    rule: usize,
    entity: usize,
}

struct Storm {
    plan: Plan,
    strikes: Vec<Strike>,
}

impl Storm {
    /// Each entity raises each of ten rules once within the minute, and recovers from it 5 to 15 minutes later.
    fn new(seed: u64) -> Storm {
        let estate = random_estate(&EstateParams { seed, entities: ENTITIES, tenants: 1 }).expect("10,000 are allowed");
        let entities = estate.entities.len();
        let plan = Plan::quiet(seed, estate, Span::from_mins(60));
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut below = |most: u64| (rng.next_u64() % most) as i64;
        let strikes = (0..ALERTS)
            .map(|i| {
                let fires_ms = below(60_000);
                let recovers_ms = fires_ms + 300_000 + below(600_000);
                Strike { fires_ms, recovers_ms, rule: i / entities % RULES.len(), entity: i % entities }
            })
            .collect();
        Storm { plan, strikes }
    }

    fn at(&self, millis: i64) -> EventTime {
        self.plan.start.plus(Span(millis * 1_000_000))
    }

    fn told(&self) -> Vec<Input> {
        let told = inventory_of(&self.plan, 0);
        let mut edges = EdgeBuilder::new();
        for edge in &told.discovered {
            edges.push(&EdgeRow {
                time: self.plan.start,
                from: &edge.from,
                to: &edge.to,
                relation: edge.relation,
                source: "cluster",
                confidence: edge.confidence,
            });
        }
        let catalogue = Arc::new(told.catalogue);
        vec![
            Input::Catalogue { tenant: "acme".into(), at: self.plan.start, catalogue },
            Input::Batch(edges.finish("acme").expect("the tenant is plain")),
        ]
    }

    /// All rows in order of time, a batch for each second.
    fn rows(&self) -> impl Iterator<Item = Input> {
        let mut seconds: BTreeMap<i64, Vec<(i64, usize, AlertStatus)>> = BTreeMap::new();
        for (number, strike) in self.strikes.iter().enumerate() {
            for (at, status) in [(strike.fires_ms, AlertStatus::Firing), (strike.recovers_ms, AlertStatus::Resolved)] {
                seconds.entry(at / 1_000).or_default().push((at, number, status));
            }
        }
        seconds.into_values().map(|mut rows| {
            rows.sort_by_key(|row| (row.0, row.1));
            let mut builder = AlertBuilder::new();
            for (at, number, status) in rows {
                let strike = &self.strikes[number];
                let (rule, entity) = (RULES[strike.rule], &self.plan.estate.entities[strike.entity].id);
                builder.push(&AlertRow {
                    time: self.at(at),
                    source: "storm",
                    name: rule,
                    entity,
                    severity: [Severity::Major, Severity::Critical, Severity::Minor][strike.rule % 3],
                    status,
                    fingerprint: alert_fingerprint("storm", rule, entity, &[]),
                    labels: &[("region", "eu"), ("check", rule)],
                    annotations: &[("summary", "a threshold was crossed")],
                    starts_at: self.at(strike.fires_ms),
                    ends_at: None,
                    url: None,
                });
            }
            Input::Batch(builder.finish("acme").expect("the tenant is plain"))
        })
    }
}

struct Outcome {
    stats: TenantStats,
    last: BTreeMap<String, (IncidentStatus, u64)>,
    events: usize,
    largest: usize,
}

fn play(config: EngineConfig) -> Outcome {
    let storm = Storm::new(11);
    let mut engine = Engine::new(config, NonZeroUsize::new(2).expect("two")).expect("sound settings");
    let mut outcome = Outcome { stats: TenantStats::default(), last: BTreeMap::new(), events: 0, largest: 0 };
    let mut note = |engine: &mut Engine, input: &Input| {
        let mut events: Vec<IncidentEvent> = Vec::new();
        engine.apply(input, &mut events);
        outcome.events += events.len();
        for event in events {
            outcome.largest = outcome.largest.max(event.record.entities.len());
            let known = outcome.last.insert(event.record.id.clone(), (event.record.status, event.record.revision));
            assert_eq!(known.map_or(1, |(_, revision)| revision + 1), event.record.revision, "{}", event.record.id);
        }
    };
    let begun = std::time::Instant::now();
    for input in storm.told() {
        note(&mut engine, &input);
    }
    for input in storm.rows() {
        note(&mut engine, &input);
    }
    for minute in 16..60 {
        note(&mut engine, &Input::Tick(storm.at(minute * 60_000)));
    }
    outcome.stats = engine.stats().tenants["acme"].clone();
    let (stats, events) = (&outcome.stats, outcome.events);
    eprintln!(
        "{} fired, {} recovered, {} unknown recoveries, shed {:?}, {} incidents opened, {events} events, {:.1} s, peak {} MiB",
        stats.alerts_fired,
        stats.alerts_recovered,
        stats.recoveries_unknown,
        stats.evicted,
        stats.incidents_opened,
        begun.elapsed().as_secs_f64(),
        peak_mib().map_or_else(|| "unknown".to_owned(), |mib| mib.to_string())
    );
    outcome
}

fn nothing_stays_open(outcome: &Outcome) {
    assert!(outcome.stats.incidents_opened > 0, "a storm that nobody was told of");
    assert_eq!(outcome.stats.incidents_live, 0);
    for (id, (status, revision)) in &outcome.last {
        let over = matches!(status, IncidentStatus::Resolved | IncidentStatus::Merged | IncidentStatus::Closed);
        assert!(over, "{id} is {status:?} in its last revision, {revision}");
    }
    if let Some(peak) = peak_mib() {
        assert!(peak <= PEAK_MIB_MAX, "{peak} MiB at the worst, {PEAK_MIB_MAX} are stated");
    }
}

#[test]
fn a_storm_that_the_tables_hold_keeps_every_recovery_within_its_memory() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = play(EngineConfig::default());
    let stats = &outcome.stats;
    assert_eq!((stats.alerts_fired, stats.alerts_recovered), (ALERTS as u64, ALERTS as u64));
    assert_eq!((stats.recoveries_unknown, stats.evicted["alerts"]), (0, 0));
    nothing_stays_open(&outcome);
}

#[test]
fn a_storm_ten_times_the_tables_still_knows_every_recovery() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut config = EngineConfig::default();
    config.limits.alerts_max = ALERTS / 10;
    let outcome = play(config);
    let stats = &outcome.stats;
    assert_eq!((stats.alerts_fired, stats.alerts_recovered), (ALERTS as u64, ALERTS as u64));
    assert_eq!((stats.recoveries_unknown, stats.evicted["alert_states"]), (0, 0));
    assert!(stats.evicted["alerts"] >= (ALERTS - ALERTS / 10) as u64, "what was shed is counted");
    nothing_stays_open(&outcome);
}

#[test]
fn states_that_find_no_room_are_counted_and_hold_nothing_open() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut config = EngineConfig::default();
    config.limits.alerts_max = ALERTS / 10;
    config.limits.alerts_shed_max = ALERTS / 10;
    let outcome = play(config);
    let stats = &outcome.stats;
    let lost = stats.evicted["alert_states"];
    assert!(lost > 0, "four fifths of the storm fit nowhere");
    assert_eq!(stats.recoveries_unknown, lost, "each state lost is one recovery unknown, and no other is");
    assert_eq!(stats.alerts_recovered + lost, ALERTS as u64);
    nothing_stays_open(&outcome);
}
