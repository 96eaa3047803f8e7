//! What the commands about tickets promise of their files: nothing of the future is read, the order of rows and
//! columns tells nothing, and what is broken is said.

use super::*;
use crate::models_cmd::io::OutputArgs;
use crate::models_cmd::{assign, breach};
use proptest::prelude::*;

/// One revision: text cells by column.
type Revision = Vec<(&'static str, String)>;

const DAY: i64 = 86_400;
const START: i64 = 1_456_704_000;

fn at(seconds: i64) -> String {
    super::super::io::stamp((START + seconds) * 1_000_000_000)
}

/// Revisions of a ticket that was opened, passed on and closed.
fn history_of(n: i64, opened: i64, closed: i64) -> Vec<Revision> {
    let (first, last) = if n % 3 == 0 { ("desk", "network") } else { ("desk", "desk") };
    let revision = |updated: i64, group: &str| -> Revision {
        vec![
            ("incident", format!("t{n}")),
            ("updated_at", at(updated)),
            ("opened_at", at(opened)),
            ("category", format!("c{}", n % 3)),
            ("caller", format!("p{}", n % 7)),
            ("assignment_group", group.to_owned()),
            ("resolved_at", at(closed - DAY)),
            ("closed_at", at(closed)),
            ("made_sla", (n % 3 != 0).to_string()),
            ("resolved_by", "somebody".to_owned()),
        ]
    };
    vec![revision(opened, first), revision(opened + 600, last), revision(closed, last)]
}

fn history(tickets: i64) -> Vec<Revision> {
    (0..tickets).flat_map(|n| history_of(n, n * 3_600, n * 3_600 + 6 * DAY)).collect()
}

/// Opened once all of the history is closed.
fn open(tickets: i64) -> Vec<Revision> {
    let opened = |n: i64| history_of(n, 90 * DAY + n * 60, 99 * DAY).swap_remove(0);
    let asked = (1_000..1_000 + tickets).map(opened);
    asked.map(|revision| revision.into_iter().filter(|(name, _)| !LATER.contains(name)).collect()).collect()
}

/// What is known of a ticket only later.
const LATER: [&str; 4] = ["resolved_at", "closed_at", "made_sla", "resolved_by"];

fn csv_of(revisions: &[Revision]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in revisions.iter().flatten() {
        if !names.contains(name) {
            names.push(name);
        }
    }
    let cell = |revision: &Revision, name: &str| {
        revision.iter().find(|(other, _)| *other == name).map_or("", |(_, text)| text).to_owned()
    };
    let line = |revision: &Revision| names.iter().map(|name| cell(revision, name)).collect::<Vec<_>>().join(",");
    let lines: Vec<String> = revisions.iter().map(line).collect();
    format!("{}\n{}\n", names.join(","), lines.join("\n"))
}

/// What both commands write, or the error of the first that fails.
fn answers(train: &str, test: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("train.csv"), train)?;
    std::fs::write(path("test.csv"), test)?;
    let files = TicketArgs { train: path("train.csv"), test: path("test.csv") };
    let output = |name: &str| OutputArgs { out: Some(path(name)), format: None };
    assign::run(&assign::AssignArgs { files: files.clone(), output: output("a.csv") })?;
    breach::run(&breach::BreachArgs { files, output: output("b.csv") })?;
    Ok(std::fs::read_to_string(path("a.csv"))? + &std::fs::read_to_string(path("b.csv"))?)
}

fn said(train: &[Revision], test: &[Revision]) -> String {
    answers(&csv_of(train), &csv_of(test)).expect("whole files")
}

#[test]
fn what_came_of_a_ticket_changes_no_byte_of_its_answer() {
    let (train, test) = (history(90), open(4));
    let plain = said(&train, &test);
    assert!(plain.contains("t1002,1,network") && plain.contains("t1000,1,desk"), "{plain}");
    let mut planted = test.clone();
    for (n, revision) in planted.iter_mut().enumerate() {
        for name in LATER {
            let told = if name == "made_sla" { (n % 2 == 0).to_string() } else { at(95 * DAY) };
            revision.push((name, told));
        }
        revision.push(("assigned_to", format!("expert {n}")));
        revision.push(("reassignment_count", "7".to_owned()));
    }
    assert_eq!(said(&train, &planted), plain, "columns of the end");
    let mut later: Vec<Revision> = planted.clone();
    for revision in &mut later {
        for (name, text) in revision.iter_mut() {
            match *name {
                "updated_at" => *text = at(92 * DAY),
                "assignment_group" => "the right one".clone_into(text),
                "category" => "c9".clone_into(text),
                _ => {}
            }
        }
    }
    // Later revisions before the first in the file, too.
    later.extend(planted);
    assert_eq!(said(&train, &later), plain, "later revisions");
}

