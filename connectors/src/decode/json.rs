//! Small pieces for JSON that senders write: flat text maps without an allocation per key,
//! rows of a list that are each read alone, and the path into a loose document.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// A flat map of text to text in the order sent. Values that are numbers or booleans become
/// their text; `null`, lists and objects are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct TextMap<'a>(pub(crate) Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl TextMap<'_> {
    /// The pairs, borrowed.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value.as_ref()))
    }
}

/// A borrowed piece of text, which serde's own `Cow` never borrows inside a collection. A number or
/// a boolean is its text: senders write ids and times either way.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(value.to_string())))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A scalar as text; anything else is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scalar<'a>(pub(crate) Option<Cow<'a, str>>);

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;
        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(text.to_owned()))))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Scalar<'de>, E> {
                Ok(Scalar(Some(Cow::Owned(value.to_string()))))
            }

            fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
                Ok(Scalar(None))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Scalar<'de>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
        }
        deserializer.deserialize_any(ScalarVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for TextMap<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MapVisitor;
        impl<'de> Visitor<'de> for MapVisitor {
            type Value = TextMap<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_unit<E>(self) -> Result<TextMap<'de>, E> {
                Ok(TextMap::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TextMap<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(8);
                while let Some((key, value)) = map.next_entry::<Text<'de>, Scalar<'de>>()? {
                    if let Some(value) = value.0 {
                        pairs.push((key.0, value));
                    }
                }
                Ok(TextMap(pairs))
            }
        }
        deserializer.deserialize_any(MapVisitor)
    }
}

/// The members of `list` that read as a `T`; the others are counted in `odd`. For the rare request
/// that does not read as a whole: one odd field is one row's, not its neighbours'.
pub(crate) fn readable<'v, T: Deserialize<'v>>(list: &'v [Value], odd: &mut u64) -> Vec<T> {
    let mut rows = Vec::with_capacity(list.len());
    for value in list {
        match T::deserialize(value) {
            Ok(row) => rows.push(row),
            Err(_) => *odd += 1,
        }
    }
    rows
}

/// The value at `path`, whose parts are separated by dots: `host.name` in `{"host":{"name":1}}`.
/// A key that holds the dots itself wins over nesting.
pub(crate) fn at<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(value) = document.get(path) {
        return Some(value);
    }
    let mut rest = path;
    let mut here = document;
    while let Some((first, tail)) = rest.split_once('.') {
        here = match here {
            Value::Array(list) => list.get(first.parse::<usize>().ok()?)?,
            _ => here.get(first)?,
        };
        if let Some(value) = here.get(tail) {
            return Some(value);
        }
        rest = tail;
    }
    match here {
        Value::Array(list) => list.get(rest.parse::<usize>().ok()?),
        _ => here.get(rest),
    }
}

/// The text of a scalar.
pub(crate) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        _ => None,
    }
}

/// The non-empty text at `path`.
pub(crate) fn text_at<'a>(document: &'a Value, path: &str) -> Option<Cow<'a, str>> {
    at(document, path).and_then(scalar).filter(|text| !text.is_empty())
}

/// The text at the first of `paths` that holds one.
pub(crate) fn first_text<'a>(document: &'a Value, paths: &[&str]) -> Option<Cow<'a, str>> {
    paths.iter().find_map(|path| text_at(document, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_map_takes_scalars_and_leaves_the_rest() {
        let map: TextMap<'_> =
            serde_json::from_str(r#"{"a":"x","b":2,"c":true,"d":null,"e":[1],"f":{"g":1},"h\n":"\u00e4"}"#)
                .expect("json");
        let pairs: Vec<(&str, &str)> = map.pairs().collect();
        assert_eq!(pairs, vec![("a", "x"), ("b", "2"), ("c", "true"), ("h\n", "ä")]);
        assert!(matches!(map.0[0].1, Cow::Borrowed(_)));
    }

    #[test]
    fn a_path_goes_through_objects_lists_and_dotted_keys() {
        let document: Value = serde_json::from_str(r#"{"a":{"b.c":{"d":1}},"x.y":2,"l":[{"k":"v"}]}"#).expect("json");
        assert_eq!(text_at(&document, "a.b.c"), None, "`a.b.c` is no scalar");
        assert_eq!(text_at(&document, "x.y").as_deref(), Some("2"));
        assert_eq!(text_at(&document, "l.0.k").as_deref(), Some("v"));
        assert_eq!(text_at(&document, "l.1.k"), None);
    }

    #[test]
    fn a_row_of_another_form_is_left_out_and_counted() {
        let list: Value = serde_json::from_str(r#"["a",7,{"b":1},true,null]"#).expect("json");
        let mut odd = 0;
        let rows: Vec<Text<'_>> = readable(list.as_array().expect("a list"), &mut odd);
        let texts: Vec<&str> = rows.iter().map(|text| text.0.as_ref()).collect();
        assert_eq!((texts, odd), (vec!["a", "7", "true"], 2));
    }
}
