//! util-linux logger, rsyslog (forwarding and omelasticsearch) and collectd.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bellwether_engine::signal::{LogColumns, SeriesColumns, SignalKind};

use crate::rig::{Peer, Rig, command, output_of, repository};

/// Every log line in the journal: body, entity, severity.
fn lines(rig: &Rig) -> Vec<(String, String, u8)> {
    let mut found = Vec::new();
    for batch in rig.batches(SignalKind::Log) {
        let columns = LogColumns::of(&batch);
        for row in 0..columns.len() {
            found.push((columns.body(row).to_owned(), columns.entity(row).to_owned(), columns.severity[row]));
        }
    }
    found
}

fn logger(listen: SocketAddr, arguments: &[&str], text: &str) {
    let mut logger = Command::new("logger");
    logger
        .args(["--server", "127.0.0.1", "--port", &listen.port().to_string()])
        .args(["--priority", "local0.err", "--tag", "app"])
        .args(arguments)
        .arg(text);
    output_of(logger);
}

#[tokio::test(flavor = "multi_thread")]
async fn logger_is_understood_in_every_format_and_framing() {
    let rig = Rig::start().await;
    let ways: [(&[&str], &str); 5] = [
        (&["--udp", "--rfc5424"], "udp five thousand"),
        (&["--udp", "--rfc3164"], "udp three thousand"),
        (&["--tcp", "--rfc5424"], "tcp with line feeds"),
        (&["--tcp", "--rfc3164"], "tcp of the old kind"),
        (&["--tcp", "--rfc5424", "--octet-count"], "tcp counted"),
    ];
    for (arguments, text) in ways {
        logger(rig.syslog, arguments, text);
    }
    let found = rig.until("five lines", || {
        let found = lines(&rig);
        (found.len() >= ways.len()).then_some(found)
    });
    for (_, text) in ways {
        let line = found.iter().find(|(body, _, _)| body == text);
        let (_, entity, severity) = line.unwrap_or_else(|| panic!("`{text}` in {found:?}"));
        assert_eq!(*severity, 17);
        assert!(entity.starts_with("host:"), "{entity}");
    }
    assert_eq!(found.len(), ways.len(), "nothing came twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_forwards_and_indexes_and_keeps_what_a_full_journal_refuses() {
    let rig = Rig::start().await;
    let input = rig.moved("10514");
    let modules = repository().join(format!(".tools/peers/usr/lib/{}-linux-gnu/rsyslog", std::env::consts::ARCH));
    let config = rig.example("rsyslog/rsyslog.conf");
    let mut daemon = command("peers/usr/sbin/rsyslogd");
    daemon
        .arg("-n")
        .args(["-f".as_ref(), config.as_os_str()])
        .args(["-i".as_ref(), rig.dir.path().join("rsyslog.pid").as_os_str()])
        .args(["-M".as_ref(), modules.as_os_str()]);
    let _rsyslog = Peer::start(daemon);
    // Whether a UDP listener is up cannot be asked; what is lost before is sent again.
    rig.until("rsyslog's first line", || {
        logger(input, &["--udp", "--rfc5424"], "hello");
        std::thread::sleep(Duration::from_millis(300));
        (!lines(&rig).is_empty()).then_some(())
    });
    rig.set_full(true);
    for number in 0..20 {
        logger(input, &["--udp", "--rfc5424"], &format!("line {number:02}"));
    }
    rig.until("refusals", || (rig.refused() >= 2).then_some(()));
    rig.set_full(false);
    let wanted = |entity: &str| -> Option<()> {
        let found = lines(&rig);
        let has = |number: usize| {
            let text = format!("line {number:02}");
            found.iter().any(|(body, of, _)| body.trim() == text && of.starts_with(entity))
        };
        (0..20).all(has).then_some(())
    };
    rig.until("every line by syslog", || wanted("host:"));
    rig.until("every line by omelasticsearch", || wanted("service:app"));
    let mut once: Vec<(String, String)> = lines(&rig)
        .into_iter()
        .filter(|(body, _, _)| body.contains("line "))
        .map(|(body, entity, _)| (body.trim().to_owned(), entity))
        .collect();
    assert_eq!(once.len(), 40, "each line once per way: {once:?}");
    once.sort();
    once.dedup();
    assert_eq!(once.len(), 40);
}

/// The example as its first lines say to install it, by their own command.
fn installed(example: &Path) -> String {
    let text = std::fs::read_to_string(example).expect("just copied");
    let command = text.lines().find_map(|line| line.strip_prefix("#   sed ")).expect("the command stands there");
    let (command, _) = command.split_once(" >").expect("it writes where collectd looks");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("sed {command}")]).current_dir(example.parent().expect("a folder"));
    output_of(shell)
}

#[tokio::test(flavor = "multi_thread")]
async fn collectd_writes_its_values() {
    let rig = Rig::start().await;
    let config = rig.dir.path().join("collectd.conf");
    let peers = repository().join(".tools/peers");
    let plugins = peers.join("usr/lib/collectd");
    let text = installed(&rig.example("collectd/collectd.conf"));
    let place = format!(
        "BaseDir \"{}\"\nPIDFile \"{}\"\nPluginDir \"{}\"\nTypesDB \"{}\"\n{text}",
        rig.dir.path().display(),
        rig.dir.path().join("collectd.pid").display(),
        plugins.display(),
        peers.join("usr/share/collectd/types.db").display(),
    );
    std::fs::write(&config, place).expect("temp dir is writable");
    let mut daemon = command("peers/usr/sbin/collectd");
    daemon.arg("-f").args(["-C".as_ref(), config.as_os_str()]);
    let _collectd = Peer::start(daemon);
    let series = rig.until("a series", || rig.batches(SignalKind::Series).into_iter().next());
    let columns = SeriesColumns::of(&series);
    let row = (0..columns.len()).map(|row| columns.row(row)).find(|row| row.name == "collectd.load.shortterm");
    assert_eq!(row.expect("the load").entity, "host:db-1");
    rig.until("values", || rig.batches(SignalKind::Metric).into_iter().next());
}
