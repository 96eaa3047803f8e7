//! Ranked causes of one fault from its alerts alone: who alerts of what the others do not.
//!
//! In a fault half the estate alerts, most of it of the same: memory moves everywhere when load does. What tells is
//! an alert that few others have. Each alert counts by its surprise, the logarithm of the rate at which the others of
//! the same layer have it, smoothed towards what one expects before having seen them. There are three layers, each as
//! likely to hold the cause as the others: hosts, services, and instances. A service is held against services by the
//! share of its instances that alert, for instances of one service are alike and no independent witnesses; an
//! instance is held against those of other services. A layer of many has more that alert by chance, so a suspect's
//! odds are divided by the size of its layer. What comes later counts less, for effects come after their cause.

use std::collections::BTreeMap;

/// The share of others that is expected to have any one thing that is alerted of, before they are looked at.
const EXPECTED: f64 = 0.3;

/// How many others that expectation counts as.
const EXPECTED_COUNT: f64 = 6.0;

/// How many alerts of one suspect make one piece of evidence: what alerts on one entity moves together.
const TOGETHER: f64 = 2.0;

/// Sharpness of the confidences: right answers are more frequent than [`TOGETHER`] by itself says.
const SHARPNESS: f64 = 1.5;

/// Time in which an alert falls to 1/e of its worth: five collections of a minute each.
const FADES_NS: f64 = 300e9;

/// What an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stands {
    /// Others run on it.
    Host,
    /// It has instances.
    Whole,
    /// Neither: an instance, or a service of which no instance is known.
    Alone,
}

/// One entity that may be the cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// What it is.
    pub stands: Stands,
    /// The entity that it is an instance of.
    pub whole: Option<u32>,
}

/// One alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldAlert {
    /// When, in nanoseconds.
    pub at_ns: i64,
    /// Where it comes from (metrics, traces, logs): each has a beginning of its own.
    pub origin: u32,
    /// What it says: type and direction.
    pub says: u32,
    /// Of whom, an index into the suspects.
    pub entity: u32,
}

/// One place of the ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankedSuspect {
    /// The entity.
    pub entity: u32,
    /// Logarithm of its odds against a suspect in a layer of one that does not alert.
    pub score: f64,
    /// Probability that it is the cause; all sum to less than 1.
    pub confidence: f64,
}

/// Ranks who may be the cause, best first: each host and each service once, a service by its instance where most of
/// what tells is that one's. Then the instances and services that were not named. Nobody who alerts of nothing is
/// named.
#[must_use]
pub fn rank_suspects(suspects: &[Suspect], alerts: &[ToldAlert]) -> Vec<RankedSuspect> {
    let sizes = Sizes::of(suspects);
    let evidence = Evidence::of(suspects, &sizes, &weights(suspects, alerts));
    let mut subjects: BTreeMap<u32, Subject> = BTreeMap::new();
    for entity in 0..suspects.len() as u32 {
        let (of, at) = (subject(suspects, entity), entity as usize);
        let place = subjects.entry(of).or_insert_with(Subject::unknown);
        match suspects[at].stands {
            Stands::Host => place.add(evidence.own[at], sizes.hosts),
            Stands::Whole => place.add(evidence.whole[at], sizes.services),
            Stands::Alone => {
                if entity == of {
                    place.add(evidence.whole[at], sizes.services);
                }
                place.add(evidence.own[at], sizes.instances);
                place.sum += evidence.own[at];
                if place.most.is_none_or(|most| evidence.own[most as usize] < evidence.own[at]) {
                    place.most = Some(entity);
                }
            }
        }
    }
    let mass = |score: f64| (SHARPNESS * score).exp();
    // The cause may be silent, or somebody whom nobody knows: as likely as one who is silent in the smallest layer.
    let all = mass(-sizes.least().ln()) + subjects.values().map(|place| mass(place.score)).sum::<f64>();
    let mut named: Vec<RankedSuspect> = Vec::new();
    let mut left: Vec<(f64, u32)> = Vec::new();
    for entity in 0..suspects.len() as u32 {
        let of = subject(suspects, entity);
        let place = &subjects[&of];
        let told = evidence.own[entity as usize].max(evidence.whole[entity as usize]);
        if entity == place.named(of, &evidence) {
            if place.tells {
                named.push(RankedSuspect { entity, score: place.score, confidence: mass(place.score) / all });
            }
        } else if told > 0.0 {
            left.push((told, entity));
        }
    }
    named.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.entity.cmp(&b.entity)));
    left.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let least = named.last().map_or(0.0, |place| place.score);
    named.extend(left.into_iter().map(|(_, entity)| RankedSuspect { entity, score: least, confidence: 0.0 }));
    named
}

