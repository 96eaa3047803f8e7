//! The command line: one struct per command beside the function that runs it.
//!
//! Results go to stdout, everything about them to stderr. A command says in its help what a
//! tired person needs: what it does, an example, and what it leaves behind.

mod beside;
mod check;
mod completions;
mod conform;
mod counters;
mod demo;
mod demo_report;
mod demo_ticket;
mod explain;
mod forecasts;
mod incidents;
mod init;
mod inputs;
mod lessons;
mod man;
mod models;
mod open_state;
mod page;
mod process;
pub mod read_back;
mod replay;
mod report;
mod run;
mod schema;
pub mod simulate;
mod sinks;
mod state_folder;
mod status;
mod tap;
mod tickets;
mod told;
mod topology;
mod validate;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand};

use crate::exit::EXIT_CODES;
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
    /// Say only errors on stderr, show no progress and no status
    #[arg(long, short, global = true, conflicts_with = "verbose", help_heading = "Everywhere")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Init(init::InitArgs),
    Run(run::RunArgs),
    Replay(replay::ReplayArgs),
    Explain(explain::ExplainArgs),
    Page(page::PageArgs),
    Incidents(incidents::IncidentsArgs),
    Incident(incidents::IncidentArgs),
    Ack(incidents::AckArgs),
    Resolve(incidents::ResolveArgs),
    Assign(incidents::AssignArgs),
    Silence(incidents::SilenceArgs),
    Validate(validate::ValidateArgs),
    Check(check::CheckArgs),
    Sinks(sinks::SinksArgs),
    Tickets(tickets::TicketsArgs),
    Tap(tap::TapArgs),
    Topology(topology::TopologyArgs),
    Forecasts(forecasts::ForecastsArgs),
    Lessons(lessons::LessonsArgs),
    Report(report::ReportArgs),
    Conform(conform::ConformArgs),
    Schema(schema::SchemaArgs),
    /// Use the models alone, on files: detect, forecast, templates, groups, causes, assign, breach, similar and more
    #[command(subcommand)]
    Models(models::Models),
    /// Measure the models on labelled data, public or your own, beside peers and floors
    Eval(crate::eval::EvalArgs),
    Tune(crate::tune::TuneArgs),
    Simulate(simulate::SimulateArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

impl Cli {
    /// Runs what was asked for.
    ///
    /// # Errors
    /// Whatever the command could not do, with the remedy.
    pub fn run(self) -> Result<ExitCode> {
        logging::start(self.global.verbose, self.global.quiet);
        progress::set_quiet(self.global.quiet);
        match self.command {
            Command::Demo(args) => demo::run(&args).map(ExitCode::from),
            Command::Init(args) => init::run(&args).map(ExitCode::from),
            Command::Completions(args) => completions::run(&args).map(ExitCode::from),
            Command::Man(args) => man::run(&args).map(ExitCode::from),
            Command::Explain(args) => explain::run(&args).map(ExitCode::from),
            Command::Incidents(args) => incidents::list(&args).map(ExitCode::from),
            Command::Incident(args) => incidents::show(&args).map(ExitCode::from),
            Command::Ack(args) => incidents::ack(&args).map(ExitCode::from),
            Command::Resolve(args) => incidents::resolve(&args).map(ExitCode::from),
            Command::Assign(args) => incidents::assign(&args).map(ExitCode::from),
            Command::Silence(args) => incidents::silence(&args).map(ExitCode::from),
            Command::Page(args) => page::run(&args).map(ExitCode::from),
            Command::Run(args) => run::run(&args).map(ExitCode::from),
            Command::Replay(args) => replay::run(&args).map(ExitCode::from),
            Command::Forecasts(args) => forecasts::run(&args).map(ExitCode::from),
            Command::Conform(args) => conform::run(&args).map(ExitCode::from),
            Command::Lessons(args) => lessons::run(&args).map(ExitCode::from),
            Command::Report(args) => report::run(&args).map(ExitCode::from),
            Command::Topology(args) => topology::run(&args).map(ExitCode::from),
            Command::Sinks(args) => sinks::run(&args).map(ExitCode::from),
            Command::Tickets(args) => tickets::run(&args).map(ExitCode::from),
            Command::Tap(args) => tap::run(&args).map(ExitCode::from),
            Command::Check(args) => check::run(&args).map(ExitCode::from),
            Command::Validate(args) => validate::run(&args).map(ExitCode::from),
            Command::Models(command) => command.run(),
            Command::Eval(args) => crate::eval::run(&args),
            Command::Tune(args) => crate::tune::run(&args),
            Command::Schema(args) => schema::run(&args).map(ExitCode::from),
            Command::Simulate(args) => simulate::run(&args).map(ExitCode::from),
        }
    }
}

/// The whole command tree, for tests and documents that must not name what is not there.
pub fn command_tree() -> clap::Command {
    Cli::command()
}
