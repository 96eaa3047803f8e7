//! From the folders of public data sets to one form of case, so that one
//! configuration ranks all of them.

pub mod nezha;
pub mod petshop;
pub mod sockshop;

use anyhow::{Result, bail};
use bellwether_models::causes::case::{Case, CaseParams, CaseReasons, rank_case};
use std::path::Path;

/// A case with the names of its entities.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamedCase {
    /// Name of each entity of the case, as the answers of its set name it.
    pub names: Vec<String>,
    /// The case.
    pub case: Case,
}

/// One place of a ranking.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// Entity.
    pub entity: String,
    /// Score, comparable within the ranking.
    pub score: f64,
    /// Probability that this is the cause.
    pub confidence: f64,
    /// The numbers behind it.
    pub because: CaseReasons,
}

impl NamedCase {
    /// The number of an entity, new if need be.
    pub fn entity(&mut self, name: &str) -> u32 {
        if let Some(at) = self.names.iter().position(|known| known == name) {
            return at as u32;
        }
        self.names.push(name.to_owned());
        self.case.entities = self.names.len() as u32;
        self.case.entities - 1
    }

    /// Ranks its entities, best first.
    #[must_use]
    pub fn rank(&self, params: &CaseParams) -> Vec<Place> {
        let place = |ranked: bellwether_models::causes::case::RankedEntity| Place {
            entity: self.names[ranked.entity as usize].clone(),
            score: ranked.score,
            confidence: ranked.confidence,
            because: ranked.because,
        };
        rank_case(params, &self.case).into_iter().map(place).collect()
    }
}

/// Reads a case folder of any known layout. A Nezha day with several faults
/// needs `at_secs`, the time of one.
///
/// # Errors
/// When the layout is not known or a file is broken.
pub fn read(folder: &Path, at_secs: Option<i64>) -> Result<NamedCase> {
    use bellwether_datasets::public;
    if public::sockshop::is_case(folder) {
        return Ok(sockshop::case(&public::sockshop::load(folder)?));
    }
    if public::nezha::is_case(folder) {
        return nezha::read(folder, at_secs);
    }
    if public::petshop::is_case(folder) {
        return Ok(petshop::case(&public::petshop::load(folder)?));
    }
    bail!(
        "`{}` is no case folder known here: PetShop (target.json, graph.csv above), Nezha (a day with a fault list), Sock Shop (normal.csv, anomalous.csv)",
        folder.display()
    )
}
