//! Small helpers for estates written by hand.

use bellwether_engine::catalogue::{Criticality, Sla, Team};
use bellwether_engine::signal::Relation;
use bellwether_engine::time::EventTime;

use crate::estate::{Estate, Kind};
use crate::simulation::PlannedChange;

/// An estate of one tenant being written.
pub(super) struct Kit<'a> {
    pub(super) estate: &'a mut Estate,
    pub(super) tenant: usize,
}

impl<'a> Kit<'a> {
    pub(super) fn new(estate: &'a mut Estate, tenant: &str) -> Kit<'a> {
        let tenant = estate.add_tenant(tenant);
        Kit { estate, tenant }
    }

    /// Adds a team with its queue and whom it calls.
    pub(super) fn team(&mut self, name: &str, group: &str, escalation: &str) {
        self.estate.tenants[self.tenant].teams.push(Team {
            name: name.to_owned(),
            assignment_group: group.to_owned(),
            escalation: escalation.to_owned(),
            ..Team::default()
        });
    }

    /// Adds an SLA: minutes to respond and to resolve, for P1, P2 and P3.
    pub(super) fn sla(&mut self, name: &str, respond: [i64; 3], resolve: [i64; 3]) {
        self.estate.tenants[self.tenant].slas.push(Sla {
            name: name.to_owned(),
            respond: crate::estate::priorities(respond),
            resolve: crate::estate::priorities(resolve),
            ..Sla::default()
        });
    }

    /// Adds an item with its owner, weight and SLA.
    pub(super) fn item(&mut self, kind: Kind, name: &str, owner: &str, criticality: Criticality, sla: &str) -> usize {
        let entity = self.estate.add(self.tenant, kind, name);
        self.estate.own(entity, owner, criticality, sla);
        entity
    }

    /// Names who depends on an item, and where to read what to do.
    pub(super) fn customers(&mut self, entity: usize, customers: &[&str], runbook: &str) {
        let entity = &mut self.estate.entities[entity];
        entity.customers = customers.iter().map(|c| (*c).to_owned()).collect();
        entity.runbook = runbook.to_owned();
    }

    /// `from` calls each of `to`.
    pub(super) fn calls(&mut self, from: usize, to: &[usize]) {
        for callee in to {
            self.estate.link(from, Relation::Calls, *callee);
        }
    }

    /// `from` is cabled to each of `to`.
    pub(super) fn cabled(&mut self, from: usize, to: &[usize]) {
        for device in to {
            self.estate.link(from, Relation::ConnectsTo, *device);
        }
    }

    /// Adds `count` pods of a service, one on each of `hosts` in turn.
    pub(super) fn pods(&mut self, service: usize, count: usize, hosts: &[usize]) {
        let name = self.estate.entities[service].name().to_owned();
        for number in 0..count {
            let pod = self.estate.add(self.tenant, Kind::Pod, &format!("{name}-{number}"));
            self.estate.link(pod, Relation::PartOf, service);
            self.estate.link(pod, Relation::RunsOn, hosts[(service + number) % hosts.len()]);
        }
    }
}

/// A change as its tool records it.
pub(super) fn change(
    id: &str,
    at: EventTime,
    change_type: &str,
    entity: usize,
    who: &str,
    text: &str,
) -> PlannedChange {
    PlannedChange {
        id: id.to_owned(),
        at,
        change_type: change_type.to_owned(),
        entity,
        who: who.to_owned(),
        text: text.to_owned(),
    }
}

/// A release, in CDEvents' words.
pub(super) const DEPLOYED: &str = "dev.cdevents.service.deployed.0.3.0";
/// A change of configuration: CDEvents' form for events of other tools.
pub(super) const CONFIGURED: &str = "dev.cdeventsx.config-management.modified.0.1.0";
/// A change of network configuration, likewise.
pub(super) const NETWORK_CONFIGURED: &str = "dev.cdeventsx.network-config.modified.0.1.0";
