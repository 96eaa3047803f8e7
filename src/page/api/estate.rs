//! Entities and topology for programs: lists by name, page by page.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bellwether_connectors::server::http::Visit;
use bellwether_engine::EntityLine;
use bellwether_engine::incident::Priority;

use super::types::{Edges, Entities, Entity, EntityBrief};
use super::{Answer, json, limit, no_cursor, not_now, problem};
use crate::page::Page;
use crate::page::estate::looked_for;
use crate::page::form::Form;
use crate::page::model::{Hurt, Scope};
use crate::page::view::entities::kind_of;
use crate::page::who::Who;

/// The most urgent open incident.
fn worst(hurt: Option<&Hurt>) -> (Option<Priority>, Option<String>) {
    (hurt.map(|hurt| hurt.worst), hurt.map(|hurt| hurt.id.to_string()))
}

/// A cursor is the last name that was shown.
fn after(query: &Form) -> Result<Option<String>, bellwether_connectors::server::reply::Reply> {
    let read = |cursor: String| {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok();
        bytes.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(no_cursor)
    };
    query.get("cursor").map(read).transpose()
}

/// The lines of a page that begins after `after`, and the cursor of the next.
fn paged(
    lines: &[EntityLine],
    after: Option<&str>,
    limit: usize,
    fits: impl Fn(&EntityLine) -> bool,
) -> (Vec<EntityLine>, Option<String>) {
    let from = after.map_or(0, |after| lines.partition_point(|line| *line.name <= *after));
    let mut page: Vec<EntityLine> = lines[from..].iter().filter(|line| fits(line)).take(limit + 1).cloned().collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|line| URL_SAFE_NO_PAD.encode(line.name.as_bytes()));
    (page, next)
}

/// What stands in a path, where `%2F` is a part of a name.
fn decoded(part: &str) -> String {
    let query = format!("name={}", part.replace('+', "%2B"));
    Form::read(query.as_bytes()).raw("name").to_owned()
}

impl Page {
    /// Whose estate a program looks at.
    fn api_tenant(&self, who: &Who, query: &Form) -> Result<Arc<str>, bellwether_connectors::server::reply::Reply> {
        match (&who.scope, query.get("tenant")) {
            (Scope::Tenant(tenant), None) => Ok(tenant.clone()),
            (Scope::Tenant(tenant), Some(asked)) if **tenant == *asked => Ok(tenant.clone()),
            (Scope::All, Some(asked)) => Ok(asked.into()),
            (Scope::All, None) => Err(problem(400, "Whose?", "`tenant` is missing: this credential sees several")),
            (Scope::Tenant(_), Some(_)) => Err(problem(403, "Not yours", "this credential sees another tenant")),
        }
    }

    pub(super) async fn api_entities(&self, visit: &Visit<'_>, who: &Who) -> Answer {
        let query = Form::read(visit.query.as_bytes());
        let (tenant, limit, after) = (self.api_tenant(who, &query)?, limit(&query)?, after(&query)?);
        let lines = self.eye.entities(&tenant).await.map_err(not_now)?;
        let (words, kind) = (looked_for(query.raw("q")), query.get("kind"));
        let fits = |line: &EntityLine| {
            let text = format!("{} {}", line.name, line.owner).to_lowercase();
            kind.as_ref().is_none_or(|kind| kind_of(&line.name) == kind)
                && words.iter().all(|word| text.contains(word.as_str()))
        };
        let (page, next) = paged(&lines, after.as_deref(), limit, fits);
        let hurt = self.model.hurt(&tenant);
        let brief = |line: EntityLine| {
            let (worst, incident) = worst(hurt.get(&line.name));
            EntityBrief { line, worst, incident }
        };
        Ok(json(200, &Entities { entities: page.into_iter().map(brief).collect(), next }))
    }

    pub(super) async fn api_entity(&self, visit: &Visit<'_>, who: &Who, name: &str) -> Answer {
        let query = Form::read(visit.query.as_bytes());
        let (tenant, name) = (self.api_tenant(who, &query)?, decoded(name));
        let seen = self.eye.entity(&tenant, &name).await.map_err(not_now)?;
        let entity = seen.entity.clone().ok_or_else(|| {
            let detail = format!("`{name}` is measured, logged and named by nothing here: names are `type:name`");
            problem(404, "There is no such entity", detail)
        })?;
        let hurt = self.model.hurt(&tenant);
        let (worst, incident) = worst(hurt.get(entity.name.as_str()));
        let (alerts, alerts_known) = (seen.alerts.alerts.clone(), seen.alerts.total);
        Ok(json(200, &Entity { entity, alerts, alerts_known, worst, incident }))
    }

    pub(super) async fn api_topology(&self, visit: &Visit<'_>, who: &Who) -> Answer {
        let query = Form::read(visit.query.as_bytes());
        let (tenant, limit, after) = (self.api_tenant(who, &query)?, limit(&query)?, after(&query)?);
        let lines = self.eye.entities(&tenant).await.map_err(not_now)?;
        let (page, next) = paged(&lines, after.as_deref(), limit, |line| line.edges > 0);
        let from = page.into_iter().map(|line| line.name.into()).collect();
        let edges = self.eye.edges(&tenant, from).await.map_err(not_now)?;
        Ok(json(200, &Edges { edges, next }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_on_after_the_last_name_even_when_that_is_gone() {
        let line =
            |name: &str| EntityLine { name: name.into(), owner: "".into(), criticality: None, edges: 1, series: 0 };
        let lines = ["host:a", "host:b", "host:d", "host:e"].map(line);
        let (first, next) = paged(&lines, None, 2, |_| true);
        assert_eq!((first.len(), next.is_some()), (2, true));
        let (rest, next) = paged(&lines, Some("host:c"), 2, |_| true);
        assert_eq!((&*rest[0].name, rest.len(), next), ("host:d", 2, None));
        assert_eq!(
            (decoded("service%3Aa%2Fb+c"), decoded("host:x")),
            ("service:a/b+c".to_owned(), "host:x".to_owned())
        );
    }
}
