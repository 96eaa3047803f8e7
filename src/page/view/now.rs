//! "Now": the state of everything in five seconds.

use std::sync::Arc;

use bellwether_engine::ClockView;
use bellwether_engine::incident::{IncidentStatus, Priority};
use bellwether_engine::time::{EventTime, Span};
use maud::{Markup, html};

use super::forecasts::soonest;
use super::list::{incidents, left_out};
use super::words::{ago, count, many, said, span};
use crate::page::eye::{Forecasts, Unseen};
use crate::page::funnel::Counts;
use crate::page::model::Listed;
use crate::wiring::figures::EngineFigures;

/// Sources named whose clocks are off.
const CLOCKS_NAMED: usize = 3;

/// Everything that the page shows.
pub(crate) struct Now<'n> {
    pub(crate) now: EventTime,
    pub(crate) live: &'n Listed,
    pub(crate) over: &'n Listed,
    pub(crate) counts: Counts,
    /// Since when they count.
    pub(crate) since: Option<EventTime>,
    /// What one tenant has, or all.
    pub(crate) watched: Watched,
    pub(crate) troubles: &'n [String],
    pub(crate) forecasts: &'n Result<Arc<Forecasts>, Unseen>,
    pub(crate) several: bool,
}

/// How much is watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    pub(crate) series: u64,
    pub(crate) streams: u64,
    pub(crate) entities: u64,
    pub(crate) clocks_off: u64,
    /// Those that are furthest off, in words.
    pub(crate) clocks: Vec<String>,
    /// False incidents of a week: spent and allowed.
    pub(crate) budget: (f64, f64),
}

impl Watched {
    /// Of a tenant, or of all.
    pub(crate) fn of(figures: &EngineFigures, tenant: Option<&str>) -> Watched {
        let stats = match tenant {
            Some(tenant) => figures.stats.tenants.get(tenant).cloned().unwrap_or_default(),
            None => figures.stats.total.clone(),
        };
        let entities = figures.watched.iter().filter(|(name, _)| tenant.is_none_or(|tenant| tenant == **name));
        Watched {
            series: stats.series,
            streams: stats.log_streams,
            entities: entities.map(|(_, totals)| totals.entities).sum::<u64>().max(stats.entities),
            clocks_off: stats.clocks_skewed,
            clocks: stats.clocks.iter().take(CLOCKS_NAMED).map(off).collect(),
            budget: (stats.budget.spent, stats.budget.allowed),
        }
    }
}

/// How far a source's clock is off.
fn off(clock: &ClockView) -> String {
    let (way, by) = if clock.ahead >= Span::ZERO { ("ahead", clock.ahead) } else { ("behind", Span(-clock.ahead.0)) };
    format!("{} is {} {way}", clock.name, span(by))
}

/// The page.
pub(crate) fn page(now: &Now<'_>) -> Markup {
    html! {
        h1.quiet { "Now" }
        (state(now))
        (troubles(now.troubles))
        div.columns.late {
            div.stack {
            section.card aria-labelledby="open" {
                h2 #open { "Open incidents" @if now.live.total > 0 { span.small { (count(now.live.total as u64)) } } }
                @if now.live.lines.is_empty() {
                    p.soft { "None. What happens appears here by itself, the most urgent first." }
                } @else {
                    (incidents(&now.live.lines, now.now, now.several))
                    (left_out(now.live))
                }
            }
            (over(now))
            }
            div.stack {
                (funnel(now))
                (soonest(now.forecasts, now.now, now.several))
                (doors(now))
            }
        }
        (refreshed())
    }
}

fn over(now: &Now<'_>) -> Markup {
    html! {
        @if !now.over.lines.is_empty() {
            section.card aria-labelledby="over" {
                h2 #over { "Lately over" }
                (incidents(&now.over.lines, now.now, now.several))
            }
        }
    }
}

/// Who has no script gets the page anew by hand.
fn refreshed() -> Markup {
    html! { noscript { p.small.soft { "Without its script this page does not follow what happens: load it again to see what is new." } } }
}

