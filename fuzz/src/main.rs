//! The fuzzer: `BELLWETHER_FUZZ=loki fuzz CORPUS… -max_total_time=60`; without a name it says which there are.

#![no_main]
#![allow(clippy::print_stderr)] // whoever runs it looks there

use std::sync::OnceLock;

use bellwether_fuzz::{is_guarded, names, target};
use libfuzzer_sys::fuzz_target;

/// What names the target.
const NAME: &str = "BELLWETHER_FUZZ";

type Run = Box<dyn Fn(&[u8]) + Send + Sync>;

static RUN: OnceLock<Run> = OnceLock::new();

fn chosen() -> Run {
    let name = std::env::var(NAME).unwrap_or_default();
    let Some(run) = target(&name) else {
        eprintln!("{NAME} is `{name}`, it must be one of: {}", names().join(" "));
        std::process::exit(2);
    };
    if is_guarded(&name) {
        // The fuzzer ends with any panic; these are met where they happen.
        std::panic::set_hook(Box::new(|_| {}));
    }
    Box::new(run)
}

fuzz_target!(
    init: {
        RUN.get_or_init(chosen);
    },
    |bytes: &[u8]| RUN.get_or_init(chosen)(bytes)
);
