//! The stories under every hard condition, and against their truth.
//!
//! Each folder of `tests/scenarios/` names a story, a seed and the engine's settings
//! (`scenario.yaml`) and what must come of it (`expected.yaml`). A scenario is run under a set
//! of conditions that covers every pair of 1, 2 and 7 threads with batches of 1, 100 and 8,192
//! rows, each with or without a restart at a seeded point and rows shuffled within the
//! lateness: the incident events of each tenant must be the same byte for byte. Then the truth
//! is checked, for the scenario's seed and for its further seeds.

mod scenario;

use std::collections::BTreeSet;

use scenario::conditions::{CONDITIONS, Condition, run};
use scenario::expected::check;
use scenario::folder::{Scenario, load};

fn every_condition_gives_the_same_events(name: &str) {
    let scenario = load(name);
    let played = scenario.play(scenario.seed);
    let first = run(&scenario, &played, &Condition::AS_PLAYED);
    assert!(!first.is_empty(), "{name}: no event at all");
    for condition in &CONDITIONS {
        let events = run(&scenario, &played, condition);
        first.assert_same(&events, &format!("{name}, seed {}, {condition:?}", scenario.seed));
    }
}

fn truth_is_found(name: &str) {
    let scenario = load(name);
    for seed in scenario.seeds() {
        let played = scenario.play(seed);
        let events = run(&scenario, &played, &Condition::AS_PLAYED);
        check(&scenario, seed, &played, &events);
    }
}

/// What a tenant's engine says must not depend on who else is there.
fn tenants_do_not_notice_each_other(name: &str) {
    let scenario: Scenario = load(name);
    let played = scenario.play(scenario.seed);
    let together = run(&scenario, &played, &Condition::AS_PLAYED);
    for tenant in together.tenants() {
        let alone = run(&scenario, &played.only(tenant), &Condition::AS_PLAYED);
        assert_eq!(alone.tenants().collect::<BTreeSet<_>>(), BTreeSet::from([tenant]));
        together.only(tenant).assert_same(&alone, &format!("{name}, {tenant} alone"));
    }
}

#[test]
fn database_network_change_is_the_same_under_every_condition() {
    every_condition_gives_the_same_events("database-network-change");
}

#[test]
fn database_network_change_is_one_ticket_for_the_database_team() {
    truth_is_found("database-network-change");
}

#[test]
fn flash_sale_is_the_same_under_every_condition() {
    every_condition_gives_the_same_events("flash-sale");
}

#[test]
fn flash_sale_is_a_matter_of_capacity_in_one_region() {
    truth_is_found("flash-sale");
}

#[test]
fn plant_line_is_the_same_under_every_condition() {
    every_condition_gives_the_same_events("plant-line");
}

#[test]
fn plant_line_names_the_switch_and_its_cells() {
    truth_is_found("plant-line");
}

#[test]
fn msp_is_the_same_under_every_condition() {
    every_condition_gives_the_same_events("msp");
}

#[test]
fn msp_is_three_tickets_each_at_home() {
    truth_is_found("msp");
}

#[test]
fn msp_clients_do_not_notice_each_other() {
    tenants_do_not_notice_each_other("msp");
}
