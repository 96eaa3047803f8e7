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
pub struct RankedCause {
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
    pub fn rank(&self, params: &CaseParams) -> Vec<RankedCause> {
        let place = |ranked: bellwether_models::causes::case::RankedEntity| RankedCause {
            entity: self.names[ranked.entity as usize].clone(),
            score: ranked.score,
            confidence: ranked.confidence,
            because: ranked.because,
        };
        rank_case(params, &self.case).into_iter().map(place).collect()
    }
}

/// Reads a case folder of any known layout, as it is known `late_secs` after the
/// fault. A Nezha day with several faults needs `at_secs`, the time of one.
///
/// # Errors
/// When the layout is not known or a file is broken.
pub fn read(folder: &Path, at_secs: Option<i64>, late_secs: i64) -> Result<NamedCase> {
    use bellwether_datasets::public;
    if !folder.is_dir() {
        bail!("`{}` is no folder", folder.display());
    }
    // What lies above a case belongs to it, also when the case is named `.`.
    let folder = &std::path::absolute(folder)?;
    if public::sockshop::is_case(folder) {
        let mut files = public::sockshop::load(folder)?;
        sockshop::shift(&mut files, late_secs);
        return Ok(sockshop::case(&files));
    }
    if public::nezha::is_case(folder) {
        return nezha::read(folder, at_secs, late_secs);
    }
    if public::petshop::is_case(folder) {
        let mut files = public::petshop::load(folder)?;
        petshop::shift(&mut files, late_secs);
        return Ok(petshop::case(&files));
    }
    bail!(
        "`{}` is no case folder known here: PetShop (metrics.csv, with graph.csv and noissue/ above), Nezha (a day with a fault list or metric/), Sock Shop (normal.csv and anomalous.csv, plain or .gz)",
        folder.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(name: &str) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("bellwether-case-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("temporary folder");
        path
    }

    #[test]
    fn a_sock_shop_folder_names_the_metric_that_jumped() {
        let path = folder("sockshop");
        let row = |second: i64, cart: f64| format!("{second},{cart},{},100,200\n", 2.0 + (second % 3) as f64 * 0.1);
        let file = |cart: f64| {
            let rows: String = (0..30).map(|second| row(second, cart + (second % 4) as f64 * 0.05)).collect();
            format!("time,carts_cpu,user_cpu,carts_mem,user_mem\n{rows}")
        };
        fs::write(path.join("normal.csv"), file(1.0)).expect("temporary file");
        fs::write(path.join("anomalous.csv"), file(60.0)).expect("temporary file");
        let places = read(&path, None, 0).expect("a case").rank(&CaseParams::default());
        fs::remove_dir_all(&path).expect("temporary folder");
        assert_eq!(places[0].entity, "carts-cpu");
        assert!(places[0].confidence > 0.5 && places[1].confidence < 0.2);
    }

    #[test]
    fn a_nezha_day_without_answers_names_the_service_whose_processor_jumped() {
        let day = folder("nezha");
        fs::create_dir_all(day.join("metric")).expect("temporary folder");
        let list = r#"{"03":[{"inject_time":"2022-08-22 03:53:54","inject_pod":"","inject_type":""}]}"#;
        fs::write(day.join("2022-08-22-fault_list.json"), list).expect("temporary file");
        let fault = 1_661_140_434;
        for (pod, during) in [("frontend-579b9bff58-t2dbm", 40.0), ("adservice-5f6585d649-fnmft", 5.0)] {
            let value = |at: i64| if (0..300).contains(&(at - fault)) { during } else { 5.0 + (at % 7) as f64 * 0.1 };
            let rows: String = (-40..20)
                .map(|minute| fault + minute * 60 + 6)
                .map(|at| format!("t,{at},{pod},{}\n", value(at)))
                .collect();
            let text = format!("Time,TimeStamp,PodName,CpuUsageRate(%)\n{rows}");
            fs::write(day.join("metric").join(format!("{pod}_metric.csv")), text).expect("temporary file");
        }
        let places = read(&day, None, 0).expect("a case").rank(&CaseParams::default());
        fs::remove_dir_all(&day).expect("temporary folder");
        assert_eq!(places[0].entity, "frontend");
    }

    #[test]
    fn an_unknown_layout_says_which_are_known() {
        let path = folder("unknown");
        let error = read(&path, None, 0).expect_err("nothing in it").to_string();
        fs::remove_dir_all(&path).expect("temporary folder");
        assert!(error.contains("PetShop") && error.contains("Nezha"), "{error}");
        let error = read(&path, None, 0).expect_err("it is gone").to_string();
        assert!(error.contains("is no folder"), "{error}");
    }

    #[test]
    fn a_pet_shop_issue_whose_answers_were_taken_out_is_read() {
        let scenario = folder("petshop");
        let issue = scenario.join("test/issue_0");
        fs::create_dir_all(&issue).expect("temporary folder");
        fs::create_dir_all(scenario.join("noissue")).expect("temporary folder");
        fs::write(scenario.join("graph.csv"), ",shop,search\nshop,0,1\nsearch,0,0\n").expect("temporary file");
        let file = |rows: i64, search: f64| {
            let head = "microservice,shop,search\nmetric,latency,latency\nstatistic,Average,Average\n,,\n";
            let row = |row: i64| format!("{},{},{}\n", row * 300, 1.0 + (row % 3) as f64 * 0.01, search);
            format!("{head}{}", (0..rows).map(row).collect::<String>())
        };
        fs::write(scenario.join("noissue/metrics.csv"), file(50, 0.2)).expect("temporary file");
        fs::write(issue.join("metrics.csv"), file(4, 9.0)).expect("temporary file");
        for target in ["", "{}", r#"{"target":{"node":"shop","metric":"latency"},"root_cause":{}}"#] {
            fs::write(issue.join("target.json"), target).expect("temporary file");
            let places = read(&issue, None, 0).expect("a case").rank(&CaseParams::default());
            assert_eq!(places[0].entity, "search", "with `{target}`");
        }
        fs::remove_dir_all(&scenario).expect("temporary folder");
    }
}
