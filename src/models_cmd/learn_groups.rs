//! `bellwether models learn-groups`: weights of evidence from what people said.
//!
//! From the folder of a run, the pairs of alerts that operators attached, detached and merged; from a
//! file of alerts with a column that names each alert's true group, the pairs that grouping compares.
//! Written are the weights to put into the configuration, and what they gain on pairs left out of the
//! learning. Nothing is changed: who runs the engine decides.

use super::groups::{self, AlertColumns};
use super::text_table::TextTable;
use super::topology::Topology;
use crate::wiring::newest::newest_engine;
use anyhow::{Context, Result, bail};
use bellwether_models::group::{
    Gain, GroupParams, Grouper, LabelledPair, LearnParams, Proposal, cross_validate, judge, learn,
};
use serde_json::json;
use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Pairs read from one file: enough for five weights many times over.
const PAIRS_MAX: usize = 500_000;

/// `bellwether models learn-groups`
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Examples:
  bellwether models learn-groups --from bellwether-state
  bellwether models learn-groups alerts.csv --group-column incident --topology edges.csv")]
pub struct LearnGroupsArgs {
    /// Alerts with their true groups as CSV with a header, or - for stdin
    #[arg(value_name = "ALERTS.csv", required_unless_present = "from")]
    pub alerts: Option<PathBuf>,
    /// Column with the true group; alerts without one teach nothing
    #[arg(long, value_name = "NAME", default_value = "group")]
    pub group_column: String,
    /// Edges, as `models groups` reads them
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// The folder of a run: learn from its operators' feedback
    #[arg(long, value_name = "FOLDER", conflicts_with = "alerts")]
    pub from: Option<PathBuf>,
    /// How firmly the weights in force are held
    #[arg(long, value_name = "NUMBER", default_value_t = LearnParams::default().strength)]
    pub strength: f64,
    /// Print as JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// For unreadable input, a missing column, or too few labels of one kind.
pub fn run(args: &LearnGroupsArgs) -> Result<ExitCode> {
    if !(args.strength > 0.0 && args.strength.is_finite()) {
        bail!("--strength is `{}`, use a number above 0", args.strength);
    }
    let (prior, pairs) = match (&args.from, &args.alerts) {
        (Some(folder), _) => feedback(folder)?,
        (None, Some(file)) => {
            let topology = args.topology.as_deref().map(Topology::read).transpose()?;
            (GroupParams::default(), labelled(file, &args.group_column, topology)?)
        }
        (None, None) => bail!("name a file of alerts, or the folder of a run with --from"),
    };
    let params = LearnParams { strength: args.strength, ..LearnParams::default() };
    let proposal = learn(&pairs, &prior, &params)?;
    let gain = cross_validate(&pairs, &prior, &params)?;
    let mut out = std::io::stdout().lock();
    if args.json {
        let seen = judge(&pairs, &proposal.apply(&prior));
        let document = json!({
            "weights_now": prior.weights, "bias_now": prior.bias, "proposal": proposal, "gain": gain, "fit": seen,
            "worth_it": worth_it(&gain),
        });
        writeln!(out, "{document}")?;
    } else {
        out.write_all(text(&proposal, &gain).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Better on pairs left out, by both measures or by one without loss in the other.
fn worth_it(gain: &Gain) -> bool {
    gain.after.log_loss < gain.before.log_loss && gain.after.accuracy >= gain.before.accuracy
}

fn text(proposal: &Proposal, gain: &Gain) -> String {
    let [time, topology, text, learned] = proposal.weights;
    let verdict = if worth_it(gain) { "worth trying" } else { "no gain: keep what is in force" };
    format!(
        "# {} pairs, {} more were too far apart in time to matter\n\
         # on pairs left out ({} stretches): log loss {:.3} now, {:.3} with these; right {:.3} now, {:.3} with these\n\
         # {verdict}\n\
         correlate:\n  bias: {:.2}\n  weights: {{time: {time:.2}, topology: {topology:.2}, text: {text:.2}, learned: {learned:.2}}}\n",
        proposal.pairs,
        proposal.beyond,
        gain.folds,
        gain.before.log_loss,
        gain.after.log_loss,
        gain.before.accuracy,
        gain.after.accuracy,
        proposal.bias,
    )
}

/// The weights in force and the labels of all tenants, by name of tenant, out of a run's newest checkpoint.
fn feedback(folder: &Path) -> Result<(GroupParams, Vec<LabelledPair>)> {
    let engine = newest_engine(folder)?
        .map(|newest| newest.engine)
        .with_context(|| format!("no checkpoint in `{}`: name the folder of a run", folder.display()))?;
    let pairs = engine.tenant_names().flat_map(|tenant| engine.labels(tenant)).collect();
    Ok((engine.settings().correlate.params(), pairs))
}

/// The pairs that grouping compares, labelled by the true groups of a file.
fn labelled(file: &Path, group_column: &str, topology: Option<Topology>) -> Result<Vec<LabelledPair>> {
    let table = TextTable::read(file)?;
    let truth = table.text(table.require(group_column)?);
    Ok(pairs_of(&groups::rows(&AlertColumns::default(), &table)?, &truth, topology))
}

fn pairs_of(alerts: &[groups::Row], truth: &[String], topology: Option<Topology>) -> Vec<LabelledPair> {
    let order = groups::in_order(alerts);
    let (firsts, _) = groups::without_repeats(alerts, &order);
    let mut topology = topology.unwrap_or_default();
    let says = groups::says(alerts, &firsts);
    let mut views = groups::views(alerts, &firsts, &says, &mut topology);
    views.sort_by_key(|view| (view.time_ns, view.id));
    let of: HashMap<u64, &str> = firsts.iter().enumerate().map(|(i, at)| (i as u64, truth[*at].as_str())).collect();
    let mut grouper = Grouper::new(GroupParams::default());
    let mut pairs = Vec::new();
    for view in views {
        let own = of[&view.id];
        if !own.is_empty() && pairs.len() < PAIRS_MAX {
            let compared = grouper.compared(&view, &topology);
            let labelled = compared.into_iter().filter(|(other, _)| !of[other].is_empty());
            pairs.extend(labelled.map(|(other, evidence)| LabelledPair { evidence, together: of[&other] == own }));
        }
        grouper.assign(&view, &topology);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Faults that overlap in time on two halves of an estate: only the entity tells them apart.
    fn replay() -> (Vec<groups::Row>, Vec<String>) {
        let mut rows = Vec::new();
        let mut truth = Vec::new();
        for round in 0..30 {
            for (side, kinds) in [("left", ["slow", "errors"]), ("right", ["full", "late"])] {
                for (i, kind) in kinds.iter().enumerate() {
                    rows.push(groups::Row {
                        time_ns: (round * 3_600 + i as i64 * 5) * 1_000_000_000,
                        kind: (*kind).to_owned(),
                        entity: format!("{side}{i}"),
                        text: format!("{side} side"),
                    });
                    truth.push(format!("{side}{round}"));
                }
            }
        }
        (rows, truth)
    }

    #[test]
    fn a_labelled_replay_teaches_what_tells_its_groups_apart() {
        let (rows, truth) = replay();
        let pairs = pairs_of(&rows, &truth, None);
        assert!(pairs.iter().any(|pair| pair.together) && pairs.iter().any(|pair| !pair.together));
        let prior = GroupParams::default();
        let learned = learn(&pairs, &prior, &LearnParams::default()).expect("enough pairs");
        assert!(learned.weights[2] > prior.weights[2], "the words tell the sides apart: {learned:?}");
        let gain = cross_validate(&pairs, &prior, &LearnParams::default()).expect("enough pairs");
        assert!(worth_it(&gain), "{gain:?}");
        assert!(text(&learned, &gain).contains("worth trying"));
    }
}
