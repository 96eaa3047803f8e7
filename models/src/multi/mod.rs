//! Several series of one entity, judged together: does each series still do
//! what the others say it should?
//!
//! Series are centred and scaled by their own streaming robust statistics. The
//! inverse of their running covariance holds, in each row, the ridge
//! regression of one series on all others (Lauritzen, "Graphical models",
//! 1996); what that regression leaves is measured against what it usually
//! leaves. The score is the root mean square over the series, and each series'
//! share in it is its contribution.

mod detector;
mod params;
mod precision;

pub use detector::MultiDetector;
pub use params::{CheckedMultiParams, MultiParams};
