//! Files read, followed, damaged, and resumed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::signal::SignalKind;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::intake::reject::{Reason, RejectLog};
use crate::intake::{Stopper, stop_pair};
use crate::journal::{JournalConfig, LocalJournal};

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn row(n: usize) -> String {
    format!("{{\"signal\":\"log\",\"time\":1772359200,\"entity\":\"host:a\",\"body\":\"line {n}\"}}\n")
}

fn rows(range: std::ops::Range<usize>) -> String {
    range.map(row).collect()
}

fn config(path: &Path) -> FilesConfig {
    FilesConfig::new("acme", vec![path.display().to_string()])
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("packed");
    encoder.finish().expect("packed")
}

/// Everything a reader gives: rows, rejections, and the cursor after each chunk.
fn read(config: &FilesConfig, path: &Path, cursor: Option<&[u8]>) -> (usize, Vec<crate::Rejection>, Vec<Vec<u8>>) {
    let mut reader = FileReader::open(config, path, cursor).expect("opens");
    let (mut count, mut rejections, mut cursors) = (0, Vec::new(), Vec::new());
    while let Some(chunk) = reader.next_chunk().expect("reads") {
        count += chunk.batches.iter().filter(|b| b.kind() != SignalKind::Series).map(Batch::len).sum::<usize>();
        rejections.extend(chunk.rejections);
        cursors.push(chunk.cursor);
    }
    (count, rejections, cursors)
}

use bellwether_engine::signal::Batch;

#[test]
fn a_reader_goes_on_where_any_chunk_ended() {
    let dir = folder();
    let csv: String = (0..20_000).map(|n| format!("1772359200,host:a,cpu,{n}\n")).collect();
    let csv = format!("time,entity,name,value\n{csv}");
    let cases: [(&str, Vec<u8>); 4] = [
        ("a.ndjson", rows(0..20_000).into_bytes()),
        ("a.ndjson.gz", gz(rows(0..20_000).as_bytes())),
        ("a.csv", csv.clone().into_bytes()),
        ("a.csv.gz", gz(csv.as_bytes())),
    ];
    for (name, bytes) in cases {
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("written");
        let mut config = config(&path);
        config.rows.signal = name.contains("csv").then_some(SignalKind::Metric);
        let (count, rejections, cursors) = read(&config, &path, None);
        assert_eq!((count, rejections.len()), (20_000, 0), "{name}");
        assert!(cursors.len() >= 3, "{name}: {} chunks", cursors.len());
        for (index, cursor) in cursors.iter().enumerate() {
            let left = read(&config, &path, Some(cursor)).0;
            assert!(left <= 20_000 - (index + 1).min(2) * 8_192, "{name}: {left}");
        }
        assert_eq!(read(&config, &path, cursors.last().map(Vec::as_slice)).0, 0, "{name}");
        let first = read(&config, &path, Some(&cursors[0])).0;
        let second = read(&config, &path, Some(&cursors[1])).0;
        assert_eq!(first - second, 8_192, "{name}");
    }
}

#[test]
fn bad_rows_are_named_with_file_row_and_column_and_the_rest_is_read() {
    let dir = folder();
    let path = dir.path().join("a.ndjson");
    let long = format!("{{\"body\":\"{}\"}}", "x".repeat(50_000_000));
    let text = format!(
        "{}not json\n{}{{\"signal\":\"metric\",\"time\":1772359200,\"name\":\"n\",\"entity\":\"e\",\"value\":\"inf\"}}\n{long}\n{}",
        row(1),
        row(2),
        row(3).trim_end()
    );
    fs::write(&path, text).expect("written");
    let (count, rejections, _) = read(&config(&path), &path, None);
    assert_eq!(count, 3);
    let found: Vec<(u64, Reason, &str)> = rejections.iter().map(|r| (r.row, r.reason, r.column.as_str())).collect();
    assert_eq!(found, [(2, Reason::Syntax, ""), (4, Reason::NotFinite, "value"), (5, Reason::TooLong, "")]);
    assert!(rejections[2].excerpt.len() <= 1_024);
    assert!(rejections[1].to_string().starts_with(&format!("{}:4: column `value`: ", path.display())));
}

