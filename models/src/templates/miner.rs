//! The miner a caller sees: parameters, learning a line, asking for a template.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::class::Kind;
use super::lexer::{Bounds, Lexer};
use super::runs;
use super::shape::ShapeCache;
use super::store::{Rules, Store, StoreState};

/// Settings of a [`Miner`]. The defaults serve every system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MinerParams {
    /// Templates held at once; the one unused the longest makes room, and is counted.
    pub templates_max: usize,
    /// Different words in one place that make the place a parameter.
    pub values_min: usize,
    /// The same, where the word before announces a name (`user`, `host`).
    pub named_values_min: usize,
    /// Shapes of lines remembered for speed, in each of two caches; 200 bytes each, some more.
    pub shapes_max: usize,
    /// Bytes of a line that are looked at; the rest is one parameter.
    pub line_bytes_max: usize,
    /// Elements of a line that are looked at; the rest is one parameter.
    pub elements_max: usize,
}

impl Default for MinerParams {
    fn default() -> Self {
        Self {
            templates_max: 8_192,
            values_min: 5,
            named_values_min: 2,
            shapes_max: 8_192,
            line_bytes_max: 8_192,
            elements_max: 256,
        }
    }
}

/// A setting out of its bounds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{name}: {value}` is out of bounds, use {low} to {high}")]
pub struct MinerParamsError {
    name: &'static str,
    value: usize,
    low: usize,
    high: usize,
}

/// What a shape of lines takes in one of the two caches, its place counted; most are shorter.
const SHAPE_BYTES: usize = 400;

/// [`MinerParams`] within their bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedMinerParams(MinerParams);

impl MinerParams {
    /// Checks the bounds.
    ///
    /// # Errors
    /// Names the first setting that is out of bounds, and the bounds.
    pub fn check(self) -> Result<CheckedMinerParams, MinerParamsError> {
        let bounds = [
            ("templates_max", self.templates_max, 2, 1 << 20),
            ("values_min", self.values_min, 2, 1 << 10),
            ("named_values_min", self.named_values_min, 2, 1 << 10),
            ("shapes_max", self.shapes_max, 2, 1 << 20),
            ("line_bytes_max", self.line_bytes_max, 64, 1 << 20),
            ("elements_max", self.elements_max, 4, 1 << 12),
        ];
        for (name, value, low, high) in bounds {
            if !(low..=high).contains(&value) {
                return Err(MinerParamsError { name, value, low, high });
            }
        }
        Ok(CheckedMinerParams(self))
    }
}

/// The template of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// Slot of the template, for [`Miner::text`] and [`Miner::id`]. Slots are reused after
    /// an eviction: keep the id, not the slot.
    pub template: u32,
    /// The line has made a template.
    pub is_new: bool,
}

/// One parameter of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// What it looks like.
    pub kind: Kind,
    /// First byte in the line.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// An online template miner: bounded, deterministic, serialisable.
///
/// ```
/// use bellwether_models::templates::{Miner, MinerParams};
///
/// let mut miner = Miner::new(MinerParams::default().check().expect("defaults are in bounds"));
/// let first = miner.learn("Accepted socket connection from /10.10.34.11:53230");
/// let second = miner.learn("Accepted socket connection from /10.10.34.13:41872");
/// assert!(first.is_new && !second.is_new);
/// assert_eq!(first.template, second.template);
/// assert_eq!(miner.text(first.template), "Accepted socket connection from <*>");
/// ```
#[derive(Debug, Clone)]
pub struct Miner {
    params: CheckedMinerParams,
    store: Store,
    lexer: Lexer,
    shapes: ShapeCache,
    runs: ShapeCache,
    coarse: Vec<u8>,
    shown: Vec<(u32, u32)>,
}

impl Miner {
    /// A miner that has seen nothing.
    #[must_use]
    pub fn new(params: CheckedMinerParams) -> Self {
        let rules = Rules {
            templates_max: params.0.templates_max,
            values_min: params.0.values_min,
            named_values_min: params.0.named_values_min,
        };
        Self::with_store(params, Store::new(rules))
    }

    fn with_store(params: CheckedMinerParams, store: Store) -> Self {
        let shapes = ShapeCache::new(params.0.shapes_max, true);
        let runs = ShapeCache::new(params.0.shapes_max, false);
        Self { params, store, lexer: Lexer::default(), shapes, runs, coarse: Vec::new(), shown: Vec::new() }
    }

