//! What the stages' tests share: the tables of a tenant, one stage run over one item, alerts in short.

use std::sync::Arc;

use crate::alert::Sensed;
use crate::compiled::{Compiled, Workers};
use crate::config::EngineConfig;
use crate::event::Event;
use crate::incident::IncidentEvent;
use crate::pipeline::Pipeline;
use crate::signal::{AlertStatus, Severity};
use crate::tables::Tables;
use crate::time::EventTime;
use crate::turn::{Effect, Item, TimerEffect, Turn};

/// How a stage takes an item.
type Take = fn(Item, &mut Tables, &mut Turn<'_>) -> Option<Item>;

/// The tables of one tenant.
pub(crate) struct Bench {
    pub(crate) tables: Tables,
    pub(crate) compiled: Arc<Compiled>,
    tenant: Arc<str>,
}

/// What a stage made of an item.
pub(crate) struct Done {
    pub(crate) next: Option<Item>,
    pub(crate) effects: Vec<Effect>,
}

impl Done {
    /// The item ended here, and nothing is asked for.
    pub(crate) fn nothing(&self) -> bool {
        self.next.is_none() && self.effects.is_empty()
    }

    /// What is to run through the stages, and what the stage wants back, in order.
    pub(crate) fn items(&self) -> Vec<&Item> {
        fn item(effect: &Effect) -> Option<&Item> {
            match effect {
                Effect::Run(item) | Effect::Then(item) | Effect::Next(item) => Some(item),
                Effect::Tell(_) | Effect::Timer(_) => None,
            }
        }
        self.effects.iter().filter_map(item).collect()
    }

    /// What is asked of the timers, in order.
    pub(crate) fn timers(&self) -> Vec<TimerEffect> {
        let timer = |effect: &Effect| if let Effect::Timer(timer) = effect { Some(*timer) } else { None };
        self.effects.iter().filter_map(timer).collect()
    }

    /// What the world is told.
    pub(crate) fn told(&self) -> Vec<&IncidentEvent> {
        fn told(effect: &Effect) -> Option<&IncidentEvent> {
            if let Effect::Tell(event) = effect { Some(event) } else { None }
        }
        self.effects.iter().filter_map(told).collect()
    }
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::with(serde_json::json!({}))
    }

    /// With these settings.
    pub(crate) fn with(settings: serde_json::Value) -> Bench {
        let config: EngineConfig = serde_json::from_value(settings).expect("they are settings");
        let tables = Tables::new(&config);
        let compiled = Arc::new(Compiled::new(config, Workers::default()).expect("they can be used"));
        Bench { tables, compiled, tenant: "acme".into() }
    }

    /// Gives one item to one stage at second `secs`.
    pub(crate) fn take(&mut self, stage: Take, secs: i64, item: Item) -> Done {
        let mut turn = Turn::new(&self.tenant, &self.compiled);
        turn.now = at(secs);
        let next = stage(item, &mut self.tables, &mut turn);
        Done { next, effects: turn.effects().collect() }
    }

    /// Runs an item through all stages at second `secs`; answers what the world is told.
    pub(crate) fn run(&mut self, secs: i64, item: Item) -> Vec<IncidentEvent> {
        let mut out = Vec::new();
        Pipeline::new(&self.tenant, &self.compiled, &mut out).run(item, at(secs), &mut self.tables);
        out
    }

    /// Fires the timers up to second `secs`; answers what the world is told.
    pub(crate) fn wait(&mut self, secs: i64) -> Vec<IncidentEvent> {
        let mut out = Vec::new();
        Pipeline::new(&self.tenant, &self.compiled, &mut out).fire_timers(at(secs), true, &mut self.tables);
        out
    }

    /// Fires an alert at second `secs`; answers what the world is told.
    pub(crate) fn fire(&mut self, secs: i64, fingerprint: u64, entity: &str) -> Vec<IncidentEvent> {
        self.run(secs, row(secs, fingerprint, "DiskFull", entity, AlertStatus::Firing))
    }

    /// Ends an alert at second `secs`; answers what the world is told.
    pub(crate) fn end(&mut self, secs: i64, fingerprint: u64, entity: &str) -> Vec<IncidentEvent> {
        self.run(secs, row(secs, fingerprint, "DiskFull", entity, AlertStatus::Resolved))
    }
}

/// Second `secs` of the tests.
pub(crate) fn at(secs: i64) -> EventTime {
    EventTime::from_secs(1_767_225_600 + secs)
}

/// A major alert.
pub(crate) fn sensed(secs: i64, fingerprint: u64, name: &str, entity: &str, status: AlertStatus) -> Sensed {
    Sensed {
        name: name.into(),
        entity: entity.into(),
        severity: Severity::Major,
        status,
        fingerprint,
        starts_at: at(secs),
        ends_at: None,
        late: crate::time::Span::ZERO,
        labels: Box::default(),
        summary: "it hurts".into(),
        message: Box::default(),
        observation: None,
    }
}

/// A row of such an alert.
pub(crate) fn row(secs: i64, fingerprint: u64, name: &str, entity: &str, status: AlertStatus) -> Item {
    Item::Event(Event::Sensed(Box::new(sensed(secs, fingerprint, name, entity, status))))
}
