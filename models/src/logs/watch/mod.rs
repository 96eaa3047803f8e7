//! One stream of log lines: new, vanished, surging and reordered templates.
//!
//! Event time only, in windows of a minute. Per template the watch keeps a smoothed rate
//! with its spread, the highest window of late (so that a nightly job surges once and is
//! then known), the share of windows it shows up in, and its usual successor. Everything is
//! silent while a stream is young, and a budget per day caps what is reported.
//!
//! A template vanishes only from a stream that lives: when all is quiet, that is a missing
//! heartbeat and not a hundred vanished templates.

use hashbrown::HashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::budget::Budget;

/// Settings of a [`StreamWatch`]. The defaults serve any stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WatchParams {
    /// Width of a counting window, seconds.
    pub window_secs: u32,
    /// Windows with lines before anything is reported.
    pub warmup_windows: u32,
    /// Chance at which a count, a silence or an order is called impossible.
    pub chance_max: f64,
    /// Findings per stream and day; more are held back and counted.
    pub findings_per_day_max: u32,
    /// Templates followed per stream; the one unseen the longest makes room.
    pub templates_max: usize,
}

impl Default for WatchParams {
    fn default() -> Self {
        Self { window_secs: 60, warmup_windows: 30, chance_max: 1e-6, findings_per_day_max: 48, templates_max: 1_024 }
    }
}

/// A setting out of its bounds.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("`{name}: {value}` is out of bounds, use {bounds}")]
pub struct WatchParamsError {
    name: &'static str,
    value: String,
    bounds: &'static str,
}

/// [`WatchParams`] within their bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckedWatchParams(WatchParams);

impl WatchParams {
    /// Checks the bounds.
    ///
    /// # Errors
    /// Names the first setting that is out of bounds, and the bounds.
    pub fn check(self) -> Result<CheckedWatchParams, WatchParamsError> {
        let checks = [
            ("window_secs", self.window_secs.to_string(), (1..=86_400).contains(&self.window_secs), "1 to 86400"),
            ("warmup_windows", self.warmup_windows.to_string(), self.warmup_windows >= 2, "2 or more"),
            (
                "chance_max",
                self.chance_max.to_string(),
                self.chance_max > 0.0 && self.chance_max <= 0.01,
                "a chance above 0, at most 0.01",
            ),
            (
                "findings_per_day_max",
                self.findings_per_day_max.to_string(),
                (1..=100_000).contains(&self.findings_per_day_max),
                "1 to 100000",
            ),
            (
                "templates_max",
                self.templates_max.to_string(),
                (2..=1 << 20).contains(&self.templates_max),
                "2 to 1048576",
            ),
        ];
        match checks.into_iter().find(|check| !check.2) {
            Some((name, value, _, bounds)) => Err(WatchParamsError { name, value, bounds }),
            None => Ok(CheckedWatchParams(self)),
        }
    }
}

/// What a stream did that it does not do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogFinding {
    /// Event time, nanoseconds since 1970: the line, or the end of the window.
    pub at_ns: i64,
    /// Id of the template.
    pub template: u64,
    /// 0..=1: how far beyond the limit, for ranking.
    pub score: f64,
    /// What happened.
    pub kind: LogFindingKind,
}

/// The four things a [`StreamWatch`] reports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum LogFindingKind {
    /// First sight of the template in a stream that is not young.
    NewTemplate {
        /// Severity number of the line, OpenTelemetry's (17 and above: error).
        severity: u8,
    },
    /// A regular template has stopped while the stream goes on.
    Vanished {
        /// Lines per window before.
        expected: f64,
        /// Windows of the living stream without one.
        windows: u32,
    },
    /// Far more lines than ever of late.
    Surge {
        /// Lines in the window.
        rate: f64,
        /// Lines per window before.
        expected: f64,
    },
    /// The usual successor no longer follows.
    Reordered {
        /// Template that used to follow.
        usual: u64,
        /// Template that follows now.
        now: u64,
    },
}

/// Severity number from which OpenTelemetry speaks of errors.
const SEVERITY_ERROR: u8 = 17;
/// Smoothing of rates: about the last hundred windows count.
const SMOOTHING: f64 = 0.02;
/// The remembered highest window fades by half in about a week of minutes.
const PEAK_KEEP: f64 = 0.999_93;
/// A surge is at least this many times the highest window of late.
const PEAK_FACTOR: f64 = 1.5;
/// Fewest lines that can be a surge.
const SURGE_LINES_MIN: f64 = 10.0;
/// Fewest windows of silence before a template has vanished.
const SILENT_WINDOWS_MIN: u32 = 5;
/// Fewest windows a template must have been followed for its silence to be news: what an
/// incident of an hour brings along and takes away was never usual.
const SILENT_KNOWN_MIN: u32 = 120;
/// Fewest followers seen before an order is an order.
const FOLLOWERS_MIN: f64 = 50.0;
/// Followers are smoothed over about two hundred.
const FOLLOWERS_KEEP: f64 = 0.995;
/// Windows closed one by one after a gap; a longer gap counts as this one.
const GAP_WINDOWS_MAX: i64 = 256;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Track {
    id: u64,
    last_ns: i64,
    count: u32,
    windows: u32,
    mean: f64,
    spread: f64,
    peak: f64,
    present: f64,
    silent: u32,
    told: bool,
    surging: bool,
    follower: u64,
    followed: f64,
    follower_hits: f64,
    misses: u32,
    order_told: bool,
}

