//! `eval exhaustion --perturbed`: how do the forecasts hold on resources the
//! set does not show? Its resources stretched in time, cut, with other limits
//! and with more noise; and made-up ones of the same nine kinds with other
//! parameters, the recorded noise of the flat ones laid over them. Settings are
//! judged by the mean and the worst of these, not by the one recorded file.
//!
//! Everything is drawn from fixed seeds: the same set gives the same panel.

use bellwether_datasets::public::exhaustion::Resource;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::f64::consts::TAU;

/// Steps of a day and of the longest resource.
const DAY_STEPS: f64 = 288.0;
const STEPS_MAX: usize = 4_032;
/// The level at which every resource of the panel is full.
const FULL: f64 = 100.0;
/// Steps whose median decides that a resource is full: an hour.
const HOUR_STEPS: usize = 12;
/// Stretched and noisier resources are judged against a limit this much lower:
/// the recorded ones end where they are full, so that any change would leave
/// some just short of it.
const ROOM_STRETCHED: f64 = 2.0;
const ROOM_NOISY: f64 = 4.0;
/// Made-up sets, and resources in each: twenty of every kind.
const KIN_SETS: u64 = 4;
const KIN_RESOURCES: usize = 180;
/// Noise added to recorded resources: a slow wandering (the share kept from
/// step to step, the size of a push) and a white part.
const WANDER_KEPT: f64 = 0.98;
const WANDER_PUSH: f64 = 0.15;
const WHITE: f64 = 0.3;
/// Sizes of the noise on made-up resources, in points of the level.
const KIN_NOISES: [f64; 4] = [0.2, 0.5, 1.0, 2.0];

/// The panel: names and resources, all full at 100.
#[must_use]
pub fn panel(recorded: &[Resource]) -> Vec<(String, Vec<Resource>)> {
    let changed = |name: &str, change: &mut dyn FnMut(&Resource) -> Vec<f64>| {
        let keep = |resource: &Resource| again(resource, change(resource));
        (name.to_owned(), recorded.iter().filter_map(keep).collect::<Vec<Resource>>())
    };
    let mut out = Vec::new();
    for factor in [0.8, 1.25] {
        let lifted = |r: &Resource| lifted(&stretched(&r.used_pct, factor), ROOM_STRETCHED);
        out.push(changed(&format!("time × {factor}"), &mut |r| lifted(r)));
    }
    for room in [5.0, 10.0] {
        out.push(changed(&format!("limit {}", FULL - room), &mut |r| lifted(&r.used_pct, room)));
    }
    out.push(changed("begun 2 days later", &mut |r| {
        let late = (2.0 * DAY_STEPS) as usize;
        r.used_pct[late.min(r.used_pct.len() / 4)..].to_vec()
    }));
    out.push(changed("every third sample", &mut |r| held(&r.used_pct, 3)));
    for (name, size) in [("more noise", 0.5), ("much more noise", 1.0)] {
        let mut random = Random::new(77);
        out.push(changed(name, &mut |r| lifted(&noisier(&r.used_pct, size, &mut random), ROOM_NOISY)));
    }
    let mut random = Random::new(5);
    out.push(changed("all of it", &mut |r| {
        let (factor, size, room) = (random.between(0.85, 1.25), random.between(0.0, 0.7), random.between(2.0, 8.0));
        lifted(&noisier(&stretched(&r.used_pct, factor), size, &mut random), room)
    }));
    let noises = noises(recorded);
    if !noises.is_empty() {
        out.extend((1..=KIN_SETS).map(|seed| (format!("made up, seed {seed}"), kin(seed, &noises))));
    }
    out.retain(|(_, resources)| !resources.is_empty());
    out
}

