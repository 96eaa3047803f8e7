//! One estate through the engine: where each alert ended, and what was told of it.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use anyhow::{Context as _, Result};
use bellwether_datasets::simulation::{Plan, PlanParams, Simulation};
use bellwether_datasets::truth::{FaultTruth, Truth};
use bellwether_engine::input::Input;
use bellwether_engine::signal::SignalKind;
use bellwether_engine::time::{EventTime, Span};
use bellwether_engine::{Engine, EngineConfig};

use super::Setting;
use super::backdrop::Backdrop;
use crate::eval::homes::{Homes, IncidentHistory, Key, end_of, keep};

/// One alert of one fault (or of none), however often it fired.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) tenant: String,
    pub(super) name: String,
    pub(super) entity: String,
    /// First firing.
    pub(super) at: EventTime,
    /// Index of the fault; `None` for noise.
    pub(super) fault: Option<usize>,
    /// The incident it ended in, when it was told in one.
    pub(super) home: Option<String>,
}

/// An estate that has been played.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) seed: u64,
    pub(super) faults: Vec<FaultTruth>,
    pub(super) items: Vec<Item>,
    pub(super) incidents: BTreeMap<String, IncidentHistory>,
    /// Notifications the tools sent, repeats and recoveries included.
    pub(super) notifications: usize,
    /// Alerts that went from one told incident to another without a merge.
    pub(super) moved: usize,
    /// True edges, by name.
    pub(super) edges: Vec<(String, String)>,
}

impl Played {
    /// The incident that holds most of a fault's alerts; ties go to the first.
    pub(super) fn incident_of(&self, fault: usize) -> Option<&str> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for home in self.of(fault).filter_map(|item| item.home.as_deref()) {
            *counts.entry(home).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(id, count)| (*count, std::cmp::Reverse(*id))).map(|(id, _)| id)
    }

    /// The alerts of a fault.
    pub(super) fn of(&self, fault: usize) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.fault == Some(fault))
    }
}

/// Plays the estate of `seed`.
///
/// # Errors
/// When the size is out of range.
pub(super) fn play(
    seed: u64,
    (entities, faults): (usize, usize),
    setting: Setting,
    config: &EngineConfig,
    backdrop: Option<&Backdrop>,
) -> Result<Played> {
    let usual = PlanParams::new(seed, entities, faults);
    let params = PlanParams { noise: setting.noise(), together: setting.together(), ..usual };
    // In every second estate the faults come thick and fast: most overlap another.
    let crowded = Span::from_mins(60 + 12 * faults as i64);
    let params = if seed % 2 == 1 { PlanParams { lasts: crowded, ..params } } else { params };
    let mut simulation = Simulation::new(Plan::random(&params)?);
    let plan = simulation.plan();
    let tenants: Vec<String> = plan.estate.tenants.iter().map(|tenant| tenant.name.clone()).collect();
    let name = |index: usize| plan.estate.entities[index].id.clone();
    let edges = plan.estate.edges.iter().map(|edge| (name(edge.from), name(edge.to))).collect();
    let mut engine = Engine::new(config.clone(), NonZeroUsize::MIN)?;
    let (mut homes, mut incidents, mut events) = (Homes::default(), BTreeMap::new(), Vec::new());
    let mut notifications = 0;
    let (estate, start) = (simulation.plan().estate.clone(), simulation.plan().start);
    let mut behind = backdrop.map(|backdrop| backdrop.behind(seed, &estate, start)).transpose()?;
    for input in simulation.by_ref() {
        if let (Some(behind), Input::Tick(at)) = (&mut behind, &input) {
            for measured in behind.until(*at) {
                engine.apply(&measured, &mut events);
            }
        }
        engine.apply(&input, &mut events);
        events.drain(..).for_each(|event| keep(&mut incidents, event));
        let alerts = matches!(&input, Input::Batch(b) if b.kind() == SignalKind::Alert);
        if alerts {
            notifications += input.rows();
        }
        // Time has moved: alerts may have been placed.
        if alerts || matches!(&input, Input::Tick(_)) {
            homes.look(&engine, &tenants);
        }
    }
    engine.finish(&mut events);
    events.drain(..).for_each(|event| keep(&mut incidents, event));
    homes.look(&engine, &tenants);
    let truth = simulation.into_truth();
    let items = items(&truth, &homes, &incidents)?;
    let merged = |from: &String, to: &String| end_of(&incidents, from) == end_of(&incidents, to);
    let moved = homes.moves.iter().filter(|(from, to)| !merged(from, to)).count();
    Ok(Played { seed, faults: truth.faults, items, incidents, notifications, moved, edges })
}

fn items(truth: &Truth, homes: &Homes, incidents: &BTreeMap<String, IncidentHistory>) -> Result<Vec<Item>> {
    let mut items: BTreeMap<(Option<usize>, Key), Item> = BTreeMap::new();
    for alert in &truth.alerts {
        let fingerprint = u64::from_str_radix(&alert.fingerprint, 16)
            .with_context(|| format!("fingerprint `{}` of the truth", alert.fingerprint))?;
        let fault = alert.fault.as_ref().and_then(|id| truth.faults.iter().position(|fault| fault.id == *id));
        let key = (alert.tenant.clone(), fingerprint);
        let home = homes.of(&key, alert.starts_at).map(|id| end_of(incidents, id));
        let item = items.entry((fault, key)).or_insert_with(|| Item {
            tenant: alert.tenant.clone(),
            name: alert.name.clone(),
            entity: alert.entity.clone(),
            at: alert.starts_at,
            fault,
            home: None,
        });
        item.at = item.at.min(alert.starts_at);
        if item.home.is_none() {
            item.home = home;
        }
    }
    let mut items: Vec<Item> = items.into_values().collect();
    items.sort_by(|a, b| (a.at, &a.tenant, &a.entity, &a.name).cmp(&(b.at, &b.tenant, &b.entity, &b.name)));
    Ok(items)
}
