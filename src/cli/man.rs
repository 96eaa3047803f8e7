//! `bellwether man`: a manual page for each command.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use clap_mangen::Man;

use crate::exit::Exit;

/// Write the manual pages, one a command
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  bellwether man --out /usr/local/share/man/man1")]
pub(super) struct ManArgs {
    /// The folder to write to
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

/// Writes them.
///
/// # Errors
/// When the folder cannot be written.
pub(super) fn run(args: &ManArgs) -> Result<Exit> {
    let folder = &args.out;
    fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let mut tree = super::command_tree();
    tree.build();
    write(tree, folder).with_context(|| format!("cannot write in `{}`", folder.display()))?;
    writeln!(std::io::stdout().lock(), "wrote the pages; `man -l {}/bellwether.1` shows the first", folder.display())?;
    Ok(Exit::Ok)
}

/// The page of a command, and those of the commands under it.
fn write(command: clap::Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands().cloned() {
        write(below, folder)?;
    }
    let page = Man::new(command).source(concat!("Bellwether ", env!("CARGO_PKG_VERSION")));
    page.generate_to(folder).map(|_| ())
}
