//! A PetShop issue as an engine reads it.
//!
//! Of the statistics, mean latency, its 95th percentile, the requests and the availability are
//! replayed. The fault-free days were recorded months after the issues: they are moved back by
//! whole days, so that they end before the issue and keep their hours. The alarm, which is
//! given to every diagnosis of this set, comes as an alert of CloudWatch.

use std::path::Path;

use bellwether_engine::signal::{AlertRow, AlertStatus, Relation, Severity, alert_fingerprint};
use bellwether_engine::time::EventTime;

use super::RealCase;
use super::feed::Feed;
use crate::public::LoadError;
use crate::public::petshop::{self, Metrics};

const DAY_SECS: f64 = 86_400.0;

/// The statistics replayed, with the series name and unit.
const SERIES: [(&str, &str, &str, &str); 4] = [
    ("latency", "Average", "http.server.request.duration.mean", "s"),
    ("latency", "p95", "http.server.request.duration.p95", "s"),
    ("requests", "Sum", "http.server.requests", "{request}"),
    ("availability", "Average", "http.server.availability", "%"),
];

/// The entity of a component.
pub fn entity(node: &str) -> String {
    format!("service:{node}")
}

/// The issue in `folder`.
///
/// # Errors
/// When a file is absent or broken; the message names file, row and column.
pub fn case(folder: &Path) -> Result<RealCase, LoadError> {
    let issue = petshop::load(folder)?;
    let mut feed = Feed::new("petshop");
    for (caller, callee) in &issue.calls {
        if caller != callee {
            feed.edge(&entity(&issue.nodes[*caller]), Relation::Calls, &entity(&issue.nodes[*callee]));
        }
    }
    let begins = issue.issue.at_secs.iter().copied().fold(f64::INFINITY, f64::min);
    let ended = issue.normal.at_secs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let days_back = ((ended - begins) / DAY_SECS).floor() + 1.0;
    let moved = if days_back.is_finite() && days_back > 0.0 { days_back * DAY_SECS } else { 0.0 };
    pour(&mut feed, &issue.normal, -moved);
    pour(&mut feed, &issue.issue, 0.0);
    let start = EventTime::from_millis((begins * 1_000.0) as i64);
    let history = feed.take_before(start);
    let mut trouble = feed.take_rest();
    if let Some(alarm) = &issue.alarm {
        let at = alarm.at_secs.map_or(start, |secs| EventTime::from_millis((secs * 1_000.0) as i64));
        let entity = entity(&alarm.node);
        let (name, labels) = (format!("{} alarm", alarm.metric), [("metric", alarm.metric.as_str())]);
        let alert = feed.alarm(&AlertRow {
            time: at,
            source: "cloudwatch",
            name: &name,
            entity: &entity,
            severity: Severity::Major,
            status: AlertStatus::Firing,
            fingerprint: alert_fingerprint("cloudwatch", &name, &entity, &labels),
            labels: &labels,
            annotations: &[],
            starts_at: at,
            ends_at: None,
            url: None,
        });
        let place = trouble.iter().position(|input| starts_after(input, at)).unwrap_or(trouble.len());
        trouble.insert(place, alert);
    }
    Ok(RealCase { history, trouble })
}

fn starts_after(input: &bellwether_engine::input::Input, at: EventTime) -> bool {
    use bellwether_engine::input::Input;
    use bellwether_engine::signal::{MetricColumns, SignalKind};
    match input {
        Input::Batch(batch) if batch.kind() == SignalKind::Metric => {
            MetricColumns::of(batch).time.first().is_some_and(|first| *first > at.0)
        }
        Input::Tick(tick) => *tick > at,
        _ => false,
    }
}

fn pour(feed: &mut Feed, metrics: &Metrics, moved_secs: f64) {
    for column in &metrics.columns {
        let known = SERIES.iter().find(|(m, s, _, _)| *m == column.metric && *s == column.statistic);
        let Some((_, _, name, unit)) = known else {
            continue;
        };
        let series = feed.gauge(name, &entity(&column.node), unit, &[]);
        for (at, value) in metrics.at_secs.iter().zip(&column.values) {
            feed.sample(at + moved_secs, series, *value);
        }
    }
}
