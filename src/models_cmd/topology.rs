//! A topology from a file, as distances for grouping: CSV edges
//! `from,to[,relation][,confidence]`, the same as JSON objects, or a `.npy`
//! adjacency matrix whose entities are their row numbers.

use super::text_table::TextTable;
use anyhow::{Context, Result, bail};
use bellwether_datasets::public::Matrix;
use bellwether_models::causes::Relation;
use bellwether_models::group::{Distance, Parts};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

/// Entities by number and their links.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Topology {
    numbers: BTreeMap<String, u32>,
    links: Vec<Vec<(u32, f32)>>,
    edges: Vec<(u32, u32, Relation)>,
    parts: Parts,
    /// The part of each scope of names, where all that edges tell of in it are in one part.
    scopes: BTreeMap<String, Option<u64>>,
    /// The part of each entity that the edges do not tell of, by its name alone.
    by_name: BTreeMap<u32, u64>,
}

impl Topology {
    /// Reads a topology file.
    ///
    /// # Errors
    /// When it cannot be read or is none of the known forms.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.to_string_lossy().to_lowercase();
        if name.ends_with(".npy") {
            return Ok(Self::from_matrix(&Matrix::read(path)?));
        }
        if name.ends_with(".json") {
            return Self::from_json(path).with_context(|| format!("in `{}`", path.display()));
        }
        Self::from_csv(&TextTable::read(path)?)
    }

    /// All edges are told: finds the parts that they make.
    fn told(mut self) -> Self {
        let edges = self.links.iter().enumerate();
        let joined = edges.flat_map(|(from, links)| links.iter().map(move |(to, _)| (from as u32, *to)));
        self.parts = Parts::of(self.links.len(), joined);
        for (name, number) in &self.numbers {
            if let Some(scope) = scope(name) {
                let part = self.parts.part(*number);
                let known = self.scopes.entry(scope.to_owned()).or_insert(part);
                *known = known.filter(|known| Some(*known) == part);
            }
        }
        self
    }

    fn from_csv(table: &TextTable) -> Result<Self> {
        let (from, to) = (table.require("from")?, table.require("to")?);
        let relations = table.position("relation").map(|column| table.text(column));
        let confidences = table.position("confidence").map(|column| table.numbers(column)).transpose()?;
        let mut out = Self::default();
        for (row, (from, to)) in table.text(from).iter().zip(table.text(to)).enumerate() {
            let relation = relations.as_ref().map_or("", |all| all[row].as_str());
            out.link(from, &to, relation, confidences.as_ref().map_or(1.0, |all| all[row]));
        }
        Ok(out.told())
    }

    fn from_json(path: &Path) -> Result<Self> {
        let document: serde_json::Value = serde_json::from_slice(&std::fs::read(path)?)?;
        let Some(edges) = document.as_array().or_else(|| document["edges"].as_array()) else {
            bail!("an array of edges expected, or an object with `edges`");
        };
        let mut out = Self::default();
        for (index, edge) in edges.iter().enumerate() {
            let (Some(from), Some(to)) = (edge["from"].as_str(), edge["to"].as_str()) else {
                bail!("edge `{index}` has no text `from` and `to`");
            };
            out.link(from, to, edge["relation"].as_str().unwrap_or(""), edge["confidence"].as_f64().unwrap_or(1.0));
        }
        Ok(out.told())
    }

    /// A topology from an adjacency matrix; every row is an entity.
    #[must_use]
    pub fn from_matrix(matrix: &Matrix) -> Self {
        let mut out = Self::default();
        for row in 0..matrix.rows {
            out.number(&row.to_string());
        }
        for row in 0..matrix.rows {
            for column in 0..matrix.columns {
                if matrix.at(row, column) != 0.0 {
                    out.link(&row.to_string(), &column.to_string(), "connects_to", 1.0);
                }
            }
        }
        out.told()
    }

    /// The number of an entity, new if need be.
    pub fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(name.to_owned(), number);
        if let Some(part) = scope(name).and_then(|scope| self.scopes.get(scope).copied().flatten()) {
            self.by_name.insert(number, part);
        }
        number
    }

    /// Every edge as it was told; a relation that is not known only connects.
    #[must_use]
    pub fn edges(&self) -> &[(u32, u32, Relation)] {
        &self.edges
    }

    /// The names of all entities by their numbers.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![String::new(); self.numbers.len()];
        for (name, number) in &self.numbers {
            names[*number as usize].clone_from(name);
        }
        names
    }

    /// Ownership links nothing; a doubtful edge is longer.
    fn link(&mut self, from: &str, to: &str, relation: &str, confidence: f64) {
        let (from, to) = (self.number(from), self.number(to));
        self.links.resize_with(self.numbers.len(), Vec::new);
        self.edges.push((from, to, relation_of(relation)));
        if relation == "owned_by" || from == to {
            return;
        }
        let length = 1.0 / confidence.clamp(0.25, 1.0) as f32;
        self.links[from as usize].push((to, length));
        self.links[to as usize].push((from, length));
    }
}

