//! Reports: the incidents that the page knows, in figures; as a page, as CSV and as a file that stands alone.

use std::sync::Arc;

use bellwether_connectors::server::reply::Reply;
use bellwether_engine::incident::Verb;
use bellwether_engine::time::{EventTime, Span};
use bytes::Bytes;

use super::Page;
use super::form::Form;
use super::model::Scope;
use super::rendered::Rendered;
use super::reply::Guarded as _;
use super::view::frame::Way;
use super::view::review as shown;
use super::view::words::said;
use super::who::Who;
use crate::review::{Asked, Case, Review, asked_days, csv, review};

/// A report without dates is of so many days.
const DAYS: i64 = 30;
/// Incidents that are unpacked at a time, so that others are served meanwhile.
const AT_ONCE: usize = 64;

impl Page {
    /// A report in the form that the address asks for; `None` where it leads to none.
    pub(super) async fn report(&self, path: &str, who: &Who, query: &Form) -> Option<Reply> {
        let form = path.strip_prefix("/page/reports")?;
        let media = match form {
            "" => None,
            ".csv" => Some("text/csv; charset=utf-8"),
            ".html" => Some("text/html; charset=utf-8"),
            _ => return None,
        };
        let asked = match self.asked(who, query) {
            Ok(asked) => asked,
            Err(why) => return Some(self.refusal(who, 400, "Not a period", &why)),
        };
        let cases = self.cases(&who.scope).await;
        let found = review(cases.iter(), &asked);
        let left_out = self.model.find(&who.scope, 0, 0, |_| false).forgotten;
        Some(match media {
            Some(media) => file(media, form, &found, &asked, left_out),
            None => {
                let (tenants, query) = (self.tenants(who), query_of(&asked));
                let main = shown::body(&found, &asked, left_out, &shown::form(&asked, &tenants, &query));
                self.whole(who, &Rendered { status: 200, title: "Report", way: Way::Reports, main })
            }
        })
    }

    /// What is asked for: the last days where nothing is said, and never another tenant's.
    fn asked(&self, who: &Who, query: &Form) -> Result<Asked, String> {
        let now = self.world.now();
        let day = |at: EventTime| crate::report::date(at);
        let to = query.get("to").unwrap_or_else(|| day(now));
        let from = query.get("from").unwrap_or_else(|| day(now.minus(Span::from_hours(24 * (DAYS - 1)))));
        let (from, until) = asked_days(&from, &to)?;
        let tenant = match &who.scope {
            Scope::Tenant(tenant) => Some(tenant.to_string()),
            Scope::All => query.get("tenant"),
        };
        Ok(Asked { from, until, tenant, team: query.get("team"), service: query.get("service") })
    }

    async fn cases(&self, scope: &Scope) -> Arc<Vec<Case>> {
        if let Some(cases) = self.cases.0.get(scope) {
            return cases;
        }
        let names = self.model.names(scope);
        let mut cases = Vec::with_capacity(names.len());
        for some in names.chunks(AT_ONCE) {
            for (tenant, id) in some {
                let own = Scope::Tenant(tenant.clone());
                let Some(known) = self.model.get(&own, id) else { continue };
                let Some(record) = known.record() else { continue };
                let reopenings = known.life.values().filter(|told| told.verb == Verb::Reopened).count() as u64;
                cases.push(Case::of(tenant, &record, reopenings, &self.world.gauges().said().of(tenant, id)));
            }
            tokio::task::yield_now().await;
        }
        self.cases.0.put(scope.clone(), cases)
    }
}

fn file(media: &str, ending: &str, found: &Review, asked: &Asked, left_out: u64) -> Reply {
    let body = match ending {
        ".csv" => csv(found),
        _ => shown::file(found, asked, left_out),
    };
    let name = format!(
        "bellwether-{}-{}{ending}",
        crate::report::date(asked.from),
        crate::report::date(asked.until.minus(Span(1)))
    );
    let headers = vec![
        ("content-type", media.to_owned()),
        ("content-disposition", format!("attachment; filename=\"{}\"", said(&name))),
    ];
    Reply { status: 200, headers, body: Bytes::from(body) }.guarded()
}

/// The same question for another form of the answer.
fn query_of(asked: &Asked) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let last = asked.until.minus(Span(1));
    query.append_pair("from", &crate::report::date(asked.from)).append_pair("to", &crate::report::date(last));
    for (name, value) in [("tenant", &asked.tenant), ("team", &asked.team), ("service", &asked.service)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.finish()
}
