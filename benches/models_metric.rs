//! Speed of the metric models, per core: `cargo bench --bench models_metric`.
//!
//! * `detector`: the default detector with everything on (season, levels,
//!   tails, told-once), 1,000 series of minute points with a daily course and
//!   noise, visited round robin as an engine does; points per second.
//! * `exhaustion`: `update` per point on flat resources at five-minute steps,
//!   so the screen decides every hour and the contest never runs.
//! * `multi`: one row of 20 series.
//!
//! The rival beside them is a rolling z-score over 60 points, run in the same
//! process: ratios hold where absolute figures drift.

use bellwether_models::exhaustion::{Exhaustion, ExhaustionParams};
use bellwether_models::metric::{Detector, DetectorParams};
use bellwether_models::multi::{MultiDetector, MultiParams};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const SERIES: usize = 1_000;
const ROUNDS: usize = 200;
const MINUTE_NS: i64 = 60_000_000_000;

/// A day's wave, noise that never repeats, an outlier now and then.
fn value(series: usize, minute: usize) -> f64 {
    let wave = (minute as f64 * std::f64::consts::TAU / 1440.0).sin() * 20.0;
    let noise = ((minute * 7919 + series * 104_729) % 1009) as f64 * 0.01;
    let outlier = if (minute * 31 + series).is_multiple_of(5003) { 90.0 } else { 0.0 };
    100.0 + wave + noise + outlier
}

fn columns() -> Vec<Vec<f64>> {
    (0..ROUNDS).map(|minute| (0..SERIES).map(|series| value(series, minute)).collect()).collect()
}

fn detector(criterion: &mut Criterion) {
    let params = DetectorParams::default().check().expect("defaults are in range");
    let columns = columns();
    let mut group = criterion.benchmark_group("metric");
    group.throughput(Throughput::Elements((SERIES * ROUNDS) as u64));
    let mut detectors = vec![Detector::new(&params); SERIES];
    let mut minute = 0;
    group.bench_function("detector", |bencher| {
        bencher.iter(|| {
            let mut sum = 0.0;
            for column in &columns {
                minute += 1;
                for (detector, value) in detectors.iter_mut().zip(column) {
                    sum += detector.update(&params, minute * MINUTE_NS, *value).score;
                }
            }
            black_box(sum)
        });
    });
    let mut windows = vec![([0.0; 60], 0_usize); SERIES];
    group.bench_function("rolling z-score", |bencher| {
        bencher.iter(|| {
            let mut sum = 0.0;
            for column in &columns {
                for ((window, next), value) in windows.iter_mut().zip(column) {
                    let mean = window.iter().sum::<f64>() / 60.0;
                    let variance = window.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / 60.0;
                    sum += (value - mean) / variance.sqrt().max(1e-9);
                    window[*next] = *value;
                    *next = (*next + 1) % 60;
                }
            }
            black_box(sum)
        });
    });
    group.finish();
}

fn exhaustion(criterion: &mut Criterion) {
    let params = ExhaustionParams::default().check().expect("defaults are in range");
    let mut group = criterion.benchmark_group("exhaustion");
    group.throughput(Throughput::Elements(288 * 100));
    let mut resources = vec![Exhaustion::default(); 100];
    let mut day = 0;
    group.bench_function("screen", |bencher| {
        bencher.iter(|| {
            let mut flagged = 0;
            for (number, resource) in resources.iter_mut().enumerate() {
                for step in 0..288_i64 {
                    let at_ns = (day * 288 + step) * 5 * MINUTE_NS;
                    let used = 40.0 + ((step * 7919 + number as i64) % 101) as f64 * 0.01;
                    flagged += usize::from(resource.update(&params, at_ns, used).is_some());
                }
            }
            day += 1;
            black_box(flagged)
        });
    });
    group.finish();
}

fn multi(criterion: &mut Criterion) {
    let params = MultiParams::default().check().expect("defaults are in range");
    let rows: Vec<Vec<f64>> = (0..1000).map(|minute| (0..20).map(|series| value(series, minute)).collect()).collect();
    let mut group = criterion.benchmark_group("multi");
    group.throughput(Throughput::Elements(1000));
    let mut detector = MultiDetector::new(&params, 20);
    let mut shares = vec![0.0; 20];
    group.bench_function("row of 20 series", |bencher| {
        bencher.iter(|| rows.iter().map(|row| detector.update(&params, row, &mut shares).score).sum::<f64>());
    });
    group.finish();
}

criterion_group!(benches, detector, exhaustion, multi);
criterion_main!(benches);
