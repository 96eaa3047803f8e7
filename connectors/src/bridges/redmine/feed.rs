//! What others change, from the journals of the issues that were touched lately.

use bellwether_engine::signal::cut_to;
use bellwether_engine::time::EventTime;
use serde::Deserialize;

use super::super::rest::with_query;
use super::super::system::{Answered, Change, Changed, Page, Since};
use super::api::{Detail, Journal, Named, Redmine};

/// Bytes of a comment that are read.
const COMMENT_BYTES_MAX: usize = 16 << 10;
/// Issues in a page; each is a request of its own.
const ISSUES: usize = 25;
/// Pages of issues that were touched within the same second.
const SAME_SECOND_PAGES_MAX: usize = 40;
/// Changes that one journal can hold.
const CHANGES_OF_JOURNAL: u64 = 1 << 8;

#[derive(Deserialize)]
struct Touched {
    issues: Vec<TouchedIssue>,
}

#[derive(Deserialize)]
struct TouchedIssue {
    id: u64,
    updated_on: String,
}

fn time(text: &str) -> EventTime {
    EventTime::parse_rfc3339(text).unwrap_or_default()
}

impl Redmine {
    /// See [`super::super::system::TicketSystem::changes`].
    pub(super) async fn read_changes(&self, since: Option<Since>) -> Answered<Page> {
        let Some(since) = since else {
            let newest = self.touched("updated_on:desc", None, 1, 0).await?;
            let at = newest.first().map_or_else(EventTime::default, |issue| time(&issue.updated_on));
            return Ok(Page { upto: Since { at, ..Since::default() }, ..Page::default() });
        };
        let mut page = Page { upto: since, ..Page::default() };
        for number in 0..SAME_SECOND_PAGES_MAX {
            let touched = self.touched("updated_on:asc,id:asc", Some(since.at), ISSUES, number * ISSUES).await?;
            page.more = touched.len() >= ISSUES;
            for issue in touched {
                page.upto.at = page.upto.at.max(time(&issue.updated_on));
                self.changes_of(issue.id, since.at, &mut page.changes).await?;
            }
            // The next page begins where this one ends, which is no further when all is of one second.
            if !page.more || page.upto.at > since.at {
                break;
            }
        }
        page.changes.sort_by_key(|change| (change.at, change.id));
        Ok(page)
    }

    /// Issues of ours that were touched.
    async fn touched(
        &self,
        order: &str,
        since: Option<EventTime>,
        limit: usize,
        offset: usize,
    ) -> Answered<Vec<TouchedIssue>> {
        let (filter, limit, offset) = (self.key_filter(), limit.to_string(), offset.to_string());
        let since = since.map(|since| format!(">={}", EventTime::from_secs(since.0.div_euclid(1_000_000_000))));
        let mut parameters = vec![(filter.as_str(), "*"), ("status_id", "*"), ("sort", order)];
        parameters.extend([("limit", limit.as_str()), ("offset", offset.as_str())]);
        parameters.extend(since.iter().map(|since| ("updated_on", since.as_str())));
        let Touched { issues } = self.rest.get(&with_query("/issues.json", &parameters)).await?;
        Ok(issues)
    }

    /// What others did to an issue since then.
    async fn changes_of(&self, id: u64, since: EventTime, changes: &mut Vec<Change>) -> Answered<()> {
        let (issue, own) = (self.issue(&id.to_string()).await?, self.own_id().await?);
        for journal in &issue.journals {
            let at = time(&journal.created_on);
            let nobody = Named { id: 0, name: String::new() };
            let user = journal.user.as_ref().unwrap_or(&nobody);
            if at < since || user.id.to_string() == own {
                continue;
            }
            let who = if user.id == 0 { String::new() } else { self.login(user).await? };
            for (number, what) in self.what(journal).await?.into_iter().enumerate() {
                let id = journal.id * CHANGES_OF_JOURNAL + (number as u64).min(CHANGES_OF_JOURNAL - 1);
                changes.push(Change { id, ticket: issue.id.to_string(), at, who: who.clone(), what });
            }
        }
        Ok(())
    }

    async fn what(&self, journal: &Journal) -> Answered<Vec<Changed>> {
        let mut all = Vec::new();
        for Detail { property, name, new_value } in &journal.details {
            let new = new_value.clone().unwrap_or_default();
            all.push(match (property.as_str(), name.as_str()) {
                ("attr", "status_id") => Changed::Status(self.status_name(&new).await?),
                ("attr", "priority_id") => Changed::Priority(self.priority_name(&new).await?),
                ("attr", "assigned_to_id") => Changed::Owner(match new.parse() {
                    Ok(id) => self.login(&Named { id, name: new }).await?,
                    Err(_) => String::new(),
                }),
                ("relation", _) if !new.is_empty() => Changed::Linked(new),
                ("cf", id) => {
                    let name = id.parse().ok().and_then(|id| self.field_name(id));
                    Changed::Field(name.unwrap_or(id).to_owned())
                }
                (_, name) => Changed::Field(name.to_owned()),
            });
        }
        let notes = journal.notes.as_deref().unwrap_or_default().trim();
        if !notes.is_empty() {
            all.push(Changed::Comment(cut_to(notes, COMMENT_BYTES_MAX).to_owned()));
        }
        Ok(all)
    }
}
