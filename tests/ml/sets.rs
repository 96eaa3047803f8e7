//! Data sets in the layouts of the public ones, made up and small: what the
//! loaders accept, so that every task runs where the real data is absent.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::fmt::Write as _;
use std::fs::{create_dir_all, write};
use std::io::Write as _;
use std::path::Path;

/// Points of a made-up series.
const POINTS: usize = 900;
/// Points from which the test rows begin.
const TRAIN: usize = 450;

fn gz(path: &Path, text: &str) {
    create_dir_all(path.parent().expect("a folder above")).expect("temporary folder");
    let mut encoder = GzEncoder::new(std::fs::File::create(path).expect("creates"), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("writes");
    encoder.finish().expect("writes");
}

fn plain(path: &Path, text: &str) {
    create_dir_all(path.parent().expect("a folder above")).expect("temporary folder");
    write(path, text).expect("writes");
}

/// A level with noise, and a spike every 200 points from 150 on.
fn value(series: usize, at: usize) -> f64 {
    let noise = ((at * 7919 + series * 104_729) % 101) as f64 / 10.0;
    100.0 + noise + if is_spike(at) { 400.0 } else { 0.0 }
}

fn is_spike(at: usize) -> bool {
    at % 200 == 150
}

/// All sets under one folder.
pub(crate) fn make(data: &Path) {
    nab(&data.join("nab"));
    for folder in ["kpi_aiops2018", "wsd"] {
        labelled(&data.join(folder));
    }
    ms(&data.join("ms_cloud_monitoring"));
    ucr(&data.join("ucr_anomaly"));
    for folder in ["asd", "smd8"] {
        machines(&data.join(folder));
    }
    exhaustion(&data.join("exhaustion_semisynthetic"));
    for folder in ["loghub_2k", "loghub2_2k"] {
        loghub(&data.join(folder));
    }
    sequences(&data.join("log_sequences"));
}

fn nab(folder: &Path) {
    let mut labels = serde_json::json!({});
    for series in 0..3 {
        let mut text = String::from("timestamp,value\n");
        (0..POINTS)
            .for_each(|at| writeln!(text, "{},{}", 1_400_000_000 + at * 300, value(series, at)).expect("string"));
        plain(&folder.join(format!("data/made/{series}.csv")), &text);
        let edge = |at: usize| {
            let stamp = jiff::Timestamp::from_second(1_400_000_000 + at as i64 * 300).expect("in range");
            stamp.strftime("%Y-%m-%d %H:%M:%S").to_string()
        };
        let windows: Vec<[String; 2]> =
            (0..POINTS).filter(|at| is_spike(*at)).map(|at| [edge(at - 10), edge(at + 10)]).collect();
        labels[format!("made/{series}.csv")] = serde_json::json!(windows);
    }
    plain(&folder.join("labels/combined_windows.json"), &labels.to_string());
}

fn labelled_rows(head: &str, series: usize) -> String {
    let mut text = format!("{head}\n");
    for at in 0..POINTS {
        let label = u8::from(is_spike(at));
        writeln!(text, "{},{},{label}", 1_500_000_000 + at * 60, value(series, at)).expect("string");
    }
    text
}

fn labelled(folder: &Path) {
    let mut meta = serde_json::json!({});
    for series in 0..4 {
        gz(&folder.join(format!("s{series}.csv.gz")), &labelled_rows("timestamp,value,label", series));
        meta[format!("s{series}")] = serde_json::json!({"train_len": TRAIN});
    }
    plain(&folder.join("meta.json"), &meta.to_string());
}

fn ms(folder: &Path) {
    for series in 0..2 {
        plain(&folder.join(format!("cpu/m{series}.csv")), &labelled_rows("TimeStamp,Value,Label", series));
    }
}

fn ucr(folder: &Path) {
    let mut meta = serde_json::json!({});
    for series in 0..6 {
        let anomaly = TRAIN + 50 + 60 * series;
        let mut text = String::from("value\n");
        for at in 0..POINTS {
            let odd = if (anomaly..anomaly + 5).contains(&at) { 60.0 } else { 0.0 };
            writeln!(text, "{}", (at as f64 / 6.0).sin() * 10.0 + odd).expect("string");
        }
        gz(&folder.join(format!("u{series}.csv.gz")), &text);
        meta[format!("u{series}")] = serde_json::json!({"train_len": TRAIN, "anomaly": [anomaly, anomaly + 4]});
    }
    plain(&folder.join("meta.json"), &meta.to_string());
}

fn machines(folder: &Path) {
    for machine in 0..2 {
        let row = |at: usize, odd: f64| format!("{},{},{}", value(1, at % 150), value(machine, at % 149) + odd, at % 7);
        let (mut train, mut test) = (String::from("a,b,c\n"), String::from("a,b,c,label\n"));
        for at in 0..POINTS {
            writeln!(train, "{}", row(at, 0.0)).expect("string");
            let odd = at % 250 >= 240;
            writeln!(test, "{},{}", row(at, if odd { 50.0 } else { 0.0 }), u8::from(odd)).expect("string");
        }
        gz(&folder.join(format!("m{machine}_train.csv.gz")), &train);
        gz(&folder.join(format!("m{machine}_test.csv.gz")), &test);
    }
}

fn exhaustion(folder: &Path) {
    let mut text = String::from("series,step,used_pct\n");
    let mut truth = serde_json::json!({});
    for series in 0..6 {
        let climbs = series % 2 == 0;
        let pace = 60.0 / (2000.0 + 100.0 * f64::from(series));
        for step in 0..2600 {
            let wobble = f64::from((step * 7919) % 11) / 50.0;
            let used = if climbs { 40.0 + pace * f64::from(step) } else { 50.0 };
            writeln!(text, "r{series},{step},{}", used.min(100.0) + wobble).expect("string");
        }
        let full = if climbs { (60.0 / pace) as i64 } else { -1 };
        let kind = if climbs { "linear" } else { "flat" };
        truth[format!("r{series}")] = serde_json::json!({"kind": kind, "cross_step": full});
    }
    gz(&folder.join("dev.csv.gz"), &text);
    plain(&folder.join("dev_truth.json"), &truth.to_string());
}

fn loghub(folder: &Path) {
    for system in ["Ann", "Bob"] {
        let mut text = String::from("LineId,Content,EventTemplate\n");
        for line in 0..200 {
            match line % 3 {
                0 => writeln!(text, "{line},opened port {},opened port <*>", 1000 + line),
                1 => writeln!(text, "{line},session closed for user u{line},session closed for user <*>"),
                _ => writeln!(text, "{line},{system} is up,{system} is up"),
            }
            .expect("string");
        }
        for ending in ["", "_corrected"] {
            gz(&folder.join(format!("{system}/{system}_2k.log_structured{ending}.csv.gz")), &text);
        }
    }
}

fn sequences(folder: &Path) {
    let mut text = String::new();
    for session in 0..200 {
        let odd = session % 20 == 0;
        let last = if odd { "crash" } else { "close" };
        let templates = serde_json::json!(["open", "read", last]);
        let line =
            serde_json::json!({"session": format!("b{session}"), "templates": templates, "label": u8::from(odd)});
        writeln!(text, "{line}").expect("string");
    }
    gz(&folder.join("hdfs_100k_sessions_train.jsonl.gz"), &text);
    let rows = |events: &str, count: usize| -> String { (0..count).map(|row| format!("{row},{events}\n")).collect() };
    let openstack = folder.join("openstack_parisakalaki");
    plain(&openstack.join("openstack_train"), &rows("1 2 3", 50));
    gz(&openstack.join("openstack_test_normal.gz"), &rows("1 2 3", 60));
    gz(&openstack.join("openstack_test_abnormal.gz"), &rows("1 9 3", 20));
}