/// The resource with other values; `None` when it fills now and did not, or the
/// other way round.
fn again(resource: &Resource, mut values: Vec<f64>) -> Option<Resource> {
    let full_at_step = full_at(&values);
    if full_at_step.is_some() != resource.full_at_step.is_some() {
        return None;
    }
    values.truncate(full_at_step.map_or(values.len(), |step| step + 1));
    Some(Resource { used_pct: values, full_at_step, ..resource.clone() })
}

/// First step at which the median of the hour before it reaches the limit.
fn full_at(values: &[f64]) -> Option<usize> {
    values
        .windows(HOUR_STEPS)
        .position(|hour| {
            let mut hour = hour.to_vec();
            hour.sort_unstable_by(f64::total_cmp);
            hour[HOUR_STEPS / 2] >= FULL
        })
        .map(|first| first + HOUR_STEPS - 1)
}

/// As with a limit `room` points lower.
fn lifted(values: &[f64], room: f64) -> Vec<f64> {
    values.iter().map(|value| value + room).collect()
}

/// The same course `factor` times as slow.
fn stretched(values: &[f64], factor: f64) -> Vec<f64> {
    let last = values.len().saturating_sub(1);
    let at = |step: usize| {
        let place = step as f64 / factor;
        let (before, share) = (place as usize, place.fract());
        values[before] * (1.0 - share) + values[(before + 1).min(last)] * share
    };
    (0..(last as f64 * factor) as usize).map(at).collect()
}

/// Every `count`-th value, held until the next.
fn held(values: &[f64], count: usize) -> Vec<f64> {
    values.iter().enumerate().map(|(step, _)| values[step / count * count]).collect()
}

fn noisier(values: &[f64], size: f64, random: &mut Random) -> Vec<f64> {
    let mut wander = 0.0;
    let noisy = |value: &f64| {
        wander = WANDER_KEPT * wander + size * WANDER_PUSH * random.normal();
        value + wander + size * WHITE * random.normal()
    };
    values.iter().map(noisy).collect()
}

