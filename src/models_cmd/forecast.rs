//! `bellwether models forecast FILE.csv --limit 100 --horizon 24h`: when does
//! each resource run out?
//!
//! One row per decision (every hour of every series):
//! `series,timestamp,row,level,p10,p50,p90,full_within_horizon,bands_checked,coverage,faster_since`.
//! The quantiles are hours from the decision; they are empty where nothing
//! points at the limit. `coverage` is the share of the 90 % bands stated for
//! this series before that held, `bands_checked` of how many; `faster_since` is
//! when the level began to move faster towards the limit than it used to.

use super::detect::tell_disorder;
use super::io::{Column, OutputArgs, Table};
use super::state::StateFile;
use super::text_table::TextTable;
use super::why_silent::{self, Asked, Course, why_silent};
use crate::eval::settings::Settings;
use crate::progress::shared_bar;
use anyhow::Result;
use bellwether_models::exhaustion::{CheckedExhaustionParams, Coverage, Exhaustion, ExhaustionParams};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

/// `bellwether models forecast`
#[derive(Debug, Clone, clap::Args)]
pub struct ForecastArgs {
    /// CSV with a header (`.gz` allowed) or Parquet; `-` reads stdin
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The level at which the resource is full
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    pub limit: f64,
    /// The resource is used up when it falls to the limit: free bytes, days until a certificate ends
    #[arg(long)]
    pub falling: bool,
    /// Quantile of each hour's samples that is watched: 0.99 for a latency budget [default: 0.5]
    #[arg(long, value_name = "SHARE")]
    pub quantile: Option<f64>,
    /// How far ahead to look: 90m, 24h, 7d
    #[arg(long, default_value = "24h", value_name = "DURATION")]
    pub horizon: String,
    /// Column with the time; a `step` column or row numbers serve without it
    #[arg(long, default_value = "timestamp", value_name = "NAME")]
    pub time_column: String,
    /// Column with the value; the only other column serves without it
    #[arg(long, default_value = "value", value_name = "NAME")]
    pub value_column: String,
    /// Column that names the series, when the file holds many
    #[arg(long, default_value = "series", value_name = "NAME")]
    pub series_column: String,
    /// Seconds between rows when the file has steps instead of times
    #[arg(long, default_value_t = 300.0, value_name = "SECONDS")]
    pub step_secs: f64,
    /// Parameters that differ from the defaults, as YAML (section `exhaustion`)
    #[arg(long, value_name = "FILE")]
    pub params: Option<PathBuf>,
    /// Go on from what was learned before, and keep what was learned here at the end
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Where and how to write
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What one series has taught.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Learned {
    /// Points so far: rows go on counting.
    points: usize,
    model: Exhaustion,
}

/// One decision about one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// Index of the first row after the decided hour.
    pub row: usize,
    /// Nanoseconds since 1970.
    pub at_ns: i64,
    /// Level of the last hour.
    pub level: f64,
    /// Hours to full: early edge, middle, late edge; `None` when nothing points
    /// at the limit.
    pub hours: Option<[f64; 3]>,
    /// The verdict.
    pub full_within_horizon: bool,
    /// How often the bands stated for the series so far held.
    pub coverage: Coverage,
    /// Since when the level moves faster towards its limit, nanoseconds since 1970.
    pub faster_since_ns: Option<i64>,
}

/// Nanoseconds of an hour.
const HOUR_NS: f64 = 3.6e12;

