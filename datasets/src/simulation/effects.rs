//! What every fault and disturbance does to every reading, at every instant.

use bellwether_engine::time::{EventTime, Span};

use super::plan::Plan;
use crate::estate::{Graph, Metric};
use crate::faults::{Strike, Symptom, spread};
use crate::rng::{mix, text};
use crate::truth::{AffectedTruth, FaultTruth};

/// Readings come back to normal within this after a repair.
const RECOVERY: Span = Span::from_secs(60);

/// Others do not feel a fault more gradually than this: a queue fills, and answers are late.
const FELT_RAMP_SECS_MAX: i64 = 150;

/// One symptom of one item over time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect {
    pub(super) symptom: Symptom,
    from: EventTime,
    until: EventTime,
    ramp: Span,
    flaps: Option<Span>,
    /// Index into the plan's faults; none for a disturbance.
    pub(super) fault: Option<usize>,
    /// The neighbour through which it came.
    pub(super) via: Option<usize>,
}

impl Effect {
    /// How much of the symptom shows at `at`, 0–1.
    pub(super) fn strength(&self, at: EventTime) -> f64 {
        if at < self.from {
            return 0.0;
        }
        let age = at.since(self.from).0;
        if let Some(half) = self.flaps {
            let on = at < self.until && (age / half.0.max(1)) % 2 == 0;
            return f64::from(u8::from(on));
        }
        let rise = (age as f64 / self.ramp.0.max(1) as f64).min(1.0);
        if at < self.until {
            return rise;
        }
        let fall = at.since(self.until).0 as f64 / RECOVERY.0 as f64;
        rise * (1.0 - fall).max(0.0)
    }
}

/// What is read, and which fault shows most in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) value: f64,
    pub(super) fault: Option<usize>,
}

/// Every effect, by item.
#[derive(Debug)]
pub(super) struct Effects(Vec<Vec<Effect>>);

impl Effects {
    /// The effects of `plan`, and the truth about its faults.
    pub(super) fn of(plan: &Plan) -> (Effects, Vec<FaultTruth>) {
        let mut effects = vec![Vec::new(); plan.estate.entities.len()];
        let graph = Graph::of(&plan.estate);
        let mut truths = Vec::with_capacity(plan.faults.len());
        for index in 0..plan.faults.len() {
            truths.push(strike(plan, &graph, index, &mut effects));
        }
        for disturbance in &plan.disturbances {
            effects[disturbance.entity].push(Effect {
                symptom: disturbance.symptom,
                from: disturbance.at,
                until: disturbance.at.plus(disturbance.lasts),
                ramp: Span::ZERO,
                flaps: disturbance.flaps,
                fault: None,
                via: None,
            });
        }
        (Effects(effects), truths)
    }

    /// The effects on one item.
    pub(super) fn on(&self, entity: usize) -> &[Effect] {
        &self.0[entity]
    }

    /// What is read of `metric` of `entity` at `at`, when it would be `healthy`.
    pub(super) fn reading(&self, entity: usize, metric: Metric, at: EventTime, healthy: f64) -> Reading {
        let mut reading = Reading { value: healthy, fault: None };
        let mut most = 0.0;
        for effect in self.0[entity].iter().filter(|e| e.symptom.metric == metric) {
            let strength = effect.strength(at);
            if strength <= 0.0 {
                continue;
            }
            let before = reading.value;
            let factor = 1.0 + (effect.symptom.times - 1.0) * strength;
            reading.value = before * factor + effect.symptom.plus * strength;
            let share = (reading.value - before).abs();
            if share > most {
                most = share;
                reading.fault = effect.fault;
            }
        }
        reading
    }
}

/// Spreads one fault over the estate; notes its effects and returns its truth.
fn strike(plan: &Plan, graph: &Graph, index: usize, effects: &mut [Vec<Effect>]) -> FaultTruth {
    let fault = &plan.faults[index];
    let spec = fault.kind.spec();
    let touches = spread(
        &plan.estate,
        graph,
        &Strike {
            spec,
            root: fault.entity,
            strength: fault.strength,
            seed: mix(mix(plan.seed, text("spread")), index as u64),
            tolerant: plan.noise.tolerant,
        },
    );
    let ends_at = fault.at.plus(fault.lasts);
    let mut affected = Vec::new();
    let mut customers = Vec::new();
    for touch in &touches {
        let own = touch.entity == fault.entity;
        let ramp_secs = if own { spec.ramp_secs } else { spec.ramp_secs.min(FELT_RAMP_SECS_MAX) };
        let latent_secs = if spec.latent && !own { spec.ramp_secs } else { 0 };
        let from = fault.at.plus(touch.delay).plus(Span::from_secs(latent_secs));
        let entity = &plan.estate.entities[touch.entity];
        effects[touch.entity].extend(touch.symptoms.iter().map(|symptom| Effect {
            symptom: *symptom,
            from,
            until: ends_at.plus(touch.delay),
            ramp: Span::from_secs(ramp_secs),
            flaps: None,
            fault: Some(index),
            via: touch.via,
        }));
        if touch.ill {
            customers.extend(entity.customers.iter().cloned());
        }
        if touch.ill && !own {
            affected.push(AffectedTruth { entity: entity.id.clone(), since: from, strength: touch.strength });
        }
    }
    customers.sort_unstable();
    customers.dedup();
    let cause = &plan.estate.entities[fault.entity];
    FaultTruth {
        id: format!("fault-{}", index + 1),
        tenant: plan.estate.tenants[cause.tenant].name.clone(),
        kind: fault.kind,
        cause: cause.id.clone(),
        change: fault.change.as_ref().map(|c| c.id.clone()),
        starts_at: fault.at,
        ends_at,
        affected,
        customers,
        firings: 0,
    }
}
