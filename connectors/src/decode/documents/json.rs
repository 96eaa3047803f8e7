//! A JSON object read into a document's leaves, without being built.

use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Documents;

/// Puts the scalars below one JSON value into the documents' leaves. Lists count as `a.0`,
/// `a.1`; `null` is no leaf. The parser refuses nesting deeper than 128.
pub(super) struct Leaf<'d, 'de, 'r>(pub(super) &'d mut Documents<'de, 'r>);

impl<'de> DeserializeSeed<'de> for Leaf<'_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Leaf<'_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.0.text(text);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.made(text);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.text(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.0.made(value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.0.number(value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.0.made(value);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mark = self.0.path.len();
        for index in 0usize.. {
            if index > 0 && self.0.is_full() {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
            let gap = if mark == 0 { "" } else { "." };
            let _ = write!(self.0.path, "{gap}{index}");
            let more = list.next_element_seed(Leaf(self.0))?.is_some();
            self.0.leave(mark);
            if !more {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mark = self.0.path.len();
        while map.next_key_seed(Name(self.0))?.is_some() {
            map.next_value_seed(Leaf(self.0))?;
            self.0.leave(mark);
        }
        Ok(())
    }
}

/// Appends a key to the path.
struct Name<'d, 'de, 'r>(&'d mut Documents<'de, 'r>);

impl<'de> DeserializeSeed<'de> for Name<'_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_, 'de, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<(), E> {
        self.0.enter(name);
        Ok(())
    }
}
