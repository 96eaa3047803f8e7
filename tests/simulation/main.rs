//! Deterministic simulation: the real journal, receipts, checkpoints, engine, incident log, cursors and delivery on
//! a machine that is made up, where a seed decides what goes wrong and when.
//!
//! ```text
//! senders ─▶ network ─▶ door ─▶ intake ─▶ journal ─▶ fold ─▶ incident log ─┬▶ reader ─▶ network ─▶ receivers
//!    lost answers, twice,       └───────── all of it ours, on a disk, ─────┘       lost answers, away,
//!    late, clocks that differ              a clock and tasks made up                slow
//! ```
//!
//! | file | what |
//! |---|---|
//! | `world.rs` | time, and who acts next: every task on one thread, in an order that the seed decides |
//! | `disk.rs` | a page cache that is lost, torn sectors, folders that forget, errors, no space |
//! | `sender.rs`, `receiver.rs` | who sends and who is told, and how the ways there fail |
//! | `process.rs` | one life of the process: what `bellwether run` opens, and its tasks |
//! | `run.rs` | what a seed decides, the faults, and the end |
//! | `witness.rs`, `oracle.rs` | what has to be true then |
//!
//! `make simulation SEEDS=10000` runs more seeds, `BELLWETHER_SEED=17` that one alone; `BELLWETHER_BUG=TickIgnored`
//! plants that bug alone, also into that seed. A seed repeats: one that fails is run again, and what happened last is
//! told.

#![cfg(debug_assertions)]
#![allow(clippy::print_stdout)] // which seed finds a bug is what people look for

mod chance;
mod disk;
mod oracle;
mod process;
mod receiver;
mod run;
mod sender;
mod witness;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bellwether_engine::planted::Bug;
use run::run;

/// Seeds in an ordinary test run.
const SEEDS: u64 = 300;
/// A planted bug has to be found within so many.
const SEEDS_OF_A_BUG: u64 = 400;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// The bug that alone is to be planted.
fn named_bug() -> Option<Bug> {
    let name = std::env::var("BELLWETHER_BUG").ok()?;
    let bug = Bug::ALL.iter().find(|bug| format!("{bug:?}") == name);
    Some(*bug.unwrap_or_else(|| panic!("there is no bug `{name}`")))
}

/// Does `work` for the numbers below `count`, on as many threads as there are.
fn on_all_threads(count: u64, work: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count) {
                    work(number);
                }
            });
        }
    });
}

#[test]
fn nothing_is_lost_doubled_or_made_up_whatever_goes_wrong() {
    if let Some(seed) = number("BELLWETHER_SEED") {
        run(seed, named_bug()).unwrap_or_else(|wrong| panic!("{wrong}"));
        return;
    }
    let seeds = number("BELLWETHER_SEEDS").unwrap_or(SEEDS);
    let (lives, events) = (AtomicU64::new(0), AtomicU64::new(0));
    on_all_threads(seeds, |seed| {
        let outcome = run(seed, None).unwrap_or_else(|wrong| panic!("{wrong}"));
        lives.fetch_add(outcome.lives, Ordering::Relaxed);
        events.fetch_add(outcome.events as u64, Ordering::Relaxed);
    });
    let (lives, events) = (lives.into_inner(), events.into_inner());
    assert!(lives > 3 * seeds && events > 5 * seeds, "{seeds} seeds had {lives} lives and {events} events: too dull");
}

#[test]
fn a_seed_repeats() {
    on_all_threads(40, |seed| {
        let outcomes = [run(seed, None), run(seed, None)];
        assert_eq!(outcomes[0], outcomes[1], "seed {seed}");
    });
}

#[test]
fn every_planted_bug_is_found() {
    let bugs = named_bug().map_or_else(|| Bug::ALL.to_vec(), |bug| vec![bug]);
    let missed = Mutex::new(Vec::new());
    on_all_threads(bugs.len() as u64, |bug| {
        let bug = bugs[bug as usize];
        match (0..SEEDS_OF_A_BUG).find_map(|seed| Some((seed, run(seed, Some(bug)).err()?))) {
            Some((seed, wrong)) => println!("{bug:?}: seed {seed}: {}", wrong.lines().next().unwrap_or_default()),
            None => missed.lock().expect("not poisoned").push(bug),
        }
    });
    let missed = missed.into_inner().expect("not poisoned");
    assert!(missed.is_empty(), "no seed below {SEEDS_OF_A_BUG} finds {missed:?}");
}
