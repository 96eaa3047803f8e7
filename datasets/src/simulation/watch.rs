//! One rule of one tool on one item: pending, firing, repeated, resolved.

use bellwether_engine::signal::{AlertStatus, alert_fingerprint};
use bellwether_engine::time::{EventTime, Span};

use super::mail::{Mail, Notice, Signal};
use super::plan::Plan;
use super::{STEP_SECS, Sensor};
use crate::estate::Estate;
use crate::monitoring::{Limit, RULES, Rule, Side, Tool, words_of};
use crate::rng::{mix, text, unit};
use crate::truth::{AlertTruth, Truth};

/// A rule that fires holds until the reading is this much on the good side of its line: tools
/// have recovery thresholds so as not to chatter.
const RECOVERY_MARGIN: f64 = 0.1;

/// One rule on one item. A tool looks at everything in one round: two items that go down
/// together are seen within seconds of each other, whatever the round's length.
pub(super) struct Watch {
    pub(super) sensor: usize,
    entity: usize,
    rule: &'static Rule,
    limit: f64,
    phase_secs: i64,
    since: Option<EventTime>,
    firing: Option<Firing>,
}

struct Firing {
    fingerprint: u64,
    starts_at: EventTime,
    said_at: EventTime,
}

/// The watches on every item of `estate`, by item.
pub(super) fn watches(estate: &Estate, sensors: &[Vec<Sensor>]) -> Vec<Vec<Watch>> {
    let on = |(entity, sensors): (usize, &Vec<Sensor>)| {
        let kind = estate.entities[entity].kind;
        RULES
            .iter()
            .filter(|rule| rule.kinds.contains(&kind))
            .filter_map(|rule| {
                let sensor = sensors.iter().position(|s| s.channel.metric == rule.metric)?;
                let limit = match rule.limit {
                    Limit::At(limit) => limit,
                    Limit::Times(factor) => sensors[sensor].channel.level * factor,
                };
                Some(Watch {
                    sensor,
                    entity,
                    rule,
                    limit,
                    phase_secs: STEP_SECS * (rule.tool as i64 % 3),
                    since: None,
                    firing: None,
                })
            })
            .collect()
    };
    sensors.iter().enumerate().map(on).collect()
}

impl Watch {
    /// Whether the tool looks in the step that begins `secs` after the start.
    pub(super) fn is_due(&self, secs: i64) -> bool {
        (secs + self.phase_secs) % self.rule.tool.spec().every_secs < STEP_SECS
    }

    /// Looks at a reading, and says what there is to say.
    pub(super) fn look(
        &mut self,
        plan: &Plan,
        at: EventTime,
        value: f64,
        fault: Option<usize>,
        mail: &mut Mail,
        truth: &mut Truth,
    ) {
        if !self.is_bad(value) {
            self.since = None;
            if let Some(firing) = self.firing.take() {
                self.say(plan, at, value, &firing, AlertStatus::Resolved, mail);
            }
            return;
        }
        let since = *self.since.get_or_insert(at);
        if at.since(since) < Span::from_secs(self.rule.hold_secs) {
            return;
        }
        let repeat = Span::from_secs(self.rule.tool.spec().repeat_secs);
        let firing = match self.firing.take() {
            Some(firing) if at.since(firing.said_at) < repeat => {
                self.firing = Some(firing);
                return;
            }
            Some(firing) => Firing { said_at: at, ..firing },
            None => self.raise(plan, at, since, fault, truth),
        };
        self.say(plan, at, value, &firing, AlertStatus::Firing, mail);
        self.firing = Some(firing);
    }

    fn is_bad(&self, value: f64) -> bool {
        let margin = if self.firing.is_some() { RECOVERY_MARGIN } else { 0.0 };
        match self.rule.side {
            Side::Above => value > self.limit * (1.0 - margin),
            Side::Below => value < self.limit * (1.0 + margin),
        }
    }

