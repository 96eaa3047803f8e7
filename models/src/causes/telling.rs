//! Ranked causes of one fault from its alerts alone: who alerts of what the others do not.
//!
//! In a fault half the estate alerts, most of it of the same: memory moves everywhere when load does. What tells is an
//! alert that nearly nobody else has. Each alert of a subject counts by its surprise: how unlikely so many of the
//! subject's instances would alert of it, were they like the instances of everybody else (the upper tail of a binomial,
//! with the rate among the others smoothed as Krichevsky and Trofimov do, IEEE TIT 1981). A service of four instances is so
//! not more suspect than one of one, and a resource that everybody suffers from is nobody's cause. What comes later
//! counts less, for effects come after their cause. Hosts and services have different alerts and different numbers of them, so
//! a subject is told by how far it stands out among its own kind.

use std::collections::BTreeMap;

/// Most that one alert tells, in nats: a rate below one in four hundred is not known from one fault. It is also the
/// scale on which two subjects are told apart, and what an unknown cause is worth: one thing that nobody else has.
const TELLING_MAX: f64 = 6.0;

/// Time in which an alert falls to 1/e of its worth: two collections of a minute each.
const FADES_NS: f64 = 120e9;

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
    /// How far it stands out among its own kind, in nats.
    pub score: f64,
    /// Probability that it is the cause; all sum to less than 1.
    pub confidence: f64,
}

/// Ranks who may be the cause, best first: each host and each service once, a service by its instance where most of what
/// tells is that one's. Then the instances and services that were not named. Nobody who alerts of nothing is named.
#[must_use]
pub fn rank_suspects(suspects: &[Suspect], alerts: &[ToldAlert]) -> Vec<RankedSuspect> {
    let weights = weights(suspects, alerts);
    let (own, whole) = surprises(suspects, &weights);
    let mut named: Vec<RankedSuspect> = Vec::new();
    for layer in [true, false] {
        let in_layer = |entity: &u32| (suspects[*entity as usize].stands == Stands::Host) == layer;
        let subjects: Vec<u32> =
            (0..suspects.len() as u32).filter(|entity| subject(suspects, *entity) == *entity).collect();
        let scores: Vec<(u32, f64)> =
            subjects.into_iter().filter(in_layer).map(|entity| (entity, whole[entity as usize])).collect();
        let sum: f64 = scores.iter().map(|(_, score)| score).sum();
        let others = (scores.len().max(2) - 1) as f64;
        let place = |(entity, score): (u32, f64)| RankedSuspect {
            entity,
            score: score - (sum - score) / others,
            confidence: 0.0,
        };
        named.extend(scores.into_iter().filter(|(_, score)| *score > 0.0).map(place));
    }
    let top = named.iter().map(|place| place.score).fold(TELLING_MAX, f64::max);
    let mass = |score: f64| ((score - top) / TELLING_MAX).exp();
    let all = mass(TELLING_MAX) + named.iter().map(|place| mass(place.score)).sum::<f64>();
    named.iter_mut().for_each(|place| place.confidence = mass(place.score) / all);
    in_order(&mut named);
    let mut instances: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entity in 0..suspects.len() as u32 {
        if own[entity as usize] > 0.0 && subject(suspects, entity) != entity {
            instances.entry(subject(suspects, entity)).or_default().push(entity);
        }
    }
    let mut left = Vec::new();
    for place in &mut named {
        let mut of = instances.remove(&place.entity).unwrap_or_default();
        of.sort_by(|a, b| own[*b as usize].total_cmp(&own[*a as usize]).then(a.cmp(b)));
        let sum: f64 = of.iter().map(|entity| own[*entity as usize]).sum::<f64>() + own[place.entity as usize];
        let most = of.first().copied().filter(|first| 2.0 * own[*first as usize] > sum);
        let rest = of.into_iter().chain(most.map(|_| place.entity)).filter(|entity| Some(*entity) != most);
        left.extend(rest.map(|entity| (own[entity as usize], entity)));
        place.entity = most.unwrap_or(place.entity);
    }
    left.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let least = named.last().map_or(0.0, |place| place.score);
    named.extend(left.into_iter().map(|(_, entity)| RankedSuspect { entity, score: least, confidence: 0.0 }));
    named
}

