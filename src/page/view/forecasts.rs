//! What is expected to run out, and when.

use std::sync::Arc;

use bellwether_engine::ForecastView;
use bellwether_engine::time::{EventTime, Span};
use maud::{Markup, html};

use super::words::{level, moment, percent, said, short, span};
use crate::page::eye::{Forecasts, Unseen};

type Found = Result<Arc<Forecasts>, Unseen>;

/// What runs out later is no news of today.
const SOON: Span = Span::from_hours(7 * 24);
/// Resources named on "Now".
const SOONEST_SHOWN: usize = 6;

/// Those of the next seven days.
pub(crate) fn soonest(found: &Found, now: EventTime, several: bool) -> Markup {
    let soon: Vec<&(String, ForecastView)> =
        found.iter().flat_map(|found| found.iter()).filter(|(_, one)| one.p50 < now.plus(SOON)).collect();
    html! {
        section.card aria-labelledby="soon" {
            h2 #soon { "Runs out within seven days" @if !soon.is_empty() { span.small { (soon.len()) } } }
            @match found {
                Err(why) => { p.soft { (why.to_string()) } }
                Ok(_) if soon.is_empty() => { p.soft { "Nothing that is watched." } }
                Ok(_) => {
                    div.scroll {
                        table {
                            thead { tr { th { "What" } th.n { "In" } } }
                            tbody {
                                @for (tenant, one) in soon.iter().take(SOONEST_SHOWN) {
                                    tr {
                                        td { (what(one)) @if several { span.sub { (said(tenant)) } } }
                                        td.n { (away(one.p50, now)) span.sub { (away(one.p10, now)) " – " (one.p90.map_or_else(|| "never".to_owned(), |at| away(at, now))) } }
                                    }
                                }
                            }
                        }
                    }
                    p.small { a href="/page/forecasts" { "All forecasts" } }
                }
            }
        }
    }
}

/// The whole list.
pub(crate) fn page(found: &Found, now: EventTime, several: bool) -> Markup {
    html! {
        div.head {
            h1 { "Forecasts" }
            p.soft {
                "What is watched for its end (disks, memory, certificates, quotas), the soonest first. Of ten bands one is missed early and "
                "one late; the last column says how many of those stated for a series have held so far."
            }
        }
        section.card {
            @match found {
                Err(why) => { p.soft { (why.to_string()) } }
                Ok(found) if found.is_empty() => { p.soft { "Nothing that is watched is expected to run out." } }
                Ok(found) => { (table(found, now, several)) }
            }
        }
    }
}

fn table(found: &[(String, ForecastView)], now: EventTime, several: bool) -> Markup {
    // Every fan has one scale, so that they can be compared.
    let far = found.iter().map(|(_, one)| one.p90.unwrap_or(one.p50)).max().unwrap_or(now);
    let scale = far.since(now).as_secs_f64().max(1.0);
    let share = |at: EventTime| (at.since(now).as_secs_f64() / scale).clamp(0.0, 1.0) * 100.0;
    html! {
        div.scroll {
            table.cards {
                thead {
                    tr {
                        th { "What" } @if several { th { "Tenant" } }
                        th.n { "Runs out in" } th { "From early to late" } th.n { "Level" } th.n { "Limit" } th.n { "Held" }
                    }
                }
                tbody {
                    @for (tenant, one) in found {
                        tr data-row=(format!("{}/{}", one.entity, one.metric)) {
                            td { (what(one)) @if one.alerting { " " span.pill.open { "an alert says so" } } }
                            @if several { td data-name="tenant" { (said(tenant)) } }
                            td.n data-name="in" { strong { (away(one.p50, now)) } span.sub { (moment(one.p50, now)) } }
                            td {
                                svg.fan viewBox="0 0 100 12" preserveAspectRatio="none" role="img"
                                    aria-label={ "between " (away(one.p10, now)) " and " (one.p90.map_or_else(|| "never".to_owned(), |at| away(at, now))) } {
                                    rect.track y="4" width="100" height="4" {}
                                    rect.band x=(share(one.p10)) y="2" height="8" width=((one.p90.map_or(100.0, share) - share(one.p10)).max(0.6)) {}
                                    rect.mid x=(share(one.p50)) y="0" width="1" height="12" {}
                                }
                                span.sub { (away(one.p10, now)) " – " (one.p90.map_or_else(|| "never".to_owned(), |at| away(at, now))) }
                            }
                            td.n data-name="level" { (shown(one, one.level)) }
                            td.n data-name="limit" { (shown(one, one.limit)) }
                            td.n data-name="held" { @if one.bands_checked == 0 { "–" } @else { (one.bands_held) " of " (one.bands_checked) } }
                        }
                    }
                }
            }
        }
    }
}

/// Those of one entity, in a few words each.
pub(crate) fn brief(found: &[(String, ForecastView)], now: EventTime) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th { "What" } th.n { "In" } th.n { "Level" } } }
                tbody {
                    @for (_, one) in found {
                        tr {
                            td { (said(&one.metric)) @if one.alerting { " " span.pill.open { "an alert says so" } } span.sub { (labels(one)) } }
                            td.n { strong { (away(one.p50, now)) } span.sub { (away(one.p10, now)) " – " (one.p90.map_or_else(|| "never".to_owned(), |at| away(at, now))) } }
                            td.n { (shown(one, one.level)) span.sub { "of " (shown(one, one.limit)) } }
                        }
                    }
                }
            }
        }
    }
}

fn labels(one: &ForecastView) -> String {
    said(&one.labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
}

fn what(one: &ForecastView) -> Markup {
    html! {
        strong { (said(short(&one.entity))) }
        span.sub { (said(&one.metric)) " " (labels(one)) }
    }
}

fn away(at: EventTime, now: EventTime) -> String {
    if at > now { span(at.since(now)) } else { "now".to_owned() }
}

fn shown(one: &ForecastView, value: f64) -> String {
    if one.limit_of.is_some() { percent(value) } else { level(value) }
}
