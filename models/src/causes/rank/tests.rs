//! The ranker, by its facts.

use super::*;
use crate::causes::Relation;

const SECOND: i64 = 1_000_000_000;

fn alerting(onset_s: i64, strength: f64) -> CauseNode {
    CauseNode { onset_ns: onset_s * SECOND, strength, alerting: true, ..CauseNode::SILENT }
}

fn calls(from: u32, to: u32) -> CauseEdge {
    CauseEdge { from, to, relation: Relation::Calls, confidence: 1.0 }
}

fn ranked(nodes: &[CauseNode], edges: &[CauseEdge], changes: &[CauseChange]) -> Vec<RankedCause> {
    let mut out = Vec::new();
    rank(&CauseParams::default(), nodes, edges, changes, &mut out);
    out
}

#[test]
fn nothing_alerting_gives_no_ranking() {
    assert!(ranked(&[CauseNode::SILENT], &[], &[]).is_empty());
    assert!(ranked(&[], &[], &[]).is_empty());
}

#[test]
fn the_deepest_alerting_dependency_comes_first() {
    let nodes = [alerting(100, 0.9), alerting(100, 0.9), alerting(100, 0.9)];
    let out = ranked(&nodes, &[calls(0, 1), calls(1, 2)], &[]);
    assert_eq!(out[0].subject, CauseSubject::Node(2));
    assert!(out[0].because.unexplained > out[1].because.unexplained);
    assert!(out[0].because.explains > out[1].because.explains);
}

#[test]
fn the_earlier_of_two_unconnected_entities_comes_first() {
    let nodes = [alerting(400, 0.8), alerting(100, 0.8)];
    assert_eq!(ranked(&nodes, &[], &[])[0].subject, CauseSubject::Node(1));
}

#[test]
fn a_silent_common_host_is_a_candidate_but_a_silent_leaf_is_not() {
    let host = |from| CauseEdge { from, to: 2, relation: Relation::RunsOn, confidence: 1.0 };
    let nodes = [alerting(100, 0.8), alerting(101, 0.8), CauseNode::SILENT, CauseNode::SILENT];
    let out = ranked(&nodes, &[host(0), host(1)], &[]);
    let subjects: Vec<_> = out.iter().map(|cause| cause.subject).collect();
    assert!(subjects.contains(&CauseSubject::Node(2)));
    assert!(!subjects.contains(&CauseSubject::Node(3)));
}

#[test]
fn a_deploy_just_before_the_onset_is_named_before_its_entity() {
    let nodes = [alerting(1000, 0.8), alerting(1000, 0.8)];
    let deploy = CauseChange { node: 1, at_ns: 940 * SECOND, weight: 0.8 };
    let late = CauseChange { node: 0, at_ns: 1200 * SECOND, weight: 1.0 };
    let out = ranked(&nodes, &[], &[late, deploy]);
    assert_eq!(out[0].subject, CauseSubject::Change(1));
    assert_eq!(out[1].subject, CauseSubject::Node(1));
    assert!(!out.iter().any(|cause| cause.subject == CauseSubject::Change(0)));
}

#[test]
fn confidences_leave_room_for_unknown_and_more_when_evidence_is_thin() {
    let strong = ranked(&[alerting(100, 1.0), alerting(160, 1.0)], &[calls(1, 0)], &[]);
    let thin: Vec<CauseNode> = (0..12).map(|_| alerting(100, 0.1)).collect();
    let weak = ranked(&thin, &[], &[]);
    let sum = |out: &[RankedCause]| out.iter().map(|cause| cause.confidence).sum::<f64>();
    assert!(sum(&strong) < 1.0 && sum(&weak) < 1.0);
    assert!(strong[0].confidence > 0.5, "{}", strong[0].confidence);
    assert!(weak[0].confidence < 0.15, "{}", weak[0].confidence);
}

