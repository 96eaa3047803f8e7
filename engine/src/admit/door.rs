//! The door: rows come in, are checked, and wait for the watermark.
//!
//! Lateness is decided row by row against the watermark as it stands, so that the cut does not depend on how
//! rows were batched. What is late acts as of the watermark, so that nothing
//! is lost for it; what is dated in the future acts as of its arrival. Samples have an order of their own to
//! keep (`samples.rs`).

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::pending::Pending;
use super::room::WaitingRoom;
use crate::action::Action;
use crate::catalogue::Catalogue;
use crate::clock::Bounds;
use crate::compiled::Compiled;
use crate::event::{Event, OwnedChange, OwnedEdge};
use crate::origin::{Dated, Fate, Origin};
use crate::planted::{self, Bug};
use crate::sense::{LogLine, SeriesMeta, Shards};
use crate::signal::{AlertColumns, Batch, ChangeColumns, EdgeColumns, LogColumns, SeriesColumns, SignalKind};
use crate::stats::TenantStats;
use crate::time::EventTime;

/// Lets the entries of one tenant in.
pub(crate) struct Door<'a> {
    pub(crate) waiting: &'a mut WaitingRoom,
    pub(crate) shards: &'a mut Shards,
    pub(crate) stats: &'a mut TenantStats,
    pub(crate) compiled: &'a Compiled,
    /// What event times are measured against.
    pub(crate) bounds: Bounds,
    /// Bytes that all series may take.
    pub(crate) series_bytes_max: usize,
}

