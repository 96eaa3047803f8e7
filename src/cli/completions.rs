//! `bellwether completions`: the shell knows the commands and their flags.

use std::io::Write as _;

use anyhow::Result;
use clap::Args;
use clap_complete::Shell;

use crate::exit::Exit;

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bellwether completions bash >/etc/bash_completion.d/bellwether
  bellwether completions zsh >~/.zfunc/_bellwether
  bellwether completions fish >~/.config/fish/completions/bellwether.fish")]
pub(super) struct CompletionsArgs {
    /// Whose
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints them.
///
/// # Errors
/// When stdout cannot be written.
pub(super) fn run(args: &CompletionsArgs) -> Result<Exit> {
    // Not straight to stdout: the generator panics where that has gone.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command_tree(), "bellwether", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(Exit::Ok)
}
