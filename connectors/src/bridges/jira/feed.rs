//! What others change, from the histories of the issues that were touched lately.
//!
//! A search asks for the last so many minutes: a time would be read in the time zone of the bridge's user. It finds an
//! issue some time after it was touched, so that it asks further back than the list goes.

use bellwether_engine::time::{EventTime, Span};

use super::super::snapshot;
use super::super::system::{Answered, Change, Changed, Page, Since, SystemError};
use super::api::{Account, Issue, Item, Jira, Touched, TouchedIssue, number, time};
use crate::intake::arrival_time;

/// Issues in a page of the search; each is a request of its own.
const ISSUES: usize = 50;
/// Pages that are read.
const PAGES_MAX: usize = 200;
/// Changes that one history can hold.
const CHANGES_OF_HISTORY: u64 = 1 << 8;
/// Longest time that a search asks for.
const BACK_MAX: Span = Span::from_hours(24 * 30);

impl Jira {
    /// See [`super::super::system::TicketSystem::changes`].
    pub(super) async fn read_changes(&self, since: Option<Since>) -> Answered<Page> {
        // Its clock need not be ours: what counts is how the issues say when they were touched.
        let Some(since) = since else {
            let newest = self.touched("ORDER BY updated DESC", 1, None).await?;
            let at = match newest.issues.first() {
                Some(TouchedIssue { key }) => time(&self.issue(key).await?.fields.updated),
                None => EventTime::default(),
            };
            return Ok(Page { upto: Since { at, ..Since::default() }, ..Page::default() });
        };
        let from = since.at.minus(self.lag());
        let back = arrival_time().since(from).clamp(Span::ZERO, BACK_MAX);
        let query = format!("AND updated >= \"-{}m\" ORDER BY updated ASC", back.0 / Span::from_mins(1).0 + 2);
        let mut page = Page { upto: since, ..Page::default() };
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let Touched { issues, next: further } = self.touched(&query, ISSUES, next.as_deref()).await?;
            for TouchedIssue { key } in issues {
                let issue = match self.issue(&key).await {
                    Ok(issue) => issue,
                    // It was deleted since.
                    Err(SystemError::Gone) => continue,
                    Err(error) => return Err(error),
                };
                page.upto.at = page.upto.at.max(time(&issue.fields.updated));
                self.changes_of(&issue, from, &mut page.changes).await?;
            }
            next = further;
            if next.is_none() {
                break;
            }
        }
        page.changes.sort_by_key(|change| (change.at, change.id));
        Ok(page)
    }

    /// What others did to an issue since then.
    async fn changes_of(&self, issue: &Issue, since: EventTime, changes: &mut Vec<Change>) -> Answered<()> {
        let own = self.own_account().await?;
        let others = |account: &Option<Account>| match account {
            Some(account) if self.account_of(account) == own => None,
            Some(account) => Some(self.person(account)),
            None => Some(String::new()),
        };
        for history in &issue.changelog.histories {
            let (at, Some(who)) = (time(&history.created), others(&history.author)) else { continue };
            if at < since {
                continue;
            }
            for (place, item) in history.items.iter().enumerate() {
                let id = number(&history.id) * CHANGES_OF_HISTORY + (place as u64).min(CHANGES_OF_HISTORY - 1);
                let (ticket, what) = (issue.key.clone(), self.what(item));
                changes.push(Change { id, ticket, at, who: who.clone(), what });
            }
        }
        for comment in &issue.fields.comment.comments {
            let (at, Some(who)) = (time(&comment.created), others(&comment.author)) else { continue };
            if at < since {
                continue;
            }
            changes.push(snapshot::said(&issue.key, &comment.id, at, &who, &self.edition().words(&comment.body)));
        }
        Ok(())
    }

    fn what(&self, item: &Item) -> Changed {
        let now = item.to_string.clone().unwrap_or_default();
        match item.field.as_str() {
            "status" => Changed::Status(now),
            "priority" => Changed::Priority(now),
            "assignee" => Changed::Owner(self.person_named(item.to.as_deref().unwrap_or_default(), &now)),
            "Link" if !now.is_empty() => Changed::Linked(item.to.clone().unwrap_or(now)),
            other => Changed::Field(other.to_owned()),
        }
    }
}
