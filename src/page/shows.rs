//! What is shown at which address: gathers what a page needs, and has it rendered.

use std::sync::Arc;

use bellwether_connectors::outbox;
use bellwether_connectors::server::http::Visit;
use bellwether_connectors::server::reply::Reply;
use bytes::Bytes;
use maud::{Markup, html};

use super::Page;
use super::act::{fingerprint, said_of};
use super::form::Form;
use super::funnel::Counts;
use super::model::{Known, Line, Scope};
use super::rendered::Rendered;
use super::reply::Guarded as _;
use super::view::frame::Way;
use super::view::now::{Now, Watched};
use super::view::search::{PAGE_LINES, Search};
use super::view::silences::Silences;
use super::view::system::{ReaderRow, System};
use super::view::{Hands, forecasts, incident, markdown, multiples, now, search, silences, system};
use super::who::Who;

/// Open incidents on "Now", the most urgent: more is a list.
const LIVE_SHOWN: usize = 60;
/// Those that are lately over.
const OVER_SHOWN: usize = 5;
/// What an incident may be merged with.
const OTHERS_SHOWN: usize = 50;
/// Silences listed.
const SILENCES_SHOWN: usize = 200;
/// Where incidents are.
const INCIDENTS: &str = "/page/incidents/";

impl Page {
    /// The page at an address.
    pub(super) async fn show(&self, visit: &Visit<'_>, who: &Who) -> Reply {
        let query = Form::read(visit.query.as_bytes());
        match visit.path.trim_end_matches('/') {
            "/page" => self.now_page(visit, who).await,
            "/page/incidents" => self.search_page(who, &query),
            "/page/forecasts" => self.forecasts_page(who).await,
            "/page/silences" => self.silences_page(who, 200, done(&query)),
            "/page/system" if who.admin => self.system_page(visit, who),
            path if !path.starts_with(INCIDENTS) => match self.estate(path, who, &query).await {
                Some(page) => page,
                None => self.refusal(who, 404, "There is no such page", "The address leads nowhere here."),
            },
            path => match path.strip_prefix(INCIDENTS).map(|rest| rest.split_once('/').unwrap_or((rest, ""))) {
                Some((id, "")) => self.incident_page(who, id, &query).await,
                Some((id, "post-mortem.md")) => self.post_mortem(who, id),
                _ => self.refusal(who, 404, "There is no such page", "The address leads nowhere here."),
            },
        }
    }

    async fn now_page(&self, visit: &Visit<'_>, who: &Who) -> Reply {
        let mut live = self.model.live(&who.scope, LIVE_SHOWN);
        self.as_given(who, &mut live.lines);
        let over = self.model.find(&who.scope, 0, OVER_SHOWN, |line| !line.is_live() && line.merged_into.is_none());
        let figures = self.world.figures();
        let (counts, since) = match &figures {
            Some(figures) => self.world.funnel.of(figures, &who.scope),
            None => (Counts::default(), None),
        };
        let forecasts = self.eye.forecasts(&who.scope).await;
        let shown = Now {
            now: self.world.now(),
            live: &live,
            over: &over,
            counts,
            since,
            watched: figures.map(|figures| Watched::of(&figures, who.tenant())).unwrap_or_default(),
            troubles: &self.world.troubles(visit.intake.is_accepting()),
            forecasts: &forecasts,
            several: self.several(who),
        };
        self.whole(who, &Rendered { status: 200, title: "Now", way: Way::Now, main: now::page(&shown) })
    }

    fn search_page(&self, who: &Who, query: &Form) -> Reply {
        let wanted = Search::of(|name| query.get(name));
        let mut found = self.model.find(&who.scope, wanted.page.saturating_mul(PAGE_LINES), PAGE_LINES, wanted.wants());
        self.as_given(who, &mut found.lines);
        let main = search::page(&wanted, &found, self.world.now(), self.several(who));
        self.whole(who, &Rendered { status: 200, title: "Incidents", way: Way::Incidents, main })
    }

    async fn forecasts_page(&self, who: &Who) -> Reply {
        let found = self.eye.forecasts(&who.scope).await;
        let main = forecasts::page(&found, self.world.now(), self.several(who));
        self.whole(who, &Rendered { status: 200, title: "Forecasts", way: Way::Forecasts, main })
    }

    /// The silences, with what there is to say above them.
    pub(super) fn silences_page(&self, who: &Who, status: u16, notice: Option<Markup>) -> Reply {
        let words = self.world.gauges().said().silences(SILENCES_SHOWN, |tenant| who.scope.has(tenant));
        let token = self.token(who);
        let tenants = match &who.scope {
            Scope::All => self.model.tenants(),
            Scope::Tenant(tenant) => vec![tenant.clone()],
        };
        let shown = Silences {
            now: self.world.now(),
            words: &words,
            hands: token.as_deref().map(|token| Hands { token, name: &who.name }),
            tenants: &tenants,
            several: self.several(who),
            notice,
        };
        self.whole(who, &Rendered { status, title: "Silences", way: Way::Silences, main: silences::page(&shown) })
    }

    fn system_page(&self, visit: &Visit<'_>, who: &Who) -> Reply {
        let (gauges, figures) = (self.world.gauges(), self.world.figures());
        let rows = outbox::behind(gauges.readers());
        let readers: Vec<ReaderRow> =
            rows.into_iter().map(|(name, waiting, parked)| ReaderRow { name, waiting, parked }).collect();
        let shown = System {
            troubles: &self.world.troubles(visit.intake.is_accepting()),
            figures: figures.as_deref(),
            readers: &readers,
            model_bytes: self.model.bytes(),
            points: self.points.totals(),
            done: [
                ("journal entries read", gauges.entries()),
                ("rows in them", gauges.signals()),
                ("events told", gauges.events()),
                ("checkpoints", gauges.checkpoints()),
            ],
        };
        self.whole(who, &Rendered { status: 200, title: "System", way: Way::System, main: system::page(&shown) })
    }

