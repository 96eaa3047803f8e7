//! What partitions gain: two tenants of equal load through one engine and its thread, and through two. The pool of
//! threads is the same, as in a process.
//!
//! `cargo bench --bench partitions` prints the rates and their ratio, rounds by turns, for the machine's pace swings.
//! `BELLWETHER_BENCH_SECS` (default 20) says how many seconds of estate are folded after 10 that warm the tables.
//!
//! The last lines are what a neighbour costs: how long the entries of a calm tenant take while another sends ten times
//! as much, with both in one partition and each in its own.

use std::num::NonZeroUsize;
use std::sync::Barrier;
use std::time::Instant;

use bellwether_datasets::load::{BATCHES_PER_SEC, Load, LoadParams};
use bellwether_engine::input::Input;
use bellwether_engine::{Engine, EngineConfig, Workers};
use hdrhistogram::Histogram;

/// The program's own: two threads that allocate at once are part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Seconds of estate that warm the tables.
const WARM_SECS: i64 = 10;
/// Rounds of each, by turns.
const ROUNDS: usize = 3;

/// A tenth of a second of one tenant.
type Tenth = Vec<Input>;

/// What a tenant sends: descriptions first.
fn sent(tenant: &'static str, size: usize, secs: i64) -> (Vec<Input>, Vec<Tenth>) {
    let all = LoadParams::default();
    let params = LoadParams {
        tenant,
        series: size,
        streams: (all.streams * size / all.series).max(1),
        lines: (all.lines * size / all.series).max(1),
        alerts: (all.alerts * size / all.series).max(1),
        ..all
    };
    let (mut load, before) = Load::new(params).expect("the load is sound");
    let tenths = (0..secs * BATCHES_PER_SEC).map(|_| load.tenth().expect("the load is sound").to_vec());
    (before, tenths.collect())
}

fn engine(workers: &Workers, before: &[&[Input]], warm: &[&[Tenth]]) -> Engine {
    let mut engine = Engine::on(workers, EngineConfig::default()).expect("the defaults are sound");
    let mut events = Vec::new();
    before.iter().flat_map(|inputs| inputs.iter()).for_each(|input| engine.apply(input, &mut events));
    let most = warm.iter().map(|tenths| tenths.len()).max().unwrap_or(0);
    for tenth in 0..most {
        for input in warm.iter().filter_map(|tenths| tenths.get(tenth)).flatten() {
            engine.apply(input, &mut events);
            events.clear();
        }
    }
    engine
}

fn rows(tenths: &[Tenth]) -> usize {
    tenths.iter().flatten().map(Input::rows).sum()
}

/// Folds by turns, a tenth of a second of each; how long each turn of the first took, where that is asked.
fn fold(engine: &mut Engine, sent: &[&[Tenth]], mut first: Option<&mut Histogram<u64>>) {
    let mut events = Vec::new();
    let most = sent.iter().map(|tenths| tenths.len()).max().unwrap_or(0);
    for tenth in 0..most {
        // What came in this tenth arrived together: the calm tenant's entries wait for those before them.
        let began = Instant::now();
        for tenths in sent.iter().rev() {
            for input in tenths.get(tenth).into_iter().flatten() {
                engine.apply(input, &mut events);
                events.clear();
            }
        }
        if let Some(first) = first.as_deref_mut() {
            first.record((began.elapsed().as_micros() as u64).max(1)).expect("it fits");
        }
    }
}

/// Makes two engines, each on the thread that works with it, as the program does, and has both work at once; the seconds
/// that the work took.
fn side_by_side(
    first: impl FnOnce() -> Engine + Send,
    second: impl FnOnce() -> Engine + Send,
    work_first: impl FnOnce(&mut Engine) + Send,
    work_second: impl FnOnce(&mut Engine) + Send,
) -> f64 {
    let ready = Barrier::new(3);
    let mut began = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut engine = first();
            ready.wait();
            work_first(&mut engine);
        });
        scope.spawn(|| {
            let mut engine = second();
            ready.wait();
            work_second(&mut engine);
        });
        ready.wait();
        began = Instant::now();
    });
    began.elapsed().as_secs_f64()
}

#[allow(clippy::print_stdout)] // a bench's report goes to stdout
fn main() {
    let quick = std::env::args().any(|a| a == "--test") || !std::env::args().any(|a| a == "--bench");
    let secs: i64 = match std::env::var("BELLWETHER_BENCH_SECS").map(|s| s.parse()) {
        Ok(Ok(secs)) => secs,
        _ if quick => 1,
        _ => 20,
    };
    let (warm_secs, rounds, size) = if quick { (1, 1, 2_000) } else { (WARM_SECS, ROUNDS, 50_000) };
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let workers = Workers::new(threads).expect("threads");
    let warm = (warm_secs * BATCHES_PER_SEC) as usize;
    let (described_a, a) = sent("one", size, warm_secs + secs);
    let (described_b, b) = sent("two", size, warm_secs + secs);
    let (warm_a, a) = a.split_at(warm);
    let (warm_b, b) = b.split_at(warm);
    let total = (rows(a) + rows(b)) as f64;
    println!("two tenants of {size} series each, {secs} s of estate, {threads} threads in the pool");
    let mut ratios = Vec::new();
    for _ in 0..rounds {
        let mut one = engine(&workers, &[&described_a, &described_b], &[warm_a, warm_b]);
        let began = Instant::now();
        fold(&mut one, &[a, b], None);
        let alone = began.elapsed().as_secs_f64();
        drop(one);
        let beside = side_by_side(
            || engine(&workers, &[&described_a], &[warm_a]),
            || engine(&workers, &[&described_b], &[warm_b]),
            |engine| fold(engine, &[a], None),
            |engine| fold(engine, &[b], None),
        );
        println!("  signals /s  one partition {:>12.0}  two {:>12.0}", total / alone, total / beside);
        ratios.push(alone / beside);
    }
    ratios.sort_by(f64::total_cmp);
    println!("  two are {:.2} times one (median of {rounds})", ratios[ratios.len() / 2]);

    let (described_calm, calm) = sent("calm", size / 10, warm_secs + secs);
    let (warm_calm, calm) = calm.split_at(warm);
    let (mut together, mut apart) =
        (Histogram::<u64>::new(3).expect("three digits"), Histogram::<u64>::new(3).expect("three digits"));
    let mut one = engine(&workers, &[&described_calm, &described_a], &[warm_calm, warm_a]);
    fold(&mut one, &[calm, a], Some(&mut together));
    drop(one);
    side_by_side(
        || engine(&workers, &[&described_calm], &[warm_calm]),
        || engine(&workers, &[&described_a], &[warm_a]),
        |engine| fold(engine, &[calm], Some(&mut apart)),
        |engine| fold(engine, &[a], None),
    );
    for (what, histogram) in [("in one partition", &together), ("in its own", &apart)] {
        let quantiles =
            [0.5, 0.99].map(|q| format!("{:.2}", histogram.value_at_quantile(q) as f64 / 1000.0)).join(" / ");
        println!("  a calm tenant beside a loud one, {what}: p50 / p99 {quantiles} ms");
    }
}
