//! The interface for programs, `/api/v1`: what the page shows and does, as JSON.
//!
//! A request shows a credential of `wires.auth`, as to a wire; who is signed in to the page may look with that, too. What
//! is posted is JSON by its media type, which no form of another site can be. Mistakes are answered as
//! `application/problem+json` (RFC 9457) with the remedy.

mod estate;
mod once;
pub(crate) mod openapi;
mod types;

use std::cmp::Reverse;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bellwether_connectors::journal::receipts::Claims;
use bellwether_connectors::server::http::Visit;
use bellwether_connectors::server::reply::Reply;
use bellwether_engine::input::Action;
use bellwether_engine::time::EventTime;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use once::{Post, PostError};
pub use types::{
    Brief, Deed, Done, Edges, Entities, Entity, EntityBrief, Incidents, Problem, Quiet, Saying, SetSilence, Step, Whole,
};

use super::Page;
use super::act::{deed, ended, said_of, silences};
use super::eye::Unseen;
use super::form::Form;
use super::posts::WHO_CHARS_MAX;
use super::reply::Guarded as _;
use super::shows::tenant_of;
use super::view::search::Search;
use super::who::{Who, is_from_us};

/// Where it is.
const ROOT: &str = "/api/v1/";
/// Incidents on a page, when nothing is said, and at most.
const LIMIT: [usize; 2] = [50, 200];
/// Silences listed.
const SILENCES_MAX: usize = 500;

/// Whether a path is of the interface: wires have paths below `/api/v1`, too.
pub(super) fn answers(path: &str) -> bool {
    let first = path.strip_prefix(ROOT).and_then(|rest| rest.split('/').next());
    first.is_some_and(|first| {
        ["incidents", "entities", "topology", "silences", "forecasts", "stream", "openapi.json"].contains(&first)
    })
}

/// An answer that is a mistake of who asks, or none of ours.
type Answer = Result<Reply, Reply>;

pub(super) fn problem(status: u16, title: &str, detail: impl Into<String>) -> Reply {
    let reply = Reply::json(status, &Problem { title: title.to_owned(), status, detail: detail.into() });
    let headers = vec![("content-type", "application/problem+json".to_owned())];
    Reply { headers, ..reply }.guarded()
}

fn json(status: u16, value: &impl Serialize) -> Reply {
    Reply::json(status, value).guarded()
}

impl Page {
    /// Answers a program.
    pub(super) async fn api(&self, visit: &Visit<'_>, who: &Who) -> Reply {
        let path: Vec<&str> =
            visit.path.strip_prefix(ROOT).unwrap_or_default().trim_end_matches('/').split('/').collect();
        let method = if visit.method == Method::HEAD { &Method::GET } else { visit.method };
        let answer = match (method, path.as_slice()) {
            (&Method::GET, ["openapi.json"]) => Ok(json(200, &openapi::document())),
            (&Method::GET, ["incidents"]) => self.api_list(visit, who),
            (&Method::GET, ["incidents", id]) => self.api_whole(visit, who, id),
            (&Method::GET, ["entities"]) => self.api_entities(visit, who).await,
            (&Method::GET, ["entities", name]) => self.api_entity(visit, who, name).await,
            (&Method::GET, ["topology"]) => self.api_topology(visit, who).await,
            (&Method::GET, ["forecasts"]) => self.api_forecasts(who).await,
            (&Method::GET, ["silences"]) => Ok(self.api_silences(who)),
            (&Method::POST, ["incidents", id, "actions"]) => self.api_deed(visit, who, id).await,
            (&Method::POST, ["silences"]) => self.api_quiet(visit, who).await,
            (&Method::DELETE, ["silences", id]) => self.api_unquiet(visit, who, id).await,
            (&Method::GET | &Method::POST | &Method::DELETE, _) => {
                Err(problem(404, "There is no such resource", "see /api/v1/openapi.json for those there are"))
            }
            _ => Err(problem(405, "Not that way", "look with GET, do something with POST, end a silence with DELETE")),
        };
        answer.unwrap_or_else(|mistake| mistake)
    }

