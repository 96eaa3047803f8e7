//! `bellwether topology`: who says what runs where and who calls whom, how old the word is, and
//! where the sources disagree.

use std::io::Write as _;

use anyhow::Result;
use bellwether_engine::topology::{ClaimView, EdgeView};
use clap::Args;

use super::state_folder::StateArgs;
use crate::exit::{Exit, UsageError};
use crate::report::safe;
use crate::term::{Ink, Term};

/// Show the topology: each edge with who says it and since when, and where they disagree
#[derive(Debug, Args)]
#[command(after_help = "\
It is read from the newest checkpoint in the folder of a run, which may be going on; nothing is
changed.

Examples:
  bellwether topology -c bellwether.yaml
  bellwether topology service:checkout            the edges at one entity
  bellwether topology --conflicts                 only where sources disagree")]
pub(super) struct TopologyArgs {
    /// Only the edges at this entity
    #[arg(value_name = "ENTITY")]
    entity: Option<String>,
    #[command(flatten)]
    state: StateArgs,
    /// Only this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Only edges that another source contradicts
    #[arg(long)]
    conflicts: bool,
    /// Print one JSON document an edge
    #[arg(long)]
    json: bool,
}

impl TopologyArgs {
    fn wants(&self, edge: &EdgeView) -> bool {
        let at = self.entity.as_ref().is_none_or(|entity| *entity == edge.from || *entity == edge.to);
        at && (!self.conflicts || !edge.contradicted_by.is_empty())
    }
}

/// Prints the edges.
///
/// # Errors
/// When there is no checkpoint, or it cannot be read.
pub(super) fn run(args: &TopologyArgs) -> Result<Exit> {
    let newest = args.state.folder()?.newest()?;
    let (mut out, term) = (std::io::stdout().lock(), Term::stdout());
    if !args.json {
        writeln!(out, "{}", term.paint(Ink::Dim, &newest.age(args.tenant.as_deref())))?;
    }
    for tenant in newest.tenants(args.tenant.as_deref()).map_err(UsageError)? {
        let edges = newest.engine.topology(tenant);
        if !args.json {
            let contradicted = edges.iter().filter(|edge| !edge.contradicted_by.is_empty()).count();
            let title = format!("{tenant}: {} edges, {contradicted} contradicted", edges.len());
            writeln!(out, "{}", term.paint(Ink::Bold, &title))?;
        }
        for edge in edges.iter().filter(|edge| args.wants(edge)) {
            match args.json {
                true => writeln!(out, "{}", newest.document(tenant, "edge", edge))?,
                false => print_edge(&mut out, edge, &term)?,
            }
        }
    }
    Ok(Exit::Ok)
}

fn print_edge(out: &mut impl std::io::Write, edge: &EdgeView, term: &Term) -> std::io::Result<()> {
    let claim = |claim: &ClaimView| format!("{} {:.2} at {}", safe(&claim.source), claim.confidence, claim.seen_at);
    let claims: Vec<String> = edge.claims.iter().map(claim).collect();
    writeln!(out, "  {} {} {}  ({})", safe(&edge.from), edge.relation.name(), safe(&edge.to), claims.join(", "))?;
    if !edge.contradicted_by.is_empty() {
        let text = format!("    contradicted by {}", safe(&edge.contradicted_by.join(", ")));
        writeln!(out, "{}", term.paint(Ink::Yellow, &text))?;
    }
    Ok(())
}
