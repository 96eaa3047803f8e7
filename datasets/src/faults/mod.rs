//! What can go wrong: the kinds of fault, as one visible list.
//!
//! A kind says what it does to the item it strikes (its symptoms), how that is felt elsewhere
//! (its [`Manner`], which [`spread`] carries along the true edges), and what precedes it (a
//! change, for some). Adding a kind: one constant in the file of its family, one line in
//! [`FaultKind`] and [`FaultKind::spec`].

mod infrastructure;
mod load;
mod network;
mod software;
mod spread;

use crate::estate::{Kind, Metric};

pub use spread::{Strike, Touch, spread};

/// A kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// A release with a bug.
    BadDeploy,
    /// A setting that is not what it was meant to be.
    ConfigDrift,
    /// A disk that answers late.
    SlowDisk,
    /// A disk that fills up.
    FullDisk,
    /// A program that keeps what it should free.
    MemoryLeak,
    /// A hypervisor that gives the processor to somebody else.
    CpuSteal,
    /// A link that loses packets, often after a change of network configuration.
    PacketLoss,
    /// A part of the network that does not reach the rest.
    Partition,
    /// A switch that is dead.
    SwitchDown,
    /// Names that do not resolve.
    Dns,
    /// A certificate that has expired.
    CertificateExpiry,
    /// Every connection to a database is taken.
    PoolExhaustion,
    /// A neighbour on the same host that takes too much.
    NoisyNeighbour,
    /// Callers that make it worse by trying again.
    RetryStorm,
    /// Messages that arrive faster than they are read.
    QueueBacklog,
    /// A cache that is emptied while many ask.
    CacheStampede,
    /// A clock that is wrong.
    ClockSkew,
    /// Something of another tenant or company that fails.
    ForeignDependency,
    /// More customers than there is room for.
    TrafficSpike,
    /// A monitoring system that no longer sees.
    MonitoringFailure,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [FaultKind; 20] = [
        FaultKind::BadDeploy,
        FaultKind::ConfigDrift,
        FaultKind::SlowDisk,
        FaultKind::FullDisk,
        FaultKind::MemoryLeak,
        FaultKind::CpuSteal,
        FaultKind::PacketLoss,
        FaultKind::Partition,
        FaultKind::SwitchDown,
        FaultKind::Dns,
        FaultKind::CertificateExpiry,
        FaultKind::PoolExhaustion,
        FaultKind::NoisyNeighbour,
        FaultKind::RetryStorm,
        FaultKind::QueueBacklog,
        FaultKind::CacheStampede,
        FaultKind::ClockSkew,
        FaultKind::ForeignDependency,
        FaultKind::TrafficSpike,
        FaultKind::MonitoringFailure,
    ];

    /// What this kind does.
    pub const fn spec(self) -> &'static FaultSpec {
        match self {
            FaultKind::BadDeploy => &software::BAD_DEPLOY,
            FaultKind::ConfigDrift => &software::CONFIG_DRIFT,
            FaultKind::MemoryLeak => &software::MEMORY_LEAK,
            FaultKind::CertificateExpiry => &software::CERTIFICATE_EXPIRY,
            FaultKind::PoolExhaustion => &software::POOL_EXHAUSTION,
            FaultKind::ForeignDependency => &software::FOREIGN_DEPENDENCY,
            FaultKind::SlowDisk => &infrastructure::SLOW_DISK,
            FaultKind::FullDisk => &infrastructure::FULL_DISK,
            FaultKind::CpuSteal => &infrastructure::CPU_STEAL,
            FaultKind::NoisyNeighbour => &infrastructure::NOISY_NEIGHBOUR,
            FaultKind::ClockSkew => &infrastructure::CLOCK_SKEW,
            FaultKind::MonitoringFailure => &infrastructure::MONITORING_FAILURE,
            FaultKind::PacketLoss => &network::PACKET_LOSS,
            FaultKind::Partition => &network::PARTITION,
            FaultKind::SwitchDown => &network::SWITCH_DOWN,
            FaultKind::Dns => &network::DNS,
            FaultKind::TrafficSpike => &load::TRAFFIC_SPIKE,
            FaultKind::RetryStorm => &load::RETRY_STORM,
            FaultKind::QueueBacklog => &load::QUEUE_BACKLOG,
            FaultKind::CacheStampede => &load::CACHE_STAMPEDE,
        }
    }
}

/// How an illness is felt by what depends on the ill.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Manner {
    /// Answers come late.
    Slow,
    /// Answers do not come, or are wrong.
    Fail,
    /// Packets get lost.
    Lossy,
    /// Nothing behind it can be reached.
    Dark,
    /// The load itself goes on to what is called, and the slowness back to who calls.
    Load,
    /// Only those who look are blind: everything watched seems gone.
    Blind,
}

/// One visible effect at full strength: the reading becomes `reading × times + plus`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Symptom {
    /// What is seen.
    pub metric: Metric,
    /// Factor on the reading.
    pub times: f64,
    /// Added to the reading.
    pub plus: f64,
}

/// The reading is multiplied.
pub(crate) const fn times(metric: Metric, times: f64) -> Symptom {
    Symptom { metric, times, plus: 0.0 }
}

/// The reading is raised, or lowered.
pub(crate) const fn plus(metric: Metric, plus: f64) -> Symptom {
    Symptom { metric, times: 1.0, plus }
}

/// The reading becomes this.
pub(crate) const fn becomes(metric: Metric, value: f64) -> Symptom {
    Symptom { metric, times: 0.0, plus: value }
}

/// The change that brings a fault about.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct ChangeSpec {
    /// The CDEvents type.
    pub change_type: &'static str,
    /// What it says; `{name}` is the name of what was changed.
    pub texts: &'static [&'static str],
    /// How often this fault comes from a change, 0–1.
    pub share: f64,
}

/// What a kind of fault does.
#[derive(Clone, Copy, Debug)]
pub struct FaultSpec {
    /// Its name, as in truth files.
    pub name: &'static str,
    /// What it can strike.
    pub targets: &'static [Kind],
    /// What is seen of the item struck, at full strength.
    pub symptoms: &'static [Symptom],
    /// Seconds from the first trace to full strength.
    pub ramp_secs: i64,
    /// Whether others feel it only at full strength: a disk hurts nobody until it is full.
    pub latent: bool,
    /// How others feel it.
    pub manner: Manner,
    /// How strongly the nearest others feel it, 0–1.
    pub weight: f64,
    /// Error lines the item struck writes; `{name}`, `{n}`, `{ms}` are filled in.
    pub lines: &'static [&'static str],
    /// The change that may precede it.
    pub change: Option<ChangeSpec>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once_and_tells_what_it_does() {
        let mut names: Vec<&str> = FaultKind::ALL.iter().map(|k| k.spec().name).collect();
        for kind in FaultKind::ALL {
            let spec = kind.spec();
            let word = serde_json::to_value(kind).expect("a word");
            assert_eq!(word, spec.name, "the truth file's word is the name");
            assert!(!spec.targets.is_empty() && !spec.symptoms.is_empty(), "{}", spec.name);
            assert!((0.0..=1.0).contains(&spec.weight), "{}", spec.name);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FaultKind::ALL.len());
    }
}
