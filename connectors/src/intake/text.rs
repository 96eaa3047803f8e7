//! Text as it comes in: with what Windows puts in front, or in another encoding.

use super::reject::{BadRow, Reason};

/// What Windows puts before a text in UTF-8.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The text without a byte order mark: of a file's first line, of each message, and where files were
/// put together.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Checks that an input that begins so can be text in UTF-8.
///
/// # Errors
/// [`BadRow`] of no row for UTF-16, which would otherwise be refused line by line.
pub(crate) fn check_encoding(begin: &[u8]) -> Result<(), BadRow> {
    let halves = matches!(begin, [1..=0x7f, 0, 1..=0x7f, 0, ..] | [0, 1..=0x7f, 0, 1..=0x7f, ..]);
    if halves || begin.starts_with(b"\xff\xfe") || begin.starts_with(b"\xfe\xff") {
        let detail = "the text is UTF-16: save it as UTF-8 (in PowerShell `Out-File -Encoding utf8`)";
        return Err(BadRow::new(Reason::Syntax, "", detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_no_text_and_utf_16_is_told() {
        assert_eq!(without_mark(b"\xef\xbb\xbf{}"), b"{}");
        assert_eq!(without_mark(b"\xef\xbb"), b"\xef\xbb");
        for bad in [&b"\xff\xfet\0i\0"[..], b"\xfe\xff\0t\0i", b"t\0i\0m\0e\0", b"\0t\0i"] {
            assert!(check_encoding(bad).expect_err("refused").detail.contains("UTF-16"), "{bad:?}");
        }
        for good in [&b""[..], b"time", b"\xef\xbb\xbftime", b"\0\0\0\0line", "日本".as_bytes()] {
            assert_eq!(check_encoding(good), Ok(()));
        }
    }
}
