//! Faults nobody here made: PetShop training issues and Nezha OnlineBoutique days, replayed
//! through the engine with its default settings. Prints in how many an incident names the
//! component that was injured, and asks for no fewer than were once measured.
//!
//! The data is read from `BELLWETHER_DATA`, default `../shared/data`. Without it the tests say
//! so and pass: they have nothing to judge.

#![allow(clippy::print_stderr)] // the counts are what people look for

#[path = "support/skipped.rs"]
mod skipped;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use bellwether::report::answers_line;
use bellwether_datasets::public::petshop;
use bellwether_datasets::real::{self, Judge};
use bellwether_engine::incident::IncidentEvent;
use bellwether_engine::input::Input;
use bellwether_engine::{Engine, EngineConfig};
use skipped::skipped;

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("BELLWETHER_DATA").map_or_else(|| "../shared/data".into(), PathBuf::from);
    let folder = if folder.is_absolute() { folder } else { PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder) };
    if folder.is_dir() {
        return Some(folder);
    }
    skipped(&format!("no data in `{}`; set BELLWETHER_DATA to the folder of public data sets", folder.display()));
    None
}

fn replay(inputs: impl Iterator<Item = Input>) -> Vec<IncidentEvent> {
    let threads = NonZeroUsize::new(2).expect("two");
    let mut engine = Engine::new(EngineConfig::default(), threads).expect("sound settings");
    let mut events = Vec::new();
    for input in inputs {
        engine.apply(&input, &mut events);
    }
    engine.finish(&mut events);
    events
}

/// Plays a case; the answer says what of it was named.
fn play(data: &Path, name: &str) -> Judge {
    let case = real::dataset(data, name).expect("a case");
    let mut judge = Judge::of(data, name).expect("answers");
    replay(case.into_inputs()).iter().for_each(|event| judge.observe(event));
    judge
}

/// Prints how many were named, and asks for most.
fn expect_most(what: &str, judges: impl Iterator<Item = Judge>, cases_min: usize) {
    let mut all = Judge::default();
    for judge in judges {
        all.named += judge.named;
        all.events += judge.events;
        all.faults.extend(judge.faults);
    }
    eprintln!("{what}: {}", answers_line(&all));
    assert!(all.faults.len() >= cases_min, "only {} cases", all.faults.len());
    assert!(all.found() * 2 > all.faults.len(), "most cases must be found");
}

#[test]
fn petshop_incidents_name_the_injured_component() {
    let Some(data) = data() else { return };
    let folders = petshop::issues(&data.join("petshop")).expect("a folder of issues");
    let train = folders.iter().filter(|f| f.parent().is_some_and(|p| p.ends_with("train")));
    // Two of the four scenarios have no fault-free days: nothing to learn from.
    let cases = train.filter(|f| petshop::load(f).is_ok());
    let names = cases.map(|f| f.strip_prefix(&data).expect("below it").display().to_string());
    expect_most("petshop train", names.map(|name| play(&data, &name)), 8);
}

#[test]
fn nezha_incidents_name_the_injured_pod() {
    let Some(data) = data() else { return };
    let days = ["nezha/rca_data/2022-08-22", "nezha/rca_data/2022-08-23"];
    expect_most("nezha OnlineBoutique", days.iter().map(|day| play(&data, day)), 50);
}
