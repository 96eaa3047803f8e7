//! What a tenant's tables hold in bytes: the estimates are near to what the allocator is asked for, and a
//! tenant that sends without end stays within its limit, whatever it sends.
//!
//! The tests of this file run one after the other: they look at the allocator of their process.

// An allocator that counts; the figures are what people look for.
#![allow(unsafe_code, clippy::print_stdout)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, ChangeBuilder, ChangeRow, EdgeBuilder, EdgeRow, LogBuilder, LogRow,
    MetricBuilder, Relation, SeriesBuilder, SeriesType, Severity,
};
use bellwether_engine::{Engine, EngineConfig, TenantStats};

use common::at;

struct Counting;

static TAKEN: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        TAKEN.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test at a time.
static ALONE: Mutex<()> = Mutex::new(());

const MIB: usize = 1 << 20;

fn engine(settings: serde_json::Value) -> Engine {
    let config: EngineConfig = serde_json::from_value(settings).expect("they are settings");
    Engine::new(config, NonZeroUsize::MIN).expect("sound settings")
}

fn apply(engine: &mut Engine, input: Input) {
    engine.apply(&input, &mut Vec::new());
}

fn stats(engine: &Engine) -> TenantStats {
    engine.stats().tenants.remove("acme").unwrap_or_default()
}

fn held(engine: &Engine) -> usize {
    stats(engine).bytes.values().sum::<u64>() as usize
}

/// Alerts `from..to`, each of a service of its own, with `text` as its description.
fn alerts(from: u64, to: u64, secs: i64, text: &str) -> Input {
    let mut builder = AlertBuilder::new();
    for number in from..to {
        let (entity, pod) = (format!("service:shop-{number}"), format!("shop-{number}-7d9f"));
        let labels = [("cluster", "eu-1"), ("job", "kubernetes-pods"), ("namespace", "shop"), ("pod", &*pod)];
        let name = format!("Alert{}", number % 97);
        builder.push(&AlertRow {
            time: at(secs),
            source: "prometheus",
            name: &name,
            entity: &entity,
            severity: Severity::Minor,
            status: AlertStatus::Firing,
            fingerprint: number,
            labels: &labels,
            annotations: &[("description", text), ("summary", "requests take longer than they should")],
            starts_at: at(secs),
            ends_at: None,
            url: Some("http://prometheus.example/graph?g0.expr=rate%28http_requests_total%5B5m%5D%29&g0.tab=1"),
        });
    }
    Input::Batch(builder.finish("acme").expect("a plain name"))
}

fn series(from: u64, to: u64) -> (Input, Vec<u64>) {
    let mut builder = SeriesBuilder::new();
    let ids = (from..to).map(|number| {
        let (entity, path) = (format!("host:web-{number}"), format!("/api/v1/items/{number}"));
        let labels = [("instance", "10.0.0.7:9100"), ("job", "node"), ("method", "GET"), ("path", &*path)];
        builder.push("http_request_duration_seconds", &entity, "s", SeriesType::Gauge, &labels)
    });
    let ids = ids.collect();
    (Input::Batch(builder.finish("acme").expect("a plain name")), ids)
}

fn edges(from: u64, to: u64) -> Input {
    let mut builder = EdgeBuilder::new();
    for number in from..to {
        let (from, to) = (format!("service:shop-{number}"), format!("host:node-{}", number * 7_919 % 100_003));
        let (relation, source) = (Relation::RunsOn, "kubernetes");
        builder.push(&EdgeRow { time: at(1), from: &from, to: &to, relation, source, confidence: 0.9 });
    }
    Input::Batch(builder.finish("acme").expect("a plain name"))
}

/// Lines that share no words: each is a template of its own.
fn lines(from: u64, to: u64, secs: i64) -> Input {
    let mut builder = LogBuilder::new();
    for number in from..to {
        let word = |n: u64| {
            (0..7).map(|i| char::from(b'a' + ((number * 31 + n * 17) >> (3 * i)) as u8 % 26)).collect::<String>()
        };
        let body = (0..9).map(word).collect::<Vec<_>>().join(" ");
        let entity = format!("service:log-{}", number % 211);
        builder.push(&LogRow {
            time: at(secs),
            entity: &entity,
            severity: 17,
            body: &body,
            attributes: &[],
            trace_id: None,
        });
    }
    Input::Batch(builder.finish("acme").expect("a plain name"))
}

fn changes(from: u64, to: u64, text: &str) -> Input {
    let mut builder = ChangeBuilder::new();
    for number in from..to {
        let (id, entity) = (format!("chg-{number}"), format!("service:shop-{number}"));
        builder.push(&ChangeRow {
            time: at(1),
            id: &id,
            change_type: "deployed",
            entity: &entity,
            artifact: None,
            who: Some("ana"),
            url: None,
            text: Some(text),
        });
    }
    Input::Batch(builder.finish("acme").expect("a plain name"))
}

/// Asserts that what the engine says it holds beyond `empty` is near to what was asked of the allocator.
fn near(what: &str, engine: &Engine, taken_before: usize) {
    let taken = TAKEN.load(Ordering::Relaxed) - taken_before;
    let says = held(engine);
    let ratio = says as f64 / taken as f64;
    println!("{what}: says {} KiB, takes {} KiB, {ratio:.2}", says >> 10, taken >> 10);
    assert!((0.8..1.25).contains(&ratio), "{what}: it says {says}, and takes {taken}: {:?}", stats(engine).bytes);
}

