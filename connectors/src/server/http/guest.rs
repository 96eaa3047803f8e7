//! A guest of the listener: what the program around it serves to people and their programs, beside the wires.
//!
//! It has paths that no wire has, tells its visitors itself who they are where no header says so (a browser has a
//! session), and may answer with a stream that goes on. Its requests are small: a form, a few words of JSON.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Method, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Body, Frame};

use super::body::{NotRead, read};
use super::connection::Sender;
use super::refused::let_run_out;
use super::{HttpBody, HttpRouter, admin, response};
use crate::intake::Intake;
use crate::limits::Limits;
use crate::server::auth::{Auth, Shown, Visitor};
use crate::server::doors::{Holder, Lane, NO_MEMORY};
use crate::server::refusals::Refused;
use crate::server::reply::Reply;

/// Longest body of a request to a guest.
const BODY_BYTES_MAX: usize = 64 << 10;
/// The component that its refusals are told of.
const GUEST_ID: &str = "page";

/// One request to a guest.
pub struct Visit<'v> {
    /// The method.
    pub method: &'v Method,
    /// The path, without the query.
    pub path: &'v str,
    /// The raw query, without `?`.
    pub query: &'v str,
    /// All headers.
    pub headers: &'v HeaderMap,
    /// What was posted.
    pub body: Bytes,
    /// Where it comes from.
    pub address: Option<IpAddr>,
    /// Who it is by what stands beside the request; `None` when nothing does.
    pub shown: Option<Visitor>,
    /// Who may look.
    pub auth: &'v Auth,
    /// Where what visitors do goes.
    pub intake: &'v Intake,
}

/// What a guest answers.
pub struct Served {
    /// Status and headers; the body, too, unless there is a stream.
    pub reply: Reply,
    /// What goes on behind the headers.
    pub stream: Option<BoxStream<'static, Bytes>>,
    /// Whether the visitor is known: its connection then need not give way to others.
    pub known: bool,
    /// Whether it has shown a wrong credential: who goes on like that is answered slower.
    pub denied: bool,
}

impl Served {
    /// An answer to a visitor who is known.
    pub fn known(reply: Reply) -> Served {
        Served { reply, stream: None, known: true, denied: false }
    }

    /// An answer to a visitor who is not.
    pub fn stranger(reply: Reply) -> Served {
        Served { known: false, ..Served::known(reply) }
    }

    /// An answer to a wrong credential.
    pub fn denied(reply: Reply) -> Served {
        Served { denied: true, ..Served::stranger(reply) }
    }
}

/// What is served beside the wires.
pub trait Guest: Send + Sync {
    /// Whether it answers at `path`. A wire that has the path comes first.
    fn answers(&self, path: &str) -> bool;

    /// Answers one request.
    fn answer<'v>(&'v self, visit: Visit<'v>) -> BoxFuture<'v, Served>;

    /// The listener is about to stop: streams are to end.
    fn close(&self);
}

impl HttpRouter {
    /// Has `guest` answer at the paths that no wire has. Only the first call counts.
    pub fn hosts(&self, guest: Arc<dyn Guest>) {
        let _ = self.guest.set(guest);
    }

    /// The listener is about to stop.
    pub(super) fn close_guest(&self) {
        if let Some(guest) = self.guest.get() {
            guest.close();
        }
    }

    /// The guest that answers at `path`, if there is one.
    pub(super) fn guest_at(&self, path: &str) -> Option<&Arc<dyn Guest>> {
        self.guest.get().filter(|guest| self.routes().find(path).is_none() && guest.answers(path))
    }

    /// Has a guest answer.
    pub(super) async fn receive<B>(
        &self,
        guest: &dyn Guest,
        intake: &Intake,
        (head, body): (&Parts, B),
        shown: Shown<'_>,
        sender: &Sender,
    ) -> Response<HttpBody>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let visitor = self.auth.visitor_shown(shown);
        if visitor.is_none() && head.headers.contains_key(AUTHORIZATION) {
            let_run_out(body);
            return self.turn_away(sender, admin::unauthorized("this credential is not known")).await;
        }
        let limits = Limits { body_bytes_max: BODY_BYTES_MAX, ..self.limits() };
        let body = match read(body, &limits, || self.doors.room.hold(&Holder::UNKNOWN, Lane::Alerts)).await {
            Ok((body, _held)) => body,
            Err(NotRead::NoRoom) => return response(Reply::overloaded(NO_MEMORY)),
            Err(NotRead::Refused(reply, reason)) => {
                self.listener.refuse(reason, 1);
                return response(reply);
            }
        };
        let visit = Visit {
            method: &head.method,
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body,
            address: sender.address,
            shown: visitor,
            auth: &self.auth,
            intake,
        };
        let Served { reply, stream, known, denied } = guest.answer(visit).await;
        if denied {
            return self.turn_away(sender, reply).await;
        }
        if known {
            sender.introduced();
        }
        let mut answer = response(reply);
        if let Some(stream) = stream {
            let busy = sender.busy.clone();
            // The connection is at work for as long as somebody reads.
            let frames = stream.map(move |bytes| {
                let _ = &busy;
                Ok::<_, Infallible>(Frame::data(bytes))
            });
            *answer.body_mut() = StreamBody::new(frames).boxed_unsync();
        }
        answer
    }

    async fn turn_away(&self, sender: &Sender, reply: Reply) -> Response<HttpBody> {
        self.listener.refuse("unauthorized", 1);
        let refused = Refused { sender: sender.address, component: GUEST_ID, reason: "unauthorized" };
        self.auth.refused(refused).wait().await;
        response(reply)
    }
}
