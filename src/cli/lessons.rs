//! `bellwether lessons`: what was called false, and what is kept back because of it.

use std::io::Write as _;

use anyhow::Result;
use bellwether_engine::Engine;
use bellwether_engine::ledger::LessonView;
use clap::Args;

use super::state_folder::StateArgs;
use crate::exit::{Exit, UsageError};
use crate::report::{date_and_time, safe};
use crate::term::{Ink, Lean, Table, Term, count};

/// Show what incidents called false have taught
#[derive(Debug, Args)]
#[command(after_help = "\
An incident that somebody calls false teaches what its alerts say, each with its entity and the
metric or log template that was seen: by itself that opens no incident any more. What our own
detectors found is kept back for good; a rule's or another tool's alert while it goes on, and for
good once two incidents of it were called false. Never one that is worse than what was taught, and
never a critical rule. The id of the incident takes back what it taught:

  POST /feedback/retract {\"incident\": \"inc_…\", \"who\": \"you\"}

The first line says what the last week cost of the false incidents that a week may have
(`correlate.false_per_day`); above it, detectors are asked for more before they open one.

Examples:
  bellwether lessons -c bellwether.yaml
  bellwether lessons --from bellwether-state --json | jq .lesson.incident")]
pub(super) struct LessonsArgs {
    #[command(flatten)]
    state: StateArgs,
    /// Only this tenant
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// Print one JSON document a lesson
    #[arg(long)]
    json: bool,
}

/// Prints the lessons.
///
/// # Errors
/// When there is no checkpoint, or it cannot be read.
pub(super) fn run(args: &LessonsArgs) -> Result<Exit> {
    let newest = args.state.folder()?.newest()?;
    let tenants = newest.tenants(args.tenant.as_deref()).map_err(UsageError)?;
    let found = newest.of_each(&tenants, Engine::lessons);
    let (mut out, term) = (std::io::stdout().lock(), Term::stdout());
    if args.json {
        for (tenant, lesson) in &found {
            writeln!(out, "{}", newest.document(tenant, "lesson", lesson))?;
        }
        return Ok(Exit::Ok);
    }
    writeln!(out, "{}", term.paint(Ink::Dim, &newest.age(args.tenant.as_deref())))?;
    let stats = newest.engine.stats();
    for tenant in &tenants {
        let Some(budget) = stats.tenants.get(*tenant).map(|stats| stats.budget) else { continue };
        let whose = if tenants.len() > 1 { format!("{}: ", safe(tenant)) } else { String::new() };
        let opened = count(budget.opened, "incident");
        writeln!(
            out,
            "{whose}false incidents of the last week: {} of {} that it may have; our own detectors opened {opened}, {} \
             were called false",
            budget.spent, budget.allowed, budget.called_false
        )?;
    }
    if found.is_empty() {
        writeln!(out, "Nothing was called false.")?;
        return Ok(Exit::Ok);
    }
    // What was taught may be long, and is what somebody looks for: it is not cut.
    let term = Term { width: usize::MAX, ..term };
    write!(out, "{}", table(&found, tenants.len() > 1).render(&term, 0))?;
    Ok(Exit::Ok)
}

fn table(found: &[(&str, LessonView)], several: bool) -> Table {
    let mut columns = vec![
        ("taught (UTC)", Lean::Left),
        ("by", Lean::Left),
        ("incident", Lean::Left),
        ("holds", Lean::Left),
        ("up to", Lean::Left),
        ("kept back", Lean::Right),
    ];
    columns.extend(several.then_some(("tenant", Lean::Left)));
    columns.extend([("on", Lean::Left), ("what", Lean::Left)]);
    let mut table = Table::new(&columns);
    for (tenant, lesson) in found {
        let what = match lesson.seen.as_str() {
            "" => safe(&lesson.alert),
            seen => format!("{}: {}", safe(&lesson.alert), safe(seen)),
        };
        let mut row = vec![
            date_and_time(lesson.at).chars().take("2026-03-01 02:03".len()).collect(),
            safe(&lesson.who),
            safe(&lesson.incident),
            if lesson.lasting { "for good" } else { "while it goes on" }.to_owned(),
            lesson.severity.to_string(),
            lesson.held.to_string(),
        ];
        row.extend(several.then(|| safe(tenant)));
        row.extend([safe(&lesson.entity), what]);
        table.row(row);
    }
    table
}
