//! What people said in a journal becomes labels, and the engine is held to them.

use super::feedback::Said;
use crate::eval::Bench;
use crate::eval::settings::Settings;
use bellwether_connectors::JournalConfig;
use bellwether_connectors::journal::{Journal as _, LocalJournal, WriteBatch};
use bellwether_datasets::simulation::{Plan, PlanParams, Simulation};
use bellwether_engine::incident::{IncidentEvent, Verb};
use bellwether_engine::input::{Action, Input, Voice};
use bellwether_engine::time::EventTime;
use bellwether_engine::{Engine, EngineConfig};
use serde_json::json;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// An incident that was told.
struct Told {
    /// The input after which it was told first.
    after: usize,
    tenant: String,
    incident: String,
    /// The first cause of its last word.
    cause: String,
}

/// What a simulated estate sends, and the incidents that are told of it.
fn played() -> (Vec<Input>, Vec<Told>) {
    let plan = Plan::random(&PlanParams::new(11, 60, 4)).expect("a plan");
    let inputs: Vec<Input> = Simulation::new(plan).collect();
    let mut engine = Engine::new(EngineConfig::default(), NonZeroUsize::MIN).expect("defaults");
    let (mut events, mut opened): (Vec<IncidentEvent>, Vec<Told>) = (Vec::new(), Vec::new());
    for (place, input) in inputs.iter().enumerate() {
        engine.apply(input, &mut events);
        for IncidentEvent { tenant, verb, record, .. } in events.drain(..) {
            let cause = record.probable_causes.first().map(|cause| cause.reference.clone()).unwrap_or_default();
            match opened.iter_mut().find(|told| told.incident == record.id) {
                Some(told) => told.cause = cause,
                None if verb == Verb::Opened => {
                    opened.push(Told { after: place, tenant: tenant.to_string(), incident: record.id, cause });
                }
                None => {}
            }
        }
    }
    (inputs, opened)
}

/// The latest event time of the inputs up to each.
fn clock(input: &Input, now: EventTime) -> EventTime {
    if let Input::Tick(at) = input { now.max(*at) } else { now }
}

/// Writes the inputs with what people say: the first incident is none, the others are taken and their
/// causes are right, but of the second.
fn write(folder: &Path, inputs: &[Input], opened: &[Told]) {
    let mut group = WriteBatch::default();
    let mut now = EventTime::MIN;
    let mut entry = |input: &Input| {
        let mut bytes = Vec::new();
        input.encode(&mut bytes);
        group.entries.push(bytes);
    };
    for (place, input) in inputs.iter().enumerate() {
        now = clock(input, now);
        entry(input);
        for (number, Told { tenant, incident, cause, .. }) in
            opened.iter().enumerate().filter(|(_, told)| told.after == place)
        {
            let (incident, who) = (incident.clone(), "ana".to_owned());
            let actions = match number {
                0 => vec![Action::FalsePositive { incident, who }],
                _ => {
                    let cause = if number == 1 { "host:nowhere".to_owned() } else { cause.clone() };
                    let named = Action::Cause { incident: incident.clone(), cause, who: who.clone() };
                    vec![Action::Acknowledge { incident, who, voice: Voice::Operator }, named]
                }
            };
            for action in actions {
                entry(&Input::Action { tenant: tenant.as_str().into(), at: now, action });
            }
        }
    }
    let (journal, _) = LocalJournal::open(&JournalConfig::new(folder.join("journal"))).expect("a journal");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(journal.append(Arc::new(group))).expect("appends");
}

#[test]
fn what_people_said_is_what_the_engine_is_held_to() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (inputs, opened) = played();
    assert!(opened.len() >= 2, "{} incidents: too few to judge", opened.len());
    write(folder.path(), &inputs, &opened);
    let bench = Bench {
        data: folder.path().to_path_buf(),
        out: None,
        settings: Settings::default(),
        perturbed: false,
        own: true,
    };
    let said = Said::read(&bench).expect("people spoke");
    let ours = said.answers(&Settings::default()).expect("plays");
    let cells = said.cells(&ours);
    let sum = |column: usize| cells.iter().map(|cells| cells[column]).sum::<f64>();
    // By itself the engine tells again what it told, and also what was called false.
    assert_eq!((sum(1), sum(2)), (1.0, 0.0), "{cells:?}");
    assert_eq!(sum(0) as usize + 1, cells.len(), "{cells:?}");
    assert!(sum(4) / sum(3) > 0.9 && sum(5) / sum(3) > 0.9, "alerts are together as they were: {cells:?}");
    let causes: Vec<f64> = cells.iter().map(|cells| cells[6]).filter(|as1| as1.is_finite()).collect();
    assert_eq!(causes.len(), cells.len() - 1, "every real incident has a cause");
    assert_eq!(causes.iter().sum::<f64>() as usize, causes.len() - 1, "and one was somewhere else: {causes:?}");
    // Each alert alone: the groups of people are torn.
    let apart = json!({"correlate": {"threshold": 0.9999, "merge_threshold": 0.9999}});
    let apart = Settings::default().with(&apart).expect("in range");
    let [_, together] = said.figures(&ours, 0..said.incidents());
    let [_, torn] = said.figures(&said.answers(&apart).expect("plays"), 0..said.incidents());
    assert!(torn < together, "{torn} apart, {together} as it ran");
}

#[test]
fn a_journal_in_which_nobody_spoke_says_how_to_speak() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (inputs, _) = played();
    write(folder.path(), &inputs, &[]);
    let data = folder.path().to_path_buf();
    let bench = Bench { data, out: None, settings: Settings::default(), perturbed: false, own: true };
    let error = Said::read(&bench).expect_err("nobody spoke").to_string();
    assert!(error.contains("nobody judged an incident") && error.contains("wires.actions"), "{error}");
}
