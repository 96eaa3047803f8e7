//! Faults nobody here made: PetShop training issues and Nezha OnlineBoutique days, replayed
//! through the engine with its default settings. Prints in how many an incident names the
//! component that was injured, and asks for no fewer than were once measured.
//!
//! The data is read from `BELLWETHER_DATA`, default `../shared/data`. Without it the tests say
//! so and pass: they have nothing to judge.

#![allow(clippy::print_stderr)] // the counts are what people look for

use std::num::NonZeroUsize;
use std::path::PathBuf;

use bellwether_datasets::public::{nezha, petshop};
use bellwether_datasets::real;
use bellwether_engine::incident::{EntityRole, IncidentEvent};
use bellwether_engine::input::Input;
use bellwether_engine::signal::Severity;
use bellwether_engine::time::{EventTime, Span};
use bellwether_engine::{Engine, EngineConfig};

/// An incident counts for a fault when it says something within this long after it.
const WITHIN: Span = Span::from_mins(12);

fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("BELLWETHER_DATA").map_or_else(|| "../shared/data".into(), PathBuf::from);
    let folder = if folder.is_absolute() { folder } else { PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder) };
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: no data in `{}`; set BELLWETHER_DATA to the folder of public data sets", folder.display());
    None
}

fn replay(inputs: impl Iterator<Item = Input>) -> Vec<IncidentEvent> {
    let threads = NonZeroUsize::new(2).expect("two");
    // These estates have metrics and no tool that alerts: a clear anomaly must speak for itself.
    let mut config = EngineConfig::default();
    config.sense.anomalies.severity = Severity::Minor;
    let mut engine = Engine::new(config, threads).expect("sound settings");
    let mut events = Vec::new();
    for input in inputs {
        engine.apply(&input, &mut events);
    }
    engine.finish(&mut events);
    events
}

/// Whether an event names one of `entities` as cause or affected, and how many it names.
fn names(event: &IncidentEvent, entities: &[String]) -> (bool, usize) {
    let hurt =
        event.record.entities.iter().filter(|e| matches!(e.role, Some(EntityRole::Cause | EntityRole::Affected)));
    let ids: Vec<&str> = hurt.map(|e| e.id.as_str()).collect();
    (ids.iter().any(|id| entities.iter().any(|e| e == id)), ids.len())
}

/// Faults found, faults in all, and the entities named by an incident on average.
#[derive(Default)]
struct Score {
    found: usize,
    all: usize,
    named: usize,
    events: usize,
}

impl Score {
    fn judge(&mut self, events: &[IncidentEvent], at: EventTime, entities: &[String]) {
        let near = events.iter().filter(|e| e.record.updated_at >= at && e.record.updated_at <= at.plus(WITHIN));
        let mut found = false;
        for event in near {
            let (named, count) = names(event, entities);
            found |= named;
            self.named += count;
            self.events += 1;
        }
        self.found += usize::from(found);
        self.all += 1;
    }

    fn print(&self, what: &str) {
        let each = self.named as f64 / self.events.max(1) as f64;
        eprintln!(
            "{what}: the injured component is named in {} of {} cases ({each:.1} entities an event)",
            self.found, self.all
        );
    }
}

#[test]
fn petshop_incidents_name_the_injured_component() {
    let Some(data) = data() else { return };
    let mut score = Score::default();
    let folders: Vec<PathBuf> = petshop::issues(&data.join("petshop")).expect("a folder of issues");
    for folder in folders.iter().filter(|f| f.parent().is_some_and(|p| p.ends_with("train"))) {
        // Two of the four scenarios have no fault-free days: nothing to learn from.
        let Ok(case) = real::petshop::case(folder) else { continue };
        let injured = real::petshop::entity(&petshop::truth(folder).expect("an answer"));
        let start = case.trouble.iter().find_map(|input| match input {
            Input::Batch(batch) => Some(bellwether_engine::signal::MetricColumns::of(batch).time[0]),
            _ => None,
        });
        let events = replay(case.into_inputs());
        // The rows of an issue span 25 minutes around its alarm.
        let mut one = Score::default();
        for half in [0, 12] {
            one.judge(
                &events,
                EventTime(start.expect("an issue has rows")).plus(Span::from_mins(half)),
                std::slice::from_ref(&injured),
            );
        }
        score.found += usize::from(one.found > 0);
        score.all += 1;
        score.named += one.named;
        score.events += one.events;
    }
    score.print("petshop train");
    assert!(score.all >= 8, "only {} issues", score.all);
    assert!(score.found * 2 > score.all, "most cases must be found");
}

#[test]
fn nezha_incidents_name_the_injured_pod() {
    let Some(data) = data() else { return };
    let mut score = Score::default();
    for day in ["2022-08-22", "2022-08-23"] {
        let folder = data.join("nezha/rca_data").join(day);
        let events = replay(real::nezha::day(&folder).expect("a day").into_inputs());
        for fault in nezha::truth(&folder).expect("answers") {
            let entities = [real::nezha::pod_entity(&fault.pod), real::nezha::service_entity(&fault.pod)];
            score.judge(&events, EventTime::from_secs(fault.at_secs), &entities);
        }
    }
    score.print("nezha OnlineBoutique");
    assert!(score.all >= 50, "only {} faults", score.all);
    assert!(score.found * 2 > score.all, "most cases must be found");
}
