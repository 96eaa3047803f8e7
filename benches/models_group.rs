//! Alerts per second through dedup and correlation, and the worst of one alert.
//!
//! An estate of 10,000 entities: services in layers that call two or three of
//! the layer below and run on hosts, ten services to a host. A storm is a
//! stream in which half of the alerts repeat one of the last thousand and half
//! are new, from entities around a few faults that move on every second; 1,666
//! alerts a second of event time, which is 100,000 in a minute.
//! Throughput is alerts; the p99 of one alert's path is printed once before.

#![allow(clippy::print_stderr)] // figures beside criterion's

use bellwether_models::group::{
    AlertView, Begins, Distance, GroupParams, Grouper, Names, name_hash, names_in, tokenize,
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hdrhistogram::Histogram;
use std::hint::black_box;
use std::time::Instant;

const SERVICES: u32 = 9_000;
const HOSTS: u32 = 1_000;
const LAYER: u32 = 1_500;
const ALERTS: usize = 100_000;

/// A deterministic stream of numbers (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % u64::from(limit.max(1))) as u32
    }
}

/// Links of the estate, both ways.
struct Estate(Vec<Vec<u32>>);

impl Estate {
    fn new() -> Self {
        let mut links = vec![Vec::new(); (SERVICES + HOSTS) as usize];
        let mut numbers = Numbers(1);
        for service in 0..SERVICES {
            let mut link = |other: u32| {
                links[service as usize].push(other);
                links[other as usize].push(service);
            };
            link(SERVICES + service % HOSTS);
            if service >= LAYER {
                let layer = (service / LAYER - 1) * LAYER;
                for _ in 0..2 + service % 2 {
                    link(layer + numbers.below(LAYER));
                }
            }
        }
        Self(links)
    }
}

impl Distance for Estate {
    fn within(&self, entity: u32, hops_max: u8, out: &mut Vec<(u32, f32)>) {
        let (first, mut wave) = (out.len(), vec![entity]);
        for hop in 1..=hops_max {
            let mut next = Vec::new();
            for at in wave {
                for &other in &self.0[at as usize] {
                    if other != entity && !out[first..].iter().any(|(seen, _)| *seen == other) {
                        out.push((other, f32::from(hop)));
                        next.push(other);
                    }
                }
            }
            wave = next;
        }
    }

    fn knows(&self, entity: u32) -> bool {
        entity < SERVICES + HOSTS
    }
}

/// One alert of the storm.
struct Alert {
    id: u64,
    time_ns: i64,
    kind: u32,
    entity: u32,
    tokens: Vec<u32>,
    own: u32,
    mentioned: Vec<u32>,
}

impl Alert {
    fn view(&self) -> AlertView<'_> {
        let names = Names { own: self.own, mentioned: &self.mentioned };
        let (tokens, entity) = (self.tokens.as_slice(), self.entity);
        AlertView {
            id: self.id,
            time_ns: self.time_ns,
            begins: Begins::Anywhere,
            kind: self.kind,
            entity,
            tokens,
            names,
        }
    }
}

fn storm(estate: &Estate) -> Vec<Alert> {
    let mut numbers = Numbers(7);
    let mut alerts: Vec<Alert> = Vec::with_capacity(ALERTS);
    let mut faults = vec![0_u32; 5];
    for index in 0..ALERTS {
        if index % 1_666 == 0 {
            faults = (0..5).map(|_| numbers.below(SERVICES)).collect();
        }
        let time_ns = index as i64 * 600_000;
        let repeated = index > 1_000 && numbers.below(2) == 0;
        let (entity, kind) = if repeated {
            let old = &alerts[index - 1 - numbers.below(1_000) as usize];
            (old.entity, old.kind)
        } else {
            let mut entity = faults[numbers.below(5) as usize];
            for _ in 0..numbers.below(4) {
                let links = &estate.0[entity as usize];
                entity = links[numbers.below(links.len() as u32) as usize];
            }
            (entity, numbers.below(40))
        };
        let mut tokens = Vec::new();
        // Every second alert names a neighbour.
        let neighbour = estate.0[entity as usize].first().filter(|_| kind % 2 == 0);
        let upstream = neighbour.map(|other| format!(" waiting for svc-{other}")).unwrap_or_default();
        let text = format!("alarm {kind}: latency of svc-{entity} above limit{upstream}");
        tokenize(&text, &mut tokens);
        let (own, mut mentioned) = (name_hash(&format!("svc-{entity}")), Vec::new());
        names_in(&text, own, |_| false, &mut mentioned);
        let id = u64::from(entity) << 32 | u64::from(kind);
        alerts.push(Alert { id, time_ns, kind, entity, tokens, own, mentioned });
    }
    alerts
}

fn run(estate: &Estate, alerts: &[Alert], mut grouper: Grouper) -> Grouper {
    for alert in alerts {
        black_box(grouper.assign(&alert.view(), estate));
    }
    grouper
}

/// Prints the p99 and the worst of one alert's path, after a warm-up.
fn report_latency(estate: &Estate, alerts: &[Alert]) {
    let mut histogram = Histogram::<u64>::new(3).expect("three digits are allowed");
    let mut grouper = Grouper::new(GroupParams::default());
    for alert in alerts {
        let start = Instant::now();
        black_box(grouper.assign(&alert.view(), estate));
        histogram.saturating_record(start.elapsed().as_nanos() as u64);
    }
    let micros = |share| histogram.value_at_quantile(share) as f64 / 1000.0;
    let counters = grouper.counters();
    eprintln!(
        "one alert: p50 {:.1} µs, p99 {:.1} µs, max {:.0} µs; {} repeats, {} groups opened, {} merged, {} pairs",
        micros(0.5),
        micros(0.99),
        histogram.max() as f64 / 1000.0,
        counters.repeats,
        counters.opened,
        counters.merged,
        counters.pairs,
    );
}

fn bench(criterion: &mut Criterion) {
    let estate = Estate::new();
    let alerts = storm(&estate);
    report_latency(&estate, &alerts);
    let mut group = criterion.benchmark_group("models_group");
    group.throughput(Throughput::Elements(ALERTS as u64)).sample_size(10);
    group.bench_function("storm_10k_entities", |bencher| {
        let fresh = || Grouper::new(GroupParams::default());
        bencher.iter_batched(fresh, |grouper| run(&estate, &alerts, grouper), BatchSize::LargeInput);
    });
    let repeats: Vec<Alert> = alerts
        .iter()
        .take(ALERTS)
        .enumerate()
        .map(|(index, alert)| {
            let first = &alerts[index % 1_000];
            let (id, kind, entity, own) = (first.id, first.kind, first.entity, first.own);
            Alert { id, time_ns: alert.time_ns, kind, entity, tokens: Vec::new(), own, mentioned: Vec::new() }
        })
        .collect();
    group.bench_function("repeats_only", |bencher| {
        let fresh = || Grouper::new(GroupParams::default());
        bencher.iter_batched(fresh, |grouper| run(&estate, &repeats, grouper), BatchSize::LargeInput);
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