#[test]
fn what_the_tables_say_they_hold_is_near_to_what_they_take() {
    let _alone = ALONE.lock();
    let free = || (engine(serde_json::json!({"lateness": "1s"})), TAKEN.load(Ordering::Relaxed));

    let (mut of_alerts, before) = free();
    for part in 0..20 {
        apply(&mut of_alerts, alerts(part * 1_000, (part + 1) * 1_000, 10 + part as i64, "the median of five minutes"));
    }
    apply(&mut of_alerts, Input::Tick(at(1_000)));
    near("alerts", &of_alerts, before);
    drop(of_alerts);

    let (mut of_series, before) = free();
    let (described, ids) = series(0, 10_000);
    apply(&mut of_series, described);
    for half_hour in 0..96 {
        let mut samples = MetricBuilder::new();
        ids.iter().for_each(|id| samples.push(at(half_hour * 1_800), *id, (half_hour % 7) as f64));
        apply(&mut of_series, Input::Batch(samples.finish("acme").expect("a plain name")));
    }
    apply(&mut of_series, Input::Tick(at(97 * 1_800)));
    drop(ids);
    near("series", &of_series, before);
    drop(of_series);

    let (mut of_edges, before) = free();
    for part in 0..10 {
        apply(&mut of_edges, edges(part * 5_000, (part + 1) * 5_000));
    }
    apply(&mut of_edges, Input::Tick(at(1_000)));
    near("edges", &of_edges, before);
    drop(of_edges);

    // Without what it remembers for speed, which is in no sum.
    let slow = serde_json::json!({"templates": {"shapes_max": 2}});
    let mut of_lines = engine(serde_json::json!({"lateness": "1s", "sense": {"logs": slow}}));
    let before = TAKEN.load(Ordering::Relaxed);
    for part in 0..10 {
        apply(&mut of_lines, lines(part * 1_000, (part + 1) * 1_000, 10 + part as i64));
    }
    apply(&mut of_lines, Input::Tick(at(1_000)));
    near("log templates", &of_lines, before);
}

#[test]
fn a_bomb_of_anything_stays_within_the_limit_and_alerts_are_still_taken() {
    let _alone = ALONE.lock();
    let max = 24 * MIB;
    let mut bombed = engine(serde_json::json!({"lateness": "1s", "limits": {"tenant_bytes_max": max}}));
    let before = TAKEN.load(Ordering::Relaxed);
    let (long, mut worst) = ("x".repeat(4_000), 0);
    for part in 0..60 {
        let (from, to, secs) = (part * 1_000, (part + 1) * 1_000, 10 + part as i64);
        apply(&mut bombed, lines(from, to, secs));
        apply(&mut bombed, series(from, to).0);
        apply(&mut bombed, edges(from, to));
        apply(&mut bombed, changes(from, to, &long));
        apply(&mut bombed, alerts(from, to, secs, &long));
        apply(&mut bombed, Input::Tick(at(secs)));
        worst = worst.max(held(&bombed));
    }
    apply(&mut bombed, Input::Tick(at(10_000)));
    let taken = TAKEN.load(Ordering::Relaxed) - before;
    let stats = stats(&bombed);
    println!("worst {} KiB of {}, taken {} KiB: {:?}", worst >> 10, max >> 10, taken >> 10, stats.bytes);
    assert!(worst <= max + max / 10, "it says {worst} of {max}: {:?}", stats.bytes);
    assert!(taken <= max + max / 3, "it takes {taken} of {max}: {:?}", stats.bytes);
    assert!(stats.rejected["no memory for series"] > 10_000 && stats.evicted["alerts"] > 10_000);
    assert!(stats.evicted["topology_edges"] > 1_000 && stats.evicted["changes"] > 10_000, "{:?}", stats.evicted);
    assert_eq!(stats.alerts_fired, 60_000, "what an alert says gives way, not that it fires");
}

#[test]
fn a_restored_engine_holds_what_it_held_and_sheds_the_same() {
    let _alone = ALONE.lock();
    let mut first = engine(serde_json::json!({"lateness": "1s", "limits": {"tenant_bytes_max": 12 * MIB}}));
    let more = |engine: &mut Engine, part: u64| {
        let (from, to, secs) = (part * 1_000, (part + 1) * 1_000, 10 + part as i64);
        for input in [
            lines(from, to, secs),
            series(from, to).0,
            edges(from, to),
            changes(from, to, "why"),
            alerts(from, to, secs, "why"),
        ] {
            apply(engine, input);
        }
    };
    (0..20).for_each(|part| more(&mut first, part));
    let mut second = Engine::resume(NonZeroUsize::MIN, &first.snapshot()).expect("it reads");
    assert_eq!(stats(&second).bytes, stats(&first).bytes);
    (20..40).for_each(|part| {
        more(&mut first, part);
        more(&mut second, part);
    });
    assert_eq!(stats(&second).bytes, stats(&first).bytes);
    assert_eq!(second.digest(), first.digest());
}

#[test]
fn a_tenant_has_so_many_templates_and_newer_ones_take_the_place_of_older() {
    let _alone = ALONE.lock().expect("no panic");
    let count = |templates_max: usize| {
        let mut engine = engine(serde_json::json!({"limits": {"templates_max": templates_max}}));
        for step in 0..20 {
            apply(&mut engine, lines(100 * step, 100 * (step + 1), 60 * step as i64));
            apply(&mut engine, Input::Tick(at(60 * step as i64 + 50)));
        }
        stats(&engine).log_templates
    };
    assert!(count(10_000) > 1_500, "each line is one");
    assert!(count(300) < 450, "the limit, and what came with the stretch that reached it");
}
