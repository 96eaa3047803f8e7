//! Bellwether: the command line, configuration and wiring.

use std::io::Write as _;
use std::process::ExitCode;

use bellwether::cli::Cli;
use bellwether::exit::{Exit, exit_of, is_closed_pipe};
use bellwether::term::{Ink, Term};
use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => Exit::Ok.into(),
        Err(error) => {
            let term = Term::stderr();
            // Nobody is left to tell when stderr itself is gone.
            let _ = writeln!(std::io::stderr(), "{} {error:#}", term.paint(Ink::Red, "error:"));
            exit_of(&error).into()
        }
    }
}
