//! Estates of any size: layers of services over stores, machines and a network.
//!
//! A tenant's part has business services on top, services in four tiers that call mostly the
//! next one (and sometimes across, so that the calls are a mesh and not a tree), pods, stores,
//! machines, access switches under core switches, and a router; every third tenant of some
//! size has a plant with lines, cells, controllers and SCADA. Shares are ours, made to look
//! like an ordinary company; no measured estate stands behind them.

use bellwether_engine::catalogue::{Criticality, Member, Sla, Team};
use bellwether_engine::incident::Priority;
use bellwether_engine::signal::Relation;
use bellwether_engine::time::Span;

use super::names::{BUSINESSES, CELLS, CUSTOMERS, DUTIES, SUBJECTS, TEAMS, TENANTS};
use super::{Estate, Kind};
use crate::rng::Rng;

/// Fewer entities than this do not make an estate with layers.
const ENTITIES_MIN: usize = 50;
/// More than this is outside what the simulator was tried with.
const ENTITIES_MAX: usize = 10_000;
/// A tenant needs this many entities to have each layer.
const TENANT_ENTITIES_MIN: usize = 24;

/// Services stand in this many tiers.
const TIERS: usize = 4;
/// Machines on one access switch.
const HOSTS_PER_SWITCH: usize = 16;

/// What to make.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct EstateParams {
    /// Same seed, same estate.
    pub seed: u64,
    /// How many entities, over all tenants: 50 to 10,000.
    pub entities: usize,
    /// How many tenants.
    pub tenants: usize,
}

/// Why an estate cannot be made.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EstateError {
    /// Too small or too large.
    #[error("an estate of `{0}` entities cannot be made: ask for 50 to 10000")]
    Size(usize),
    /// Too many tenants, or none.
    #[error("`{tenants}` tenants cannot share {entities} entities: each needs at least 24")]
    Tenants {
        /// As asked.
        tenants: usize,
        /// As asked.
        entities: usize,
    },
}

/// An estate of exactly `params.entities` entities.
///
/// # Errors
/// [`EstateError`] when the size is outside 50 to 10,000 or the tenants are too many for it.
pub fn random_estate(params: &EstateParams) -> Result<Estate, EstateError> {
    let EstateParams { seed, entities, tenants } = *params;
    if !(ENTITIES_MIN..=ENTITIES_MAX).contains(&entities) {
        return Err(EstateError::Size(entities));
    }
    if tenants == 0 || entities / tenants < TENANT_ENTITIES_MIN {
        return Err(EstateError::Tenants { tenants, entities });
    }
    let mut estate = Estate::default();
    for index in 0..tenants {
        let size = entities / tenants + usize::from(index < entities % tenants);
        let mut name = TENANTS[index % TENANTS.len()].to_owned();
        if index >= TENANTS.len() {
            name = format!("{name}-{}", 1 + index / TENANTS.len());
        }
        let tenant = estate.add_tenant(&name);
        staff(&mut estate, tenant);
        Builder { rng: Rng::new(seed, &format!("estate of {index}")), estate: &mut estate, tenant, left: size }
            .build(size, index % 3 == 0 && size >= 120);
    }
    Ok(estate)
}

/// Gives a tenant its teams and its two SLAs.
pub(crate) fn staff(estate: &mut Estate, tenant: usize) {
    let people = ["ana", "bo", "chris", "dee", "eli", "fay", "gus"];
    let team = |(index, (name, group)): (usize, &(&str, &str))| Team {
        name: (*name).to_owned(),
        assignment_group: (*group).to_owned(),
        escalation: format!("{name}-lead"),
        members: vec![Member {
            name: people[index % people.len()].to_owned(),
            skills: vec![(*name).to_owned()],
            capacity: 3,
            ..Member::default()
        }],
        ola: String::new(),
    };
    let sla = |name: &str, respond: [i64; 3], resolve: [i64; 3]| Sla {
        name: name.to_owned(),
        respond: priorities(respond),
        resolve: priorities(resolve),
        ..Sla::default()
    };
    let tenant = &mut estate.tenants[tenant];
    tenant.teams = TEAMS.iter().enumerate().map(team).collect();
    tenant.slas = vec![sla("gold", [15, 30, 120], [240, 480, 1_440]), sla("silver", [30, 60, 240], [480, 960, 2_880])];
}

/// Minutes for P1, P2 and P3.
pub(crate) fn priorities(mins: [i64; 3]) -> std::collections::BTreeMap<Priority, Span> {
    [Priority::P1, Priority::P2, Priority::P3].into_iter().zip(mins.map(Span::from_mins)).collect()
}

struct Builder<'a> {
    rng: Rng,
    estate: &'a mut Estate,
    tenant: usize,
    left: usize,
}