/// Runs the command.
///
/// # Errors
/// For unreadable input, a broken cell (file, row and column are named),
/// parameters out of range, or output that cannot be written.
pub fn run(args: &ForecastArgs) -> Result<ExitCode> {
    let table = TextTable::read(&args.file)?;
    let settings = args.params.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
    let params = ExhaustionParams {
        limit: args.limit,
        horizon_ns: duration_ns(&args.horizon)?,
        falling: args.falling || settings.exhaustion.falling,
        quantile: args.quantile.unwrap_or(settings.exhaustion.quantile),
        ..settings.exhaustion
    };
    let checked = params.check()?;
    let state = args.state.as_deref().map(|path| StateFile::new(path, "forecast", &params));
    let mut learned: BTreeMap<String, Learned> =
        state.as_ref().map(StateFile::load).transpose()?.flatten().unwrap_or_default();
    let mut named: BTreeMap<String, Vec<(usize, i64, f64)>> = BTreeMap::new();
    let names = table.position(&args.series_column).map(|column| table.text(column));
    let others = [args.time_column.as_str(), args.series_column.as_str(), "step"];
    let values = table.numbers(table.value_column(&args.value_column, &others)?)?;
    let times = times(args, &table)?;
    for (row, value) in values.iter().enumerate() {
        let name = names.as_ref().map_or("", |names| names[row].as_str());
        let points = match named.get_mut(name) {
            Some(points) => points,
            None => named.entry(name.to_owned()).or_default(),
        };
        let before = learned.get(name).map_or(0, |learned| learned.points);
        let number = (before + points.len()) as f64;
        let at_ns = times.as_ref().map_or_else(|| (number * args.step_secs * 1e9) as i64, |times| times[row]);
        points.push((row, at_ns, *value));
    }
    let (mut out, mut silent) = (Rows::default(), Vec::new());
    let asked = Asked { limit: args.limit, falling: params.falling, horizon: &args.horizon };
    let bar = shared_bar(Some(values.len() as u64), "rows");
    let disordered = |points: &Vec<(usize, i64, f64)>| points.windows(2).filter(|pair| pair[1].1 <= pair[0].1).count();
    tell_disorder(named.values().map(disordered).sum());
    for (name, points) in &named {
        let at_ns: Vec<i64> = points.iter().map(|point| point.1).collect();
        let values: Vec<f64> = points.iter().map(|point| point.2).collect();
        let series = learned.entry(name.clone()).or_default();
        let decisions = decided(&mut series.model, &checked, &at_ns, &values);
        let span = at_ns.last().zip(at_ns.first()).map_or(0, |(last, first)| last - first);
        if !decisions.iter().any(|decision| decision.full_within_horizon) {
            let course = decisions.first().zip(decisions.last()).map(|(first, last)| Course {
                first: first.level,
                last: last.level,
                hours_left: last.hours.map(|[_, middle, _]| middle),
            });
            silent.push((name.clone(), why_silent(asked, points.len(), span as f64 / HOUR_NS, course)));
        }
        for decision in decisions {
            out.push(name, &Decision { row: series.points + decision.row, ..decision });
        }
        series.points += points.len();
        bar.add(points.len() as u64);
    }
    if let Some(state) = state {
        state.save(&learned)?;
    }
    args.output.write(&out.table())?;
    why_silent::tell(&silent);
    Ok(ExitCode::SUCCESS)
}

/// Every hourly decision over one series: shared with `bellwether eval`.
///
/// # Errors
/// When the parameters are out of range.
pub fn decisions(params: &ExhaustionParams, at_ns: &[i64], values: &[f64]) -> Result<Vec<Decision>> {
    Ok(decided(&mut Exhaustion::default(), &params.check()?, at_ns, values))
}

fn decided(state: &mut Exhaustion, params: &CheckedExhaustionParams, at_ns: &[i64], values: &[f64]) -> Vec<Decision> {
    let mut out = Vec::new();
    for (row, (at, value)) in at_ns.iter().zip(values).enumerate() {
        let hours_before = state.hours_seen();
        let forecast = state.update(params, *at, *value);
        if state.hours_seen() == hours_before {
            continue;
        }
        let hours = |ns: i64| ns as f64 / HOUR_NS;
        out.push(Decision {
            row,
            at_ns: *at,
            level: state.level(params),
            hours: forecast.map(|f| [hours(f.p10_ns), hours(f.p50_ns), hours(f.p90_ns)]),
            full_within_horizon: forecast.is_some_and(|f| f.full_within_horizon),
            coverage: state.coverage(),
            faster_since_ns: forecast.and_then(|f| f.faster_since_ns),
        });
    }
    out
}

#[derive(Default)]
struct Rows {
    series: Vec<String>,
    at_ns: Vec<i64>,
    row: Vec<i64>,
    level: Vec<f64>,
    quantiles: [Vec<f64>; 3],
    full: Vec<bool>,
    checked: Vec<i64>,
    coverage: Vec<f64>,
    faster_since: Vec<Option<i64>>,
}

impl Rows {
    fn push(&mut self, name: &str, decision: &Decision) {
        self.series.push(name.to_owned());
        self.at_ns.push(decision.at_ns);
        self.row.push(decision.row as i64);
        self.level.push(decision.level);
        for (index, column) in self.quantiles.iter_mut().enumerate() {
            column.push(decision.hours.map_or(f64::NAN, |hours| hours[index]));
        }
        self.full.push(decision.full_within_horizon);
        self.checked.push(i64::from(decision.coverage.checked));
        self.coverage.push(decision.coverage.share().unwrap_or(f64::NAN));
        self.faster_since.push(decision.faster_since_ns);
    }

