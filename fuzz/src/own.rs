//! What beside the connectors reads bytes of somebody else: the engine, its models, the configuration.

use std::num::NonZeroUsize;

use bellwether::config::tree::Tree;
use bellwether::config::{Config, keys, read, schema_of};
use bellwether_engine::Engine;
use bellwether_engine::expr::{ALERT_COLUMNS, Expression};
use bellwether_engine::input::Input;
use bellwether_models::templates::{Miner, MinerParams, values, without_colours};
use xxhash_rust::xxh3::xxh3_64;

use super::Target;

pub(super) const TARGETS: [Target; 5] = [
    ("entry", entry),
    ("state", state),
    ("expression", expression),
    ("templates", templates),
    ("configuration", configuration),
];

/// An entry of the journal; folded like any other.
fn entry(bytes: &[u8]) -> Vec<Input> {
    // Settings are checked before they are written; what others say is in them is theirs.
    Input::decode(bytes).into_iter().filter(|input| !matches!(input, Input::Settings(_) | Input::Tick(_))).collect()
}

/// The state of a checkpoint whose digest fits: another build's, of the same version.
fn state(bytes: &[u8]) -> Vec<Input> {
    let fresh = Engine::new(super::small(), NonZeroUsize::MIN).expect("settings that fit").snapshot();
    let mut sealed = fresh[..8].to_vec();
    sealed.extend_from_slice(&xxh3_64(bytes).to_le_bytes());
    sealed.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    sealed.extend_from_slice(bytes);
    let _ = Engine::resume(NonZeroUsize::MIN, bytes);
    if let Ok(engine) = Engine::resume(NonZeroUsize::MIN, &sealed) {
        engine.snapshot();
    }
    Vec::new()
}

/// A condition, as rules and silences have them.
fn expression(bytes: &[u8]) -> Vec<Input> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Expression::compile(text, ALERT_COLUMNS);
    }
    Vec::new()
}

/// Lines of a log, to a miner with room for four templates.
fn templates(bytes: &[u8]) -> Vec<Input> {
    let params = MinerParams { templates_max: 4, shapes_max: 16, ..MinerParams::default() };
    let mut miner = Miner::new(params.check().expect("in bounds"));
    let mut found = Vec::new();
    for line in String::from_utf8_lossy(bytes).lines() {
        let line = without_colours(line);
        let learned = miner.learn(&line);
        let template = miner.text(miner.resolve(learned.template)).to_owned();
        found.clear();
        miner.parameters(learned.template, &line, &mut found);
        let _ = values(&template, &line);
    }
    Vec::new()
}

/// A configuration, up to where it is whole. What it would read of files and of the environment is left out.
fn configuration(bytes: &[u8]) -> Vec<Input> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Vec::new() };
    if let Ok(tree) = Tree::parse(text) {
        keys::unknown_keys(&tree, &schema_of::<Config>());
        if let Ok(config) = read::from_tree::<Config>(&tree) {
            let _ = config.check_names();
            let _ = Engine::new(config.engine, NonZeroUsize::MIN);
        }
    }
    Vec::new()
}
