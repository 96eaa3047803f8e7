//! The contract, against the strict system in memory: each fault that others are known for, and any of them in any
//! order; and against every real system, over a line that can be cut.

mod bench;
mod channels;
mod contract;
mod destinations;
mod faults;
mod houses;
mod mail_by_tls;
mod people;
mod strict;
mod suite;
mod told;

#[path = "../../../../tests/support/certificates.rs"]
mod certificates;
#[path = "../../../../tests/bridge/line.rs"]
mod line;
#[path = "../../../../tests/bridge/redmine.rs"]
#[allow(dead_code, reason = "the tests of the program use the rest")]
mod redmine;
#[path = "../../../../tests/bridge/roundup.rs"]
#[allow(dead_code, reason = "the tests of the program use the rest")]
mod roundup;
#[path = "../../../../tests/bridge/rt.rs"]
#[allow(dead_code, reason = "the tests of the program use the rest")]
mod rt;
#[path = "../../../../tests/bridge/server.rs"]
#[allow(dead_code, reason = "the tests of the program use the rest")]
mod server;
#[path = "../../../../tests/support/skipped.rs"]
mod skipped;
