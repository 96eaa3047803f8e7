//! What can be measured of each kind of item, and what it reads when nothing is wrong.

use bellwether_engine::time::EventTime;

use super::{Kind, season};
use crate::rng::{bell, mix, unit};

/// A measurable quantity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Metric {
    /// Requests (or pieces, on a production line) per second.
    Traffic,
    /// 95th percentile of the time to an answer, seconds.
    Latency,
    /// Share of requests that fail, 0–1.
    Errors,
    /// Processor use, 0–1.
    Cpu,
    /// Processor time taken by the hypervisor, 0–1.
    Steal,
    /// Memory use, 0–1.
    Memory,
    /// Disk use, 0–1.
    Disk,
    /// Seconds a disk operation takes.
    DiskLatency,
    /// Connections in use of those allowed, 0–1.
    Pool,
    /// Packets lost, 0–1.
    Loss,
    /// Use of the busiest link, 0–1.
    LinkUse,
    /// Messages waiting.
    Backlog,
    /// Share of reads a cache answers, 0–1.
    Hits,
    /// Seconds the clock is wrong.
    ClockOffset,
    /// Days until the certificate expires.
    CertDays,
    /// 1 while it answers a ping, 0 otherwise. Not exported as a series.
    Up,
    /// 1 while its exporter answers, 0 otherwise. Not exported as a series.
    Scraped,
    /// Error lines per minute in its log. Not exported as a series.
    LogErrors,
}

impl Metric {
    /// The series name, after the OpenTelemetry semantic conventions where they have one, and
    /// the UCUM unit; `None` for what only a monitoring tool sees.
    pub const fn series(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Metric::Traffic => ("http.server.request.rate", "{request}/s"),
            Metric::Latency => ("http.server.request.duration.p95", "s"),
            Metric::Errors => ("http.server.error.ratio", "1"),
            Metric::Cpu => ("system.cpu.utilization", "1"),
            Metric::Steal => ("system.cpu.steal", "1"),
            Metric::Memory => ("system.memory.utilization", "1"),
            Metric::Disk => ("system.filesystem.utilization", "1"),
            Metric::DiskLatency => ("system.disk.operation.duration", "s"),
            Metric::Pool => ("db.client.connection.utilization", "1"),
            Metric::Loss => ("network.packet.loss", "1"),
            Metric::LinkUse => ("network.link.utilization", "1"),
            Metric::Backlog => ("messaging.queue.depth", "{message}"),
            Metric::Hits => ("cache.hit.ratio", "1"),
            Metric::ClockOffset => ("system.clock.offset", "s"),
            Metric::CertDays => ("tls.certificate.days_left", "d"),
            Metric::Up | Metric::Scraped | Metric::LogErrors => return None,
        })
    }

    /// The number that names this metric in hashes; the order of the variants.
    pub(crate) const fn code(self) -> u64 {
        self as u64
    }

    fn is_ratio(self) -> bool {
        matches!(
            self,
            Metric::Errors
                | Metric::Cpu
                | Metric::Steal
                | Metric::Memory
                | Metric::Disk
                | Metric::Pool
                | Metric::Loss
                | Metric::LinkUse
                | Metric::Hits
                | Metric::Up
                | Metric::Scraped
        )
    }
}

/// How one metric of one kind of item behaves when nothing is wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    metric: Metric,
    /// Levels of single items are drawn from here.
    low: f64,
    high: f64,
    /// Share of the level that follows the season, 0–1.
    seasonal: f64,
    /// Standard deviation of the noise, relative to the level.
    noise: f64,
    /// Growth per day, relative to the level.
    growth: f64,
}

const fn steady(metric: Metric, low: f64, high: f64, noise: f64) -> Profile {
    Profile { metric, low, high, seasonal: 0.0, noise, growth: 0.0 }
}

const fn busy(metric: Metric, low: f64, high: f64, seasonal: f64, noise: f64) -> Profile {
    Profile { metric, low, high, seasonal, noise, growth: 0.0 }
}

