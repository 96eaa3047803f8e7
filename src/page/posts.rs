//! What somebody does: signs in and out, acts on an incident, keeps alerts quiet. Each form is checked for who sends it,
//! from where, and what they had seen; then it is an entry of the journal.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bellwether_connectors::AcceptError;
use bellwether_connectors::journal::receipts::Claims;
use bellwether_connectors::server::http::{Served, Visit};
use bellwether_connectors::server::reply::Reply;
use bellwether_engine::input::{Action, Input};
use http::Method;
use maud::{Markup, html};

use super::Page;
use super::act::{deed, ended, said_of, silences};
use super::form::{Form, Mistake};
use super::model::Known;
use super::rendered::{SIGN_IN, own_address};
use super::reply::see_other;
use super::shows::tenant_of;
use super::view::list::address;
use super::view::words::{ago, said, told};
use super::who::{Who, is_from_us, is_local};

/// How long an answer waits until the engine has read what was done: then the page shows it at once.
const TAKEN_IN: Duration = Duration::from_millis(1_500);
/// Longest name that somebody gives themselves.
pub(super) const WHO_CHARS_MAX: usize = 80;

impl Page {
    /// Who are you?
    pub(super) fn sign_in(&self, visit: &Visit<'_>, who: Option<&Who>) -> Served {
        let local = who.is_some_and(|who| who.anonymous);
        if *visit.method != Method::POST {
            let query = Form::read(visit.query.as_bytes());
            return Served::stranger(self.sign_in_page(200, own_address(query.raw("next")), local, None));
        }
        let form = Form::read(&visit.body);
        let next = own_address(form.raw("next"));
        if !is_from_us(visit.headers) {
            return Served::stranger(self.sign_in_page(
                403,
                next,
                local,
                Some("This form came from another site: use this one."),
            ));
        }
        if self.tries.are_over(visit.address) {
            let wrong = "Too many wrong tokens came from your address: wait five minutes.";
            return Served::denied(self.sign_in_page(429, next, local, Some(wrong)));
        }
        let name: String = form.line("who").unwrap_or_default().chars().take(WHO_CHARS_MAX).collect();
        let (user, secret) = (form.raw("user").trim(), form.raw("secret").trim());
        let visitor = match (user, secret) {
            ("", "") if is_local(visit) => visit.auth.visitor_without(),
            ("", token) => visit.auth.visitor_of_token(token),
            (user, password) => visit.auth.visitor_of_password(user, password),
        };
        let Some(visitor) = visitor else {
            self.tries.note(visit.address);
            let wrong = "This is no credential that is known here.";
            return Served::denied(self.sign_in_page(401, next, local, Some(wrong)));
        };
        let name = visitor.name.as_deref().unwrap_or(&name);
        if name.is_empty() {
            return Served::stranger(self.sign_in_page(
                400,
                next,
                local,
                Some("Say your name: it stands beside what you do."),
            ));
        }
        let cookie = self.sessions.begin(visitor.mark, name, self.world.now());
        Served::known(see_other(next).with("set-cookie", self.cookie(visit, &cookie)))
    }

    /// What is posted by who is known.
    pub(super) async fn post(&self, visit: &Visit<'_>, who: &Who) -> Reply {
        let form = Form::read(&visit.body);
        // A credential beside the request is sent by nobody but who has it; a cookie is sent by any browser that has it.
        let meant = match &who.cookie {
            Some(cookie) => is_from_us(visit.headers) && self.sessions.gave(cookie, form.raw("token")),
            None => visit.shown.is_some(),
        };
        if !meant {
            let why = "The form is too old, or came from another site. Nothing was done: go back, load the page again, and try once more.";
            return self.refusal(who, 403, "Not from here", why);
        }
        if visit.path == "/page/sign-out" {
            who.session.iter().for_each(|session| self.sessions.end(session));
            return see_other(SIGN_IN).with("set-cookie", self.cookie(visit, ""));
        }
        if !who.may_act {
            let why = "This credential may look and nothing else: its `may` in `auth.credentials` lacks `act`.";
            return self.refusal(who, 403, "You may look", why);
        }
        if visit.path == "/page/silences" {
            return self.keep_quiet(visit, who, &form).await;
        }
        let named = visit.path.strip_prefix("/page/incidents/").and_then(|rest| rest.split_once('/'));
        match named {
            Some((id, what)) if said_of(what).is_some() => match self.known(who, id) {
                Some(known) => self.act(visit, who, &known, what, &form).await,
                None => self.unknown(who, id),
            },
            _ => self.refusal(who, 404, "There is no such deed", "Nothing was done."),
        }
    }

