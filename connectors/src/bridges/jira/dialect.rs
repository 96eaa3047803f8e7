//! What differs between Jira's editions: where requests go, how a text is written, and how people are named.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Which Jira it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Edition {
    /// Atlassian's own: REST 3, texts as documents, people by account.
    #[default]
    Cloud,
    /// A server of one's own: REST 2, texts as wiki markup, people by login.
    DataCenter,
}

/// Levels of a document that are read: a list in a table in a panel is five.
const DEPTH_MAX: usize = 32;

impl Edition {
    /// What every path begins with.
    pub(super) fn base(self) -> &'static str {
        match self {
            Edition::Cloud => "/rest/api/3",
            Edition::DataCenter => "/rest/api/2",
        }
    }

    /// Where issues are searched.
    pub(super) fn search(self) -> &'static str {
        match self {
            Edition::Cloud => "/search/jql",
            Edition::DataCenter => "/search",
        }
    }

    /// The key of what a person is named by.
    pub(super) fn account(self) -> &'static str {
        match self {
            Edition::Cloud => "accountId",
            Edition::DataCenter => "name",
        }
    }

    /// The parameter that people are searched with.
    pub(super) fn people_by(self) -> &'static str {
        match self {
            Edition::Cloud => "query",
            Edition::DataCenter => "username",
        }
    }

    /// A text as it takes one, with `mark` as its last line.
    pub(super) fn text(self, text: &str, mark: &str) -> Value {
        match self {
            Edition::Cloud => document(text, mark),
            // Nothing in it is markup, and columns stay columns. What would end that is written otherwise, in as many
            // letters: the text was cut already.
            Edition::DataCenter => {
                let inert = text.replace("{noformat", "(noformat");
                let end = if mark.is_empty() { String::new() } else { format!("\n({mark})") };
                format!("{{noformat}}\n{inert}\n{{noformat}}{end}").into()
            }
        }
    }

    /// A text as it has one, in words.
    pub(super) fn words(self, value: &Value) -> String {
        match value {
            Value::String(text) => text.replace('\r', ""),
            Value::Object(document) => {
                let mut text = String::new();
                gather(document, &mut text, DEPTH_MAX);
                text.trim_end().to_owned()
            }
            _ => String::new(),
        }
    }
}

/// A text in Atlassian Document Format: a block of its own, so that columns stay columns, and the mark below.
fn document(text: &str, mark: &str) -> Value {
    let text_node = |text: &str| json!({"type": "text", "text": text});
    let mut content = Vec::new();
    // A text node that is empty is refused.
    if !text.is_empty() {
        content.push(json!({"type": "codeBlock", "content": [text_node(text)]}));
    }
    if !mark.is_empty() {
        content.push(json!({"type": "paragraph", "content": [text_node(&format!("({mark})"))]}));
    }
    json!({"type": "doc", "version": 1, "content": content})
}

/// Gathers the texts of a document's node, block by block.
fn gather(node: &Map<String, Value>, text: &mut String, depth: usize) {
    if depth == 0 {
        return;
    }
    match node.get("type").and_then(Value::as_str) {
        Some("hardBreak") => text.push('\n'),
        Some("text") => text.push_str(node.get("text").and_then(Value::as_str).unwrap_or_default()),
        Some("mention" | "emoji" | "status") => {
            let named = node.get("attrs").and_then(|attrs| attrs.get("text")).and_then(Value::as_str);
            text.push_str(named.unwrap_or_default());
        }
        kind => {
            for child in node.get("content").and_then(Value::as_array).into_iter().flatten() {
                if let Value::Object(child) = child {
                    gather(child, text, depth - 1);
                }
            }
            if matches!(kind, Some("paragraph" | "heading" | "codeBlock" | "listItem" | "blockquote")) {
                text.push('\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_as_it_was_written_in_either_edition() {
        let text = "Since:   10:00\nCause:   *db* [x|y] {noformat} 🔥";
        let cloud = Edition::Cloud.words(&Edition::Cloud.text(text, "a mark"));
        assert_eq!(cloud, format!("{text}\n(a mark)"));
        let own = Edition::DataCenter.words(&Edition::DataCenter.text(text, "a mark"));
        assert_eq!(own.matches("{noformat}").count(), 2, "what it says ends no block: {own}");
        assert!(own.ends_with("\n(a mark)"), "{own}");
    }

    #[test]
    fn a_document_of_people_is_read_whatever_is_in_it_and_not_without_end() {
        let people = json!({"type": "doc", "content": [
            {"type": "paragraph", "content": [
                {"type": "mention", "attrs": {"text": "@ana"}}, {"type": "text", "text": " look"}, {"type": "hardBreak"},
                {"type": "text", "text": "here"},
            ]},
            {"type": "bulletList", "content": [{"type": "listItem", "content": [
                {"type": "paragraph", "content": [{"type": "text", "text": "one"}]},
            ]}]},
        ]});
        assert_eq!(Edition::Cloud.words(&people), "@ana look\nhere\none");
        let deep = (0..1_000)
            .fold(json!({"type": "text", "text": "x"}), |inner, _| json!({"type": "panel", "content": [inner]}));
        assert_eq!(Edition::Cloud.words(&deep), "");
    }
}
