//! How we fare ourselves: the engines, who reads the incident log, what was shed. For who runs the service.

use bellwether_engine::TenantStats;
use maud::{Markup, html};

use super::now::troubles;
use super::words::{count, said};
use crate::page::points::Totals;
use crate::wiring::figures::EngineFigures;

/// Tenants shown, the largest.
const TENANTS_SHOWN: usize = 50;

/// One reader of the incident log.
pub(crate) struct ReaderRow {
    pub(crate) name: String,
    pub(crate) waiting: u64,
    /// It waits for a person.
    pub(crate) parked: bool,
}

/// Everything that the page shows.
pub(crate) struct System<'s> {
    pub(crate) troubles: &'s [String],
    pub(crate) figures: Option<&'s EngineFigures>,
    pub(crate) readers: &'s [ReaderRow],
    /// Bytes that the page itself has of incidents, and may have.
    pub(crate) model_bytes: (usize, usize),
    /// What it keeps for pictures.
    pub(crate) points: Totals,
    /// Entries read, rows in them, events told, checkpoints.
    pub(crate) done: [(&'static str, u64); 4],
}

/// The page.
pub(crate) fn page(system: &System<'_>) -> Markup {
    let (bytes, bytes_max) = system.model_bytes;
    html! {
        div.head { h1 { "System" } p.soft { "Every figure is at " code { "/metrics" } ", too." } }
        (troubles(system.troubles))
        div.columns.even {
            section.card aria-labelledby="done" {
                h2 #done { "Since the start" }
                dl.facts {
                    @for (name, number) in system.done { dt { (name) } dd { (count(number)) } }
                    dt { "this page knows" } dd { (mebibytes(bytes as u64)) " of " (mebibytes(bytes_max as u64)) }
                    dt { "pictures of" }
                    dd {
                        (count(system.points.series as u64)) " series, " (mebibytes(system.points.bytes as u64)) " of " (mebibytes(system.points.bytes_max as u64))
                        @if system.points.refused > 0 { span.sub { "no room for others: " (count(system.points.refused)) " samples (" code { "page.points_bytes" } ")" } }
                    }
                }
            }
            section.card aria-labelledby="readers" {
                h2 #readers { "Who gets the incidents" }
                div.scroll {
                    table {
                        thead { tr { th { "Receiver" } th { "State" } } }
                        tbody {
                            @for reader in system.readers {
                                tr { td { (said(&reader.name)) } td { @if reader.parked { strong { "waits for a person" } ": " code { "bellwether sinks" } ", " } @if reader.waiting == 0 { "has everything" } @else { (count(reader.waiting)) " records wait for it" } } }
                            }
                        }
                    }
                }
            }
        }
        @if let Some(figures) = system.figures {
            section.card aria-labelledby="tenants" {
                h2 #tenants { "Tenants" span.small { (figures.stats.tenants.len()) } }
                (tenants(figures))
            }
        }
    }
}

fn tenants(figures: &EngineFigures) -> Markup {
    let held = |stats: &TenantStats| stats.bytes.values().sum::<u64>();
    let mut tenants: Vec<(&String, &TenantStats)> = figures.stats.tenants.iter().collect();
    tenants.sort_by_key(|(name, stats)| (std::cmp::Reverse(held(stats)), *name));
    html! {
        div.scroll {
            table.cards {
                thead { tr { th { "Tenant" } th.n { "Series" } th.n { "Log streams" } th.n { "Alerts known" } th.n { "Open" } th.n { "Held" } th { "Shed" } th { "Refused" } } }
                tbody {
                    @for (name, stats) in tenants.into_iter().take(TENANTS_SHOWN) {
                        tr {
                            td { strong { (said(name)) } }
                            td.n data-name="series" { (count(stats.series)) } td.n data-name="log streams" { (count(stats.log_streams)) }
                            td.n data-name="alerts known" { (count(stats.alerts_known)) } td.n data-name="open" { (count(stats.incidents_live)) }
                            td.n data-name="held" { (mebibytes(held(stats))) @if stats.bytes_max > 0 { span.sub { "of " (mebibytes(stats.bytes_max)) } } }
                            td data-name="shed" { (listed(&stats.evicted)) }
                            td data-name="refused" { (listed(&stats.rejected)) }
                        }
                    }
                }
            }
        }
    }
}

fn listed(counts: &std::collections::BTreeMap<String, u64>) -> Markup {
    html! {
        @if counts.values().all(|count| *count == 0) { span.faint { "nothing" } }
        @for (what, number) in counts.iter().filter(|(_, number)| **number > 0) { span.sub { (said(what)) ": " (count(*number)) } }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
