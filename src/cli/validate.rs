//! `bellwether validate`: is this configuration accepted, and what does it do?

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use bellwether_engine::catalogue::Catalogue;
use clap::Args;

use crate::config::{self, Config, Refused};
use crate::exit::Exit;
use crate::term::{Ink, Term};

/// Check a configuration file and everything it names, without starting anything
#[derive(Debug, Args)]
#[command(after_help = "\
Every mistake is shown with its line; the exit code is 2 when there is one.

Example:
  bellwether validate bellwether.yaml && systemctl restart bellwether")]
pub(super) struct ValidateArgs {
    /// The YAML file
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Checks the file and the catalogues it names.
///
/// # Errors
/// [`Refused`] with every mistake.
pub(super) fn run(args: &ValidateArgs) -> Result<Exit> {
    let config: Config = config::load(&args.file)?;
    let catalogues = load_catalogues(&config, &args.file)?;
    let term = Term::stdout();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} {}", term.paint(Ink::Green, "ok"), args.file.display())?;
    writeln!(out, "  state    {}", config.state.display())?;
    for (tenant, catalogue) in &catalogues {
        let Catalogue { teams, services, slas, topology, .. } = catalogue;
        writeln!(
            out,
            "  tenant   {tenant}: {} teams, {} items, {} SLAs, {} edges",
            teams.len(),
            services.len(),
            slas.len(),
            topology.len()
        )?;
    }
    Ok(Exit::Ok)
}

/// The catalogues a configuration names; relative paths start at the configuration's folder.
///
/// # Errors
/// [`Refused`] for the first catalogue with mistakes.
pub(super) fn load_catalogues(config: &Config, file: &Path) -> Result<Vec<(String, Catalogue)>, Refused> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let named = config.tenants.iter().filter_map(|(tenant, t)| t.catalogue.as_ref().map(|path| (tenant, path)));
    named.map(|(tenant, path)| Ok((tenant.clone(), config::load(&folder.join(path))?))).collect()
}
