//! A line to a server that can be cut: before the request is over, or before the answer is.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The line, on a port of its own.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    plan: Mutex<Option<Plan>>,
    cuts: AtomicU64,
}

/// What becomes of which connection.
#[derive(Clone, Copy)]
struct Plan {
    cut: Cut,
    /// So many requests that change something go through before it; any connection is the one when left out.
    writes_before: Option<u64>,
}

/// Where it is cut next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server has half of the request.
    Request,
    /// The server has done it, and nobody hears so.
    Answer,
    /// The server is not asked: who asks has to wait seven seconds.
    Busy,
    /// Every connection ends at once, until it is mended.
    Dead,
}

/// What is answered in place of the server.
const BUSY: &[u8] =
    b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

impl Line {
    /// A line to `to`.
    pub(crate) fn to(to: SocketAddr) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { to, plan: Mutex::default(), cuts: AtomicU64::new(0) });
        let of_thread = shared.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().filter_map(Result::ok) {
                let shared = of_thread.clone();
                std::thread::spawn(move || shared.carry(stream));
            }
        });
        Line { address, shared }
    }

    /// Cuts the next connection there; a dead line stays so.
    pub(crate) fn cut(&self, at: Cut) {
        self.shared.set(Some(Plan { cut: at, writes_before: None }));
    }

    /// Cuts there what changes something, after `before` that go through.
    #[allow(dead_code, reason = "not every suite that has a line counts")]
    pub(crate) fn cut_write(&self, before: u64, at: Cut) {
        self.shared.set(Some(Plan { cut: at, writes_before: Some(before) }));
    }

    pub(crate) fn mend(&self) {
        self.shared.set(None);
    }

    /// How many connections were cut.
    #[allow(dead_code, reason = "not every suite that has a line counts")]
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn set(&self, plan: Option<Plan>) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    /// What becomes of this request.
    fn fate(&self, request: &[u8]) -> Option<Cut> {
        let mut plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let Plan { cut, writes_before } = plan.as_mut()?;
        let is = *cut;
        if let Some(before) = writes_before {
            if request.starts_with(b"GET ") {
                return None;
            }
            if *before > 0 {
                *before -= 1;
                return None;
            }
        }
        if is != Cut::Dead {
            // Others go through.
            *plan = None;
        }
        self.cuts.fetch_add(1, Ordering::SeqCst);
        Some(is)
    }

    fn carry(&self, mut client: TcpStream) {
        let patience = Some(Duration::from_secs(30));
        let _ = client.set_read_timeout(patience);
        let dead = |plan: &Option<Plan>| plan.is_some_and(|plan| plan.cut == Cut::Dead);
        if dead(&self.plan.lock().unwrap_or_else(PoisonError::into_inner)) {
            self.cuts.fetch_add(1, Ordering::SeqCst);
            let _ = client.shutdown(Shutdown::Both);
            return;
        }
        let Some(request) = whole_request(&mut client) else { return };
        let cut = self.fate(&request);
        if cut == Some(Cut::Busy) {
            let _ = client.write_all(BUSY);
            let _ = client.shutdown(Shutdown::Both);
            return;
        }
        let Ok(mut server) = TcpStream::connect(self.to) else { return };
        let _ = server.set_read_timeout(patience);
        if cut == Some(Cut::Request) {
            let _ = server.write_all(&request[..request.len() / 2]);
            let _ = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
            return;
        }
        if server.write_all(&request).is_err() {
            return;
        }
        let mut answer = Vec::new();
        let read = server.read_to_end(&mut answer);
        if cut == Some(Cut::Answer) {
            let _ = client.write_all(&answer[..answer.len() / 3]);
        } else if read.is_ok() {
            let _ = client.write_all(&answer);
        }
        let _ = client.shutdown(Shutdown::Both);
    }
}

/// A request as its head says how long it is.
pub(crate) fn whole_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut buffer = [0; 16_384];
    loop {
        let read = client.read(&mut buffer).ok().filter(|read| *read > 0)?;
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length = text[..head].split("content-length:").nth(1).and_then(|rest| rest.lines().next());
        let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or(0);
        // Everything before the body is in one byte a character.
        let begins = request.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        if request.len() >= begins + length {
            return Some(request);
        }
    }
}
