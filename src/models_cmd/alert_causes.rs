//! `bellwether models causes ALERTS.csv --topology FILE`: ranked causes of one fault from its alerts alone.
//!
//! Columns: `time`, `name`, `entity`, and where they are there `kind` (`metric`, `trace`, `log`), `host` and `text`
//! (`up` or `down` of a metric, `calls CALLEE` of a call). Metrics tell the state of a thing; slow calls and new lines
//! are what everybody has when something is wrong, and count only where no metric tells anything.

use super::text_table::TextTable;
use super::topology::Topology;
use anyhow::Result;
use bellwether_models::causes::Relation;
use bellwether_models::causes::telling::{RankedSuspect, Stands, Suspect, ToldAlert, rank_suspects};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One place: the entity by its name.
pub type Named = (String, RankedSuspect);

/// Reads the alerts and the edges, and ranks.
///
/// # Errors
/// When a file cannot be read or lacks a column (file, row and column are named).
pub fn read(alerts: &Path, topology: &Path) -> Result<Vec<Named>> {
    Ok(rank(&rows(&TextTable::read(alerts)?)?, Topology::read(topology)?))
}

/// One alert of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    at_ns: i64,
    kind: String,
    name: String,
    entity: String,
    host: String,
    text: String,
}

fn rows(table: &TextTable) -> Result<Vec<Row>> {
    let times = table.times(table.require("time")?)?;
    let (names, entities) = (table.text(table.require("name")?), table.text(table.require("entity")?));
    let column = |name: &str| table.position(name).map(|at| table.text(at)).unwrap_or_default();
    let (kinds, hosts, texts) = (column("kind"), column("host"), column("text"));
    let cell = |column: &[String], at: usize| column.get(at).cloned().unwrap_or_default();
    let row = |(at, at_ns): (usize, i64)| Row {
        at_ns,
        kind: cell(&kinds, at),
        name: cell(&names, at),
        entity: cell(&entities, at),
        host: cell(&hosts, at),
        text: cell(&texts, at),
    };
    Ok(times.into_iter().enumerate().map(row).collect())
}

fn rank(rows: &[Row], mut topology: Topology) -> Vec<Named> {
    let mut edges = topology.edges().to_vec();
    for row in rows.iter().filter(|row| !row.host.is_empty() && !row.entity.is_empty()) {
        edges.push((topology.number(&row.entity), topology.number(&row.host), Relation::RunsOn));
    }
    let states = rows.iter().any(|row| row.kind == "metric" && !row.entity.is_empty());
    let mut said: BTreeMap<(&str, &str, &str), u32> = BTreeMap::new();
    let mut alerts = Vec::with_capacity(rows.len());
    for row in rows.iter().filter(|row| !states || row.kind == "metric") {
        let callee = row.text.strip_prefix("calls ").filter(|_| row.kind == "trace");
        let entity = callee.map_or(row.entity.as_str(), str::trim);
        if entity.is_empty() {
            continue;
        }
        let way = if row.kind == "metric" { row.text.as_str() } else { "" };
        let next = said.len() as u32;
        let says = *said.entry((&row.kind, &row.name, way)).or_insert(next);
        alerts.push(ToldAlert { at_ns: row.at_ns, origin: 0, says, entity: topology.number(entity) });
    }
    let names = topology.names();
    let mut suspects = suspects(names.len(), &edges);
    place_strangers(&mut suspects, &edges, &alerts);
    rank_suspects(&suspects, &alerts).into_iter().map(|place| (names[place.entity as usize].clone(), place)).collect()
}

/// What each entity is, by what runs on it and what is a part of it.
fn suspects(entities: usize, edges: &[(u32, u32, Relation)]) -> Vec<Suspect> {
    let of = |relation: Relation| edges.iter().filter(move |edge| edge.2 == relation);
    let hosts: BTreeSet<u32> = of(Relation::RunsOn).map(|(_, to, _)| *to).collect();
    let whole: BTreeMap<u32, u32> = of(Relation::PartOf).map(|(from, to, _)| (*from, *to)).collect();
    let wholes: BTreeSet<u32> = whole.values().copied().collect();
    let suspect = |entity: u32| {
        let stands = match (hosts.contains(&entity), wholes.contains(&entity)) {
            (true, _) => Stands::Host,
            (false, true) => Stands::Whole,
            (false, false) => Stands::Alone,
        };
        // Evidence goes up one step: a part of a part stands for itself.
        let whole = whole.get(&entity).copied().filter(|_| stands == Stands::Alone);
        Suspect { stands, whole }
    };
    (0..entities as u32).map(suspect).collect()
}

