//! Twenty-four clients of one service provider; three have trouble, one only makes noise.

use bellwether_engine::catalogue::Criticality::{Critical, High, Medium};
use bellwether_engine::signal::Relation;
use bellwether_engine::time::Span;

use super::Story;
use super::kit::{DEPLOYED, Kit, change};
use crate::estate::{Estate, Kind, Metric, TENANTS};
use crate::faults::{FaultKind, Symptom};
use crate::simulation::{Disturbance, Plan, PlannedFault};

pub(super) const STORY: Story = Story {
    name: "msp",
    title: "Three of twenty-four clients have trouble at once",
    text: "A service provider watches 24 clients. Shortly after 08:40 a disk fills at a bank, a \
           release breaks an airline's booking and a switch dies at a pharmacy chain, while a \
           worn-out check at a fish wholesaler keeps flapping. Three tickets, each at home.",
    plan,
};

/// When the first trouble begins, minutes into the plan.
const FAULT_MIN: i64 = 40;

const BANK: &str = "harbour-bank";
const AIRLINE: &str = "kestrel-air";
const PHARMACY: &str = "orchard-pharma";
const NOISY: &str = "fjord-seafood";

/// Where the parts of one client's estate are.
#[derive(Clone, Copy)]
struct Client {
    switch: usize,
    db_host: usize,
    web_host: usize,
    portal: usize,
}

fn plan(seed: u64) -> Plan {
    let mut estate = Estate::default();
    let clients: Vec<Client> = TENANTS.iter().map(|name| client(&mut estate, name)).collect();
    let of = |tenant: &str| {
        let index = TENANTS.iter().position(|t| *t == tenant).expect("a name of the list");
        clients[index]
    };
    let mut plan = Plan::quiet(seed, estate, Span::from_mins(FAULT_MIN + 45));
    // Many clients: samples every five minutes, as such providers do.
    plan.metric_interval = Span::from_mins(5);
    plan.noise.lines_per_min = 0.1;
    let release = change(
        "KA-5123",
        plan.minute(FAULT_MIN + 1, 20),
        DEPLOYED,
        of(AIRLINE).portal,
        "kestrel-ci",
        "kestrel-portal 9.4.0: new fare rules",
    );
    let fault = |kind, entity, at, mins, change| PlannedFault {
        kind,
        entity,
        at,
        lasts: Span::from_mins(mins),
        strength: 1.0,
        change,
    };
    plan.faults = vec![
        fault(FaultKind::FullDisk, of(BANK).db_host, plan.minute(FAULT_MIN - 2, 0), 30, None),
        fault(FaultKind::BadDeploy, of(AIRLINE).portal, plan.minute(FAULT_MIN + 2, 0), 24, Some(release)),
        fault(FaultKind::SwitchDown, of(PHARMACY).switch, plan.minute(FAULT_MIN + 3, 0), 22, None),
    ];
    plan.disturbances = vec![Disturbance {
        entity: of(NOISY).web_host,
        symptom: Symptom { metric: Metric::Cpu, times: 1.0, plus: 0.9 },
        at: plan.minute(12, 0),
        lasts: Span::from_mins(FAULT_MIN + 30),
        flaps: Some(Span::from_secs(240)),
    }];
    plan
}

/// A small estate whose names all carry the client's own word, so that a word in the wrong
/// place is seen at once.
fn client(estate: &mut Estate, tenant: &str) -> Client {
    let word = tenant.split('-').next().unwrap_or(tenant).to_owned();
    let mut kit = Kit::new(estate, tenant);
    let team = format!("{word}-ops");
    let sla = format!("{word}-contract");
    kit.team(&team, &format!("{}-SERVICE-DESK", word.to_uppercase()), &format!("{word}-duty-manager"));
    // Contracts differ: each client has hours of its own.
    let base = 10 + 5 * (kit.tenant as i64 % 4);
    kit.sla(&sla, [base, 2 * base, 8 * base], [8 * base, 16 * base, 96 * base]);

    let router = kit.item(Kind::Router, &format!("{word}-rt"), &team, High, &sla);
    let switch = kit.item(Kind::Switch, &format!("{word}-sw"), &team, High, &sla);
    kit.cabled(switch, &[router]);
    let db_host = kit.item(Kind::Host, &format!("{word}-db-1"), &team, High, &sla);
    let web_host = kit.item(Kind::Host, &format!("{word}-web-1"), &team, Medium, &sla);
    kit.cabled(db_host, &[switch]);
    kit.cabled(web_host, &[switch]);
    let database = kit.item(Kind::Database, &format!("{word}-data"), &team, Critical, &sla);
    kit.estate.link(database, Relation::RunsOn, db_host);
    let portal = kit.item(Kind::Service, &format!("{word}-portal"), &team, Critical, &sla);
    let backend = kit.item(Kind::Service, &format!("{word}-backend"), &team, High, &sla);
    kit.estate.link(portal, Relation::RunsOn, web_host);
    kit.estate.link(backend, Relation::RunsOn, web_host);
    kit.calls(portal, &[backend]);
    kit.calls(backend, &[database]);
    let business = kit.item(Kind::Business, &format!("{word}-customer-site"), &team, Critical, &sla);
    kit.calls(business, &[portal]);
    kit.customers(business, &[&format!("{word}-customers")], "");
    Client { switch, db_host, web_host, portal }
}
