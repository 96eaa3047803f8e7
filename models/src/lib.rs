//! Streaming detectors, log templates, forecasters, groupers and rankers: pure algorithms

pub mod templates;

pub mod logs;
