//! Bellwether: the command line, configuration and wiring.
fn main() {}
