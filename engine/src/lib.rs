//! The engine: a deterministic fold from a journal of signals to incident events
