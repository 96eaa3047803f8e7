//! A scenario folder: what to play, and what must come of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bellwether_datasets::simulation::Simulation;
use bellwether_datasets::story::story;
use bellwether_datasets::truth::Truth;
use bellwether_engine::EngineConfig;
use bellwether_engine::input::Input;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::expected::Expected;

/// A scenario, loaded.
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) seed: u64,
    pub(crate) config: EngineConfig,
    pub(crate) expected: Expected,
    more_seeds: Vec<u64>,
    plan: fn(u64) -> bellwether_datasets::simulation::Plan,
}

/// `scenario.yaml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioFile {
    story: String,
    seed: u64,
    #[serde(default)]
    more_seeds: Vec<u64>,
    #[serde(default)]
    config: EngineConfig,
}

/// A story played once.
pub(crate) struct Played {
    pub(crate) inputs: Vec<Input>,
    pub(crate) truth: Truth,
}

impl Scenario {
    /// The inputs and the truth of one seed.
    pub(crate) fn play(&self, seed: u64) -> Played {
        let mut simulation = Simulation::new((self.plan)(seed));
        let inputs = simulation.by_ref().collect();
        Played { inputs, truth: simulation.into_truth() }
    }

    /// The scenario's seed and the further ones.
    pub(crate) fn seeds(&self) -> impl Iterator<Item = u64> + '_ {
        std::iter::once(self.seed).chain(self.more_seeds.iter().copied())
    }
}

impl Played {
    /// What the engine would read if `tenant` were alone.
    pub(crate) fn only(&self, tenant: &str) -> Played {
        let concerns = |input: &&Input| match input {
            Input::Tick(_) | Input::Settings(_) => true,
            Input::Batch(batch) => batch.tenant() == tenant,
            Input::Catalogue { tenant: of, .. } | Input::Action { tenant: of, .. } => **of == *tenant,
        };
        Played { inputs: self.inputs.iter().filter(concerns).cloned().collect(), truth: Truth::default() }
    }

    /// Alert notifications read, by tenant.
    pub(crate) fn notifications(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for input in &self.inputs {
            if let Input::Batch(batch) = input
                && batch.kind() == bellwether_engine::signal::SignalKind::Alert
            {
                *counts.entry(batch.tenant()).or_default() += batch.len();
            }
        }
        counts
    }
}

/// Loads the scenario in the folder called `name`.
pub(crate) fn load(name: &str) -> Scenario {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(name);
    let file: ScenarioFile = read(&folder.join("scenario.yaml"));
    Scenario {
        name: name.to_owned(),
        seed: file.seed,
        more_seeds: file.more_seeds,
        config: file.config,
        expected: read(&folder.join("expected.yaml")),
        plan: story(&file.story).expect("scenario.yaml names a story").plan,
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
