//! Anomalies of one metric series, streaming: O(1) per point, bounded state.
//!
//! ```
//! use bellwether_models::metric::{Detector, DetectorParams};
//!
//! let params = DetectorParams::default().check()?;
//! let mut detector = Detector::new(&params);
//! for minute in 0..500_i64 {
//!     let value = 10.0 + (minute % 7) as f64 * 0.1;
//!     detector.update(&params, minute * 60_000_000_000, value);
//! }
//! let verdict = detector.update(&params, 500 * 60_000_000_000, 90.0);
//! assert!(verdict.score > 0.5);
//! # Ok::<(), bellwether_models::shared::ParamError>(())
//! ```

mod detector;
mod model;
mod params;
mod season;
mod surprise;
mod track;
mod verdict;

pub use detector::Detector;
pub use model::{MetricModel, MetricModelKind};
pub use params::{CheckedParams, DetectorParams};
pub use season::Season;
pub use verdict::{Reason, Verdict, bits_from_score, score_from_bits};
