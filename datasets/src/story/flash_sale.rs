//! A flash sale in one region brings more customers than there is room for.

use bellwether_engine::catalogue::Criticality::{Critical, High, Medium};
use bellwether_engine::signal::Relation;
use bellwether_engine::time::Span;

use super::Story;
use super::kit::{DEPLOYED, Kit, change};
use crate::estate::{Estate, Kind};
use crate::faults::FaultKind;
use crate::simulation::{Plan, PlannedFault};

pub(super) const STORY: Story = Story {
    name: "flash-sale",
    title: "A flash sale outgrows one region",
    text: "At 09:00 a flash sale opens in the south. Requests to the southern shop rise fivefold \
           within three minutes; its pods run out of processor, its uplink fills and drops packets, \
           pages slow down. The north sells on as if nothing had happened.",
    plan,
};

/// When the crowd comes, minutes into the plan.
const FAULT_MIN: i64 = 60;

fn plan(seed: u64) -> Plan {
    let mut estate = Estate::default();
    let mut kit = Kit::new(&mut estate, "lumen-retail");
    kit.team("storefront", "APP-STOREFRONT", "storefront-on-call");
    kit.team("platform", "PLATFORM", "platform-on-call");
    kit.team("network", "NETWORK-OPS", "network-on-call");
    kit.team("database", "DBA", "dba-on-call");
    kit.sla("gold", [15, 30, 120], [120, 240, 1_440]);
    kit.sla("silver", [30, 60, 240], [240, 480, 2_880]);

    let mut fronts = Vec::new();
    let mut others = Vec::new();
    for region in ["south", "north"] {
        let uplink = kit.item(Kind::Router, &format!("uplink-{region}"), "network", High, "silver");
        let switch = kit.item(Kind::Switch, &format!("{region}-sw-1"), "network", Medium, "silver");
        let hosts: Vec<usize> = (1..=4)
            .map(|n| {
                let host = kit.item(Kind::Host, &format!("{region}-node-{n}"), "platform", Medium, "silver");
                kit.cabled(host, &[switch]);
                host
            })
            .collect();
        let mut service = |name: &str, weight, pods| {
            let service = kit.item(Kind::Service, &format!("{name}-{region}"), "storefront", weight, "gold");
            kit.pods(service, pods, &hosts);
            service
        };
        let front = service("storefront", Critical, 4);
        let basket = service("basket", High, 2);
        let offers = service("offers", High, 2);
        let sign_in = service("sign-in", High, 2);
        let database = kit.item(Kind::Database, &format!("sales-pg-{region}"), "database", Critical, "gold");
        kit.estate.link(database, Relation::RunsOn, hosts[3]);
        let cache = kit.item(Kind::Cache, &format!("offers-redis-{region}"), "database", High, "silver");
        kit.estate.link(cache, Relation::RunsOn, hosts[2]);
        kit.calls(front, &[basket, offers, sign_in]);
        kit.calls(basket, &[database]);
        kit.calls(offers, &[cache]);
        kit.cabled(front, &[uplink]);
        let shop = kit.item(Kind::Business, &format!("shop-{region}"), "storefront", Critical, "gold");
        kit.calls(shop, &[front]);
        kit.customers(shop, &[&format!("customers-{region}")], "https://runbooks.lumen-retail.example/capacity");
        kit.customers(front, &[], "https://runbooks.lumen-retail.example/scale-storefront");
        fronts.push(front);
        others.push(sign_in);
    }

    let mut plan = Plan::quiet(seed, estate, Span::from_mins(FAULT_MIN + 45));
    plan.faults.push(PlannedFault {
        kind: FaultKind::TrafficSpike,
        entity: fronts[0],
        at: plan.minute(FAULT_MIN, 0),
        lasts: Span::from_mins(28),
        strength: 1.0,
        change: None,
    });
    plan.changes = vec![change(
        "CHG0007731",
        plan.minute(21, 0),
        DEPLOYED,
        others[1],
        "release-bot",
        "sign-in-north 3.2.0: session cookies renewed",
    )];
    plan
}