    fn api_list(&self, visit: &Visit<'_>, who: &Who) -> Answer {
        let query = Form::read(visit.query.as_bytes());
        let wanted = Search::of(|name| query.get(name)).wants();
        let limit = limit(&query)?;
        let after = match query.get("cursor") {
            None => None,
            Some(cursor) => Some(read_cursor(&cursor).ok_or_else(no_cursor)?),
        };
        let beyond = |at: EventTime, id: &str| {
            after.as_ref().is_none_or(|(last, known)| (Reverse(at), id) > (Reverse(*last), known.as_str()))
        };
        let mut found = self.model.find(&who.scope, 0, limit, |line| wanted(line) && beyond(line.updated, &line.id));
        self.as_given(who, &mut found.lines);
        let more = found.total > found.lines.len();
        let next = found.lines.last().filter(|_| more).map(|line| cursor(line.updated, &line.id));
        Ok(json(200, &Incidents { incidents: found.lines.into_iter().map(Brief::from).collect(), next }))
    }

    fn api_whole(&self, visit: &Visit<'_>, who: &Who, id: &str) -> Answer {
        let known = self.known(who, id).ok_or_else(|| unknown(id))?;
        let words = self.world.gauges().said().of(&known.line.tenant, &known.line.id);
        let tag = format!("\"{}.{}\"", known.line.revision, words.len());
        let has = visit.headers.get("if-none-match").and_then(|tag| tag.to_str().ok()).unwrap_or_default();
        if has.split(',').any(|one| one.trim() == tag) {
            return Ok(Reply::empty(304).with("etag", tag).guarded());
        }
        let whole =
            Whole::of(&known, &words).ok_or_else(|| problem(500, "It does not read", "a bug: please report it"))?;
        Ok(json(200, &whole).with("etag", tag))
    }

    async fn api_forecasts(&self, who: &Who) -> Answer {
        let found = self.eye.forecasts(&who.scope).await;
        let found = found.map_err(not_now)?;
        let shown = |(tenant, forecast): &(String, bellwether_engine::ForecastView)| serde_json::json!({"tenant": tenant, "forecast": forecast});
        Ok(json(200, &found.iter().map(shown).collect::<Vec<_>>()))
    }

    fn api_silences(&self, who: &Who) -> Reply {
        let words = self.world.gauges().said().silences(SILENCES_MAX, |tenant| who.scope.has(tenant));
        let silences = words.iter().filter_map(|word| match &word.action {
            Action::Silence { id, matching, from, until, who, why } => Some(SetSilence {
                tenant: word.tenant.to_string(),
                id: id.clone(),
                matching: matching.clone(),
                from: *from,
                until: *until,
                who: who.clone(),
                why: why.clone(),
            }),
            _ => None,
        });
        json(200, &silences.collect::<Vec<_>>())
    }

    async fn api_deed(&self, visit: &Visit<'_>, who: &Who, id: &str) -> Answer {
        let told: Deed = body(visit, who)?;
        let known = self.known(who, id).ok_or_else(|| unknown(id))?;
        let done = said_of(&told.what).unwrap_or_default();
        let Post::First(claims, _) = once::post(visit, who, &known.line.tenant).map_err(not_once)? else {
            return Ok(json(202, &Done { done: done.to_owned() }));
        };
        if let Some(seen) = visit.headers.get("if-match").and_then(|tag| tag.to_str().ok()) {
            let seen = seen.trim_matches('"').split('.').next().unwrap_or_default();
            if seen != known.line.revision.to_string() {
                let detail = format!("it is at revision {}, not {seen}: look again", known.line.revision);
                return Err(problem(412, "It has changed", detail));
            }
        }
        let name = named(who, told.who.as_deref());
        let fields = [
            ("to", &told.to),
            ("text", &told.text),
            ("cause", &told.cause),
            ("into", &told.into),
            ("alert", &told.alert),
        ];
        let form = Form::of(fields.into_iter().filter_map(|(field, value)| Some((field, value.clone()?))));
        let action =
            deed(&told.what, id, &name, &form).map_err(|mistake| problem(400, "Not like that", mistake.to_string()))?;
        self.api_say(visit, &known.line.tenant, (vec![action], claims), done).await
    }

    async fn api_quiet(&self, visit: &Visit<'_>, who: &Who) -> Answer {
        let told: Quiet = body(visit, who)?;
        let name = named(who, told.who.as_deref());
        let fields = [
            ("tenant", told.tenant),
            ("entity", told.entity),
            ("matching", told.matching),
            ("for", Some(told.lasts)),
            ("why", Some(told.why)),
            ("from", told.from),
            ("repeat", told.repeat),
            ("times", told.times.map(|times| times.to_string())),
        ];
        let form = Form::of(fields.into_iter().filter_map(|(field, value)| Some((field, value?))));
        let tenant = tenant_of(who, &form)
            .ok_or_else(|| problem(400, "Whose?", "`tenant` is missing: this credential sees several"))?;
        let (claims, id) = match once::post(visit, who, &tenant).map_err(not_once)? {
            Post::First(claims, id) => (claims, id),
            Post::Again(id) => return Ok(json(202, &Done { done: id })),
        };
        let windows = silences(&id, &name, self.world.now(), &form);
        let windows = windows.map_err(|mistake| problem(400, "Not like that", mistake.to_string()))?;
        self.api_say(visit, &tenant, (windows, claims), &id).await
    }

