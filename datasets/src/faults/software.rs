//! Faults of programs and their settings.

use super::{ChangeSpec, FaultSpec, Manner, becomes, plus, times};
use crate::estate::{Kind, Metric};

pub(super) const DEPLOYED: &str = "dev.cdevents.service.deployed.0.3.0";
pub(super) const CONFIGURED: &str = "dev.cdeventsx.config-management.modified.0.1.0";

pub(super) const BAD_DEPLOY: FaultSpec = FaultSpec {
    name: "bad_deploy",
    targets: &[Kind::Service],
    symptoms: &[plus(Metric::Errors, 0.35), times(Metric::Latency, 2.5), plus(Metric::LogErrors, 60.0)],
    ramp_secs: 20,
    latent: false,
    manner: Manner::Fail,
    weight: 0.85,
    lines: &[
        "unhandled exception in request handler: TypeError: cannot read field `price` of null (request {n})",
        "panic recovered: index out of range [{n}] with length 0",
        "schema mismatch: column `{name}_ref` does not exist",
    ],
    change: Some(ChangeSpec {
        change_type: DEPLOYED,
        texts: &["release of {name}: basket totals from the new pricing table", "release of {name}: library update"],
        share: 1.0,
    }),
};

pub(super) const CONFIG_DRIFT: FaultSpec = FaultSpec {
    name: "config_drift",
    targets: &[Kind::Service, Kind::Database, Kind::Cache],
    symptoms: &[times(Metric::Latency, 6.0), plus(Metric::Errors, 0.08), plus(Metric::LogErrors, 30.0)],
    ramp_secs: 60,
    latent: false,
    manner: Manner::Slow,
    weight: 0.8,
    lines: &[
        "option `max_workers` is {n}, expected value differs from the deployed manifest",
        "request waited {ms} ms for a worker",
    ],
    change: Some(ChangeSpec {
        change_type: CONFIGURED,
        texts: &["{name}: worker count and timeouts adjusted by hand"],
        share: 0.7,
    }),
};

pub(super) const MEMORY_LEAK: FaultSpec = FaultSpec {
    name: "memory_leak",
    targets: &[Kind::Pod, Kind::Host],
    symptoms: &[plus(Metric::Memory, 0.55), plus(Metric::Cpu, 0.25)],
    ramp_secs: 1_200,
    latent: true,
    manner: Manner::Slow,
    weight: 0.7,
    lines: &["garbage collection took {ms} ms", "memory limit reached, allocation of {n} bytes failed"],
    change: None,
};

pub(super) const CERTIFICATE_EXPIRY: FaultSpec = FaultSpec {
    name: "certificate_expiry",
    targets: &[Kind::Service],
    symptoms: &[becomes(Metric::CertDays, 0.0), plus(Metric::Errors, 0.9), plus(Metric::LogErrors, 90.0)],
    ramp_secs: 1,
    latent: false,
    manner: Manner::Fail,
    weight: 0.9,
    lines: &["TLS handshake failed: certificate of {name} has expired (connection {n})"],
    change: None,
};

pub(super) const POOL_EXHAUSTION: FaultSpec = FaultSpec {
    name: "pool_exhaustion",
    targets: &[Kind::Database],
    symptoms: &[plus(Metric::Pool, 0.75), times(Metric::Latency, 12.0), plus(Metric::LogErrors, 40.0)],
    ramp_secs: 120,
    latent: false,
    manner: Manner::Slow,
    weight: 0.85,
    lines: &["remaining connection slots are reserved for superuser connections", "too many clients already ({n})"],
    change: None,
};

pub(super) const FOREIGN_DEPENDENCY: FaultSpec = FaultSpec {
    name: "foreign_dependency",
    targets: &[Kind::External],
    symptoms: &[plus(Metric::Errors, 0.6), times(Metric::Latency, 8.0)],
    ramp_secs: 30,
    latent: false,
    manner: Manner::Fail,
    weight: 0.8,
    lines: &[],
    change: None,
};
