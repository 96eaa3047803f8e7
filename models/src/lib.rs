//! Streaming detectors, log templates, forecasters, groupers and rankers: pure algorithms
