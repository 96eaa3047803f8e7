//! `bellwether forecasts`: what is expected to run out, and when.

use std::io::Write as _;

use anyhow::Result;
use bellwether_engine::time::EventTime;
use bellwether_engine::{Engine, ForecastView};
use clap::Args;

use super::state_folder::StateArgs;
use crate::exit::{Exit, UsageError};
use crate::report::{date_and_time, rough, safe};
use crate::term::{Ink, Lean, Table, Term};

/// Of a date and time, up to the minutes: a forecast is not more exact.
const MINUTES: usize = "2026-03-01 02:03".len();

/// Show what is expected to run out, the soonest first
#[derive(Debug, Args)]
#[command(after_help = "\
Of what `sense.exhaustion` and the conventions of metrics watch (filesystems, memory, certificates)
those whose level will reach its limit, as the newest checkpoint in the folder of a run has it. Of ten
such resources one runs out before the early edge or after the late one; `held` says how many of the
90 % bands stated for this series have held so far. `!` marks those that an alert tells of. Nothing is
changed.

Examples:
  bellwether forecasts -c bellwether.yaml
  bellwether forecasts --from bellwether-state --json | jq 'select(.forecast.alerting)'")]
pub(super) struct ForecastsArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Only this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Print one JSON document a resource
    #[arg(long)]
    json: bool,
}

/// Prints the resources.
///
/// # Errors
/// When there is no checkpoint, or it cannot be read.
pub(super) fn run(args: &ForecastsArgs) -> Result<Exit> {
    let newest = args.state.folder()?.newest()?;
    let tenants = newest.tenants(args.tenant.as_deref()).map_err(UsageError)?;
    let mut found = newest.of_each(&tenants, Engine::forecasts);
    found.sort_by_key(|(_, forecast)| forecast.p50);
    let (mut out, term) = (std::io::stdout().lock(), Term::stdout());
    if args.json {
        for (tenant, forecast) in &found {
            writeln!(out, "{}", newest.document(tenant, "forecast", forecast))?;
        }
        return Ok(Exit::Ok);
    }
    writeln!(out, "{}", term.paint(Ink::Dim, &newest.age(args.tenant.as_deref())))?;
    if found.is_empty() {
        let watched: u64 = newest.engine.watch_totals().values().map(|totals| totals.forecasts.watched).sum();
        writeln!(out, "Nothing is expected to run out; {watched} resources are watched.")?;
        return Ok(Exit::Ok);
    }
    // What it is may be long, and is what somebody looks for: it is not cut.
    let term = Term { width: usize::MAX, ..term };
    write!(out, "{}", table(&found, newest.engine.watermark(), tenants.len() > 1).render(&term, 0))?;
    Ok(Exit::Ok)
}

fn table(found: &[(&str, ForecastView)], now: EventTime, several: bool) -> Table {
    let mut columns = vec![
        ("", Lean::Left),
        ("runs out (UTC)", Lean::Left),
        ("in", Lean::Right),
        ("early", Lean::Right),
        ("late", Lean::Right),
        ("level", Lean::Right),
        ("limit", Lean::Right),
        ("held", Lean::Right),
    ];
    columns.extend(several.then_some(("tenant", Lean::Left)));
    columns.extend([("on", Lean::Left), ("what", Lean::Left)]);
    let mut table = Table::new(&columns);
    let away = |at: EventTime| if at > now { rough(at.since(now)) } else { "now".to_owned() };
    for (tenant, forecast) in found {
        let labels: Vec<String> =
            forecast.labels.iter().map(|(name, value)| format!("{name}={}", safe(value))).collect();
        let of = if labels.is_empty() { String::new() } else { format!(" {}", labels.join(" ")) };
        let held = match forecast.bands_checked {
            0 => "–".to_owned(),
            checked => format!("{}/{checked}", forecast.bands_held),
        };
        let shown = |value: f64| match forecast.limit_of {
            Some(_) => format!("{:.0} %", 100.0 * value),
            None => level(value),
        };
        let mut row = vec![
            if forecast.alerting { "!" } else { "" }.to_owned(),
            date_and_time(forecast.p50).chars().take(MINUTES).collect(),
            away(forecast.p50),
            away(forecast.p10),
            forecast.p90.map_or_else(|| "–".to_owned(), away),
            shown(forecast.level),
            shown(forecast.limit),
            held,
        ];
        row.extend(several.then(|| safe(tenant)));
        row.extend([safe(&forecast.entity), format!("{}{of}", safe(&forecast.metric))]);
        table.row(row);
    }
    table
}

/// A level as people read it: `12.3`, `1.2 G`.
fn level(value: f64) -> String {
    let units = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e4, "")];
    match units.iter().find(|(size, _)| value.abs() >= *size) {
        Some((1e4, _)) => format!("{value:.0}"),
        Some((size, unit)) => format!("{:.1}{unit}", value / size),
        None if value == value.trunc() => format!("{value}"),
        None => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_short() {
        let shown: Vec<String> = [0.0, 12.345, 95.0, 45_678.9, 1.5e9, -2e6].into_iter().map(level).collect();
        assert_eq!(shown, ["0", "12.35", "95", "45679", "1.5 G", "-2.0 M"]);
    }
}