/// A host, or a service with its instances.
struct Subject {
    /// The greatest odds of it and its instances.
    score: f64,
    /// It or one of its instances alerts.
    tells: bool,
    /// The instance that tells most.
    most: Option<u32>,
    /// What its instances tell.
    sum: f64,
}

impl Subject {
    fn unknown() -> Self {
        Self { score: f64::NEG_INFINITY, tells: false, most: None, sum: 0.0 }
    }

    fn add(&mut self, told: f64, layer: f64) {
        self.tells |= told > 0.0;
        self.score = self.score.max(told / TOGETHER - layer.ln());
    }

    /// By whom subject `of` is named: by the instance that most of what its instances tell comes from.
    fn named(&self, of: u32, evidence: &Evidence) -> u32 {
        self.most.filter(|most| 2.0 * evidence.own[*most as usize] > self.sum).unwrap_or(of)
    }
}

/// Whom evidence about an entity is counted for: what it is an instance of.
fn subject(suspects: &[Suspect], entity: u32) -> u32 {
    suspects[entity as usize].whole.filter(|whole| (*whole as usize) < suspects.len()).unwrap_or(entity)
}

/// For each thing that is said, who says it and what that is worth by its time.
fn weights(suspects: &[Suspect], alerts: &[ToldAlert]) -> BTreeMap<u32, BTreeMap<u32, f64>> {
    let mut begun: BTreeMap<u32, i64> = BTreeMap::new();
    for alert in alerts {
        let first = begun.entry(alert.origin).or_insert(alert.at_ns);
        *first = alert.at_ns.min(*first);
    }
    let mut out: BTreeMap<u32, BTreeMap<u32, f64>> = BTreeMap::new();
    for alert in alerts.iter().filter(|alert| (alert.entity as usize) < suspects.len()) {
        let late = alert.at_ns.saturating_sub(begun[&alert.origin]) as f64;
        let weight = out.entry(alert.says).or_default().entry(alert.entity).or_insert(0.0);
        *weight = (-late / FADES_NS).exp().max(*weight);
    }
    out
}

/// How many there are in each layer.
struct Sizes {
    hosts: f64,
    services: f64,
    instances: f64,
    /// By subject: its instances; what has none is its own.
    of: Vec<f64>,
}

impl Sizes {
    fn of(suspects: &[Suspect]) -> Self {
        let mut out = Self { hosts: 0.0, services: 0.0, instances: 0.0, of: vec![0.0; suspects.len()] };
        for (entity, suspect) in suspects.iter().enumerate() {
            let of = subject(suspects, entity as u32);
            match suspect.stands {
                Stands::Host => out.hosts += 1.0,
                Stands::Whole => out.services += 1.0,
                Stands::Alone => {
                    out.instances += 1.0;
                    out.services += f64::from(u8::from(of as usize == entity));
                    out.of[of as usize] += 1.0;
                }
            }
        }
        out
    }

    /// The size of the smallest layer that somebody is in.
    fn least(&self) -> f64 {
        [self.hosts, self.services, self.instances].into_iter().filter(|size| *size > 0.0).fold(f64::MAX, f64::min)
    }
}

/// What the alerts of each suspect tell, in nats.
struct Evidence {
    /// Of a host among hosts, of an instance among the instances of others.
    own: Vec<f64>,
    /// Of a service among services, by the share of its instances.
    whole: Vec<f64>,
}

impl Evidence {
    fn of(suspects: &[Suspect], sizes: &Sizes, said: &BTreeMap<u32, BTreeMap<u32, f64>>) -> Self {
        let mut out = Self { own: vec![0.0; suspects.len()], whole: vec![0.0; suspects.len()] };
        for who in said.values() {
            let (mut hosts, mut instances) = (0.0, 0.0);
            // By service: what its instances say together, and what it says itself.
            let mut services: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
            for (&entity, &weight) in who {
                let service = subject(suspects, entity);
                match suspects[entity as usize].stands {
                    Stands::Host => hosts += weight,
                    Stands::Whole => services.entry(service).or_default().1 += weight,
                    Stands::Alone => {
                        instances += weight;
                        services.entry(service).or_default().0 += weight;
                    }
                }
            }
            for (&entity, &weight) in who {
                let service = subject(suspects, entity) as usize;
                let surprise = match suspects[entity as usize].stands {
                    Stands::Host => surprise(hosts - weight, sizes.hosts - 1.0),
                    Stands::Whole => 0.0,
                    Stands::Alone => {
                        surprise(instances - services[&(service as u32)].0, sizes.instances - sizes.of[service])
                    }
                };
                out.own[entity as usize] += weight * surprise;
            }
            let share = |service: u32, (together, itself): (f64, f64)| {
                (together / sizes.of[service as usize].max(1.0)).max(itself)
            };
            let all: f64 = services.iter().map(|(service, told)| share(*service, *told)).sum();
            for (&service, &told) in &services {
                let share = share(service, told);
                out.whole[service as usize] += share * surprise(all - share, sizes.services - 1.0);
            }
        }
        out
    }
}

