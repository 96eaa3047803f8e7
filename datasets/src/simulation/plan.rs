//! A plan: everything a simulation will do, before it does it.

use bellwether_engine::time::{EventTime, Span};

use crate::estate::{Estate, EstateError, EstateParams, Kind, Metric, random_estate};
use crate::faults::{FaultKind, Symptom};
use crate::rng::Rng;

/// 2026-03-02T08:00:00Z, a Monday morning: the rhythm of a working day is under way.
pub const START: EventTime = EventTime::from_secs(1_772_438_400);

/// Nothing breaks before this: a new monitor must learn what is usual.
const WARM_UP: Span = Span::from_mins(30);

/// Faults that begin together begin within this of each other.
const TOGETHER: Span = Span::from_secs(30);

/// Everything a simulation will do.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// Seed of every noise.
    pub seed: u64,
    /// What there is.
    pub estate: Estate,
    /// When it begins.
    pub start: EventTime,
    /// How long it goes on.
    pub lasts: Span,
    /// Metric samples are taken this often.
    pub metric_interval: Span,
    /// What breaks.
    pub faults: Vec<PlannedFault>,
    /// What only looks as if.
    pub disturbances: Vec<Disturbance>,
    /// Work as usual.
    pub changes: Vec<PlannedChange>,
    /// How imperfect the telling is.
    pub noise: Noise,
}

/// A fault to come.
#[derive(Clone, PartialEq, Debug)]
pub struct PlannedFault {
    /// What kind.
    pub kind: FaultKind,
    /// Whom it strikes.
    pub entity: usize,
    /// First trace.
    pub at: EventTime,
    /// Until the repair.
    pub lasts: Span,
    /// How hard, 0–1.
    pub strength: f64,
    /// The change that brings it about.
    pub change: Option<PlannedChange>,
}

/// A change to come.
#[derive(Clone, PartialEq, Debug)]
pub struct PlannedChange {
    /// Its id in the tool that makes it.
    pub id: String,
    /// When it takes effect.
    pub at: EventTime,
    /// The CDEvents type.
    pub change_type: String,
    /// What is changed.
    pub entity: usize,
    /// Who makes it.
    pub who: String,
    /// What it says.
    pub text: String,
}

/// A reading out of line that means nothing: one blip, or a flapping check.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Disturbance {
    /// Of what.
    pub entity: usize,
    /// What is seen.
    pub symptom: Symptom,
    /// From when.
    pub at: EventTime,
    /// For how long.
    pub lasts: Span,
    /// On for this long, off for as long, and again; `None` for on all the time.
    pub flaps: Option<Span>,
}

/// How imperfect the telling is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Noise {
    /// Share of notifications sent twice.
    pub duplicates: f64,
    /// Share of notifications that come late.
    pub late: f64,
    /// By how much at most.
    pub late_max: Span,
    /// Share of true edges the catalogue does not know.
    pub edges_missing: f64,
    /// Share of edges the catalogue has wrong, of those it knows.
    pub edges_wrong: f64,
    /// Share of calls that can do without an answer.
    pub tolerant: f64,
    /// Ordinary log lines per minute of each item that writes a log.
    pub lines_per_min: f64,
    /// Error lines written for each one a tool counts: logs are sampled at the source.
    pub error_line_share: f64,
}

impl Default for Noise {
    fn default() -> Noise {
        Noise {
            duplicates: 0.02,
            late: 0.01,
            late_max: Span::from_secs(20),
            edges_missing: 0.0,
            edges_wrong: 0.0,
            tolerant: 0.0,
            lines_per_min: 0.2,
            error_line_share: 0.05,
        }
    }
}

