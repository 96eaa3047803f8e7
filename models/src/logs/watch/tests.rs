//! Storyboards: lines at seconds, and what the watch says.

use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;
const A: u64 = 1;
const B: u64 = 2;
const C: u64 = 3;
const INFO: u8 = 9;

fn fresh() -> StreamWatch {
    StreamWatch::new(WatchParams::default().check().expect("in bounds"))
}

/// Sends one line of each template, in order, at each of the minutes.
fn minutes(watch: &mut StreamWatch, minutes: std::ops::Range<i64>, templates: &[u64]) -> Vec<LogFinding> {
    let mut out = Vec::new();
    for minute in minutes {
        for (at, &template) in templates.iter().enumerate() {
            watch.observe((minute * 60 + at as i64) * SECOND, template, false, INFO, &mut out);
        }
    }
    out
}

fn kinds(findings: &[LogFinding]) -> Vec<(u64, &'static str)> {
    let name = |kind: &LogFindingKind| match kind {
        LogFindingKind::NewTemplate { .. } => "new",
        LogFindingKind::Vanished { .. } => "vanished",
        LogFindingKind::Surge { .. } => "surge",
        LogFindingKind::Reordered { .. } => "reordered",
    };
    findings.iter().map(|finding| (finding.template, name(&finding.kind))).collect()
}

#[test]
fn a_young_stream_is_silent_and_an_old_one_reports_a_new_template_once() {
    let mut watch = fresh();
    let mut out = Vec::new();
    watch.observe(0, A, true, INFO, &mut out);
    out.extend(minutes(&mut watch, 0..10, &[A]));
    watch.observe(600 * SECOND, B, true, INFO, &mut out);
    assert_eq!(kinds(&out), []);
    out.extend(minutes(&mut watch, 11..300, &[A, B]));
    watch.observe(300 * 60 * SECOND, C, true, INFO, &mut out);
    watch.observe(300 * 60 * SECOND, C, false, INFO, &mut out);
    assert_eq!(kinds(&out), [(C, "new")]);
}

#[test]
fn a_stream_that_coins_templates_all_the_time_does_not_report_each_unless_it_is_an_error() {
    let mut watch = fresh();
    let mut out = Vec::new();
    for minute in 0..300 {
        watch.observe(minute * 60 * SECOND, A, false, INFO, &mut out);
        if minute % 4 == 0 {
            watch.observe(minute * 60 * SECOND, 1_000 + minute as u64, true, INFO, &mut out);
        }
    }
    assert_eq!(kinds(&out), []);
    watch.observe(301 * 60 * SECOND, C, true, SEVERITY_ERROR, &mut out);
    assert_eq!(kinds(&out), [(C, "new")]);
}

#[test]
fn a_burst_is_a_surge_told_once() {
    let mut watch = fresh();
    let mut out = minutes(&mut watch, 0..120, &[A, A, B]);
    for minute in 120..123 {
        out.extend(minutes(&mut watch, minute..minute + 1, &[B; 50]));
    }
    out.extend(minutes(&mut watch, 123..130, &[A, A, B]));
    assert_eq!(kinds(&out), [(B, "surge")]);
    assert!(
        matches!(out[0].kind, LogFindingKind::Surge { rate, expected } if rate == 50.0 && (expected - 1.0).abs() < 0.1)
    );
    assert_eq!(out[0].at_ns, 121 * 60 * SECOND);
}

#[test]
fn an_hourly_job_surges_once_and_is_then_known() {
    let mut watch = fresh();
    let mut out = Vec::new();
    for hour in 0..24 {
        out.extend(minutes(&mut watch, hour * 60..hour * 60 + 59, &[A, A, B]));
        out.extend(minutes(&mut watch, hour * 60 + 59..hour * 60 + 60, &[B; 40]));
    }
    assert!(kinds(&out).iter().filter(|kind| kind.1 == "surge").count() <= 1, "{out:?}");
}

#[test]
fn a_regular_template_that_stops_has_vanished_and_a_quiet_stream_has_not() {
    let mut watch = fresh();
    let mut out = minutes(&mut watch, 0..120, &[A, B]);
    out.extend(minutes(&mut watch, 120..160, &[A]));
    assert_eq!(kinds(&out).into_iter().filter(|kind| kind.1 == "vanished").collect::<Vec<_>>(), [(B, "vanished")]);
    let mut quiet = fresh();
    let mut out = minutes(&mut quiet, 0..120, &[A, B]);
    quiet.advance(240 * 60 * SECOND, &mut out);
    assert_eq!(kinds(&out), []);
}

#[test]
fn a_broken_order_is_told_with_what_was_usual() {
    let mut watch = fresh();
    let mut out = minutes(&mut watch, 0..120, &[A, B, C]);
    assert_eq!(kinds(&out), []);
    out.extend(minutes(&mut watch, 120..130, &[A, C, B]));
    let first = out.iter().find(|finding| finding.template == A).expect("told");
    assert_eq!(first.kind, LogFindingKind::Reordered { usual: B, now: C });
}

#[test]
fn the_budget_caps_findings_and_counts_the_rest() {
    let params = WatchParams { findings_per_day_max: 4, ..WatchParams::default() };
    let mut watch = StreamWatch::new(params.check().expect("in bounds"));
    let mut out = minutes(&mut watch, 0..120, &[A, B]);
    for template in 10..30 {
        watch.observe(120 * 60 * SECOND, template, true, 21, &mut out);
    }
    assert_eq!(out.len(), 1);
    assert_eq!(watch.shed(), 19);
}

#[test]
fn settings_out_of_bounds_are_named() {
    let error = WatchParams { chance_max: 0.5, ..WatchParams::default() }.check().expect_err("a coin");
    assert_eq!(error.to_string(), "`chance_max: 0.5` is out of bounds, use a chance above 0, at most 0.01");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_times_in_any_order_are_bounded_and_a_restart_changes_nothing(
        lines in proptest::collection::vec((prop_oneof![9 => 0_i64..20_000, 1 => any::<i64>()], 0_u64..12, any::<bool>()), 1..300),
        cut in 0_usize..300,
    ) {
        let params = WatchParams { templates_max: 6, warmup_windows: 2, ..WatchParams::default() };
        let mut straight = StreamWatch::new(params.check().expect("in bounds"));
        let mut broken = straight.clone();
        for (at, &(second, template, is_new)) in lines.iter().enumerate() {
            if at == cut {
                let state = serde_json::to_vec(&broken).expect("serialises");
                broken = serde_json::from_slice(&state).expect("deserialises");
            }
            let (mut left, mut right) = (Vec::new(), Vec::new());
            straight.observe(second.saturating_mul(SECOND), template, is_new, INFO, &mut left);
            broken.observe(second.saturating_mul(SECOND), template, is_new, INFO, &mut right);
            prop_assert_eq!(&left, &right);
            prop_assert!(left.iter().all(|finding| (0.0..=1.0).contains(&finding.score)));
            prop_assert!(straight.tracks.len() <= 6);
        }
    }
}
