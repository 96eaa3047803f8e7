//! Sock Shop: every resource metric of a service is an entity of its own,
//! `service-metric`, for that is what its answers name.

use super::NamedCase;
use bellwether_datasets::public::sockshop::Case as Files;
use bellwether_models::causes::case::{Indicator, IndicatorKind};
use bellwether_models::causes::{CauseEdge, Relation};

/// The case of one repetition.
#[must_use]
pub fn case(files: &Files) -> NamedCase {
    let mut out = NamedCase::default();
    for (column, name) in files.anomalous.names.iter().enumerate() {
        let Some((service, metric, kind)) = split(name) else { continue };
        let Some(before) = files.normal.names.iter().position(|known| known == name) else { continue };
        let entity = out.entity(&format!("{service}-{metric}"));
        let (before, during) = (files.normal.values[before].clone(), files.anomalous.values[column].clone());
        out.case.indicators.push(Indicator { entity, kind, before, recent: Vec::new(), during });
    }
    for from in 0..out.names.len() {
        for to in 0..out.names.len() {
            if explains(&out.names[to], &out.names[from]) {
                let (from, to) = (from as u32, to as u32);
                out.case.edges.push(CauseEdge { from, to, relation: Relation::RunsOn, confidence: 1.0 });
            }
        }
    }
    out
}

/// The same repetition without the first `late_secs` of the fault.
pub fn shift(files: &mut Files, late_secs: i64) {
    let begin = files.anomalous.at_secs.first().copied().unwrap_or(0.0) + late_secs as f64;
    let skip = files.anomalous.at_secs.iter().take_while(|at| **at < begin).count();
    for values in &mut files.anomalous.values {
        values.drain(..skip.min(values.len()));
    }
}

/// Service, metric and kind of a column `<service>_<metric>`.
fn split(column: &str) -> Option<(&str, &str, IndicatorKind)> {
    let (service, metric) = column.split_once('_')?;
    let kind = match metric {
        "cpu" => IndicatorKind::Cpu,
        "mem" => IndicatorKind::Memory,
        "lod" => IndicatorKind::Traffic,
        _ if metric.starts_with("lat") => IndicatorKind::Latency,
        _ => return None,
    };
    Some((service, metric, kind))
}

/// Within a service, resources explain latency and memory explains processor
/// use (allocation, reclaim, paging).
fn explains(cause: &str, symptom: &str) -> bool {
    let (Some((a, cause)), Some((b, symptom))) = (cause.rsplit_once('-'), symptom.rsplit_once('-')) else {
        return false;
    };
    a == b && matches!((cause, symptom.starts_with("lat"), symptom), ("mem", _, "cpu") | ("cpu" | "mem", true, _))
}
