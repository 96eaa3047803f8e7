//! `--pipe`: points of many series as lines of JSON on stdin, an answer a line on stdout.
//!
//! ```text
//! {"series": "db-1 cpu", "timestamp": "2026-11-20T14:00:00Z", "value": 0.31}
//! {"series":"db-1 cpu","timestamp":"2026-11-20T14:00:00Z","value":0.31,"score":0.0,"anomaly":0,…}
//! ```
//!
//! Each line has its answer, in order, and an answer does not wait for a further line: another
//! process can drive the models in step. A line that is not understood is answered with `error`.

use super::{DetectArgs, Learned, reason, state_of};
use crate::eval::settings::Settings;
use crate::exit::Exit;
use crate::models_cmd::state::StateFile;
use crate::models_cmd::text_table::parse_time;
use crate::progress::note;
use anyhow::{Context, Result};
use bellwether_models::metric::{CheckedParams, MetricModel, MetricModelKind};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};

/// Series held at once unless more are asked for: 60 MB of detectors.
pub(super) const SERIES_MAX: usize = 100_000;
/// A longer line is no point.
const LINE_BYTES_MAX: u64 = 1 << 16;
/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 16;

/// A line.
#[derive(Debug, Deserialize)]
struct Point<'a> {
    /// Which series; without it all points are of one.
    #[serde(borrow, default)]
    series: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Stamp<'a>,
    /// Nothing where it is missing.
    value: Option<f64>,
}

/// A time as it was written, and is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Stamp<'a> {
    Whole(i64),
    Number(f64),
    Text(#[serde(borrow)] Cow<'a, str>),
}

impl Stamp<'_> {
    fn at_ns(&self) -> Option<i64> {
        match self {
            Self::Whole(number) => parse_time(&number.to_string()),
            Self::Number(number) => parse_time(&number.to_string()),
            Self::Text(text) => parse_time(text),
        }
    }
}

/// The answer to a point: the columns of the command in their order. What is not known is null.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    series: &'a str,
    timestamp: &'a Stamp<'a>,
    value: Option<f64>,
    score: f64,
    anomaly: u8,
    expected: f64,
    lower: f64,
    upper: f64,
    reason: String,
}

/// The answer to a line that is no point.
#[derive(Debug, Serialize)]
struct Refusal {
    error: String,
}

/// Why a line is no point.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("line {line} is longer than {LINE_BYTES_MAX} bytes: write one point a line")]
    Long { line: u64 },
    #[error("line {line} is no point: {why}; write {{\"series\": …, \"timestamp\": …, \"value\": …}}")]
    Shape { line: u64, why: serde_json::Error },
    #[error("line {line}: `timestamp` is no time: write seconds since 1970 or 2026-11-20T14:00:00Z")]
    Time { line: u64 },
    #[error("line {line}: more than {max} series: raise --series-max, or part them among processes")]
    Series { line: u64, max: usize },
}

/// Judges points until stdin ends.
pub(super) fn run(args: &DetectArgs, settings: &Settings) -> Result<Exit> {
    let params = settings.detector.check()?;
    let state = state_of(args, settings);
    let learned: Option<Learned> = state.as_ref().map(StateFile::load).transpose()?.flatten();
    let mut bench = Bench {
        learned: learned.unwrap_or_default(),
        params,
        kind: settings.metric.model,
        series_max: args.series_max,
    };
    let input = BufReader::with_capacity(BUFFER_BYTES, std::io::stdin().lock());
    let refused = bench.serve(input, BufWriter::new(std::io::stdout().lock()))?;
    if let Some(state) = state {
        state.save(&bench.learned)?;
    }
    if refused > 0 {
        note(&format!("{refused} lines were no points: each was answered with its `error`"));
    }
    Ok(if refused > 0 { Exit::Rejected } else { Exit::Ok })
}

/// The models of all series.
struct Bench {
    learned: Learned,
    params: CheckedParams,
    kind: MetricModelKind,
    series_max: usize,
}

