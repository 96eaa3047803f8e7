//! What others change: how the issues that were touched lately are now, and what was written under them.

use bellwether_engine::time::EventTime;
use serde_json::Value;

use super::super::rest::{in_path, with_query};
use super::super::snapshot;
use super::super::system::{Answered, Change, Page, Since};
use super::api::{Collection, Element, Item, Roundup, words};

/// Issues in a page.
const ISSUES: usize = 50;
/// Pages of issues that were touched within the same second.
const SAME_SECOND_PAGES_MAX: usize = 40;

/// A time as it has it: `2026-11-30.22:51:49`, in UTC.
fn time(value: Option<&Value>) -> EventTime {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    EventTime::parse_rfc3339(&format!("{}Z", text.replacen('.', "T", 1))).unwrap_or_default()
}

/// A bound, as its searches take it.
fn from(at: EventTime) -> String {
    let at = EventTime::from_secs(at.0.max(0).div_euclid(1_000_000_000)).to_string();
    format!("from {}", at.trim_end_matches('Z').replacen('T', ".", 1))
}

impl Roundup {
    /// See [`super::super::system::TicketSystem::changes`].
    pub(super) async fn read_changes(&self, since: Option<Since>) -> Answered<Page> {
        let Some(since) = since else {
            let newest = self.touched("-activity", None, 1, 1).await?;
            let at = newest.first().map_or_else(EventTime::default, |item| time(item.of.get("activity")));
            return Ok(Page { upto: Since { at, ..Since::default() }, ..Page::default() });
        };
        let mut page = Page { upto: since, ..Page::default() };
        for number in 1..=SAME_SECOND_PAGES_MAX {
            let touched = self.touched("activity,id", Some(since.at), ISSUES, number).await?;
            page.more = touched.len() >= ISSUES;
            for issue in &touched {
                page.upto.at = page.upto.at.max(time(issue.of.get("activity")));
                self.changes_of(issue, since.at, &mut page.changes).await?;
            }
            if !page.more || page.upto.at > since.at {
                break;
            }
        }
        page.changes.sort_by_key(|change| (change.at, change.id));
        Ok(page)
    }

    /// Issues that were touched, as they are.
    async fn touched(&self, order: &str, since: Option<EventTime>, size: usize, page: usize) -> Answered<Vec<Item>> {
        let (size, page, since) = (size.to_string(), page.to_string(), since.map(from));
        let fields = format!("{},activity,actor,messages", self.properties());
        let mut parameters = vec![("@fields", fields.as_str()), ("@verbose", "2"), ("@sort", order)];
        parameters.extend([("@page_size", size.as_str()), ("@page_index", page.as_str())]);
        parameters.extend(since.iter().map(|since| ("activity", since.as_str())));
        let Collection { collection } = self.get(&with_query("/issue", &parameters)).await?;
        Ok(collection)
    }

    /// How an issue is, and what others wrote under it since then.
    async fn changes_of(&self, issue: &Item, since: EventTime, changes: &mut Vec<Change>) -> Answered<()> {
        let fields = self.fields(&issue.of);
        if fields.get(super::super::system::KEY).is_none_or(String::is_empty) {
            return Ok(());
        }
        let messages = issue.of.get("messages").and_then(Value::as_array);
        for message in messages.into_iter().flatten() {
            let at = time(message.get("activity"));
            let Some(id) = message.get("id").and_then(Value::as_str).filter(|_| at >= since) else { continue };
            let path =
                with_query(&format!("/msg/{}", in_path(id)), &[("@fields", "content,creator"), ("@verbose", "3")]);
            let Element { attributes, .. } = self.get(&path).await?;
            let who = attributes.get("creator").map(words).unwrap_or_default();
            if who == self.user {
                continue;
            }
            let text = attributes.get("content").and_then(Value::as_str).unwrap_or_default();
            changes.push(snapshot::said(&issue.id, id, at, &who, text));
        }
        let (at, who) = (time(issue.of.get("activity")), issue.of.get("actor").map(words).unwrap_or_default());
        let who = if who == self.user { String::new() } else { who };
        changes.push(snapshot::now(&issue.id, at, &who, fields));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_times_are_read_and_written_as_it_has_them() {
        let at = time(Some(&"2026-11-30.22:51:49".into()));
        assert_eq!(at.to_string(), "2026-11-30T22:51:49Z");
        assert_eq!(from(at), "from 2026-11-30.22:51:49");
        assert_eq!(from(EventTime::MIN), "from 1970-01-01.00:00:00");
    }
}
