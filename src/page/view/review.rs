//! A report: what a period was like, as a page and as a file that stands alone.

use std::collections::BTreeMap;

use bellwether_engine::time::{EventTime, Span};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::words::{bar, count, many, percent, said, span};
use crate::page::assets;
use crate::report::date;
use crate::review::{Asked, BINS, Calibration, Promise, Review, Rule, Spread};

/// A kind that is rarer is not drawn.
const KINDS_SHOWN: usize = 12;
/// Days that are drawn.
const DAYS_MAX: i64 = 92;
const DAY: Span = Span::from_hours(24);

/// The form that asks for a report, with what was asked.
pub(crate) fn form(asked: &Asked, tenants: &[std::sync::Arc<str>], query: &str) -> Markup {
    let last = asked.until.minus(Span(1));
    html! {
        section.card.noprint aria-label="What is asked for" {
            form.search.ask method="get" action="/page/reports" {
                @if tenants.len() > 1 {
                    label { "Tenant"
                        select name="tenant" {
                            option value="" { "all of them" }
                            @for one in tenants { option value=(one) selected[asked.tenant.as_deref() == Some(&**one)] { (said(one)) } }
                        }
                    }
                }
                label { "From" input type="date" name="from" value=(date(asked.from)); }
                label { "To, that day too" input type="date" name="to" value=(date(last)); }
                label { "Team or queue" input type="text" name="team" maxlength="200" value=[asked.team.as_deref()]; }
                label { "Service or entity" input type="text" name="service" maxlength="200" value=[asked.service.as_deref()]; }
                button.main { "Show" }
            }
            div.actions {
                a.button href={ "/page/reports.csv?" (query) } { "As CSV" }
                a.button href={ "/page/reports.html?" (query) } { "As a file" }
            }
        }
    }
}

/// The report itself, `left_out` being incidents that are not known any more, with the form that asks for another.
pub(crate) fn body(review: &Review, asked: &Asked, left_out: u64, form: &Markup) -> Markup {
    html! {
        div.head {
            h1 { "Report " (date(asked.from)) " to " (date(asked.until.minus(Span(1)))) }
            p.soft {
                "Incidents that were told in that time" @if let Some(tenant) = &asked.tenant { ", of tenant " strong { (said(tenant)) } }
                @if let Some(team) = &asked.team { ", owned by " strong { (said(team)) } }
                @if let Some(service) = &asked.service { ", that hurt " strong { (said(service)) } }
                ". Days are of UTC."
            }
        }
        (form)
        @if left_out > 0 { p.notice { (many(left_out, "incident")) " that ended long ago is not kept here any more (" code { "page.memory_bytes" } "): " code { "bellwether report" } " reads the incident log itself." } }
        (summary(review))
        div.columns.even {
            div.stack {
                (took("How fast trouble was seen", "detect", "from the first symptom to the first word on it", &review.detect))
                (took("How fast somebody took it", "acknowledge", "from the first revision", &review.acknowledge))
                (took("How fast it was over", "resolve", "from the first revision", &review.resolve))
            }
            div.stack {
                (promises(review))
                (kinds("By priority", &review.priorities))
                (kinds("By cause class", &review.classes))
                (kinds("By owner", &review.teams))
            }
        }
        (days(review, asked))
        (rules(&review.rules))
        div.columns.even {
            div.stack { (confidence(&review.calibration)) }
            div.stack { (forecasts(review)) }
        }
    }
}

/// A file that needs nothing beside itself.
pub(crate) fn file(review: &Review, asked: &Asked, left_out: u64) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Report " (date(asked.from)) " · Bellwether" }
                style { (PreEscaped(assets::STYLE.text())) }
            }
            body { main { (body(review, asked, left_out, &html! {})) } }
        }
    };
    page.into_string()
}

