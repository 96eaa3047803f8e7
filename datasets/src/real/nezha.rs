//! A Nezha day as an engine reads it: the metrics of each pod and the latency of each call.
//!
//! The first fault comes two minutes after the first sample, too soon for anyone to know what
//! is usual. The hours after the day's last fault are fault-free: they are moved before the
//! day and come as its history.

use std::path::Path;

use bellwether_engine::signal::Relation;
use bellwether_engine::time::EventTime;

use super::RealCase;
use super::feed::Feed;
use crate::public::LoadError;
use crate::public::nezha::{self, service_of};

/// Fault-free hours begin this long after the last fault.
const AFTERMATH_SECS: f64 = 3_600.0;

/// Clocks of pods that differ from the others by more than this were written down wrongly
/// (one pod's days lie six years ahead); they are set to the others'.
const CLOCK_ERROR_SECS: f64 = 86_400.0;

/// The entity of a pod.
pub fn pod_entity(pod: &str) -> String {
    format!("k8s.pod:{pod}")
}

/// The entity of a pod's service.
pub fn service_entity(pod: &str) -> String {
    format!("service:{}", service_of(pod))
}

/// The day in `folder`.
///
/// # Errors
/// When a file is absent or broken; the message names file, row and column.
pub fn day(folder: &Path) -> Result<RealCase, LoadError> {
    let metrics = nezha::metrics(folder)?;
    let last_fault = nezha::fault_times(folder)?.into_iter().max().unwrap_or(0) as f64;
    let begins = metrics.source.at_secs.iter().copied().fold(f64::INFINITY, f64::min);
    let ends = metrics.source.at_secs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut feed = Feed::new("nezha");
    let pour = |feed: &mut Feed, at_secs: &[f64], values: &[f64], series: u64| {
        for (at, value) in at_secs.iter().zip(values) {
            feed.sample(*at, series, *value);
            if *at > last_fault + AFTERMATH_SECS {
                feed.sample(at - (ends - begins) - 120.0, series, *value);
            }
        }
    };
    for pod in &metrics.pods {
        let entity = pod_entity(&pod.name);
        feed.edge(&entity, Relation::PartOf, &service_entity(&pod.name));
        let first = pod.series.at_secs.first().copied().unwrap_or(begins);
        let wrong = if (first - begins).abs() > CLOCK_ERROR_SECS { (first - begins).round() } else { 0.0 };
        let at_secs: Vec<f64> = pod.series.at_secs.iter().map(|at| at - wrong).collect();
        for (name, values) in pod.series.names.iter().zip(&pod.series.values) {
            // Readings of the machine repeat on each of its pods; they are no news of the pod.
            if name.starts_with("Node") {
                continue;
            }
            let (name, unit) = name.trim_end_matches(')').split_once('(').unwrap_or((name, ""));
            let series = feed.gauge(name, &entity, unit, &[]);
            pour(&mut feed, &at_secs, values, series);
        }
    }
    for (name, values) in metrics.source.names.iter().zip(&metrics.source.values) {
        let Some((caller, callee)) = name.split_once('_') else {
            continue;
        };
        let series = feed.gauge("call.duration.p50", &format!("service:{callee}"), "s", &[("caller", caller)]);
        pour(&mut feed, &metrics.source.at_secs, values, series);
    }
    for (source, target) in &metrics.dependencies {
        if target.parse::<std::net::IpAddr>().is_ok() {
            feed.edge(&format!("service:{source}"), Relation::RunsOn, &format!("host:{target}"));
        } else {
            feed.edge(&format!("service:{source}"), Relation::Calls, &format!("service:{target}"));
        }
    }
    let start = EventTime::from_millis((begins * 1_000.0) as i64);
    let history = feed.take_before(start);
    Ok(RealCase { history, trouble: feed.take_rest() })
}
