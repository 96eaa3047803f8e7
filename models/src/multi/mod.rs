//! Several series of one entity, judged together: does each series still do
//! what the others say it should?
//!
//! Series are centred and scaled by their own streaming robust statistics. The
//! inverse of their running covariance holds, in each row, the ridge
//! regression of one series on all others (Lauritzen, "Graphical models",
//! 1996); what that regression leaves is measured against what it usually
//! leaves. Beside it stands what a series does on its own: how far it is
//! outside the range it usually keeps, and how far beyond three sigmas,
//! averaged over some rows, because a shift that explains itself by its
//! companions is still a shift. The score adds the roots of what each series
//! does; the alarm adds it as it is. Each series' share is its contribution.

mod detector;
mod params;
mod precision;
mod series;
#[cfg(test)]
mod tests;

pub use detector::{MultiDetector, RowVerdict};
pub use params::{CheckedMultiParams, MultiParams};
