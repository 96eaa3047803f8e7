//! One element of a line: a gap of white space and punctuation, then a stretch of text with a kind.

use super::class::Kind;

/// One element of a line. Offsets are bytes into the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    /// Hash of gap and text; the text of a strong element counts as a blank cheque.
    pub hash: u64,
    /// Hash of the gap alone, as if a parameter followed.
    pub open: u64,
    pub kind: Kind,
    /// The gap is `line[gap..start]`.
    pub gap: u32,
    pub start: u32,
    pub end: u32,
    /// This element goes on with the list of parameters before it.
    pub listed: bool,
}
