//! The sources whose rows come at other times than they are dated: what is known of their clocks, and what
//! of theirs waits.
//!
//! Most sources never get here: a row whose time is near its arrival is judged by two comparisons. Who is
//! here has a *lane* ([`Lane`]) for its late samples, and what the time of arrival tells of its clock:
//!
//! - Nothing arrives before it happens. A row from the future shows how far its clock is ahead, at once.
//! - A row from the past may have been kept back. Only when the quickest rows of two minutes running are
//!   late by the same is it the clock (or a delay as constant as one), and corrected.
//! - A row that is plausible as it is, is taken as it is: the clock has been mended.
//!
//! A correction stands until it is contradicted, so that times of one source keep their distances.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::lane::Lane;
use crate::clock::Bounds;
use crate::origin::{ClockView, Origin, SourceClass};
use crate::sense::Sample;
use crate::signal::cut_to;
use crate::time::{EventTime, Span};

/// Bytes of all sources of a tenant: four thousand of them. Further ones share one entry.
const BYTES_MAX: usize = 1 << 20;
/// Longest name that is kept, in bytes; the rest is cut off.
const NAME_BYTES_MAX: usize = 128;
/// Series known to be of such sources: 2 MiB. Of further ones only rows off their time are looked at.
const SERIES_MAX: usize = 1 << 16;
/// The quickest row of each such span tells how far a clock is off.
const WINDOW: Span = Span::from_mins(1);
/// Two windows that differ by less, or by less than a tick, tell the same.
const ALIKE: Span = Span::from_secs(5);
/// A source that has sent nothing off its time for this long has a right clock, or has gone.
const FORGOTTEN_AFTER: Span = Span::from_mins(10);
/// A source that is behind by less is told of nobody: it may as well be its queue.
const BEHIND_TOLD: Span = Span::from_secs(30);
/// Names of sources with skewed clocks that are told: the worst.
const TOLD_MAX: usize = 10;

/// One source.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Source {
    class: SourceClass,
    name: Box<str>,
    /// How far its clock is ahead, as it is corrected; negative when it is behind.
    ahead: Span,
    /// Since when.
    since: EventTime,
    window: Window,
    /// When the last of its rows came that was off its time.
    heard: EventTime,
    lane: Lane,
}

/// How far the quickest row of a minute was ahead of its arrival, and that of the minute before.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Window {
    from: EventTime,
    most: Span,
    before: Option<Span>,
}

/// All sources of a tenant that are off their time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Sources {
    #[serde(with = "crate::serial::sorted_map")]
    table: HashMap<u64, Source, foldhash::fast::FixedState>,
    /// The source of each series that had a row off its time.
    #[serde(with = "crate::serial::sorted_map")]
    series: HashMap<u64, u64, foldhash::fast::FixedState>,
    /// Of all names.
    bytes: usize,
    /// Samples in lanes.
    waiting: usize,
    /// Sources that found no room.
    refused: u64,
    /// When it was last looked who can be forgotten.
    swept: EventTime,
}

/// The source that those share that find no room.
const SHARED: u64 = 0;

/// A place in the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SourceId(u64);

impl Sources {
    /// Whether rows of this series may be off their time although they look right.
    pub(super) fn knows(&self, series: u64) -> bool {
        !self.series.is_empty() && self.series.contains_key(&series)
    }

    /// The source of a series that had a row off its time.
    pub(super) fn of_series(&self, series: u64) -> Option<SourceId> {
        self.series.get(&series).copied().filter(|id| self.table.contains_key(id)).map(SourceId)
    }

    /// Notes whose a series is that has a row off its time.
    pub(super) fn note_series(&mut self, series: u64, id: SourceId) {
        if self.series.len() < SERIES_MAX {
            self.series.insert(series, id.0);
        }
    }

    /// The source of this origin; `now` is when it is met.
    pub(super) fn meet(&mut self, origin: Origin<'_>, now: EventTime) -> SourceId {
        let name = cut_to(origin.name, NAME_BYTES_MAX);
        let id = xxh3_64_with_seed(name.as_bytes(), origin.class as u64).max(SHARED + 1);
        if self.table.contains_key(&id) {
            return SourceId(id);
        }
        let fits = (self.table.len() + 1) * size_of::<Source>() + self.bytes + name.len() <= BYTES_MAX;
        if fits {
            self.bytes += name.len();
            self.table.insert(id, Source::new(origin.class, name, now));
            return SourceId(id);
        }
        self.refused += 1;
        self.table.entry(SHARED).or_insert_with(|| Source::new(origin.class, "others", now));
        SourceId(SHARED)
    }

    /// What kind of thing a source is.
    pub(super) fn class(&self, id: SourceId) -> SourceClass {
        self.table.get(&id.0).map_or(SourceClass::Entity, |source| source.class)
    }

