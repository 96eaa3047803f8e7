//! `bellwether models similar --corpus C.jsonl.gz --queries Q.jsonl`: which earlier reports were about the same
//! trouble.

use super::io::{self, Column, OutputArgs, Table};
use super::text_table::{A_TIME, parse_time};
use anyhow::{Context, Result, anyhow, bail};
use bellwether_models::desk::{Report, Similar};
use serde::Deserialize;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Reports told for each query.
pub const RANKS: usize = 10;
/// Most bytes of a line: a report with a large log in it.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// Most reports of a file.
const REPORTS_MAX: usize = 2_000_000;

/// `bellwether models similar`
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
Writes query,rank,id,score: up to ten reports a query, best first, only such as are earlier than the query.
A line of both files is {\"id\": …, \"at\": \"2026-11-20T14:00:00Z\", \"summary\": \"…\", \"description\": \"…\"}; queries may
be reports of the corpus.
Examples:
  bellwether models similar --corpus reports.jsonl.gz --queries new.jsonl --out same.csv")]
pub struct SimilarArgs {
    /// Reports to search, JSON lines
    #[arg(long, value_name = "FILE")]
    pub corpus: PathBuf,
    /// Reports to find the like of, JSON lines
    #[arg(long, value_name = "FILE")]
    pub queries: PathBuf,
    /// Where the output goes
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Text or a number, as trackers have it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Word {
    Whole(i64),
    Text(String),
}

impl Word {
    fn text(self) -> String {
        match self {
            Self::Whole(whole) => whole.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// A line.
#[derive(Debug, Deserialize)]
struct Line {
    id: Word,
    at: Word,
    summary: Option<String>,
    description: Option<String>,
}

/// A report of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// As the file names it.
    pub id: String,
    at_ns: i64,
    summary: String,
    description: String,
}

impl Written {
    fn report(&self) -> Report<'_> {
        let at_s = self.at_ns.div_euclid(1_000_000_000);
        Report { at_s, summary: &self.summary, description: &self.description }
    }
}

/// Reads a file of reports.
///
/// # Errors
/// When it cannot be read, or a line is no report; the message names file and line.
pub fn read(path: &Path) -> Result<Vec<Written>> {
    let name = path.display();
    let (mut reader, mut text, mut reports) = (io::open(path)?, String::new(), Vec::new());
    for number in 1.. {
        text.clear();
        let read = std::io::Read::take(&mut reader, LINE_BYTES_MAX).read_line(&mut text);
        let read = read.with_context(|| format!("`{name}` line {number} cannot be read: is it text (UTF-8)?"))?;
        if read == 0 {
            break;
        }
        if read as u64 == LINE_BYTES_MAX || reports.len() == REPORTS_MAX {
            bail!(
                "`{name}` line {number}: at most {REPORTS_MAX} reports of {LINE_BYTES_MAX} bytes are read: split the file or cut its texts"
            );
        }
        if text.trim().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_str(&text).map_err(|error| {
            anyhow!("`{name}` line {number} is no report: {error}; it needs `id` and `at`, and has `summary` and `description`")
        })?;
        let at = line.at.text();
        let at_ns = parse_time(&at).with_context(|| format!("`{name}` line {number} `at`: `{at}` is not {A_TIME}"))?;
        let (summary, description) = (line.summary.unwrap_or_default(), line.description.unwrap_or_default());
        reports.push(Written { id: line.id.text(), at_ns, summary, description });
    }
    Ok(reports)
}

/// The reports most like each query, of those written before it: query, then place in `corpus` and score.
#[must_use]
pub fn found(corpus: &[Written], queries: &[Written]) -> Vec<Vec<(usize, f64)>> {
    let by_time = |reports: &[Written]| {
        let mut order: Vec<usize> = (0..reports.len()).collect();
        order.sort_by_key(|at| reports[*at].at_ns);
        order
    };
    let (order, mut next, mut similar) = (by_time(corpus), 0, Similar::default());
    let mut answers = vec![Vec::new(); queries.len()];
    for query in by_time(queries) {
        let asked = &queries[query];
        while let Some(at) = order.get(next).filter(|at| corpus[**at].at_ns < asked.at_ns) {
            similar.learn(*at as u64, &corpus[*at].report());
            next += 1;
        }
        let alike = similar.find(&asked.report(), RANKS + 1).into_iter().map(|found| (found.id as usize, found.score));
        answers[query] = alike.filter(|(at, _)| corpus[*at].id != asked.id).take(RANKS).collect();
    }
    answers
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or a line is no report.
pub fn run(args: &SimilarArgs) -> Result<ExitCode> {
    let (corpus, queries) = (read(&args.corpus)?, read(&args.queries)?);
    let (mut asked, mut ranks, mut ids, mut scores) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (query, alike) in queries.iter().zip(found(&corpus, &queries)) {
        for (rank, (at, score)) in (1..).zip(alike) {
            asked.push(query.id.clone());
            ranks.push(rank);
            ids.push(corpus[at].id.clone());
            scores.push(score);
        }
    }
    let table = Table::default()
        .with("query", Column::Text(asked))
        .with("rank", Column::Int(ranks))
        .with("id", Column::Text(ids))
        .with("score", Column::Float(scores));
    args.output.write(&table)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORPUS: &str = r#"{"id": 2, "at": "2020-01-03T00:00:00Z", "summary": "disk full on node", "description": "df says 100%"}
{"id": 1, "at": "2020-01-01T00:00:00Z", "summary": "the disk of a node is full", "description": null}

{"id": "x", "at": 1577836800, "summary": "mail is slow"}
"#;

    fn written(text: &str) -> Result<Vec<Written>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("reports.jsonl");
        std::fs::write(&path, text)?;
        read(&path)
    }

    #[test]
    fn only_earlier_reports_are_shown_and_never_the_query_itself() {
        let corpus = written(CORPUS).expect("reads");
        let names = |at: &[(usize, f64)]| at.iter().map(|(at, _)| corpus[*at].id.clone()).collect::<Vec<_>>();
        let shown = found(&corpus, &corpus);
        assert_eq!(names(&shown[0]), ["1"], "of all that is earlier the only one alike");
        assert!(shown[1].is_empty() && shown[2].is_empty(), "nothing is earlier and alike: {shown:?}");
        // A twin of the query that was written later, or with it, changes nothing.
        let planted = CORPUS.to_owned()
            + &CORPUS.lines().next().expect("a line").replace("\"id\": 2", "\"id\": 3")
            + "\n"
            + &CORPUS.lines().next().expect("a line").replace("\"id\": 2", "\"id\": 4").replace("01-03", "01-04");
        let planted = written(&planted).expect("reads");
        assert_eq!(found(&planted, &corpus), shown);
    }

    #[test]
    fn a_line_that_is_no_report_is_named_with_the_remedy() {
        let fault = |text: &str| written(text).expect_err("broken").to_string();
        let error = fault("{\"id\": 1, \"at\": \"2020-01-01\"}\n{\"id\": 1}\n");
        assert!(error.contains("reports.jsonl` line 2 is no report: missing field `at`"), "{error}");
        assert!(error.contains("it needs `id` and `at`"), "{error}");
        let error = fault("{\"id\": 1, \"at\": \"some day\"}\n");
        assert!(error.contains("line 1 `at`: `some day` is not a time"), "{error}");
    }
}
