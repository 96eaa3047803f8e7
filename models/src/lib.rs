//! Streaming detectors, log templates, forecasters, groupers and rankers: pure
//! algorithms. No Arrow, no clock, no I/O, no randomness that is not seeded.
//!
//! | module | question it answers |
//! |---|---|
//! | [`metric`] | is this point of one series unusual, and how sure are we? |
//! | [`multi`] | do the series of one entity still move together as they used to? |
//! | [`exhaustion`] | when does this resource run out, and how sure are we? |
//! | [`templates`] | which lines of a log say the same thing with other values? |
//! | [`logs`] | does this stream, or this session, of log lines do what it never did? |
//! | [`group`] | which alerts belong together, and why not those? |
//! | [`causes`] | what began it? |
//! | [`desk`] | who will resolve this ticket, how long will it take, and was it reported before? |
//! | [`shared`] | tails, quantiles, seasons and change points the others stand on |
//! | [`score`] | how good is a detector? the metrics of evaluation, implemented once |

pub mod causes;
pub mod desk;
pub mod exhaustion;
pub mod group;
pub mod logs;
pub mod metric;
pub mod multi;
pub mod score;
pub mod shared;
pub mod templates;