#[test]
fn history_that_was_closed_after_a_question_is_not_known_to_it() {
    let (train, test) = (history(90), open(4));
    let plain = said(&train, &test);
    let mut planted = train.clone();
    // The tickets that are asked, closed later, and others that were open meanwhile.
    for n in 1_000..1_040 {
        let mut revisions = history_of(n, 90 * DAY + (n - 1_000) * 60, 99 * DAY);
        for (name, text) in revisions.iter_mut().flatten() {
            if *name == "assignment_group" {
                "the right one".clone_into(text);
            }
        }
        planted.extend(revisions);
    }
    assert_eq!(said(&planted, &test), plain);
    // A ticket asked after they were closed does know them.
    let mut late = open(1);
    for (name, text) in late.iter_mut().flatten() {
        match *name {
            "opened_at" | "updated_at" => *text = at(100 * DAY),
            "incident" => "late".clone_into(text),
            _ => {}
        }
    }
    assert_ne!(said(&planted, &late), said(&train, &late));
}

#[test]
fn what_is_not_closed_teaches_nothing() {
    let (mut train, test) = (history(60), open(3));
    let plain = said(&train, &test);
    let mut unfinished = history_of(500, 3_600, 6 * DAY);
    for (name, text) in unfinished.iter_mut().flatten() {
        if *name == "closed_at" {
            text.clear();
        }
    }
    train.extend(unfinished);
    assert_eq!(said(&train, &test), plain);
}

#[test]
fn the_last_group_that_was_named_is_what_a_ticket_teaches() {
    let mut revisions = history_of(3, 0, 6 * DAY);
    for (name, text) in revisions[2].iter_mut() {
        if *name == "assignment_group" {
            text.clear();
        }
    }
    revisions.reverse();
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("h.csv");
    std::fs::write(&path, csv_of(&revisions)).expect("writes");
    let closed = read_closed(&path).expect("reads");
    assert_eq!(closed.len(), 1);
    let ticket = &closed[0];
    assert_eq!((ticket.outcome().group, ticket.last_group.as_str()), (Some("network"), ""));
    assert_eq!(ticket.filed.ticket().group, "desk", "as it was opened");
    assert_eq!((ticket.breached, ticket.hours, ticket.bounced), (Some(true), Some(120.0), true));
}

#[test]
fn what_is_missing_or_broken_is_said_with_file_row_and_column() {
    let (train, test) = (csv_of(&history(5)), csv_of(&open(1)));
    let fault = |train: &str, test: &str| format!("{:#}", answers(train, test).expect_err("broken"));
    let error = fault(&train.replace("closed_at", "done_at"), &test);
    assert!(error.contains("train.csv` has no column `closed_at`") && error.contains("`done_at`"), "{error}");
    let error = fault(&train.replacen("true", "maybe", 1), &test);
    assert!(error.contains("train.csv` row 5 column `made_sla`: `maybe` is not 1 or 0"), "{error}");
    let error = fault(&train, &test.replacen("2016-", "soon-", 1));
    assert!(error.contains("test.csv` row 2 column `updated_at`") || error.contains("`opened_at`"), "{error}");
    let error = fault(&train, &test.replacen("t1000", "", 1));
    assert!(error.contains("test.csv` row 2 has no `incident`"), "{error}");
    let error = fault(&train.lines().next().map(|head| format!("{head}\n")).expect("a header"), &test);
    assert!(error.contains("no ticket that was closed before") && error.contains("give an earlier history"), "{error}");
    assert_eq!(answers(&train, test.lines().next().expect("a header")).expect("nobody asks").lines().count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Rows of both files and columns in any order, tickets closed at one instant, empty fields, unknown columns.
    #[test]
    fn order_tells_nothing_and_few_or_empty_tickets_are_answered(
        seed in any::<u64>(),
        tickets in 1_i64..30,
        tied in any::<bool>(),
        emptied in prop::option::of(prop::sample::select(vec!["category", "caller", "assignment_group"])),
        one_group in any::<bool>(),
    ) {
        let mut train: Vec<Revision> = (0..tickets)
            .flat_map(|n| history_of(n, n * 3_600, if tied { 40 * DAY } else { n * 3_600 + 6 * DAY }))
            .collect();
        for (name, text) in train.iter_mut().flatten() {
            if Some(*name) == emptied { text.clear(); }
            if one_group && *name == "assignment_group" && !text.is_empty() { "only".clone_into(text); }
        }
        let test = open(3);
        let plain = said(&train, &test);
        prop_assert_eq!(&said(&train, &test), &plain, "twice the same");
        let mut state = seed;
        let mut next = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        for at in (1..train.len()).rev() { train.swap(at, next(at + 1)); }
        for revision in &mut train {
            revision.push(("colour", "red".to_owned()));
            let turn = revision.len() / 2;
            revision.rotate_left(turn);
        }
        prop_assert_eq!(&said(&train, &test), &plain, "in another order");
        let answers = plain.lines().filter(|line| line.starts_with("t1")).count();
        let groups = match (emptied, one_group, tickets) {
            (Some("assignment_group"), ..) => 0,
            (_, true, _) | (_, _, 1) => 1,
            _ => 2,
        };
        prop_assert_eq!(answers, 3 * groups + 3);
    }
}
