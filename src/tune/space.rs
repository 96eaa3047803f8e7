//! What to try: values per parameter, and the trials drawn from them.
//!
//! A parameter's values are a list, a range (`from`, `to`, `steps`, and `scale:
//! log` for even ratios), or one value. Unknown sections and parameters are
//! refused with the nearest known one.

use crate::eval::settings::{Settings, document, known, mapping};
use crate::eval::sure::below;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Values of one parameter at most: more is a typing error.
const VALUES_MAX: usize = 1_000;

/// What trial 0 is, which the others are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// The defaults of the models.
    Defaults,
    /// The settings that a journal holds.
    Recorded,
}

impl Base {
    /// In words.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Defaults => "the defaults",
            Self::Recorded => "what ran",
        }
    }
}

/// One parameter and what to try for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Knob {
    /// Section of the settings.
    pub(super) section: String,
    /// Parameter.
    pub(super) key: String,
    /// Values, in the order written.
    pub(super) values: Vec<Value>,
}

/// All knobs, in the order of sections and keys.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Space {
    pub(super) knobs: Vec<Knob>,
}

fn usage(message: String) -> anyhow::Error {
    anyhow::Error::new(UsageError(message))
}

impl Space {
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::of(&document(path)?).with_context(|| format!("`{}`", path.display()))
    }

    fn of(document: &Value) -> Result<Self> {
        let mut defaults = Settings::default().document()?;
        let mut knobs = Vec::new();
        for (section, keys) in mapping(document, "the space")? {
            let target = known(&mut defaults, section, "section")?;
            for (key, wanted) in mapping(keys, section)? {
                let default = known(target, key, &format!("key in `{section}`"))?;
                let values = values(wanted, default.is_u64() || default.is_i64())
                    .map_err(|wrong| usage(format!("`{section}.{key}`: {wrong}")))?;
                knobs.push(Knob { section: section.clone(), key: key.clone(), values });
            }
        }
        if knobs.is_empty() {
            let example = "detector: { memory_points: [8, 12, 20] }";
            return Err(usage(format!("the space is empty: write at least one parameter, as in `{example}`")));
        }
        Ok(Self { knobs })
    }

    /// Refuses parameters that `task` does not read.
    pub(super) fn only(&self, sections: &[&str], task: &str) -> Result<()> {
        match self.knobs.iter().find(|knob| !sections.contains(&knob.section.as_str())) {
            Some(other) => {
                let (name, sections) = (&other.section, sections.join("`, `"));
                Err(usage(format!("task `{task}` does not read `{name}`: write parameters of `{sections}`")))
            }
            None => Ok(()),
        }
    }

    /// The trials: first what `base` is, then every combination, or a sample of
    /// them when there are more than `trials_max`. All are checked.
    pub(super) fn draw(&self, trials_max: usize, seed: u64, base: Base) -> Result<Vec<(Vec<Value>, Settings)>> {
        let count = self.count();
        let picked: Vec<u64> =
            if count <= trials_max as u64 { (0..count).collect() } else { sample(count, trials_max, seed) };
        let defaults = Settings::default();
        let known = defaults.document()?;
        let default_values = match base {
            Base::Defaults => self.knobs.iter().map(|knob| known[&knob.section][&knob.key].clone()).collect(),
            Base::Recorded => vec![Value::Null; self.knobs.len()],
        };
        let mut out = vec![(default_values, defaults.clone())];
        for number in picked {
            let values = self.combination(number);
            let mut overrides = json!({});
            for (knob, value) in self.knobs.iter().zip(&values) {
                overrides[&knob.section][&knob.key] = value.clone();
            }
            let settings = defaults.with(&overrides)?;
            // The defaults are a trial of their own where other settings ran.
            if base == Base::Recorded || settings.document()? != known {
                out.push((values, settings));
            }
        }
        Ok(out)
    }

    /// Number of combinations.
    pub(super) fn count(&self) -> u64 {
        self.knobs.iter().fold(1, |count: u64, knob| count.saturating_mul(knob.values.len() as u64))
    }

    /// The combination of this number: the last knob turns fastest.
    fn combination(&self, mut number: u64) -> Vec<Value> {
        let mut values = Vec::with_capacity(self.knobs.len());
        for knob in self.knobs.iter().rev() {
            let length = knob.values.len() as u64;
            values.push(knob.values[(number % length) as usize].clone());
            number /= length;
        }
        values.reverse();
        values
    }
}