    async fn incident_page(&self, who: &Who, id: &str, query: &Form) -> Reply {
        let notice = done(query);
        match self.known(who, id) {
            Some(known) => {
                let asked = query.get("alert");
                self.shown(who, &known, 200, notice, asked.as_deref()).await
            }
            None => self.unknown(who, id),
        }
    }

    /// One that somebody may see.
    pub(super) fn known(&self, who: &Who, id: &str) -> Option<Known> {
        let mut known = self.model.get(&who.scope, id)?;
        self.as_given(who, std::slice::from_mut(&mut known.line));
        Some(known)
    }

    /// Who was given an incident has it from then on, also before a revision says so: an update may wait for others.
    pub(super) fn as_given(&self, who: &Who, lines: &mut [Line]) {
        let given = self.world.gauges().said().given(|tenant| who.scope.has(tenant));
        for line in lines {
            if let Some((at, to)) = given.get(&(line.tenant.clone(), line.id.clone()))
                && *at > line.updated
            {
                line.assignee = to.clone();
            }
        }
    }

    /// There is none, as far as who asks may know.
    pub(super) fn unknown(&self, who: &Who, id: &str) -> Reply {
        let why = format!(
            "No incident `{id}` is known here: it never was one, belongs to another tenant, or ended long ago."
        );
        self.refusal(who, 404, "There is no such incident", &why)
    }

    /// The page of an incident, with what there is to say above it.
    pub(super) async fn shown(
        &self,
        who: &Who,
        known: &Known,
        status: u16,
        notice: Option<Markup>,
        asked: Option<&str>,
    ) -> Reply {
        let line = &known.line;
        let Some(record) = known.record() else {
            return self.refusal(
                who,
                500,
                "This incident does not read",
                "Its record does not unpack, which is a bug: please report it.",
            );
        };
        let around = record.entities.iter().map(|entity| entity.id.clone()).collect();
        let detail = self.eye.detail((&line.tenant, &line.id, line.revision), around).await;
        let asked = match asked {
            Some(asked) => Some((asked, self.why_not(line, asked).await)),
            None => None,
        };
        let words = self.world.gauges().said().of(&line.tenant, &line.id);
        let similar: Vec<_> = record
            .similar
            .iter()
            .map(|similar| (similar.clone(), self.model.line(&line.tenant, &similar.id)))
            .collect();
        let own = Scope::Tenant(line.tenant.clone());
        let others = self.model.live(&own, OTHERS_SHOWN).lines;
        let others: Vec<Line> = others.into_iter().filter(|other| other.id != line.id).collect();
        let token = self.token(who);
        let shown = incident::Shown {
            now: self.world.now(),
            known,
            record: &record,
            detail: &detail,
            words: &words,
            similar: &similar,
            others: &others,
            asked,
            involved: &multiples::Involved::of(&record, &line.tenant, &self.points, self.world.now()),
            hands: token.as_deref().map(|token| Hands { token, name: &who.name }),
            notice,
        };
        self.whole(who, &Rendered { status, title: &record.title, way: Way::Other, main: incident::page(&shown) })
    }

    async fn why_not(&self, line: &Line, asked: &str) -> String {
        let number = match fingerprint(asked) {
            Ok(alert) => u64::from_str_radix(&alert, 16).unwrap_or_default(),
            Err(mistake) => return mistake.to_string(),
        };
        match self.eye.why_not(&line.tenant, number, &line.id).await {
            Ok(Some(why)) => why,
            Ok(None) => "It is in it, or the engine does not know one of the two any more.".to_owned(),
            Err(why) => why.to_string(),
        }
    }

    fn post_mortem(&self, who: &Who, id: &str) -> Reply {
        let Some(known) = self.known(who, id) else { return self.unknown(who, id) };
        let Some(record) = known.record() else { return self.unknown(who, id) };
        let words = self.world.gauges().said().of(&known.line.tenant, &known.line.id);
        let body = Bytes::from(markdown::draft(&known, &record, &words));
        let name = format!("inline; filename=\"{}.md\"", known.line.id);
        let headers = vec![("content-type", "text/markdown; charset=utf-8".to_owned()), ("content-disposition", name)];
        Reply { status: 200, headers, body }.guarded()
    }

    /// For the forms of who may do something.
    pub(super) fn token(&self, who: &Who) -> Option<String> {
        let may = who.may_act && self.world.is_running();
        who.cookie.as_deref().filter(|_| may).map(|cookie| self.sessions.token(cookie))
    }

    /// Whether there is more than one tenant to tell apart.
    pub(super) fn several(&self, who: &Who) -> bool {
        who.scope == Scope::All && self.model.tenants().len() > 1
    }
}

/// What was done just now, as the address says that a form leads to.
fn done(query: &Form) -> Option<Markup> {
    let said = match query.raw("done") {
        "silence" => "They are expected from now on.",
        "silence-ended" => "It is over.",
        deed => said_of(deed)?,
    };
    Some(
        html! { p.notice role="status" { strong { (said) } " It is in the journal with your name; what follows from it appears within seconds." } },
    )
}

/// For the silences of a scope: whose they may be.
pub(super) fn tenant_of(who: &Who, form: &Form) -> Option<Arc<str>> {
    match &who.scope {
        Scope::Tenant(tenant) => Some(tenant.clone()),
        Scope::All => form.get("tenant").map(Arc::from),
    }
}
