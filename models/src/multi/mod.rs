//! Several series of one entity, judged together.
//!
//! Each series is centred and scaled by its own streaming robust statistics; a
//! streaming principal-component basis (CCIPCA: Weng, Zhang and Hwang, "Candid
//! covariance-free incremental principal component analysis", TPAMI 2003)
//! learns how they move together. What the basis does not explain is the
//! news, and the share of each series in it is its contribution.

mod detector;
mod params;

pub use detector::MultiDetector;
pub use params::{CheckedMultiParams, MultiParams};
