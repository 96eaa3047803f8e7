//! Tickets as a desk exports them: a history of revisions, and those that are open; and the desk that is asked
//! and taught by them in order of time.
//!
//! **What the future knows is not read.** A ticket is asked as its first revision has it. Who resolved it,
//! whether it was late and when it was resolved stand in every row of a history, but count from the moment
//! it was closed: a ticket closed at noon teaches nothing about one opened that morning. History that was closed
//! after the last question is therefore ignored, not refused: an export need not be cut to be used.

use super::text_rows::TextRows;
use super::text_table::{A_FLAG, A_TIME, parse_flag, parse_time};
use anyhow::{Context, Result, bail};
use bellwether_models::desk::{Desk, Outcome, Ticket};
use csv::StringRecord;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Most tickets of a file: twenty years of a desk with 250 a day, about 2 GB.
const TICKETS_MAX: usize = 2_000_000;

/// The two files that the commands about tickets read.
#[derive(Debug, Clone, clap::Args)]
pub struct TicketArgs {
    /// Revisions of closed tickets to learn from, CSV with a header
    #[arg(long, value_name = "HISTORY.csv")]
    pub train: PathBuf,
    /// Tickets to judge as they stood when opened, CSV with a header
    #[arg(long, value_name = "OPEN.csv")]
    pub test: PathBuf,
}

/// Names of the fields that tell something, in the order of [`Filed::fields`].
const FIELDS: [&str; 10] = [
    "category",
    "subcategory",
    "symptom",
    "location",
    "caller",
    "opened_by",
    "priority",
    "contact_type",
    "cmdb_ci",
    "assignment_group",
];
/// Where the group stands among [`FIELDS`].
const GROUP: usize = 9;

/// A ticket as its first revision has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Filed {
    /// Its number.
    pub incident: String,
    opened_ns: i64,
    fields: [Box<str>; FIELDS.len()],
    /// When its first revision was written, where that is told.
    first_ns: i64,
}

impl Filed {
    /// What is asked of the desk.
    #[must_use]
    pub fn ticket(&self) -> Ticket<'_> {
        let [category, subcategory, symptom, location, caller, opened_by, priority, contact, item, group] =
            self.fields.each_ref().map(|text| &**text);
        let opened_s = self.opened_ns.div_euclid(1_000_000_000);
        Ticket { opened_s, category, subcategory, symptom, location, caller, opened_by, priority, contact, item, group }
    }

    /// When it was opened, nanoseconds since 1970.
    #[must_use]
    pub fn opened_ns(&self) -> i64 {
        self.opened_ns
    }
}

/// A closed ticket.
#[derive(Debug, Clone, PartialEq)]
pub struct Closed {
    /// As it was opened.
    pub filed: Filed,
    /// When it was closed, nanoseconds since 1970.
    pub closed_ns: i64,
    /// The group of its last revision; empty where that has none.
    pub last_group: String,
    /// The last group that was named.
    group: String,
    /// Whether its agreement was missed.
    pub breached: Option<bool>,
    /// Hours from opening to resolution.
    pub hours: Option<f64>,
    /// Whether it ever changed its group.
    pub bounced: bool,
    last_ns: i64,
}

impl Closed {
    /// What it teaches.
    #[must_use]
    pub fn outcome(&self) -> Outcome<'_> {
        let group = (!self.group.is_empty()).then_some(self.group.as_str());
        Outcome { group, breached: self.breached, hours: self.hours }
    }
}

/// Columns of a file by what they mean.
struct Columns {
    incident: usize,
    opened: usize,
    updated: Option<usize>,
    fields: [Option<usize>; FIELDS.len()],
}

impl Columns {
    fn of(rows: &TextRows<'_>) -> Result<Self> {
        Ok(Self {
            incident: require(rows, "incident")?,
            opened: require(rows, "opened_at")?,
            updated: rows.position("updated_at"),
            fields: FIELDS.map(|name| rows.position(name)),
        })
    }

    fn filed(&self, rows: &TextRows<'_>, record: &StringRecord) -> Result<Filed> {
        let opened_ns = rows.cell(record, self.opened, A_TIME, parse_time)?;
        let first_ns = self.updated_ns(rows, record)?.unwrap_or(opened_ns);
        let text = |column: Option<usize>| column.and_then(|column| record.get(column)).unwrap_or("").into();
        Ok(Filed {
            incident: self.incident(rows, record)?.to_owned(),
            opened_ns,
            fields: self.fields.map(text),
            first_ns,
        })
    }

    fn updated_ns(&self, rows: &TextRows<'_>, record: &StringRecord) -> Result<Option<i64>> {
        self.updated.map(|column| rows.cell(record, column, A_TIME, parse_time)).transpose()
    }

    fn incident<'a>(&self, rows: &TextRows<'_>, record: &'a StringRecord) -> Result<&'a str> {
        match record.get(self.incident).filter(|incident| !incident.is_empty()) {
            Some(incident) => Ok(incident),
            None => {
                bail!("`{}` row {} has no `incident`: every row needs its ticket's number", rows.name(), rows.row())
            }
        }
    }
}

fn require(rows: &TextRows<'_>, name: &str) -> Result<usize> {
    rows.position(name).with_context(|| {
        let columns = rows.header.join("`, `");
        format!("`{}` has no column `{name}`; its columns are `{columns}`: rename the one that means it", rows.name())
    })
}