fn relation_of(word: &str) -> Relation {
    match word {
        "calls" => Relation::Calls,
        "runs_on" => Relation::RunsOn,
        "part_of" => Relation::PartOf,
        "owned_by" => Relation::OwnedBy,
        _ => Relation::ConnectsTo,
    }
}

/// The scope that a name begins with, as clusters and namespaces are written: `prod/db-1`.
fn scope(name: &str) -> Option<&str> {
    name.rsplit_once('/').map(|(scope, _)| scope).filter(|scope| !scope.is_empty())
}

impl Distance for Topology {
    fn within(&self, entity: u32, hops_max: u8, out: &mut Vec<(u32, f32)>) {
        let mut best: BTreeMap<u32, f32> = BTreeMap::from([(entity, 0.0)]);
        let mut wave = VecDeque::from([(entity, 0.0_f32, 0_u8)]);
        while let Some((at, length, hops)) = wave.pop_front() {
            if hops == hops_max || best[&at] < length {
                continue;
            }
            for &(next, step) in self.links.get(at as usize).map_or(&[][..], Vec::as_slice) {
                let far = length + step;
                if best.get(&next).is_none_or(|known| far < *known) {
                    best.insert(next, far);
                    wave.push_back((next, far, hops + 1));
                }
            }
        }
        out.extend(best.into_iter().filter(|(other, _)| *other != entity));
    }

    fn part(&self, entity: u32) -> Option<u64> {
        self.parts.part(entity).or_else(|| self.by_name.get(&entity).copied())
    }

    fn exists(&self) -> bool {
        self.links.iter().any(|links| !links.is_empty())
    }

    fn knows(&self, entity: u32) -> bool {
        self.links.get(entity as usize).is_some_and(|links| !links.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(topology: &Topology, entity: u32, hops: u8) -> Vec<(u32, f32)> {
        let mut out = Vec::new();
        topology.within(entity, hops, &mut out);
        out
    }

    #[test]
    fn edges_of_a_csv_link_both_ways_and_ownership_does_not() {
        let csv = "from,to,relation,confidence\nweb,api,calls,1\napi,db,calls,0.5\napi,team,owned_by,1\n";
        let table = TextTable::from_reader("edges.csv", csv.as_bytes()).expect("a table");
        let mut topology = Topology::from_csv(&table).expect("a topology");
        let (web, api, db, team) =
            (topology.number("web"), topology.number("api"), topology.number("db"), topology.number("team"));
        assert_eq!(near(&topology, web, 1), [(api, 1.0)]);
        assert_eq!(near(&topology, db, 2), [(web, 3.0), (api, 2.0)]);
        assert!(!topology.knows(team) && topology.knows(web));
    }

    #[test]
    fn what_the_edges_leave_out_is_in_the_part_of_its_scope() {
        let chain = |scope: &str| (0..8).map(|at| format!("{scope}/s{at},{scope}/s{}\n", at + 1)).collect::<String>();
        let csv = format!("from,to\n{}{}", chain("a"), chain("b"));
        let table = TextTable::from_reader("edges.csv", csv.as_bytes()).expect("a table");
        let mut topology = Topology::from_csv(&table).expect("a topology");
        let mut part = |name: &str| {
            let number = topology.number(name);
            topology.part(number)
        };
        assert!(part("a/s0").is_some() && part("a/s0") == part("a/s8") && part("a/s0") != part("b/s0"));
        assert_eq!((part("a/node-1"), part("b/node-1")), (part("a/s0"), part("b/s0")));
        assert_eq!((part("c/node-1"), part("node-1")), (None, None));
    }

    #[test]
    fn a_matrix_links_its_rows() {
        let matrix = Matrix { rows: 2, columns: 2, values: vec![0.0, 1.0, 0.0, 0.0] };
        assert_eq!(near(&Topology::from_matrix(&matrix), 1, 3), [(0, 1.0)]);
    }
}
