//! The engine's figures of each tenant in Prometheus' text format 0.0.4. Tenants are configured, and every
//! other label is of a closed list: nothing here grows with what senders say. Only the clocks that are
//! furthest off are named, ten at a time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bellwether_connectors::exposition::{head, label_value};
use bellwether_engine::incident::Priority;
use bellwether_engine::{BudgetView, TenantStats, WatchTotals};

use super::figures::EngineFigures;

const PRIORITIES: [Priority; 5] = [Priority::P1, Priority::P2, Priority::P3, Priority::P4, Priority::P5];

type One<T> = (&'static str, &'static str, fn(&T) -> u64);

/// What there is now.
const GAUGES: [One<TenantStats>; 15] = [
    ("series", "Metric series with state.", |t| t.series),
    ("log_streams", "Log streams with state.", |t| t.log_streams),
    ("log_templates", "Log templates.", |t| t.log_templates),
    ("entities_named", "Entities that alerts, the topology or the catalogue name.", |t| t.entities),
    ("topology_edges", "Edges of the topology.", |t| t.topology_edges),
    ("alerts_known", "Alerts remembered.", |t| t.alerts_known),
    ("alerts_shed", "Alerts that fire and are known by their state only: their details had to make room.", |t| {
        t.alerts_shed
    }),
    ("alerts_grouped", "Alerts in groups.", |t| t.alerts_grouped),
    ("changes_known", "Changes remembered.", |t| t.changes),
    ("incidents_kept", "Incidents that are not closed, and candidates.", |t| t.incidents_kept),
    ("incidents_remembered", "Closed incidents remembered, to find similar ones.", |t| t.history),
    ("lessons", "Signs that were called false and are kept back.", |t| t.lessons),
    ("clocks_skewed", "Sources whose clocks are far from the time of arrival, and corrected.", |t| t.clocks_skewed),
    ("incidents_active", "Incidents open or acknowledged, of every priority.", |t| t.incidents_live),
    ("tenant_bytes_max", "Bytes that a tenant may hold in all its tables.", |t| t.bytes_max),
];

/// What was counted.
const COUNTERS: [One<TenantStats>; 17] = [
    ("anomalies_total", "Movements of series that are evidence.", |t| t.evidence),
    ("alerts_sensed_total", "Alerts raised or ended by the engine's own sensing.", |t| t.alerts_sensed),
    ("alerts_fired_total", "Alerts that began to fire.", |t| t.alerts_fired),
    ("alerts_repeated_total", "Rows of alerts that said nothing new.", |t| t.alerts_repeated),
    ("alerts_recovered_total", "Alerts that recovered.", |t| t.alerts_recovered),
    ("alerts_expired_total", "Alerts that recovered because nothing more was heard of them.", |t| t.alerts_expired),
    ("recoveries_unknown_total", "Recoveries of alerts that never fired here.", |t| t.recoveries_unknown),
    ("samples_duplicate_total", "Samples that repeated one already used: left out.", |t| t.duplicates),
    ("stretches_released_early_total", "Times that too much waited for the watermark and was taken early.", |t| {
        t.released_early
    }),
    ("rule_errors_total", "Evaluations of rules that failed.", |t| t.rule_errors),
    ("incidents_opened_total", "Incidents opened.", |t| t.incidents_opened),
    ("incident_revisions_total", "Revisions of incidents told.", |t| t.incident_events),
    ("candidates_transient_total", "Groups whose alerts recovered before they became incidents.", |t| {
        t.candidates_transient
    }),
    ("candidates_light_total", "Looks at groups that did not weigh enough to be incidents.", |t| t.candidates_light),
    ("candidates_taught_total", "Groups of nothing but what was called false before.", |t| t.candidates_taught),
    ("delays_learned_total", "Delays along edges learned from resolved incidents.", |t| t.delays_learned),
    ("actions_unknown_total", "Actions about incidents that are not open, or never were.", |t| t.actions_unknown),
];

type Share = (&'static str, &'static str, fn(&BudgetView) -> f64);

/// What false findings may cost, and do.
const BUDGET: [Share; 4] = [
    ("budget_false_incidents_allowed", "False incidents that a week may have.", |b| b.allowed),
    ("budget_false_incidents_spent", "What the last week cost: false ones whole, those nobody acted on half.", |b| {
        b.spent
    }),
    ("budget_incidents_opened", "Incidents of the last week that our own detectors opened.", |b| b.opened as f64),
    ("budget_incidents_called_false", "Those of them that were called false.", |b| b.called_false as f64),
];

