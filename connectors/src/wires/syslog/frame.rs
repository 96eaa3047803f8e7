//! Frames of syslog over TCP (RFC 6587), both kinds on one connection.
//!
//! A frame that begins with a digit is octet-counted, any other ends at a line feed. A count
//! that cannot be true is no count: the frame is then read to the line feed, as OpenBSD does.
//! rsyslog puts the trailing line feed into the counted frame; it is cut off.

/// Longest frame; rsyslog's own default for counted frames. What is longer is cut.
pub(crate) const FRAME_BYTES_MAX: usize = 200_000;

/// Most digits of a count: enough for [`FRAME_BYTES_MAX`].
const COUNT_DIGITS_MAX: usize = 6;

/// Splits a stream into frames. Holds at most one frame and what was read beside it.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    start: usize,
    /// The rest of an over-long line is still to be thrown away.
    skipping: bool,
}

impl Framer {
    /// Adds bytes as they were read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, without its framing.
    pub(crate) fn next_frame(&mut self) -> Option<&[u8]> {
        loop {
            if self.skipping {
                let end = line_end(&self.buffer[self.start..]);
                self.start = end.map_or(self.buffer.len(), |end| self.start + end + 1);
                self.skipping = end.is_none();
                if self.skipping {
                    return None;
                }
            }
            while self.buffer.get(self.start).is_some_and(|byte| matches!(byte, b'\n' | b'\r' | 0 | b' ')) {
                self.start += 1;
            }
            let rest = &self.buffer[self.start..];
            let (from, to, next) = match counted(rest) {
                Count::Frame { from, to } => (from, to, to),
                Count::More => return None,
                Count::None => match line_end(&rest[..rest.len().min(FRAME_BYTES_MAX)]) {
                    Some(end) => (0, end, end + 1),
                    None if rest.len() >= FRAME_BYTES_MAX => {
                        self.skipping = true;
                        (0, FRAME_BYTES_MAX, FRAME_BYTES_MAX)
                    }
                    None => return None,
                },
            };
            let begin = self.start;
            self.start += next;
            let frame = trimmed(&self.buffer[begin + from..begin + to]);
            if !frame.is_empty() {
                let length = frame.len();
                let at = begin + from;
                return Some(&self.buffer[at..at + length]);
            }
        }
    }

    /// What is left when the sender closes: a last line without its line feed.
    pub(crate) fn rest(&mut self) -> Option<&[u8]> {
        if self.skipping {
            return None;
        }
        let rest = trimmed(&self.buffer[self.start..]);
        // A counted frame that was cut off is not a message.
        (!rest.is_empty() && !rest[0].is_ascii_digit()).then_some(rest)
    }
}

enum Count {
    Frame { from: usize, to: usize },
    More,
    None,
}

fn counted(rest: &[u8]) -> Count {
    let digits = rest.iter().take(COUNT_DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 && !rest.is_empty() || digits > COUNT_DIGITS_MAX || rest.first() == Some(&b'0') {
        return Count::None;
    }
    match rest.get(digits..) {
        None | Some([]) | Some([b' ']) => return Count::More,
        Some([b' ', b'<', ..]) => {}
        Some(_) => return Count::None,
    }
    let count = std::str::from_utf8(&rest[..digits]).ok().and_then(|text| text.parse().ok());
    match count {
        Some(count @ 1..=FRAME_BYTES_MAX) => {
            let from = digits + 1;
            match rest.len() >= from + count {
                true => Count::Frame { from, to: from + count },
                false => Count::More,
            }
        }
        _ => Count::None,
    }
}

fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', 0, bytes)
}

fn trimmed(mut frame: &[u8]) -> &[u8] {
    while let [head @ .., b'\n' | b'\r' | 0] = frame {
        frame = head;
    }
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(pieces: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::default();
        let mut found = Vec::new();
        for piece in pieces {
            framer.feed(piece);
            while let Some(frame) = framer.next_frame() {
                found.push(String::from_utf8_lossy(frame).into_owned());
            }
        }
        found.extend(framer.rest().map(|rest| String::from_utf8_lossy(rest).into_owned()));
        found
    }

    #[test]
    fn both_framings_may_follow_each_other() {
        let stream = b"<13>one\n8 <13>two\n<13>three\r\n9 <13>fo\nur<13>five";
        assert_eq!(frames(&[stream]), ["<13>one", "<13>two", "<13>three", "<13>fo\nur", "<13>five"]);
    }

    #[test]
    fn a_count_that_cannot_be_true_is_read_as_a_line() {
        assert_eq!(frames(&[b"9999999 <13>a\n5 no pri\n<13>b\n"]), ["9999999 <13>a", "5 no pri", "<13>b"]);
    }

    #[test]
    fn an_overlong_line_is_cut_and_the_next_one_is_whole() {
        let mut stream = vec![b'<'; FRAME_BYTES_MAX + 500];
        stream.extend_from_slice(b"\n<13>next\n");
        let found = frames(&[&stream[..FRAME_BYTES_MAX], &stream[FRAME_BYTES_MAX..]]);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].len(), found[1].as_str()), (FRAME_BYTES_MAX, "<13>next"));
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn how_the_stream_was_cut_into_reads_changes_nothing(
            texts in proptest::collection::vec("[a-z0-9 <>]{1,20}", 1..8),
            counted in any::<u8>(),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut stream = Vec::new();
            for (index, text) in texts.iter().enumerate() {
                let frame = format!("<13>{text}");
                if counted >> (index % 8) & 1 == 1 {
                    stream.extend_from_slice(format!("{} {frame}", frame.len()).as_bytes());
                } else {
                    stream.extend_from_slice(format!("{frame}\n").as_bytes());
                }
            }
            let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            places.extend([0, stream.len()]);
            places.sort_unstable();
            let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            let want: Vec<String> = texts.iter().map(|text| format!("<13>{text}")).collect();
            prop_assert_eq!(frames(&pieces), want);
        }

        #[test]
        fn any_bytes_are_framed_without_growing(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let found = frames(&[&bytes]);
            prop_assert!(found.len() <= bytes.len());
        }
    }
}
