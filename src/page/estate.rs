//! The pages of one tenant's estate: entities, alerts, changes, log templates, problems, models; and who did what.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellwether_connectors::server::reply::Reply;
use bellwether_engine::time::Span;
use bellwether_engine::{AlertsWanted, EntityView, ForecastTotals, Place};
use maud::html;

use super::Page;
use super::form::Form;
use super::model::Scope;
use super::points::{Drawn, MINUTES};
use super::rendered::Rendered;
use super::view::frame::Way;
use super::view::{alert_list, audit, changes, entities, entity, logs, models, multiples, problems};
use super::who::Who;

/// Incidents listed of an entity.
const HISTORY_SHOWN: usize = 20;
/// Findings in log streams that are shown.
const FINDINGS_SHOWN: usize = 200;
/// Words that are looked for.
const WORDS_MAX: usize = 8;
/// How far back pages of lists go.
const PAGES_MAX: usize = 10_000;

impl Page {
    /// A page of the estate; `None` where the address leads to none.
    pub(super) async fn estate(&self, path: &str, who: &Who, query: &Form) -> Option<Reply> {
        if let Some(report) = self.report(path, who, query).await {
            return Some(report);
        }
        if path == "/page/audit" {
            return Some(self.audit_page(who, query));
        }
        let known = ["entities", "entity", "alerts", "changes", "logs", "problems", "models"];
        let name = path.strip_prefix("/page/").filter(|name| known.contains(name))?;
        let Some(tenant) = self.tenant_shown(who, query) else {
            let main = html! {
                div.head { h1 { "Nothing yet" } }
                section.card { p.soft { "No tenant is known yet: what arrives is shown here." } }
            };
            return Some(self.whole(who, &Rendered { status: 200, title: "Nothing yet", way: Way::Other, main }));
        };
        Some(match name {
            "entities" => self.entities_page(who, &tenant, query).await,
            "entity" => self.entity_page(who, &tenant, query).await,
            "alerts" => self.alerts_page(who, &tenant, query).await,
            name => self.standing_page(name, who, &tenant).await,
        })
    }

    /// The tenants that somebody may choose from.
    pub(super) fn tenants(&self, who: &Who) -> Vec<Arc<str>> {
        match &who.scope {
            Scope::Tenant(tenant) => vec![tenant.clone()],
            Scope::All => {
                let counted = self.world.figures();
                let counted = counted.iter().flat_map(|figures| figures.stats.tenants.keys());
                let mut all: BTreeSet<Arc<str>> = counted.map(|name| name.as_str().into()).collect();
                all.extend(self.model.tenants());
                all.into_iter().collect()
            }
        }
    }

    /// The tenant whose estate is looked at: one's own, or that of the query, or the one with the most urgent open incident,
    /// or the first.
    pub(super) fn tenant_shown(&self, who: &Who, query: &Form) -> Option<Arc<str>> {
        let tenants = self.tenants(who);
        let asked = tenants.iter().find(|tenant| ***tenant == *query.raw("tenant")).cloned();
        let urgent = || self.model.live(&who.scope, 1).lines.pop().map(|line| line.tenant);
        asked.or_else(urgent).or_else(|| tenants.into_iter().next())
    }

    async fn entities_page(&self, who: &Who, tenant: &Arc<str>, query: &Form) -> Reply {
        let lines = self.eye.entities(tenant).await;
        let shown = entities::Entities {
            now: self.world.now(),
            scope: &who.scope,
            tenant,
            tenants: &self.tenants(who),
            search: &entities::Search::of(|name| query.get(name)),
            lines: &lines,
            hurt: &self.model.hurt(tenant),
        };
        let main = entities::page(&shown);
        self.whole(who, &Rendered { status: 200, title: "Services and entities", way: Way::Entities, main })
    }

    async fn entity_page(&self, who: &Who, tenant: &Arc<str>, query: &Form) -> Reply {
        let asked = query.get("name").unwrap_or_default();
        let seen = self.eye.entity(tenant, &asked).await;
        let own = Scope::Tenant(tenant.clone());
        let name = match seen.as_ref().ok().map(|seen| &seen.entity) {
            Some(Some(entity)) => entity.name.clone(),
            _ => asked.clone(),
        };
        let mut history = self.model.find(&own, 0, HISTORY_SHOWN, |line| line.touches(&name));
        if seen.as_ref().is_ok_and(|seen| seen.entity.is_none()) && history.total == 0 {
            let why = format!("`{asked}` is measured, logged and named by nothing here, or belongs to another tenant.");
            return self.refusal(who, 404, "There is no such entity", &why);
        }
        self.as_given(who, &mut history.lines);
        let forecasts = self.eye.forecasts(&own).await;
        let forecasts: Vec<_> =
            forecasts.iter().flat_map(|all| all.iter()).filter(|(_, one)| one.entity == name).cloned().collect();
        let hurt = self.model.hurt(tenant);
        let (drawn, more) = self.drawn(tenant, &name, seen.as_ref().ok().and_then(|seen| seen.entity.as_ref()));
        let shown = entity::Entity {
            now: self.world.now(),
            tenant,
            name: &name,
            seen: &seen,
            hurt: hurt.get(name.as_str()),
            history: &history,
            drawn: (&drawn, more),
            forecasts: &forecasts,
        };
        self.whole(who, &Rendered { status: 200, title: &name, way: Way::Entities, main: entity::page(&shown) })
    }

