//! Every table has its limit: ten million signals with a million different alerts stay within a
//! stated amount of memory, and what the tables shed is counted.
//!
//! Alone in its file, because it looks at the memory of its process. `BELLWETHER_BOUNDED_SIGNALS`
//! makes the run longer or shorter.

#![allow(clippy::print_stderr)] // the figure is what people look for

use std::num::NonZeroUsize;

use bellwether_datasets::load::{Load, LoadParams};
use bellwether_engine::{Engine, EngineConfig};

/// What the whole process may have held at its worst, with the defaults of every limit.
const PEAK_MIB_MAX: u64 = 640;

const SIGNALS: usize = 10_000_000;

/// Alert rows in the run; each has a fingerprint of its own.
const FINGERPRINTS: usize = 1_000_000;

fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

#[test]
fn ten_million_signals_with_a_million_alerts_stay_within_the_stated_memory() {
    let signals = std::env::var("BELLWETHER_BOUNDED_SIGNALS").ok().and_then(|n| n.parse().ok()).unwrap_or(SIGNALS);
    // Of ten signals eight are samples, one is a line, one is an alert.
    let params = LoadParams {
        series: 80_000,
        sample_every_secs: 10,
        lines: 100,
        alerts: 100,
        fingerprints: FINGERPRINTS,
        ..LoadParams::default()
    };
    let config = EngineConfig::default();
    let limit = config.limits.alerts_max as u64;
    let mut engine = Engine::new(config, NonZeroUsize::new(2).expect("two")).expect("sound settings");
    let (mut load, before) = Load::new(params).expect("a sound load");
    let (mut events, mut told, mut rows) = (Vec::new(), 0_usize, 0_usize);
    for input in before {
        engine.apply(&input, &mut events);
    }
    while rows < signals {
        for input in load.tenth().expect("a sound load") {
            rows += input.rows();
            engine.apply(&input, &mut events);
        }
        told += events.len();
        events.clear();
    }
    engine.finish(&mut events);
    let stats = engine.stats();
    let tenant = stats.tenants.values().next().expect("one tenant");
    let shed = tenant.evicted.get("alerts").copied().unwrap_or(0);
    let peak = peak_mib();
    eprintln!(
        "{rows} signals, {} alerts fired, {} known at the end, {shed} shed, {told} incident events, peak {} MiB",
        tenant.alerts_fired,
        tenant.alerts_known,
        peak.map_or_else(|| "unknown".to_owned(), |mib| mib.to_string())
    );
    assert!(tenant.alerts_known <= limit, "{} alerts are known, {limit} may be", tenant.alerts_known);
    if signals >= SIGNALS {
        assert!(shed > 0, "a million alerts do not fit the table: some must have been shed, and counted");
    }
    if let Some(peak) = peak {
        assert!(peak <= PEAK_MIB_MAX, "{peak} MiB at the worst, {PEAK_MIB_MAX} are stated");
    }
}