fn summary(review: &Review) -> Markup {
    let fact =
        |name: &str, value: String, more: String| html! { div { dt { (name) } dd { (value) span.sub { (more) } } } };
    let share =
        |part: u64| if review.incidents == 0 { String::new() } else { percent(part as f64 / review.incidents as f64) };
    let mean = |spread: &Spread| if spread.count == 0 { "–".to_owned() } else { span(spread.mean) };
    html! {
        section.card aria-labelledby="summary" {
            h2 #summary { "In short" }
            dl.clocks {
                (fact("Incidents", count(review.incidents), format!("{} open", count(review.open))))
                (fact("MTTD", mean(&review.detect), "mean time to detect".to_owned()))
                (fact("MTTA", mean(&review.acknowledge), "to acknowledge".to_owned()))
                (fact("MTTR", mean(&review.resolve), "to resolve".to_owned()))
                (fact("Less to read", review.noise_reduction().map_or_else(|| "–".to_owned(), percent), format!("of {}", many(review.notifications, "notification"))))
                (fact("After a change", count(review.by_change), share(review.by_change)))
                (fact("Reopened", count(review.reopened), many(review.reopenings, "time")))
                (fact("Called false", count(review.called_false), share(review.called_false)))
                (fact("Nobody acted", count(review.untouched), "ended by themselves".to_owned()))
            }
        }
    }
}

fn took(title: &str, id: &str, about: &str, spread: &Spread) -> Markup {
    html! {
        section.card aria-labelledby=(id) {
            h2 id=(id) { (title) span.small { (about) } }
            @if spread.count == 0 { p.soft { "None of which both ends are known." } } @else {
                p {
                    "Half within " strong { (span(spread.p50)) } ", nine of ten within " strong { (span(spread.p90)) }
                    "; mean " (span(spread.mean)) ", longest " (span(spread.longest)) ", of " (count(spread.count)) "."
                }
                (histogram(spread))
            }
        }
    }
}

fn histogram(spread: &Spread) -> Markup {
    let most = spread.bins.iter().copied().max().unwrap_or(1).max(1) as f64;
    let wide = 320.0 / BINS.len() as f64;
    let words: Vec<String> = BINS
        .iter()
        .zip(spread.bins)
        .filter(|(_, number)| *number > 0)
        .map(|((_, bin), number)| format!("{number} to {bin}"))
        .collect();
    html! {
        svg.chart.bins viewBox="0 0 320 96" role="img" aria-label=(words.join(", ")) {
            line.axis x1="0" x2="320" y1="78" y2="78" {}
            @for (place, ((_, bin), number)) in BINS.iter().zip(spread.bins).enumerate() {
                @let x = place as f64 * wide;
                @let high = (number as f64 / most * 58.0).max(if number > 0 { 1.5 } else { 0.0 });
                rect.fill x=(round(x + 2.0)) y=(round(78.0 - high)) width=(round(wide - 4.0)) height=(round(high)) {}
                @if number > 0 { text.middle x=(round(x + wide / 2.0)) y=(round(74.0 - high)) { (number) } }
                text.middle x=(round(x + wide / 2.0)) y="91" { (bin) }
            }
        }
    }
}

fn promises(review: &Review) -> Markup {
    let row = |name: &str, promise: &Promise| {
        html! {
            tr {
                td { (name) }
                td.n { (count(promise.kept)) } td.n { (count(promise.running)) } td.n { (count(promise.at_risk)) } td.n { (count(promise.broken)) }
                td.n { (promise.share_kept().map_or_else(|| "–".to_owned(), percent)) }
            }
        }
    };
    html! {
        section.card aria-labelledby="sla" {
            h2 #sla { "Service levels" }
            @if review.respond == Promise::default() && review.mend == Promise::default() {
                p.soft { "No incident had one: the catalogue says what was promised for which service." }
            } @else {
                div.scroll {
                    table {
                        thead { tr { th { "To" } th.n { "Kept" } th.n { "Running" } th.n { "At risk" } th.n { "Broken" } th.n { "Kept, of decided" } } }
                        tbody { (row("answer", &review.respond)) (row("mend", &review.mend)) }
                    }
                }
            }
        }
    }
}

fn kinds(title: &str, kinds: &BTreeMap<String, u64>) -> Markup {
    let mut order: Vec<(&str, u64)> = kinds.iter().map(|(kind, number)| (kind.as_str(), *number)).collect();
    if title != "By priority" {
        order.sort_by_key(|(kind, number)| (std::cmp::Reverse(*number), *kind));
    }
    let most = order.iter().map(|(_, number)| *number).max().unwrap_or(1).max(1) as f64;
    html! {
        @if !order.is_empty() {
            section.card aria-label=(title) {
                h2 { (title) }
                div.funnel.brief {
                    @for (kind, number) in order.iter().take(KINDS_SHOWN) {
                        div { span { (said(kind)) } strong { (count(*number)) } (bar(*number as f64 / most, kind)) }
                    }
                }
                @if order.len() > KINDS_SHOWN { p.small.soft { "and " (order.len() - KINDS_SHOWN) " rarer" } }
            }
        }
    }
}

