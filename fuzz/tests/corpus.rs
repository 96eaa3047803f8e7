//! The inputs that fuzzing found worth keeping, and those that once failed, through the same functions.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// No input may take longer, on the slowest machine that builds.
const PATIENCE: Duration = Duration::from_secs(5);

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("listed").path()).collect();
    files.sort();
    files
}

#[test]
fn every_kept_input_is_read_without_a_panic_and_in_time() {
    for name in bellwether_fuzz::names() {
        let run = bellwether_fuzz::target(name).expect("it is one of them");
        let files = inputs(name);
        assert!(!files.is_empty(), "`{name}` has no inputs: run `make fuzz`");
        for file in files {
            let bytes = fs::read(&file).expect("reads");
            let began = Instant::now();
            run(&bytes);
            assert!(began.elapsed() < PATIENCE, "{} took {:?}", file.display(), began.elapsed());
        }
    }
}

/// Deeper than any stack, were a decoder to go down for each.
const DEPTH: usize = 20_000;

/// Targets whose inputs begin with what is around a body.
const OVER_HTTP: [&str; 11] = [
    "remote_write",
    "alertmanager",
    "otlp",
    "loki",
    "bulk",
    "influx",
    "collectd",
    "actions",
    "changes",
    "topology_import",
    "webhook",
];

/// A message of OpenTelemetry whose one value is a list in a list in a list …
fn nested_protobuf() -> Vec<u8> {
    // A message's bytes are written from within, its last byte first: then none of them is moved again.
    fn wrap(reversed: &mut Vec<u8>, field: u8) {
        let mut length = reversed.len();
        let mut varint = Vec::new();
        loop {
            let more = length > 127;
            varint.push((length & 127) as u8 | if more { 128 } else { 0 });
            length >>= 7;
            if !more {
                break;
            }
        }
        reversed.extend(varint.into_iter().rev());
        reversed.push(field << 3 | 2);
    }
    let mut reversed = Vec::new();
    for _ in 0..DEPTH / 10 {
        wrap(&mut reversed, 1);
        wrap(&mut reversed, 5);
    }
    for field in [5, 2, 2, 1] {
        wrap(&mut reversed, field);
    }
    reversed.reverse();
    reversed
}

#[test]
fn nesting_without_end_ends_in_a_refusal_and_not_in_the_stack() {
    let again = |text: &str| text.repeat(DEPTH).into_bytes();
    let ber = || {
        let mut reversed: Vec<u8> = Vec::new();
        for _ in 0..DEPTH / 10 {
            let length = reversed.len() as u16;
            reversed.extend([length.to_le_bytes()[0], length.to_le_bytes()[1], 0x82, 0x30]);
        }
        reversed.reverse();
        reversed
    };
    let shapes = [
        again("["),
        again("{\"a\":"),
        again("[{\"labels\":"),
        again("- "),
        again("{a: "),
        again("("),
        again("NOT "),
        vec![0x91; DEPTH],
        [&[0x93, 0xa1, b't', 1][..], &[0x81, 0xa1, b'k'].repeat(DEPTH)[..]].concat(),
        nested_protobuf(),
        ber(),
    ];
    // Around a body over HTTP: each route, as JSON, protobuf and YAML, plain and truly compressed.
    let heads: Vec<Vec<u8>> = (0..10)
        .flat_map(|route| [[0, 0], [1, 0], [1, 5], [7, 0]].map(|[kind, packing]| vec![route, 0, kind, packing]))
        .collect();
    for name in bellwether_fuzz::names() {
        let run = bellwether_fuzz::target(name).expect("it is one of them");
        for shape in &shapes {
            match OVER_HTTP.contains(&name) {
                true => heads.iter().for_each(|head| run(&[&head[..], shape].concat())),
                false => run(shape),
            }
        }
    }
}

#[test]
fn what_is_kept_is_small() {
    let all = bellwether_fuzz::names().into_iter().flat_map(inputs);
    let bytes: u64 = all.map(|file| fs::metadata(file).expect("is there").len()).sum();
    assert!(bytes < 300_000, "{bytes} bytes of inputs: `make fuzz-minimize`");
}
