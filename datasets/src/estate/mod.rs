//! An estate: what there is, what depends on what, and who cares.
//!
//! ```
//! use bellwether_datasets::estate::{Estate, Kind};
//! use bellwether_engine::signal::Relation;
//!
//! let mut estate = Estate::default();
//! let shop = estate.add_tenant("shop");
//! let checkout = estate.add(shop, Kind::Service, "checkout");
//! let orders = estate.add(shop, Kind::Database, "orders");
//! estate.link(checkout, Relation::Calls, orders);
//! assert_eq!(estate.entities[checkout].id, "service:checkout");
//! ```
//!
//! The estate is the truth. What the engine is told of it goes through
//! [`inventory_of`](crate::simulation::inventory_of), which forgets some edges and invents others.

mod graph;
mod metrics;
mod names;
mod random;
mod season;

use bellwether_engine::catalogue::{Criticality, Sla, Team};
use bellwether_engine::signal::Relation;

pub use graph::{Graph, Link};
pub use metrics::Metric;
pub(crate) use metrics::{Channel, channels_of};
pub(crate) use names::TENANTS;
pub(crate) use random::priorities;
pub use random::{EstateError, EstateParams, random_estate};
pub(crate) use season::season;

/// What a configuration item is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// What customers buy: a web shop, a claims portal.
    Business,
    /// A program that answers requests.
    Service,
    /// One running copy of a service.
    Pod,
    /// A database.
    Database,
    /// A message queue.
    Queue,
    /// A cache.
    Cache,
    /// A machine.
    Host,
    /// A network switch.
    Switch,
    /// A router or an uplink to a region.
    Router,
    /// A firewall or load balancer that traffic passes.
    Firewall,
    /// A system that supervises production.
    Scada,
    /// A controller on a machine.
    Plc,
    /// A production cell.
    Cell,
    /// A production line.
    Line,
    /// Something of another company or tenant.
    External,
    /// A monitoring system.
    Monitor,
}

impl Kind {
    /// The part of an entity id before the colon.
    pub const fn prefix(self) -> &'static str {
        match self {
            Kind::Business => "business",
            Kind::Service => "service",
            Kind::Pod => "k8s.pod",
            Kind::Database => "database",
            Kind::Queue => "queue",
            Kind::Cache => "cache",
            Kind::Host => "host",
            Kind::Switch => "switch",
            Kind::Router => "router",
            Kind::Firewall => "firewall",
            Kind::Scada => "scada",
            Kind::Plc => "plc",
            Kind::Cell => "cell",
            Kind::Line => "line",
            Kind::External => "external",
            Kind::Monitor => "monitor",
        }
    }

    /// True for what forwards packets.
    pub const fn is_network(self) -> bool {
        matches!(self, Kind::Switch | Kind::Router | Kind::Firewall)
    }
}

/// One configuration item.
#[derive(Clone, PartialEq, Debug)]
pub struct Entity {
    /// `type:name`, unique within its tenant.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Index into [`Estate::tenants`].
    pub tenant: usize,
    /// The team that owns it; may be empty.
    pub owner: String,
    /// How much it matters.
    pub criticality: Criticality,
    /// Name of one of the tenant's SLAs; may be empty.
    pub sla: String,
    /// Who depends on it.
    pub customers: Vec<String>,
    /// Where to read what to do; may be empty.
    pub runbook: String,
    /// Names by which some tools know it, as full entity ids.
    pub aliases: Vec<String>,
}

impl Entity {
    /// The part of the id after the colon.
    pub fn name(&self) -> &str {
        self.id.split_once(':').map_or(self.id.as_str(), |(_, name)| name)
    }
}

/// A true dependency; read as `from relation to`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Edge {
    /// Index of the dependent item.
    pub from: usize,
    /// Index of what it depends on or is part of.
    pub to: usize,
    /// What `from` is to `to`.
    pub relation: Relation,
}

/// One customer of the engine.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Tenant {
    /// Its name, a subject token.
    pub name: String,
    /// Its teams.
    pub teams: Vec<Team>,
    /// What it promises.
    pub slas: Vec<Sla>,
    /// `deployment.environment.name` of everything it has.
    pub environment: String,
}

/// Everything there is, of all tenants.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Estate {
    /// Whose.
    pub tenants: Vec<Tenant>,
    /// What.
    pub entities: Vec<Entity>,
    /// What depends on what; both ends belong to one tenant.
    pub edges: Vec<Edge>,
}

impl Estate {
    /// Adds a tenant; returns its index.
    pub fn add_tenant(&mut self, name: &str) -> usize {
        self.tenants.push(Tenant { name: name.to_owned(), environment: "production".to_owned(), ..Tenant::default() });
        self.tenants.len() - 1
    }

    /// Adds an entity of medium criticality that nobody owns; returns its index.
    pub fn add(&mut self, tenant: usize, kind: Kind, name: &str) -> usize {
        self.entities.push(Entity {
            id: format!("{}:{name}", kind.prefix()),
            kind,
            tenant,
            owner: String::new(),
            criticality: Criticality::Medium,
            sla: String::new(),
            customers: Vec::new(),
            runbook: String::new(),
            aliases: Vec::new(),
        });
        self.entities.len() - 1
    }

    /// Adds the edge `from relation to`.
    pub fn link(&mut self, from: usize, relation: Relation, to: usize) {
        debug_assert_eq!(self.entities[from].tenant, self.entities[to].tenant, "an edge stays within its tenant");
        self.edges.push(Edge { from, to, relation });
    }

    /// The entity called `id` in tenant `tenant`.
    pub fn find(&self, tenant: usize, id: &str) -> Option<usize> {
        self.entities.iter().position(|e| e.tenant == tenant && e.id == id)
    }

    /// Sets owner, criticality and SLA of an entity at once.
    pub fn own(&mut self, entity: usize, owner: &str, criticality: Criticality, sla: &str) {
        let entity = &mut self.entities[entity];
        entity.owner = owner.to_owned();
        entity.criticality = criticality;
        entity.sla = sla.to_owned();
    }
}
