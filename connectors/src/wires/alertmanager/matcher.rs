//! Label matchers in Alertmanager's four forms: `=`, `!=`, `=~`, `!~`.
//!
//! A label that is absent counts as empty; a regular expression matches the whole value.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Longest pattern, and the memory its automaton may take: the engine is linear in the text,
/// these bound its construction.
const PATTERN_BYTES_MAX: usize = 1_024;
const PATTERN_MEMORY_MAX: usize = 1 << 20;

/// A matcher as the API carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Matcher {
    pub(super) name: String,
    pub(super) value: String,
    #[serde(default)]
    pub(super) is_regex: bool,
    #[serde(default = "yes")]
    pub(super) is_equal: bool,
}

fn yes() -> bool {
    true
}

/// A matcher ready to use.
#[derive(Clone, Debug)]
pub(super) struct Test {
    name: String,
    value: String,
    pattern: Option<Regex>,
    equal: bool,
}

/// Why a matcher cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum MatcherError {
    /// Not `name=value` or its kin.
    #[error("bad matcher format: {0}")]
    Format(String),
    /// Too long a value.
    #[error("matcher value is longer than {PATTERN_BYTES_MAX} bytes")]
    Long,
    /// Not a regular expression, or one that takes too much memory.
    #[error("`{0}` is not a regular expression")]
    Pattern(String),
}

impl Matcher {
    /// Reads `name="value"`, `name!=value`, `name=~"a|b"`; a bare word names the alert.
    pub(super) fn read(text: &str) -> Option<Matcher> {
        let text = text.trim();
        let Some(at) = text.find(['=', '!']) else {
            return (!text.is_empty()).then(|| Matcher {
                name: "alertname".to_owned(),
                value: text.to_owned(),
                is_regex: false,
                is_equal: true,
            });
        };
        let (name, rest) = text.split_at(at);
        let (is_equal, is_regex, value) =
            [("=~", true, true), ("!~", false, true), ("!=", false, false), ("=", true, false)]
                .into_iter()
                .find_map(|(sign, equal, regex)| rest.strip_prefix(sign).map(|value| (equal, regex, value)))?;
        let value = value.trim();
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"')?.replace("\\\"", "\"").replace("\\\\", "\\"),
            None => value.to_owned(),
        };
        let name = name.trim().to_owned();
        (!name.is_empty()).then_some(Matcher { name, value, is_regex, is_equal })
    }

    /// Compiles the matcher.
    ///
    /// # Errors
    /// [`MatcherError`] says what about it.
    pub(super) fn test(&self) -> Result<Test, MatcherError> {
        if self.value.len() > PATTERN_BYTES_MAX {
            return Err(MatcherError::Long);
        }
        let pattern = if self.is_regex {
            let whole = format!("^(?:{})$", self.value);
            let built = RegexBuilder::new(&whole)
                .size_limit(PATTERN_MEMORY_MAX)
                .build()
                .map_err(|_| MatcherError::Pattern(self.value.clone()))?;
            Some(built)
        } else {
            None
        };
        Ok(Test { name: self.name.clone(), value: self.value.clone(), pattern, equal: self.is_equal })
    }

    /// The same condition as an SQL expression over the columns of alerts.
    pub(super) fn sql(&self) -> String {
        let quoted = |text: &str| text.replace('\'', "''");
        // `label.` reaches the label even where a column has the same name (`severity`).
        let label = format!("coalesce(\"label.{}\", '')", self.name.replace('"', "\"\""));
        let value = quoted(&self.value);
        match (self.is_regex, self.is_equal) {
            (false, true) => format!("{label} = '{value}'"),
            (false, false) => format!("{label} <> '{value}'"),
            (true, true) => format!("regexp_like({label}, '^(?:{value})$')"),
            (true, false) => format!("NOT regexp_like({label}, '^(?:{value})$')"),
        }
    }
}

impl Test {
    /// Whether labels, looked up by `label`, pass.
    pub(super) fn holds<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        let have = label(&self.name).unwrap_or_default();
        let same = match &self.pattern {
            Some(pattern) => pattern.is_match(have),
            None => have == self.value,
        };
        same == self.equal
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::expr::{ALERT_COLUMNS, Expression};

    use super::*;

    fn holds(text: &str, value: Option<&'static str>) -> bool {
        let test = Matcher::read(text).expect("a matcher").test().expect("compiles");
        test.holds(|name| if name == "env" { value } else { None })
    }

    #[test]
    fn the_four_forms_mean_what_alertmanager_means() {
        assert!(holds("env=\"prod\"", Some("prod")));
        assert!(holds("env=prod", Some("prod")));
        assert!(!holds("env!=prod", Some("prod")));
        assert!(holds("env!=prod", None));
        assert!(holds("env=~\"pr.*|x\"", Some("prod")));
        assert!(!holds("env=~\"pro\"", Some("prod")), "patterns are anchored");
        assert!(holds("env!~\"dev\"", Some("prod")));
        assert!(holds("env=\"\"", None));
        assert_eq!(Matcher::read("Disk").map(|m| m.name), Some("alertname".to_owned()));
        assert_eq!(Matcher::read("=x"), None);
        assert_eq!(Matcher::read("a=\"x"), None);
    }

    #[test]
    fn a_pattern_that_would_take_the_memory_is_refused() {
        let bomb = Matcher::read("a=~\"(((x{900}){900}){900})\"").expect("a matcher");
        assert!(bomb.test().is_err());
        let broken = Matcher::read("a=~\"(\"").expect("a matcher");
        assert!(broken.test().expect_err("open group").to_string().contains("regular expression"));
    }

    #[test]
    fn the_sql_form_quotes_what_people_write() {
        let plain = Matcher::read("owner=\"o'brien\"").expect("a matcher");
        assert_eq!(plain.sql(), r#"coalesce("label.owner", '') = 'o''brien'"#);
        let pattern = Matcher::read("env!~\"a|b\"").expect("a matcher");
        assert_eq!(pattern.sql(), r#"NOT regexp_like(coalesce("label.env", ''), '^(?:a|b)$')"#);
        for sql in [plain.sql(), pattern.sql()] {
            let compiled = Expression::compile(&sql, ALERT_COLUMNS);
            assert!(compiled.is_ok(), "the engine must read {sql}: {compiled:?}");
        }
    }
}
