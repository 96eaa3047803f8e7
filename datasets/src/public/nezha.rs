//! Nezha (Yu et al. 2023, ESEC/FSE): two micro-service shops with injected
//! faults; metrics each minute, logs and traces by minute where they exist.
//!
//! `rca_data/<day>/` holds `<day>-fault_list.json`, `metric/`, `log/`,
//! `trace/`; `construct_data/<day>/` the fault-free phase. The fault list is
//! read twice: for the times, which a diagnosis is given, and by [`truth`] for
//! the pod at fault, which it is not.

use super::LoadError;
use super::grid::{Grid, Series, files, plain_name};
use super::rows::json;
use std::path::{Path, PathBuf};

/// Metrics of one pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Pod {
    /// Pod name.
    pub name: String,
    /// Its metrics.
    pub series: Series,
}

/// The metrics of one day.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics {
    /// By pod.
    pub pods: Vec<Pod>,
    /// Median latency of each link as the caller sees it, `caller_callee`.
    pub source: Series,
    /// The same as the callee sees it.
    pub destination: Series,
    /// Calls between services (caller, callee) and placements (service, node).
    pub dependencies: Vec<(String, String)>,
}

/// One log line.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// Nanoseconds since 1970.
    pub at_ns: i64,
    /// Pod that wrote it.
    pub pod: String,
    /// Trace it belongs to.
    pub trace: String,
    /// Span it belongs to.
    pub span: String,
    /// The text, out of its JSON wrapping.
    pub body: String,
}

/// One span.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Trace.
    pub trace: String,
    /// Its own id.
    pub span: String,
    /// Parent id, `root` for none.
    pub parent: String,
    /// Pod.
    pub pod: String,
    /// Operation.
    pub operation: String,
    /// Start in nanoseconds since 1970.
    pub start_ns: i64,
    /// End in nanoseconds since 1970.
    pub end_ns: i64,
}

/// The fault injected at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// Seconds since 1970.
    pub at_secs: i64,
    /// Pod at fault.
    pub pod: String,
    /// Kind of fault.
    pub kind: String,
}

