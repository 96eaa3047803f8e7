//! Who a visitor is and what they may: by what stands beside the request, by their session, or because they are at this
//! machine and nobody has to say who they are there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bellwether_connectors::server::auth::Visitor;
use bellwether_connectors::server::http::Visit;
use bellwether_engine::time::EventTime;
use http::HeaderMap;

use super::model::Scope;
use super::session::{COOKIE, Session, Sessions};

/// What somebody at this machine is called who has not said it.
const LOCAL_NAME: &str = "somebody here";
/// What a program is called whose credential has no name.
const NAMELESS: &str = "a program";
/// Wrong secrets from one address within [`TRIES_FOR`] after which none is looked at.
const TRIES_MAX: u32 = 20;
const TRIES_FOR: Duration = Duration::from_secs(300);
/// Addresses remembered.
const ADDRESSES_MAX: usize = 4_096;

/// A visitor who is known.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    pub(crate) scope: Scope,
    pub(crate) may_act: bool,
    /// Whether they run the service.
    pub(crate) admin: bool,
    pub(crate) name: String,
    /// Whether they may say themselves what they are called.
    pub(crate) unnamed: bool,
    /// What their forms are tied to; `None` where no cookie speaks for them.
    pub(crate) cookie: Option<String>,
    pub(crate) session: Option<Session>,
    /// Whether the cookie is new to them.
    pub(crate) fresh: bool,
    /// Whether they needed no credential.
    pub(crate) anonymous: bool,
}

impl Who {
    /// In a word.
    pub(crate) fn role(&self) -> &'static str {
        match (self.admin, self.may_act) {
            (true, _) => "admin",
            (false, true) => "operator",
            (false, false) => "viewer",
        }
    }

    /// The one tenant that they see.
    pub(crate) fn tenant(&self) -> Option<&str> {
        match &self.scope {
            Scope::All => None,
            Scope::Tenant(tenant) => Some(tenant),
        }
    }

    /// Somebody who looks at what is over, at this machine.
    pub(crate) fn looking() -> Who {
        let (name, scope) = (LOCAL_NAME.to_owned(), Scope::All);
        Who {
            scope,
            may_act: false,
            admin: false,
            name,
            unnamed: true,
            cookie: None,
            session: None,
            fresh: false,
            anonymous: true,
        }
    }

    fn of(visitor: &Visitor, name: &str) -> Who {
        Who {
            scope: visitor.tenant.as_ref().map_or(Scope::All, |tenant| Scope::Tenant(tenant.shared())),
            may_act: visitor.may_act,
            admin: visitor.tenant.is_none(),
            name: visitor.name.as_deref().unwrap_or(name).to_owned(),
            unnamed: visitor.name.is_none(),
            cookie: None,
            session: None,
            fresh: false,
            anonymous: visitor.is_anonymous(),
        }
    }
}

/// Who it is; `None` for a stranger.
pub(crate) fn who(visit: &Visit<'_>, sessions: &Sessions, now: EventTime) -> Option<Who> {
    if let Some(visitor) = &visit.shown {
        return Some(Who::of(visitor, NAMELESS));
    }
    let cookie = cookie(visit.headers, COOKIE);
    if let Some((cookie, session)) = cookie.and_then(|cookie| Some((cookie, sessions.read(cookie, now)?)))
        && let Some(visitor) = visit.auth.visitor_again(&session.mark)
        && (!visitor.is_anonymous() || is_local(visit))
    {
        let known = Who::of(&visitor, &session.name);
        return Some(Who { cookie: Some(cookie.to_owned()), session: Some(session), ..known });
    }
    let visitor = visit.auth.visitor_without().filter(|_| is_local(visit))?;
    let cookie = sessions.begin(visitor.mark, LOCAL_NAME, now);
    Some(Who { cookie: Some(cookie), fresh: true, ..Who::of(&visitor, LOCAL_NAME) })
}

