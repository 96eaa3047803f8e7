//! What others change: how the incidents that were touched lately are now, and what was written under them.
//!
//! They are read from the newest back to where all is known: a bound on the time would be read in the time zone of the
//! bridge's user, which may change.

use std::collections::BTreeMap;

use bellwether_engine::time::EventTime;

use super::super::snapshot;
use super::super::system::{Answered, Page, Since, SystemError};
use super::api::{Row, ServiceNow};

/// Incidents in a page.
const ROWS: usize = 100;
/// Pages that are read back: as many incidents as can be open.
const PAGES_MAX: usize = 100;
/// Texts under the incidents of a page.
const TEXTS_MAX: &str = "1000";

/// A time as it has it: `2026-11-30 22:51:49`, in UTC where no display values are asked for.
fn time(row: &Row, column: &str) -> EventTime {
    let text = row.get(column).map_or("", String::as_str);
    EventTime::parse_rfc3339(&format!("{}Z", text.replacen(' ', "T", 1))).unwrap_or_default()
}

fn of<'r>(row: &'r Row, column: &str) -> &'r str {
    row.get(column).map_or("", String::as_str)
}

impl ServiceNow {
    /// When the newest change was made.
    pub(super) async fn newest(&self) -> Answered<EventTime> {
        let newest = self.incidents(&self.ours(), "1", "0").await?;
        Ok(newest.first().map_or_else(EventTime::default, |row| time(row, "sys_updated_on")))
    }

    /// See [`super::super::system::TicketSystem::changes`].
    pub(super) async fn read_changes(&self, since: Option<Since>) -> Answered<Page> {
        let Some(since) = since else {
            return Ok(Page { upto: Since { at: self.newest().await?, ..Since::default() }, ..Page::default() });
        };
        let mut page = Page { upto: since, ..Page::default() };
        for number in 0..PAGES_MAX {
            let rows = self.incidents(&self.ours(), &ROWS.to_string(), &(number * ROWS).to_string()).await?;
            let new: Vec<&Row> = rows.iter().filter(|row| time(row, "sys_updated_on") >= since.at).collect();
            let all = rows.len() < ROWS || new.len() < rows.len();
            self.changes_of(&new, since.at, &mut page).await?;
            if all {
                page.changes.sort_by_key(|change| (change.at, change.id));
                return Ok(page);
            }
        }
        // What is further back would be passed by.
        Err(SystemError::Refused(format!("more than {} incidents were touched since {}", ROWS * PAGES_MAX, since.at)))
    }

    async fn changes_of(&self, rows: &[&Row], since: EventTime, page: &mut Page) -> Answered<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let numbers: BTreeMap<&str, &str> = rows.iter().map(|row| (of(row, "sys_id"), of(row, "number"))).collect();
        let ids = numbers.keys().copied().collect::<Vec<_>>().join(",");
        let query = format!("name=incident^element_idIN{ids}^ORDERBYDESCsys_created_on");
        let columns = "sys_id,element_id,value,sys_created_on,sys_created_by";
        for text in self.rows("sys_journal_field", &query, columns, &[("sysparm_limit", TEXTS_MAX)]).await? {
            let (at, who) = (time(&text, "sys_created_on"), of(&text, "sys_created_by"));
            let Some(number) = numbers.get(of(&text, "element_id")).filter(|_| at >= since && who != self.config.user)
            else {
                continue;
            };
            page.changes.push(snapshot::said(number, of(&text, "sys_id"), at, who, of(&text, "value")));
        }
        for row in rows {
            let (at, who) = (time(row, "sys_updated_on"), of(row, "sys_updated_by"));
            page.upto.at = page.upto.at.max(at);
            let who = if who == self.config.user { "" } else { who };
            page.changes.push(snapshot::now(of(row, "number"), at, who, self.fields(row)));
        }
        Ok(())
    }
}