type Many = (&'static str, &'static str, &'static str, fn(&TenantStats) -> &BTreeMap<String, u64>);

/// What was counted by a second label.
const BY: [Many; 4] = [
    ("signals_received_total", "kind", "Rows folded, by kind of signal.", |t| &t.received),
    ("signals_rejected_total", "reason", "Rows the engine refused, by reason.", |t| &t.rejected),
    ("alerts_suppressed_total", "by", "Alerts held back, by mechanism.", |t| &t.suppressed),
    ("table_evicted_total", "table", "What a full table has shed or refused, by table.", |t| &t.evicted),
];

const WATCHED: [One<WatchTotals>; 5] = [
    ("entities", "Entities that anything is known of: measured, logged or named.", |w| w.entities),
    ("forecasts", "Resources watched for running out.", |w| w.forecasts.watched),
    ("forecasts_running_out", "Those that run out within their horizon.", |w| w.forecasts.running_out),
    ("forecast_bands_checked", "Bands of 90 % that forecasts stated and whose hour has come.", |w| {
        w.forecasts.bands_checked
    }),
    ("forecast_bands_held", "Those that held the level.", |w| w.forecasts.bands_held),
];

/// The figures of every tenant.
pub(super) fn exposition(figures: &EngineFigures) -> String {
    let mut out = String::with_capacity(16_384);
    let tenants: Vec<(String, &TenantStats)> =
        figures.stats.tenants.iter().map(|(name, stats)| (label_value(name), stats)).collect();
    head(&mut out, "incidents_open", "gauge", "Incidents open or acknowledged, by priority.");
    for (tenant, stats) in &tenants {
        for priority in PRIORITIES.map(Priority::name) {
            let count = stats.incidents_by_priority.get(priority).copied().unwrap_or(0);
            labelled(&mut out, "incidents_open", tenant, ("priority", priority), count);
        }
    }
    head(&mut out, "tenant_bytes", "gauge", "Bytes held, as estimated from what is in the tables, by table.");
    for (tenant, stats) in &tenants {
        for (table, bytes) in &stats.bytes {
            labelled(&mut out, "tenant_bytes", tenant, ("table", table), *bytes);
        }
    }
    for (kind, families) in [("gauge", &GAUGES[..]), ("counter", &COUNTERS[..])] {
        for (name, help, read) in families {
            head(&mut out, name, kind, help);
            for (tenant, stats) in &tenants {
                let _ = writeln!(out, "bellwether_{name}{{tenant=\"{tenant}\"}} {}", read(stats));
            }
        }
    }
    for (name, help, read) in BUDGET {
        head(&mut out, name, "gauge", help);
        for (tenant, stats) in &tenants {
            let _ = writeln!(out, "bellwether_{name}{{tenant=\"{tenant}\"}} {:.2}", read(&stats.budget));
        }
    }
    for (name, label, help, read) in BY {
        head(&mut out, name, "counter", help);
        for (tenant, stats) in &tenants {
            for (value, count) in read(stats) {
                labelled(&mut out, name, tenant, (label, &word(value)), *count);
            }
        }
    }
    off_time(&mut out, &tenants);
    watched(&mut out, &figures.watched);
    let name = "engine_clock_ahead_seconds";
    head(&mut out, name, "gauge", "How far engine time is ahead of this host's clock, which was set back.");
    let _ = writeln!(out, "bellwether_{name} {:.3}", figures.stats.clock_ahead.as_secs_f64());
    let name = "tenants_refused_total";
    head(&mut out, name, "counter", "Journal entries of tenants beyond the limit, refused.");
    let _ = writeln!(out, "bellwether_{name} {}", figures.stats.tenants_refused);
    out
}

/// Rows whose time is not that of their arrival, and whose clocks are to blame.
fn off_time(out: &mut String, tenants: &[(String, &TenantStats)]) {
    let name = "signals_late_total";
    let help = "Rows later than `engine.lateness`: used (behind), or left out (out_of_order, too_old).";
    head(out, name, "counter", help);
    for (tenant, kind, source, reason, rows) in counted(tenants).filter(|(_, _, _, fate, _)| *fate != AHEAD) {
        let labels = format!("tenant=\"{tenant}\",kind=\"{kind}\",source=\"{source}\",reason=\"{reason}\"");
        let _ = writeln!(out, "bellwether_{name}{{{labels}}} {rows}");
    }
    let name = "signals_ahead_total";
    head(out, name, "counter", "Rows dated in the future: dated as of their arrival.");
    for (tenant, kind, source, _, rows) in counted(tenants).filter(|(_, _, _, fate, _)| *fate == AHEAD) {
        let _ = writeln!(out, "bellwether_{name}{{tenant=\"{tenant}\",kind=\"{kind}\",source=\"{source}\"}} {rows}");
    }
    let name = "clock_ahead_seconds";
    head(out, name, "gauge", "How far a source's clock is ahead, or behind below zero: the ten that are worst.");
    for (tenant, clock) in tenants.iter().flat_map(|(tenant, stats)| stats.clocks.iter().map(move |one| (tenant, one)))
    {
        let (class, source) = (clock.class.name(), label_value(&clock.name));
        let seconds = clock.ahead.as_secs_f64();
        let labels = format!("tenant=\"{tenant}\",class=\"{class}\",source=\"{source}\"");
        let _ = writeln!(out, "bellwether_{name}{{{labels}}} {seconds:.0}");
    }
}

/// The fate of a row from the future.
const AHEAD: &str = "ahead";

type Counted<'a> = (&'a str, &'static str, &'static str, &'static str, u64);

fn counted<'a>(tenants: &'a [(String, &TenantStats)]) -> impl Iterator<Item = Counted<'a>> {
    tenants.iter().flat_map(|(tenant, stats)| {
        let rows = stats.off_time.iter();
        rows.map(move |(kind, source, fate, rows)| (tenant.as_str(), kind, source, fate, rows))
    })
}