/// Whether a request is made at this machine, to a name of this machine: a page elsewhere may have its own name lead here
/// (DNS rebinding), and must not be taken for us.
pub(crate) fn is_local(visit: &Visit<'_>) -> bool {
    visit.address.is_some_and(|address| address.is_loopback()) && names_us(host(visit.headers))
}

/// The host that a request names.
fn host(headers: &HeaderMap) -> &str {
    headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default()
}

/// Whether a host, with or without a port, is this machine's own name for itself. HTTP/2 requests name none here, and
/// browsers speak it over TLS alone.
fn names_us(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether a form was sent by a page of ours, as far as the browser says where it comes from.
pub(crate) fn is_from_us(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("unreadable"));
    let ours = |origin: &str| {
        let host = host(headers);
        let rest = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        rest.is_some_and(|named| !host.is_empty() && named.eq_ignore_ascii_case(host))
    };
    text("origin").is_none_or(ours) && text("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
}

/// Whether a browser may keep the cookie for what is sent in the clear: at this machine alone.
pub(crate) fn in_the_clear(visit: &Visit<'_>) -> bool {
    is_local(visit)
}

/// The first cookie of that name.
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Wrong secrets, by address.
#[derive(Debug, Default)]
pub(crate) struct Tries(Mutex<HashMap<Option<IpAddr>, (Instant, u32)>>);

impl Tries {
    /// Whether this address has tried too often.
    pub(crate) fn are_over(&self, address: Option<IpAddr>) -> bool {
        let tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries.get(&address).is_some_and(|(since, count)| since.elapsed() < TRIES_FOR && *count >= TRIES_MAX)
    }

    /// It was wrong once more.
    pub(crate) fn note(&self, address: Option<IpAddr>) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= ADDRESSES_MAX {
            tries.retain(|_, (since, _)| since.elapsed() < TRIES_FOR);
        }
        if tries.len() >= ADDRESSES_MAX {
            tries.clear();
        }
        let (since, count) = tries.entry(address).or_insert((Instant::now(), 0));
        if since.elapsed() >= TRIES_FOR {
            (*since, *count) = (Instant::now(), 0);
        }
        *count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn only_names_of_this_machine_are_this_machine() {
        for ours in ["localhost", "LOCALHOST:9099", "127.0.0.1", "127.8.0.1:80", "[::1]:9099"] {
            assert!(names_us(ours), "{ours}");
        }
        for other in [
            "",
            "evil.example",
            "localhost.evil.example:9099",
            "127.0.0.1.nip.io",
            "10.0.0.1",
            "[2001:db8::1]",
            "127.0.0.1@evil",
        ] {
            assert!(!names_us(other), "{other}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_not_ours() {
        let host = ("host", "bw.example:9099");
        for ours in [vec![host], vec![host, ("origin", "https://bw.example:9099"), ("sec-fetch-site", "same-origin")]] {
            assert!(is_from_us(&headers(&ours)), "{ours:?}");
        }
        for other in [
            vec![host, ("origin", "https://evil.example")],
            vec![host, ("origin", "null")],
            vec![host, ("origin", "https://bw.example")],
            vec![host, ("sec-fetch-site", "cross-site")],
            vec![host, ("sec-fetch-site", "same-site")],
        ] {
            assert!(!is_from_us(&headers(&other)), "{other:?}");
        }
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let given = headers(&[("cookie", "a=1; bellwether_session=x.y ;b=2")]);
        assert_eq!((cookie(&given, COOKIE), cookie(&given, "a"), cookie(&given, "c")), (Some("x.y"), Some("1"), None));
    }

    #[test]
    fn who_guesses_is_not_listened_to_any_more() {
        let (tries, address) = (Tries::default(), Some(IpAddr::from([10, 0, 0, 1])));
        (0..TRIES_MAX).for_each(|_| tries.note(address));
        assert!(tries.are_over(address) && !tries.are_over(None));
    }
}
