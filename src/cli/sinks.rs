//! `bellwether sinks`: where each reader of the incident log is, and what a person asks of one that
//! waits.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bellwether_connectors::intake::arrival_time;
use bellwether_connectors::journal::is_in_use;
use bellwether_connectors::outbox::{ReaderStatus, Request, Until, statuses};
use clap::{Args, Subcommand};
use indicatif::BinaryBytes;

use super::state_folder::{Place, StateArgs, StateFolder};
use crate::exit::{Exit, UsageError};
use crate::report::rough;
use crate::term::{Ink, Term};
use crate::wiring::partitions::READERS_FOLDER;

/// How long a running process may take to follow a request.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(10);

/// Show who has which incidents, and go on with a receiver that waits for you
#[derive(Debug, Args)]
#[command(after_help = "\
Every sink reads the incident log with a cursor of its own. One whose receiver is away tries again;
after its `give_up_after`, or when it cannot know what is right, it is parked and waits for you.
Nothing else waits for it.

Examples:
  bellwether sinks                                 where each one is, and since when
  bellwether sinks -c bellwether.yaml --json
  bellwether sinks retry nats                      the receiver is mended: go on
  bellwether sinks skip nats --until now           say first what would be lost
  bellwether sinks skip nats --until now --yes     lose it, and go on with what comes")]
