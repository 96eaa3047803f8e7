//! A YAML document as a tree that remembers where each part of it stands.
//!
//! A configuration is read in three steps over this tree: every key is checked against the
//! schema (all mistakes at once, not the first), references to secrets are resolved, and only
//! then is it turned into the typed configuration. Each step can point at the line.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::problem::{Problem, TextSpan};

/// One node and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// What it is.
    pub node: Node,
    /// Where it begins.
    pub place: TextSpan,
}

/// What a node of a document is.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// `~`, or nothing.
    Null,
    /// `true`.
    Bool(bool),
    /// `-3`.
    Integer(i64),
    /// `3`.
    Unsigned(u64),
    /// `0.5`.
    Float(f64),
    /// `text`.
    Text(String),
    /// `[a, b]`.
    List(Vec<Tree>),
    /// `{a: b}`, in the order written.
    Map(Vec<Entry>),
}

/// One key of a mapping with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: TextSpan,
    /// Its value.
    pub value: Tree,
}

impl Tree {
    /// Reads one YAML document. An empty one is an empty mapping: every setting has a default.
    ///
    /// # Errors
    /// A [`Problem`] at the place where the text stops being YAML, or repeats a key.
    pub fn parse(text: &str) -> Result<Tree, Problem> {
        let read: Result<Spanned<Node>, _> = serde_saphyr::from_str(text);
        match read {
            Ok(spanned) => {
                let tree = Tree::from(spanned);
                match tree.node {
                    Node::Null => Ok(Tree { node: Node::Map(Vec::new()), ..tree }),
                    _ => Ok(tree),
                }
            }
            Err(error) => {
                let place = error.location().map_or(TextSpan::START, TextSpan::from);
                Err(Problem::new(place, format!("not a YAML document: {}", first_line(&error))))
            }
        }
    }

    /// The entry `key`, when this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        match &self.node {
            Node::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// The text of this node, when it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.node {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// The reader's own message without the excerpt it draws: ours names the file too.
fn first_line(error: &serde_saphyr::Error) -> String {
    let whole = error.without_snippet().to_string();
    let line = whole.lines().next().unwrap_or_default();
    line.split(" at line ").next().unwrap_or(line).trim_end_matches(':').to_owned()
}

impl From<Spanned<Node>> for Tree {
    fn from(spanned: Spanned<Node>) -> Tree {
        Tree { place: TextSpan::from(spanned.referenced), node: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(u64::try_from(value).map_or(Node::Integer(value), Node::Unsigned))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<Spanned<Node>>()? {
            items.push(Tree::from(item));
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<Spanned<String>>()? {
            let value = access.next_value::<Spanned<Node>>()?;
            entries.push(Entry { place: TextSpan::from(key.referenced), key: key.value, value: Tree::from(value) });
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_knows_its_line_and_column() {
        let tree = Tree::parse("a: 1\nb:\n  - deep: x\n").expect("YAML");
        let item = match &tree.get("b").expect("b").node {
            Node::List(items) => items[0].clone(),
            other => panic!("{other:?}"),
        };
        let Node::Map(entries) = &item.node else { panic!("{item:?}") };
        assert_eq!((entries[0].place.line, entries[0].place.column), (3, 5));
        assert_eq!((entries[0].value.place.line, entries[0].value.place.column), (3, 11));
        assert_eq!(tree.get("a").map(|t| &t.node), Some(&Node::Unsigned(1)));
    }

    #[test]
    fn an_empty_document_is_an_empty_mapping() {
        assert_eq!(Tree::parse("# nothing\n").expect("YAML").node, Node::Map(Vec::new()));
    }

    #[test]
    fn a_repeated_key_and_broken_yaml_are_problems_with_a_line() {
        for (text, line) in [("a: 1\na: 2\n", 2), ("a: [1, 2\nb: 3\n", 2), ("a:\n\t- 1\n", 2)] {
            let problem = Tree::parse(text).expect_err(text);
            assert!(problem.place.line >= line - 1, "{text}: {problem:?}");
            assert!(!problem.message.contains('\n'), "{problem:?}");
        }
    }
}
