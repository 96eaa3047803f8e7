//! Sources, the journal and sinks: everything that does I/O