/// Watches one stream. Deterministic, bounded, serialisable.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamWatch {
    params: CheckedWatchParams,
    tracks: Vec<Track>,
    #[serde(skip)]
    slots: HashMap<u64, u32, foldhash::fast::FixedState>,
    window_end_ns: Option<i64>,
    lines: u32,
    windows: u32,
    before: Option<u64>,
    /// New templates per window, smoothed: a stream that coins one a minute is not news.
    novelty: f64,
    coined: u32,
    budget: Budget,
    evicted: u64,
}

impl StreamWatch {
    /// A watch that has seen nothing.
    #[must_use]
    pub fn new(params: CheckedWatchParams) -> Self {
        let budget = Budget::new(params.0.findings_per_day_max);
        Self {
            params,
            tracks: Vec::new(),
            slots: HashMap::default(),
            window_end_ns: None,
            lines: 0,
            windows: 0,
            before: None,
            novelty: 0.0,
            coined: 0,
            budget,
            evicted: 0,
        }
    }

    /// Takes one line. `template` is the stable id, `is_new` what the miner said, `severity`
    /// OpenTelemetry's number. Lines that come late count in the window that is open.
    pub fn observe(&mut self, at_ns: i64, template: u64, is_new: bool, severity: u8, out: &mut Vec<LogFinding>) {
        self.advance(at_ns, out);
        self.lines = self.lines.saturating_add(1);
        let known = self.slot(template);
        let at = known.unwrap_or_else(|| self.add(template));
        let track = &mut self.tracks[at];
        track.count = track.count.saturating_add(1);
        track.last_ns = track.last_ns.max(at_ns);
        if known.is_none() {
            self.coined += 1;
            if is_new {
                self.report_new(at_ns, template, severity, out);
            }
        }
        // A repeated line is a matter of rate, not of order.
        if let Some(before) = self.before.replace(template)
            && before != template
        {
            self.follow(at_ns, before, template, out);
        }
    }

    /// Closes the windows that end at or before `to_ns`.
    pub fn advance(&mut self, to_ns: i64, out: &mut Vec<LogFinding>) {
        let width = i64::from(self.params.0.window_secs) * 1_000_000_000;
        let next = to_ns.div_euclid(width).saturating_add(1).saturating_mul(width);
        let Some(end) = self.window_end_ns else {
            self.window_end_ns = Some(next);
            return;
        };
        if to_ns < end {
            return;
        }
        let due = (to_ns.saturating_sub(end) / width).saturating_add(1);
        for step in 0..due.min(GAP_WINDOWS_MAX) {
            self.close(end.saturating_add(step * width), out);
        }
        self.window_end_ns = Some(next);
    }

    /// About how many bytes it takes beside itself: what follows from the templates that it follows.
    #[must_use]
    pub fn bytes(&self) -> usize {
        // A list grows by doubling; a look-up table holds the id and the place.
        self.tracks.len() * (size_of::<Track>() * 4 / 3 + 20)
    }

    /// Findings that the budget held back.
    #[must_use]
    pub fn shed(&self) -> u64 {
        self.budget.shed()
    }

