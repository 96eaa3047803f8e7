//! Task `tickets`: who will resolve a ticket, whether it will miss its agreement and how long it will take, asked
//! as it stood when it was opened, of what was closed before.
//!
//! Five cuts in time; each is asked about the week after it. Ours, what people dispatched first, back-off over the
//! fields of the form, and the floors stand beside each other at the median and the worst cut.

mod figures;
mod peers;

use super::Bench;
use super::methods::OURS;
use super::plot;
use super::report::{Outcome, Who, write};
use super::units::{Better, Figure, Rule, Units};
use crate::models_cmd::assign::RANKS;
use crate::models_cmd::text_table::parse_time;
use crate::models_cmd::tickets::{self, Closed, Filed};
use crate::progress::{SharedBar, shared_bar};
use anyhow::{Context, Result};
use figures::{FIGURES, Judged, middle, worst};

/// Mondays at which the UCI incident log is cut. Before the first it has no whole week of closed tickets; after the
/// last few that take long are closed before it ends.
const CUTS: [&str; 5] = ["2016-03-21", "2016-03-28", "2016-04-04", "2016-04-11", "2016-04-18"];
/// Nanoseconds of the week after a cut.
const WEEK_NS: i64 = 7 * 86_400 * 1_000_000_000;

/// What a method says of a ticket. What it says nothing of is empty or NaN.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    groups: Vec<String>,
    confidence: f64,
    breach: f64,
    p90_hours: f64,
}

/// Learns from closed tickets in order of closing, and says something of each that is opened.
type Method = fn(&[Closed], &[Filed]) -> Vec<Said>;

const METHODS: &[(&str, Who, Method)] = &[
    (OURS, Who::Ours, ours),
    ("first dispatch", Who::Floor, peers::first_dispatch),
    ("back-off, rate of the symptom", Who::Floor, peers::by_symptom),
    ("back-off, rate of the group", Who::Floor, peers::by_group),
    ("random", Who::Floor, peers::random),
    ("null: majority, mean rate", Who::Floor, peers::null),
];

fn ours(closed: &[Closed], open: &[Filed]) -> Vec<Said> {
    tickets::ask(closed, open, |desk, filed| {
        let answer = desk.predict(&filed.ticket(), RANKS);
        Said {
            confidence: answer.groups.first().map_or(f64::NAN, |first| first.confidence),
            groups: answer.groups.into_iter().map(|said| said.group.to_owned()).collect(),
            breach: answer.timing.breach,
            p90_hours: answer.timing.p90_hours,
        }
    })
}

/// Runs the task.
///
/// # Errors
/// When the data is absent or broken, or output cannot be written.
pub fn run(bench: &Bench) -> Result<Outcome> {
    let path = bench.folder("tickets_uci")?.join("history.csv.gz");
    let closed = tickets::read_closed(&path)?;
    let columns: Vec<&str> = FIGURES.iter().map(|figure| figure.column).collect();
    let mut outcome = Outcome {
        protocol: "tickets at opening, of those closed before a cut; the week after each of five cuts".into(),
        columns: FIGURES.iter().map(|figure| figure.head.to_owned()).collect(),
        inputs: vec![path],
        units: Units::new("cut", &columns, FIGURES.iter().map(kept).collect()),
        ..Outcome::default()
    };
    let bar = shared_bar(Some((METHODS.len() * CUTS.len()) as u64), "cuts");
    let (mut reliability, mut late) = (Vec::new(), 0.0);
    for (name, who, method) in METHODS {
        let (cuts, all) = by_cut(&closed, *method, &bar)?;
        CUTS.iter().zip(&cuts).for_each(|(cut, cells)| outcome.units.push(cut, name, cells));
        let (middle, worst) = (middle(&cuts), worst(&cuts));
        outcome = outcome.row(*who, &format!("{name}, median cut"), &middle).row(*who, "  worst cut", &worst);
        if *who == Who::Ours {
            outcome = CUTS
                .iter()
                .zip(&cuts)
                .fold(outcome, |outcome, (cut, cells)| outcome.row(*who, &format!("  from {cut}"), cells));
            for (figure, (middle, worst)) in FIGURES.iter().zip(middle.iter().zip(worst)) {
                outcome.metrics.insert(figure.column.to_owned(), *middle);
                outcome.metrics.insert(format!("{}_worst", figure.column), worst);
            }
            late = all.late_share();
            reliability = vec![("group".to_owned(), all.assigned), ("breach".to_owned(), all.breaches)];
        }
    }
    outcome.notes.push(format!(
        "the log ends on 2016-05-02, and only what was closed by then is asked ({:.0} % of it late): the later the cut, the fewer slow tickets",
        100.0 * late
    ));
    outcome.notes.push(
        "who a ticket is assigned to, and when its first revision was written, are not read: both tell what came later"
            .to_owned(),
    );
    if let Some(out) = &bench.out {
        write(&out.join("reliability.svg"), &plot::reliability("tickets, all cuts", &reliability))?;
    }
    Ok(outcome)
}

/// The figures of a method at each cut, and its answers at all of them.
fn by_cut(closed: &[Closed], method: Method, bar: &SharedBar) -> Result<(Vec<[f64; FIGURES.len()]>, Judged)> {
    let (mut cuts, mut all) = (Vec::new(), Judged::default());
    for cut in CUTS {
        let at = parse_time(cut).context("a cut is a date")?;
        let (train, asked) = split(closed, at);
        let open: Vec<Filed> = asked.iter().map(|ticket| ticket.filed.clone()).collect();
        let judged = Judged::of(&asked, &method(train, &open));
        cuts.push(judged.figures());
        all.extend(judged);
        bar.add(1);
    }
    Ok((cuts, all))
}

/// Tickets closed by `at`, and those opened in the week after it.
fn split(closed: &[Closed], at: i64) -> (&[Closed], Vec<&Closed>) {
    let known = closed.partition_point(|ticket| ticket.closed_ns <= at);
    let mut asked: Vec<&Closed> =
        closed.iter().filter(|t| t.filed.opened_ns() > at && t.filed.opened_ns() <= at + WEEK_NS).collect();
    asked.sort_by(|a, b| (a.filed.opened_ns(), &a.filed.incident).cmp(&(b.filed.opened_ns(), &b.filed.incident)));
    (&closed[..known], asked)
}

fn kept(figure: &figures::Column) -> Figure {
    let better = if figure.higher { Better::Higher } else { Better::Lower };
    Figure { name: figure.column.to_owned(), better, rule: Rule::Mean(figure.column.to_owned()) }
}
