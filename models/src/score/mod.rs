//! Metrics of evaluation, implemented once: pure functions over labels and
//! scores, each tested against a case worked by hand.

pub mod causes;
pub mod delay;
pub mod groups;
pub mod nab;
pub mod sessions;
pub mod templates;
pub mod tickets;
pub mod ucr;
pub mod vus;
