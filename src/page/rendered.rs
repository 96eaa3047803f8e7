//! A whole page around what is shown, the cookie that goes with it, and the addresses that everything knows.

use bellwether_connectors::server::http::Visit;
use bellwether_connectors::server::reply::Reply;
use maud::{Markup, html};

use super::Page;
use super::reply::html;
use super::session::COOKIE;
use super::view::frame::{Frame, Way, framed};
use super::view::sign_in;
use super::who::{Who, in_the_clear};

/// Where the page is.
pub(super) const ROOT: &str = "/page";
/// Where strangers say who they are.
pub(super) const SIGN_IN: &str = "/page/sign-in";

/// What a page turned out to be.
pub(super) struct Rendered<'r> {
    pub(super) status: u16,
    pub(super) title: &'r str,
    pub(super) way: Way,
    pub(super) main: Markup,
}

impl Page {
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

    /// A cookie as a browser is given it: for our own pages, out of the reach of scripts, and over TLS alone but for a
    /// browser at this machine.
    pub(super) fn cookie(&self, visit: &Visit<'_>, value: &str) -> String {
        let lasts = if value.is_empty() { 0 } else { self.sessions.lasts().0 / 1_000_000_000 };
        let secure = if in_the_clear(visit) { "" } else { "; Secure" };
        format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={lasts}{secure}")
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
