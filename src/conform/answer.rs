//! What a subscriber says that it holds: a line of JSON an incident, with the fields of the record that it keeps.

use std::io::BufRead;

use serde::Deserialize;
use serde_json::{Map, Value};

/// Bytes of a line: a record and what a subscriber keeps beside it.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Lines of an answer.
const LINES_MAX: usize = 1_000_000;

/// One incident as a subscriber holds it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Held {
    /// Whose it is.
    pub tenant: String,
    /// Its id.
    #[serde(alias = "id")]
    pub incident: String,
    /// The revision that it stands at.
    pub revision: u64,
    /// How it stands.
    pub status: String,
    /// The revisions that the subscriber acted on, in the order in which it did.
    #[serde(default)]
    pub acted: Option<Vec<u64>>,
    /// What else it keeps of the record: what is there is judged.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// An answer that does not read.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// A line.
    #[error(
        "line {line} is no answer: {reason}; a line is one incident: \
         {{\"tenant\": …, \"incident\": …, \"revision\": …, \"status\": …}} and what else is kept of the record"
    )]
    Line {
        /// Which, from 1 on.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// More than any plan has.
    #[error("there are more than {LINES_MAX} lines: give one line an incident, as it stands at the end")]
    Long,
    /// It cannot be read.
    #[error("the answer cannot be read: {0}")]
    Io(#[from] std::io::Error),
}

/// What a subscriber holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer(pub Vec<Held>);

impl Answer {
    /// Reads JSON Lines.
    ///
    /// # Errors
    /// [`AnswerError`]: the first line that is none.
    pub fn read(mut from: impl BufRead) -> Result<Answer, AnswerError> {
        let (mut held, mut line) = (Vec::new(), Vec::new());
        for number in 1.. {
            line.clear();
            // Lines end with `\n` alone: texts have other characters that some take for an end.
            let wrong = |reason: String| AnswerError::Line { line: number, reason };
            let most = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
            if std::io::Read::take(&mut from, most).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.len() == LINE_BYTES_MAX {
                return Err(wrong(format!("it is longer than {LINE_BYTES_MAX} bytes")));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            if held.len() == LINES_MAX {
                return Err(AnswerError::Long);
            }
            held.push(serde_json::from_slice(&line).map_err(|error| wrong(error.to_string()))?);
        }
        Ok(Answer(held))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_answer_is_named_with_what_one_is() {
        let good = r#"{"tenant":"a","id":"inc_1","revision":2,"status":"open","title":"x\u2028y"}"#;
        let read = Answer::read(format!("{good}\n\n{good}").as_bytes()).expect("two lines");
        assert_eq!((read.0.len(), read.0[0].incident.as_str(), read.0[0].acted.as_ref()), (2, "inc_1", None));
        let error = Answer::read(format!("{good}\n{{\"tenant\":\"a\"}}\n").as_bytes()).expect_err("no incident");
        assert!(error.to_string().starts_with("line 2 is no answer: missing field"), "{error}");
        let long = format!("{{\"tenant\":\"{}", "x".repeat(LINE_BYTES_MAX));
        assert!(Answer::read(long.as_bytes()).expect_err("too long").to_string().contains("longer than"));
    }
}
