//! A change on a switch slows the order database; everything that needs it alerts.

use bellwether_engine::catalogue::Criticality::{Critical, High, Low, Medium};
use bellwether_engine::signal::Relation;
use bellwether_engine::time::Span;

use super::Story;
use super::kit::{DEPLOYED, Kit, NETWORK_CONFIGURED, change};
use crate::estate::{Estate, Kind};
use crate::faults::FaultKind;
use crate::simulation::{Plan, PlannedFault};

pub(super) const STORY: Story = Story {
    name: "database-network-change",
    title: "A network change slows the order database",
    text: "At 09:00 the network team rolls a new queue policy out to the switch of the database \
           rack. Packets to the order database get lost, its queries crawl, and within minutes the \
           checkout, the order service and the web shop complain, each in its own tool.",
    plan,
};

/// When the packets begin to get lost, minutes into the plan.
const FAULT_MIN: i64 = 60;

fn plan(seed: u64) -> Plan {
    let mut estate = Estate::default();
    let mut kit = Kit::new(&mut estate, "northmarket");
    kit.team("database", "DBA", "dba-on-call");
    kit.team("network", "NETWORK-OPS", "network-on-call");
    kit.team("commerce", "APP-COMMERCE", "commerce-on-call");
    kit.team("platform", "PLATFORM", "platform-on-call");
    kit.sla("gold", [15, 30, 120], [120, 240, 1_440]);
    kit.sla("silver", [30, 60, 240], [240, 480, 2_880]);

    // The network: two spines, a leaf for each rack.
    let firewall = kit.item(Kind::Firewall, "dc1-fw-1", "network", High, "silver");
    let spines = [1, 2].map(|n| kit.item(Kind::Switch, &format!("dc1-spine-{n}"), "network", High, "silver"));
    let leaves = ["app-1", "app-2", "db-1", "db-2"]
        .map(|rack| kit.item(Kind::Switch, &format!("dc1-leaf-{rack}"), "network", Medium, "silver"));
    for spine in spines {
        kit.cabled(spine, &[firewall]);
    }
    for leaf in leaves {
        kit.cabled(leaf, &spines);
    }
    // The database team runs its racks whole, switches included.
    for leaf in [leaves[2], leaves[3]] {
        kit.estate.own(leaf, "database", High, "gold");
    }

    // Machines and stores.
    let apps: Vec<usize> = (1..=8)
        .map(|n| {
            let host = kit.item(Kind::Host, &format!("app-{n:02}"), "platform", Medium, "silver");
            kit.cabled(host, &[leaves[usize::from(n > 4)]]);
            host
        })
        .collect();
    let store = |kit: &mut Kit<'_>, kind, name: &str, host: &str, leaf| {
        let host = kit.item(Kind::Host, host, "database", High, "gold");
        kit.cabled(host, &[leaf]);
        let store = kit.item(kind, name, "database", Critical, "gold");
        kit.estate.link(store, Relation::RunsOn, host);
        store
    };
    let orders = store(&mut kit, Kind::Database, "orders-pg", "db-orders-1", leaves[2]);
    let catalog_pg = store(&mut kit, Kind::Database, "catalog-pg", "db-catalog-1", leaves[3]);
    let sessions = store(&mut kit, Kind::Cache, "session-redis", "cache-1", leaves[3]);
    let events = store(&mut kit, Kind::Queue, "order-events", "mq-1", leaves[3]);
    kit.customers(orders, &[], "https://runbooks.northmarket.example/orders-pg");

    // Services, from the web inwards.
    let service = |kit: &mut Kit<'_>, name: &str, weight, pods| {
        let service = kit.item(Kind::Service, name, "commerce", weight, "gold");
        kit.pods(service, pods, &apps);
        service
    };
    let storefront = service(&mut kit, "storefront", Critical, 3);
    let checkout = service(&mut kit, "checkout", Critical, 3);
    let cart = service(&mut kit, "cart", High, 2);
    let order = service(&mut kit, "order-api", Critical, 3);
    let inventory = service(&mut kit, "inventory", High, 2);
    let catalog = service(&mut kit, "catalog", High, 2);
    let search = service(&mut kit, "search", Medium, 2);
    let recommendations = service(&mut kit, "recommendations", Low, 2);
    let notifications = service(&mut kit, "notifications", Medium, 1);
    kit.calls(storefront, &[checkout, cart, catalog, search, recommendations]);
    kit.calls(checkout, &[order, cart]);
    kit.calls(order, &[orders, events]);
    kit.calls(inventory, &[orders]);
    kit.calls(cart, &[sessions]);
    kit.calls(catalog, &[catalog_pg]);
    kit.calls(search, &[catalog_pg]);
    kit.calls(recommendations, &[catalog]);
    kit.calls(notifications, &[events]);
    let shop = kit.item(Kind::Business, "online-shop", "commerce", Critical, "gold");
    kit.calls(shop, &[storefront]);
    kit.customers(shop, &["retail-customers"], "https://runbooks.northmarket.example/online-shop");
    let stores = kit.item(Kind::Business, "click-and-collect", "commerce", High, "gold");
    kit.calls(stores, &[inventory]);
    kit.customers(stores, &["store-staff"], "");

    let mut plan = Plan::quiet(seed, estate, Span::from_mins(FAULT_MIN + 50));
    let at = plan.minute(FAULT_MIN, 0);
    let cause = change(
        "CHG0041877",
        plan.minute(FAULT_MIN - 1, 10),
        NETWORK_CONFIGURED,
        leaves[2],
        "m.okafor",
        "dc1-leaf-db-1: new QoS queue policy and MTU 1500 on server ports",
    );
    plan.faults.push(PlannedFault {
        kind: FaultKind::PacketLoss,
        entity: leaves[2],
        at,
        lasts: Span::from_mins(32),
        strength: 1.0,
        change: Some(cause),
    });
    // Work as usual, near enough to tempt.
    plan.changes = vec![
        change(
            "CHG0041862",
            plan.minute(17, 0),
            DEPLOYED,
            search,
            "release-bot",
            "search 4.18.0: synonyms for spring collection",
        ),
        change(
            "CHG0041871",
            plan.minute(FAULT_MIN - 14, 30),
            DEPLOYED,
            recommendations,
            "release-bot",
            "recommendations 2.7.3: retrained model",
        ),
        change(
            "CHG0041880",
            plan.minute(FAULT_MIN + 9, 0),
            DEPLOYED,
            notifications,
            "release-bot",
            "notifications 1.40.1: library update",
        ),
    ];
    plan
}