/// Surprise, in nats, at something that `count` of `others` say, too.
fn surprise(count: f64, others: f64) -> f64 {
    let rate = (count.max(0.0) + EXPECTED * EXPECTED_COUNT) / (others.max(0.0) + EXPECTED_COUNT);
    -rate.min(1.0).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// Services 0 and 1 with four instances each (2..6, 6..10), hosts 10 and 11.
    fn suspects() -> Vec<Suspect> {
        let whole = Suspect { stands: Stands::Whole, whole: None };
        let instance = |of| Suspect { stands: Stands::Alone, whole: Some(of) };
        let host = Suspect { stands: Stands::Host, whole: None };
        [whole, whole].into_iter().chain([0, 0, 0, 0, 1, 1, 1, 1].map(instance)).chain([host, host]).collect()
    }

    fn alert(says: u32, entity: u32) -> ToldAlert {
        ToldAlert { at_ns: 0, origin: 0, says, entity }
    }

    fn first(alerts: &[ToldAlert]) -> u32 {
        rank_suspects(&suspects(), alerts)[0].entity
    }

    #[test]
    fn who_alerts_of_what_nobody_else_does_is_first() {
        let everybody = (2..10).map(|entity| alert(1, entity));
        assert_eq!(first(&everybody.clone().chain([alert(2, 7)]).collect::<Vec<_>>()), 7);
        let all_of_one = (2..6).map(|entity| alert(2, entity));
        assert_eq!(first(&everybody.chain(all_of_one).chain([alert(3, 7)]).collect::<Vec<_>>()), 0);
    }

    #[test]
    fn a_host_is_held_against_hosts() {
        let alerts: Vec<ToldAlert> = (2..10).map(|entity| alert(1, entity)).chain([alert(4, 11)]).collect();
        assert_eq!(first(&alerts), 11);
    }

    #[test]
    fn what_comes_later_counts_less() {
        let late = ToldAlert { at_ns: 300 * SECOND, ..alert(3, 2) };
        assert_eq!(first(&[alert(2, 7), late]), 7);
        assert_eq!(first(&[alert(2, 2), ToldAlert { entity: 7, ..late }]), 2);
    }

    #[test]
    fn each_is_named_once_and_thin_evidence_leaves_most_to_the_unknown() {
        let alerts: Vec<ToldAlert> = [(1, 2), (1, 3), (2, 3), (2, 0), (3, 10)].map(|(says, of)| alert(says, of)).into();
        let places = rank_suspects(&suspects(), &alerts);
        let mut names: Vec<u32> = places.iter().map(|place| place.entity).collect();
        names.sort_unstable();
        assert_eq!(names, [0, 2, 3, 10]);
        assert!(places.is_sorted_by(|a, b| a.score >= b.score));
        let one = rank_suspects(&suspects(), &[alert(1, 10)]);
        assert!(one[0].confidence < 0.5, "{one:?}");
        assert!(rank_suspects(&suspects(), &[]).is_empty());
    }

    #[test]
    fn a_layer_of_many_has_more_that_alert_by_chance() {
        // The same said by one of two hosts and by one of eight instances: half the hosts is the surer guess.
        assert_eq!(first(&[alert(1, 3), alert(2, 11)]), 11);
        // Three things that no other instance says outweigh that.
        assert_eq!(first(&[alert(1, 3), alert(3, 3), alert(4, 3), alert(5, 3), alert(2, 11)]), 3);
    }

    #[test]
    fn what_everybody_says_tells_nothing() {
        assert!(surprise(20.0, 20.0) < 0.2 && surprise(0.0, 20.0) > 2.0);
        assert!(surprise(0.0, 40.0) > surprise(0.0, 5.0) && surprise(9.0, 3.0) == 0.0);
    }
}
