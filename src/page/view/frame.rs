//! What stands around every page: the head, the ways, who looks, and whether it is live.

use bellwether_engine::time::EventTime;
use maud::{DOCTYPE, Markup, html};

use super::words::said;
use crate::page::assets;

/// Where one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Now,
    Incidents,
    Entities,
    Alerts,
    Silences,
    Forecasts,
    Changes,
    Logs,
    Problems,
    Reports,
    Models,
    Audit,
    System,
    Other,
}

/// The ways that are taken every day, with their keys after `g`,
const WAYS: [(Way, &str, &str, &str); 6] = [
    (Way::Now, "/page", "Now", "n"),
    (Way::Incidents, "/page/incidents", "Incidents", "i"),
    (Way::Entities, "/page/entities", "Entities", "e"),
    (Way::Alerts, "/page/alerts", "Alerts", "a"),
    (Way::Silences, "/page/silences", "Silences", "s"),
    (Way::Forecasts, "/page/forecasts", "Forecasts", "f"),
];
/// and the others.
const MORE: [(Way, &str, &str, &str); 7] = [
    (Way::Changes, "/page/changes", "Changes", "c"),
    (Way::Logs, "/page/logs", "Log templates", "l"),
    (Way::Problems, "/page/problems", "Problems", "p"),
    (Way::Reports, "/page/reports", "Reports", "r"),
    (Way::Models, "/page/models", "Models", "m"),
    (Way::Audit, "/page/audit", "Audit", "u"),
    (Way::System, "/page/system", "System", "y"),
];

/// Who looks, and from where.
pub(crate) struct Frame<'f> {
    pub(crate) title: &'f str,
    pub(crate) way: Way,
    /// What they are called; `None` for a stranger.
    pub(crate) name: Option<&'f str>,
    /// What they may: `viewer`, `operator`, `admin`.
    pub(crate) role: &'f str,
    /// Whose incidents they see.
    pub(crate) tenant: Option<&'f str>,
    /// For the form that signs them out; `None` where there is nothing to sign out of.
    pub(crate) token: Option<&'f str>,
    /// Whether they needed no credential, and may say what they are called.
    pub(crate) anonymous: bool,
    /// Whether what they see may change.
    pub(crate) live: bool,
    /// What is looked at, when it is the past.
    pub(crate) past: Option<&'f str>,
    /// The time that ages are told by.
    pub(crate) now: EventTime,
}

/// A whole page around `main`.
pub(crate) fn framed(frame: &Frame<'_>, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-live=[frame.live.then_some("/page/live")] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="same-origin";
                title { (said(frame.title)) " · Bellwether" }
                link rel="icon" href=(assets::ICON.url()) type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE.url());
                script src=(assets::SCRIPT.url()) defer {}
            }
            body {
                a.skip href="#main" { "To the content" }
                header.top {
                    a.brand href="/page" { (bell()) span { "Bellwether" } }
                    @if frame.name.is_some() || frame.past.is_some() {
                        nav aria-label="Pages" {
                            (ways(&WAYS, frame))
                            details.ways {
                                @let here = MORE.iter().find(|(way, ..)| *way == frame.way);
                                summary.here[here.is_some()] { @match here { Some((_, _, name, _)) => { (name) } None => { "More" } } }
                                div { (ways(&MORE, frame)) }
                            }
                        }
                        (who(frame))
                    }
                }
                @if let Some(past) = frame.past {
                    p.past { "You are looking at " (said(past)) ". Nothing here changes any more." }
                }
                main #main tabindex="-1" data-now=(frame.now) { (main) }
                div #says .quiet role="status" aria-live="polite" {}
                (keys())
            }
        }
    }
}

fn ways(ways: &[(Way, &str, &str, &str)], frame: &Frame<'_>) -> Markup {
    html! {
        @for (way, path, name, key) in ways {
            @if *way != Way::System || frame.role == "admin" {
                a href=(path) data-go=(key) aria-current=[(*way == frame.way).then_some("page")] { (name) }
            }
        }
    }
}

fn who(frame: &Frame<'_>) -> Markup {
    html! {
        div.who {
            @if frame.live {
                span #live .dot title="Whether this page follows what happens" { "not live" }
            }
            @if let Some(tenant) = frame.tenant { span.tenant title="Tenant" { (said(tenant)) } }
            @if let Some(name) = frame.name {
                span.name title={ "You are " (frame.role) } { (said(name)) }
            }
            @if frame.anonymous && frame.name.is_some() { a href="/page/sign-in" { "Say your name" } }
            @if let Some(token) = frame.token {
                form method="post" action="/page/sign-out" {
                    input type="hidden" name="token" value=(token);
                    button.plain { "Sign out" }
                }
            }
        }
    }
}

/// The keys, for `?`.
fn keys() -> Markup {
    let keys = [
        ("j / k", "next, previous row"),
        ("Enter", "open it"),
        ("/", "search"),
        ("u", "up: back to the list"),
        ("a", "to what can be done"),
        ("?", "these keys"),
        ("Esc", "close, leave a field"),
    ];
    html! {
        dialog #keys aria-label="Keys" {
            h2 { "Keys" }
            dl.keys {
                @for (key, does) in keys { dt { kbd { (key) } } dd { (does) } }
                @for (_, _, name, key) in WAYS.iter().chain(&MORE) { dt { kbd { "g " (key) } } dd { (name) } }
            }
            form method="dialog" { button { "Close" } }
        }
    }
}

fn bell() -> Markup {
    html! {
        svg.bell viewBox="0 0 24 24" aria-hidden="true" {
            path d="M12 2a1.6 1.6 0 0 1 1.6 1.6v.9a6.2 6.2 0 0 1 4.7 6v4.2l1.9 2.6v1.2H3.8v-1.2l1.9-2.6v-4.2a6.2 6.2 0 0 1 4.7-6v-.9A1.6 1.6 0 0 1 12 2z" {}
            circle cx="12" cy="20.6" r="1.9" {}
        }
    }
}