    /// Templates dropped to make room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    fn is_young(&self) -> bool {
        self.windows < self.params.0.warmup_windows
    }

    fn slot(&mut self, template: u64) -> Option<usize> {
        if self.slots.len() != self.tracks.len() {
            // After a restart: the map is a function of the tracks.
            self.slots = self.tracks.iter().enumerate().map(|(at, track)| (track.id, at as u32)).collect();
        }
        self.slots.get(&template).map(|at| *at as usize)
    }

    fn add(&mut self, template: u64) -> usize {
        let track = Track {
            id: template,
            last_ns: i64::MIN,
            count: 0,
            windows: 0,
            mean: 0.0,
            spread: 0.0,
            peak: 0.0,
            present: 0.0,
            silent: 0,
            told: false,
            surging: false,
            follower: 0,
            followed: 0.0,
            follower_hits: 0.0,
            misses: 0,
            order_told: false,
        };
        let at = if self.tracks.len() < self.params.0.templates_max {
            self.tracks.push(track);
            self.tracks.len() - 1
        } else {
            let oldest =
                (0..self.tracks.len()).min_by_key(|&at| self.tracks[at].last_ns).expect("two templates at least");
            self.slots.remove(&self.tracks[oldest].id);
            self.tracks[oldest] = track;
            self.evicted += 1;
            oldest
        };
        self.slots.insert(template, at as u32);
        at
    }

    /// A new template is news where new ones are rare; an error is news a good deal longer.
    fn report_new(&mut self, at_ns: i64, template: u64, severity: u8, out: &mut Vec<LogFinding>) {
        let rare = if severity >= SEVERITY_ERROR { 1.0 } else { 0.1 };
        if self.is_young() || self.novelty > rare {
            return;
        }
        let score = 1.0 / (1.0 + self.novelty / rare);
        self.report(LogFinding { at_ns, template, score, kind: LogFindingKind::NewTemplate { severity } }, out);
    }

    fn report(&mut self, finding: LogFinding, out: &mut Vec<LogFinding>) {
        if self.budget.take(finding.at_ns) {
            out.push(finding);
        }
    }

    /// Closes one window: rates, surges, silences.
    fn close(&mut self, end_ns: i64, out: &mut Vec<LogFinding>) {
        let alive = self.lines > 0;
        if !alive {
            return;
        }
        let young = self.is_young();
        let chance = self.params.0.chance_max;
        for at in 0..self.tracks.len() {
            let track = &mut self.tracks[at];
            let template = track.id;
            let found = if young { None } else { track.judge(chance) };
            track.close();
            if let Some((score, kind)) = found {
                self.report(LogFinding { at_ns: end_ns, template, score, kind }, out);
            }
        }
        self.novelty += SMOOTHING.max(1.0 / f64::from(self.windows + 1)) * (f64::from(self.coined) - self.novelty);
        self.coined = 0;
        self.lines = 0;
        self.windows = self.windows.saturating_add(1);
    }

    /// Learns what follows what, and reports an order that has changed.
    fn follow(&mut self, at_ns: i64, before: u64, now: u64, out: &mut Vec<LogFinding>) {
        let young = self.is_young();
        let chance = self.params.0.chance_max;
        let Some(at) = self.slot(before) else { return };
        if let Some((score, usual)) = self.tracks[at].follow(now, chance)
            && !young
        {
            let kind = LogFindingKind::Reordered { usual, now };
            self.report(LogFinding { at_ns, template: before, score, kind }, out);
        }
    }
}

impl Track {
    /// Surge or silence of the window that ends, before it is learnt.
    fn judge(&mut self, chance: f64) -> Option<(f64, LogFindingKind)> {
        let count = f64::from(self.count);
        let limit = (-chance.ln()).sqrt() * 2.0;
        let sigma = (self.spread + self.mean + 1.0).sqrt();
        let high = (self.mean + limit * sigma).max(self.peak * PEAK_FACTOR).max(SURGE_LINES_MIN);
        let surging = count > high && self.windows > 0;
        let fresh = surging && !self.surging;
        self.surging = surging || (self.surging && count > self.mean + sigma);
        if fresh {
            let kind = LogFindingKind::Surge { rate: count, expected: self.mean };
            return Some((1.0 - high / (count + high), kind));
        }
        if self.count > 0 {
            self.told = false;
            return None;
        }
        let silent = self.silent + 1;
        let odds = (1.0 - self.present).max(0.02).powi(silent as i32);
        if self.told || silent < SILENT_WINDOWS_MIN || self.windows < SILENT_KNOWN_MIN || odds > chance {
            return None;
        }
        self.told = true;
        Some((self.present, LogFindingKind::Vanished { expected: self.mean, windows: silent }))
    }

    /// Learns the window and starts the next one.
    fn close(&mut self) {
        let count = f64::from(self.count);
        self.windows = self.windows.saturating_add(1);
        self.silent = if self.count > 0 { 0 } else { self.silent.saturating_add(1) };
        let rate = SMOOTHING.max(1.0 / f64::from(self.windows));
        let shown = if self.count > 0 { 1.0 } else { 0.0 };
        // A silence is not learnt before it is told, or it would excuse itself.
        let rate = if self.count == 0 && self.silent > 1 && !self.told { rate * 0.5 } else { rate };
        self.present += rate * (shown - self.present);
        let off = count - self.mean;
        self.mean += rate * off;
        self.spread = (1.0 - rate) * (self.spread + rate * off * off);
        self.peak = (self.peak * PEAK_KEEP).max(count);
        self.count = 0;
    }

    /// Counts one follower; returns the old one when it has been missed too often in a row.
    fn follow(&mut self, now: u64, chance: f64) -> Option<(f64, u64)> {
        let hit = self.follower == now && self.followed > 0.0;
        let share = (self.follower_hits + 1.0) / (self.followed + 2.0);
        self.misses = if hit { 0 } else { self.misses.saturating_add(1) };
        let ordered = self.followed >= FOLLOWERS_MIN && share > 0.9;
        let odds = (1.0 - share).powi(self.misses as i32);
        let broken = ordered && odds < chance && !self.order_told;
        let usual = self.follower;
        self.followed = self.followed * FOLLOWERS_KEEP + 1.0;
        self.follower_hits = self.follower_hits * FOLLOWERS_KEEP + if hit { 1.0 } else { 0.0 };
        if hit {
            self.order_told = false;
        } else if self.follower_hits < self.followed * 0.5 {
            // Majority has moved on: start over with the one that is here now.
            self.follower = now;
            self.followed = 1.0;
            self.follower_hits = 1.0;
            self.misses = 0;
            self.order_told = false;
        }
        if broken {
            self.order_told = true;
            return Some((share, usual));
        }
        None
    }
}

#[cfg(test)]
mod tests;