    /// The series of an entity under any of its names, and whether there are more than are shown.
    fn drawn(&self, tenant: &str, name: &str, entity: Option<&EntityView>) -> (Vec<Drawn>, bool) {
        let now = self.world.now();
        let from = now.minus(Span::from_mins(MINUTES as i64));
        let aliases = entity.and_then(|entity| entity.item.as_ref()).map_or(&[][..], |item| item.aliases.as_slice());
        let names = std::iter::once(name).chain(aliases.iter().map(String::as_str));
        let of = |name: &str| self.points.of(tenant, name, None, (from, now), multiples::ENTITY_MAX + 1);
        let mut drawn: Vec<Drawn> = names.flat_map(of).take(multiples::ENTITY_MAX + 1).collect();
        let more = drawn.len() > multiples::ENTITY_MAX;
        drawn.truncate(multiples::ENTITY_MAX);
        (drawn, more)
    }

    async fn alerts_page(&self, who: &Who, tenant: &Arc<str>, query: &Form) -> Reply {
        let words = query.get("q").unwrap_or_default();
        let page = page_of(query);
        let place = alert_list::PLACES.iter().find(|(name, ..)| *name == query.raw("in"));
        let wanted = AlertsWanted {
            words: looked_for(&words),
            place: place.map_or(Place::Any, |(_, place, _)| *place),
            firing: query.raw("state") != "any",
            skip: page * alert_list::PAGE_LINES,
            max: alert_list::PAGE_LINES,
            ..AlertsWanted::default()
        };
        let (place, firing) = (wanted.place, wanted.firing);
        let seen = self.eye.alerts(tenant, wanted).await;
        let shown = alert_list::Alerts {
            now: self.world.now(),
            scope: &who.scope,
            tenant,
            tenants: &self.tenants(who),
            words: &words,
            place,
            firing,
            page,
            seen: &seen,
        };
        self.whole(who, &Rendered { status: 200, title: "Alerts", way: Way::Alerts, main: alert_list::page(&shown) })
    }

    async fn standing_page(&self, name: &str, who: &Who, tenant: &Arc<str>) -> Reply {
        let standing = self.eye.standing(tenant).await;
        let (now, tenants) = (self.world.now(), self.tenants(who));
        let whose = (&**tenant, tenants.as_slice(), &who.scope);
        let (title, way, main) = match name {
            "changes" => ("Changes", Way::Changes, changes::page(&standing, now, whose)),
            "problems" => ("Problems", Way::Problems, problems::page(&standing, now, whose)),
            "logs" => {
                let wanted = AlertsWanted { logs: true, max: FINDINGS_SHOWN, ..AlertsWanted::default() };
                let found = self.eye.alerts(tenant, wanted).await;
                ("Log templates", Way::Logs, logs::page(&found, &standing, now, whose))
            }
            _ => {
                let figures = self.world.figures();
                let counted = figures.as_ref().and_then(|figures| {
                    let totals = figures.watched.get(&**tenant).map(|totals| totals.forecasts);
                    Some((figures.stats.tenants.get(&**tenant)?, totals.unwrap_or_else(ForecastTotals::default)))
                });
                ("Models", Way::Models, models::page(&standing, counted, now, whose))
            }
        };
        self.whole(who, &Rendered { status: 200, title, way, main })
    }

    fn audit_page(&self, who: &Who, query: &Form) -> Reply {
        let (words, page) = (query.get("q").unwrap_or_default(), page_of(query));
        let looked_for = looked_for(&words);
        let until = (page + 1) * audit::PAGE_LINES;
        let wanted = |word: &crate::wiring::said::Word| who.scope.has(&word.tenant) && audit::has(word, &looked_for);
        let mut found = self.world.gauges().said().latest(until + 1, wanted);
        let more = found.len() > until;
        found.truncate(until);
        let found = found.split_off(found.len().min(page * audit::PAGE_LINES));
        let main = audit::page(&words, page, &found, more, self.world.now(), self.several(who));
        self.whole(who, &Rendered { status: 200, title: "Audit", way: Way::Audit, main })
    }
}

/// The how-manieth page is asked for, from 0.
fn page_of(query: &Form) -> usize {
    query.get("page").and_then(|page| page.parse().ok()).unwrap_or(0).min(PAGES_MAX)
}

/// Words that are looked for, in lower case.
pub(super) fn looked_for(words: &str) -> Vec<String> {
    words.to_lowercase().split_whitespace().take(WORDS_MAX).map(str::to_owned).collect()
}
