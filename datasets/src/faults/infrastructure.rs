//! Faults of machines, and of what watches them.

use super::{FaultSpec, Manner, becomes, plus, times};
use crate::estate::{Kind, Metric};

pub(super) const SLOW_DISK: FaultSpec = FaultSpec {
    name: "slow_disk",
    targets: &[Kind::Host],
    symptoms: &[times(Metric::DiskLatency, 40.0), plus(Metric::Cpu, 0.1)],
    ramp_secs: 45,
    latent: false,
    manner: Manner::Slow,
    weight: 0.85,
    lines: &[
        "blk_update_request: I/O error, dev nvme0n1, sector {n}",
        "task kworker blocked for more than {n} seconds",
    ],
    change: None,
};

pub(super) const FULL_DISK: FaultSpec = FaultSpec {
    name: "full_disk",
    targets: &[Kind::Host],
    symptoms: &[becomes(Metric::Disk, 1.0)],
    ramp_secs: 180,
    latent: true,
    manner: Manner::Fail,
    weight: 0.8,
    lines: &["write failed: no space left on device (/var/lib, {n} bytes)"],
    change: None,
};

pub(super) const CPU_STEAL: FaultSpec = FaultSpec {
    name: "cpu_steal",
    targets: &[Kind::Host],
    symptoms: &[plus(Metric::Steal, 0.35), plus(Metric::Cpu, 0.3)],
    ramp_secs: 30,
    latent: false,
    manner: Manner::Slow,
    weight: 0.7,
    lines: &[],
    change: None,
};

pub(super) const NOISY_NEIGHBOUR: FaultSpec = FaultSpec {
    name: "noisy_neighbour",
    targets: &[Kind::Host],
    symptoms: &[plus(Metric::Cpu, 0.62), times(Metric::DiskLatency, 8.0)],
    ramp_secs: 60,
    latent: false,
    manner: Manner::Slow,
    weight: 0.75,
    lines: &["cgroup batch-export throttled {n} periods"],
    change: None,
};

pub(super) const CLOCK_SKEW: FaultSpec = FaultSpec {
    name: "clock_skew",
    targets: &[Kind::Host],
    symptoms: &[plus(Metric::ClockOffset, 45.0)],
    ramp_secs: 30,
    latent: false,
    manner: Manner::Fail,
    weight: 0.6,
    lines: &["token used before issued: clock differs by {n} s"],
    change: None,
};

pub(super) const MONITORING_FAILURE: FaultSpec = FaultSpec {
    name: "monitoring_failure",
    targets: &[Kind::Monitor],
    symptoms: &[becomes(Metric::Up, 0.0)],
    ramp_secs: 1,
    latent: false,
    manner: Manner::Blind,
    weight: 1.0,
    lines: &[],
    change: None,
};
