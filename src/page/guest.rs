//! The page as a guest of the listener: which address is answered by what, and by whom it may be asked.

use bellwether_connectors::server::http::{Guest, Served, Visit};
use bellwether_connectors::server::reply::Reply;
use futures::future::BoxFuture;
use http::Method;

use super::rendered::{ROOT, SIGN_IN};
use super::reply::{Guarded as _, packed, see_other};
use super::who::{Who, is_local, who};
use super::{Page, api, assets, live};

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
            false => Some(Who::looking()).filter(|_| is_local(visit)),
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

    fn with_cookie(&self, reply: Reply, visit: &Visit<'_>, who: &Who) -> Reply {
        match &who.cookie {
            Some(cookie) if who.fresh => reply.with("set-cookie", self.cookie(visit, cookie)),
            _ => reply,
        }
    }
}

fn address_of(visit: &Visit<'_>) -> String {
    match visit.query {
        "" => visit.path.to_owned(),
        query => format!("{}?{query}", visit.path),
    }
}
