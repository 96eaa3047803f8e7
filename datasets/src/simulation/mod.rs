//! Plays a plan: readings, alerts, log lines and changes, in order of arrival.
//!
//! ```
//! use bellwether_datasets::simulation::{Plan, PlanParams, Simulation};
//!
//! let plan = Plan::random(&PlanParams::new(7, 50, 2)).expect("50 entities are enough");
//! let mut simulation = Simulation::new(plan);
//! let rows: usize = simulation.by_ref().map(|input| input.rows()).sum();
//! let truth = simulation.into_truth();
//! assert!(rows > 1_000 && truth.faults.len() == 2);
//! ```
//!
//! Time moves in steps of ten seconds. In each, every item is read where a tool or an exporter
//! is due; what they say goes into a heap by its time of arrival, and what has arrived comes
//! out as batches, one of each kind and tenant. So an estate of 10,000 entities needs memory
//! for its state and for what is under way, not for its history.

mod effects;
mod inventory;
mod logs;
mod mail;
mod plan;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{EdgeBuilder, EdgeRow, SeriesBuilder, SeriesType, series_id};
use bellwether_engine::time::{EventTime, Span};

use crate::estate::{Channel, channels_of};
use crate::rng::{mix, text, unit};
use crate::truth::Truth;
use effects::Effects;
pub use inventory::{Inventory, inventory_of};
use mail::{Mail, Signal};
pub use plan::{Disturbance, Noise, Plan, PlanParams, PlannedChange, PlannedFault, START};
use watch::Watch;

/// Time moves by this much.
const STEP_SECS: i64 = 10;
const STEP: Span = Span::from_secs(STEP_SECS);

/// A tick is sent this often.
const TICK_SECS: i64 = 60;

/// A plan being played: an iterator of journal entries in order of arrival.
pub struct Simulation {
    plan: Plan,
    effects: Effects,
    channels: Vec<Vec<Sensor>>,
    watches: Vec<Vec<Watch>>,
    mail: Mail,
    ready: VecDeque<Input>,
    now: EventTime,
    truth: Truth,
    done: bool,
}

/// One metric of one item, and the series it is exported as.
struct Sensor {
    channel: Channel,
    series: Option<u64>,
}

impl Simulation {
    /// Begins to play `plan`.
    pub fn new(plan: Plan) -> Simulation {
        let (effects, faults) = Effects::of(&plan);
        let mut simulation = Simulation {
            effects,
            channels: sensors(&plan),
            watches: Vec::new(),
            mail: Mail::new(&plan),
            ready: VecDeque::new(),
            now: plan.start,
            truth: Truth { seed: plan.seed, faults, alerts: Vec::new() },
            done: false,
            plan,
        };
        simulation.watches = watch::watches(&simulation.plan.estate, &simulation.channels);
        simulation.introduce();
        simulation.schedule_changes();
        simulation
    }

    /// The plan being played.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The truth so far: complete once the iterator is at its end.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The whole truth; plays what has not been played yet.
    pub fn into_truth(mut self) -> Truth {
        self.by_ref().for_each(drop);
        self.truth
    }

    /// What the engine is told before anything happens: catalogues, series, pods.
    fn introduce(&mut self) {
        let plan = &self.plan;
        for (index, tenant) in plan.estate.tenants.iter().enumerate() {
            let Inventory { catalogue, discovered } = inventory_of(plan, index);
            self.ready.push_back(Input::Catalogue {
                tenant: tenant.name.as_str().into(),
                at: plan.start,
                catalogue: Arc::new(catalogue),
            });
            let mut series = SeriesBuilder::new();
            for (entity, sensors) in plan.estate.entities.iter().zip(&self.channels) {
                if entity.tenant != index {
                    continue;
                }
                for (name, unit) in sensors.iter().filter_map(|s| s.channel.metric.series()) {
                    series.push(name, &entity.id, unit, SeriesType::Gauge, &[]);
                }
            }
            let mut edges = EdgeBuilder::new();
            for edge in &discovered {
                edges.push(&EdgeRow {
                    time: plan.start,
                    from: &edge.from,
                    to: &edge.to,
                    relation: edge.relation,
                    source: "kubernetes",
                    confidence: edge.confidence,
                });
            }
            let name = &tenant.name;
            let batches =
                [(!series.is_empty()).then(|| series.finish(name)), (!edges.is_empty()).then(|| edges.finish(name))];
            for batch in batches.into_iter().flatten() {
                self.ready.push_back(Input::Batch(batch.expect("tenant names are checked")));
            }
        }
    }

