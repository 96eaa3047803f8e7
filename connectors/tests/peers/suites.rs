//! Nagios 4 and Icinga 2: a disk fills up and a host goes down, and both come back.

use std::path::Path;
use std::process::Command;

use bellwether_engine::signal::{AlertColumns, AlertStatus, Severity, SignalKind};

use crate::rig::{Peer, Rig, command, output_of, peer};

/// What is watched: a check that answers with the text and the code that stand in two files.
struct Watched<'a>(&'a Path);

impl<'a> Watched<'a> {
    fn new(dir: &'a Path) -> Watched<'a> {
        let script = "#!/bin/sh\ncat \"$1.text\"\nexit \"$(cat \"$1.code\")\"\n";
        std::fs::write(dir.join("check.sh"), script).expect("temp dir is writable");
        let watched = Watched(dir);
        watched.is("db-1", 0, "PING OK");
        watched.is("web-1", 0, "PING OK");
        watched.is("disk", 0, "DISK OK");
        watched
    }

    fn is(&self, what: &str, code: u8, text: &str) {
        std::fs::write(self.0.join(format!("{what}.text")), text).expect("temp dir is writable");
        // The code last and at once: a check never sees half of it.
        let (new, code_file) = (self.0.join(format!("{what}.new")), self.0.join(format!("{what}.code")));
        std::fs::write(&new, code.to_string()).expect("temp dir is writable");
        std::fs::rename(new, code_file).expect("the same folder");
    }

    fn check(&self, what: &str) -> [String; 3] {
        let path = |name: &str| self.0.join(name).display().to_string();
        ["/bin/sh".to_owned(), path("check.sh"), path(what)]
    }
}

/// An alert as the journal has it.
#[derive(Clone, Debug, PartialEq)]
struct AlertRow {
    name: String,
    entity: String,
    status: Option<AlertStatus>,
    severity: Severity,
    summary: String,
    fingerprint: u64,
}

fn told(rig: &Rig) -> Vec<AlertRow> {
    let mut found = Vec::new();
    for batch in rig.batches(SignalKind::Alert) {
        let rows = AlertColumns::of(&batch);
        found.extend((0..rows.len()).map(|row| AlertRow {
            name: rows.name(row).to_owned(),
            entity: rows.entity(row).to_owned(),
            status: rows.status(row),
            severity: rows.severity(row),
            summary: rows.annotations(row).get("summary").unwrap_or_default().to_owned(),
            fingerprint: rows.fingerprint[row],
        }));
    }
    found
}

fn until_told(rig: &Rig, what: &str, count: usize) -> Vec<AlertRow> {
    rig.until(what, || Some(told(rig)).filter(|found| found.len() >= count))
}

/// The story: a disk fills up while Bellwether takes nothing, a host goes down, the disk is emptied.
fn tells_it(rig: &Rig, watched: &Watched<'_>) {
    rig.set_full(true);
    watched.is("disk", 2, "DISK CRITICAL - free space: /var 120 MB (2%)");
    rig.until("a refusal", || (rig.refused() >= 1).then_some(()));
    rig.set_full(false);
    let disk = until_told(rig, "the full disk", 1);
    assert_eq!((disk[0].name.as_str(), disk[0].entity.as_str()), ("disk /var", "host:db-1"));
    assert_eq!((disk[0].status, disk[0].severity), (Some(AlertStatus::Firing), Severity::Critical));
    assert!(disk[0].summary.starts_with("DISK CRITICAL"), "{disk:?}");

    watched.is("web-1", 2, "PING CRITICAL - 100 % lost");
    let host = until_told(rig, "the host that is down", 2);
    assert_eq!((host[1].name.as_str(), host[1].entity.as_str()), ("host state", "host:web-1"));
    assert_eq!((host[1].status, host[1].severity), (Some(AlertStatus::Firing), Severity::Critical));

    watched.is("disk", 0, "DISK OK");
    watched.is("web-1", 0, "PING OK");
    let over = until_told(rig, "both recoveries", 4);
    assert_eq!(over.len(), 4, "nothing is told twice: {over:?}");
    for (firing, name) in [(&over[0], "disk /var"), (&over[1], "host state")] {
        let end = over[2..].iter().find(|end| end.name == name).expect("it recovered");
        assert_eq!((end.status, end.fingerprint), (Some(AlertStatus::Resolved), firing.fingerprint));
    }
}

/// The user and the group of this process: both daemons want to be told.
fn whoami() -> [String; 2] {
    ["-un", "-gn"].map(|flag| {
        let mut id = Command::new("id");
        id.arg(flag);
        output_of(id).trim().to_owned()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn nagios_tells_a_full_disk_and_a_host_that_is_down_and_their_end() {
    let rig = Rig::start().await;
    let dir = rig.dir.path();
    let watched = Watched::new(dir);
    let example = rig.example("nagios/bellwether.cfg");
    let [user, group] = whoami();
    std::fs::create_dir(dir.join("spool")).expect("temp dir is writable");
    let always = "check_interval 1\n retry_interval 1\n max_check_attempts 1\n check_period bellwether-always\n \
                  contacts bellwether\n notification_period bellwether-always\n notification_interval 0\n}\n";
    let mut objects = String::new();
    for (name, what) in [("db", "db-1"), ("web", "web-1"), ("disk", "disk")] {
        let line = watched.check(what).join(" ");
        objects.push_str(&format!("define command {{\n command_name {name}\n command_line {line}\n}}\n"));
    }
    for (host, check) in [("db-1", "db"), ("web-1", "web")] {
        objects.push_str(&format!(
            "define host {{\n host_name {host}\n address 192.0.2.7\n check_command {check}\n {always}"
        ));
    }
    let service = "define service {\n host_name db-1\n service_description disk /var\n check_command disk\n ";
    std::fs::write(dir.join("objects.cfg"), objects + service + always).expect("temp dir is writable");
    let at = |name: &str| dir.join(name).display().to_string();
    let main = format!(
        "cfg_file={}\ncfg_file={}\nlog_file={}\nobject_cache_file={}\nprecached_object_file={}\nstatus_file={}\n\
         state_retention_file={}\ncheck_result_path={}\ncommand_file={}\nlock_file={}\ntemp_file={}\ntemp_path={}\n\
         query_socket={}\nnagios_user={user}\nnagios_group={group}\ninterval_length=1\nenable_environment_macros=1\n\
         check_external_commands=0\ncheck_for_updates=0\nuse_syslog=0\nnotification_timeout=90\n",
        example.display(),
        at("objects.cfg"),
        at("nagios.log"),
        at("objects.cache"),
        at("objects.pre"),
        at("status.dat"),
        at("retention.dat"),
        at("spool"),
        at("commands"),
        at("pid"),
        at("temp"),
        at(""),
        at("qh"),
    );
    std::fs::write(dir.join("nagios.cfg"), main).expect("temp dir is writable");
    let mut nagios = command("peers/usr/sbin/nagios4");
    nagios.arg(dir.join("nagios.cfg"));
    let _nagios = Peer::start(nagios);
    tells_it(&rig, &watched);
}

#[tokio::test(flavor = "multi_thread")]
async fn icinga_tells_a_full_disk_and_a_host_that_is_down_and_their_end() {
    let rig = Rig::start().await;
    let dir = rig.dir.path();
    let watched = Watched::new(dir);
    let example = rig.example("icinga/bellwether.conf");
    let [user, group] = whoami();
    let words = |what: &str| serde_json::to_string(&watched.check(what)).expect("plain texts");
    let often = "check_interval = 1s, retry_interval = 1s, max_check_attempts = 1, address = \"192.0.2.7\"";
    let service = "check_interval = 1s, retry_interval = 1s, max_check_attempts = 1";
    let text = format!(
        "include <itl>\nobject CheckerComponent \"checker\" {{ }}\nobject NotificationComponent \"notification\" {{ }}\n\
         object CheckCommand \"db\" {{ command = {} }}\nobject CheckCommand \"web\" {{ command = {} }}\n\
         object CheckCommand \"disk\" {{ command = {} }}\ninclude \"{}\"\n\
         object Host \"db-1\" {{ check_command = \"db\", {often} }}\n\
         object Host \"web-1\" {{ check_command = \"web\", {often} }}\n\
         object Service \"disk /var\" {{ host_name = \"db-1\", check_command = \"disk\", {service} }}\n",
        words("db-1"),
        words("web-1"),
        words("disk"),
        example.display(),
    );
    std::fs::write(dir.join("icinga2.conf"), text).expect("temp dir is writable");
    let lib = format!("peers/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let mut icinga = command(&format!("{lib}/icinga2/sbin/icinga2"));
    icinga.args(["daemon", "--log-level", "notice", "--config"]).arg(dir.join("icinga2.conf"));
    for (constant, folder) in
        [("DataDir", "data"), ("LogDir", "log"), ("CacheDir", "cache"), ("InitRunDir", "run"), ("SpoolDir", "spool")]
    {
        std::fs::create_dir(dir.join(folder)).expect("temp dir is writable");
        icinga.arg(format!("-D{constant}={}", dir.join(folder).display()));
    }
    icinga.arg(format!("-DIncludeConfDir={}", peer("peers/usr/share/icinga2/include").display()));
    icinga.args([format!("-DRunAsUser={user}"), format!("-DRunAsGroup={group}")]);
    let _icinga = Peer::start(icinga);
    tells_it(&rig, &watched);
}

/// Checkmk's own package is nowhere to be had: its variables are set by hand, as its documentation
/// names them.
#[tokio::test(flavor = "multi_thread")]
async fn the_notification_command_posts_the_variables_of_checkmk() {
    let rig = Rig::start().await;
    for (kind, state) in [("PROBLEM", "CRITICAL"), ("RECOVERY", "OK")] {
        let mut notify = command("py/bin/python");
        notify.arg(rig.example("mappings/notify.py"));
        notify.args(["--prefix", "NOTIFY_", "--url", &format!("http://{}/webhook/checkmk", rig.http)]);
        notify.arg("--token-file").arg(rig.example("token"));
        let variables = [
            ("NOTIFICATIONTYPE", kind),
            ("OMD_SITE", "main"),
            ("HOSTNAME", "web-1"),
            ("SERVICEDESC", "HTTP"),
            ("SERVICESTATE", state),
        ];
        notify.envs(variables.map(|(name, value)| (format!("NOTIFY_{name}"), value)));
        output_of(notify);
    }
    let found = told(&rig);
    assert_eq!((found[0].name.as_str(), found[0].entity.as_str()), ("HTTP", "host:web-1"));
    assert_eq!((found[0].status, found[1].status), (Some(AlertStatus::Firing), Some(AlertStatus::Resolved)));
    assert_eq!((found.len(), found[0].fingerprint), (2, found[1].fingerprint));
}
