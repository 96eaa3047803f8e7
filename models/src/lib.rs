//! Streaming detectors, log templates, forecasters, groupers and rankers: pure algorithms

pub mod causes;
pub mod group;
