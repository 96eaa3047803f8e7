//! The stories: four estates that a reader knows, four days that go wrong.
//!
//! A story is a function of a seed: the names and what happens are fixed, the noise is not.
//! [`STORIES`] is the list; the folders of `tests/scenarios/` hold the truth each must show,
//! and `bellwether demo` plays them.

mod database_network_change;
mod flash_sale;
mod kit;
mod msp;
mod plant_line;

use crate::simulation::Plan;

/// A story.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// Its name on the command line, and its folder.
    pub name: &'static str,
    /// One line.
    pub title: &'static str,
    /// What happens, for the reader.
    pub text: &'static str,
    /// What happens, for the simulator.
    pub plan: fn(seed: u64) -> Plan,
}

/// Every story, in the order of telling.
pub const STORIES: [Story; 4] = [database_network_change::STORY, flash_sale::STORY, plant_line::STORY, msp::STORY];

/// The story called `name`.
///
/// # Errors
/// [`UnknownStory`] with the names there are.
pub fn story(name: &str) -> Result<&'static Story, UnknownStory> {
    STORIES.iter().find(|s| s.name == name).ok_or_else(|| UnknownStory(name.chars().take(64).collect()))
}

/// No such story.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("unknown story `{0}`, known: database-network-change, flash-sale, plant-line, msp")]
pub struct UnknownStory(String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::Simulation;
    use crate::truth::Truth;

    fn truth(name: &str, seed: u64) -> Truth {
        Simulation::new((story(name).expect("a known story").plan)(seed)).into_truth()
    }

    #[test]
    fn every_story_is_found_by_its_name() {
        for one in &STORIES {
            assert_eq!(story(one.name).map(|s| s.title), Ok(one.title));
        }
        let error = story("flashsale").expect_err("not a story").to_string();
        for one in &STORIES {
            assert!(error.contains(one.name), "{error}");
        }
    }

    #[test]
    fn the_network_change_reaches_the_shop_but_not_the_catalogue() {
        for seed in [1, 42] {
            let truth = truth("database-network-change", seed);
            let [fault] = &truth.faults[..] else { panic!("one fault") };
            assert_eq!(fault.change.as_deref(), Some("CHG0041877"));
            let hurt = |id: &str| fault.affected.iter().any(|a| a.entity == id);
            assert!(hurt("database:orders-pg") && hurt("service:checkout") && hurt("business:online-shop"));
            assert!(!hurt("database:catalog-pg") && !hurt("service:recommendations"));
            assert!(truth.alerts.iter().all(|a| a.fault.is_some()), "seed {seed}");
        }
    }

    #[test]
    fn the_sale_hurts_one_region_alone() {
        for seed in [1, 42] {
            let truth = truth("flash-sale", seed);
            assert!(truth.alerts.iter().any(|a| a.name.contains("packet loss")), "seed {seed}");
            for alert in &truth.alerts {
                assert!(alert.fault.is_some() && !alert.entity.contains("north"), "seed {seed}: {}", alert.entity);
            }
        }
    }

    #[test]
    fn the_dead_switch_stops_the_cells_behind_it_and_no_other() {
        for seed in [1, 42] {
            let truth = truth("plant-line", seed);
            let [fault] = &truth.faults[..] else { panic!("one fault") };
            let mut cells: Vec<&str> =
                fault.affected.iter().map(|a| a.entity.as_str()).filter(|e| e.starts_with("cell:")).collect();
            cells.sort_unstable();
            assert_eq!(cells, ["cell:body-framing", "cell:body-sealing", "cell:spot-weld-1", "cell:spot-weld-2"]);
        }
    }

    #[test]
    fn three_of_twenty_four_have_trouble_and_one_is_only_noisy() {
        for seed in [1, 42] {
            let truth = truth("msp", seed);
            let ill: Vec<&str> = truth.faults.iter().map(|f| f.tenant.as_str()).collect();
            assert_eq!(ill.len(), 3);
            let noise: Vec<&str> =
                truth.alerts.iter().filter(|a| a.fault.is_none()).map(|a| a.tenant.as_str()).collect();
            assert!(noise.len() >= 5, "seed {seed}: {}", noise.len());
            assert!(noise.iter().all(|t| *t == "fjord-seafood"), "seed {seed}");
        }
    }
}
