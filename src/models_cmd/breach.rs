//! `bellwether models breach --train HISTORY.csv --test OPEN.csv`: whether a ticket will miss its agreement, and
//! how long it will take.

use super::io::{Column, OutputArgs, Table};
use super::tickets::{self, TicketArgs};
use anyhow::Result;
use bellwether_models::desk::{Desk, Timing};
use std::process::ExitCode;

/// `bellwether models breach`
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Writes incident,probability,p50_hours,p90_hours: the chance to miss the agreement (made_sla), and the hours from
opening by which half, and nine in ten, of such tickets are resolved. Reads what `models assign` reads.
Examples:
  bellwether models breach --train history.csv.gz --test open.csv --out breach.csv")]
pub struct BreachArgs {
    /// What is read
    #[command(flatten)]
    pub files: TicketArgs,
    /// Where the output goes
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, a column is missing, a cell is broken or there is nothing to learn from.
pub fn run(args: &BreachArgs) -> Result<ExitCode> {
    let (closed, open) = tickets::read(&args.files)?;
    let answers: Vec<Timing> =
        tickets::ask(&closed, &open, |desk: &Desk, filed| desk.predict(&filed.ticket(), 0).timing);
    let column = |pick: fn(&Timing) -> f64| Column::Float(answers.iter().map(pick).collect());
    let table = Table::default()
        .with("incident", Column::Text(open.iter().map(|filed| filed.incident.clone()).collect()))
        .with("probability", column(|timing| timing.breach))
        .with("p50_hours", column(|timing| timing.p50_hours))
        .with("p90_hours", column(|timing| timing.p90_hours));
    args.output.write(&table)?;
    Ok(ExitCode::SUCCESS)
}
