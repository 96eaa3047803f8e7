//! Lines out of bytes, each at most a fixed length: a line of 50 MB is passed over without
//! being held.

use crate::intake::text::BYTE_ORDER_MARK;

/// Longest line that is read; a longer one is refused.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// What a piece of input holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A line without its line break.
    Line(&'a [u8]),
    /// A line over [`LINE_BYTES_MAX`]: its beginning, and how long it was.
    TooLong(&'a [u8], u64),
}

/// Bytes of an overlong line that are kept to be shown.
const HEAD_BYTES: usize = 1_024;

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    /// The beginning of a line whose end has not come.
    held: Vec<u8>,
    /// Bytes of an overlong line so far; 0 when the line is not overlong.
    skipped: u64,
    /// Parts the cells of CSV, where a line break inside a quoted cell does not end a line.
    delimiter: Option<u8>,
    in_quotes: bool,
    /// The byte before what comes next; `None` at the beginning.
    last: Option<u8>,
    /// The last quote ended a quotation: one right behind it stands for a quote and goes on.
    closed: bool,
}

impl Splitter {
    /// A splitter; with a delimiter of cells a line break inside a quoted cell is part of the line.
    pub(crate) fn new(delimiter: Option<u8>) -> Splitter {
        Splitter { delimiter, ..Splitter::default() }
    }

    /// Takes the next bytes and calls `line` for each line that ends in them, with the number
    /// of bytes of `bytes` used up to and with its end.
    pub(crate) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(Piece<'_>, usize)) {
        let mut start = 0;
        for end in self.line_ends(bytes) {
            self.hold(&bytes[start..end]);
            self.emit(|piece| line(piece, end + 1));
            start = end + 1;
        }
        self.hold(&bytes[start..]);
    }

    /// The last line, when the input ended without a line break.
    pub(crate) fn finish(&mut self, line: impl FnMut(Piece<'_>)) {
        if !self.held.is_empty() || self.skipped > 0 {
            self.emit(line);
        }
        (self.in_quotes, self.last) = (false, None);
    }

    /// Forgets an unfinished line.
    pub(crate) fn clear(&mut self) {
        *self = Splitter::new(self.delimiter);
    }

    fn line_ends(&mut self, bytes: &[u8]) -> Vec<usize> {
        let Some(delimiter) = self.delimiter else { return memchr::memchr_iter(b'\n', bytes).collect() };
        let mut ends = Vec::new();
        for at in memchr::memchr2_iter(b'\n', b'"', bytes) {
            match bytes[at] {
                b'"' if self.in_quotes => (self.in_quotes, self.closed) = (false, true),
                // Only at the beginning of a cell does a quote open one; elsewhere it is text (RFC 4180
                // has none there, but people write inches).
                b'"' => {
                    let begins = match at.checked_sub(1).map_or(self.last, |before| Some(bytes[before])) {
                        None | Some(b'\n') => true,
                        Some(b'"') => self.closed,
                        Some(before) => before == delimiter || bytes[..at] == *BYTE_ORDER_MARK,
                    };
                    (self.in_quotes, self.closed) = (begins, false);
                }
                _ if !self.in_quotes => ends.push(at),
                _ => {}
            }
        }
        self.last = bytes.last().copied().or(self.last);
        ends
    }

    fn hold(&mut self, bytes: &[u8]) {
        if self.skipped > 0 {
            self.skipped += bytes.len() as u64;
        } else if self.held.len() + bytes.len() > LINE_BYTES_MAX {
            self.skipped = (self.held.len() + bytes.len()) as u64;
            let more = HEAD_BYTES.saturating_sub(self.held.len()).min(bytes.len());
            self.held.extend_from_slice(&bytes[..more]);
            self.held.truncate(HEAD_BYTES);
            self.held.shrink_to_fit();
        } else {
            self.held.extend_from_slice(bytes);
        }
    }

    fn emit(&mut self, mut line: impl FnMut(Piece<'_>)) {
        match self.skipped {
            0 => line(Piece::Line(self.held.strip_suffix(b"\r").unwrap_or(&self.held))),
            bytes => line(Piece::TooLong(&self.held, bytes)),
        }
        self.held.clear();
        self.skipped = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(delimiter: Option<u8>, chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut splitter = Splitter::new(delimiter);
        let mut lines = Vec::new();
        let mut keep = |piece: Piece<'_>| match piece {
            Piece::Line(line) => lines.push(line.to_vec()),
            Piece::TooLong(_, bytes) => lines.push(format!("<{bytes}>").into_bytes()),
        };
        for chunk in chunks {
            splitter.push(chunk, |piece, _| keep(piece));
        }
        splitter.finish(&mut keep);
        lines
    }

    #[test]
    fn a_line_of_50_mb_is_passed_over_without_being_held() {
        let mut splitter = Splitter::new(None);
        let chunk = vec![b'x'; 1 << 16];
        for _ in 0..800 {
            splitter.push(&chunk, |_, _| panic!("no line ends here"));
            assert!(splitter.held.capacity() <= 2 * LINE_BYTES_MAX);
        }
        let mut seen = Vec::new();
        splitter.push(b"\nnext\n", |piece, _| {
            seen.push(match piece {
                Piece::Line(line) => line.len() as u64,
                Piece::TooLong(head, bytes) => {
                    assert_eq!(head.len(), HEAD_BYTES);
                    bytes
                }
            });
        });
        assert_eq!(seen, [800 << 16, 4]);
    }

    #[test]
    fn a_quoted_line_break_is_part_of_the_line() {
        assert_eq!(lines(Some(b','), &[b"a,\"x\ny\"\nb\r\n"]), [b"a,\"x\ny\"".to_vec(), b"b".to_vec()]);
        assert_eq!(lines(None, &[b"a\"\n\"b"]).len(), 2);
    }

    #[test]
    fn a_quote_opens_a_cell_at_its_beginning_only() {
        let text = b"a,b\n1,15\" rack\n2,\"19\"\" rack\nlow\"\n3,x\"\"y\n\"4\",\"\"\n5,z";
        let want = ["a,b", "1,15\" rack", "2,\"19\"\" rack\nlow\"", "3,x\"\"y", "\"4\",\"\"", "5,z"];
        let texts = |lines: Vec<Vec<u8>>| -> Vec<String> {
            lines.into_iter().map(|line| String::from_utf8(line).expect("text")).collect()
        };
        assert_eq!(texts(lines(Some(b','), &[text])), want);
        let semicolons: Vec<u8> = text.iter().map(|byte| if *byte == b',' { b';' } else { *byte }).collect();
        assert_eq!(lines(Some(b';'), &[&semicolons]).len(), want.len());
        assert_eq!(texts(lines(Some(b','), &[b"\xef\xbb\xbf\"a\nb\",c\n1,2"])).len(), 2);
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrive(
            text in "[a\"\n\r,]{0,60}", cut in 0usize..60, quoted: bool,
        ) {
            let quoted = quoted.then_some(b',');
            let bytes = text.as_bytes();
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(lines(quoted, &[head, tail]), lines(quoted, &[bytes]));
        }
    }
}
