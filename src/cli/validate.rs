//! `bellwether validate`: is this configuration accepted, and what does it do?

use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use bellwether_connectors::wires::{self, WireList as _};
use bellwether_engine::Engine;
use bellwether_engine::catalogue::Catalogue;
use clap::Args;

use crate::config;
use crate::exit::{Exit, UsageError};
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
/// [`config::Refused`] with every mistake.
pub(super) fn run(args: &ValidateArgs) -> Result<Exit> {
    let config = config::load_beside(&args.file)?;
    let catalogues = config::load_catalogues(&config)?;
    Engine::new(config.engine.clone(), NonZeroUsize::MIN).map_err(|error| UsageError(error.to_string()))?;
    config.check_names().map_err(|error| UsageError(error.to_string()))?;
    config.check_bridges().map_err(|error| UsageError(error.to_string()))?;
    for source in &config.sources {
        // Built, but not run: nothing is opened.
        source.build(&Arc::default()).map_err(|error| UsageError(error.to_string()))?;
    }
    let wires = describe_wires(&config.wires)?;
    let term = Term::stdout();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} {}", term.paint(Ink::Green, "ok"), args.file.display())?;
    writeln!(out, "  state    {}", config.state.display())?;
    for file in &config.include {
        writeln!(out, "  include  {}", file.display())?;
    }
    for source in &config.sources {
        writeln!(out, "  source   {}", source.describe())?;
    }
    for wire in &wires {
        writeln!(out, "  wire     {wire}")?;
    }
    for sink in config.sinks_or_default() {
        writeln!(out, "  sink     {}", sink.describe())?;
    }
    for bridge in &config.bridges {
        writeln!(out, "  bridge   {}", bridge.describe())?;
    }
    for (tenant, catalogue) in &catalogues {
        let Catalogue { teams, services, slas, topology, knowledge, .. } = catalogue;
        writeln!(
            out,
            "  tenant   {tenant}: {} teams, {} items, {} SLAs, {} edges, {} articles",
            teams.len(),
            services.len(),
            slas.len(),
            topology.len(),
            knowledge.len()
        )?;
    }
    Ok(Exit::Ok)
}

/// Checks credentials and paths without listening, and says what would listen where.
fn describe_wires(config: &wires::WiresConfig) -> Result<Vec<String>> {
    let built = wires::build(config).map_err(|error| UsageError(format!("wires: {error}")))?;
    let over_http: Vec<String> = built.http.iter().flat_map(|http| http.reports()).map(|report| report.id).collect();
    let mut lines = Vec::new();
    config.each_endpoint(&mut |endpoint| {
        let wires = if endpoint.name == "http" { over_http.join(", ") } else { String::new() };
        let gap = if wires.is_empty() { "" } else { " " };
        lines.push(format!("{}:{gap}{wires} at {}", endpoint.name, endpoint.address));
    });
    Ok(lines)
}
