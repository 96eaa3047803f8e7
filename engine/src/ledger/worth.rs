//! Hysteresis: which change of an incident is worth a revision.

use super::last_revision::LastRevision;

/// Confidence must move this much to be news.
const CONFIDENCE_STEP: f64 = 0.2;

/// Why the new state is worth telling, or `None`: one storm is not a thousand revisions.
pub(crate) fn worth_telling(before: &LastRevision, now: &LastRevision) -> Option<&'static str> {
    if now.severity > before.severity {
        return Some("severity rose");
    }
    if now.priority != before.priority {
        return Some("priority changed");
    }
    if now.clocks != before.clocks {
        return Some("a promised time is at risk, missed, or waits");
    }
    if now.tickets != before.tickets {
        return Some("a ticket was linked");
    }
    if now.parent != before.parent || now.children != before.children {
        return Some("its place among the incidents changed");
    }
    if now.cause != before.cause {
        return Some("another cause is more likely");
    }
    if (now.confidence - before.confidence).abs() >= CONFIDENCE_STEP {
        return Some("the cause is clearer or less clear");
    }
    if grown(before.alerting as u64, now.alerting as u64) {
        return Some("it spread");
    }
    if grown(before.affected as u64, now.affected as u64) {
        return Some("more depends on it");
    }
    if now.alert_count >= before.alert_count.saturating_mul(2).saturating_add(10) {
        return Some("many more alerts");
    }
    None
}

/// A quarter more, and at least one.
fn grown(before: u64, now: u64) -> bool {
    now > before + before / 4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Priority;
    use crate::signal::Severity;
    use crate::time::EventTime;

    fn told() -> LastRevision {
        LastRevision {
            at: EventTime::MIN,
            severity: Severity::Major,
            priority: Priority::P2,
            class: crate::diagnose::Class::Performance,
            cause: "host:db".into(),
            root: "host:db".into(),
            confidence: 0.5,
            alerting: 8,
            affected: 8,
            alert_count: 100,
            tickets: 0,
            parent: None,
            children: 0,
            clocks: [None; 4],
            clocks_due: EventTime::MAX,
            footprint: crate::ledger::last_revision::Footprint::default(),
        }
    }

    #[test]
    fn a_few_more_alerts_of_the_same_are_not_news() {
        let now = LastRevision { alert_count: 150, alerting: 10, confidence: 0.6, ..told() };
        assert_eq!(worth_telling(&told(), &now), None);
    }

    #[test]
    fn spread_and_another_cause_are_news() {
        let spread = LastRevision { alerting: 11, ..told() };
        assert_eq!(worth_telling(&told(), &spread), Some("it spread"));
        let cause = LastRevision { cause: "host:web".into(), ..told() };
        assert!(worth_telling(&told(), &cause).is_some());
    }
}