impl Builder<'_> {
    fn build(mut self, size: usize, plant: bool) {
        let share = |part: usize, least: usize| (size * part / 100).max(least);
        let core = self.add(Kind::Router, "edge-rt-1", "network", Criticality::High);
        let firewall = self.add(Kind::Firewall, "dc-fw-1", "network", Criticality::High);
        self.estate.link(firewall, Relation::ConnectsTo, core);
        let cores = self.core_switches(firewall);
        let hosts = self.hosts(share(24, 6), &cores);
        self.add(Kind::Monitor, "prometheus-1", "platform", Criticality::Medium);
        if plant {
            self.plant(share(10, 12), &cores);
        }
        let stores = self.stores(share(8, 3), &hosts);
        let partner = self.add(Kind::External, "card-acquirer", "payments", Criticality::High);
        let tiers = self.services(share(20, 5), &stores, partner);
        self.businesses(share(2, 1), &tiers[0]);
        self.pods(&tiers.concat(), &hosts);
    }

    fn add(&mut self, kind: Kind, name: &str, owner: &str, criticality: Criticality) -> usize {
        let sla = if criticality >= Criticality::High { "gold" } else { "silver" };
        let entity = self.estate.add(self.tenant, kind, name);
        self.estate.own(entity, owner, criticality, sla);
        self.left = self.left.saturating_sub(1);
        entity
    }

    fn core_switches(&mut self, firewall: usize) -> Vec<usize> {
        (1..=2)
            .map(|number| {
                let switch = self.add(Kind::Switch, &format!("core-sw-{number}"), "network", Criticality::High);
                self.estate.link(switch, Relation::ConnectsTo, firewall);
                switch
            })
            .collect()
    }

    fn hosts(&mut self, count: usize, cores: &[usize]) -> Vec<usize> {
        let mut hosts = Vec::with_capacity(count);
        let mut switch = cores[0];
        for number in 0..count {
            if number % HOSTS_PER_SWITCH == 0 {
                let name = format!("rack-{:02}-sw", 1 + number / HOSTS_PER_SWITCH);
                switch = self.add(Kind::Switch, &name, "network", Criticality::Medium);
                for core in cores {
                    self.estate.link(switch, Relation::ConnectsTo, *core);
                }
            }
            let host = self.add(Kind::Host, &format!("node-{:03}", number + 1), "platform", Criticality::Medium);
            self.estate.link(host, Relation::ConnectsTo, switch);
            hosts.push(host);
        }
        hosts
    }

    fn plant(&mut self, count: usize, cores: &[usize]) {
        let end = self.left.saturating_sub(count);
        let mut line_number = 0;
        while self.left > end {
            line_number += 1;
            let line = self.add(Kind::Line, &format!("line-{line_number}"), "plant-it", Criticality::Critical);
            let switch = self.add(Kind::Switch, &format!("plant-sw-{line_number}"), "plant-it", Criticality::High);
            self.estate.link(switch, Relation::ConnectsTo, cores[line_number % cores.len()]);
            let scada = self.add(Kind::Scada, &format!("line-{line_number}-scada"), "plant-it", Criticality::Critical);
            self.estate.link(scada, Relation::ConnectsTo, switch);
            for step in CELLS.iter().take(4) {
                let plc = self.add(Kind::Plc, &format!("line-{line_number}-{step}-plc"), "plant-it", Criticality::High);
                let cell = self.add(Kind::Cell, &format!("line-{line_number}-{step}"), "plant-it", Criticality::High);
                self.estate.link(plc, Relation::ConnectsTo, switch);
                self.estate.link(scada, Relation::Calls, plc);
                self.estate.link(cell, Relation::RunsOn, plc);
                self.estate.link(cell, Relation::PartOf, line);
            }
        }
    }

    fn stores(&mut self, count: usize, hosts: &[usize]) -> Vec<usize> {
        (0..count)
            .map(|number| {
                let (kind, suffix) = match number % 5 {
                    0 | 1 | 3 => (Kind::Database, "pg"),
                    2 => (Kind::Cache, "redis"),
                    _ => (Kind::Queue, "mq"),
                };
                let subject = SUBJECTS[(number * 5) % SUBJECTS.len()];
                let name = format!("{subject}-{suffix}-{}", 1 + number / SUBJECTS.len());
                let store = self.add(kind, &name, "database", Criticality::High);
                let host = *self.rng.pick(hosts);
                self.estate.link(store, Relation::RunsOn, host);
                store
            })
            .collect()
    }

    fn services(&mut self, count: usize, stores: &[usize], partner: usize) -> Vec<Vec<usize>> {
        let mut tiers = vec![Vec::new(); TIERS];
        for number in 0..count {
            // The tiers widen downwards: 1, 2, 3 and 4 of ten.
            let tier = match number % 10 {
                0 => 0,
                1 | 2 => 1,
                3..=5 => 2,
                _ => 3,
            };
            let subject = SUBJECTS[number % SUBJECTS.len()];
            let duty = DUTIES[(number / SUBJECTS.len() + tier) % DUTIES.len()];
            let round = number / (SUBJECTS.len() * DUTIES.len());
            let mut name = format!("{subject}-{duty}");
            if self.estate.find(self.tenant, &format!("service:{name}")).is_some() {
                name = format!("{name}-{}", number + round);
            }
            let owner = TEAMS[self.rng.below(3)].0;
            let criticality = if tier == 0 {
                Criticality::Critical
            } else {
                *self.rng.pick(&[Criticality::Medium, Criticality::High])
            };
            let service = self.add(Kind::Service, &name, owner, criticality);
            tiers[tier].push(service);
        }
        for tier in 0..TIERS {
            for index in 0..tiers[tier].len() {
                self.calls(tiers[tier][index], tier, &tiers, stores, partner);
            }
        }
        tiers
    }

    fn calls(&mut self, service: usize, tier: usize, tiers: &[Vec<usize>], stores: &[usize], partner: usize) {
        let mut callees = Vec::new();
        if let Some(next) = tiers.get(tier + 1).filter(|t| !t.is_empty()) {
            for _ in 0..1 + self.rng.below(3) {
                callees.push(*self.rng.pick(next));
            }
        }
        // Now and then a call within the tier or past it.
        if self.rng.chance(0.15) {
            let other = self.rng.below(TIERS - tier) + tier;
            if !tiers[other].is_empty() {
                callees.push(*self.rng.pick(&tiers[other]));
            }
        }
        if tier >= 2 || callees.is_empty() {
            callees.push(*self.rng.pick(stores));
        }
        if tier >= 2 && self.rng.chance(0.05) {
            callees.push(partner);
        }
        callees.sort_unstable();
        callees.dedup();
        for callee in callees.into_iter().filter(|c| *c != service) {
            self.estate.link(service, Relation::Calls, callee);
        }
    }

    fn businesses(&mut self, count: usize, edge: &[usize]) {
        for number in 0..count.min(edge.len().max(1)) {
            let mut name = BUSINESSES[number % BUSINESSES.len()].to_owned();
            if number >= BUSINESSES.len() {
                name = format!("{name}-{}", 1 + number / BUSINESSES.len());
            }
            let business = self.add(Kind::Business, &name, "storefront", Criticality::Critical);
            let first = self.rng.below(CUSTOMERS.len());
            self.estate.entities[business].customers =
                vec![CUSTOMERS[first].to_owned(), CUSTOMERS[(first + 3) % CUSTOMERS.len()].to_owned()];
            for service in edge.iter().skip(number).step_by(count) {
                self.estate.link(business, Relation::Calls, *service);
            }
        }
    }

    /// Everything that is left becomes pods, spread over services and machines.
    fn pods(&mut self, services: &[usize], hosts: &[usize]) {
        let mut number = 0;
        while self.left > 0 {
            let service = services[number % services.len()];
            let host = *self.rng.pick(hosts);
            let name = self.estate.entities[service].name().to_owned();
            let hash = self.rng.bits() & 0xffff;
            let pod = self.add(Kind::Pod, &format!("{name}-{hash:04x}-{number}"), "", Criticality::Low);
            self.estate.link(pod, Relation::PartOf, service);
            self.estate.link(pod, Relation::RunsOn, host);
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn estate(seed: u64, entities: usize, tenants: usize) -> Estate {
        random_estate(&EstateParams { seed, entities, tenants }).expect("a size within the limits")
    }

    #[test]
    fn an_estate_has_the_size_asked_for_and_no_name_twice() {
        for (entities, tenants) in [(50, 1), (173, 2), (1_000, 3), (10_000, 5), (720, 30)] {
            let estate = estate(1, entities, tenants);
            assert_eq!(estate.entities.len(), entities);
            let ids: BTreeSet<(usize, &str)> = estate.entities.iter().map(|e| (e.tenant, e.id.as_str())).collect();
            assert_eq!(ids.len(), entities);
        }
    }

    #[test]
    fn nothing_depends_on_itself_or_on_another_tenant() {
        let estate = estate(2, 2_000, 3);
        for edge in &estate.edges {
            assert_ne!(edge.from, edge.to);
            assert_eq!(estate.entities[edge.from].tenant, estate.entities[edge.to].tenant);
        }
    }

    #[test]
    fn seeds_differ_and_repeat() {
        assert_eq!(estate(3, 300, 1), estate(3, 300, 1));
        assert_ne!(estate(3, 300, 1), estate(4, 300, 1));
    }

    #[test]
    fn sizes_outside_the_limits_are_refused() {
        for (entities, tenants) in [(49, 1), (10_001, 1), (100, 0), (100, 5)] {
            assert!(random_estate(&EstateParams { seed: 1, entities, tenants }).is_err());
        }
    }
}
