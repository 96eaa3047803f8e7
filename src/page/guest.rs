//! The page as a guest of the listener: which address is answered by what, and by whom it may be asked.

use bellwether_connectors::server::http::{Guest, Served, Visit};
use bellwether_connectors::server::reply::Reply;
use futures::future::BoxFuture;
use http::Method;
use maud::{Markup, html};

use super::reply::{Guarded as _, html, packed, see_other};
use super::session::COOKIE;
use super::view::frame::{Frame, Way, framed};
use super::view::sign_in;
use super::who::{Who, in_the_clear, who};
use super::{Page, api, assets, live};

/// Where the page is.
const ROOT: &str = "/page";
/// Where strangers say who they are.
pub(super) const SIGN_IN: &str = "/page/sign-in";

/// What a page turned out to be.
pub(super) struct Rendered<'r> {
    pub(super) status: u16,
    pub(super) title: &'r str,
    pub(super) way: Way,
    pub(super) main: Markup,
}

impl Guest for Page {
    fn answers(&self, path: &str) -> bool {
        path == "/" || path == ROOT || path.starts_with("/page/") || api::answers(path)
    }

    fn answer<'v>(&'v self, visit: Visit<'v>) -> BoxFuture<'v, Served> {
        Box::pin(async move {
            let served = self.served(&visit).await;
            Served { reply: packed(served.reply, visit.headers), ..served }
        })
    }

    fn close(&self) {
        self.closing.send_replace(true);
    }
}

impl Page {
    async fn served(&self, visit: &Visit<'_>) -> Served {
        if visit.path == "/" {
            return Served::stranger(see_other(ROOT));
        }
        if let Some(asset) = assets::at(visit.path) {
            return Served::stranger(asset.guarded());
        }
        let who = match self.world.is_running() {
            true => who(visit, &self.sessions, self.world.now()),
            false => Some(Who::looking()).filter(|_| super::who::is_local(visit)),
        };
        if visit.path == SIGN_IN {
            return self.sign_in(visit, who.as_ref());
        }
        let Some(who) = who else { return Served::stranger(self.to_sign_in(visit)) };
        if visit.path == "/page/live" || visit.path == "/api/v1/stream" {
            return self.follow(&who);
        }
        if api::answers(visit.path) {
            return Served::known(self.api(visit, &who).await);
        }
        let reply = match *visit.method {
            Method::GET | Method::HEAD => self.show(visit, &who).await,
            Method::POST => self.post(visit, &who).await,
            _ => Reply::text(405, "look with GET, do something with POST\n").with("allow", "GET, HEAD, POST").guarded(),
        };
        Served::known(self.with_cookie(reply, visit, &who))
    }

    /// Who is not known is sent to say who they are, and then back to where they wanted to go.
    fn to_sign_in(&self, visit: &Visit<'_>) -> Reply {
        if !self.world.is_running() {
            return Reply::text(403, "look at this at the machine that serves it\n").guarded();
        }
        if api::answers(visit.path) {
            let reply =
                api::problem(401, "Who are you?", "show a credential of `wires.auth`: `Authorization: Bearer …`");
            return reply.with("www-authenticate", "Bearer realm=\"bellwether\", Basic realm=\"bellwether\"");
        }
        if visit.path == "/page/live" || visit.headers.contains_key("x-live") {
            return Reply::text(401, "sign in\n").guarded();
        }
        let wanted = if *visit.method == Method::GET { address_of(visit) } else { ROOT.to_owned() };
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("next", &wanted);
        see_other(&format!("{SIGN_IN}?{}", query.finish()))
    }

    fn follow(&self, who: &Who) -> Served {
        let Ok(place) = self.streams.clone().try_acquire_owned() else {
            return Served::known(Reply::overloaded("as many browsers as there may be follow already").guarded());
        };
        let reply = Reply {
            status: 200,
            headers: vec![("content-type", "text/event-stream".to_owned()), ("x-accel-buffering", "no".to_owned())],
            ..Reply::default()
        };
        let stream = live::stream(&self.model, who.scope.clone(), self.began, self.closing.subscribe(), place);
        Served { stream: Some(stream), ..Served::known(reply.guarded()) }
    }

    /// A whole page for who is known.
    pub(super) fn whole(&self, who: &Who, rendered: &Rendered<'_>) -> Reply {
        let token = who.cookie.as_deref().filter(|_| !who.anonymous).map(|cookie| self.sessions.token(cookie));
        let past = self.world.past();
        let frame = Frame {
            title: rendered.title,
            way: rendered.way,
            name: self.world.is_running().then_some(who.name.as_str()),
            role: who.role(),
            tenant: who.tenant(),
            token: token.as_deref(),
            anonymous: who.anonymous,
            live: self.world.is_running(),
            past: past.as_deref(),
            now: self.world.now(),
        };
        html(rendered.status, &framed(&frame, &rendered.main))
    }

    /// A page that says why there is no other.
    pub(super) fn refusal(&self, who: &Who, status: u16, title: &str, why: &str) -> Reply {
        let main = html! {
            div.head { h1 { (title) } }
            section.card { p { (super::view::words::said(why)) } p { a href=(ROOT) data-up { "To what is going on now" } } }
        };
        self.whole(who, &Rendered { status, title, way: Way::Other, main })
    }

    /// The form for strangers.
    pub(super) fn sign_in_page(&self, status: u16, next: &str, nameless: bool, wrong: Option<&str>) -> Reply {
        let frame = Frame {
            title: "Sign in",
            way: Way::Other,
            name: None,
            role: "",
            tenant: None,
            token: None,
            anonymous: false,
            live: false,
            past: None,
            now: self.world.now(),
        };
        html(status, &framed(&frame, &sign_in::page(next, nameless, wrong)))
    }

    fn with_cookie(&self, reply: Reply, visit: &Visit<'_>, who: &Who) -> Reply {
        match &who.cookie {
            Some(cookie) if who.fresh => reply.with("set-cookie", self.cookie(visit, cookie)),
            _ => reply,
        }
    }

    /// A cookie as a browser is given it: for our own pages, out of the reach of scripts, and over TLS alone but for a
    /// browser at this machine.
    pub(super) fn cookie(&self, visit: &Visit<'_>, value: &str) -> String {
        let lasts = if value.is_empty() { 0 } else { self.sessions.lasts().0 / 1_000_000_000 };
        let secure = if in_the_clear(visit) { "" } else { "; Secure" };
        format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lasts}{secure}")
    }
}

fn address_of(visit: &Visit<'_>) -> String {
    match visit.query {
        "" => visit.path.to_owned(),
        query => format!("{}?{query}", visit.path),
    }
}

/// Where somebody may be sent after they have signed in: to a page of ours.
pub(super) fn own_address(next: &str) -> &str {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain && (next == ROOT || next.starts_with("/page/") || next.starts_with("/page?")) { next } else { ROOT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_away_after_signing_in() {
        for ours in ["/page", "/page/incidents?q=a%20b", "/page?x"] {
            assert_eq!(own_address(ours), ours);
        }
        for other in
            ["//evil", "https://evil", "/\\evil", "/page\\..", "/pages", "", "/page/a\r\nset-cookie: x", "javascript:1"]
        {
            assert_eq!(own_address(other), ROOT, "{other}");
        }
    }
}