pub(super) struct SinksArgs {
    #[command(subcommand)]
    command: Option<SinksCommand>,
    #[command(flatten)]
    of: StateArgs,
    /// Print one JSON document a sink
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum SinksCommand {
    /// Where each one is (the default)
    List,
    /// Try a parked one again, from where it stands
    Retry {
        /// Its name
        name: String,
        /// In this partition alone
        #[arg(long, value_name = "NUMBER")]
        partition: Option<usize>,
    },
    /// Go on elsewhere: says what is lost, and does it with --yes
    Skip {
        /// Its name
        name: String,
        /// `now`, `oldest`, or the number of a record: what comes after it is delivered
        #[arg(long, value_name = "PLACE", value_parser = place)]
        until: Until,
        /// In this partition alone: records are counted in each for itself
        #[arg(long, value_name = "NUMBER")]
        partition: Option<usize>,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

/// A text that names no place in the log.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("use `now`, `oldest` or the number of a record")]
struct NoPlace;

fn place(text: &str) -> Result<Until, NoPlace> {
    match text {
        "now" => Ok(Until::Now),
        "oldest" => Ok(Until::Oldest),
        number => number.parse().map(Until::Record).map_err(|_| NoPlace),
    }
}

/// The reader of a sink in one partition.
struct OfPartition {
    partition: usize,
    place: Place,
    status: ReaderStatus,
}

/// The readers of one sink, in order of their partitions.
type Readers = Vec<OfPartition>;

impl SinksArgs {
    /// Every sink with its readers, by name.
    fn sinks(&self, folder: &StateFolder) -> Result<BTreeMap<String, Readers>> {
        if !folder.places.iter().any(|place| place.log.is_dir()) {
            let logs = folder.places.first().map_or(folder.state.as_path(), |place| place.log.as_path());
            let text = format!("no incident log in `{}`: name the folder of a run with --from", logs.display());
            return Err(UsageError(text).into());
        }
        let mut sinks: BTreeMap<String, Readers> = BTreeMap::new();
        for (partition, place) in folder.places.iter().enumerate() {
            for status in statuses(&place.readers, &place.log)? {
                let of = OfPartition { partition, place: place.clone(), status };
                sinks.entry(of.status.reader.clone()).or_default().push(of);
            }
        }
        Ok(sinks)
    }
}

/// Lists the readers, or leaves a request for one.
///
/// # Errors
/// When there is no such reader, or the folder cannot be read or written.
pub(super) fn run(args: &SinksArgs) -> Result<Exit> {
    let folder = args.of.folder()?;
    let mut sinks = args.sinks(&folder)?;
    match &args.command {
        None | Some(SinksCommand::List) => {
            let together = |readers: &Readers| {
                ReaderStatus::together(&readers.iter().map(|of| of.status.clone()).collect::<Vec<_>>())
            };
            list(&sinks.values().filter_map(together).collect::<Vec<_>>(), args.json)?;
        }
        Some(SinksCommand::Retry { name, partition }) => {
            ask(Request::Retry, &named(&mut sinks, name, *partition)?, &folder)?;
        }
        Some(SinksCommand::Skip { name, until, partition, yes }) => {
            let readers = named(&mut sinks, name, *partition)?;
            let several = folder.places.len() > 1;
            if several && partition.is_none() && matches!(until, Until::Record(_)) {
                let text = "records are counted in each partition for itself: name one with --partition, or use \
                            `now` or `oldest`";
                return Err(UsageError(text.to_owned()).into());
            }
            let mut out = std::io::stdout().lock();
            for OfPartition { partition, status, .. } in &readers {
                let which = if several { format!("partition {partition}: ") } else { String::new() };
                writeln!(out, "{which}{}", consequence(status, *until))?;
            }
            if !yes {
                writeln!(out, "nothing was changed; the same with --yes does it")?;
                return Ok(Exit::Ok);
            }
            drop(out);
            ask(Request::Skip { until: *until }, &readers, &folder)?;
        }
    }
    Ok(Exit::Ok)
}

/// The readers of a sink, or that of one partition.
fn named(sinks: &mut BTreeMap<String, Readers>, name: &str, partition: Option<usize>) -> Result<Readers, UsageError> {
    let Some(mut readers) = sinks.remove(name) else {
        let known: Vec<&str> = sinks.keys().map(String::as_str).collect();
        return Err(UsageError(format!("no sink `{name}`, known: {}", known.join(", "))));
    };
    readers.retain(|of| partition.is_none_or(|only| only == of.partition));
    match readers.is_empty() {
        true => Err(UsageError(format!("`{name}` has read nothing in that partition"))),
        false => Ok(readers),
    }
}

/// What going on elsewhere costs.
fn consequence(status: &ReaderStatus, until: Until) -> String {
    let name = &status.reader;
    let Some(at) = status.cursor.as_ref().map(|cursor| cursor.position).filter(|_| status.problem.is_none()) else {
        return format!(
            "where `{name}` was is not known: what it goes on with may be missing there, or be delivered again"
        );
    };
    let to = match until {
        Until::Now => status.log_end,
        Until::Oldest => return format!("`{name}` gets everything that the log still has, some of it perhaps again"),
        Until::Record(record) => record.min(status.log_end),
    };
    match to.checked_sub(at) {
        Some(0) => format!("`{name}` stands there already: nothing is lost"),
        Some(lost) => {
            let since = status.behind_since.map(|since| format!(", told since {since}")).unwrap_or_default();
            format!("{lost} records ({} to {to}{since}) will never be delivered to `{name}`", at + 1)
        }
        None => format!("`{name}` gets {} records again, {} to {at}", at - to, to + 1),
    }
}

/// Leaves a request for each reader, and waits for a running process to follow them.
fn ask(request: Request, readers: &[OfPartition], folder: &StateFolder) -> Result<()> {
    let mut in_use = false;
    for OfPartition { place, status, .. } in readers {
        request.leave(&place.readers, &status.reader).with_context(|| {
            format!("cannot write into `{}`: run this as the user the service runs as", place.readers.display())
        })?;
        in_use |= is_in_use(&place.log)?;
    }
    let mut out = std::io::stdout().lock();
    let name = readers.first().map(|of| of.status.reader.as_str()).unwrap_or_default();
    if !in_use {
        writeln!(out, "`{}` is not in use: `{name}` goes on as asked at the next start", folder.state.display())?;
        return Ok(());
    }
    let began = Instant::now();
    while readers.iter().any(|of| Request::waits(&of.place.readers, name)) {
        if began.elapsed() > FOLLOWED_WITHIN {
            anyhow::bail!(
                "the running process has not taken the request within {} s: its log says why",
                FOLLOWED_WITHIN.as_secs()
            );
        }
        sleep(Duration::from_millis(50));
    }
    writeln!(out, "`{name}` goes on as asked")?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a command that waits for another process")]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

fn list(all: &[ReaderStatus], json: bool) -> Result<()> {
    let (mut out, term) = (std::io::stdout().lock(), Term::stdout());
    if json {
        for status in all {
            writeln!(out, "{}", serde_json::to_string(status)?)?;
        }
        return Ok(());
    }
    if all.is_empty() {
        writeln!(out, "no sink has read the log yet")?;
        return Ok(());
    }
    let now = arrival_time();
    let width = all.iter().map(|status| status.reader.chars().count()).max().unwrap_or(0).max(4);
    let head = format!(
        "{:<width$}  {:<8} {:>10} {:>10} {:>9} {:>10}  {:>10}",
        "sink", "state", "at", "behind", "bytes", "since", "delivered"
    );
    writeln!(out, "{}", term.paint(Ink::Bold, &head))?;
    for status in all {
        let (state, ink, why) = state(status);
        let at = status.cursor.as_ref().map_or("?".to_owned(), |cursor| cursor.position.to_string());
        let since = status.behind_since.map_or("–".to_owned(), |since| rough(now.since(since)));
        let sent = status.cursor.as_ref().map_or(0, |cursor| cursor.sent);
        let state = term.paint(ink, &format!("{state:<8}"));
        writeln!(
            out,
            "{:<width$}  {state} {at:>10} {:>10} {:>9} {since:>10}  {sent:>10}",
            status.reader,
            status.behind_records,
            BinaryBytes(status.behind_bytes).to_string()
        )?;
        for line in why {
            writeln!(out, "{:width$}  {}", "", term.paint(Ink::Dim, &line))?;
        }
    }
    Ok(())
}

/// What a person needs to know of one, and what it needs of them.
fn state(status: &ReaderStatus) -> (&'static str, Ink, Vec<String>) {
    let cursor = status.cursor.as_ref();
    let mut why: Vec<String> = status.problem.iter().cloned().collect();
    if let Some(parked) = cursor.and_then(|cursor| cursor.parked.as_ref()) {
        why.push(format!("since {}: {}", parked.since, parked.reason));
        why.push(format!("mend the receiver, then `bellwether sinks retry {}`", status.reader));
        return ("parked", Ink::Red, why);
    }
    if let Some(fault) = cursor.and_then(|cursor| cursor.fault.as_ref()) {
        why.push(format!("since {}, {} attempts: {}", fault.since, fault.attempts, fault.reason));
        return ("away", Ink::Yellow, why);
    }
    if let Some(letters) = cursor.map(|cursor| cursor.dead_letters).filter(|letters| *letters > 0) {
        why.push(format!("{letters} events were refused for good and are in `{READERS_FOLDER}/dead-letters`"));
    }
    match status.problem {
        Some(_) => {
            why.push(format!("say where to go on with `bellwether sinks skip {} --until …`", status.reader));
            ("unsure", Ink::Red, why)
        }
        None if status.behind_records > 0 => ("behind", Ink::Yellow, why),
        None => ("up", Ink::Green, why),
    }
}