/// Reads the tickets to judge, in the order of the file; of several revisions of one the first.
///
/// # Errors
/// When the file cannot be read, a column is missing or a cell is broken.
pub fn read_open(path: &Path) -> Result<Vec<Filed>> {
    let mut rows = TextRows::open(path)?;
    let columns = Columns::of(&rows)?;
    let (mut open, mut places): (Vec<Filed>, HashMap<String, usize>) = (Vec::new(), HashMap::new());
    let mut record = StringRecord::new();
    while rows.next_into(&mut record)? {
        let filed = columns.filed(&rows, &record)?;
        match places.get(&filed.incident) {
            Some(at) if filed.first_ns < open[*at].first_ns => open[*at] = filed,
            Some(_) => {}
            None => {
                room_for_one_more(open.len(), &rows)?;
                places.insert(filed.incident.clone(), open.len());
                open.push(filed);
            }
        }
    }
    Ok(open)
}

/// Reads the closed tickets of a history in order of closing, ties by number, whatever the order of the file.
/// Revisions of tickets that are not closed are left out.
///
/// # Errors
/// When the file cannot be read, a column is missing or a cell is broken.
pub fn read_closed(path: &Path) -> Result<Vec<Closed>> {
    let mut rows = TextRows::open(path)?;
    let columns = Columns::of(&rows)?;
    let [closed, resolved, made] = ["closed_at", "resolved_at", "made_sla"];
    let (closed, resolved, made) = (require(&rows, closed)?, require(&rows, resolved)?, require(&rows, made)?);
    require(&rows, FIELDS[GROUP])?;
    let mut tickets: HashMap<String, Closed> = HashMap::new();
    let mut record = StringRecord::new();
    while rows.next_into(&mut record)? {
        let Some(closed_ns) = rows.cell(&record, closed, A_TIME, |cell| known(cell, parse_time))? else {
            continue;
        };
        let resolved_ns = rows.cell(&record, resolved, A_TIME, |cell| known(cell, parse_time))?;
        let made = rows.cell(&record, made, A_FLAG, |cell| known(cell, parse_flag))?;
        let filed = columns.filed(&rows, &record)?;
        let group = filed.fields[GROUP].to_string();
        let hours = resolved_ns.map(|at| (at - filed.opened_ns) as f64 / 3.6e12);
        let revision = Closed {
            closed_ns,
            last_ns: filed.first_ns,
            last_group: group.clone(),
            group,
            breached: made.map(|made| !made),
            hours,
            bounced: false,
            filed,
        };
        if let Some(ticket) = tickets.get_mut(&revision.filed.incident) {
            ticket.join(revision);
        } else {
            room_for_one_more(tickets.len(), &rows)?;
            tickets.insert(revision.filed.incident.clone(), revision);
        }
    }
    let mut tickets: Vec<Closed> = tickets.into_values().collect();
    tickets.sort_by(|a, b| a.closed_ns.cmp(&b.closed_ns).then_with(|| a.filed.incident.cmp(&b.filed.incident)));
    Ok(tickets)
}

impl Closed {
    /// Takes a further revision in: the first in time is what was asked, the last what came of it.
    fn join(&mut self, revision: Self) {
        self.bounced |= revision.last_group != self.last_group;
        if revision.last_ns >= self.last_ns {
            if !revision.group.is_empty() {
                self.group = revision.group;
            }
            (self.closed_ns, self.last_ns) = (revision.closed_ns, revision.last_ns);
            (self.breached, self.hours) = (revision.breached, revision.hours);
            self.last_group = revision.last_group;
        } else if revision.filed.first_ns < self.filed.first_ns {
            if self.group.is_empty() {
                self.group = revision.group;
            }
            self.filed = revision.filed;
        }
    }
}

fn known<T>(cell: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if cell.is_empty() { Some(None) } else { parse(cell).map(Some) }
}

fn room_for_one_more(tickets: usize, rows: &TextRows<'_>) -> Result<()> {
    if tickets == TICKETS_MAX {
        bail!("`{}` has more than {TICKETS_MAX} tickets: give the latest of them", rows.name());
    }
    Ok(())
}

/// Asks a desk about each open ticket with what was known when it was opened, and gives the answers in the order
/// of `open`. `closed` is in order of closing.
pub fn ask<'a, T>(closed: &[Closed], open: &'a [Filed], mut answer: impl FnMut(&Desk, &'a Filed) -> T) -> Vec<T> {
    let mut order: Vec<usize> = (0..open.len()).collect();
    order.sort_by_key(|at| open[*at].opened_ns);
    let (mut desk, mut taught) = (Desk::default(), 0);
    let mut answers: Vec<(usize, T)> = Vec::with_capacity(open.len());
    for at in order {
        while let Some(next) = closed.get(taught).filter(|next| next.closed_ns < open[at].opened_ns) {
            desk.learn(&next.filed.ticket(), &next.outcome());
            taught += 1;
        }
        answers.push((at, answer(&desk, &open[at])));
    }
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Reads both files.
///
/// # Errors
/// As [`read_closed`] and [`read_open`], and when no ticket was closed before one was opened: there is nothing to
/// learn from.
pub fn read(args: &TicketArgs) -> Result<(Vec<Closed>, Vec<Filed>)> {
    let (closed, open) = (read_closed(&args.train)?, read_open(&args.test)?);
    let last = open.iter().map(Filed::opened_ns).max();
    let first = closed.first().map(|first| first.closed_ns);
    if let (Some(last), true) = (last, first.is_none_or(|first| last.is_some_and(|last| first >= last))) {
        let (train, last) = (args.train.display(), super::io::stamp(last));
        bail!(
            "`{train}` has no ticket that was closed before {last}, when the last one to judge was opened: give an earlier history"
        );
    }
    Ok((closed, open))
}

#[cfg(test)]
mod tests;
