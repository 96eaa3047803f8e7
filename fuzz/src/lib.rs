//! Any bytes to every decoder, and what they become to an engine.
//!
//! Each target is a function of bytes that must neither panic nor hang nor take more memory than a few times what it
//! is given. The binary gives them to libFuzzer; the tests give them the inputs that are kept in `corpus/`.

use std::cell::RefCell;
use std::num::NonZeroUsize;

use bellwether_connectors::fuzzing::{self, RECEIVED};
use bellwether_engine::input::Input;
use bellwether_engine::time::{EventTime, Span};
use bellwether_engine::{Engine, EngineConfig};

mod own;

/// An engine begins anew after so many inputs: what an input does is to depend on few others.
const INPUTS_OF_AN_ENGINE: u32 = 64;
/// Between two inputs as much time passes.
const BETWEEN: Span = Span::from_secs(40);

/// What is tried: a name, and what reads the bytes.
type Target = (&'static str, fn(&[u8]) -> Vec<Input>);

fn targets() -> impl Iterator<Item = Target> {
    fuzzing::TARGETS.iter().map(|target| (target.name, target.run)).chain(own::TARGETS)
}

/// The names of all targets.
pub fn names() -> Vec<&'static str> {
    targets().map(|(name, _)| name).collect()
}

/// A target by its name: reads bytes, and has an engine fold what they become.
pub fn target(name: &str) -> Option<impl Fn(&[u8]) + use<>> {
    let (_, read) = targets().find(|(known, _)| *known == name)?;
    Some(move |bytes: &[u8]| fold(&read(bytes)))
}

/// Whether a target's panics are met where they happen, because what panics is not ours.
pub fn is_guarded(name: &str) -> bool {
    name == "parquet"
}

thread_local! {
    /// An engine, and how much it has been given.
    static ENGINE: RefCell<(Option<Engine>, u32)> = RefCell::default();
}

/// Folds entries as the journal would give them back, and lets time pass.
///
/// # Panics
/// When an entry does not come back from its bytes, or folding it panics.
fn fold(inputs: &[Input]) {
    if inputs.is_empty() {
        return;
    }
    ENGINE.with_borrow_mut(|(engine, given)| {
        if *given == INPUTS_OF_AN_ENGINE {
            (*engine, *given) = (None, 0);
        }
        let engine = engine.get_or_insert_with(|| Engine::new(small(), NonZeroUsize::MIN).expect("settings that fit"));
        *given += 1;
        let now = RECEIVED.plus(Span(BETWEEN.0 * i64::from(*given)));
        let mut told = Vec::new();
        engine.apply(&Input::Tick(now), &mut told);
        for input in inputs {
            let mut bytes = Vec::new();
            input.encode(&mut bytes);
            let back = Input::decode(&bytes).expect("an entry comes back from the journal");
            engine.apply(&back, &mut told);
        }
        engine.apply(&Input::Tick(later(now)), &mut told);
    });
}

/// When everything that came is past its lateness.
fn later(now: EventTime) -> EventTime {
    now.plus(Span(BETWEEN.0 - 1))
}

/// Settings with room for little, so that whatever makes room is tried, too.
fn small() -> EngineConfig {
    let limits = serde_json::json!({
        "series_max": 48, "log_streams_max": 8, "templates_max": 16, "alerts_max": 24, "alerts_shed_max": 12,
        "entities_max": 64, "topology_edges_max": 48, "incidents_max": 8, "changes_max": 12, "history_max": 8,
    });
    let settings = serde_json::json!({"limits": limits, "lateness": "10s", "ledger": {"group_wait": "10s"}});
    serde_json::from_value(settings).expect("settings by name")
}
