//! PetShop: components of the call graph with latency, requests and
//! availability; the rows of the issue before the alarm join the baseline.

use super::NamedCase;
use bellwether_datasets::public::petshop::{Issue, Metric};
use bellwether_models::causes::case::{Alarm, Indicator, IndicatorKind};
use bellwether_models::causes::{CauseEdge, Relation};

/// Rows are five minutes wide and stamped at their start: the one that holds
/// the alarm's time begins up to this long before it.
const ROW_SECS: f64 = 300.0;

/// The case of one issue.
#[must_use]
pub fn case(issue: &Issue) -> NamedCase {
    let mut out = NamedCase::default();
    for node in &issue.nodes {
        out.entity(node);
    }
    for &(caller, callee) in &issue.calls {
        let (from, to) = (caller as u32, callee as u32);
        out.case.edges.push(CauseEdge { from, to, relation: Relation::Calls, confidence: 1.0 });
    }
    let at_secs = issue.alarm.as_ref().and_then(|alarm| alarm.at_secs);
    let begins = at_secs.map_or(f64::NEG_INFINITY, |at| at - ROW_SECS);
    for column in &issue.issue.columns {
        let Some(kind) = kind_of(&column.metric) else { continue };
        let normal = issue.normal.columns.iter().find(|known| same(known, column));
        let entity = out.entity(&column.node);
        let value_of = |value: &f64| if kind == IndicatorKind::Failure { 100.0 - value } else { *value };
        let mut before: Vec<f64> = normal.map_or_else(Vec::new, |known| known.values.iter().map(value_of).collect());
        let (mut recent, mut during) = (Vec::new(), Vec::new());
        for (at, value) in issue.issue.at_secs.iter().zip(&column.values) {
            if *at <= begins { recent.push(value_of(value)) } else { during.push(value_of(value)) }
        }
        before.extend(&recent);
        if kind == IndicatorKind::Traffic {
            out.case.volume.resize(out.names.len(), f64::NAN);
            out.case.volume[entity as usize] = during.iter().filter(|count| count.is_finite()).sum();
        }
        out.case.indicators.push(Indicator { entity, kind, before, recent, during });
    }
    let alarm = issue.alarm.as_ref().and_then(|alarm| Some((alarm, kind_of(&alarm.metric)?)));
    if let Some((alarm, kind)) = alarm {
        out.case.alarm = Some(Alarm { entity: out.entity(&alarm.node), kind });
    }
    out
}

/// The same issue with its alarm `late_secs` later.
pub fn shift(issue: &mut Issue, late_secs: i64) {
    if let Some(at_secs) = issue.alarm.as_mut().and_then(|alarm| alarm.at_secs.as_mut()) {
        *at_secs += late_secs as f64;
    }
}

fn same(a: &Metric, b: &Metric) -> bool {
    a.node == b.node && a.metric == b.metric && a.statistic == b.statistic
}

fn kind_of(metric: &str) -> Option<IndicatorKind> {
    match metric {
        "latency" => Some(IndicatorKind::Latency),
        "availability" => Some(IndicatorKind::Failure),
        "requests" => Some(IndicatorKind::Traffic),
        _ => None,
    }
}
