//! Models: whether the alarm budget is kept, how forecasts fared, and what people's words changed.

use std::sync::Arc;

use bellwether_engine::ledger::LessonView;
use bellwether_engine::time::EventTime;
use bellwether_engine::{ForecastTotals, LearnedDelay, TenantStats};
use maud::{Markup, html};

use super::list::address;
use super::tenants::chooser;
use super::words::{ago, bar, count, entity_at, many, percent, said, short};
use crate::page::eye::Unseen;
use crate::page::lately::Standing;
use crate::page::model::Scope;

/// Lessons that are there at once; the rest is behind a click.
const LESSONS_OPEN: usize = 25;
/// Most that are shown.
const LESSONS_MAX: usize = 500;

/// The page.
pub(crate) fn page(
    standing: &Result<Arc<Standing>, Unseen>,
    figures: Option<(&TenantStats, ForecastTotals)>,
    now: EventTime,
    (tenant, tenants, scope): (&str, &[Arc<str>], &Scope),
) -> Markup {
    html! {
        div.head {
            h1 { "Models" }
            p.soft { "What our own detectors may cost people, how right they were, and what was learned from what people said." }
        }
        (chooser("/page/models", tenant, tenants, scope))
        div.columns.even {
            div.stack {
                section.card aria-labelledby="budget" { h2 #budget { "Alarm budget" span.small { "of the last week" } } (budget(figures)) }
                section.card aria-labelledby="bands" { h2 #bands { "Forecasts" } (forecasts(figures)) }
            }
            div.stack {
                section.card aria-labelledby="delays" { h2 #delays { "How long trouble takes" span.small { "along connections, as learned" } } (delays(standing)) }
            }
        }
        section.card aria-labelledby="lessons" {
            h2 #lessons { "What was called false" @if let Ok(standing) = standing { @if !standing.lessons.is_empty() { span.small { (standing.lessons.len()) } } } }
            @match standing {
                Err(why) => { p.soft { (why.to_string()) } }
                Ok(standing) => { (lessons(standing, tenant, now)) }
            }
        }
    }
}

fn budget(figures: Option<(&TenantStats, ForecastTotals)>) -> Markup {
    let Some((stats, _)) = figures else {
        return html! { p.soft { "The engine is starting: it has not counted yet." } };
    };
    let budget = &stats.budget;
    let share = if budget.allowed > 0.0 { budget.spent / budget.allowed } else { 0.0 };
    html! {
        p.lead {
            strong { (format!("{:.1}", budget.spent)) } " of " (format!("{:.1}", budget.allowed)) " false incidents spent"
            @if share > 1.0 { ": " strong.left.over { "not kept" } } @else { ": kept" }
        }
        (bar(share, "spent"))
        dl.facts {
            dt { "Opened by us" } dd { (many(budget.opened, "incident")) " that our own detectors opened" }
            dt { "Called false" } dd { (count(budget.called_false)) }
        }
        p.small.soft { "One that is called false counts whole, one that nobody acted on counts half. When the budget is spent, our detectors ask for more before they open another (" code { "correlate.false_per_day" } ")." }
    }
}

fn forecasts(figures: Option<(&TenantStats, ForecastTotals)>) -> Markup {
    let Some((_, totals)) = figures else {
        return html! { p.soft { "The engine is starting: it has not counted yet." } };
    };
    html! {
        @if totals.bands_checked == 0 {
            p.soft { "No band's hour has come yet. " (many(totals.watched, "resource")) " watched, " (count(totals.running_out)) " expected to run out." }
        } @else {
            p.lead { strong { (percent(totals.bands_held as f64 / totals.bands_checked as f64)) } " of " (many(totals.bands_checked, "band")) " held the level; 80 % is what they state." }
            (bar(totals.bands_held as f64 / totals.bands_checked as f64, "held"))
            p.small.soft { (many(totals.watched, "resource")) " watched, " (count(totals.running_out)) " expected to run out." }
        }
    }
}

fn delays(standing: &Result<Arc<Standing>, Unseen>) -> Markup {
    let known = |delay: &&LearnedDelay| delay.delay.is_some();
    html! {
        @match standing {
            Err(why) => { p.soft { (why.to_string()) } }
            Ok(standing) if standing.delays.iter().all(|delay| !known(&delay)) => {
                p.soft { "Not enough incidents are over to say. " (many(standing.judged as u64, "pair")) " of alerts judged by people so far." }
            }
            Ok(standing) => {
                dl.facts {
                    @for learned in standing.delays.iter().filter(known) {
                        dt { (learned.relation.name().replace('_', " ")) @if learned.along { ", onward" } @else { ", back" } }
                        dd {
                            @if let Some(delay) = &learned.delay { (format!("half within {:.0} s, nine of ten within {:.0} s", delay.p50_s, delay.p90_s)) }
                            span.sub { (format!("{:.0} seen", learned.support)) }
                        }
                    }
                }
                p.small.soft { (many(standing.judged as u64, "pair")) " of alerts judged by people." }
            }
        }
    }
}

fn lessons(standing: &Standing, tenant: &str, now: EventTime) -> Markup {
    let shown = &standing.lessons[..standing.lessons.len().min(LESSONS_MAX)];
    let (open, rest) = shown.split_at(shown.len().min(LESSONS_OPEN));
    let table = |lessons: &[LessonView]| {
        html! {
            div.scroll {
                table.cards {
                    thead { tr { th { "Alert" } th { "On" } th { "Called false by" } th { "In" } th { "Holds" } th.n { "Kept back" } } }
                    tbody {
                        @for one in lessons {
                            tr {
                                td.what { strong { (said(&one.alert)) } @if !one.seen.is_empty() { span.sub { code { (said(&one.seen)) } } } span.sub.faint { "up to " (one.severity.name()) } }
                                td data-name="on" { a href=(entity_at(tenant, &one.entity)) { (said(short(&one.entity))) } }
                                td.tight { (said(&one.who)) span.sub { (ago(one.at, now)) " ago" } }
                                td { a href=(address(&one.incident)) { (said(&one.incident)) } }
                                td.tight { @if one.lasting { "for good" } @else { "while it goes on" } }
                                td.n data-name="kept back" { (count(one.held)) }
                            }
                        }
                    }
                }
            }
        }
    };
    html! {
        @if open.is_empty() { p.soft { "Nothing yet. “It was no incident” on an incident teaches what its alerts are, and they open none by themselves any more." } } @else {
            (table(open))
            @if !rest.is_empty() { details.more data-keep="lessons" { summary { (rest.len()) " more" } (table(rest)) } }
            p.small.soft { "To take one back: the action " code { "retract" } " on its incident." }
        }
    }
}