#[test]
fn empty_and_damaged_files_are_clear_errors() {
    let dir = folder();
    let path = dir.path().join("a.ndjson");
    fs::write(&path, "").expect("written");
    assert_eq!(read(&config(&path), &path, None).0, 0);

    let path = dir.path().join("a.parquet");
    for bytes in [&b""[..], b"PAR1", b"PAR1 and then nothing of use PAR1"] {
        fs::write(&path, bytes).expect("written");
        let error = FileReader::open(&config(&path), &path, None).map(|_| ()).expect_err("no Parquet");
        assert!(matches!(&error, FileError::Bad(r) if r.file.ends_with("a.parquet")), "{error}");
    }

    let path = dir.path().join("cut.ndjson.gz");
    let whole = gz(rows(0..5_000).as_bytes());
    fs::write(&path, &whole[..whole.len() / 2]).expect("written");
    let (count, rejections, _) = read(&config(&path), &path, None);
    assert!(count > 0 && count < 5_000, "{count}");
    assert!(rejections.iter().any(|r| r.detail.contains("cannot be read beyond")), "{rejections:?}");

    let path = dir.path().join("a.csv");
    fs::write(&path, "time,whatever\n1,2\n").expect("written");
    let mut config = config(&path);
    config.rows.signal = Some(SignalKind::Metric);
    let mut reader = FileReader::open(&config, &path, None).expect("opens");
    let error = reader.next_chunk().map(|_| ()).expect_err("no such column");
    assert!(matches!(&error, FileError::Bad(r) if r.column == "whatever" && r.row == 1), "{error}");
}

#[test]
fn a_name_that_does_not_say_its_format_is_refused_with_the_formats() {
    let error = config(Path::new("data.bin")).format_of(Path::new("data.bin")).expect_err("unknown").to_string();
    assert!(error.contains("ndjson, csv, lines or parquet"), "{error}");
}

#[test]
fn a_star_stands_for_any_text() {
    assert!(wildcard("*.csv", "a.csv") && wildcard("a*b*c", "a1b2c") && wildcard("*", "x"));
    assert!(!wildcard("*.csv", "a.csv.gz") && !wildcard("ab*ba", "aba"));
}

struct Running {
    intake: Intake,
    stopper: Stopper,
    task: tokio::task::JoinHandle<Result<(), SourceError>>,
}

fn start(config: FilesConfig, journal: &Arc<LocalJournal>) -> Running {
    let intake = Intake::new(journal.clone(), RejectLog::counting());
    let (stopper, stop) = stop_pair();
    let source = Box::new(FilesSource::new(config).expect("a source"));
    let task = tokio::spawn(source.run(intake.clone(), stop));
    Running { intake, stopper, task }
}

impl Running {
    async fn until(&self, rows: u64) {
        let enough = async {
            while self.intake.counts().rows(SignalKind::Log) < rows {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), enough).await.expect("the rows arrive");
        // None more than that.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(self.intake.counts().rows(SignalKind::Log), rows);
    }

    async fn stop(self) {
        self.stopper.stop();
        self.task.await.expect("the source ran").expect("the source ended well");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_file_is_read_once_over_growth_rotation_truncation_and_restart() {
    let dir = folder();
    let path = dir.path().join("a.ndjson");
    let (journal, _) = LocalJournal::open(&JournalConfig::new(dir.path().join("journal"))).expect("opens");
    let journal = Arc::new(journal);
    let mut config = config(&path);
    config.follow = true;

    let running = start(config.clone(), &journal);
    fs::write(&path, rows(0..10)).expect("written");
    running.until(10).await;
    // A line comes in two pieces.
    let mut file = fs::File::options().append(true).open(&path).expect("opens");
    let line = row(10);
    file.write_all(&line.as_bytes()[..20]).expect("written");
    running.until(10).await;
    file.write_all(&line.as_bytes()[20..]).expect("written");
    running.until(11).await;
    // Rotated, with a last line that has no end.
    file.write_all(row(11).trim_end().as_bytes()).expect("written");
    fs::rename(&path, dir.path().join("a.1")).expect("renamed");
    fs::write(&path, rows(12..15)).expect("written");
    running.until(15).await;
    running.stop().await;

    // A restart reads only what is new.
    let mut file = fs::File::options().append(true).open(&path).expect("opens");
    file.write_all(rows(15..20).as_bytes()).expect("written");
    let running = start(config.clone(), &journal);
    running.until(5).await;
    // Truncated.
    fs::write(&path, rows(0..2)).expect("written");
    running.until(7).await;
    running.stop().await;
}

#[tokio::test]
async fn files_to_their_end_are_read_once_over_restarts() {
    let dir = folder();
    for name in ["a.ndjson", "b.ndjson"] {
        fs::write(dir.path().join(name), rows(0..10)).expect("written");
    }
    let (journal, _) = LocalJournal::open(&JournalConfig::new(dir.path().join("journal"))).expect("opens");
    let journal = Arc::new(journal);
    let config = config(&dir.path().join("*.ndjson"));
    for want in [20, 0] {
        let running = start(config.clone(), &journal);
        let intake = running.intake.clone();
        running.task.await.expect("the source ran").expect("the source ended well");
        assert_eq!(intake.counts().rows(SignalKind::Log), want);
    }
}