    /// The time of a row dated `at`, by what is known of its source's clock; `floor` is the watermark. Without
    /// a time of arrival it is what it says.
    pub(super) fn time_of(&mut self, id: SourceId, at: EventTime, floor: EventTime, bounds: &Bounds) -> EventTime {
        let Some(arrival) = bounds.arrival else {
            if let Some(source) = self.table.get_mut(&id.0) {
                source.heard = source.heard.max(floor);
            }
            return at;
        };
        // Those that share an entry have a clock each.
        if id.0 == SHARED {
            return if at > bounds.latest { arrival } else { at };
        }
        self.table.get_mut(&id.0).map_or(at, |source| source.time_of(at, arrival, floor, bounds))
    }

    /// A late sample waits in the lane of its source.
    pub(super) fn wait(
        &mut self,
        id: SourceId,
        sample: Sample,
        (floor, lateness): (EventTime, Span),
        out: &mut impl FnMut(EventTime, Sample),
    ) {
        if let Some(source) = self.table.get_mut(&id.0) {
            let before = source.lane.len();
            source.lane.push(sample, floor, lateness, out);
            self.waiting = self.waiting + source.lane.len() - before;
        }
    }

    /// The source is as far as the others: what it had late acts now.
    pub(super) fn caught_up(&mut self, id: SourceId, floor: EventTime, out: &mut impl FnMut(EventTime, Sample)) {
        if let Some(source) = self.table.get_mut(&id.0).filter(|source| source.lane.len() > 0) {
            self.waiting -= source.lane.len();
            source.lane.empty(floor, out);
        }
    }

    /// Lets go what waits for sources that are silent, where that acts before `until`.
    pub(super) fn release(&mut self, until: EventTime, lateness: Span, out: &mut impl FnMut(EventTime, Sample)) {
        if self.waiting == 0 {
            return;
        }
        for source in self.table.values_mut() {
            if let Some(acts) = source.lane.idle_at(lateness).filter(|acts| *acts < until) {
                self.waiting -= source.lane.len();
                source.lane.empty(acts, out);
            }
        }
    }

    /// Forgets sources of which nothing was off its time for long. Asked at each tick.
    pub(super) fn sweep(&mut self, now: EventTime) {
        if self.table.is_empty() || now.since(self.swept) < WINDOW {
            return;
        }
        self.swept = now;
        let before = self.table.len();
        let bytes = &mut self.bytes;
        self.table.retain(|id, source| {
            let stays = source.lane.len() > 0 || now.since(source.heard) < FORGOTTEN_AFTER;
            if !stays && *id != SHARED {
                *bytes -= source.name.len();
            }
            stays
        });
        if self.table.len() < before {
            let table = &self.table;
            self.series.retain(|_, source| table.contains_key(source));
        }
    }

    /// About how many bytes they take, with the samples in lanes.
    pub(super) fn bytes(&self) -> usize {
        let known = self.table.len() * size_of::<Source>() + self.series.len() * 2 * size_of::<u64>();
        known + self.bytes + self.waiting * Sample::WAITING_BYTES
    }

    /// Samples in lanes.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Sources that found no room.
    pub(super) fn refused(&self) -> u64 {
        self.refused
    }

    /// How many clocks are corrected, and the worst of them.
    pub(super) fn skewed(&self) -> (u64, Vec<ClockView>) {
        let is_off = |source: &&Source| source.ahead > Span::ZERO || source.ahead.0 <= -BEHIND_TOLD.0;
        let mut skewed: Vec<&Source> = self.table.values().filter(is_off).collect();
        skewed.sort_by(|a, b| {
            let far = |source: &Source| source.ahead.0.unsigned_abs();
            (far(b), a.class.name(), &a.name).cmp(&(far(a), b.class.name(), &b.name))
        });
        let count = skewed.len() as u64;
        let view = |source: &Source| ClockView {
            class: source.class,
            name: source.name.to_string(),
            ahead: source.ahead,
            since: source.since,
        };
        (count, skewed.into_iter().take(TOLD_MAX).map(view).collect())
    }
}

impl Source {
    fn new(class: SourceClass, name: &str, now: EventTime) -> Source {
        Source {
            class,
            name: name.into(),
            ahead: Span::ZERO,
            since: now,
            window: Window { from: now, most: Span(i64::MIN), before: None },
            heard: now,
            lane: Lane::default(),
        }
    }