    fn table(self) -> Table {
        let [p10, p50, p90] = self.quantiles;
        Table::default()
            .with("series", Column::Text(self.series))
            .with("timestamp", Column::times(self.at_ns))
            .with("row", Column::Int(self.row))
            .with("level", Column::Float(self.level))
            .with("p10", Column::Float(p10))
            .with("p50", Column::Float(p50))
            .with("p90", Column::Float(p90))
            .with("full_within_horizon", Column::Bool(self.full))
            .with("bands_checked", Column::Int(self.checked))
            .with("coverage", Column::Float(self.coverage))
            .with("faster_since", Column::Time(self.faster_since))
    }
}

/// Times from the time column, else from `step`; `None` when rows must serve.
fn times(args: &ForecastArgs, table: &TextTable) -> Result<Option<Vec<i64>>> {
    if let Some(column) = table.position(&args.time_column) {
        return table.times(column).map(Some);
    }
    let Some(column) = table.position("step") else {
        return Ok(None);
    };
    let steps = table.numbers(column)?;
    Ok(Some(steps.iter().map(|step| (step * args.step_secs * 1e9) as i64).collect()))
}

/// `90m`, `24h`, `7d` as nanoseconds.
fn duration_ns(text: &str) -> Result<i64> {
    let wrong = || anyhow::anyhow!("`{text}` is not a duration: write it as 90m, 24h or 7d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    let unit = match &text[digits.len()..] {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(wrong()),
    };
    Ok((number * unit * 1e9) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(file: PathBuf, out: PathBuf) -> ForecastArgs {
        ForecastArgs {
            file,
            limit: 100.0,
            falling: false,
            quantile: None,
            horizon: "24h".into(),
            time_column: "timestamp".into(),
            value_column: "value".into(),
            series_column: "series".into(),
            step_secs: 300.0,
            params: None,
            state: None,
            output: OutputArgs { out: Some(out), format: None },
        }
    }

    #[test]
    fn durations_are_read_and_nonsense_is_refused() {
        assert_eq!(duration_ns("24h").expect("hours"), 86_400_000_000_000);
        assert_eq!(duration_ns("1.5d").expect("days"), 129_600_000_000_000);
        assert!(duration_ns("soon").is_err() && duration_ns("5y").is_err() && duration_ns("").is_err());
    }

    #[test]
    fn each_series_gets_its_hourly_rows_and_the_climber_is_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let (input, output) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
        let mut text = String::from("series,step,used_pct\n");
        for step in 0..720 {
            text.push_str(&format!("climb,{step},{}\nflat,{step},40\n", 40.0 + f64::from(step) / 14.4));
        }
        std::fs::write(&input, text).expect("writes");
        run(&args(input, output.clone())).expect("forecasts");
        let written = std::fs::read_to_string(output).expect("reads");
        assert!(written.starts_with(
            "series,timestamp,row,level,p10,p50,p90,full_within_horizon,bands_checked,coverage,faster_since\n"
        ));
        let last = |name: &str| written.lines().rfind(|line| line.starts_with(name)).expect("rows").to_owned();
        let climb = last("climb");
        let coverage: f64 = climb.rsplit(',').nth(1).and_then(|cell| cell.parse().ok()).expect("a share");
        assert!(climb.contains(",true,") && (0.9..=1.0).contains(&coverage), "{climb}");
        assert!(last("flat").ends_with(",,,,false,0,,"), "{}", last("flat"));
        assert_eq!(written.lines().filter(|line| line.starts_with("flat")).count(), 59);
    }

    #[test]
    fn halves_with_a_state_say_bit_for_bit_what_the_whole_says() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let rows: Vec<String> = (0..1_440)
            .flat_map(|row| {
                let (climb, swing) = (40.0 + f64::from(row) / 28.0, 50.0 + (f64::from(row) / 46.0).sin());
                [format!("climb,{row},{climb}\n"), format!("swing,{row},{swing}\n")]
            })
            .collect();
        for head in ["series,step,used_pct", "series,ignored,value"] {
            let said = |rows: &[String], state: Option<PathBuf>| -> Vec<String> {
                let (input, output) = (folder.path().join("in.csv"), folder.path().join("out.csv"));
                std::fs::write(&input, format!("{head}\n{}", rows.concat())).expect("writes");
                run(&ForecastArgs { state, ..args(input, output.clone()) }).expect("forecasts");
                let text = std::fs::read_to_string(output).expect("reads");
                text.lines().skip(1).map(str::to_owned).collect()
            };
            let mut whole = said(&rows, None);
            let state = folder.path().join(format!("state {head}"));
            let mut halves = said(&rows[..1_300], Some(state.clone()));
            halves.extend(said(&rows[1_300..], Some(state)));
            // A file's series stand one after the other.
            whole.sort_unstable();
            halves.sort_unstable();
            assert!(whole.len() > 200 && whole == halves, "{head}");
        }
    }
}