fn days(review: &Review, asked: &Asked) -> Markup {
    let first = asked.from.0.div_euclid(DAY.0).max((asked.until.0 - 1).div_euclid(DAY.0) - DAYS_MAX + 1);
    let last = (asked.until.0 - 1).div_euclid(DAY.0);
    let number = (last - first + 1).max(1) as f64;
    let most = review.days.values().copied().max().unwrap_or(0).max(1) as f64;
    let wide = 960.0 / number;
    html! {
        @if last > first && !review.days.is_empty() {
            section.card aria-labelledby="days" {
                h2 #days { "Incidents by day" span.small { "at most " (most) } }
                div.scroll {
                    svg.chart.days viewBox="0 0 960 110" role="img" aria-label={ "incidents by day, at most " (most) } {
                        line.axis x1="0" x2="960" y1="92" y2="92" {}
                        @for (day, incidents) in review.days.range(first..=last) {
                            @let high = *incidents as f64 / most * 78.0;
                            rect.fill x=(round((day - first) as f64 * wide + wide * 0.1)) y=(round(92.0 - high)) width=(round(wide * 0.8)) height=(round(high)) {
                                title { (date(EventTime(day * DAY.0))) ": " (incidents) }
                            }
                        }
                        text x="0" y="106" { (date(EventTime(first * DAY.0))) }
                        text.end x="960" y="106" { (date(EventTime(last * DAY.0))) }
                    }
                }
            }
        }
    }
}

fn rules(rules: &[(String, Rule)]) -> Markup {
    html! {
        @if !rules.is_empty() {
            section.card aria-labelledby="rules" {
                h2 #rules { "Rules that were in most incidents" span.small { "and whether anybody acted on them" } }
                div.scroll {
                    table.cards {
                        thead { tr { th { "Rule" } th.n { "Incidents" } th.n { "Alerts" } th.n { "Nobody acted" } th.n { "Called false" } } }
                        tbody {
                            @for (name, rule) in rules {
                                tr {
                                    td.what { strong { (said(name)) } }
                                    td.n data-name="incidents" { (count(rule.incidents)) }
                                    td.n data-name="alerts" { (count(rule.alerts)) }
                                    td.n data-name="nobody acted" { (count(rule.untouched)) span.sub { (percent(rule.untouched as f64 / rule.incidents.max(1) as f64)) } }
                                    td.n data-name="called false" { (count(rule.called_false)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn confidence(classes: &[Calibration]) -> Markup {
    html! {
        section.card aria-labelledby="confidence" {
            h2 #confidence { "Confidence against outcome" }
            @if classes.iter().all(|class| class.judged == 0) {
                p.soft { "Nobody has named a cause: “That was it” and “It was something else” on an incident say how right the engine is." }
            } @else {
                div.scroll {
                    table {
                        thead { tr { th { "It was so sure" } th.n { "Judged" } th.n { "Right" } th { "Share that was right" } } }
                        tbody {
                            @for class in classes.iter().filter(|class| class.judged > 0) {
                                @let right = class.right as f64 / class.judged as f64;
                                tr {
                                    td { (percent(class.mean())) }
                                    td.n { (count(class.judged)) }
                                    td.n { (count(class.right)) }
                                    td { (percent(right)) (bar(right, "right")) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn forecasts(review: &Review) -> Markup {
    html! {
        section.card aria-labelledby="foretold" {
            h2 #foretold { "Forecasts" }
            p {
                (many(review.forecasts, "incident")) " told that something runs out"
                @if review.forecasts_false > 0 { ", " (count(review.forecasts_false)) " of them called false" } "."
            }
            p.small.soft { "How often stated bands held the level is on the page “Models”: it is counted for as long as series are watched, not by period." }
        }
    }
}

fn round(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}
