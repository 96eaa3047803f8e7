//! A frame for strict servers of our own: systems that cannot be had here, written from their public documents. They
//! take what the real one takes and refuse what it refuses; a test that only a lenient server passes shows nothing.
//!
//! One reads requests one after another, hands each to its system, and keeps what was refused. Losing requests and
//! answers, being busy and being away is the business of the line in front ([`super::line`]), as with real servers.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::line::whole_request;

pub(super) mod jira;
pub(super) mod mattermost;
pub(super) mod pagerduty;
pub(super) mod service_now;
pub(super) mod service_now_events;
pub(super) mod slack;
pub(super) mod teams;
pub(super) mod zammad;

/// A request, as a server has it.
pub(super) struct Asked {
    pub(super) method: String,
    /// Without its query, and not encoded.
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    /// By their names in small letters.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// What is answered.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn of(status: u16, body: &Value) -> Reply {
        Reply { status, headers: Vec::new(), body: body.to_string().into_bytes() }
    }

    pub(super) fn ok(body: &Value) -> Reply {
        Reply::of(200, body)
    }

    /// Nothing, with success.
    pub(super) fn done(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), body: Vec::new() }
    }
}

/// What a system says to a request; what it refuses is an error.
pub(super) type Said = Result<Reply, Reply>;

/// A system behind the frame.
pub(super) trait System: Send + 'static {
    fn answer(&mut self, asked: &Asked) -> Said;
}

/// A strict server of our own, on a port of its own.
pub(super) struct Strict<S> {
    pub(super) address: SocketAddr,
    inside: Arc<Mutex<Inside<S>>>,
}

struct Inside<S> {
    system: S,
    refused: Vec<String>,
}

impl<S: System> Strict<S> {
    pub(super) fn start(system: S) -> Strict<S> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let inside = Arc::new(Mutex::new(Inside { system, refused: Vec::new() }));
        let of_thread = inside.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().filter_map(Result::ok) {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                // Half a request is none.
                let Some(asked) = whole_request(&mut stream).and_then(|request| Asked::read(&request)) else {
                    continue;
                };
                let reply = of_thread.lock().unwrap_or_else(PoisonError::into_inner).answer(&asked);
                let mut head = format!("HTTP/1.1 {} -\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
                reply.headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
                head.push_str("Connection: close\r\n\r\n");
                let _ = stream.write_all(&[head.as_bytes(), &reply.body].concat());
            }
        });
        Strict { address, inside }
    }

    /// The system, for the hands of people who work in it.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut S) -> T) -> T {
        look(&mut self.lock().system)
    }

    /// What it has refused since it was asked last: a request, and why.
    pub(super) fn refused(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().refused)
    }

    fn lock(&self) -> MutexGuard<'_, Inside<S>> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: System> Inside<S> {
    fn answer(&mut self, asked: &Asked) -> Reply {
        self.system.answer(asked).unwrap_or_else(|refusal| {
            let why = String::from_utf8_lossy(&refusal.body).into_owned();
            self.refused.push(format!("{} {}: {} {why}", asked.method, asked.path, refusal.status));
            refusal
        })
    }
}

impl Asked {
    fn read(request: &[u8]) -> Option<Asked> {
        let at = request.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&request[..at]).ok()?;
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?.to_owned(), first.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let query = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let named = lines.filter_map(|line| line.split_once(": "));
        let headers = named.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
        // A plus in a path is one.
        let path = form_urlencoded::parse(path.replace('+', "%2B").as_bytes()).next()?.0.into_owned();
        Some(Asked { method, path, query, headers, body: request[at + 4..].to_vec() })
    }

    /// What a header says.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// What a parameter says.
    pub(super) fn parameter(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    /// The body, an object, which may have these keys alone.
    pub(super) fn object(&self, known: &[&str]) -> Result<serde_json::Map<String, Value>, String> {
        if !self.header("content-type").starts_with("application/json") {
            return Err(format!("`{}` is no JSON", self.header("content-type")));
        }
        let value: Value = serde_json::from_slice(&self.body).map_err(|error| error.to_string())?;
        let Value::Object(object) = value else { return Err("no object".to_owned()) };
        match object.keys().find(|key| !known.is_empty() && !known.contains(&key.as_str())) {
            Some(unknown) => Err(format!("unknown field `{unknown}`")),
            None => Ok(object),
        }
    }
}

/// That somebody asks whom it does not know.
pub(super) fn unknown_caller() -> Reply {
    Reply::of(401, &json!({"error": {"message": "User Not Authenticated"}, "message": "unauthorized"}))
}
