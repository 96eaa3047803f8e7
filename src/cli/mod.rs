//! The command line: one struct per command beside the function that runs it.
//!
//! Results go to stdout, everything about them to stderr. A command says in its help what a
//! tired person needs: what it does, an example, and what it leaves behind.

mod schema;
pub mod simulate;
mod validate;

use anyhow::Result;
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand};

use crate::exit::{EXIT_CODES, Exit};
use crate::{logging, progress};

/// Watches metrics, logs, alerts, changes and topology, and says early and once what is
/// going wrong, why, whom it hurts and who should act.
#[derive(Debug, Parser)]
#[command(name = "bellwether", version, max_term_width = 100, after_help = EXIT_CODES)]
#[command(propagate_version = true, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Global {
    /// Say more on stderr (-v: state changes, -vv: everything)
    #[arg(long, short, global = true, action = ArgAction::Count, help_heading = "Everywhere")]
    verbose: u8,
    /// Say only errors on stderr, show no progress
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = "Everywhere")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Validate(validate::ValidateArgs),
    Schema(schema::SchemaArgs),
    Simulate(simulate::SimulateArgs),
}

impl Cli {
    /// Runs what was asked for.
    ///
    /// # Errors
    /// Whatever the command could not do, with the remedy.
    pub fn run(self) -> Result<Exit> {
        logging::start(self.global.verbose, self.global.quiet);
        progress::set_quiet(self.global.quiet);
        match self.command {
            Command::Validate(args) => validate::run(&args),
            Command::Schema(args) => schema::run(&args),
            Command::Simulate(args) => simulate::run(&args),
        }
    }
}

/// The whole command tree, for tests and documents that must not name what is not there.
pub fn command_tree() -> clap::Command {
    Cli::command()
}
