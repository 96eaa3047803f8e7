//! The pages that are about the process itself: health, readiness, metrics, tap and reload.
//!
//! | page | who may | answer |
//! |---|---|---|
//! | `/-/healthy`, `/livez` | anybody | 200 while the process answers |
//! | `/-/ready`, `/readyz` | anybody | 200, or 503 with what is wrong: the journal refuses, the doors are full, or what [`HttpRouter::ready_unless`] says |
//! | `/metrics` | anybody | Prometheus' text format |
//! | `GET /-/tap?source=NAME` | a tenant for its own signals, an operator for all | NDJSON without end |
//! | `POST /-/reload` | an operator | 200 with what was applied and what needs a restart; 500 with the mistake |

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream;
use http::{Method, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::connection::{Busy, Sender};
use super::exposition::{WireReport, exposition, families};
use super::{HttpBody, HttpRouter};
use crate::exposition::head;
use crate::intake::Intake;
use crate::intake::tap::{Describe, Rows, Tap};
use crate::server::auth::Shown;
use crate::server::reply::Reply;

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Keys of the file whose values differ from those that were read last.
    pub changed: Vec<String>,
    /// Parts of the configuration that are in force now.
    pub applied: Vec<String>,
    /// Parts that have changed in the file and stay as they were until the process starts anew.
    pub needs_restart: Vec<String>,
}

/// Why a reload has changed nothing: the process's own error, which names the mistakes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReloadRefused(#[from] pub Box<dyn std::error::Error + Send + Sync>);

/// What the process offers beside its wires.
pub trait Admin: Send + Sync {
    /// Reads the configuration again.
    ///
    /// # Errors
    /// The mistakes; nothing has changed.
    fn reload(&self) -> BoxFuture<'_, Result<Reloaded, ReloadRefused>>;

    /// Who knows the series that were described long ago.
    fn series(&self) -> &dyn Describe;
}

impl HttpRouter {
    /// The answer of a page about the process; `None` when `path` is none.
    pub(super) async fn own_page(
        &self,
        intake: &Intake,
        method: &Method,
        path: &str,
        query: &str,
        shown: Shown<'_>,
        sender: &Sender,
    ) -> Option<Response<HttpBody>> {
        let reply = match path {
            "/-/healthy" | "/livez" => Reply::text(200, "Bellwether is healthy.\n"),
            "/-/ready" | "/readyz" => match self.unready(intake) {
                None => Reply::text(200, "Bellwether is ready.\n"),
                Some(reasons) => Reply::overloaded(&reasons),
            },
            "/metrics" => Reply {
                status: 200,
                headers: vec![("content-type", "text/plain; version=0.0.4; charset=utf-8".to_owned())],
                body: Bytes::from(self.metrics(intake)),
            },
            "/-/reload" => self.reload(method, shown).await,
            "/-/tap" => match self.open_tap(intake, method, query, shown) {
                Ok((tap, rows)) => {
                    sender.introduced();
                    return Some(self.stream_tap(tap, rows, sender.busy.clone()));
                }
                Err(reply) => reply,
            },
            _ => return None,
        };
        Some(super::response(reply))
    }

    /// Why senders had better go elsewhere or wait, a line for each reason.
    fn unready(&self, intake: &Intake) -> Option<String> {
        let journal = (!intake.is_accepting()).then(|| "the journal takes no entries at the moment".to_owned());
        let full = self.doors.full(&self.limits()).map(str::to_owned);
        let more = self.unready.get().into_iter().flat_map(|unready| unready());
        let reasons: Vec<String> = journal.into_iter().chain(full).chain(more).collect();
        (!reasons.is_empty()).then(|| reasons.join("\n"))
    }

    async fn reload(&self, method: &Method, shown: Shown<'_>) -> Reply {
        if method != Method::POST && method != Method::PUT {
            return Reply::text(405, "reload with POST\n").with("allow", "POST");
        }
        if !self.auth.has_operators() {
            return Reply::text(403, "nobody may reload over HTTP: name one in `auth.operators`, or send SIGHUP\n");
        }
        if !self.auth.is_operator(shown) {
            self.listener.refuse("unauthorized", 1);
            return unauthorized("only an operator may reload");
        }
        let Some(admin) = self.admin.get() else {
            return Reply::text(501, "this process cannot reload\n");
        };
        match admin.reload().await {
            Ok(reloaded) => Reply::json(200, &reloaded),
            Err(refused) => Reply::json(500, &json!({"error": refused.to_string()})),
        }
    }

