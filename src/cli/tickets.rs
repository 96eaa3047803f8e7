//! `bellwether tickets`: which incident has which ticket, what waits for a person, and what they ask of it.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bellwether_connectors::bridges::{BRIDGES_FOLDER, Key, TicketRequest, TicketRow, TicketState, rows};
use bellwether_connectors::intake::arrival_time;
use bellwether_connectors::journal::is_in_use;
use clap::{Args, Subcommand};

use super::state_folder::{StateArgs, StateFolder};
use crate::exit::{Exit, UsageError};
use crate::term::{Ink, Lean, Table, Term};

/// How long a running process may take to follow a request.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(10);
/// What the files of a bridge's memory end in.
const MEMORY_ENDING: &str = "tickets";

/// Show which incident has which ticket, what waits for you and why, and go on with one that does
#[derive(Debug, Args)]
#[command(after_help = "\
A ticket is `parked` when a person has to decide, in `conflict` when its system or the people there
want it otherwise, `failing` while requests do not succeed, `waiting` until it shows the newest
revision, `muted` when somebody said that its trouble will not be fixed, `ended` when it was deleted
or merged there, else `mapped`. An incident is named as it is listed, tenant/inc_…

Examples:
  bellwether tickets                                 what needs you first
  bellwether tickets -c bellwether.yaml --json
  bellwether tickets retry acme/inc_01KDV…           the field is there now: go on
  bellwether tickets adopt acme/inc_01KDV… 4711      this ticket is the incident's
  bellwether tickets forget acme/inc_01KDV…          leave its ticket as it is")]
pub(super) struct TicketsArgs {
    #[command(subcommand)]
    command: Option<TicketsCommand>,
    #[command(flatten)]
    of: StateArgs,
    /// The bridge; needed where there are several
    #[arg(long, value_name = "NAME", global = true)]
    bridge: Option<String>,
    /// Print one JSON document a ticket
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum TicketsCommand {
    /// What stands where (the default)
    List,
    /// Try again what waits or was not taken
    Retry {
        /// tenant/inc_…
        #[arg(value_parser = key)]
        incident: Key,
    },
    /// Say which ticket is the incident's: it is given its key, and what people made of it stays
    Adopt {
        /// tenant/inc_…
        #[arg(value_parser = key)]
        incident: Key,
        /// Its id in the system
        ticket: String,
    },
    /// Write to its ticket no more; if the incident is told again, its ticket is looked for by the key
    Forget {
        /// tenant/inc_…
        #[arg(value_parser = key)]
        incident: Key,
    },
}

/// A text that names no incident.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("name an incident as it is listed: tenant/inc_…")]
struct NoIncident;

fn key(text: &str) -> Result<Key, NoIncident> {
    let (tenant, incident) = text.rsplit_once('/').ok_or(NoIncident)?;
    let named = !tenant.is_empty() && incident.starts_with("inc_");
    named.then(|| Key { tenant: tenant.to_owned(), incident: incident.to_owned() }).ok_or(NoIncident)
}

/// Lists the tickets, or leaves a request for one.
///
/// # Errors
/// When there is no such ticket, or the folder cannot be read or written.
pub(super) fn run(args: &TicketsArgs) -> Result<Exit> {
    let folder = args.of.folder()?;
    let bridges = bridges(args, &folder)?;
    let mut all = Vec::new();
    for bridge in &bridges {
        all.extend(rows(&folder.state, bridge, arrival_time())?);
    }
    let (incident, request) = match &args.command {
        None | Some(TicketsCommand::List) => {
            list(&all, args.json)?;
            return Ok(Exit::Ok);
        }
        Some(TicketsCommand::Retry { incident }) => (incident, TicketRequest::Retry),
        Some(TicketsCommand::Adopt { incident, ticket }) => (incident, TicketRequest::Adopt { ticket: ticket.clone() }),
        Some(TicketsCommand::Forget { incident }) => (incident, TicketRequest::Forget),
    };
    let same = |row: &&TicketRow| row.tenant == incident.tenant && row.incident == incident.incident;
    let of: Vec<&String> = match all.iter().find(same) {
        Some(row) => vec![&row.bridge],
        // One that nobody has told of can be given a ticket all the same.
        None if matches!(request, TicketRequest::Adopt { .. }) => bridges.iter().collect(),
        None => return Err(UsageError(format!("no bridge knows `{incident}`: `bellwether tickets` lists them")).into()),
    };
    let [bridge] = of[..] else {
        return Err(
            UsageError(format!("there are several bridges, name one with --bridge: {}", bridges.join(", "))).into()
        );
    };
    ask(request, bridge, incident, &folder)?;
    Ok(Exit::Ok)
}

/// The bridges that have a memory in the state folder.
fn bridges(args: &TicketsArgs, folder: &StateFolder) -> Result<Vec<String>> {
    let memories = std::fs::read_dir(folder.state.join(BRIDGES_FOLDER)).into_iter().flatten().filter_map(Result::ok);
    let mut names: Vec<String> = memories
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == MEMORY_ENDING))
        .filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort_unstable();
    if let Some(wanted) = &args.bridge {
        if !names.contains(wanted) {
            let text =
                format!("no bridge `{wanted}` has worked in `{}`; known: {}", folder.state.display(), names.join(", "));
            return Err(UsageError(text).into());
        }
        names.retain(|name| name == wanted);
    }
    if names.is_empty() {
        let text = format!(
            "no bridge has worked in `{}`: name the folder of a run with --from, or its configuration with -c",
            folder.state.display()
        );
        return Err(UsageError(text).into());
    }
    Ok(names)
}

