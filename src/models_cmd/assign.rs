//! `bellwether models assign --train HISTORY.csv --test OPEN.csv`: which group will resolve a ticket.

use super::io::{Column, OutputArgs, Table};
use super::tickets::{self, TicketArgs};
use anyhow::Result;
use bellwether_models::desk::Desk;
use std::process::ExitCode;

/// Groups told for each ticket.
pub const RANKS: usize = 5;

/// `bellwether models assign`
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Writes incident,rank,group,confidence: five groups a ticket, best first.
Read of HISTORY: incident, updated_at, opened_at, closed_at, resolved_at, made_sla, assignment_group and what tells
something: category, subcategory, symptom, location, caller, opened_by, priority, contact_type, cmdb_ci. A ticket
teaches from its closed_at on.
Examples:
  bellwether models assign --train history.csv.gz --test open.csv --out groups.csv")]
pub struct AssignArgs {
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
pub fn run(args: &AssignArgs) -> Result<ExitCode> {
    let (closed, open) = tickets::read(&args.files)?;
    let (mut incidents, mut ranks, mut groups, mut confidences) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let answers = tickets::ask(&closed, &open, |desk: &Desk, filed| -> Vec<(String, f64)> {
        let said = desk.predict(&filed.ticket(), RANKS).groups;
        said.into_iter().map(|said| (said.group.to_owned(), said.confidence)).collect()
    });
    for (filed, said) in open.iter().zip(answers) {
        for (rank, (group, confidence)) in (1..).zip(said) {
            incidents.push(filed.incident.clone());
            ranks.push(rank);
            groups.push(group);
            confidences.push(confidence);
        }
    }
    let table = Table::default()
        .with("incident", Column::Text(incidents))
        .with("rank", Column::Int(ranks))
        .with("group", Column::Text(groups))
        .with("confidence", Column::Float(confidences));
    args.output.write(&table)?;
    Ok(ExitCode::SUCCESS)
}
