//! How many inputs the property tests of decoders try.
//!
//! `BELLWETHER_FUZZ_CASES=100000 cargo test -p bellwether-connectors --lib` tries so many on
//! each decoder; without it they are as many as everyday tests can bear. A failing input is
//! printed with its seed and kept beside the sources, where the next run tries it first.

use proptest::test_runner::Config;

/// Inputs of each property without the variable.
const CASES: u32 = 256;

/// The configuration of a decoder's property test.
pub(crate) fn config() -> Config {
    let asked = std::env::var("BELLWETHER_FUZZ_CASES")
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("BELLWETHER_FUZZ_CASES is `{text}`, a number is expected")));
    Config { cases: asked.unwrap_or(CASES), ..Config::default() }
}
