//! Levels in lines as loggers write them, and in prose that only looks like them.

use proptest::prelude::*;

use super::*;

#[test]
fn the_level_is_found_wherever_loggers_write_it() {
    for (level, line) in [
        // logfmt
        (17, "level=error ts=2026-11-30T01:00:00Z msg=\"cannot write\""),
        (13, "ts=2026-11-30T01:00:00Z caller=x.go:7 level=warn msg=slow"),
        (17, "t=2026-11-30T01:00:00Z lvl=eror msg=x"),
        (13, "time=\"2026-11-30T01:00:00Z\" severity=\"WARNING\" msg=x"),
        (9, "level=info msg=\"retry after level=error\""),
        // JSON
        (17, r#"{"level":"error","msg":"cannot write"}"#),
        (17, r#"{"msg":"a \"level\":\"info\" b","ctx":{"level":"debug"},"level" : "ERROR"}"#),
        (17, r#"{"level":50,"time":1796000000000,"msg":"db down"}"#),
        (17, r#"{"log":{"level":"error"},"message":"x"}"#),
        (13, r#"{"log.level":"warn","message":"x"}"#),
        (21, r#"{"levelname":"CRITICAL","message":"x"}"#),
        (13, r#"{"levelno":30,"message":"x"}"#),
        (17, r#"{"PRIORITY":"3","MESSAGE":"x"}"#),
        (17, r#"{"t":{"$date":"2026-11-30T01:00:00Z"},"s":"E","c":"NETWORK","msg":"x"}"#),
        (21, r#"{"@t":"2026-11-30T01:00:00Z","@l":"Fatal","@mt":"x"}"#),
        (17, r#"{"level":400,"level_name":"ERROR","message":"x"}"#),
        // klog, glog, systemd
        (17, "E1129 10:00:00.123456       7 reflector.go:138] failed to list"),
        (13, "W20261129 10:00:00.123456 7 x.cc:1] slow"),
        (17, "<3>cannot write"),
        // words
        (17, "ERROR cannot write"),
        (17, "2026-11-30 01:00:00 ERROR cannot write"),
        (17, "2026-11-30 01:00:00,123 [main] ERROR c.e.App - boom"),
        (17, "[2026-11-30T01:00:00,123][ERROR][o.e.b.Bootstrap] [node-1] boom"),
        (17, "2026/11/30 01:00:00 [error] 12#12: *1 open() failed"),
        (17, "[Mon Nov 30 01:00:00.123 2026] [core:error] [pid 7] boom"),
        (13, "2026-11-30 01:00:00,123 - app.db - warning - slow"),
        (13, "2026-11-30 01:00:00.123 | warning  | app:run:7 - slow"),
        (17, "2026-11-30T01:00:00.123Z\terror\tcmd/x.go:7\tboom"),
        (17, "ERROR:root:boom"),
        (13, "[01:00:00 WRN] slow"),
        (17, "2026-11-30 01:00:00 UTC [7] ERROR:  relation does not exist"),
        (21, "2026-11-30 01:00:00 UTC [7] PANIC:  could not write"),
        (17, "fail: Microsoft.AspNetCore.Server.Kestrel[13]"),
        (21, "panic: runtime error: index out of range"),
        (17, "11-30 01:00:00.123  1234  5678 E ActivityManager: boom"),
        (17, "E/ActivityManager( 1234): boom"),
        (17, "2026-11-30T01:00:00.123+0000 E NETWORK  [conn1] boom"),
        (17, "E: Unable to locate package x"),
        (13, "[W] slow"),
        (17, "error: cannot write"),
        (17, "sshd[7]: error: PAM: x"),
        (17, "Error connecting to db-1"),
        (17, "Level: Error Text: x"),
        (18, "[ERROR2] x"),
        (17, "R02 RAS KERNEL ERROR x"),
        (5, "[ debug ] x"),
        (17, "\u{1b}[31mERROR\u{1b}[0m \u{1b}[2mcart\u{1b}[0m: boom"),
        (13, "\u{1b}[90m1:00AM\u{1b}[0m \u{1b}[33mWRN\u{1b}[0m slow"),
    ] {
        assert_eq!(level_of(line), level, "{line}");
    }
    assert_eq!(level_after_time("E NETWORK  [conn1] boom"), 17);
}

#[test]
fn prose_has_no_level() {
    for line in [
        "",
        "   ",
        "login without error",
        "done, no error: all is well",
        "0 ERROR lines",
        "everything is fine",
        "I am here",
        "A list of 3 items",
        "user clicked alert button",
        "alert button clicked",
        "critical path computed in 3 ms",
        "see error.log",
        "GET /error HTTP/1.1",
        "rows=17 errors=0 info=none",
        "error=0 warn=0",
        "plan E chosen",
        r#"{"msg":"error","count":3}"#,
        r#"{"level":{"x":"error"},"msg":"a"}"#,
        r#"{"items":[{"level":"error"}]}"#,
        r#"{"level":"#,
        r#"{"level":"erro"#,
        "D:\\data is full",
        "日本語のエラー",
    ] {
        assert_eq!(level_of(line), 0, "{line}");
    }
}

#[test]
fn a_level_far_into_the_line_is_not_looked_for() {
    assert_eq!(level_of(&format!("{} level=error", "x".repeat(LINE_BYTES))), 0);
    assert_eq!(level_of(&format!("{{\"m\":\"{}\",\"level\":\"error\"}}", "x".repeat(DOCUMENT_BYTES))), 0);
    assert_eq!(level_of(&format!("{{\"m\":\"{}\",\"level\":\"error\"}}", "x".repeat(LINE_BYTES))), 17);
}

#[test]
fn the_most_trusted_field_that_is_known_tells() {
    assert_eq!(of_fields([("severity", "3"), ("level", "warn")]), 13);
    assert_eq!(of_fields([("detected_level", "unknown"), ("lvl", "ERR")]), 17);
    assert_eq!(of_fields([("Severity_Number", "18"), ("x", "error")]), 18);
    assert_eq!(of_fields([("levelno", "40"), ("PRIORITY", "9")]), 17);
}

proptest! {
    #![proptest_config(crate::fuzz::config())]

    #[test]
    fn any_line_has_a_level_or_none(line in "(level=|\\{\"level\":|\u{1b}\\[|E1129 |ERROR|\\PC|[ \\[\\]|:\"\\\\]){0,20}") {
        prop_assert!(level_of(&line) <= 24);
        prop_assert!(level_after_time(&line) <= 24);
    }
}
