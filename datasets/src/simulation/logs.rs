//! What programs and devices write into their logs, in good times and bad.

use bellwether_engine::time::{EventTime, Span};

use super::effects::Effects;
use super::mail::{LogLine, Mail, Signal};
use super::plan::Plan;
use crate::estate::{Kind, Metric};
use crate::rng::{below, mix, text, unit};

const INFO: u8 = 9;
const ERROR: u8 = 17;

/// What is written all day. `{n}` and `{ms}` are numbers, `{ip}` an address.
const fn ordinary(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Service => &[
            "GET /api/v2/items/{n} 200 {ms}ms",
            "POST /api/v2/orders 201 {ms}ms",
            "session {n} opened from {ip}",
            "cache refreshed in {ms} ms, {n} entries",
            "health check ok",
        ],
        Kind::Database => &[
            "checkpoint complete: wrote {n} buffers in {ms} ms",
            "automatic vacuum of table \"public.orders\": {n} pages removed",
            "connection authorized: user=app host={ip}",
        ],
        Kind::Switch | Kind::Router | Kind::Firewall => &[
            "%SYS-6-LOGOUT: user admin has exited from {ip}",
            "%LINEPROTO-6-UPDOWN: Line protocol on Ethernet1/{n} changed state to up",
        ],
        Kind::Scada => &["poll cycle finished in {ms} ms, {n} tags read", "historian flushed {n} samples"],
        _ => &[],
    }
}

/// What an item writes when what it depends on is ill; `{dep}` is that.
const fn complaints(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Service => &[
            "upstream request to {dep} timed out after {ms} ms",
            "circuit breaker for {dep} is open, {n} requests rejected",
            "connection to {dep} reset by peer",
        ],
        Kind::Database => &[
            "statement cancelled after {ms} ms while waiting for {dep}",
            "could not receive data: connection timed out",
        ],
        Kind::Switch | Kind::Router | Kind::Firewall => &["%LINK-4-ERRORS: {n} errors on the uplink to {dep}"],
        Kind::Scada => &["no answer from {dep} for {ms} ms, tag quality set to bad"],
        _ => &[],
    }
}

/// Writes the lines of the step that begins at `at`.
pub(super) fn write(plan: &Plan, effects: &Effects, at: EventTime, step: Span, mail: &mut Mail) {
    let minutes = step.as_secs_f64() / 60.0;
    for (index, entity) in plan.estate.entities.iter().enumerate() {
        let usual = ordinary(entity.kind);
        if usual.is_empty() {
            continue;
        }
        let bits = mix(mix(mix(plan.seed, text("lines")), index as u64), at.0 as u64);
        let mut writer = Writer { plan, entity: index, at, step, bits, mail };
        for _ in 0..count(plan.noise.lines_per_min * minutes, mix(bits, 1)) {
            writer.line(usual, INFO, None);
        }
        for effect in effects.on(index).iter().filter(|e| e.symptom.metric == Metric::LogErrors) {
            let rate = effect.symptom.plus * effect.strength(at) * plan.noise.error_line_share;
            let lines = match (effect.via, effect.fault) {
                (None, Some(fault)) => plan.faults[fault].kind.spec().lines,
                _ => complaints(entity.kind),
            };
            if !lines.is_empty() {
                for _ in 0..count(rate * minutes, mix(bits, 2)) {
                    writer.line(lines, ERROR, effect.via);
                }
            }
        }
    }
}

/// A whole number near `mean` whose average is `mean`.
fn count(mean: f64, bits: u64) -> usize {
    mean as usize + usize::from(unit(bits) < mean.fract())
}

struct Writer<'a> {
    plan: &'a Plan,
    entity: usize,
    at: EventTime,
    step: Span,
    bits: u64,
    mail: &'a mut Mail,
}

impl Writer<'_> {
    fn line(&mut self, templates: &[&str], severity: u8, via: Option<usize>) {
        self.bits = mix(self.bits, 3);
        let bits = self.bits;
        let entity = &self.plan.estate.entities[self.entity];
        let template = templates[below(mix(bits, 4), templates.len())];
        let dependency = via.map_or("its peer", |v| self.plan.estate.entities[v].name());
        let body = template
            .replace("{name}", entity.name())
            .replace("{dep}", dependency)
            .replace("{n}", &(1 + below(mix(bits, 5), 4_000)).to_string())
            .replace("{ms}", &(1 + below(mix(bits, 6), 900)).to_string())
            .replace(
                "{ip}",
                &format!(
                    "10.{}.{}.{}",
                    below(mix(bits, 7), 40),
                    below(mix(bits, 8), 250),
                    1 + below(mix(bits, 9), 250)
                ),
            );
        let millis = unit(mix(bits, 10)) * self.step.as_secs_f64() * 1_000.0;
        let at = self.at.plus(Span(millis as i64 * 1_000_000));
        let arrives = at.plus(Span((500.0 + 2_500.0 * unit(mix(bits, 11))) as i64 * 1_000_000));
        let line = LogLine { at, entity: self.entity, severity, body };
        self.mail.send(entity.tenant, arrives, Signal::Log(Box::new(line)));
    }
}
