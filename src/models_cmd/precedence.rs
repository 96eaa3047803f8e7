//! `bellwether models precedence ALERTS.csv [--topology FILE]`: which types of
//! alert come before which, learned from a history of alerts.
//!
//! Output: `from,to,share,surprise`, the most surprising first; with `--roots`
//! `type,explained,alerts`, the types that nothing explains first. The columns
//! of the input are found as `models groups` finds them.

use super::groups::{AlertColumns, hash, in_order, rows};
use super::io::{Column, OutputArgs, Table};
use super::text_table::TextTable;
use super::topology::Topology;
use anyhow::Result;
use bellwether_models::group::{NO_ENTITY, Occurrence, Precedence, PrecedenceParams};
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bellwether models precedence`
#[derive(Debug, Clone, clap::Args)]
pub struct PrecedenceArgs {
    /// A history of alerts as CSV with a header, or - for stdin
    #[arg(value_name = "ALERTS.csv")]
    pub alerts: PathBuf,
    /// Edges, as `models groups` reads them
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// Write the types instead, those first that no other type explains
    #[arg(long)]
    pub roots: bool,
    /// How long before an alert another may have come to explain it
    #[arg(long, value_name = "SECONDS", default_value_t = PrecedenceParams::default().lag_ns / 1_000_000_000,
          value_parser = clap::value_parser!(i64).range(1..=86_400))]
    pub lag: i64,
    /// Columns of the file
    #[command(flatten)]
    pub columns: AlertColumns,
    /// Where and how to write
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Runs the command.
///
/// # Errors
/// For unreadable input, a missing column, a broken cell, or output that
/// cannot be written.
pub fn run(args: &PrecedenceArgs) -> Result<ExitCode> {
    let alerts = rows(&args.columns, &TextTable::read(&args.alerts)?)?;
    let mut topology = args.topology.as_deref().map(Topology::read).transpose()?.unwrap_or_default();
    let (mut names, mut counts) = (HashMap::new(), HashMap::new());
    let mut history = Vec::with_capacity(alerts.len());
    for at in in_order(&alerts) {
        let alert = &alerts[at];
        let kind = hash(&[&alert.kind]) as u32;
        names.entry(kind).or_insert_with(|| alert.kind.clone());
        *counts.entry(kind).or_insert(0_i64) += 1;
        let entity = if alert.entity.is_empty() { NO_ENTITY } else { topology.number(&alert.entity) };
        history.push(Occurrence { time_ns: alert.time_ns, kind, entity });
    }
    let params = PrecedenceParams { lag_ns: args.lag * 1_000_000_000, ..PrecedenceParams::default() };
    let learned = Precedence::learn(&params, &history, &topology);
    let name = |kind: &u32| names.get(kind).cloned().unwrap_or_default();
    let table = if args.roots {
        let roots = learned.roots(learned.kinds());
        let explained = roots.iter().map(|kind| learned.explained(*kind).unwrap_or(f64::NAN)).collect();
        let alerts = roots.iter().map(|kind| counts.get(kind).copied().unwrap_or(0)).collect();
        Table::default()
            .with("type", Column::Text(roots.iter().map(name).collect()))
            .with("explained", Column::Float(explained))
            .with("alerts", Column::Int(alerts))
    } else {
        let links = learned.links();
        Table::default()
            .with("from", Column::Text(links.iter().map(|link| name(&link.from)).collect()))
            .with("to", Column::Text(links.iter().map(|link| name(&link.to)).collect()))
            .with("share", Column::Float(links.iter().map(|link| link.share).collect()))
            .with("surprise", Column::Float(links.iter().map(|link| link.surprise).collect()))
    };
    args.output.write(&table)?;
    Ok(ExitCode::SUCCESS)
}
