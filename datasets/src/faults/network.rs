//! Faults of the network.

use super::software::CONFIGURED;
use super::{ChangeSpec, FaultSpec, Manner, becomes, plus};
use crate::estate::{Kind, Metric};

const NETWORK_CONFIGURED: &str = "dev.cdeventsx.network-config.modified.0.1.0";

pub(super) const PACKET_LOSS: FaultSpec = FaultSpec {
    name: "packet_loss",
    targets: &[Kind::Switch, Kind::Router, Kind::Firewall],
    symptoms: &[plus(Metric::Loss, 0.12), plus(Metric::LogErrors, 25.0)],
    ramp_secs: 20,
    latent: false,
    manner: Manner::Lossy,
    weight: 0.95,
    lines: &["%IF-4-CRC: Ethernet1/{n} input errors above threshold", "%QOS-3-DROP: queue 3 dropped {n} packets"],
    change: Some(ChangeSpec {
        change_type: NETWORK_CONFIGURED,
        texts: &["{name}: MTU and queue policy rolled out", "{name}: new access list"],
        share: 0.6,
    }),
};

pub(super) const PARTITION: FaultSpec = FaultSpec {
    name: "partition",
    targets: &[Kind::Router, Kind::Firewall],
    symptoms: &[plus(Metric::Loss, 0.9), plus(Metric::LogErrors, 50.0)],
    ramp_secs: 1,
    latent: false,
    manner: Manner::Dark,
    weight: 1.0,
    lines: &["%BGP-5-ADJCHANGE: neighbor 10.0.{n}.1 Down - hold time expired"],
    change: Some(ChangeSpec { change_type: NETWORK_CONFIGURED, texts: &["{name}: routing policy update"], share: 0.5 }),
};

pub(super) const SWITCH_DOWN: FaultSpec = FaultSpec {
    name: "switch_down",
    targets: &[Kind::Switch],
    symptoms: &[becomes(Metric::Up, 0.0), becomes(Metric::LinkUse, 0.0), becomes(Metric::Cpu, 0.0)],
    ramp_secs: 1,
    latent: false,
    manner: Manner::Dark,
    weight: 1.0,
    lines: &[],
    change: None,
};

pub(super) const DNS: FaultSpec = FaultSpec {
    name: "dns",
    targets: &[Kind::Service],
    symptoms: &[plus(Metric::Errors, 0.7), plus(Metric::LogErrors, 80.0), plus(Metric::Latency, 2.0)],
    ramp_secs: 5,
    latent: false,
    manner: Manner::Fail,
    weight: 0.9,
    lines: &["SERVFAIL for {name}.svc.cluster.local (query {n})", "lookup {name}: no such host"],
    change: Some(ChangeSpec { change_type: CONFIGURED, texts: &["zone file of {name} regenerated"], share: 0.5 }),
};
