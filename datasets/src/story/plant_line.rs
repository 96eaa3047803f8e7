//! A switch in a car plant dies; the cells behind it stop.

use bellwether_engine::catalogue::Criticality::{Critical, High, Medium};
use bellwether_engine::signal::Relation;
use bellwether_engine::time::Span;

use super::Story;
use super::kit::{CONFIGURED, Kit, change};
use crate::estate::{Estate, Kind};
use crate::faults::FaultKind;
use crate::simulation::{Plan, PlannedFault};

pub(super) const STORY: Story = Story {
    name: "plant-line",
    title: "A dead switch stops four production cells",
    text: "At 09:00 the switch of the body shop dies. The SCADA system of the body line loses its \
           controllers, four cells stop, the line starves. Press and paint shops, on switches of \
           their own, keep running.",
    plan,
};

/// When the switch dies, minutes into the plan.
const FAULT_MIN: i64 = 60;

/// The shops of the plant, with their cells.
const SHOPS: [(&str, &[&str]); 3] = [
    ("press", &["blanking", "deep-draw", "trim"]),
    ("body", &["spot-weld-1", "spot-weld-2", "body-framing", "body-sealing"]),
    ("paint", &["primer", "base-coat", "clear-coat"]),
];

fn plan(seed: u64) -> Plan {
    let mut estate = Estate::default();
    let mut kit = Kit::new(&mut estate, "granite-works");
    kit.team("plant-it", "PLANT-IT", "plant-it-on-call");
    kit.team("network", "OT-NETWORK", "ot-network-on-call");
    kit.team("platform", "PLATFORM", "platform-on-call");
    kit.sla("production", [5, 15, 60], [60, 120, 480]);
    kit.sla("office", [30, 60, 240], [480, 960, 2_880]);

    let router = kit.item(Kind::Router, "plant-rt-1", "network", High, "production");
    let core = kit.item(Kind::Switch, "plant-core-1", "network", High, "production");
    kit.cabled(core, &[router]);
    let rack = kit.item(Kind::Switch, "dc-rack-1", "network", Medium, "office");
    kit.cabled(rack, &[core]);
    let server = kit.item(Kind::Host, "mes-1", "platform", High, "production");
    kit.cabled(server, &[rack]);
    let mes_db = kit.item(Kind::Database, "mes-db", "platform", High, "production");
    kit.estate.link(mes_db, Relation::RunsOn, server);
    let mes = kit.item(Kind::Service, "mes", "plant-it", High, "production");
    kit.pods(mes, 2, &[server]);
    kit.calls(mes, &[mes_db]);

    let mut dead = core;
    for (shop, cells) in SHOPS {
        let switch = kit.item(Kind::Switch, &format!("{shop}-sw-1"), "plant-it", High, "production");
        kit.cabled(switch, &[core]);
        let line = kit.item(Kind::Line, &format!("{shop}-line"), "plant-it", Critical, "production");
        kit.customers(line, &["vehicle-production"], "https://runbooks.granite-works.example/line-stop");
        let scada = kit.item(Kind::Scada, &format!("{shop}-scada"), "plant-it", Critical, "production");
        kit.cabled(scada, &[switch]);
        for name in cells {
            let plc = kit.item(Kind::Plc, &format!("{name}-plc"), "plant-it", High, "production");
            kit.cabled(plc, &[switch]);
            kit.calls(scada, &[plc]);
            let cell = kit.item(Kind::Cell, name, "plant-it", Critical, "production");
            kit.estate.link(cell, Relation::RunsOn, plc);
            kit.estate.link(cell, Relation::PartOf, line);
        }
        if shop == "body" {
            dead = switch;
        }
    }

    let mut plan = Plan::quiet(seed, estate, Span::from_mins(FAULT_MIN + 45));
    plan.faults.push(PlannedFault {
        kind: FaultKind::SwitchDown,
        entity: dead,
        at: plan.minute(FAULT_MIN, 0),
        lasts: Span::from_mins(26),
        strength: 1.0,
        change: None,
    });
    plan.changes = vec![change(
        "CHG-2209",
        plan.minute(FAULT_MIN - 22, 0),
        CONFIGURED,
        mes,
        "l.brandt",
        "mes: shift calendar of week 10 loaded",
    )];
    plan
}
