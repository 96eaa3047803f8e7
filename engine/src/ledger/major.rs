//! Major incidents: one told incident over several others that it explains.
//!
//! ```yaml
//! ledger:
//!   major: {related_min: 0.5, release_min: 0.25, incidents_min: 3}
//! ```
//!
//! Groups that belong together are one incident, and incidents that name one cause are united.
//! What is left apart may still be related: the cause of one lies in the blast radius of another,
//! the same change is behind both, the same device stands before both, the same business service
//! suffers. Each kind of relation counts once; they combine as independent reasons do
//! (1 − Π(1 − weight)), and fade with the gap of the onsets. From `related_min` on, and from
//! `incidents_min` incidents on, the one that explains the others best becomes the major incident
//! (ITIL's word) over those that it explains: not over what began before it, nor over what causes it. A child leaves below `release_min` only, so it does
//! not hop; there is one level, and who has a parent gets no children.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::last_revision::LastRevision;
use crate::entity::entity_name;
use crate::time::Span;

/// Settings of major incidents.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MajorConfig {
    /// Score, 0–1, from which two incidents are related.
    pub related_min: f64,
    /// Score, 0–1, below which a child leaves its major incident.
    pub release_min: f64,
    /// How many related incidents, the major one included, it takes; 0 declares none.
    pub incidents_min: usize,
    /// Gap of the onsets at which a relation counts half.
    pub time_scale: Span,
    /// Most incidents under one.
    pub children_max: usize,
}

impl Default for MajorConfig {
    fn default() -> Self {
        MajorConfig {
            related_min: 0.5,
            release_min: 0.25,
            incidents_min: 3,
            time_scale: Span::from_mins(30),
            children_max: 100,
        }
    }
}

/// Weights of the kinds of relation: how often each alone would be right is our judgement, not
/// measured; one strong kind or two weak ones reach the default threshold.
const SAME_CHANGE: f64 = 0.8;
const CAUSE_WITHIN: f64 = 0.7;
/// Surer guesses of one cause make one incident of two; these are what stays below that.
const SAME_CAUSE: f64 = 0.6;
const SAME_DEVICE: f64 = 0.4;
const SAME_BUSINESS: f64 = 0.3;
const SAME_PLACE: f64 = 0.2;

/// A cause may be told this much later than what follows from it: tools look every so often.
const ONSET_SLACK: Span = Span::from_mins(2);

/// How two incidents are related.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tie {
    /// 0–1.
    pub(crate) score: f64,
    /// How well the first explains the second, 0–1.
    pub(crate) explains: f64,
    /// The reasons, in words.
    pub(crate) why: Vec<String>,
}