impl Door<'_> {
    /// Takes a batch in.
    pub(crate) fn batch(&mut self, batch: &Batch) {
        self.stats.signals_received(batch.kind(), batch.len() as u64);
        match batch.kind() {
            SignalKind::Series => self.series(batch),
            SignalKind::Metric => self.metrics(batch),
            SignalKind::Log => self.logs(batch),
            SignalKind::Alert => self.alerts(batch),
            SignalKind::Change => self.changes(batch),
            SignalKind::Edge => self.edges(batch),
        }
    }

    /// Takes a catalogue in.
    pub(crate) fn catalogue(&mut self, at: EventTime, catalogue: &Arc<Catalogue>) {
        // A catalogue describes the world from before the first signal on; it moves no clock.
        let time = at.max(self.waiting.released);
        self.waiting.push(Pending::new(time, Event::Catalogue(catalogue.clone()), 0));
    }

    /// Takes an operator's or a bridge's word in.
    pub(crate) fn action(&mut self, at: EventTime, action: &Action) {
        let time = self.see(Dated::Action, at, || Origin::tool("actions"));
        let key = xxh3_64(format!("{action:?}").as_bytes());
        self.waiting.push(Pending::new(time, Event::Action(Box::new(action.clone())), key));
    }

    /// Where the watermark stands.
    pub(super) fn floor(&self) -> EventTime {
        self.waiting.watermark(self.compiled.config.lateness)
    }

    /// Notes that something is dated `at`, by whom where that matters; answers the time at which it acts.
    fn see<'o>(&mut self, what: Dated, at: EventTime, origin: impl Fn() -> Origin<'o>) -> EventTime {
        let (bounds, floor) = (self.bounds, self.floor());
        let mut time = at.plus(bounds.ahead);
        if time < floor || time > bounds.latest {
            let (origin, sources) = (origin(), &mut self.waiting.sources);
            let id = sources.meet(origin, bounds.arrival.unwrap_or(floor));
            let fate = if time < floor { Fate::Behind } else { Fate::Ahead };
            self.stats.off_time.add(what, origin.class, fate, 1);
            if planted::has(Bug::LateActsInThePast) && fate == Fate::Behind {
                return time;
            }
            time = sources.time_of(id, time, floor, &bounds).max(floor);
        }
        self.waiting.see(time, bounds.moves_to);
        time
    }

    fn believes(&mut self, at: EventTime) -> bool {
        let limits = &self.compiled.config.limits;
        let fits = at >= limits.time_min && at <= limits.time_max;
        if !fits {
            self.stats.reject("time out of range");
        }
        fits
    }

    /// Leaves out what is longer than any connector sends.
    fn fits(&mut self, fits: bool) -> bool {
        if !fits {
            self.stats.reject("too long");
        }
        fits
    }

    fn series(&mut self, batch: &Batch) {
        let columns = SeriesColumns::of(batch);
        for row in 0..columns.len() {
            let series = columns.row(row);
            if !self.fits(series.fits()) {
                continue;
            }
            if self.shards.series_bytes() >= self.series_bytes_max && !self.shards.knows(series.series) {
                self.stats.reject("no memory for series");
                continue;
            }
            let (sense, series_max) = (&self.compiled.sense, self.compiled.config.limits.series_max);
            if !self.shards.describe(series.series, || SeriesMeta::of(&series), sense, series_max) {
                self.stats.reject("too many series");
            }
        }
    }

    fn logs(&mut self, batch: &Batch) {
        let shared = Arc::new(batch.clone());
        let columns = LogColumns::of(&shared);
        for row in 0..columns.len() {
            let at = EventTime(columns.time[row]);
            if !self.believes(at) || !self.fits(columns.fits(row)) {
                continue;
            }
            let attributes = columns.attributes(row);
            let whose = || Origin::of(columns.entity(row), |name| attributes.get(name));
            let time = self.see(Dated::Signal(SignalKind::Log), at, whose);
            let line = LogLine::new(&shared, &columns, row, time);
            self.shards.push_line(line);
        }
    }

    fn alerts(&mut self, batch: &Batch) {
        let shared = Arc::new(batch.clone());
        let columns = AlertColumns::of(&shared);
        for row in 0..columns.len() {
            let at = EventTime(columns.time[row]);
            if !self.believes(at) || !self.fits(columns.fits(row)) {
                continue;
            }
            if columns.status(row).is_none() {
                self.stats.reject("unknown alert status");
                continue;
            }
            if planted::has(Bug::LateLeftOut) && at.plus(self.bounds.ahead) < self.floor() {
                continue;
            }
            let time = self.see(Dated::Signal(SignalKind::Alert), at, || Origin::tool(columns.source(row)));
            let (alert, off) = (columns.fingerprint[row], at.plus(self.bounds.ahead).since(time));
            let time = self.waiting.order.place(alert, time, off, self.bounds.sane);
            self.waiting.push(Pending::new(time, Event::Alert(shared.clone(), row as u32), alert));
        }
    }

    fn changes(&mut self, batch: &Batch) {
        let columns = ChangeColumns::of(batch);
        for row in 0..columns.len() {
            let change = columns.row(row);
            if !self.believes(change.time) || !self.fits(change.fits()) {
                continue;
            }
            let time = self.see(Dated::Signal(SignalKind::Change), change.time, || Origin::tool("changes"));
            let key = xxh3_64(change.id.as_bytes());
            let own = |text: Option<&str>| text.map(Into::into);
            let event = Event::Change(Box::new(OwnedChange {
                id: change.id.into(),
                change_type: change.change_type.into(),
                entity: change.entity.into(),
                artifact: own(change.artifact),
                who: own(change.who),
                url: own(change.url),
                text: own(change.text),
            }));
            self.waiting.push(Pending::new(time, event, key));
        }
    }

    fn edges(&mut self, batch: &Batch) {
        let columns = EdgeColumns::of(batch);
        for row in 0..columns.len() {
            let Some(edge) = columns.row(row) else {
                self.stats.reject("unknown relation");
                continue;
            };
            if !self.believes(edge.time) || !self.fits(edge.fits()) {
                continue;
            }
            let time = self.see(Dated::Signal(SignalKind::Edge), edge.time, || Origin::tool(edge.source));
            let key = xxh3_64(format!("{}|{}|{}", edge.from, edge.to, edge.source).as_bytes());
            let event = Event::Edge(Box::new(OwnedEdge {
                from: edge.from.into(),
                to: edge.to.into(),
                relation: edge.relation,
                source: edge.source.into(),
                confidence: edge.confidence,
            }));
            self.waiting.push(Pending::new(time, event, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::config::EngineConfig;
    use crate::signal::{AlertBuilder, AlertRow, AlertStatus, EdgeBuilder, EdgeRow, Relation, Severity};
    use crate::tenant::Tenant;
    use crate::testing::at;
    use crate::time::TIME_SECS_MAX;

    struct Entrance {
        tenant: Tenant,
        compiled: Compiled,
        clock: Clock,
    }

    impl Entrance {
        fn new(settings: serde_json::Value) -> Entrance {
            let config: EngineConfig = serde_json::from_value(settings).expect("they are settings");
            let tenant = Tenant::new("acme", &config);
            let compiled = Compiled::new(config, crate::compiled::Workers::default()).expect("they can be used");
            Entrance { tenant, compiled, clock: Clock::default() }
        }

        fn take(&mut self, batch: &Batch) {
            self.tenant.door(&self.compiled, self.clock.bounds(self.compiled.config.lateness)).batch(batch);
        }

        fn alert(&mut self, time: EventTime, status: AlertStatus) {
            let mut builder = AlertBuilder::new();
            let (source, name, entity, severity) = ("test", "Slow", "host:a", Severity::Major);
            let (labels, annotations, starts_at, ends_at, url) = (&[][..], &[][..], time, None, None);
            let fingerprint = 7;
            builder.push(&AlertRow {
                time,
                source,
                name,
                entity,
                severity,
                status,
                fingerprint,
                labels,
                annotations,
                starts_at,
                ends_at,
                url,
            });
            self.take(&builder.finish("acme").expect("the tenant is plain"));
        }

        /// The times at which what waits acts, in order.
        fn waiting(&self) -> Vec<EventTime> {
            let mut times: Vec<EventTime> = self.tenant.waiting.iter().map(|pending| pending.time).collect();
            times.sort_unstable();
            times
        }
    }

    #[test]
    fn what_is_late_acts_as_of_the_watermark_and_is_counted_by_whose_clock_dated_it() {
        let mut entrance = Entrance::new(serde_json::json!({"lateness": "10s"}));
        entrance.alert(at(100), AlertStatus::Firing);
        entrance.alert(at(20), AlertStatus::Resolved);
        assert_eq!(entrance.waiting(), [at(90), at(100)]);
        let counted: Vec<_> = entrance.tenant.tables.stats.off_time.iter().collect();
        assert_eq!(counted, [("alert", "tool", "behind", 1)]);
    }

    #[test]
    fn what_is_dated_in_the_future_acts_as_of_its_arrival_and_holds_nothing_up() {
        let mut entrance = Entrance::new(serde_json::json!({"lateness": "10s"}));
        for secs in [0, 5, 10] {
            entrance.clock.tick(at(secs));
        }
        entrance.alert(at(430), AlertStatus::Firing);
        let [acts] = entrance.waiting()[..] else { panic!("one waits") };
        assert!((at(5)..=at(15)).contains(&acts), "{acts}");
        assert!(entrance.tenant.waiting.max_seen <= at(15));
        let (count, told) = entrance.tenant.waiting.clocks();
        assert_eq!((count, told[0].name.as_str()), (1, "test"));
    }

    #[test]
    fn a_time_that_is_not_believed_moves_no_watermark() {
        let mut entrance = Entrance::new(serde_json::json!({}));
        entrance.alert(EventTime::from_secs(TIME_SECS_MAX + 1), AlertStatus::Firing);
        entrance.alert(EventTime::from_secs(60), AlertStatus::Firing);
        assert!(entrance.waiting().is_empty());
        assert_eq!(entrance.tenant.waiting.max_seen, EventTime::MIN);
        assert_eq!(entrance.tenant.tables.stats.rejected["time out of range"], 2);
    }

    #[test]
    fn a_series_beyond_the_limit_is_refused_and_one_that_is_known_is_not() {
        let mut entrance = Entrance::new(serde_json::json!({"limits": {"series_max": 1}}));
        for name in ["cpu", "cpu", "disk"] {
            let mut series = crate::signal::SeriesBuilder::new();
            series.push(name, "host:a", "1", crate::signal::SeriesType::Gauge, &[]);
            entrance.take(&series.finish("acme").expect("the tenant is plain"));
        }
        assert_eq!(entrance.tenant.shards.series(), 1);
        assert_eq!(entrance.tenant.tables.stats.rejected["too many series"], 1);
    }

    #[test]
    fn what_describes_the_world_acts_before_what_happens_in_it_at_the_same_instant() {
        let mut entrance = Entrance::new(serde_json::json!({}));
        entrance.alert(at(10), AlertStatus::Firing);
        let mut edges = EdgeBuilder::new();
        let (from, to, relation, source) = ("service:a", "service:b", Relation::Calls, "cmdb");
        edges.push(&EdgeRow { time: at(10), from, to, relation, source, confidence: 1.0 });
        entrance.take(&edges.finish("acme").expect("the tenant is plain"));
        let stretch = entrance.tenant.waiting.stretch(at(11), Vec::new(), Vec::new());
        assert!(matches!(stretch[0].event, Event::Edge(_)) && matches!(stretch[1].event, Event::Alert(..)));
        assert_eq!(entrance.tenant.waiting.len(), 0);
    }
}
