//! The whole engine, sense to ledger, on a mixed estate: signals per second, CPU seconds per
//! million, peak memory, and how long a batch takes from its arrival to its incident events.
//!
//! `cargo bench --bench engine` prints one table. `BELLWETHER_BENCH_SECS` (default 60) says how
//! many seconds of estate are folded; the first fifth warms the tables and is not counted.
//!
//! Shape of the data: `bellwether_datasets::load`, by default 100,000 series sampled every ten
//! seconds, 2,000 log lines and 200 alert rows a second of event time. Batches hold 100 ms. The
//! rates of the signals are in the proportion 50 : 10 : 1; the table says what rate was reached.

use std::num::NonZeroUsize;
use std::time::Instant;

use bellwether_datasets::load::{BATCHES_PER_SEC, Load, LoadParams};
use bellwether_engine::{Engine, EngineConfig};
use hdrhistogram::Histogram;

/// The program's own: two threads that allocate at once are part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    let params = LoadParams::default();
    let (mut load, before) = Load::new(params).expect("the load is sound");
    for input in &before {
        engine.apply(input, &mut events);
    }
    let batches = secs * BATCHES_PER_SEC;
    let warm = batches / 5;
    let mut all = Histogram::<u64>::new(3).expect("three digits");
    let mut telling = Histogram::<u64>::new(3).expect("three digits");
    let (mut wall, mut cpu, mut rows, mut told) = (0.0, 0.0, [0_usize; 3], 0);
    for batch in 0..batches {
        let inputs = load.tenth().expect("the load is sound");
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
    println!("engine, sense to ledger, {threads} threads, {secs} s of estate, {} series", params.series);
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