/// How [`Plan::random`] makes a plan.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct PlanParams {
    /// Same seed, same bytes.
    pub seed: u64,
    /// How many entities, 50 to 10,000.
    pub entities: usize,
    /// How many tenants share them.
    pub tenants: usize,
    /// How many faults.
    pub faults: usize,
    /// So many of them begin within one minute of each other, at different items: 1 for one at
    /// a time, which may still overlap.
    pub together: usize,
    /// How long it goes on.
    pub lasts: Span,
    /// Metric samples are taken this often.
    pub metric_interval: Span,
    /// Blips for each entity and day.
    pub blips_per_day: f64,
    /// Share of entities with a check that flaps.
    pub flapping: f64,
    /// Changes for each service and day.
    pub changes_per_day: f64,
    /// How imperfect the telling is.
    pub noise: Noise,
}

impl PlanParams {
    /// An estate with the imperfections of an ordinary one: a tenth of its edges missing or
    /// wrong, a few flapping checks, changes all day. Time for the faults to come one after
    /// the other, though some overlap.
    pub fn new(seed: u64, entities: usize, faults: usize) -> PlanParams {
        PlanParams {
            seed,
            entities,
            tenants: 1 + entities / 2_500,
            faults,
            together: 1,
            lasts: Span::from_mins(90 + 25 * i64::try_from(faults).unwrap_or(i64::MAX / 1_000_000)),
            metric_interval: Span::from_mins(1),
            blips_per_day: 0.05,
            flapping: 0.005,
            changes_per_day: 0.5,
            noise: Noise { edges_missing: 0.05, edges_wrong: 0.05, tolerant: 0.1, ..Noise::default() },
        }
    }
}

impl Plan {
    /// An empty plan over `estate`: nothing breaks.
    pub fn quiet(seed: u64, estate: Estate, lasts: Span) -> Plan {
        Plan {
            seed,
            estate,
            start: START,
            lasts,
            metric_interval: Span::from_mins(1),
            faults: Vec::new(),
            disturbances: Vec::new(),
            changes: Vec::new(),
            noise: Noise::default(),
        }
    }

    /// A random estate with random faults.
    ///
    /// # Errors
    /// [`EstateError`] when the estate would be too small or too large.
    pub fn random(params: &PlanParams) -> Result<Plan, EstateError> {
        let estate =
            random_estate(&EstateParams { seed: params.seed, entities: params.entities, tenants: params.tenants })?;
        let mut plan = Plan::quiet(params.seed, estate, params.lasts);
        plan.metric_interval = params.metric_interval;
        plan.noise = params.noise;
        plan.draw_faults(params.faults, params.together);
        plan.draw_disturbances(params.blips_per_day, params.flapping);
        plan.draw_changes(params.changes_per_day);
        Ok(plan)
    }

    /// The instant `mins` minutes and `secs` seconds into the plan.
    pub fn minute(&self, mins: i64, secs: i64) -> EventTime {
        self.start.plus(Span::from_secs(mins * 60 + secs))
    }

    /// Faults take turns through the kinds, so that a plan of twenty has every kind that the
    /// estate has a target for.
    fn draw_faults(&mut self, count: usize, together: usize) {
        let mut rng = Rng::new(self.seed, "faults");
        let together = together.max(1);
        let mut kinds = FaultKind::ALL;
        rng.shuffle(&mut kinds);
        let room = (self.lasts.0 - WARM_UP.times(2).0).max(0);
        for number in 0..count {
            let kind = kinds[number % kinds.len()];
            let Some(entity) = self.draw_target(kind, &mut rng) else {
                continue;
            };
            // One slot of time for each, and anywhere within it and half the next: some overlap.
            let slots = count.div_ceil(together);
            let slot = room / slots as i64;
            let within = if number % together == 0 { (slot as f64 * 0.7 * rng.unit()) as i64 } else { 0 };
            let at = match (number % together, self.faults.last()) {
                (1.., Some(before)) => before.at.0 + (TOGETHER.0 as f64 * rng.unit()) as i64,
                _ => self.start.0 + WARM_UP.0 + slot * (number / together) as i64 + within,
            };
            let at = EventTime(at - at.rem_euclid(1_000_000));
            let change = self.draw_cause(kind, entity, at, number, &mut rng);
            self.faults.push(PlannedFault {
                kind,
                entity,
                at,
                lasts: Span::from_secs(kind.spec().ramp_secs + 600 + (900.0 * rng.unit()) as i64),
                strength: rng.between(0.8, 1.0),
                change,
            });
        }
        self.faults.sort_by_key(|f| (f.at, f.entity));
    }

