//! Metrics of evaluation, implemented once: pure functions over labels and
//! scores, each tested against a case worked by hand.

pub mod delay;
pub mod nab;
pub mod ucr;
pub mod sessions;
pub mod templates;