    /// A new firing, noted in the truth.
    fn raise(&self, plan: &Plan, at: EventTime, since: EventTime, fault: Option<usize>, truth: &mut Truth) -> Firing {
        let entity = &plan.estate.entities[self.entity];
        let tenant = &plan.estate.tenants[entity.tenant];
        let source = self.rule.tool.spec().source;
        let words = words_of(self.rule, tenant, entity, self.limit, self.limit);
        let labels: Vec<(&str, &str)> = words.labels.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let fingerprint = alert_fingerprint(source, self.rule.name, &entity.id, &labels);
        // Prometheus dates an alert from when it fired, the others from when it began to hold.
        let began = if self.rule.tool == Tool::Prometheus { at } else { since };
        let starts_at = began.plus(skew(plan, entity.tenant, self.rule.tool));
        let told = fault.map(|index| &mut truth.faults[index]).map(|fault| {
            fault.firings += 1;
            fault.id.clone()
        });
        truth.alerts.push(AlertTruth {
            tenant: tenant.name.clone(),
            fingerprint: format!("{fingerprint:016x}"),
            source: source.to_owned(),
            name: self.rule.name.to_owned(),
            entity: entity.id.clone(),
            starts_at,
            fault: told,
        });
        Firing { fingerprint, starts_at, said_at: at }
    }

    /// Sends one notification, some of them late or twice.
    fn say(&self, plan: &Plan, at: EventTime, value: f64, firing: &Firing, status: AlertStatus, mail: &mut Mail) {
        let entity = &plan.estate.entities[self.entity];
        let spec = self.rule.tool.spec();
        let said_at = at.plus(skew(plan, entity.tenant, self.rule.tool));
        let notice = Notice {
            at: said_at,
            source: spec.source,
            name: self.rule.name,
            entity: self.entity,
            severity: self.rule.severity,
            status,
            fingerprint: firing.fingerprint,
            words: words_of(self.rule, &plan.estate.tenants[entity.tenant], entity, value, self.limit),
            starts_at: firing.starts_at,
            ends_at: (status == AlertStatus::Resolved).then_some(said_at),
        };
        let bits = mix(mix(plan.seed, firing.fingerprint), at.0 as u64);
        let mut delay = spec.delay_secs + spec.jitter_secs * unit(mix(bits, 1));
        if unit(mix(bits, 2)) < plan.noise.late {
            delay += plan.noise.late_max.as_secs_f64() * unit(mix(bits, 3));
        }
        let arrives = |secs: f64| at.plus(Span((secs * 1_000.0) as i64 * 1_000_000));
        if unit(mix(bits, 4)) < plan.noise.duplicates {
            let again = delay + 5.0 * unit(mix(bits, 5));
            mail.send(entity.tenant, arrives(again), Signal::Alert(Box::new(notice.clone())));
        }
        mail.send(entity.tenant, arrives(delay), Signal::Alert(Box::new(notice)));
    }
}

/// How wrong a tool's clock is in a tenant's estate.
fn skew(plan: &Plan, tenant: usize, tool: Tool) -> Span {
    let bits = mix(mix(plan.seed, text(tool.spec().source)), tenant as u64);
    let millis = (2.0 * unit(bits) - 1.0) * tool.spec().skew_ms_max as f64;
    Span(millis as i64 * 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::simulation::PlanParams;

    #[test]
    fn the_clock_of_each_tool_is_wrong_by_its_own_within_its_bound() {
        use Tool::{HostAgent, LogMonitor, NetworkPoller, Probe, Prometheus};
        let mut wrong = BTreeSet::new();
        for seed in 0..40 {
            let plan = Plan::random(&PlanParams::new(seed, 60, 1)).expect("a size within the limits");
            for tool in [Prometheus, HostAgent, NetworkPoller, Probe, LogMonitor] {
                let off = skew(&plan, 0, tool);
                assert!(off.0.abs() <= tool.spec().skew_ms_max * 1_000_000, "{tool:?} is off by {off}");
                wrong.insert(off);
            }
        }
        let ahead = wrong.iter().filter(|off| **off > Span::ZERO).count();
        assert!(wrong.len() > 150 && ahead > 50 && ahead < wrong.len() - 50, "{} differ, {ahead} ahead", wrong.len());
    }
}