/// The service of a pod: its name without the hashes of replica set and pod.
#[must_use]
pub fn service_of(pod: &str) -> &str {
    let Some((rest, last)) = pod.rsplit_once('-') else {
        return pod;
    };
    let Some((service, middle)) = rest.rsplit_once('-') else {
        return pod;
    };
    let hash = |text: &str, len: std::ops::RangeInclusive<usize>| {
        len.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let replica_set = hash(middle, 8..=10) && middle.bytes().any(|byte| byte.is_ascii_digit());
    if replica_set && hash(last, 5..=5) { service } else { pod }
}

/// Whether a folder is a day of this layout. The fault list may be absent: the
/// time can be given.
#[must_use]
pub fn is_case(folder: &Path) -> bool {
    fault_list(folder).is_ok() || files(&folder.join("metric"), "_metric.csv").is_ok_and(|found| !found.is_empty())
}

/// Times of the faults of a day, in seconds since 1970, in order. The text
/// `inject_time` (UTC) counts; `inject_timestamp` only where that is absent,
/// for some of them are eight hours off.
///
/// # Errors
/// When the fault list is absent, broken, or an entry has no time.
pub fn fault_times(day: &Path) -> Result<Vec<i64>, LoadError> {
    let path = fault_list(day)?;
    let mut times = Vec::new();
    for fault in entries(&path)? {
        times.push(time_of(&path, &fault)?);
    }
    times.sort_unstable();
    Ok(times)
}

/// The faults of a day with the pods at fault, in order of time.
///
/// # Errors
/// As [`fault_times`], and when an entry names no pod.
pub fn truth(day: &Path) -> Result<Vec<Truth>, LoadError> {
    let path = fault_list(day)?;
    let mut out = Vec::new();
    for fault in entries(&path)? {
        let pod = fault["inject_pod"].as_str().ok_or_else(|| LoadError::meta(&path, "an entry names no pod"))?;
        let kind = fault["inject_type"].as_str().unwrap_or("").to_owned();
        out.push(Truth { at_secs: time_of(&path, &fault)?, pod: pod.to_owned(), kind });
    }
    out.sort_by_key(|fault| fault.at_secs);
    Ok(out)
}

/// The folder of the fault-free phase of the same day, when there is one.
#[must_use]
pub fn fault_free(day: &Path) -> Option<PathBuf> {
    let name = day.file_name()?;
    let folder = day.parent()?.parent()?.join("construct_data").join(name);
    folder.is_dir().then_some(folder)
}

/// The metrics of a day folder.
///
/// # Errors
/// When a file is broken; the message names file, row and column.
pub fn metrics(day: &Path) -> Result<Metrics, LoadError> {
    let folder = day.join("metric");
    let mut out = Metrics::default();
    for path in files(&folder, "_metric.csv")? {
        let series = Series::read(&path, "TimeStamp", &["Time", "PodName"])?;
        let name = plain_name(&path).trim_end_matches("_metric.csv").to_owned();
        out.pods.push(Pod { name, series });
    }
    for path in files(&folder, ".csv")? {
        match plain_name(&path).as_str() {
            "source_50.csv" => out.source = Series::read(&path, "timestamp", &["time"])?,
            "destination_50.csv" => out.destination = Series::read(&path, "timestamp", &["time"])?,
            "dependency.csv" => out.dependencies = dependencies(&path)?,
            _ => {}
        }
    }
    Ok(out)
}

/// The log files of a day folder, in order of time.
///
/// # Errors
/// When the folder cannot be listed.
pub fn log_files(day: &Path) -> Result<Vec<PathBuf>, LoadError> {
    files(&day.join("log"), "_log.csv")
}

/// The trace files of a day folder, in order of time.
///
/// # Errors
/// When the folder cannot be listed.
pub fn trace_files(day: &Path) -> Result<Vec<PathBuf>, LoadError> {
    files(&day.join("trace"), "_trace.csv")
}

/// The minute of the day that a log or trace file is named after.
#[must_use]
pub fn minute_of(path: &Path) -> Option<i64> {
    let name = plain_name(path);
    let (hour, rest) = name.split_once('_')?;
    let (minute, _) = rest.split_once('_')?;
    Some(hour.parse::<i64>().ok()? * 60 + minute.parse::<i64>().ok()?)
}

/// The lines of one log file. Lines broken by unquoted commas are joined again.
///
/// # Errors
/// When the file is broken; the message names file, row and column.
pub fn logs(path: &Path) -> Result<Vec<LogLine>, LoadError> {
    let grid = Grid::read(path)?;
    let column = |name| grid.position(name);
    let (at, pod, trace) = (column("TimeUnixNano")?, column("PodName")?, column("TraceID")?);
    let (span, body) = (column("SpanID")?, column("Log")?);
    let mut out = Vec::with_capacity(grid.rows.len());
    for row in 1..grid.rows.len() {
        let at_ns = grid.text(row, at).parse().map_err(|_| grid.bad(row, at, "nanoseconds since 1970"))?;
        let wrapped: Vec<&str> = grid.rows[row].iter().skip(body).collect();
        out.push(LogLine {
            at_ns,
            pod: grid.text(row, pod).to_owned(),
            trace: grid.text(row, trace).to_owned(),
            span: grid.text(row, span).to_owned(),
            body: unwrapped(&wrapped.join(",")),
        });
    }
    Ok(out)
}

/// The spans of one trace file.
///
/// # Errors
/// When the file is broken; the message names file, row and column.
pub fn spans(path: &Path) -> Result<Vec<Span>, LoadError> {
    let grid = Grid::read(path)?;
    let column = |name| grid.position(name);
    let texts =
        [column("TraceID")?, column("SpanID")?, column("ParentID")?, column("PodName")?, column("OperationName")?];
    let (start, end) = (column("StartTimeUnixNano")?, column("EndTimeUnixNano")?);
    let mut out = Vec::with_capacity(grid.rows.len());
    for row in 1..grid.rows.len() {
        let [trace, span, parent, pod, operation] = texts.map(|column| grid.text(row, column).to_owned());
        let time = |column| grid.text(row, column).parse().map_err(|_| grid.bad(row, column, "nanoseconds since 1970"));
        let (start_ns, end_ns) = (time(start)?, time(end)?);
        out.push(Span { trace, span, parent, pod, operation, start_ns, end_ns });
    }
    Ok(out)
}

/// The text inside `{"log": …}`, or the text itself.
fn unwrapped(text: &str) -> String {
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(text);
    parsed.ok().and_then(|value| value["log"].as_str().map(str::to_owned)).unwrap_or_else(|| text.to_owned())
}

fn fault_list(day: &Path) -> Result<PathBuf, LoadError> {
    let found = files(day, "fault_list.json")?.into_iter().next();
    found.ok_or_else(|| LoadError::meta(day, "no fault list in it"))
}

/// The entries of a fault list: an object of arrays by hour, one array, or one entry.
fn entries(path: &Path) -> Result<Vec<serde_json::Value>, LoadError> {
    use serde_json::Value;
    Ok(match json(path)? {
        Value::Array(list) => list,
        Value::Object(entry) if entry.contains_key("inject_time") || entry.contains_key("inject_timestamp") => {
            vec![Value::Object(entry)]
        }
        Value::Object(hours) => hours
            .into_iter()
            .flat_map(|(_, value)| match value {
                Value::Array(list) => list,
                other => vec![other],
            })
            .collect(),
        _ => return Err(LoadError::meta(path, "a list of faults expected")),
    })
}

fn time_of(path: &Path, fault: &serde_json::Value) -> Result<i64, LoadError> {
    let text = fault["inject_time"].as_str().and_then(|text| text.parse::<jiff::civil::DateTime>().ok());
    if let Some(zoned) = text.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC).ok()) {
        return Ok(zoned.timestamp().as_second());
    }
    let stamp = &fault["inject_timestamp"];
    let seconds = stamp.as_i64().or_else(|| stamp.as_str().and_then(|text| text.parse().ok()));
    seconds.ok_or_else(|| LoadError::meta(path, "an entry has neither inject_time nor inject_timestamp"))
}

