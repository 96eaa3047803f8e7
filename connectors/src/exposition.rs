//! Prometheus' text format 0.0.4, as far as everything on `/metrics` needs it.

use std::fmt::Write as _;

/// The two lines before a family; `name` without the product's prefix.
pub fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP bellwether_{name} {help}\n# TYPE bellwether_{name} {kind}");
}

/// A label's value as it stands between quotes.
pub fn label_value(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_ends_its_label_or_its_line() {
        assert_eq!(label_value("a\"b\\c\nd"), r#"a\"b\\c\nd"#);
    }
}