fn watched(out: &mut String, tenants: &BTreeMap<String, WatchTotals>) {
    for (name, help, read) in WATCHED {
        head(out, name, "gauge", help);
        for (tenant, totals) in tenants {
            let _ = writeln!(out, "bellwether_{name}{{tenant=\"{}\"}} {}", label_value(tenant), read(totals));
        }
    }
    let name = "forecast_coverage_ratio";
    head(out, name, "gauge", "Share of the bands that held: nine of ten are promised. Absent before the first.");
    let forecasts = tenants.iter().map(|(tenant, totals)| (tenant, &totals.forecasts));
    for (tenant, totals) in forecasts.filter(|(_, totals)| totals.bands_checked > 0) {
        let share = totals.bands_held as f64 / totals.bands_checked as f64;
        let _ = writeln!(out, "bellwether_{name}{{tenant=\"{}\"}} {share:.4}", label_value(tenant));
    }
}

fn labelled(out: &mut String, name: &str, tenant: &str, (label, value): (&str, &str), count: u64) {
    let _ = writeln!(out, "bellwether_{name}{{tenant=\"{tenant}\",{label}=\"{value}\"}} {count}");
}

/// A reason as a label has it: `time_out_of_range`.
fn word(reason: &str) -> String {
    label_value(&reason.replace(' ', "_"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bellwether_engine::time::{EventTime, Span};
    use bellwether_engine::{ClockView, EngineStats, ForecastTotals, SourceClass};

    use super::*;

    #[test]
    fn every_figure_of_a_tenant_is_shown_and_what_is_dropped_has_its_reason() {
        let one = |name: &str, count: u64| BTreeMap::from([(name.to_owned(), count)]);
        let stats = TenantStats {
            incidents_by_priority: one("P2", 3),
            series: 7,
            evidence: 4,
            clocks: vec![ClockView {
                class: SourceClass::Host,
                name: "web\"7".to_owned(),
                ahead: Span::from_secs(-420),
                since: EventTime::from_secs(0),
            }],
            rejected: one("time out of range", 6),
            evicted: one("alerts", 8),
            bytes: BTreeMap::from([("series", 12)]),
            bytes_max: 13,
            budget: BudgetView { allowed: 2.0, spent: 0.5, ..BudgetView::default() },
            ..TenantStats::default()
        };
        let forecasts = ForecastTotals { watched: 9, running_out: 1, bands_checked: 20, bands_held: 18 };
        let totals = WatchTotals { entities: 11, forecasts };
        let figures = EngineFigures {
            stats: EngineStats { tenants: BTreeMap::from([("a\"b".to_owned(), stats)]), ..EngineStats::default() },
            watched: Arc::new(BTreeMap::from([("a\"b".to_owned(), totals)])),
        };
        let text = exposition(&figures);
        for line in [
            "bellwether_incidents_open{tenant=\"a\\\"b\",priority=\"P1\"} 0",
            "bellwether_incidents_open{tenant=\"a\\\"b\",priority=\"P2\"} 3",
            "bellwether_series{tenant=\"a\\\"b\"} 7",
            "bellwether_budget_false_incidents_spent{tenant=\"a\\\"b\"} 0.50",
            "bellwether_anomalies_total{tenant=\"a\\\"b\"} 4",
            "bellwether_clock_ahead_seconds{tenant=\"a\\\"b\",class=\"host\",source=\"web\\\"7\"} -420",
            "bellwether_signals_rejected_total{tenant=\"a\\\"b\",reason=\"time_out_of_range\"} 6",
            "bellwether_table_evicted_total{tenant=\"a\\\"b\",table=\"alerts\"} 8",
            "bellwether_tenant_bytes{tenant=\"a\\\"b\",table=\"series\"} 12",
            "bellwether_tenant_bytes_max{tenant=\"a\\\"b\"} 13",
            "bellwether_entities{tenant=\"a\\\"b\"} 11",
            "bellwether_forecasts{tenant=\"a\\\"b\"} 9",
            "bellwether_forecast_coverage_ratio{tenant=\"a\\\"b\"} 0.9000",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} in {text}");
        }
        let fields = serde_json::to_value(TenantStats::default()).expect("JSON");
        // The open incidents by priority, the budget, rows off their time and clocks have families of their own; how
        // much it may hold is no part of a checkpoint.
        let shown = GAUGES.len() + COUNTERS.len() + BY.len() + 4 - 1;
        assert_eq!(fields.as_object().map(serde_json::Map::len), Some(shown), "a figure that nobody shows");
        let families: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let mut once = families.clone();
        once.dedup();
        assert_eq!(families, once, "each family is told once");
    }
}