impl Bench {
    /// Answers every line; how many were no points.
    fn serve<R: Read>(&mut self, mut input: BufReader<R>, mut out: impl Write) -> Result<u64> {
        let (mut line, mut number, mut refused) = (Vec::new(), 0, 0);
        loop {
            // Nothing whole is left to read at once: whoever waits for an answer gets it.
            if !input.buffer().contains(&b'\n') {
                out.flush().context("cannot write to stdout")?;
            }
            line.clear();
            let read = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line).context("cannot read stdin")?;
            if read == 0 {
                out.flush().context("cannot write to stdout")?;
                return Ok(refused);
            }
            number += 1;
            let long = read as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n");
            if long {
                input.skip_until(b'\n').context("cannot read stdin")?;
            } else if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let answered =
                if long { Err(LineError::Long { line: number }) } else { self.answer(&line, number, &mut out) };
            if let Err(error) = answered {
                refused += 1;
                serde_json::to_writer(&mut out, &Refusal { error: error.to_string() })?;
            }
            out.write_all(b"\n").context("cannot write to stdout")?;
        }
    }

    /// Writes the answer to one line, without its end.
    fn answer(&mut self, text: &[u8], line: u64, out: &mut impl Write) -> Result<(), LineError> {
        let shape = |why| LineError::Shape { line, why };
        let point: Point<'_> = serde_json::from_slice(text).map_err(shape)?;
        let at_ns = point.timestamp.at_ns().ok_or(LineError::Time { line })?;
        let models = &mut self.learned.models;
        if !models.contains_key(&*point.series) {
            if models.len() >= self.series_max {
                return Err(LineError::Series { line, max: self.series_max });
            }
            models.insert(point.series.clone().into_owned(), MetricModel::new(self.kind, &self.params));
        }
        let model = models.get_mut(&*point.series).expect("it was put there");
        let value = point.value.unwrap_or(f64::NAN);
        let verdict = model.update(&self.params, at_ns, value);
        let answer = Answer {
            series: &point.series,
            timestamp: &point.timestamp,
            value: point.value,
            score: verdict.score,
            anomaly: u8::from(verdict.anomaly),
            expected: verdict.expected,
            lower: verdict.lower,
            upper: verdict.upper,
            reason: reason(&verdict, value),
        };
        serde_json::to_writer(out, &answer).map_err(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_models::metric::DetectorParams;
    use serde_json::Value;

    fn bench(series_max: usize) -> Bench {
        let params = DetectorParams::default().check().expect("in range");
        Bench { learned: Learned::default(), params, kind: MetricModelKind::Detector, series_max }
    }

    fn answers(bench: &mut Bench, text: &str) -> (Vec<Value>, u64) {
        let mut out = Vec::new();
        let refused = bench.serve(BufReader::new(text.as_bytes()), &mut out).expect("serves");
        let text = String::from_utf8(out).expect("UTF-8");
        (text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect(), refused)
    }

    #[test]
    fn every_line_has_its_answer_and_each_series_its_own_model() {
        let point = |minute: i64, series: &str, value: f64| {
            format!("{{\"series\":\"{series}\",\"timestamp\":{},\"value\":{value}}}\n", 1_763_596_800 + 60 * minute)
        };
        let odd = |minute: i64| if minute == 450 { 900.0 } else { (minute % 7) as f64 };
        let text: String = (0..500).map(|m| point(m, "odd", odd(m)) + &point(m, "usual", (m % 7) as f64)).collect();
        let (answers, refused) = answers(&mut bench(2), &text);
        assert_eq!((answers.len(), refused), (1000, 0));
        let told: Vec<(usize, &str)> = answers
            .iter()
            .enumerate()
            .filter(|(_, answer)| answer["anomaly"] == 1)
            .map(|(at, answer)| (at / 2, answer["series"].as_str().expect("a name")))
            .collect();
        assert_eq!(told, [(450, "odd")]);
    }

    #[test]
    fn what_is_no_point_is_answered_with_its_line_and_the_rest_goes_on() {
        let long = "x".repeat(LINE_BYTES_MAX as usize + 10);
        let lines = [
            r#"{"timestamp":0,"value":1}"#,
            r#"{"timestamp":"soon","value":1}"#,
            "{broken",
            "",
            &long,
            r#"{"series":"b","timestamp":60,"value":1}"#,
            r#"{"timestamp":60,"value":null}"#,
        ];
        let (answers, refused) = answers(&mut bench(1), &(lines.join("\n") + "\n"));
        let error = |at: usize| answers[at]["error"].as_str().unwrap_or_default();
        assert_eq!((answers.len(), refused), (6, 4));
        assert!(answers[0]["score"].is_f64() && answers[5]["value"].is_null(), "{answers:?}");
        assert!(error(1).contains("line 2: `timestamp` is no time") && error(2).starts_with("line 3 is no point"));
        assert!(error(3).contains("line 5 is longer") && error(4).contains("--series-max"), "{answers:?}");
    }
}
