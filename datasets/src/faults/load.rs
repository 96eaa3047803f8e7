//! Faults of too much.

use super::{FaultSpec, Manner, becomes, plus, times};
use crate::estate::{Kind, Metric};

pub(super) const TRAFFIC_SPIKE: FaultSpec = FaultSpec {
    name: "traffic_spike",
    targets: &[Kind::Service],
    symptoms: &[
        times(Metric::Traffic, 5.0),
        times(Metric::Latency, 6.0),
        plus(Metric::Errors, 0.1),
        plus(Metric::Pool, 0.6),
        plus(Metric::LogErrors, 20.0),
    ],
    ramp_secs: 150,
    latent: false,
    manner: Manner::Load,
    weight: 0.85,
    lines: &["request queue full, {n} requests waiting", "rejected: concurrency limit reached after {ms} ms"],
    change: None,
};

pub(super) const RETRY_STORM: FaultSpec = FaultSpec {
    name: "retry_storm",
    targets: &[Kind::Service],
    symptoms: &[
        times(Metric::Traffic, 4.0),
        times(Metric::Latency, 7.0),
        plus(Metric::Errors, 0.25),
        plus(Metric::LogErrors, 70.0),
    ],
    ramp_secs: 60,
    latent: false,
    manner: Manner::Load,
    weight: 0.75,
    lines: &["retry {n} of 5 after {ms} ms", "retry budget exhausted"],
    change: None,
};

pub(super) const QUEUE_BACKLOG: FaultSpec = FaultSpec {
    name: "queue_backlog",
    targets: &[Kind::Queue],
    symptoms: &[times(Metric::Backlog, 80.0), times(Metric::Latency, 15.0)],
    ramp_secs: 400,
    latent: false,
    manner: Manner::Slow,
    weight: 0.8,
    lines: &["consumer group lag is {n} messages"],
    change: None,
};

pub(super) const CACHE_STAMPEDE: FaultSpec = FaultSpec {
    name: "cache_stampede",
    targets: &[Kind::Cache],
    symptoms: &[becomes(Metric::Hits, 0.15), times(Metric::Latency, 10.0)],
    ramp_secs: 15,
    latent: false,
    manner: Manner::Slow,
    weight: 0.85,
    lines: &["evicted {n} keys in one second"],
    change: None,
};