    fn open_tap(&self, intake: &Intake, method: &Method, query: &str, shown: Shown<'_>) -> Result<(Tap, Rows), Reply> {
        if method != Method::GET {
            return Err(Reply::text(405, "tap with GET\n").with("allow", "GET"));
        }
        let parameter = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let wanted = parameter("tenant");
        let own = self.auth.grant(shown).map(|grant| grant.tenant);
        let tenant = match (self.auth.is_operator(shown), &own) {
            (true, _) => wanted.map(Arc::from),
            (false, Some(own)) if wanted.as_deref().is_none_or(|wanted| *wanted == **own) => Some(own.shared()),
            (false, Some(_)) => return Err(Reply::text(403, "only an operator may look at another tenant\n")),
            (false, None) => {
                self.listener.refuse("unauthorized", 1);
                return Err(unauthorized("a credential is needed"));
            }
        };
        let source = parameter("source").filter(|source| !source.is_empty());
        let known: Vec<String> = self.source_names(intake);
        if let Some(source) = source.as_deref().filter(|source| !known.iter().any(|name| name == source)) {
            let text = format!("unknown source `{source}`, known: {}\n", known.join(", "));
            return Err(Reply::text(404, text));
        }
        let tap = intake
            .taps()
            .open(source.as_deref(), own.as_ref())
            .ok_or_else(|| Reply::overloaded("as many taps as there may be are open; close one"))?;
        Ok((tap, Rows::new(tenant)))
    }

    fn stream_tap(&self, tap: Tap, rows: Rows, busy: Option<Busy>) -> Response<HttpBody> {
        let admin = self.admin.get().cloned();
        let lines = stream::unfold((tap, rows, admin, busy), |(mut tap, mut rows, admin, busy)| async move {
            let group = tap.next().await?;
            let shown = rows.of(&group, admin.as_ref().map(|admin| admin.series())).await;
            let mut text = String::new();
            let missed = tap.missed();
            let note = (missed > 0).then(|| json!({"missed": missed}));
            for row in shown.iter().chain(note.as_ref()) {
                text.push_str(&row.to_string());
                text.push('\n');
            }
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from(text))), (tap, rows, admin, busy)))
        });
        let mut response = Response::new(StreamBody::new(lines).boxed_unsync());
        let headers = response.headers_mut();
        let fixed = http::HeaderValue::from_static;
        headers.insert("content-type", fixed("application/x-ndjson"));
        headers.insert("cache-control", fixed("no-store"));
        headers.insert("x-content-type-options", fixed("nosniff"));
        response
    }

    /// The sources that can be tapped: wires over HTTP, other listeners, and what else reads.
    fn source_names(&self, intake: &Intake) -> Vec<String> {
        let routes = self.routes();
        let mut names: Vec<String> = routes.wires.iter().map(|mounted| mounted.id.to_owned()).collect();
        names.extend(self.others.get().into_iter().flatten().map(|(name, _)| (*name).to_owned()));
        names.extend(intake.flows().iter().map(|flow| flow.name.to_string()));
        names.retain(|name| name != super::HTTP_ID);
        names.sort_unstable();
        names.dedup();
        names
    }

    fn metrics(&self, intake: &Intake) -> String {
        let others = self.others.get().into_iter().flatten().map(|(name, counters)| WireReport {
            id: (*name).to_owned(),
            kind: name,
            totals: counters.read(),
        });
        let reports: Vec<WireReport> = self.reports().into_iter().chain(others).collect();
        let mut text = exposition(&reports, &intake.flows(), &intake.rejects().counts());
        families::listener(&mut text, super::HTTP_ID, &self.listener.read());
        families::receipts(&mut text, intake.receipt_totals());
        let (name, help) =
            ("turns_waited_total", "Writes that waited for the engine to be done with earlier ones of their tenant.");
        head(&mut text, name, "counter", help);
        text.push_str(&format!("bellwether_{name} {}\n", intake.turns_waited()));
        head(&mut text, "taps_open", "gauge", "Taps that somebody reads.");
        text.push_str(&format!("bellwether_taps_open {}\n", intake.taps().count()));
        if let Some(more) = self.more.get() {
            text.push_str(&more());
        }
        text
    }
}

/// 401, before the body is read.
pub(super) fn unauthorized(text: &str) -> Reply {
    Reply::text(401, format!("{text}\n"))
        .with("www-authenticate", "Bearer realm=\"bellwether\", Basic realm=\"bellwether\"")
}