    /// Finds the template of a line, or makes it. Allocates only where something is new.
    pub fn learn(&mut self, line: &str) -> Match {
        let text = line.as_bytes();
        let cached = text.len() <= self.params.0.line_bytes_max && self.shapes.read(text);
        if cached && let Some(root) = self.live(self.shapes.get(text)) {
            return self.counted(root, false);
        }
        self.coarse.clear();
        let coarse = cached && runs::collapse(text, &mut self.coarse) && self.runs.read(&self.coarse);
        if coarse && let Some(root) = self.live(self.runs.get(&self.coarse)) {
            return self.counted(root, false);
        }
        let bounds = self.bounds();
        self.lexer.read(line, bounds);
        let (root, is_new) = self.store.learn(line, &self.lexer);
        let generation = self.store.slots[root as usize].generation;
        if cached {
            self.store.shown(root, &self.lexer, &mut self.shown);
            self.shapes.put(text, root, generation, &self.shown);
        }
        if coarse {
            self.runs.put(&self.coarse, root, generation, &[]);
        }
        self.counted(root, is_new)
    }

    fn bounds(&self) -> Bounds {
        Bounds { line_bytes_max: self.params.0.line_bytes_max, elements_max: self.params.0.elements_max }
    }

    /// Root of a cached slot that still holds what was cached.
    fn live(&self, cached: Option<(u32, u32)>) -> Option<u32> {
        let (slot, generation) = cached?;
        (self.store.slots[slot as usize].generation == generation).then(|| self.store.resolve(slot))
    }

    fn counted(&mut self, root: u32, is_new: bool) -> Match {
        self.store.count(root);
        Match { template: root, is_new }
    }

    /// The template with `<*>` for each parameter; empty for a slot that holds nothing.
    #[must_use]
    pub fn text(&self, slot: u32) -> &str {
        self.store.slots.get(self.resolve(slot) as usize).map_or("", |template| &template.text)
    }

    /// Id of the template: the same after a restart and after merges, 0 for an unknown slot.
    #[must_use]
    pub fn id(&self, slot: u32) -> u64 {
        self.store.slots.get(self.resolve(slot) as usize).map_or(0, |template| template.id)
    }

    /// Lines counted on the template.
    #[must_use]
    pub fn lines(&self, slot: u32) -> u64 {
        self.store.slots.get(self.resolve(slot) as usize).map_or(0, |template| template.lines)
    }

    /// The slot that stands for this one after merges.
    #[must_use]
    pub fn resolve(&self, slot: u32) -> u32 {
        self.store.resolve(slot)
    }

    /// The slot that stands for a template now, if `slot` still belongs to the one with
    /// this id: not reused after an eviction.
    #[must_use]
    pub fn find(&self, slot: u32, id: u64) -> Option<u32> {
        let template = self.store.slots.get(slot as usize)?;
        (template.id == id && template.is_live()).then(|| self.resolve(slot))
    }

    /// The templates known now, in no order that means anything: id, text and lines counted.
    pub fn templates(&self) -> impl Iterator<Item = (u64, &str, u64)> {
        self.store.roots().map(|template| (template.id, template.text.as_str(), template.lines))
    }

    /// Templates known now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether no line was learnt yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes it takes: what follows from its templates alone. The shapes of lines that it
    /// remembers for speed are not among them: they are bounded beside ([`Miner::remember`]).
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.store.bytes()
    }

    /// Remembers shapes of lines for speed in `bytes` at most from now on, or in as many as its settings say.
    pub fn remember(&mut self, bytes: usize) {
        let entries = bytes / (2 * SHAPE_BYTES);
        // A power of two that is not above what there is room for.
        let entries = if entries < 2 { 2 } else { 1 << entries.ilog2() };
        let most = self.params.0.shapes_max.min(entries);
        self.shapes.bound(most);
        self.runs.bound(most);
    }

    /// Grows no further from now on: a new template takes the place of the one unused the longest; or grows
    /// as its settings say.
    pub fn hold(&mut self, held: bool) {
        let most = self.params.0.templates_max;
        self.store.rules.templates_max = if held { self.store.slots.len().clamp(2, most) } else { most };
    }

    /// Templates dropped to make room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.store.evicted
    }

    /// Appends the typed parameters of a line of this template, from left to right.
    pub fn parameters(&self, slot: u32, line: &str, out: &mut Vec<Param>) {
        let root = self.resolve(slot);
        if self.store.slots.get(root as usize).is_none() {
            return;
        }
        let mut lexer = Lexer::default();
        lexer.read(line, self.bounds());
        let mut heads = 0;
        for element in &lexer.elements {
            heads += usize::from(!element.listed);
            if element.listed || self.store.is_param(root, heads - 1, element) {
                out.push(Param { kind: element.kind, start: element.start as usize, end: element.end as usize });
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct MinerState {
    params: CheckedMinerParams,
    store: StoreState,
}

impl Serialize for Miner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        MinerState { params: self.params.clone(), store: self.store.state() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Miner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let state = MinerState::deserialize(deserializer)?;
        Ok(Self::with_store(state.params, Store::from_state(state.store)))
    }
}
