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

#[test]
fn what_is_kept_is_small() {
    let all = bellwether_fuzz::names().into_iter().flat_map(inputs);
    let bytes: u64 = all.map(|file| fs::metadata(file).expect("is there").len()).sum();
    assert!(bytes < 300_000, "{bytes} bytes of inputs: `make fuzz-minimize`");
}
