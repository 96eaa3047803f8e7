//! Handing a mail to a relay by SMTP, over a connection of its own to an address that was checked: by TLS, in the clear
//! to loopback alone.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::super::outgoing::{DestinationError, Stream, address_of, client_tls, over_tls};
use super::super::system::{Answered, SystemError};
use super::super::text::{cut, one_line};

/// How long a whole mail may take.
const MAIL_MAX: Duration = Duration::from_secs(40);
/// Bytes of a reply, and lines.
const LINE_BYTES_MAX: u64 = 2 << 10;
const LINES_MAX: usize = 100;
/// A name that says nothing of this machine.
const OWN_NAME: &str = "bellwether.invalid";

/// The mail server that takes what is sent.
pub(super) struct Relay {
    host: String,
    port: u16,
    /// TLS from the first byte; STARTTLS else.
    wrapped: bool,
    user: Option<(String, String)>,
    networks: Vec<IpNet>,
    tls: Arc<rustls::ClientConfig>,
}

/// What the relay says.
struct Reply {
    code: u16,
    text: String,
}

/// A conversation with it.
struct Talk {
    stream: BufReader<Box<dyn Stream>>,
}

impl Relay {
    /// Reads `url`; private addresses have to be in `networks`.
    pub(super) fn new(
        url: &str,
        user: Option<(String, String)>,
        networks: Vec<IpNet>,
        ca_file: Option<&PathBuf>,
    ) -> Result<Relay, DestinationError> {
        // What may be a password in it is not shown.
        let shown = url.rsplit_once('@').map_or(url.to_owned(), |(_, rest)| format!("***@{rest}"));
        let wrong = |reason: &str| DestinationError::Url { url: shown.clone(), reason: reason.to_owned() };
        let (wrapped, authority) = match url.split_once("://") {
            Some(("smtp", rest)) => (false, rest),
            Some(("smtps", rest)) => (true, rest),
            _ => return Err(wrong("it begins with `smtp://` or `smtps://`")),
        };
        if authority.contains('@') {
            return Err(wrong("no user and password belong in it: `user` and `token_file` have them"));
        }
        let authority = authority.trim_end_matches('/').parse::<http::uri::Authority>();
        let authority = authority.map_err(|_| wrong("it does not read"))?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority.port_u16().unwrap_or(if wrapped { 465 } else { 587 });
        Ok(Relay { host, port, wrapped, user, networks, tls: client_tls(ca_file)? })
    }

    /// Whether it is there and lets us in.
    pub(super) async fn greet(&self) -> Answered<()> {
        let greeted = async {
            let mut talk = self.open().await?;
            talk.ask("QUIT").await.map(drop)
        };
        tokio::time::timeout(MAIL_MAX, greeted).await.unwrap_or_else(|_| Err(late(SystemError::Away)))
    }

    /// Hands it a mail. Once it has all of it, what became of it is not known until it says so.
    pub(super) async fn send(&self, from: &str, to: &[String], mail: &[u8]) -> Answered<()> {
        let mut talk = match tokio::time::timeout(MAIL_MAX, self.envelope(from, to)).await {
            Ok(talk) => talk?,
            Err(_) => return Err(late(SystemError::Away)),
        };
        let rest = async {
            talk.write(&stuffed(mail)).await.map_err(SystemError::Lost)?;
            let reply = talk.reply().await.map_err(SystemError::Lost)?;
            reply.expect(250)?;
            // It has it: how it says good-bye does not matter.
            let _ = talk.write(b"QUIT\r\n").await;
            Ok(())
        };
        tokio::time::timeout(MAIL_MAX, rest).await.unwrap_or_else(|_| Err(late(SystemError::Lost)))
    }

    /// Everything before the mail.
    async fn envelope(&self, from: &str, to: &[String]) -> Answered<Talk> {
        let mut talk = self.open().await?;
        talk.ask(&format!("MAIL FROM:<{from}>")).await?.expect(250)?;
        let mut refused = None;
        let mut taken = 0;
        for one in to {
            match talk.ask(&format!("RCPT TO:<{one}>")).await?.expect(250) {
                Ok(()) => taken += 1,
                Err(error) => {
                    tracing::warn!(to = %one, %error, "the relay does not take mail to this address");
                    refused = Some(error);
                }
            }
        }
        if let Some(error) = refused.filter(|_| taken == 0) {
            return Err(error);
        }
        talk.ask("DATA").await?.expect(354)?;
        Ok(talk)
    }

