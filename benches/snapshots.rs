//! How long an engine stands still for a snapshot: all at once, and while it goes on.
//!
//! `cargo bench --bench snapshots` prints one table; `BELLWETHER_BENCH_SERIES` (default 1,000,000) says of how many
//! series. Their estate is that of `bellwether_datasets::load`, each series sampled every ten seconds, in batches of a
//! tenth of a second.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use bellwether_datasets::load::{BATCHES_PER_SEC, Load, LoadParams};
use bellwether_engine::input::Input;
use bellwether_engine::{Engine, EngineConfig, Snapshot};

/// The program's own: two threads that allocate at once are part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seconds of estate before the first snapshot: each series has had samples.
const WARM_SECS: i64 = 25;
/// Snapshots that are taken.
const ROUNDS: usize = 5;

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let answer = work();
    (began.elapsed(), answer)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    milliseconds(times.get(times.len() / 2).copied().unwrap_or_default())
}

#[allow(clippy::print_stdout)] // a bench's report goes to stdout
fn main() {
    let quick = std::env::args().any(|a| a == "--test") || !std::env::args().any(|a| a == "--bench");
    let series = match std::env::var("BELLWETHER_BENCH_SERIES").map(|s| s.parse()) {
        Ok(Ok(series)) => series,
        _ if quick => 2_000,
        _ => 1_000_000,
    };
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut config = EngineConfig::default();
    config.limits.series_max = config.limits.series_max.max(series);
    config.limits.tenant_bytes_max = config.limits.tenant_bytes_max.max(16 << 30);
    let mut engine = Engine::new(config, threads).expect("the settings are sound");
    let (mut load, before) = Load::new(LoadParams { series, ..LoadParams::default() }).expect("the load is sound");
    let mut events = Vec::new();
    before.iter().for_each(|input| engine.apply(input, &mut events));
    let mut tenth = |engine: &mut Engine| {
        let inputs: Vec<Input> = load.tenth().expect("the load is sound").to_vec();
        let (took, ()) = timed(|| inputs.iter().for_each(|input| engine.apply(input, &mut events)));
        events.clear();
        took
    };
    let warm = if quick { 1 } else { WARM_SECS } * BATCHES_PER_SEC;
    let plain: Vec<Duration> = (0..warm).map(|_| tenth(&mut engine)).collect();
    let plain = median(plain.into_iter().rev().take(100).collect());
    let known = engine.stats().total.series;
    println!("{known} series; a tenth of a second of estate is folded in {plain:.1} ms (median)");
    println!("  at once ms  |  begun ms  longest step ms  steps  all steps ms  a tenth meanwhile ms      MB");
    for _ in 0..if quick { 1 } else { ROUNDS } {
        let (at_once, bytes) = timed(|| engine.snapshot().len());
        let (begun, ()) = timed(|| engine.begin_snapshot());
        let (mut steps, mut meanwhile) = (Vec::new(), Vec::new());
        loop {
            meanwhile.push(tenth(&mut engine));
            let (took, snapshot) = timed(|| engine.snapshot_step());
            steps.push(took);
            if !matches!(snapshot, Snapshot::GoingOn) {
                break;
            }
        }
        println!(
            "  {:>10.1}  |  {:>8.1}  {:>15.1}  {:>5}  {:>12.1}  {:>20.1}  {:>6}",
            milliseconds(at_once),
            milliseconds(begun),
            milliseconds(steps.iter().copied().max().unwrap_or_default()),
            steps.len(),
            milliseconds(steps.iter().sum()),
            median(meanwhile),
            bytes >> 20,
        );
    }
}