fn dependencies(path: &Path) -> Result<Vec<(String, String)>, LoadError> {
    let grid = Grid::read(path)?;
    let (source, target) = (grid.position("Source")?, grid.position("Target")?);
    let pair = |row| (grid.text(row, source).to_owned(), grid.text(row, target).to_owned());
    Ok((1..grid.rows.len()).map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_gives_its_service_and_other_names_stay() {
        assert_eq!(service_of("frontend-579b9bff58-t2dbm"), "frontend");
        assert_eq!(service_of("ts-preserve-service-b5ccf8557-j4txs"), "ts-preserve-service");
        assert_eq!(service_of("ts-order-service"), "ts-order-service");
        assert_eq!(service_of("redis"), "redis");
    }

    #[test]
    fn times_come_without_the_answers() {
        let day = std::env::temp_dir().join(format!("bellwether-nezha-{}", std::process::id()));
        std::fs::create_dir_all(&day).expect("temporary folder");
        let list = r#"{"03":[{"inject_time":"2022-08-22 03:53:54","inject_timestamp":"1"}],"04":[{"inject_timestamp":"1661140927"}]}"#;
        std::fs::write(day.join("2022-08-22-fault_list.json"), list).expect("temporary file");
        assert_eq!(fault_times(&day).expect("two times"), [1_661_140_434, 1_661_140_927]);
        assert!(truth(&day).is_err(), "no pod is named");
        std::fs::write(day.join("2022-08-22-fault_list.json"), r#"{"inject_time":"2022-08-22 03:53:54"}"#)
            .expect("temporary file");
        assert_eq!(fault_times(&day).expect("one time"), [1_661_140_434]);
        std::fs::remove_dir_all(&day).expect("temporary folder");
    }
}
