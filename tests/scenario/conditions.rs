//! The hard conditions, and one run under one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use bellwether_engine::Engine;
use bellwether_engine::incident::{IncidentEvent, Priority};
use bellwether_engine::input::Input;

use super::folder::{Played, Scenario};
use super::rows::{mix, rebatched, shuffled};

/// One way to run a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Condition {
    pub(crate) threads: usize,
    /// Rows of a batch; `None` for the batches as they were played.
    pub(crate) rows_max: Option<usize>,
    /// Whether the engine is saved and restored at a seeded point, with other threads.
    pub(crate) restart: bool,
    /// Whether rows are shuffled within the lateness.
    pub(crate) shuffle: bool,
}

const fn condition(threads: usize, rows_max: usize, restart: bool, shuffle: bool) -> Condition {
    Condition { threads, rows_max: Some(rows_max), restart, shuffle }
}

impl Condition {
    /// One thread, batches and order as played, no restart.
    pub(crate) const AS_PLAYED: Condition = Condition { threads: 1, rows_max: None, restart: false, shuffle: false };
}

/// Every pair of threads and batch size; restart and shuffle in all four combinations.
pub(crate) const CONDITIONS: [Condition; 9] = [
    condition(1, 1, true, false),
    condition(2, 1, false, true),
    condition(7, 1, true, true),
    condition(1, 100, false, true),
    condition(2, 100, true, false),
    condition(7, 100, false, false),
    condition(1, 8_192, true, true),
    condition(2, 8_192, false, false),
    condition(7, 8_192, true, true),
];

/// The events of a run, by tenant, in order.
pub(crate) struct Events(BTreeMap<String, Vec<IncidentEvent>>);

impl Events {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who has events.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The events of one tenant.
    pub(crate) fn of(&self, tenant: &str) -> &[IncidentEvent] {
        self.0.get(tenant).map_or(&[], Vec::as_slice)
    }

    /// The incidents that somebody is called for: a warning that one entity gives alone is told as P4 or P5.
    pub(crate) fn calls(&self) -> Events {
        let called = |event: &&IncidentEvent| event.record.priority <= Priority::P3;
        let ids: BTreeSet<&str> = self.0.values().flatten().filter(called).map(|event| &*event.record.id).collect();
        let of = |events: &Vec<IncidentEvent>| {
            events.iter().filter(|event| ids.contains(&*event.record.id)).cloned().collect::<Vec<_>>()
        };
        let tenants = self.0.iter().map(|(tenant, events)| (tenant.clone(), of(events)));
        Events(tenants.filter(|(_, events)| !events.is_empty()).collect())
    }

    /// One tenant's events alone.
    pub(crate) fn only(&self, tenant: &str) -> Events {
        Events(BTreeMap::from([(tenant.to_owned(), self.of(tenant).to_vec())]))
    }

    /// Fails with the first difference.
    pub(crate) fn assert_same(&self, other: &Events, what: &str) {
        let tenants = |events: &Events| events.0.keys().cloned().collect::<Vec<_>>();
        assert_eq!(tenants(self), tenants(other), "{what}: other tenants have incidents");
        for (tenant, mine) in &self.0 {
            let theirs = other.of(tenant);
            for (number, (one, two)) in mine.iter().zip(theirs).enumerate() {
                let (one, two) = (line(one), line(two));
                assert!(one == two, "{what}: event {number} of {tenant} differs{}", difference(&one, &two));
            }
            assert_eq!(mine.len(), theirs.len(), "{what}: {tenant} has another number of events");
        }
    }
}

fn line(event: &IncidentEvent) -> String {
    serde_json::to_string(event).expect("an event is JSON")
}

/// Where two lines part, with what stands around it.
fn difference(one: &str, two: &str) -> String {
    let at = one.bytes().zip(two.bytes()).take_while(|(a, b)| a == b).count();
    let around = |text: &str| {
        let bytes = &text.as_bytes()[at.saturating_sub(120).min(text.len())..(at + 120).min(text.len())];
        String::from_utf8_lossy(bytes).into_owned()
    };
    format!(" at byte {at}:\n  … {} …\n  … {} …", around(one), around(two))
}

/// Runs a scenario's inputs under one condition.
pub(crate) fn run(scenario: &Scenario, played: &Played, condition: &Condition) -> Events {
    let seed = mix(scenario.seed, 0x5eed);
    let mut inputs: Vec<Input> = if condition.shuffle { shuffled(&played.inputs, seed) } else { played.inputs.clone() };
    if let Some(rows_max) = condition.rows_max {
        inputs = rebatched(&inputs, rows_max);
    }
    let restart_at = condition.restart.then(|| {
        let point = mix(seed, condition.threads as u64 * 10 + u64::from(condition.shuffle));
        // Somewhere in the second half, where there is trouble to remember.
        inputs.len() / 2 + (point % (inputs.len() as u64 / 2).max(1)) as usize
    });
    let threads = |count| NonZeroUsize::new(count).expect("conditions have threads");
    let mut engine = Engine::new(scenario.config.clone(), threads(condition.threads)).expect("the scenario's settings");
    let mut out = Vec::new();
    for (number, input) in inputs.iter().enumerate() {
        if restart_at == Some(number) {
            let bytes = engine.snapshot();
            let digest = engine.digest();
            let other = threads(1 + condition.threads % 3);
            engine = Engine::restore(scenario.config.clone(), other, &bytes).expect("a fresh snapshot");
            assert_eq!(engine.digest(), digest, "{}: the restored state is another one", scenario.name);
        }
        engine.apply(input, &mut out);
    }
    engine.finish(&mut out);
    let mut events: BTreeMap<String, Vec<IncidentEvent>> = BTreeMap::new();
    for event in out {
        events.entry(event.tenant.to_string()).or_default().push(event);
    }
    Events(events)
}