    async fn act(&self, visit: &Visit<'_>, who: &Who, known: &Known, what: &str, form: &Form) -> Reply {
        let line = &known.line;
        let wrong = |text: &str| Some(html! { p.notice.wrong role="alert" { (said(text)) } });
        let action = match deed(what, &line.id, &who.name, form) {
            Ok(action) => action,
            Err(mistake) => return self.shown(who, known, 400, wrong(&mistake.to_string()), None).await,
        };
        let seen = form.raw("seen").parse::<u64>().unwrap_or(0);
        if seen != line.revision && what != "comment" && !form.raw("anyway").eq("yes") {
            let notice = self.overtaken(who, known, seen, what, form);
            return self.shown(who, known, 409, Some(notice), None).await;
        }
        let into = match &action {
            Action::Merge { into, .. } => Some(into.clone()),
            _ => None,
        };
        if let Some(into) = into.filter(|into| self.model.line(&line.tenant, into).is_none_or(|other| !other.is_live()))
        {
            return self.shown(who, known, 400, wrong(&format!("no incident `{into}` is open")), None).await;
        }
        match self.say(visit, &line.tenant, vec![action], visit.intake.claims(&line.tenant)).await {
            Ok(()) => see_other(&format!("{}?done={what}", address(&line.id))),
            Err(why) => self.shown(who, known, 503, wrong(&why), None).await,
        }
    }

    /// Somebody else, or the engine, was here since: says what has changed, and asks.
    fn overtaken(&self, who: &Who, known: &Known, seen: u64, what: &str, form: &Form) -> Markup {
        let line = &known.line;
        let news: Vec<_> = known.life.range(seen.saturating_add(1)..).collect();
        let before = known.life.range(..=seen).next_back().map(|(_, told)| told);
        let kept: Vec<(&str, &str)> = ["to", "text", "cause", "other", "into", "alert"]
            .into_iter()
            .map(|name| (name, form.raw(name)))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        html! {
            div.notice.wrong role="alert" {
                p { strong { "It has changed since you looked." } " You saw revision " (seen) ", it is at " (line.revision) ". Nothing was done yet." }
                ul {
                    @for (place, (_, one)) in news.iter().enumerate() {
                        @let earlier = if place == 0 { before } else { news.get(place - 1).map(|(_, told)| *told) };
                        li { (told(one.verb)) " " (ago(one.at, self.world.now())) " ago: " (said(&one.news(earlier).join(", "))) }
                    }
                }
                @if let Some(token) = self.token(who) {
                    div.actions {
                        form method="post" action={ (address(&line.id)) "/" (what) } {
                            input type="hidden" name="token" value=(token);
                            input type="hidden" name="seen" value=(line.revision);
                            input type="hidden" name="tenant" value=(line.tenant);
                            @for (name, value) in kept { input type="hidden" name=(name) value=(value); }
                            button { "Do it all the same" }
                        }
                        a.button href=(address(&line.id)) { "Leave it" }
                    }
                }
            }
        }
    }

    async fn keep_quiet(&self, visit: &Visit<'_>, who: &Who, form: &Form) -> Reply {
        let wrong = |text: &str| Some(html! { p.notice.wrong role="alert" { (said(text)) } });
        let Some(tenant) = tenant_of(who, form) else {
            return self.silences_page(who, 400, wrong(&Mistake::Missing("tenant").to_string()));
        };
        let now = self.world.now();
        let (actions, done) = match form.get("end") {
            Some(id) => {
                let set = self.world.gauges().said().silence(&id, |whose| *whose == *tenant);
                match set.and_then(|word| ended(&word.action, &who.name, now)) {
                    Some(action) => (vec![action], "silence-ended"),
                    None => return self.silences_page(who, 404, wrong("no such silence is remembered here")),
                }
            }
            None => match silences(&fresh_id(), &who.name, now, form) {
                Ok(windows) => (windows, "silence"),
                Err(mistake) => return self.silences_page(who, 400, wrong(&mistake.to_string())),
            },
        };
        match self.say(visit, &tenant, actions, visit.intake.claims(&tenant)).await {
            Ok(()) => see_other(&format!("/page/silences?done={done}")),
            Err(why) => self.silences_page(who, 503, wrong(&why)),
        }
    }

    /// Makes it entries of the journal with what is claimed, all or none, and waits a moment until the engine has read them.
    /// Who waits is told soon when the journal takes nothing.
    pub(super) async fn say(
        &self,
        visit: &Visit<'_>,
        tenant: &std::sync::Arc<str>,
        actions: Vec<Action>,
        claims: Claims,
    ) -> Result<(), String> {
        if !self.world.is_running() {
            return Err("nothing can be done here any more: this is the past".to_owned());
        }
        let mut news = self.world.gauges().said().news();
        news.mark_unchanged();
        let at = self.world.now();
        let input = |action| Input::Action { tenant: tenant.clone(), at, action };
        let inputs: Vec<Input> = actions.into_iter().map(input).collect();
        let coming = visit.intake.coming(tenant);
        let taken = visit.intake.of("page").accept_now(&inputs, claims, coming).await;
        taken.map_err(|error| match error {
            AcceptError::Busy => {
                "the journal does not answer: it may have been taken down or not, look again in a minute".to_owned()
            }
            other => format!("it was not taken down, nothing was done: {other}"),
        })?;
        let _ = tokio::time::timeout(TAKEN_IN, news.changed()).await;
        Ok(())
    }
}

/// An id for a silence.
pub(super) fn fresh_id() -> String {
    let mut bytes = [0; 12];
    // Without random numbers nothing of the page would work.
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    format!("page-{}", URL_SAFE_NO_PAD.encode(bytes))
}