    async fn api_unquiet(&self, visit: &Visit<'_>, who: &Who, id: &str) -> Answer {
        may(visit, who)?;
        let word = self.world.gauges().said().silence(id, |tenant| who.scope.has(tenant));
        let word = word.ok_or_else(|| {
            problem(404, "There is no such silence", format!("`{id}` is none that is remembered here"))
        })?;
        let action = ended(&word.action, &who.name, self.world.now()).expect("it is a silence");
        let claims = visit.intake.claims(&word.tenant);
        self.api_say(visit, &word.tenant, (vec![action], claims), id).await
    }

    async fn api_say(
        &self,
        visit: &Visit<'_>,
        tenant: &std::sync::Arc<str>,
        (actions, claims): (Vec<Action>, Claims),
        done: &str,
    ) -> Answer {
        let said = self.say(visit, tenant, actions, claims).await;
        said.map_err(|why| problem(503, "Not taken down", why).with("retry-after", "1"))?;
        Ok(json(202, &Done { done: done.to_owned() }))
    }
}

/// The engine has no moment.
fn not_now(busy: Unseen) -> Reply {
    problem(503, "Not now", busy.to_string()).with("retry-after", "2")
}

/// A post whose key does not do.
fn not_once(error: PostError) -> Reply {
    let detail = error.to_string();
    match error {
        PostError::NoKey => problem(400, "Not a key", detail),
        PostError::Used => problem(422, "The key is used", detail),
        PostError::AtWork => problem(409, "It is at work", detail).with("retry-after", "1"),
    }
}

/// How many are asked for.
fn limit(query: &Form) -> Result<usize, Reply> {
    match query.get("limit").map(|limit| limit.parse::<usize>()) {
        None => Ok(LIMIT[0]),
        Some(Ok(limit)) if (1..=LIMIT[1]).contains(&limit) => Ok(limit),
        Some(_) => Err(problem(400, "Not a limit", format!("`limit` is a number from 1 to {}", LIMIT[1]))),
    }
}

fn no_cursor() -> Reply {
    problem(400, "Not a cursor", "`cursor` is what the page before said as `next`; begin without one")
}

fn unknown(id: &str) -> Reply {
    problem(
        404,
        "There is no such incident",
        format!("`{id}` never was one, belongs to another tenant, or ended long ago"),
    )
}

/// What somebody is called: as the configuration says, else as they say.
fn named(who: &Who, said: Option<&str>) -> String {
    match said.map(str::trim) {
        Some(said) if who.unnamed && !said.is_empty() => {
            said.chars().take(WHO_CHARS_MAX).filter(|c| !c.is_control()).collect()
        }
        _ => who.name.clone(),
    }
}

/// Whether somebody may do something, and means it.
fn may(visit: &Visit<'_>, who: &Who) -> Result<(), Reply> {
    if !is_from_us(visit.headers) {
        return Err(problem(403, "Not from here", "the request comes from a page of another site"));
    }
    if !who.may_act {
        let detail = "this credential may look and nothing else: its `may` in `auth.credentials` lacks `act`";
        return Err(problem(403, "You may look", detail));
    }
    Ok(())
}

/// What is posted.
fn body<T: DeserializeOwned>(visit: &Visit<'_>, who: &Who) -> Result<T, Reply> {
    may(visit, who)?;
    let media = visit.headers.get("content-type").and_then(|media| media.to_str().ok()).unwrap_or_default();
    if !media.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(problem(415, "Not JSON", "say `content-type: application/json`, and send that"));
    }
    serde_json::from_slice(&visit.body).map_err(|error| problem(400, "Not like that", error.to_string()))
}

fn cursor(at: EventTime, id: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}/{id}", at.0))
}

fn read_cursor(cursor: &str) -> Option<(EventTime, String)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (at, id) = text.split_once('/')?;
    Some((EventTime(at.parse().ok()?), id.to_owned()))
}