    fn schedule_changes(&mut self) {
        let causes = self.plan.faults.iter().filter_map(|f| f.change.as_ref());
        let changes: Vec<PlannedChange> = self.plan.changes.iter().chain(causes).cloned().collect();
        for change in changes {
            let tenant = self.plan.estate.entities[change.entity].tenant;
            let delay = Span::from_secs(2);
            self.mail.send(tenant, change.at.plus(delay), Signal::Change(Box::new(change)));
        }
    }

    /// Everything that happens in one step.
    fn step(&mut self) {
        let at = self.now;
        let secs = at.since(self.plan.start).0 / 1_000_000_000;
        let export_secs = self.plan.metric_interval.0 / 1_000_000_000;
        for entity in 0..self.plan.estate.entities.len() {
            let offset = offset_of(self.plan.seed, entity);
            let exports = (secs + 10 * (entity as i64 % 6)) % export_secs.max(STEP_SECS) < STEP_SECS;
            self.read(entity, at.plus(offset), secs, exports);
        }
        logs::write(&self.plan, &self.effects, at, STEP, &mut self.mail);
        self.now = at.plus(STEP);
        self.mail.deliver(self.now, &mut self.ready);
        if (secs + STEP_SECS) % TICK_SECS == 0 {
            self.ready.push_back(Input::Tick(self.now));
        }
    }

    /// Reads the metrics of one item for whoever is due.
    fn read(&mut self, entity: usize, at: EventTime, secs: i64, exports: bool) {
        let tenant = self.plan.estate.entities[entity].tenant;
        for (index, sensor) in self.channels[entity].iter().enumerate() {
            let exported = sensor.series.filter(|_| exports);
            let watched = self.watches[entity].iter().any(|w| w.sensor == index && w.is_due(secs));
            if exported.is_none() && !watched {
                continue;
            }
            let healthy = sensor.channel.healthy(at, self.plan.start);
            let reading = self.effects.reading(entity, sensor.channel.metric, at, healthy);
            let value = sensor.channel.clamp(reading.value);
            if let Some(series) = exported {
                self.mail.send(tenant, at.plus(Span::from_secs(1)), Signal::Metric { at, series, value });
            }
            for watch in self.watches[entity].iter_mut().filter(|w| w.sensor == index && w.is_due(secs)) {
                watch.look(&self.plan, at, value, reading.fault, &mut self.mail, &mut self.truth);
            }
        }
    }
}

impl Iterator for Simulation {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        loop {
            if let Some(input) = self.ready.pop_front() {
                return Some(input);
            }
            if self.done {
                return None;
            }
            if self.now >= self.plan.start.plus(self.plan.lasts) {
                self.mail.deliver(EventTime::MAX, &mut self.ready);
                self.ready.push_back(Input::Tick(self.now));
                self.done = true;
            } else {
                self.step();
            }
        }
    }
}

/// Items are not all read at the same instant: each has its own offset within the step.
fn offset_of(seed: u64, entity: usize) -> Span {
    let millis = unit(mix(mix(seed, text("offset")), entity as u64)) * 9_000.0;
    Span(millis as i64 * 1_000_000)
}

fn sensors(plan: &Plan) -> Vec<Vec<Sensor>> {
    plan.estate
        .entities
        .iter()
        .map(|entity| {
            let tenant = &plan.estate.tenants[entity.tenant].name;
            let seed = mix(mix(plan.seed, text(tenant)), text(&entity.id));
            channels_of(entity.kind, seed)
                .map(|channel| Sensor {
                    series: channel.metric.series().map(|(name, _)| series_id(name, &entity.id, &[])),
                    channel,
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests;
