//! Texts that a subscriber may trip over: each was harmless where it was written, and none is longer than its field.

/// Characters that records have room for in a title, and in a description.
pub(super) const TITLE_CHARS_MAX: usize = 130;
pub(super) const DESCRIPTION_CHARS_MAX: usize = 15_000;

/// Titles, each with one trap.
pub(super) const TITLES: [&str; 16] = [
    // Direction: overrides, isolates, a right-to-left script.
    "\u{202e}evil\u{202c} \u{2066}turned\u{2069} round",
    "خادم قاعدة البيانات لا يستجيب — שרת",
    // Of no width: joiners, a byte order mark, a soft hyphen.
    "\u{feff}zero\u{200b}width\u{200d}join\u{00ad}er\u{2060}",
    // Beyond the first plane, joined emoji, a flag.
    "🔥 disk on 👩‍🚒 fire 🇪🇺 \u{10ffff}",
    // Composed and not: nobody asked for another form.
    "e\u{301} is not é, ﬁ is not fi, Å is not Å",
    // Line ends that are not `\n`: readers of lines cut here.
    "one\u{2028}two\u{2029}three\u{85}four\u{0b}five\u{0c}six",
    "line\r\nand \ttab\nand \u{1b}[2Jescape \u{7}bell",
    "nul \u{0} in the middle, delete \u{7f} too",
    // Markup and templates of those that show it.
    "<script>alert(1)</script> &amp; <b>bold</b> &#x41;",
    "{{ 7*7 }} ${7*7} %s %n {0} #{x} <%= x %>",
    "'; DROP TABLE incidents; --",
    "=cmd|' /C calc'!A0, +1, @sum",
    "{\"key\": \"acme/inc_0/9\", \"record\": null}",
    "back\\slash \\u0041 \\n \"quoted\" `ticks`",
    "   blanks before, and after   ",
    "",
];

/// A title of the whole length, of characters that take most bytes.
pub(super) fn longest_title() -> String {
    "🔥".repeat(TITLE_CHARS_MAX)
}

/// A description of the whole length; in bytes, most of a record.
pub(super) fn longest_description() -> String {
    "語🔥é ".chars().cycle().take(DESCRIPTION_CHARS_MAX).collect()
}
