//! Thousands of incidents open at once: a look at one of them does not walk over the others.

#![allow(clippy::print_stderr)] // the figures are what people look for

#[path = "../../tests/support/skipped.rs"]
mod skipped;

use std::num::NonZeroUsize;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{AlertBuilder, AlertRow, AlertStatus, Severity, alert_fingerprint};
use bellwether_engine::time::{EventTime, Span};
use bellwether_engine::{Engine, EngineConfig};
use skipped::skipped;

const START: EventTime = EventTime::from_secs(1_772_438_400);
const RULE: &str = "Disk space is critically low";

/// CPU seconds of this thread, where the system tells them.
fn cpu_s() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? / 1e9)
}

fn alerts(count: usize, status: AlertStatus, at: impl Fn(usize) -> EventTime) -> Input {
    let mut builder = AlertBuilder::new();
    for i in 0..count {
        let entity = format!("host:h{i}");
        let time = at(i);
        builder.push(&AlertRow {
            time,
            source: "agent",
            name: RULE,
            entity: &entity,
            severity: Severity::Major,
            status,
            fingerprint: alert_fingerprint("agent", RULE, &entity, &[]),
            labels: &[],
            annotations: &[],
            starts_at: START,
            ends_at: (status == AlertStatus::Resolved).then_some(time),
            url: None,
        });
    }
    Input::Batch(builder.finish("acme").expect("the tenant is plain"))
}

/// CPU seconds of opening, resolving and closing `count` incidents of one alert each.
fn life(count: usize) -> Option<[f64; 3]> {
    let mut config = EngineConfig::default();
    // Nothing links, so that each alert is an incident.
    config.correlate.bias = -50.0;
    // Each is compared with those of the past: a bounded number, which would hide the rest here.
    config.limits.history_max = 50;
    let mut engine = Engine::new(config, NonZeroUsize::MIN).expect("sound settings");
    // What is told while `input` and the minutes after it go by.
    let mut told = |input: Option<Input>, minutes: std::ops::Range<i64>, step: usize| {
        let mut events = Vec::new();
        let ticks = minutes.step_by(step).map(|minute| Input::Tick(START.plus(Span::from_mins(minute))));
        input.into_iter().chain(ticks).for_each(|input| engine.apply(&input, &mut events));
        events.len()
    };
    let mut marks = vec![cpu_s()?];
    let spread = |i: usize| START.plus(Span::from_secs((i * 60 / count) as i64));
    let opened = told(Some(alerts(count, AlertStatus::Firing, spread)), 1..10, 1);
    marks.push(cpu_s()?);
    let over = alerts(count, AlertStatus::Resolved, |_| START.plus(Span::from_mins(11)));
    let resolved = told(Some(over), 12..40, 1);
    marks.push(cpu_s()?);
    let closed = told(None, 60..30 * 60, 60);
    marks.push(cpu_s()?);
    assert!(opened >= count && resolved >= count && closed >= count, "{opened} {resolved} {closed} of {count}");
    Some(std::array::from_fn(|phase| marks[phase + 1] - marks[phase]))
}

#[test]
fn eight_times_as_many_incidents_cost_about_eight_times_as_much() {
    let (Some(few), Some(many)) = (life(500), life(4_000)) else {
        skipped("no CPU time of a thread on this system");
        return;
    };
    for (phase, (few, many)) in ["open", "resolve", "close"].iter().zip(few.iter().zip(&many)) {
        eprintln!("{phase}: {few:.2} CPU s for 500 incidents, {many:.2} for 4,000");
    }
    let (few, many): (f64, f64) = (few.iter().sum(), many.iter().sum());
    assert!(many < 16.0 * few, "the square of it would be 64 times: {few:.2} s, {many:.2} s");
}
