//! The whole engine, sense to ledger, on a mixed estate: signals per second, CPU seconds per
//! million, peak memory, and how long a batch takes from its arrival to its incident events.
//!
//! `cargo bench --bench engine` prints one table. `BELLWETHER_BENCH_SECS` (default 60) says how
//! many seconds of estate are folded; the first fifth warms the tables and is not counted.
//!
//! Shape of the data, per second of event time: 100,000 series sampled every ten seconds
//! (10,000 samples), 2,000 log lines over 200 streams and 40 templates, 200 alert rows of which
//! 3 in 100 say something new. Batches hold 100 ms. The rates of the signals are in the
//! proportion 50 : 10 : 1; the table says what rate of each was reached.

use std::num::NonZeroUsize;
use std::time::Instant;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{
    AlertBuilder, AlertRow, AlertStatus, EdgeBuilder, EdgeRow, LogBuilder, LogRow, MetricBuilder, Relation,
    SeriesBuilder, SeriesType, Severity, alert_fingerprint,
};
use bellwether_engine::time::EventTime;
use bellwether_engine::{Engine, EngineConfig};
use hdrhistogram::Histogram;

const SERIES: usize = 100_000;
const SAMPLE_EVERY_SECS: i64 = 10;
const ENTITIES: usize = 2_000;
const LINES_PER_BATCH: usize = 200;
const ALERTS_PER_BATCH: usize = 20;
const BATCHES_PER_SEC: i64 = 10;
const START: i64 = 1_767_225_600;

/// A small deterministic generator: the bench needs variety, not quality.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

fn at(batch: i64) -> EventTime {
    EventTime::from_millis(START * 1_000 + batch * 1_000 / BATCHES_PER_SEC)
}

/// What stands before the clock starts: series and topology.
fn estate() -> (Vec<u64>, Vec<Input>) {
    let mut series = SeriesBuilder::new();
    let ids = (0..SERIES)
        .map(|i| series.push(&format!("metric.{}", i % 50), &entity(i % ENTITIES), "1", SeriesType::Gauge, &[]))
        .collect();
    let mut edges = EdgeBuilder::new();
    for i in 1..ENTITIES {
        edges.push(&EdgeRow {
            time: at(0),
            from: &entity(i),
            to: &entity(i / 8),
            relation: Relation::Calls,
            source: "bench",
            confidence: 0.9,
        });
    }
    let inputs = [series.finish("bench"), edges.finish("bench")];
    (ids, inputs.into_iter().map(|b| Input::Batch(b.expect("the tenant is plain"))).collect())
}

fn entity(i: usize) -> String {
    format!("service:s{i}")
}

/// The three batches of one tenth of a second.
fn tenth(batch: i64, ids: &[u64], dice: &mut Dice) -> [Input; 3] {
    let time = at(batch);
    let mut metric = MetricBuilder::new();
    let share = SERIES as i64 / (SAMPLE_EVERY_SECS * BATCHES_PER_SEC);
    let first = (batch % (SAMPLE_EVERY_SECS * BATCHES_PER_SEC)) * share;
    for i in first..first + share {
        metric.push(time, ids[i as usize], 50.0 + dice.roll(1_000) as f64 / 100.0);
    }
    let mut log = LogBuilder::new();
    for _ in 0..LINES_PER_BATCH {
        let (stream, template, number) = (dice.roll(200), dice.roll(40), dice.roll(100_000));
        log.push(&LogRow {
            time,
            entity: &entity(stream),
            severity: 9,
            body: &format!("worker {template} finished job {number} for user u{} in {} ms", number % 977, number % 83),
            attributes: &[],
            trace_id: None,
        });
    }
    let mut alert = AlertBuilder::new();
    for _ in 0..ALERTS_PER_BATCH {
        let (rule, host) = (dice.roll(20), dice.roll(400));
        let (name, entity) = (format!("Rule{rule}"), entity(host));
        alert.push(&AlertRow {
            time,
            source: "bench",
            name: &name,
            entity: &entity,
            severity: Severity::Major,
            status: if dice.roll(50) == 0 { AlertStatus::Resolved } else { AlertStatus::Firing },
            fingerprint: alert_fingerprint("bench", &name, &entity, &[]),
            labels: &[("region", "eu")],
            annotations: &[("summary", "a threshold was crossed")],
            starts_at: time,
            ends_at: None,
            url: None,
        });
    }
    [metric.finish("bench"), log.finish("bench"), alert.finish("bench")]
        .map(|b| Input::Batch(b.expect("the tenant is plain")))
}

/// User and system seconds of this process so far (`proc(5)`, stat fields 14 and 15).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default();
    let kib = line.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

#[allow(clippy::print_stdout)] // a bench's report goes to stdout
fn main() {
    // `cargo test --benches` runs this too: one second is enough to see that it works.
    let quick = std::env::args().any(|a| a == "--test") || !std::env::args().any(|a| a == "--bench");
    let secs: i64 = match std::env::var("BELLWETHER_BENCH_SECS").map(|s| s.parse()) {
        Ok(Ok(secs)) => secs,
        _ if quick => 1,
        _ => 60,
    };
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut engine = Engine::new(EngineConfig::default(), threads).expect("the defaults are sound");
    let mut events = Vec::new();
    let (ids, before) = estate();
    for input in &before {
        engine.apply(input, &mut events);
    }
    let mut dice = Dice(7);
    let batches = secs * BATCHES_PER_SEC;
    let warm = batches / 5;
    let mut all = Histogram::<u64>::new(3).expect("three digits");
    let mut telling = Histogram::<u64>::new(3).expect("three digits");
    let (mut wall, mut cpu, mut rows, mut told) = (0.0, 0.0, [0_usize; 3], 0);
    for batch in 0..batches {
        let inputs = tenth(batch, &ids, &mut dice);
        let (cpu_before, started) = (cpu_seconds(), Instant::now());
        let said = events.len();
        for input in &inputs {
            engine.apply(input, &mut events);
        }
        let took = started.elapsed();
        if batch < warm {
            continue;
        }
        wall += took.as_secs_f64();
        cpu += cpu_seconds() - cpu_before;
        for (sum, input) in rows.iter_mut().zip(&inputs) {
            *sum += input.rows();
        }
        let micros = took.as_micros() as u64;
        all.record(micros.max(1)).expect("it fits");
        if events.len() > said {
            told += events.len() - said;
            telling.record(micros.max(1)).expect("it fits");
        }
        events.clear();
    }
    let total: usize = rows.iter().sum();
    let per_sec = |rows: usize| rows as f64 / wall.max(1e-9);
    println!("engine, sense to ledger, {threads} threads, {secs} s of estate, {SERIES} series");
    println!("  signals      {:>12.0} /s", per_sec(total));
    println!("  metrics      {:>12.0} /s", per_sec(rows[0]));
    println!("  log lines    {:>12.0} /s", per_sec(rows[1]));
    println!("  alerts       {:>12.0} /s", per_sec(rows[2]));
    println!("  CPU          {:>12.3} s per million signals", cpu / (total as f64 / 1e6).max(1e-9));
    println!("  peak memory  {:>12} MiB, with the generator", peak_mib());
    println!("  events       {told:>12}");
    let quantiles = |h: &Histogram<u64>| {
        [0.5, 0.99, 0.999].map(|q| format!("{:.2}", h.value_at_quantile(q) as f64 / 1000.0)).join(" / ")
    };
    println!("  a batch of 100 ms       p50 / p99 / p99.9  {} ms", quantiles(&all));
    println!("  a batch with events     p50 / p99 / p99.9  {} ms", quantiles(&telling));
}