const ANSWERS: [Profile; 6] = [
    busy(Metric::Traffic, 20.0, 400.0, 1.0, 0.06),
    busy(Metric::Latency, 0.04, 0.25, 0.12, 0.05),
    steady(Metric::Errors, 0.001, 0.006, 0.25),
    busy(Metric::Pool, 0.15, 0.35, 0.5, 0.05),
    steady(Metric::CertDays, 40.0, 300.0, 0.0),
    steady(Metric::LogErrors, 0.1, 0.6, 0.3),
];
const POD: [Profile; 4] = [
    busy(Metric::Cpu, 0.15, 0.35, 0.6, 0.06),
    steady(Metric::Memory, 0.35, 0.6, 0.01),
    steady(Metric::Scraped, 1.0, 1.0, 0.0),
    steady(Metric::Up, 1.0, 1.0, 0.0),
];
const DATABASE: [Profile; 5] = [
    busy(Metric::Traffic, 200.0, 2_000.0, 1.0, 0.05),
    busy(Metric::Latency, 0.003, 0.02, 0.15, 0.06),
    busy(Metric::Pool, 0.2, 0.4, 0.5, 0.04),
    steady(Metric::Errors, 0.0005, 0.002, 0.25),
    steady(Metric::LogErrors, 0.05, 0.3, 0.3),
];
const QUEUE: [Profile; 3] = [
    busy(Metric::Traffic, 50.0, 500.0, 1.0, 0.06),
    busy(Metric::Backlog, 20.0, 200.0, 0.6, 0.12),
    busy(Metric::Latency, 0.01, 0.08, 0.1, 0.06),
];
const CACHE: [Profile; 4] = [
    busy(Metric::Traffic, 500.0, 4_000.0, 1.0, 0.05),
    steady(Metric::Hits, 0.92, 0.98, 0.004),
    steady(Metric::Memory, 0.55, 0.7, 0.005),
    busy(Metric::Latency, 0.0006, 0.002, 0.1, 0.05),
];
const HOST: [Profile; 9] = [
    busy(Metric::Cpu, 0.15, 0.4, 0.6, 0.05),
    steady(Metric::Steal, 0.002, 0.01, 0.2),
    steady(Metric::Memory, 0.4, 0.65, 0.01),
    Profile { metric: Metric::Disk, low: 0.3, high: 0.65, seasonal: 0.0, noise: 0.0005, growth: 0.004 },
    busy(Metric::DiskLatency, 0.001, 0.006, 0.2, 0.08),
    steady(Metric::Loss, 0.0001, 0.0006, 0.3),
    steady(Metric::ClockOffset, 0.0005, 0.004, 0.3),
    steady(Metric::Scraped, 1.0, 1.0, 0.0),
    steady(Metric::Up, 1.0, 1.0, 0.0),
];
const NETWORK: [Profile; 5] = [
    steady(Metric::Cpu, 0.08, 0.25, 0.06),
    busy(Metric::LinkUse, 0.1, 0.35, 0.8, 0.05),
    steady(Metric::Loss, 0.0001, 0.0005, 0.3),
    steady(Metric::LogErrors, 0.02, 0.1, 0.3),
    steady(Metric::Up, 1.0, 1.0, 0.0),
];
const SCADA: [Profile; 4] = [
    steady(Metric::Latency, 0.02, 0.06, 0.06),
    steady(Metric::Errors, 0.0005, 0.002, 0.25),
    steady(Metric::LogErrors, 0.05, 0.2, 0.3),
    steady(Metric::Up, 1.0, 1.0, 0.0),
];
const PLC: [Profile; 2] = [steady(Metric::Latency, 0.004, 0.012, 0.05), steady(Metric::Up, 1.0, 1.0, 0.0)];
const PRODUCTION: [Profile; 1] = [steady(Metric::Traffic, 0.4, 1.6, 0.04)];
const BUSINESS: [Profile; 2] =
    [busy(Metric::Latency, 0.3, 0.9, 0.12, 0.05), steady(Metric::Errors, 0.001, 0.005, 0.25)];
