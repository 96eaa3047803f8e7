//! Mail to a real relay that takes it by TLS alone, and from whoever logs in: STARTTLS, `smtps`, a password, and a
//! certificate that is not to be trusted.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use super::super::list::BridgeConfig;
use super::bench::{Bench, Told};
use super::certificates::{authority, certificate};
use super::server::{Server, home};
use super::suite::read;

/// The relay of `tests/bridge/relay.py`.
struct Relay {
    server: Server,
    scheme: &'static str,
}

impl Relay {
    fn start(scheme: &'static str) -> Option<Relay> {
        let home = home("mail")?;
        let mut server = Server::new();
        let (address, folder) = (server.address, server.folder.path().to_owned());
        authority(&folder);
        certificate(&folder, "relay", "IP:127.0.0.1");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/bridge/relay.py");
        let mut command = Command::new(home.join("venv/bin/python"));
        let manner = if scheme == "smtps" { "smtps" } else { "starttls" };
        command.arg(program).args(["127.0.0.1", &address.port().to_string(), manner]);
        command.args(["relay.crt", "relay.key", "maildir"]).current_dir(&folder);
        server.run(command, || TcpStream::connect(address).is_ok());
        Some(Relay { server, scheme })
    }

    /// A bench over the example's bridge to it, as somebody with this password who trusts that authority.
    fn bench(&self, password: &str, ca_file: &Path) -> (Bench, BridgeConfig) {
        let folder = self.server.folder.path();
        std::fs::write(folder.join("token"), password).expect("writes");
        let place = format!("{}://{}", self.scheme, self.server.address);
        let (token, ca_file) = (folder.join("token"), ca_file.display());
        let us =
            format!("{place}\n      user: bellwether\n      token_file: {}\n      ca_file: {ca_file}", token.display());
        let example = include_str!("../../../../examples/mail/bridges.yaml").replace("smtp://127.0.0.1:8025", &us);
        let maildir = format!("replies: {}", folder.join("maildir").display());
        let config = read(&example.replace("replies: maildir", &maildir), Path::new("none"));
        (Bench::over(config.open().expect("it opens"), config.mapping()), config)
    }

    fn ca_file(&self) -> std::path::PathBuf {
        self.server.folder.path().join("ca.crt")
    }

    fn mails(&self) -> usize {
        std::fs::read_dir(self.server.folder.path().join("maildir/new")).map_or(0, Iterator::count)
    }
}

#[test]
fn mail_goes_by_tls_to_a_relay_that_asks_who_we_are() {
    for scheme in ["smtp", "smtps"] {
        let Some(relay) = Relay::start(scheme) else { return };
        let (mut bench, config) = relay.bench("s3cret0fmail", &relay.ca_file());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(config.probe().expect("it can be tried")).expect("it lets us in");
        let told = Told::new("a");
        bench.tell(&told);
        bench.settle();
        assert_eq!(relay.mails(), 1, "{scheme}: {:?}", bench.entry(&told).trouble);
    }
}

#[test]
fn a_relay_whose_certificate_is_of_another_authority_gets_neither_password_nor_mail() {
    for scheme in ["smtp", "smtps"] {
        let Some(relay) = Relay::start(scheme) else { return };
        let other = tempfile::tempdir().expect("a folder");
        authority(other.path());
        let (mut bench, _) = relay.bench("s3cret0fmail", &other.path().join("ca.crt"));
        let told = Told::new("a");
        bench.tell(&told);
        bench.settle();
        let trouble = bench.entry(&told).trouble.expect("it is said").reason;
        assert!(trouble.contains("certificate"), "{trouble}");
        assert_eq!(relay.mails(), 0);
    }
}
