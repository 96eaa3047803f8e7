//! The alarm budget on rows in which nothing happens, whatever their noise; and that the same
//! detector is not deaf.

use super::{MultiDetector, MultiParams};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng};
use std::f64::consts::TAU;

/// Rows of each run: two days of minutes.
const ROWS: usize = 2_880;
/// Columns of each run.
const COLUMNS: [usize; 4] = [1, 3, 8, 24];
/// Runs of every kind of noise and number of columns.
const SEEDS: u64 = 24;
/// Rows for which one alarm is in the budget, as on the training rows of the public sets.
const ROWS_PER_ALARM: usize = 2_000;

/// Seeded draws.
struct Random(Xoshiro256PlusPlus);

impl Random {
    /// Uniform in (0, 1).
    fn unit(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (TAU * self.unit()).cos()
    }

    /// Student's t with three degrees of freedom.
    fn heavy(&mut self) -> f64 {
        let square: f64 = (0..3).map(|_| self.normal().powi(2)).sum();
        self.normal() / (square / 3.0).sqrt()
    }
}

/// The next value of a column: what it was before, its row, what all columns share, and chance.
type Noise = fn(f64, usize, f64, &mut Random) -> f64;

/// What columns may do while nothing happens.
const NOISES: [(&str, Noise); 9] = [
    ("normal", |_, _, _, random| random.normal()),
    ("uniform", |_, _, _, random| random.unit()),
    ("exponential", |_, _, _, random| -random.unit().ln()),
    ("log-normal", |_, _, _, random| (0.5 * random.normal()).exp()),
    ("heavy", |_, _, _, random| random.heavy()),
    ("slow", |before, _, _, random| 0.9 * before + random.normal()),
    ("counts", |_, _, _, random| (6.0 * random.unit() * random.unit()).floor()),
    ("daily", |_, row, _, random| (TAU * row as f64 / 1440.0).sin() + 0.2 * random.normal()),
    ("companions", |_, _, shared, random| shared + 0.3 * random.normal()),
];

/// Rows at which alarms began; from row `from` on the first column is `shift` higher.
fn alarms(noise: Noise, columns: usize, seed: u64, (from, shift): (usize, f64)) -> Vec<usize> {
    let params = MultiParams::default().check().expect("defaults are in range");
    let mut random = Random(Xoshiro256PlusPlus::seed_from_u64(seed));
    let mut detector = MultiDetector::new(&params, columns);
    let (mut values, mut shares) = (vec![0.0; columns], vec![0.0; columns]);
    let mut judged = |row: usize| {
        let shared = random.normal();
        values.iter_mut().for_each(|value| *value = noise(*value, row, shared, &mut random));
        let mut given = values.clone();
        given[0] += if row >= from { shift } else { 0.0 };
        detector.update(&params, &given, &mut shares).anomaly
    };
    (0..ROWS).filter(|row| judged(*row)).collect()
}

#[test]
fn noise_stays_within_the_budget_also_when_learning_ends() {
    let learned = MultiParams::default().learning_rows as usize;
    for (name, noise) in NOISES {
        for columns in COLUMNS {
            let runs: Vec<Vec<usize>> = (0..SEEDS).map(|seed| alarms(noise, columns, seed, (ROWS, 0.0))).collect();
            let all: usize = runs.iter().map(Vec::len).sum();
            let budget = SEEDS as usize * ROWS / ROWS_PER_ALARM;
            assert!(all <= budget, "{name}, {columns} columns: {all} alarms, {budget} are in the budget: {runs:?}");
            // The rows after learning are rows like any other: two of 24 runs would be ten times the budget.
            let early = runs.iter().flatten().filter(|row| **row < 3 * learned).count();
            assert!(early <= 1, "{name}, {columns} columns: {early} alarms as learning ends: {runs:?}");
        }
    }
}

#[test]
fn a_shift_of_one_column_is_told_within_half_an_hour() {
    // Among many columns one weighs little until its usual range is known well.
    for (from, columns) in [(150, &COLUMNS[..2]), (1_500, &COLUMNS[..])] {
        for columns in columns {
            let told = |seed: &u64| {
                let rows = alarms(NOISES[0].1, *columns, *seed, (from, 12.0));
                rows.iter().any(|row| (from..from + 30).contains(row))
            };
            let told = (0..SEEDS).filter(told).count();
            assert!(told >= 20, "from row {from}, {columns} columns: told in {told} of {SEEDS} runs");
        }
    }
}
