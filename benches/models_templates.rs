//! Template mining in lines per second, beside the least a program must do with a line
//! (split on white space and hash) and the drain3 crate, in one run.
//!
//! Lines: LogHub's HDFS, BGL and OpenSSH where the data folder is there (`BELLWETHER_DATA`,
//! default `../shared/data`), and a made-up mix. Each is repeated 25 times with all digits
//! drawn anew and every third run of digits one longer or shorter, so that the shape cache
//! meets lines it has not seen. `warm` has seen all lines before; `no cache` may remember
//! two shapes, and shows what a line costs that the cache does not know.
//!
//! `cargo bench --bench models_templates`; the ratios at the end are medians of CPU time over
//! interleaved rounds.
#![allow(
    missing_docs,
    clippy::print_stdout,
    reason = "criterion's macro makes public functions; ratios go to the terminal"
)]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bellwether_datasets::public::loghub::{self, LabelSet};
use bellwether_models::templates::{Miner, MinerParams};
use criterion::{BatchSize, Criterion, Throughput};

const COPIES: usize = 25;
const ROUNDS: usize = 5;
/// Times the lines are gone through in one round: some kernels account CPU time by ticks of 4 ms.
const PASSES: usize = 20;

fn main() {
    let mut criterion =
        Criterion::default().configure_from_args().sample_size(10).measurement_time(Duration::from_secs(2));
    let sets = line_sets();
    for (name, lines) in &sets {
        bench(&mut criterion, name, lines);
    }
    criterion.final_summary();
    if !std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        sets.iter().for_each(|(name, lines)| ratios(name, lines));
    }
}

fn bench(criterion: &mut Criterion, name: &str, lines: &[String]) {
    let mut group = criterion.benchmark_group(format!("templates/{name}"));
    group.throughput(Throughput::Elements(lines.len() as u64));
    group.bench_function("tokenizer", |bench| bench.iter(|| tokenize(lines)));
    let mut warm = miner(MinerParams::default());
    group.bench_function("warm", |bench| bench.iter(|| learn(&mut warm, lines)));
    let mut bare = miner(MinerParams { shapes_max: 2, ..MinerParams::default() });
    group.bench_function("no cache", |bench| bench.iter(|| learn(&mut bare, lines)));
    group.bench_function("cold", |bench| {
        bench.iter_batched_ref(|| miner(MinerParams::default()), |miner| learn(miner, lines), BatchSize::LargeInput);
    });
    let mut peer = drain3::Matcher::new(drain3::Config::default());
    group.bench_function("drain3", |bench| bench.iter(|| learn_peer(&mut peer, lines)));
    group.finish();
}

/// Lines per second of each, by interleaved rounds, and the share of the tokenizer's.
fn ratios(name: &str, lines: &[String]) {
    let mut warm = miner(MinerParams::default());
    let mut bare = miner(MinerParams { shapes_max: 2, ..MinerParams::default() });
    let mut peer = drain3::Matcher::new(drain3::Config::default());
    let mut spent: [Vec<f64>; 5] = Default::default();
    for _ in 0..ROUNDS {
        let rounds: [&mut dyn FnMut() -> u64; 5] = [
            &mut || tokenize(lines),
            &mut || learn(&mut warm, lines),
            &mut || learn(&mut miner(MinerParams::default()), lines),
            &mut || learn(&mut bare, lines),
            &mut || learn_peer(&mut peer, lines),
        ];
        for (round, spent) in rounds.into_iter().zip(&mut spent) {
            let start = Clock::start();
            for _ in 0..PASSES {
                black_box(round());
            }
            spent.push(start.secs() / PASSES as f64);
        }
    }
    let medians = spent.map(|mut seconds| {
        seconds.sort_by(f64::total_cmp);
        seconds[ROUNDS / 2]
    });
    let bytes = lines.iter().map(String::len).sum::<usize>() / lines.len();
    println!("{name}: {} lines of {bytes} bytes", lines.len());
    for (method, seconds) in ["tokenizer", "warm", "cold", "no cache", "drain3"].into_iter().zip(medians) {
        let rate = lines.len() as f64 / seconds / 1e6;
        println!("  {method:<10} {rate:>6.2}M lines/s  {:>4.0} % of the tokenizer", 100.0 * medians[0] / seconds);
    }
}