/// Leaves a request, and waits for a running process to follow it.
fn ask(request: TicketRequest, bridge: &str, key: &Key, folder: &StateFolder) -> Result<()> {
    let requests = folder.state.join(BRIDGES_FOLDER);
    request.leave(&requests, bridge, key).with_context(|| {
        format!("cannot write into `{}`: run this as the user the service runs as", requests.display())
    })?;
    let mut out = std::io::stdout().lock();
    let in_use = folder.places.first().map_or(Ok(false), |place| is_in_use(&place.journal))?;
    if !in_use {
        writeln!(out, "`{}` is not in use: that is done at the next start", folder.state.display())?;
        return Ok(());
    }
    let began = Instant::now();
    while TicketRequest::waits(&requests, bridge) {
        if began.elapsed() > FOLLOWED_WITHIN {
            anyhow::bail!(
                "the running process has not taken the request within {} s: its log says why",
                FOLLOWED_WITHIN.as_secs()
            );
        }
        sleep(Duration::from_millis(50));
    }
    writeln!(out, "done; `bellwether tickets` shows what comes of it")?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a command that waits for another process")]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

fn list(all: &[TicketRow], json: bool) -> Result<()> {
    let (mut out, term) = (std::io::stdout().lock(), Term::stdout());
    if json {
        for row in all {
            writeln!(out, "{}", serde_json::to_string(row)?)?;
        }
        return Ok(());
    }
    if all.is_empty() {
        writeln!(out, "no incident has a ticket yet")?;
        return Ok(());
    }
    let columns = ["state", "ticket", "there", "incident", "shows"].map(|name| (name, Lean::Left));
    let mut table = Table::new(&columns);
    for row in all {
        let shows = row.shows.map(|(status, priority)| format!("{priority} {}", word(status))).unwrap_or_default();
        let ticket = row.ticket.as_ref().map(|ticket| format!("{} {ticket}", row.bridge));
        table.row([
            word(row.state),
            ticket.unwrap_or_else(|| row.bridge.clone()),
            row.status.clone(),
            format!("{}/{}", row.tenant, row.incident),
            shows,
        ]);
    }
    write!(out, "{}", table.render(&term, 0))?;
    for row in all.iter().filter(|row| row.state != TicketState::Mapped) {
        let ink = if row.state == TicketState::Parked { Ink::Red } else { Ink::Yellow };
        let name = format!("{}/{}", row.tenant, row.incident);
        writeln!(out, "\n{} {name}", term.paint(ink, &format!("{}:", word(row.state))))?;
        for line in &row.why {
            writeln!(out, "  {}", term.paint(Ink::Dim, line))?;
        }
    }
    Ok(())
}

/// The word that a state or status has in JSON.
fn word<T: serde::Serialize>(of: T) -> String {
    serde_json::to_value(of).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