/// Of whom no edge tells is told by what it says: a stranger that says nothing of what services and instances say is a
/// host. Catalogues leave out the hosts that nothing known runs on, and against instances a host's alerts are all its
/// own.
fn place_strangers(suspects: &mut [Suspect], edges: &[(u32, u32, Relation)], alerts: &[ToldAlert]) {
    let known: BTreeSet<u32> = edges.iter().flat_map(|(from, to, _)| [*from, *to]).collect();
    let of_services: BTreeSet<u32> = alerts
        .iter()
        .filter(|alert| known.contains(&alert.entity) && suspects[alert.entity as usize].stands != Stands::Host)
        .map(|alert| alert.says)
        .collect();
    let mut strangers: BTreeMap<u32, bool> = BTreeMap::new();
    for alert in alerts.iter().filter(|alert| !known.contains(&alert.entity)) {
        *strangers.entry(alert.entity).or_default() |= of_services.contains(&alert.says);
    }
    for (stranger, _) in strangers.into_iter().filter(|(_, says_the_same)| !says_the_same) {
        suspects[stranger as usize] = Suspect { stands: Stands::Host, whole: None };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn ranked(alerts: &str) -> Vec<String> {
        let folder =
            std::env::temp_dir().join(format!("bellwether-alert-causes-{}-{}", std::process::id(), alerts.len()));
        fs::create_dir_all(&folder).expect("temporary folder");
        let edges: String = (0..3)
            .flat_map(|at| {
                ["web", "api", "db"].map(|of| format!("{of}-{at},{of},part_of\n{of}-{at},node-{at},runs_on\n"))
            })
            .collect();
        let topology = format!("from,to,relation\nweb,api,calls\napi,db,calls\n{edges}");
        fs::write(folder.join("edges.csv"), topology).expect("temporary file");
        fs::write(folder.join("alerts.csv"), format!("alert,time,kind,name,entity,host,text\n{alerts}"))
            .expect("a file");
        let places = read(&folder.join("alerts.csv"), &folder.join("edges.csv")).expect("a ranking");
        fs::remove_dir_all(&folder).expect("temporary folder");
        places.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_instance_with_a_state_of_its_own_is_named_before_those_who_wait_for_it() {
        let slow = |at: usize, by: &str, of: &str| format!("s{at},{at},trace,PD /x (http),{by},,calls {of}\n");
        let calls = slow(1, "web-0", "api-1") + &slow(2, "web-1", "api-0") + &slow(3, "api-1", "db-2");
        let memory: String = ["web-0", "api-1", "db-2"].map(|of| format!("m{of},10,metric,memory,{of},,up\n")).concat();
        let state = "c,10,metric,cpu,db-2,node-2,up\n";
        assert_eq!(ranked(&format!("{calls}{memory}{state}"))[0], "db-2");
        let all: String = (0..3).map(|at| format!("d{at},10,metric,cpu,db-{at},node-{at},up\n")).collect();
        assert_eq!(ranked(&format!("{memory}{all}"))[0], "db");
    }

    #[test]
    fn where_no_metric_tells_anything_calls_and_lines_do() {
        let call = |at: usize, by: &str| format!("s{at},{at},trace,500,{by},,calls db-1\n");
        assert_eq!(ranked(&(call(1, "api-0") + &call(2, "api-1")))[0], "db-1");
        assert_eq!(ranked("l,1,log,template 7,web-2,,out of memory\n"), ["web-2", "web"]);
    }

    #[test]
    fn a_host_that_no_edge_tells_of_is_held_against_hosts() {
        let all: String = (0..3)
            .flat_map(|at| {
                ["web", "api", "db"].map(|of| format!("m{of}{at},10,metric,threads,{of}-{at},node-{at},up\n"))
            })
            .collect();
        let one = "o,10,metric,cpu,api-1,,up\n";
        let load = |host: u32| {
            format!("c{host},10,metric,system.cpu,node-{host},,up\nl{host},10,metric,system.load,node-{host},,up\n")
        };
        // What every host says is nobody's cause, whether the edges tell of the host or not.
        let everywhere: String = [0, 1, 2, 9].map(load).concat();
        assert_eq!(ranked(&format!("{all}{one}{everywhere}"))[0], "api-1");
        let disk = "d,10,metric,system.disk,node-9,,up\n";
        assert_eq!(ranked(&format!("{all}{one}{}{disk}", load(9)))[0], "node-9");
    }
}