const EXTERNAL: [Profile; 2] = [steady(Metric::Latency, 0.1, 0.4, 0.07), steady(Metric::Errors, 0.001, 0.006, 0.25)];
const MONITOR: [Profile; 2] = [steady(Metric::Cpu, 0.1, 0.3, 0.06), steady(Metric::Up, 1.0, 1.0, 0.0)];

/// What is measured of items of `kind`.
const fn profiles_of(kind: Kind) -> &'static [Profile] {
    match kind {
        Kind::Business => &BUSINESS,
        Kind::Service => &ANSWERS,
        Kind::Pod => &POD,
        Kind::Database => &DATABASE,
        Kind::Queue => &QUEUE,
        Kind::Cache => &CACHE,
        Kind::Host => &HOST,
        Kind::Switch | Kind::Router | Kind::Firewall => &NETWORK,
        Kind::Scada => &SCADA,
        Kind::Plc => &PLC,
        Kind::Cell | Kind::Line => &PRODUCTION,
        Kind::External => &EXTERNAL,
        Kind::Monitor => &MONITOR,
    }
}

/// One metric of one item.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel {
    pub(crate) metric: Metric,
    /// The level on an average hour.
    pub(crate) level: f64,
    profile: Profile,
    seed: u64,
}

impl Channel {
    /// What it reads at `at` when nothing is wrong. `origin` is when growth began.
    pub(crate) fn healthy(&self, at: EventTime, origin: EventTime) -> f64 {
        let profile = &self.profile;
        let load = if profile.seasonal > 0.0 { season(at) } else { 1.0 };
        let days = at.since(origin).as_secs_f64() / 86_400.0;
        let level = self.level * (1.0 + profile.seasonal * (load - 1.0)) * (1.0 + profile.growth * days);
        let bits = mix(self.seed, at.0 as u64);
        level * (1.0 + profile.noise * bell(bits))
    }

    /// Keeps a value within what the metric can be.
    pub(crate) fn clamp(&self, value: f64) -> f64 {
        if self.metric.is_ratio() { value.clamp(0.0, 1.0) } else { value.max(0.0) }
    }
}

/// The metrics of an item of `kind`, with levels drawn from `seed`.
pub(crate) fn channels_of(kind: Kind, seed: u64) -> impl Iterator<Item = Channel> {
    profiles_of(kind).iter().map(move |profile| {
        let seed = mix(seed, profile.metric.code() + 1);
        Channel {
            metric: profile.metric,
            level: profile.low + (profile.high - profile.low) * unit(mix(seed, 1)),
            profile: *profile,
            seed: mix(seed, 2),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> EventTime {
        EventTime::parse_rfc3339(text).expect("a fixed instant")
    }

    #[test]
    fn traffic_follows_the_season_and_memory_does_not() {
        let (night, evening) = (at("2026-03-02T03:00:00Z"), at("2026-03-02T20:00:00Z"));
        for channel in channels_of(Kind::Service, 5) {
            let ratio = channel.healthy(evening, night) / channel.healthy(night, night);
            match channel.metric {
                Metric::Traffic => assert!(ratio > 2.0, "{ratio}"),
                Metric::Latency => assert!(ratio > 1.0 && ratio < 1.6, "{ratio}"),
                Metric::CertDays => assert!((ratio - 1.0).abs() < 1e-9, "{ratio}"),
                _ => {}
            }
        }
    }

    #[test]
    fn a_reading_depends_on_time_alone() {
        let channel = channels_of(Kind::Host, 9).next().expect("hosts have metrics");
        let (one, two) = (at("2026-03-02T03:00:00Z"), at("2026-03-02T03:01:00Z"));
        let first = channel.healthy(one, one);
        channel.healthy(two, one);
        assert_eq!(first, channel.healthy(one, one));
    }
}