/// CPU time of this thread where the kernel tells it, else wall time: on a busy machine the
/// two are far apart.
struct Clock {
    cpu_ns: Option<u64>,
    wall: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { cpu_ns: cpu_ns(), wall: Instant::now() }
    }

    fn secs(&self) -> f64 {
        match (self.cpu_ns, cpu_ns()) {
            (Some(start), Some(end)) => (end - start) as f64 / 1e9,
            _ => self.wall.elapsed().as_secs_f64(),
        }
    }
}

fn cpu_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_whitespace().next()?.parse().ok()
}

fn miner(params: MinerParams) -> Miner {
    Miner::new(params.check().expect("in bounds"))
}

fn learn(miner: &mut Miner, lines: &[String]) -> u64 {
    lines.iter().map(|line| u64::from(miner.learn(line).template)).sum()
}

fn learn_peer(peer: &mut drain3::Matcher, lines: &[String]) -> u64 {
    lines.iter().map(|line| peer.add_log_message(line).map_or(0, |template| template.id() as u64)).sum()
}

/// The limit: every white-space token hashed, eight bytes at a time.
fn tokenize(lines: &[String]) -> u64 {
    let hash = |token: &str| {
        let mut chunks = token.as_bytes().chunks_exact(8);
        let mut hash = token.len() as u64;
        for chunk in &mut chunks {
            hash = fold(hash, u64::from_le_bytes(chunk.try_into().expect("chunks of eight")));
        }
        let mut last = [0; 8];
        last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        fold(hash, u64::from_le_bytes(last))
    };
    lines
        .iter()
        .map(|line| line.split_ascii_whitespace().fold(0, |sum, token| fold(sum, hash(token))))
        .fold(0, |all, line| all ^ line)
}

fn fold(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95)
}

fn line_sets() -> Vec<(String, Vec<String>)> {
    let data = std::env::var_os("BELLWETHER_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let systems = loghub::load(&data, LabelSet::Original).unwrap_or_default();
    let wanted = systems.into_iter().filter(|system| ["HDFS", "BGL", "OpenSSH"].contains(&system.name.as_str()));
    let mut sets: Vec<(String, Vec<String>)> = wanted.map(|system| (system.name, copies(&system.lines))).collect();
    if sets.is_empty() {
        println!("no LogHub data at `{}`: made-up lines only (set BELLWETHER_DATA)", data.display());
    }
    let mix: Vec<String> = MIX.iter().cycle().take(2_000).map(|line| (*line).to_owned()).collect();
    sets.push(("mix".to_owned(), copies(&mix)));
    sets
}

const MIX: [&str; 6] = [
    "level=info msg=\"request done\" path=/api/v1/users/4711 status=200 duration=13.2ms",
    "connection from 10.4.17.230 (host-230.example.net) closed after 117 s",
    "worker 12 took job 9f8e7d6c-12ab-4c3d-8e9f-0123456789ab from queue billing",
    "disk /dev/sda1 at 81 % of 512 GB, 7 inodes left of 120000",
    "cache miss for user 93821 in region eu-west-1, 3 of 5 shards answered",
    "cannot open /var/lib/app/data-17.db: permission denied",
];

/// Copies with other digits, and now and then one more or fewer.
fn copies(lines: &[String]) -> Vec<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut all = lines.to_vec();
    for line in lines.iter().cycle().take(lines.len() * (COPIES - 1)) {
        let mut copy = String::with_capacity(line.len() + 8);
        let mut before = ' ';
        for letter in line.chars() {
            if letter.is_ascii_digit() {
                let starts = !before.is_ascii_digit();
                let change = if starts { draw() % 6 } else { 6 };
                if change != 0 {
                    copy.push(char::from(b'0' + (draw() % 10) as u8));
                }
                if change < 2 {
                    copy.push(char::from(b'0' + (draw() % 10) as u8));
                }
            } else {
                copy.push(letter);
            }
            before = letter;
        }
        all.push(copy);
    }
    all
}
