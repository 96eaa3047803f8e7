//! Priority = impact × urgency, as ITIL has it, by the site's matrix.

use super::config::PriorityMatrix;
use crate::catalogue::Criticality;
use crate::diagnose::Blast;
use crate::incident::Priority;
use crate::signal::Severity;

/// Impact, urgency and what follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Assessment {
    /// 1 (wide) to 3 (narrow).
    pub(crate) impact: u8,
    /// 1 (now) to 3 (can wait).
    pub(crate) urgency: u8,
    pub(crate) priority: Priority,
}

/// So many affected entities are wide however unimportant each is.
const WIDE_ENTITIES: usize = 25;

/// Assesses an incident. Impact: 1 when a critical item or many entities are hurt, 2 when an
/// important one is, else 3. Urgency: 1 when something critical or major fires now, 2 for minor
/// trouble, 3 for warnings and forecasts.
pub(super) fn assess(blast: &Blast, severity: Severity, matrix: &PriorityMatrix) -> Assessment {
    let impact = match blast.criticality {
        Some(Criticality::Critical) => 1,
        _ if blast.alerting() >= WIDE_ENTITIES => 1,
        Some(Criticality::High) => 2,
        _ if blast.alerting() >= WIDE_ENTITIES / 3 => 2,
        _ => 3,
    };
    let urgency = match severity {
        Severity::Critical | Severity::Major => 1,
        Severity::Minor => 2,
        Severity::Warning | Severity::Info => 3,
    };
    let stated = matrix.of(impact, urgency);
    // A warning that one entity gives alone wakes nobody, however important that is.
    let alone = urgency == 3 && blast.alerting() <= 1;
    let priority = if alone { stated.max(Priority::P4) } else { stated };
    Assessment { impact, urgency, priority }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_critical_service_in_critical_trouble_is_p1_and_a_warning_elsewhere_p4() {
        let blast = |criticality| Blast { criticality, ..Blast::default() };
        let matrix = PriorityMatrix::default();
        let priority = |c, s| assess(&blast(c), s, &matrix).priority;
        assert_eq!(priority(Some(Criticality::Critical), Severity::Critical), Priority::P1);
        assert_eq!(priority(Some(Criticality::High), Severity::Major), Priority::P2);
        assert_eq!(priority(Some(Criticality::Critical), Severity::Warning), Priority::P4);
        assert_eq!(priority(None, Severity::Warning), Priority::P4);
        assert_eq!(priority(None, Severity::Critical), Priority::P3);
    }

    #[test]
    fn a_site_states_its_own_matrix() {
        let matrix = serde_json::json!([["P1", "P1", "P2"], ["P2", "P3", "P5"], ["P3", "P5", "P5"]]);
        let matrix: PriorityMatrix = serde_json::from_value(matrix).expect("a matrix");
        assert_eq!(assess(&Blast::default(), Severity::Warning, &matrix).priority, Priority::P5);
        assert_eq!((matrix.of(1, 2), matrix.of(2, 1), matrix.of(3, 3)), (Priority::P1, Priority::P2, Priority::P5));
    }
}
