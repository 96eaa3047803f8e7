//! What a form or a query says: names with values, bounded, and each text checked before it becomes an action.

use std::collections::BTreeMap;

/// Longest name of a person, an entity, a change.
pub(crate) const NAME_BYTES_MAX: usize = 512;
/// Longest comment.
pub(crate) const TEXT_BYTES_MAX: usize = 1_024;
/// Fields of a form that are looked at.
const FIELDS_MAX: usize = 32;

/// The fields of a form, by name; of a name that comes twice the first.
#[derive(Debug, Default)]
pub(crate) struct Form(BTreeMap<String, String>);

/// What somebody wrote that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mistake {
    /// Something is missing.
    #[error("`{0}` is missing: write something there")]
    Missing(&'static str),
    /// Too much.
    #[error("`{field}` is longer than {max} bytes: write less")]
    TooLong { field: &'static str, max: usize },
    /// A control character.
    #[error("`{0}` has control characters: leave them out")]
    Control(&'static str),
    /// Something else, in words.
    #[error("{0}")]
    Other(String),
}

impl Form {
    /// Of fields that are known.
    pub(crate) fn of(fields: impl IntoIterator<Item = (&'static str, String)>) -> Form {
        Form(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Of a query, or of the body of a posted form.
    pub(crate) fn read(bytes: &[u8]) -> Form {
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(bytes).take(FIELDS_MAX) {
            fields.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Form(fields)
    }

    /// A field as it was written; `""` where it is not there.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A field, where it says something.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        Some(self.raw(name).trim()).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// A field that has to be there: one line.
    pub(crate) fn line(&self, name: &'static str) -> Result<String, Mistake> {
        let text = self.get(name).ok_or(Mistake::Missing(name))?;
        checked(name, &text, NAME_BYTES_MAX)?;
        match text.chars().any(char::is_control) {
            true => Err(Mistake::Control(name)),
            false => Ok(text),
        }
    }

    /// The same over several lines.
    pub(crate) fn lines(&self, name: &'static str) -> Result<String, Mistake> {
        let text = self.get(name).ok_or(Mistake::Missing(name))?.replace("\r\n", "\n");
        checked(name, &text, TEXT_BYTES_MAX)?;
        match text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            true => Err(Mistake::Control(name)),
            false => Ok(text),
        }
    }
}

fn checked(field: &'static str, text: &str, max: usize) -> Result<(), Mistake> {
    if text.len() > max { Err(Mistake::TooLong { field, max }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_text_of_its_length_and_nothing_else() {
        let form = Form::read(b"who=Ana+%CE%A9&who=eve&text=a%0D%0Ab&evil=a%1B%5B2J&empty=++&long=".as_slice());
        assert_eq!((form.line("who"), form.lines("text")), (Ok("Ana Ω".to_owned()), Ok("a\nb".to_owned())));
        assert_eq!(form.line("evil"), Err(Mistake::Control("evil")));
        assert_eq!(
            (form.line("empty"), form.line("gone")),
            (Err(Mistake::Missing("empty")), Err(Mistake::Missing("gone")))
        );
        let long = Form::read(format!("text={}", "x".repeat(2_000)).as_bytes());
        assert!(matches!(long.lines("text"), Err(Mistake::TooLong { .. })));
    }
}
