//! One value of a row, whatever format it came in.

use std::borrow::Cow;

/// One value of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Scalar<'a> {
    /// Absent or null.
    #[default]
    Null,
    /// Text, borrowed where the format allows.
    Text(Cow<'a, str>),
    /// A whole number.
    Int(i64),
    /// A whole number beyond `i64`.
    UInt(u64),
    /// Any other number.
    Float(f64),
    /// True or false.
    Bool(bool),
    /// An object or a list where one value belongs.
    Nested,
}

impl<'a> Scalar<'a> {
    /// True when there is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Scalar::Null)
    }

    /// The value as text; `None` for null and nested values.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Scalar::Null | Scalar::Nested => return None,
            Scalar::Text(text) => Cow::Borrowed(text),
            Scalar::Int(n) => Cow::Owned(n.to_string()),
            Scalar::UInt(n) => Cow::Owned(n.to_string()),
            Scalar::Float(n) => Cow::Owned(n.to_string()),
            Scalar::Bool(b) => Cow::Owned(b.to_string()),
        })
    }

    /// The value for a message: short.
    pub fn show(&self) -> String {
        match self {
            Scalar::Null => "null".to_owned(),
            Scalar::Nested => "an object or a list".to_owned(),
            other => other.text().unwrap_or_default().chars().take(64).collect(),
        }
    }
}