/// `wanted` different numbers below `count`, in order.
fn sample(count: u64, wanted: usize, seed: u64) -> Vec<u64> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut picked = BTreeSet::new();
    // Floyd's sampling: one draw for each number picked.
    for top in count - wanted..count {
        let number = below(&mut rng, top + 1);
        if !picked.insert(number as u64) {
            picked.insert(top as u64);
        }
    }
    picked.into_iter().collect()
}

/// What is wrong with a parameter's entry.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
enum EntryError {
    /// Nothing to try.
    #[error("the list is empty: write at least one value")]
    Empty,
    /// A typing error.
    #[error("{0} values are too many: use at most {VALUES_MAX}")]
    Many(usize),
    /// Not a key of a range.
    #[error("unknown key `{0}` of a range: {RANGE_REMEDY}")]
    Key(String),
    /// A range without an end or steps.
    #[error("a range needs the number `{0}`: {RANGE_REMEDY}")]
    Number(&'static str),
    /// Not a number of steps.
    #[error("`steps: {0}`: use a whole number from 2 to {VALUES_MAX}")]
    Steps(f64),
    /// Not a scale.
    #[error("`scale: {0}`: use linear or log")]
    Scale(Value),
    /// Even ratios do not reach 0.
    #[error("a log range from {from} to {to}: both ends must be above 0")]
    Ends { from: f64, to: f64 },
}

/// The values a parameter's entry stands for.
fn values(wanted: &Value, whole: bool) -> Result<Vec<Value>, EntryError> {
    let values = match wanted {
        Value::Array(values) => values.clone(),
        Value::Object(_) => range(wanted, whole)?,
        one => vec![one.clone()],
    };
    match values.len() {
        0 => Err(EntryError::Empty),
        n if n > VALUES_MAX => Err(EntryError::Many(n)),
        _ => Ok(values),
    }
}

/// How a range is written.
const RANGE_REMEDY: &str = "write `{ from: 1, to: 9, steps: 5 }`, with `scale: log` for even ratios";
/// The keys of a range.
const RANGE_KEYS: [&str; 4] = ["from", "to", "steps", "scale"];

fn range(wanted: &Value, whole: bool) -> Result<Vec<Value>, EntryError> {
    let entries = wanted.as_object().into_iter().flatten();
    if let Some((key, _)) = entries.into_iter().find(|(key, _)| !RANGE_KEYS.contains(&key.as_str())) {
        return Err(EntryError::Key(key.clone()));
    }
    let number = |key: &'static str| wanted[key].as_f64().ok_or(EntryError::Number(key));
    let (from, to, steps) = (number("from")?, number("to")?, number("steps")?);
    if !(2.0..=VALUES_MAX as f64).contains(&steps) || steps.fract() != 0.0 {
        return Err(EntryError::Steps(steps));
    }
    let log = match &wanted["scale"] {
        Value::Null => false,
        Value::String(scale) if scale == "linear" => false,
        Value::String(scale) if scale == "log" => true,
        other => return Err(EntryError::Scale(other.clone())),
    };
    if log && (from <= 0.0 || to <= 0.0) {
        return Err(EntryError::Ends { from, to });
    }
    let at = |i: usize| {
        let share = i as f64 / (steps - 1.0);
        if log { from * (to / from).powf(share) } else { from + share * (to - from) }
    };
    let mut values: Vec<Value> = (0..steps as usize).map(|i| tidy(at(i), whole)).collect();
    values.dedup();
    Ok(values)
}

/// Four significant digits: a swept value need not look like noise.
fn tidy(value: f64, whole: bool) -> Value {
    if whole {
        return json!(value.round() as i64);
    }
    let rounded: f64 = format!("{value:.3e}").parse().unwrap_or(value);
    json!(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(document: Value) -> String {
        format!("{:#}", Space::of(&document).expect_err("refused"))
    }

    #[test]
    fn the_space_in_the_head_of_tune_is_accepted() {
        let head = include_str!("mod.rs").lines().map_while(|line| line.strip_prefix("//!"));
        let text: String = head.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect();
        let block = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
        let document: Value = serde_saphyr::from_str(block).expect("YAML");
        assert_eq!(Space::of(&document).expect("accepted").count(), 12);
    }

    #[test]
    fn every_combination_is_a_trial_and_the_defaults_come_first() {
        let space = Space::of(&json!({"miner": {"values_min": [4, 5], "named_values_min": [2, 3]}})).expect("a space");
        let drawn = space.draw(32, 1, Base::Defaults).expect("in range");
        let values: Vec<&Vec<Value>> = drawn.iter().map(|(values, _)| values).collect();
        // The default (named 2, values 5) stands first and not twice.
        assert_eq!(drawn.len(), 4);
        assert_eq!(*values[0], [json!(2), json!(5)]);
        assert!(values[1..].iter().all(|other| *other != values[0]));
        assert_eq!(drawn[0].1, Settings::default());
        // Over a journal the defaults are one of the trials, and trial 0 is what ran.
        let over = space.draw(32, 1, Base::Recorded).expect("in range");
        assert_eq!((over.len(), &over[0].0), (5, &vec![Value::Null, Value::Null]));
    }

    #[test]
    fn a_large_space_is_sampled_the_same_in_every_run() {
        let list: Vec<u32> = (2..=1000).collect();
        let space = Space::of(&json!({"detector": {"memory_points": list, "alerts_per_week": list}})).expect("a space");
        let drawn = space.draw(20, 42, Base::Defaults).expect("in range");
        assert_eq!(drawn.len(), 21);
        assert_eq!(drawn, space.draw(20, 42, Base::Defaults).expect("in range"));
        assert_ne!(drawn, space.draw(20, 43, Base::Defaults).expect("in range"));
        let distinct: BTreeSet<String> = drawn.iter().map(|(values, _)| format!("{values:?}")).collect();
        assert_eq!(distinct.len(), 21, "no trial twice");
    }

    #[test]
    fn ranges_are_even_or_in_even_ratios_and_whole_where_the_parameter_is() {
        let space = |text: Value| Space::of(&text).expect("a space").knobs.remove(0).values;
        let even = space(json!({"detector": {"memory_points": {"from": 10, "to": 20, "steps": 3}}}));
        assert_eq!(even, [json!(10.0), json!(15.0), json!(20.0)]);
        let ratios =
            space(json!({"detector": {"refractory_secs": {"from": 1, "to": 100, "steps": 3, "scale": "log"}}}));
        assert_eq!(ratios, [json!(1.0), json!(10.0), json!(100.0)]);
        let whole = space(json!({"miner": {"values_min": {"from": 2, "to": 4, "steps": 9}}}));
        assert_eq!(whole, [json!(2), json!(3), json!(4)]);
        assert_eq!(space(json!({"miner": {"values_min": 7}})), [json!(7)]);
    }

    #[test]
    fn mistakes_name_their_remedy() {
        assert!(refused(json!({"detector": {"memory_pionts": [1]}})).contains("did you mean `memory_points`?"));
        assert!(refused(json!({})).contains("at least one parameter"));
        assert!(refused(json!({"miner": {"values_min": []}})).contains("at least one value"));
        assert!(refused(json!({"miner": {"values_min": {"from": 1, "step": 2}}})).contains("unknown key `step`"));
        assert!(refused(json!({"miner": {"values_min": {"from": 1, "to": 2}}})).contains("`steps`"));
        assert!(
            refused(json!({"multi": {"ridge": {"from": 0, "to": 2, "steps": 3, "scale": "log"}}})).contains("above 0")
        );
        let space = Space::of(&json!({"miner": {"values_min": [1]}})).expect("known");
        assert!(format!("{:#}", space.draw(5, 1, Base::Defaults).expect_err("out of range")).contains("values_min"));
        assert!(space.only(&["detector"], "nab").expect_err("another").to_string().contains("does not read `miner`"));
    }
}
