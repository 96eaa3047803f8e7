//! A line to a server that can be cut: before the request is over, or before the answer is.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

/// The line, on a port of its own.
pub(crate) struct Line {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    cut: AtomicU8,
    cuts: AtomicU64,
}

/// Where it is cut next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server has half of the request.
    Request = 1,
    /// The server has done it, and nobody hears so.
    Answer = 2,
    /// Every connection ends at once, until it is mended.
    Dead = 3,
}

impl Line {
    /// A line to `to`.
    pub(crate) fn to(to: SocketAddr) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { to, cut: AtomicU8::new(0), cuts: AtomicU64::new(0) });
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
        self.shared.cut.store(at as u8, Ordering::SeqCst);
    }

    pub(crate) fn mend(&self) {
        self.shared.cut.store(0, Ordering::SeqCst);
    }

    /// How many connections were cut.
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn carry(&self, mut client: TcpStream) {
        let dead = Cut::Dead as u8;
        let cut = self.cut.load(Ordering::SeqCst);
        if cut != dead && cut != 0 {
            // Others go through.
            let _ = self.cut.compare_exchange(cut, 0, Ordering::SeqCst, Ordering::SeqCst);
        }
        if cut == dead {
            self.cuts.fetch_add(1, Ordering::SeqCst);
            let _ = client.shutdown(Shutdown::Both);
            return;
        }
        let Ok(mut server) = TcpStream::connect(self.to) else { return };
        let patience = Some(Duration::from_secs(30));
        let _ = (client.set_read_timeout(patience), server.set_read_timeout(patience));
        let Some(request) = whole_request(&mut client) else { return };
        if cut == Cut::Request as u8 {
            self.cuts.fetch_add(1, Ordering::SeqCst);
            let _ = server.write_all(&request[..request.len() / 2]);
            let _ = (server.shutdown(Shutdown::Both), client.shutdown(Shutdown::Both));
            return;
        }
        if server.write_all(&request).is_err() {
            return;
        }
        let mut answer = Vec::new();
        let read = server.read_to_end(&mut answer);
        if cut == Cut::Answer as u8 {
            self.cuts.fetch_add(1, Ordering::SeqCst);
            let _ = client.write_all(&answer[..answer.len() / 3]);
        } else if read.is_ok() {
            let _ = client.write_all(&answer);
        }
        let _ = client.shutdown(Shutdown::Both);
    }
}

/// A request as its head says how long it is.
fn whole_request(client: &mut TcpStream) -> Option<Vec<u8>> {
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
