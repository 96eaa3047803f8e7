//! From the tree to typed values: a serde deserializer whose errors know their line.
//!
//! A value that does not fit is reported at the innermost node that can be named. Tagged
//! enums are buffered by serde, so a mistake inside one is reported at its mapping.

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::problem::{Problem, TextSpan};
use super::tree::{Entry, Node, Tree};

/// Reads a typed value out of a tree.
///
/// # Errors
/// The first value that does not fit, with its place.
pub fn from_tree<T: DeserializeOwned>(tree: &Tree) -> Result<T, Problem> {
    T::deserialize(tree).map_err(|fault| Problem::new(fault.place.unwrap_or(tree.place), fault.message))
}

/// What serde reports, with the innermost place it passed on its way out.
#[derive(Debug)]
pub struct Fault {
    message: String,
    place: Option<TextSpan>,
}

impl Fault {
    fn at(self, place: TextSpan) -> Fault {
        Fault { place: self.place.or(Some(place)), ..self }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: std::fmt::Display>(message: T) -> Fault {
        Fault { message: message.to_string(), place: None }
    }
}

impl<'de> de::Deserializer<'de> for &'de Tree {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let read = match &self.node {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Integer(value) => visitor.visit_i64(*value),
            Node::Unsigned(value) => visitor.visit_u64(*value),
            Node::Float(value) => visitor.visit_f64(*value),
            Node::Text(value) => visitor.visit_str(value),
            Node::List(items) => visitor.visit_seq(Items(items.iter())),
            Node::Map(entries) => visitor.visit_map(Entries { rest: entries.iter(), value: None }),
        };
        read.map_err(|fault| fault.at(self.place))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.node {
            Node::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let variant = match &self.node {
            Node::Text(name) => Variant { name, place: self.place, value: None },
            Node::Map(entries) if entries.len() == 1 => {
                Variant { name: &entries[0].key, place: entries[0].place, value: Some(&entries[0].value) }
            }
            _ => {
                let fault: Fault = de::Error::custom("expected one name, or one name with its settings");
                return Err(fault.at(self.place));
            }
        };
        visitor.visit_enum(variant).map_err(|fault| fault.at(self.place))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// The items of a list. What an item's type says after it has read the node is put in place here.
struct Items<'a>(std::slice::Iter<'a, Tree>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(item) = self.0.next() else { return Ok(None) };
        seed.deserialize(item).map(Some).map_err(|fault| fault.at(item.place))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// The entries of a mapping.
struct Entries<'a> {
    rest: std::slice::Iter<'a, Entry>,
    value: Option<&'a Tree>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(entry) = self.rest.next() else { return Ok(None) };
        self.value = Some(&entry.value);
        seed.deserialize(Key(entry)).map(Some).map_err(|fault| fault.at(entry.place))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let value = self.value.take().expect("serde asks for a key before its value");
        seed.deserialize(value).map_err(|fault| fault.at(value.place))
    }
}

/// A key, and where it stands if serde does not take it.
struct Key<'a>(&'a Entry);

impl<'de> de::Deserializer<'de> for Key<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(&self.0.key).map_err(|fault: Fault| fault.at(self.0.place))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let variant = Variant { name: &self.0.key, place: self.0.place, value: None };
        visitor.visit_enum(variant)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Variant<'a> {
    name: &'a str,
    place: TextSpan,
    value: Option<&'a Tree>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = Fault;
    type Variant = Variant<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let name = seed.deserialize(self.name.into_deserializer()).map_err(|fault: Fault| fault.at(self.place))?;
        Ok((name, self))
    }
}

impl<'de> Variant<'de> {
    fn settings(self) -> Result<&'de Tree, Fault> {
        let missing = || {
            let fault: Fault = de::Error::custom(format!("`{}` needs settings", self.name));
            fault.at(self.place)
        };
        self.value.ok_or_else(missing)
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.value {
            None => Ok(()),
            Some(tree) => de::Deserialize::deserialize(tree),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        seed.deserialize(self.settings()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_any(self.settings()?, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        de::Deserializer::deserialize_any(self.settings()?, visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bellwether_engine::time::Span;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[serde(default)]
        wait: Option<Span>,
        #[serde(default)]
        sizes: Vec<u16>,
        #[serde(default)]
        kinds: BTreeMap<Colour, Shape>,
    }

    #[derive(Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Shape {
        Dot,
        Square { side: f64 },
    }

    fn read(text: &str) -> Result<Sample, Problem> {
        from_tree(&Tree::parse(text).expect("YAML"))
    }

    #[test]
    fn typed_values_come_out_of_the_tree() {
        let sample = read("wait: 30s\nsizes: [1, 2]\nkinds:\n  red: {square: {side: 2.5}}\n").expect("fits");
        assert_eq!(sample.wait, Some(Span::from_secs(30)));
        assert_eq!(sample.sizes, [1, 2]);
        assert_eq!(sample.kinds[&Colour::Red], Shape::Square { side: 2.5 });
        assert_eq!(read("kinds: {red: dot}").expect("fits").kinds[&Colour::Red], Shape::Dot);
    }

    #[test]
    fn a_value_that_does_not_fit_is_reported_where_it_stands() {
        for (text, line, column) in [
            ("wait: 30 s", 1, 7),
            ("sizes:\n  - 1\n  - 70000\n", 3, 5),
            ("kinds: {blue: dot}", 1, 9),
            ("kinds: {red: circle}", 1, 14),
            ("kinds: {red: square}", 1, 14),
        ] {
            let problem = read(text).expect_err(text);
            assert_eq!((problem.place.line, problem.place.column), (line, column), "{text}: {problem:?}");
        }
    }
}