fn in_order(places: &mut [RankedSuspect]) {
    places.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.entity.cmp(&b.entity)));
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

/// Per entity what its own alerts tell, and what those of it and its instances tell together.
fn surprises(suspects: &[Suspect], said: &BTreeMap<u32, BTreeMap<u32, f64>>) -> (Vec<f64>, Vec<f64>) {
    let mut size: BTreeMap<Stands, f64> = BTreeMap::new();
    let mut instances = vec![0_usize; suspects.len()];
    for (entity, suspect) in suspects.iter().enumerate() {
        *size.entry(suspect.stands).or_default() += 1.0;
        instances[subject(suspects, entity as u32) as usize] += 1;
    }
    let (mut own, mut whole) = (vec![0.0; suspects.len()], vec![0.0; suspects.len()]);
    for who in said.values() {
        let mut best: BTreeMap<u32, f64> = BTreeMap::new();
        for stands in [Stands::Host, Stands::Whole, Stands::Alone] {
            let peers = size.get(&stands).copied().unwrap_or(0.0);
            let of: Vec<(u32, f64)> = who
                .iter()
                .filter(|(entity, _)| suspects[**entity as usize].stands == stands)
                .map(|(entity, weight)| (*entity, *weight))
                .collect();
            let all: f64 = of.iter().map(|(_, weight)| weight).sum();
            let mut together: BTreeMap<u32, (usize, f64, f64)> = BTreeMap::new();
            for &(entity, weight) in &of {
                own[entity as usize] += weight * unlikely(1, 1, rate(all - weight, peers - 1.0));
                let group = together.entry(subject(suspects, entity)).or_default();
                *group = (group.0 + 1, group.1 + weight, weight.max(group.2));
            }
            for (subject, (count, sum, most)) in together {
                // What stands for itself has one instance; a whole is not one of its instances.
                let itself = suspects[subject as usize].stands == stands;
                let of = if itself { 1 } else { instances[subject as usize].saturating_sub(1).max(count) };
                let told = most * unlikely(count, of, rate(all - sum, peers - of as f64));
                let slot = best.entry(subject).or_default();
                *slot = told.max(*slot);
            }
        }
        for (subject, told) in best {
            whole[subject as usize] += told;
        }
    }
    (own, whole)
}

/// The share of others that alert of it.
fn rate(count: f64, others: f64) -> f64 {
    ((count.max(0.0) + 0.5) / (others.max(0.0) + 1.0)).min(1.0)
}

/// Surprise, in nats, that at least `count` of `of` do what each does with the chance `rate`.
fn unlikely(count: usize, of: usize, rate: f64) -> f64 {
    let odds = rate / (1.0 - rate).max(1e-12);
    // The terms of the binomial one after the other, from nobody on.
    let mut term = (1.0 - rate).max(1e-12).powi(of as i32);
    let mut fewer = 0.0;
    for done in 0..count.min(of) {
        fewer += term;
        term *= odds * (of - done) as f64 / (done + 1) as f64;
    }
    // Where nearly all is below, what is above is summed itself: the difference has no digits left.
    let mut above = 0.0;
    for done in count.min(of)..=of {
        above += term;
        term *= odds * (of - done) as f64 / (done + 1) as f64;
    }
    let chance = if fewer > 0.5 { above } else { 1.0 - fewer };
    (-chance.clamp(1e-300, 1.0).ln()).min(TELLING_MAX)
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
    fn the_tail_of_the_binomial_is_right_at_its_ends() {
        assert!((unlikely(1, 1, 0.25) - 4.0_f64.ln()).abs() < 1e-9);
        assert!((unlikely(1, 2, 0.5) - (4.0_f64 / 3.0).ln()).abs() < 1e-9);
        assert!((unlikely(2, 2, 0.25) - 16.0_f64.ln()).abs() < 1e-9);
        assert_eq!((unlikely(4, 4, 0.01), unlikely(1, 3, 1.0)), (TELLING_MAX, 0.0));
    }
}