#[test]
fn the_order_of_edges_changes_nothing() {
    let nodes: Vec<CauseNode> = (0..6).map(|i| alerting(100 + i, 0.5)).collect();
    let mut edges = vec![calls(0, 1), calls(1, 2), calls(3, 2), calls(4, 3), calls(5, 3), calls(5, 1)];
    let first = ranked(&nodes, &edges, &[]);
    edges.reverse();
    assert_eq!(first, ranked(&nodes, &edges, &[]));
}

#[test]
fn extreme_values_from_outside_do_not_panic() {
    let odd = CauseNode { onset_ns: i64::MIN, strength: f64::NAN, alerting: true, ..CauseNode::SILENT };
    let edge = CauseEdge { from: 0, to: 1, relation: Relation::Calls, confidence: f64::NAN };
    let change = CauseChange { node: 7, at_ns: i64::MIN, weight: f64::INFINITY };
    let _ = ranked(&[odd, alerting(i64::MAX / SECOND, 2.0)], &[edge], &[change]);
}

#[test]
fn slow_answers_alone_give_way_to_a_condition_of_what_is_called() {
    // The service shows its effect first and strongly; what it calls has a condition, told later.
    let service = alerting(100, 0.9);
    let full_disk = CauseNode { condition: 0.9, ..alerting(130, 0.4) };
    let first = |own_effects: f64| {
        let params = CauseParams { own_effects, ..CauseParams::default() };
        let mut out = Vec::new();
        rank(&params, &[service, full_disk], &[calls(0, 1)], &[], &mut out);
        let explains = |node| {
            out.iter()
                .find(|cause| cause.subject == CauseSubject::Node(node))
                .map_or(0.0, |cause| cause.because.explains)
        };
        (explains(0), explains(1))
    };
    let (service_in_full, disk) = first(1.0);
    let (service_in_half, disk_again) = first(0.5);
    assert!(service_in_half < service_in_full, "{service_in_half} {service_in_full}");
    assert!((disk - disk_again).abs() < 0.05, "a condition explains itself: {disk} {disk_again}");
}

#[test]
fn a_change_explains_the_effects_where_it_was_made() {
    let nodes = [alerting(1000, 0.8), alerting(1000, 0.8)];
    let deploy = CauseChange { node: 1, at_ns: 990 * SECOND, weight: 1.0 };
    let explains = |changes: &[CauseChange]| {
        let out = ranked(&nodes, &[calls(0, 1)], changes);
        out.iter().find(|cause| cause.subject == CauseSubject::Node(1)).map_or(0.0, |cause| cause.because.explains)
    };
    assert!(explains(&[deploy]) > explains(&[]) + 0.1);
}

#[test]
fn however_well_something_fits_the_cause_may_be_unseen() {
    let params = CauseParams { unseen: 0.07, ..CauseParams::default() };
    let mut out = Vec::new();
    let condition = CauseNode { condition: 1.0, ..alerting(100, 1.0) };
    rank(&params, &[condition, alerting(200, 0.3)], &[calls(1, 0)], &[], &mut out);
    let sum: f64 = out.iter().map(|cause| cause.confidence).sum();
    assert!(out[0].confidence > 0.85 && sum <= 0.93 + 1e-9, "{} {sum}", out[0].confidence);
}

#[test]
fn a_silent_dependency_that_the_one_in_trouble_names_comes_before_it() {
    let shop = CauseNode { logs: 0.9, condition: 0.4, ..alerting(100, 0.7) };
    let alone = ranked(&[shop, CauseNode::SILENT], &[calls(0, 1)], &[]);
    assert_eq!(alone[0].subject, CauseSubject::Node(0));
    let blaming = CauseNode { condition: 0.0, blames: true, ..shop };
    let named = CauseNode { named: 1.0, ..CauseNode::SILENT };
    let out = ranked(&[blaming, named], &[calls(0, 1)], &[]);
    assert_eq!(out[0].subject, CauseSubject::Node(1));
    assert!(out[0].confidence > 0.5 && out[1].because.unexplained < 0.5, "{out:?}");
}
