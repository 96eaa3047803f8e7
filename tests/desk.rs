//! Models of the service desk on tickets and reports nobody here made: the UCI incident log, cut in time, and
//! Hadoop's duplicates. Prints the tables of `eval` and asks for no less than was once measured.
//!
//! The data is read from `BELLWETHER_DATA`, default `../shared/data`. Without it the tests say so and pass: they have
//! nothing to judge.

#![allow(clippy::print_stderr)] // the tables are what people look for

#[path = "support/skipped.rs"]
mod skipped;

use bellwether::eval::report::{Outcome, table};
use bellwether::eval::settings::Settings;
use bellwether::eval::{Bench, DATA_VARIABLE, TASKS, data_dir};
use skipped::skipped;
use std::path::PathBuf;

/// The figures of a task, or nothing where its data is absent.
fn figures(task: &str, folder: &str) -> Option<Outcome> {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(data_dir(None));
    if !data.join(folder).is_dir() {
        skipped(&format!(
            "no `{folder}` in `{}`; set {DATA_VARIABLE} to the folder of public data sets",
            data.display()
        ));
        return None;
    }
    let bench = Bench { data, out: None, settings: Settings::default(), perturbed: false, own: false };
    let (_, _, run) = TASKS.iter().find(|(name, ..)| *name == task).expect("a known task");
    let outcome = run(&bench).expect("whole data");
    eprintln!("{}", table(task, &outcome));
    Some(outcome)
}

#[track_caller]
fn at_least(outcome: &Outcome, figure: &str, floor: f64) {
    let reached = outcome.metrics[figure];
    assert!(reached >= floor, "{figure} is {reached:.3}, was above {floor}: {:?}", outcome.metrics);
}

#[test]
fn the_right_group_is_among_the_first_and_confidence_is_honest() {
    let Some(outcome) = figures("tickets", "tickets_uci") else { return };
    for (figure, floor) in [("assign1", 0.68), ("assign3", 0.84), ("assign5", 0.88), ("breach_auc", 0.64)] {
        at_least(&outcome, figure, floor);
    }
    for (figure, ceiling) in [("assign_ece", 0.05), ("pinball90", 36.0)] {
        assert!(outcome.metrics[figure] <= ceiling, "{figure}: {:?}", outcome.metrics);
    }
    let cell = |method: &str, at: usize| {
        outcome.rows.iter().find(|row| row.name.starts_with(method)).map(|row| row.cells[at]).expect("a row")
    };
    for peer in ["first dispatch", "back-off, rate of the symptom", "null", "random"] {
        assert!(cell("bellwether", 0) > cell(peer, 0), "{peer} names the group more often");
    }
}

#[test]
fn earlier_reports_of_the_same_trouble_are_found() {
    let Some(outcome) = figures("duplicates", "ticket_duplicates") else { return };
    for (figure, floor) in [("recall1", 0.62), ("recall5", 0.86), ("recall10", 0.89)] {
        at_least(&outcome, figure, floor);
    }
}