    fn draw_target(&self, kind: FaultKind, rng: &mut Rng) -> Option<usize> {
        let struck: Vec<usize> = self.faults.iter().map(|f| f.entity).collect();
        let candidates: Vec<usize> = (0..self.estate.entities.len())
            .filter(|i| kind.spec().targets.contains(&self.estate.entities[*i].kind) && !struck.contains(i))
            .collect();
        (!candidates.is_empty()).then(|| *rng.pick(&candidates))
    }

    fn draw_cause(
        &self,
        kind: FaultKind,
        entity: usize,
        at: EventTime,
        number: usize,
        rng: &mut Rng,
    ) -> Option<PlannedChange> {
        let change = kind.spec().change.filter(|c| rng.chance(c.share))?;
        let name = self.estate.entities[entity].name();
        Some(PlannedChange {
            id: format!("CHG{:07}", 9_000_000 + number),
            at: at.minus(Span::from_secs(10 + (80.0 * rng.unit()) as i64)),
            change_type: change.change_type.to_owned(),
            entity,
            who: "release-bot".to_owned(),
            text: rng.pick(change.texts).replace("{name}", name),
        })
    }

    fn draw_disturbances(&mut self, blips_per_day: f64, flapping: f64) {
        let mut rng = Rng::new(self.seed, "disturbances");
        let days = self.lasts.as_secs_f64() / 86_400.0;
        for entity in 0..self.estate.entities.len() {
            let Some(symptom) = blip_of(self.estate.entities[entity].kind) else {
                continue;
            };
            let at = |rng: &mut Rng, within: i64| EventTime(self.start.0 + (within.max(0) as f64 * rng.unit()) as i64);
            if rng.chance((blips_per_day * days).min(1.0)) {
                let at = at(&mut rng, self.lasts.0);
                let lasts = Span::from_secs(60 + (180.0 * rng.unit()) as i64);
                self.disturbances.push(Disturbance { entity, symptom, at, lasts, flaps: None });
            }
            if rng.chance(flapping) {
                let at = at(&mut rng, self.lasts.0 / 2);
                let flaps = Some(Span::from_secs(150 + (120.0 * rng.unit()) as i64));
                self.disturbances.push(Disturbance { entity, symptom, at, lasts: self.lasts, flaps });
            }
        }
    }

    fn draw_changes(&mut self, per_day: f64) {
        let mut rng = Rng::new(self.seed, "changes");
        let p = (per_day * self.lasts.as_secs_f64() / 86_400.0).min(1.0);
        for (entity, item) in self.estate.entities.iter().enumerate() {
            if item.kind != Kind::Service || !rng.chance(p) {
                continue;
            }
            self.changes.push(PlannedChange {
                id: format!("CHG{:07}", 1_000_000 + entity),
                at: EventTime(self.start.0 + (self.lasts.0 as f64 * rng.unit()) as i64),
                change_type: "dev.cdevents.service.deployed.0.3.0".to_owned(),
                entity,
                who: "release-bot".to_owned(),
                text: format!("release of {}: routine update", item.name()),
            });
        }
    }
}

/// What a harmless blip of an item of `kind` looks like.
fn blip_of(kind: Kind) -> Option<Symptom> {
    let (metric, times, plus) = match kind {
        Kind::Service | Kind::Database => (Metric::Latency, 6.0, 0.0),
        Kind::Host => (Metric::Cpu, 1.0, 0.8),
        Kind::Pod => (Metric::Cpu, 1.0, 0.8),
        Kind::Switch | Kind::Router | Kind::Firewall => (Metric::Loss, 1.0, 0.05),
        Kind::Business => (Metric::Latency, 5.0, 0.0),
        Kind::Queue => (Metric::Backlog, 12.0, 0.0),
        _ => return None,
    };
    Some(Symptom { metric, times, plus })
}