    /// A conversation in which we may send.
    async fn open(&self) -> Answered<Talk> {
        let place = || format!("{}:{}", self.host, self.port);
        let away = |error: std::io::Error| SystemError::Away(format!("{}: {error}", place()));
        let address = address_of(&self.host, self.port, &self.networks).await.map_err(SystemError::Away)?;
        let stream: Box<dyn Stream> = Box::new(TcpStream::connect(address).await.map_err(away)?);
        let stream = match self.wrapped {
            true => over_tls(&self.tls, &self.host, stream).await.map_err(SystemError::Away)?,
            false => stream,
        };
        let mut talk = Talk { stream: BufReader::new(stream) };
        talk.reply().await.map_err(SystemError::Away)?.expect(220)?;
        let mut offers = talk.hello().await?;
        if !self.wrapped && offers.offers("STARTTLS") {
            talk.ask("STARTTLS").await?.expect(220)?;
            if !talk.stream.buffer().is_empty() {
                return Err(SystemError::Denied(format!("{}: somebody speaks in the clear after STARTTLS", place())));
            }
            let stream = over_tls(&self.tls, &self.host, talk.stream.into_inner()).await;
            talk = Talk { stream: BufReader::new(stream.map_err(SystemError::Away)?) };
            offers = talk.hello().await?;
        } else if !self.wrapped && !address.ip().is_loopback() {
            let reason = format!("{}: it offers no STARTTLS, and mail would go in the clear; use `smtps://`", place());
            return Err(SystemError::Denied(reason));
        }
        if let Some((name, word)) = &self.user {
            if !offers.text.lines().any(|line| line.starts_with("AUTH") && line.contains("PLAIN")) {
                return Err(SystemError::Denied(format!("{}: it does not offer AUTH PLAIN", place())));
            }
            let secret = STANDARD.encode(format!("\0{name}\0{word}"));
            talk.ask(&format!("AUTH PLAIN {secret}")).await?.expect(235)?;
        }
        Ok(talk)
    }
}

/// A mail as it is sent: no line of it ends it.
fn stuffed(mail: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(mail.len() + 64);
    for line in mail.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

fn late(of: fn(String) -> SystemError) -> SystemError {
    of(format!("the relay has not answered within {} s", MAIL_MAX.as_secs()))
}

impl Talk {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).await.map_err(|error| error.to_string())?;
        stream.flush().await.map_err(|error| error.to_string())
    }

    /// Says something that has not sent a mail yet.
    async fn ask(&mut self, line: &str) -> Answered<Reply> {
        self.write(format!("{line}\r\n").as_bytes()).await.map_err(SystemError::Away)?;
        self.reply().await.map_err(SystemError::Away)
    }

    async fn hello(&mut self) -> Answered<Reply> {
        let reply = self.ask(&format!("EHLO {OWN_NAME}")).await?;
        reply.expect(250)?;
        Ok(reply)
    }

    async fn reply(&mut self) -> Result<Reply, String> {
        let mut text = String::new();
        for _ in 0..LINES_MAX {
            let mut line = Vec::new();
            let read = (&mut self.stream).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await;
            read.map_err(|error| error.to_string())?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            let code = line.get(..3).and_then(|code| code.parse().ok());
            let code: u16 =
                code.ok_or_else(|| format!("the relay hangs up, or speaks no SMTP: `{}`", cut(&line, 80)))?;
            text.push_str(line.get(4..).unwrap_or_default());
            text.push('\n');
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, text });
            }
        }
        Err("the relay does not come to an end".to_owned())
    }
}

impl Reply {
    fn offers(&self, what: &str) -> bool {
        self.text.lines().any(|line| line.eq_ignore_ascii_case(what))
    }

    /// What it means that the relay says anything but `code`.
    fn expect(&self, code: u16) -> Answered<()> {
        let said = || format!("the relay says {} {}", self.code, cut(&one_line(&self.text), 300));
        match self.code {
            is if is == code => Ok(()),
            // Forwarded to somewhere else.
            251 | 252 if code == 250 => Ok(()),
            // Who we are: a person has to mend that.
            530 | 534 | 535 | 538 => Err(SystemError::Denied(said())),
            // Later: a full disk, a grey list.
            400..=499 => Err(SystemError::Lost(said())),
            _ => Err(SystemError::Refused(said())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_mail_ends_it() {
        assert_eq!(stuffed(b"a\r\n.\r\n..b\r\n"), b"a\r\n..\r\n...b\r\n.\r\n");
        assert_eq!(stuffed(b"a"), b"a\r\n.\r\n");
    }

    #[test]
    fn a_reply_says_whether_to_try_again_or_whom_to_ask() {
        let is = |code: u16| Reply { code, text: "no".to_owned() }.expect(250);
        assert!(is(250).is_ok() && is(251).is_ok());
        assert!(matches!(is(535), Err(SystemError::Denied(_))));
        assert!(matches!(is(451), Err(SystemError::Lost(_))));
        assert!(matches!(is(550), Err(SystemError::Refused(_))));
    }

    #[test]
    fn a_relay_with_a_password_in_its_address_is_refused_and_the_password_not_shown() {
        for url in ["smtp://u:s3cret@x.org", "http://x.org", "x.org", "smtps://"] {
            let error = Relay::new(url, None, Vec::new(), None).err().expect(url).to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