/// One sentence.
fn state(now: &Now<'_>) -> Markup {
    let live = &now.live.lines;
    let untaken = live.iter().filter(|line| line.status == IncidentStatus::Open).count();
    let urgent = live.iter().filter(|line| line.priority <= Priority::P2).count();
    let late = live.iter().filter(|line| line.sla.next(line.status).is_some_and(|(_, at)| at < now.now));
    let late = late.count();
    let class = match (urgent, now.live.total) {
        (1.., _) => "bad",
        (0, 1..) => "warn",
        _ => "good",
    };
    html! {
        div class={ "state " (class) } {
            p.lead {
                @if now.live.total == 0 {
                    strong { "All quiet." } " Nothing is open."
                } @else {
                    strong { (many(now.live.total as u64, "incident")) " open" }
                    @if urgent > 0 { ", " strong { (urgent) } " urgent (P1 or P2)" }
                    ". "
                    @if untaken > 0 {
                        strong { (untaken) } @if untaken == 1 { " waits" } @else { " wait" } " for somebody to take "
                        @if untaken == 1 { "it" } @else { "them" } "."
                    } @else { "Somebody is at each of them." }
                    @if late > 0 { " " strong { (late) } @if late == 1 { " is" } @else { " are" } " past the service level." }
                }
            }
            p.small.soft {
                "Watching " (many(now.watched.entities, "entity").replace("entitys", "entities")) ", "
                (count(now.watched.series)) " series and " (many(now.watched.streams, "log stream"))
                @if now.counts.signals == 0 { ". Nothing has arrived yet: " code { "bellwether check" } " says what is missing" }
                "."
            }
        }
    }
}

/// What is wrong with us.
pub(crate) fn troubles(troubles: &[String]) -> Markup {
    html! {
        @if !troubles.is_empty() {
            div.trouble role="alert" {
                strong { "Trouble of our own" }
                ul { @for trouble in troubles { li { (said(trouble)) } } }
            }
        }
    }
}

/// How much less `few` are than `many`: never more than it is.
fn less(few: u64, many: u64) -> String {
    let share = 1.0 - (few as f64 / many.max(1) as f64).min(1.0);
    format!("{:.1} %", (share * 1_000.0).floor() / 10.0)
}

fn funnel(now: &Now<'_>) -> Markup {
    let Counts { signals, alerts, repeated, suppressed, incidents, .. } = now.counts;
    let heard = alerts + repeated;
    let share =
        |part: u64| if signals == 0 { 0.0 } else { ((part as f64 + 1.0).ln() / (signals as f64 + 1.0).ln()).min(1.0) };
    let step = |name: &str, number: u64| {
        html! {
            div {
                span { (name) } strong { (count(number)) }
                svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" {
                    rect.track width="100" height="8" {}
                    rect.fill width=((share(number) * 100.0).round()) height="8" {}
                }
            }
        }
    };
    html! {
        section.card aria-labelledby="funnel" {
            h2 #funnel {
                "What came of it"
                span.small {
                    @match now.since {
                        Some(since) => { "in the last " (span(now.now.since(since))) }
                        None => { "since the beginning" }
                    }
                }
            }
            div.funnel {
                (step("Signals", signals)) (step("Alert notifications", heard)) (step("Alerts", alerts)) (step("Incidents", incidents))
            }
            @if heard > 0 {
                p.small.soft {
                    (less(incidents, heard)) " less to read"
                    @if suppressed > 0 { "; " (many(suppressed, "alert")) " held back by silences, maintenance or what explains them" }
                    "."
                }
            }
            @if now.watched.budget.1 > 0.0 {
                p.small.soft {
                    "False incidents this week: " (format!("{:.1}", now.watched.budget.0)) " of "
                    (format!("{:.1}", now.watched.budget.1)) " allowed."
                }
            }
        }
    }
}

fn doors(now: &Now<'_>) -> Markup {
    let Counts { refused, late, .. } = now.counts;
    html! {
        section.card aria-labelledby="doors" {
            h2 #doors { "At the doors" }
            @if refused + late + now.watched.clocks_off == 0 {
                p.soft { "Everything that came was taken in, in time." }
            } @else {
                dl.facts {
                    @if refused > 0 { dt { "refused" } dd { (many(refused, "row")) ", see " code { "rejected.ndjson" } } }
                    @if late > 0 { dt { "too late" } dd { (many(late, "row")) ", left out" } }
                    @if now.watched.clocks_off > 0 { dt { "clocks off" } dd { (many(now.watched.clocks_off, "source")) span.sub { (said(&now.watched.clocks.join("; "))) } } }
                }
            }
            @if let Some(since) = now.since { p.small.faint { "counted for " (ago(since, now.now)) } }
        }
    }
}