/// How `above` is related to `below`, seen as the one that would explain it.
pub(crate) fn tie(above: &LastRevision, below: &LastRevision, config: &MajorConfig) -> Tie {
    let (a, b) = (&above.footprint, &below.footprint);
    let mut apart = 1.0;
    let mut why = Vec::new();
    let mut relate = |weight: f64, reason: String| {
        apart *= 1.0 - weight;
        why.push(reason);
    };
    if !a.change.is_empty() && a.change == b.change {
        relate(SAME_CHANGE, format!("change {} is behind both", a.change));
    }
    // A guess about the cause is a guess about everything that follows from it.
    let sure = |told: &LastRevision| 0.5 + 0.5 * told.confidence.clamp(0.0, 1.0);
    let differ = a.cause != b.cause;
    let within = differ && !a.cause.is_empty() && a.reaches(&b.cause);
    let without = differ && !b.cause.is_empty() && b.reaches(&a.cause);
    if within {
        let reason = format!("its cause {} depends on {}", entity_name(&b.cause), entity_name(&a.cause));
        relate(CAUSE_WITHIN * sure(above), reason);
    } else if without {
        let reason = format!("{} depends on its cause {}", entity_name(&a.cause), entity_name(&b.cause));
        relate(CAUSE_WITHIN * sure(below), reason);
    }
    let same = !a.cause.is_empty() && a.cause == b.cause;
    if same {
        let least = sure(above).min(sure(below));
        relate(SAME_CAUSE * least, format!("{} is the likely cause of both", entity_name(&a.cause)));
    }
    let within = within || same && a.at_home && !b.at_home;
    let without = without || same && b.at_home && !a.at_home;
    for (ours, theirs, weight, words) in [
        (&a.devices, &b.devices, SAME_DEVICE, "both are behind"),
        (&a.business, &b.business, SAME_BUSINESS, "both hurt"),
        (&a.places, &b.places, SAME_PLACE, "both are at"),
    ] {
        if let Some(shared) = ours.iter().find(|name| theirs.contains(name)) {
            relate(weight, format!("{words} {}", entity_name(shared)));
        }
    }
    let gap = a.onset.0.abs_diff(b.onset.0) as f64 / config.time_scale.0.max(1) as f64;
    let score = (1.0 - apart) / (1.0 + gap * gap);
    let explains = match (within, without) {
        // What was there before it began does not follow from it.
        _ if b.onset.plus(ONSET_SLACK) < a.onset => 0.0,
        (true, _) => score,
        (false, true) => 0.0,
        // Nothing says which way: the earlier is a little more likely to explain the later.
        (false, false) if a.onset <= b.onset => score / 2.0,
        (false, false) => score / 4.0,
    };
    Tie { score, explains, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incident::Priority;
    use crate::ledger::last_revision::{Footprint, reach_hash};
    use crate::signal::Severity;
    use crate::time::EventTime;

    fn told(secs: i64, cause: &str, reach: &[&str]) -> LastRevision {
        let mut reach: Vec<u64> = reach.iter().map(|name| reach_hash(name)).collect();
        reach.sort_unstable();
        let onset = EventTime::from_secs(secs);
        LastRevision {
            at: onset,
            severity: Severity::Major,
            priority: Priority::P2,
            class: crate::diagnose::Class::Performance,
            cause: cause.into(),
            root: cause.into(),
            confidence: 0.8,
            alerting: 1,
            affected: 1,
            alert_count: 1,
            tickets: 0,
            parent: None,
            children: 0,
            clocks: [None; 4],
            clocks_due: EventTime::MAX,
            footprint: Footprint { onset, cause: cause.into(), reach, ..Footprint::default() },
        }
    }

    #[test]
    fn an_incident_explains_what_depends_on_its_cause_and_not_the_other_way() {
        let switch = told(100, "switch:s1", &["host:a", "host:b"]);
        let host = told(130, "host:a", &["service:web"]);
        let config = MajorConfig::default();
        let (down, up) = (tie(&switch, &host, &config), tie(&host, &switch, &config));
        assert!(down.score > config.related_min && (down.score - up.score).abs() < 1e-12, "{down:?} {up:?}");
        assert!(down.explains > 0.0 && up.explains == 0.0);
        assert_eq!(down.why, vec!["its cause a depends on s1"]);
    }

    #[test]
    fn a_shared_business_alone_is_too_little_and_with_a_shared_device_enough() {
        let config = MajorConfig::default();
        let (mut a, mut b) = (told(0, "host:a", &[]), told(10, "host:b", &[]));
        for side in [&mut a, &mut b] {
            side.footprint.business = vec!["business:shop".into()];
        }
        assert!(tie(&a, &b, &config).score < config.related_min);
        for side in [&mut a, &mut b] {
            side.footprint.devices = vec!["switch:s1".into()];
        }
        assert!(tie(&a, &b, &config).score > config.related_min);
    }

    #[test]
    fn nothing_explains_what_was_there_before_it() {
        let config = MajorConfig::default();
        let switch = told(600, "switch:s1", &["host:a", "host:b"]);
        assert!(tie(&switch, &told(300, "host:a", &[]), &config).explains == 0.0, "five minutes before");
        assert!(tie(&switch, &told(540, "host:b", &[]), &config).explains > 0.0, "told a minute before");
    }

    #[test]
    fn relations_fade_with_the_gap_of_the_onsets() {
        let config = MajorConfig::default();
        let switch = told(0, "switch:s1", &["host:a"]);
        let soon = tie(&switch, &told(60, "host:a", &[]), &config).score;
        let late = tie(&switch, &told(1_800, "host:a", &[]), &config).score;
        assert!((late - soon / 2.0).abs() < 0.01, "{soon} {late}");
    }
}