    fn time_of(&mut self, at: EventTime, arrival: EventTime, floor: EventTime, bounds: &Bounds) -> EventTime {
        let ahead = at.since(arrival);
        if self.ahead != Span::ZERO || at < floor || at > bounds.latest {
            self.heard = arrival;
        }
        if let Some((most, alike)) = self.window.note(ahead, arrival, ALIKE.max(bounds.every)) {
            self.settle(most, alike, arrival, bounds);
        }
        let mended = if self.ahead > Span::ZERO { at <= bounds.sane } else { at >= floor && at <= bounds.latest };
        if mended {
            self.correct(Span::ZERO, arrival);
        }
        let time = at.minus(self.ahead);
        if time <= bounds.latest {
            return time;
        }
        self.correct(middle(ahead, bounds), arrival);
        at.minus(self.ahead)
    }

    /// What a minute says: its quickest row was `most` ahead, as that of the minute before where `alike`.
    fn settle(&mut self, most: Span, alike: bool, arrival: EventTime, bounds: &Bounds) {
        let slack = ALIKE.max(bounds.every);
        let off = Span(most.0.saturating_sub(self.ahead.0));
        // Behind what is corrected: set back a little, for rows that are ahead cannot be late.
        let less_ahead = self.ahead > Span::ZERO && most > bounds.every && off < Span(-slack.0);
        let behind = alike && most < Span::ZERO && (off.0.abs() > slack.0 || self.ahead == Span::ZERO);
        if less_ahead || behind {
            self.correct(middle(most, bounds), arrival);
        }
    }

    fn correct(&mut self, ahead: Span, now: EventTime) {
        if (self.ahead == Span::ZERO) != (ahead == Span::ZERO) {
            self.since = now;
        }
        self.ahead = ahead;
    }
}

/// What a row says that came between two ticks: it is ahead of the first by up to their distance, though its
/// clock were right.
fn middle(ahead: Span, bounds: &Bounds) -> Span {
    Span(ahead.0.saturating_sub(bounds.every.0 / 2))
}

impl Window {
    /// Notes a row; when a minute is over, answers what its quickest row said and whether the minute before
    /// said the same.
    fn note(&mut self, ahead: Span, now: EventTime, alike: Span) -> Option<(Span, bool)> {
        let passed = now.since(self.from);
        if passed < WINDOW {
            self.most = self.most.max(ahead);
            return None;
        }
        let most = std::mem::replace(&mut self.most, ahead);
        self.from = now;
        if passed >= WINDOW.times(3) || most.0 == i64::MIN {
            self.before = None;
            return None;
        }
        let before = self.before.replace(most);
        Some((most, before.is_some_and(|before| most.0.abs_diff(before.0) <= alike.0.unsigned_abs())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::testing::at;

    const LATENESS: Span = Span::from_secs(10);

    /// Rows of one source each second from 0 on, `behind` late; answers how far the source is then ahead.
    fn after(secs: i64, behind: impl Fn(i64) -> i64) -> (i64, Sources) {
        let (mut clock, mut sources) = (Clock::default(), Sources::default());
        clock.tick(at(-5));
        for second in 0..secs {
            if second % 5 == 0 {
                clock.tick(at(second));
            }
            let bounds = clock.bounds(LATENESS);
            let now = bounds.arrival.expect("two ticks");
            let id = sources.meet(Origin::tool("one"), now);
            sources.time_of(id, at(second - behind(second)), now.minus(LATENESS), &bounds);
        }
        let ahead = sources.table.values().next().expect("it was met").ahead;
        (ahead.0 / 1_000_000_000, sources)
    }

    #[test]
    fn a_constant_delay_is_a_clock_and_a_queue_that_empties_is_none() {
        assert!((-602..=-598).contains(&after(200, |_| 600).0));
        assert_eq!(after(60, |_| 600).0, 0, "a minute says nothing");
        assert_eq!(after(300, |second| 600 - second).0, 0);
    }

    #[test]
    fn a_fast_clock_is_known_at_once_and_a_mended_one_as_well() {
        assert!((415..=425).contains(&after(1, |_| -420).0), "to within a tick");
        let set_back_a_little = after(400, |second| if second < 100 { -420 } else { -100 }).0;
        assert!((95..=105).contains(&set_back_a_little), "{set_back_a_little}");
        assert_eq!(after(200, |second| if second < 150 { -420 } else { 0 }).0, 0);
    }

    #[test]
    fn who_finds_no_room_shares_an_entry_and_who_is_right_for_long_is_forgotten() {
        let mut sources = Sources::default();
        for number in 0..20_000 {
            sources.meet(Origin::tool(&format!("tool {number}")), at(0));
        }
        let most = BYTES_MAX / size_of::<Source>();
        assert!(sources.table.len() <= most + 1 && sources.refused() > 0);
        assert_eq!(sources.meet(Origin::tool("one more"), at(0)), SourceId(SHARED));
        sources.sweep(at(599));
        assert!(sources.table.len() > 1);
        sources.sweep(at(660));
        assert_eq!((sources.table.len(), sources.bytes), (0, 0));
    }
}