/// The courses of the flat resources around their means, of unit size.
fn noises(recorded: &[Resource]) -> Vec<Vec<f64>> {
    let course = |resource: &Resource| {
        let count = resource.used_pct.len().max(1) as f64;
        let mean = resource.used_pct.iter().sum::<f64>() / count;
        let size = (resource.used_pct.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        resource.used_pct.iter().map(|value| (value - mean) / size.max(1e-9)).collect()
    };
    recorded.iter().filter(|resource| resource.kind == "flat").map(course).collect()
}

/// A made-up set: nine kinds in turn.
fn kin(seed: u64, noises: &[Vec<f64>]) -> Vec<Resource> {
    let mut random = Random::new(seed);
    (0..KIN_RESOURCES).map(|index| one_kin(seed, index, noises, &mut random)).collect()
}

fn one_kin(seed: u64, index: usize, noises: &[Vec<f64>], random: &mut Random) -> Resource {
    let noise = &noises[random.below(noises.len())];
    let size = KIN_NOISES[random.below(KIN_NOISES.len())];
    // Whole days, so that the noise keeps its time of day.
    let shift = random.below(14) * DAY_STEPS as usize;
    let (kind, course) = course(index, random);
    let value = |step: usize| (course(step as f64 / DAY_STEPS) + size * noise[(step + shift) % noise.len()]).max(0.0);
    let mut used_pct: Vec<f64> = (0..STEPS_MAX).map(value).collect();
    let fills = !["flat", "diurnal-flat", "bounded"].contains(&kind);
    let full_at_step = if fills { full_at(&used_pct) } else { None };
    match full_at_step {
        Some(step) => used_pct.truncate(step + 1),
        None => used_pct.iter_mut().for_each(|value| *value = value.min(FULL)),
    }
    Resource { name: format!("kin{seed}_{index:03}"), kind: kind.to_owned(), used_pct, full_at_step }
}

/// A course over days.
type Course = Box<dyn Fn(f64) -> f64>;

/// The name and the course of the kind that is `index`'s turn, its parameters
/// drawn.
fn course(index: usize, random: &mut Random) -> (&'static str, Course) {
    let (start, days) = (random.between(14.0, 56.0), random.between(7.0, 13.5));
    let (span, a, b) = (FULL - start, random.unit(), random.unit());
    let powered = |power: f64| -> Course { Box::new(move |day| start + span * (day / days).powf(power)) };
    match index % 9 {
        0 => ("linear", powered(1.0)),
        1 => ("accelerating", powered(1.5 + 1.5 * a)),
        2 => ("decelerating", powered(0.45 + 0.35 * a)),
        3 => {
            let swing = 2.0 + 5.0 * a;
            ("diurnal+linear", Box::new(move |day| start + span * day / days + swing * (TAU * (day + b)).sin()))
        }
        4 => {
            let (tooth, height, pace) = (0.5 + 1.6 * a, 5.0 + 10.0 * b, random.between(0.85, 1.1));
            let leak = (span - 0.5 * height) / days * pace;
            ("sawtooth-leak", Box::new(move |day| start + leak * day + height * (day / tooth + a).fract()))
        }
        5 => {
            let onset = (4.0 + 4.0 * a).min(days - 1.8);
            ("late-onset", Box::new(move |day| start + span * (day - onset).max(0.0) / (days - onset)))
        }
        6 => ("flat", Box::new(move |_| start)),
        7 => {
            let (middle, swing) = (start.max(20.0), 5.0 + 20.0 * a);
            ("diurnal-flat", Box::new(move |day| middle + swing * (TAU * (day + b)).sin()))
        }
        _ => {
            let (top, slowness) = (75.0 + 15.0 * a, 1.5 + 2.5 * b);
            ("bounded", Box::new(move |day| start + (top - start) * (1.0 - (-day / slowness).exp())))
        }
    }
}

/// Seeded draws.
struct Random(Xoshiro256PlusPlus);

impl Random {
    fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// Nearly normal: the sum of twelve uniform draws.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Vec<Resource> {
        let climb: Vec<f64> = (0..1500).map(|step| 40.0 + f64::from(step) * 0.041).collect();
        let flat: Vec<f64> = (0..4032).map(|step| 30.0 + f64::from(step * 7919 % 13) * 0.1).collect();
        let full_at_step = full_at(&climb);
        let resource = |kind: &str, used_pct, full_at_step| Resource {
            name: kind.to_owned(),
            kind: kind.to_owned(),
            used_pct,
            full_at_step,
        };
        vec![resource("linear", climb, full_at_step), resource("flat", flat, None)]
    }

    #[test]
    fn a_resource_of_the_panel_ends_where_it_is_full() {
        let panel = panel(&recorded());
        assert_eq!(panel.len(), 9 + KIN_SETS as usize);
        for (name, resources) in &panel {
            for resource in resources {
                assert_eq!(resource.full_at_step, full_at(&resource.used_pct), "{name} {}", resource.name);
                let end = resource.full_at_step.map_or(resource.used_pct.len(), |step| step + 1);
                assert_eq!(resource.used_pct.len(), end, "{name} {}", resource.name);
            }
        }
    }

    #[test]
    fn the_same_set_gives_the_same_panel_and_most_growing_kinds_fill() {
        let (one, two) = (panel(&recorded()), panel(&recorded()));
        assert_eq!(one, two);
        let made = &one.last().expect("made-up sets come last").1;
        let full = made.iter().filter(|resource| resource.full_at_step.is_some()).count();
        assert!((100..=120).contains(&full), "{full} of 120 fill");
        assert_eq!(made.iter().filter(|resource| resource.kind == "bounded").count(), 20);
    }

    #[test]
    fn stretching_keeps_the_course_and_changes_the_pace() {
        let values: Vec<f64> = (0..101).map(f64::from).collect();
        let slow = stretched(&values, 1.25);
        assert_eq!(slow.len(), 125);
        assert!((slow[50] - 40.0).abs() < 1e-9);
    }
}
