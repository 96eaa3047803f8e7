//! How the page says things: times, spans, names, and what others wrote.

use bellwether_engine::incident::{CauseKind, Priority, ProbableCause, StatusReason, Verb};
use bellwether_engine::time::EventTime;
use maud::{Markup, html};

pub(crate) use crate::report::glance as span;
use crate::report::{date_and_time, safe};
pub(crate) use crate::term::{count as many, thousands as count};

/// What somebody else wrote: control characters and those that turn or hide text are shown as what they are.
pub(crate) fn said(text: &str) -> String {
    safe(text)
}

/// `09:01`, with the date where that is another than today.
pub(crate) fn clock(at: EventTime, now: EventTime) -> String {
    let (text, today) = (date_and_time(at), date_and_time(now));
    match (text.split_once(' '), today.split_once(' ')) {
        (Some((day, time)), Some((today, _))) if day == today => time.to_owned(),
        _ => text,
    }
}

/// A moment, with what stands behind it for whoever points at it and for scripts.
pub(crate) fn moment(at: EventTime, now: EventTime) -> Markup {
    html! { time datetime=(at) title={ (date_and_time(at)) " UTC" } { (clock(at, now)) } }
}

/// How long ago; the script goes on counting.
pub(crate) fn ago(at: EventTime, now: EventTime) -> Markup {
    html! { time.ago datetime=(at) title={ (date_and_time(at)) " UTC" } { (span(now.since(at))) } }
}

/// How long there is left until then, or how long that is past; the script goes on counting.
pub(crate) fn left(at: EventTime, now: EventTime) -> Markup {
    let (over, away) = (at < now, span(at.since(now)));
    html! {
        time.left.over[over] datetime=(at) title={ (date_and_time(at)) " UTC" } {
            @if over { (away) " over" } @else { "in " (away) }
        }
    }
}

/// `service:checkout` without what it is.
pub(crate) fn short(entity: &str) -> &str {
    entity.split_once(':').map_or(entity, |(_, name)| name)
}

/// The address of an entity's page.
pub(crate) fn entity_at(tenant: &str, entity: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("tenant", tenant).append_pair("name", entity);
    format!("/page/entity?{}", query.finish())
}

/// `92 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A level as people read it: `12.3`, `1.2 G`.
pub(crate) fn level(value: f64) -> String {
    let units = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e4, "")];
    match units.iter().find(|(size, _)| value.abs() >= *size) {
        Some((1e4, _)) => format!("{value:.0}"),
        Some((size, unit)) => format!("{:.1}{unit}", value / size),
        None if value == value.trunc() => format!("{value}"),
        None if value.abs() < 0.01 => format!("{value:.4}"),
        None => format!("{value:.2}"),
    }
}

/// The badge of a priority.
pub(crate) fn priority(priority: Priority) -> Markup {
    let class = priority.name().to_lowercase();
    html! { span class={ "badge " (class) } { (priority.name()) } }
}

/// Why a status is what it is, in words.
pub(crate) fn reason(reason: StatusReason) -> &'static str {
    match reason {
        StatusReason::Detected => "the engine found it",
        StatusReason::Updated => "the engine learned more",
        StatusReason::Operator => "a person said so",
        StatusReason::Ticket => "the ticketing system said so",
        StatusReason::AutoResolved => "every alert recovered",
        StatusReason::Stale => "nothing was heard of it for too long",
        StatusReason::Merged => "it is a part of another",
        StatusReason::FalsePositive => "it was no incident",
    }
}

/// What was told.
pub(crate) fn told(verb: Verb) -> &'static str {
    match verb {
        Verb::Opened => "Told",
        Verb::Updated => "Updated",
        Verb::Acknowledged => "Acknowledged",
        Verb::Resolved => "Resolved",
        Verb::Reopened => "Reopened",
        Verb::Merged => "Merged",
        Verb::Split => "Split",
        Verb::Escalated => "Escalated",
        Verb::Closed => "Closed",
    }
}

/// How sure somebody may be.
pub(crate) fn sure(confidence: f64) -> &'static str {
    match confidence {
        c if c >= 0.8 => "very sure",
        c if c >= 0.6 => "fairly sure",
        c if c >= 0.4 => "not very sure",
        _ => "a hint, no more",
    }
}

/// A link to somewhere else: http or https alone, and nothing of ours goes with who follows it.
pub(crate) fn outside(href: &str, text: &str) -> Markup {
    let lower = href.to_ascii_lowercase();
    let plain = !href.chars().any(|c| c.is_control() || c.is_whitespace());
    let good = plain && (lower.starts_with("https://") || lower.starts_with("http://"));
    html! {
        @if good {
            a href=(href) rel="noopener noreferrer external" { (said(text)) }
        } @else {
            span title="not an http address" { (said(text)) }
        }
    }
}

/// What a cause is, in a few words.
pub(crate) fn named(cause: &ProbableCause) -> String {
    let entity = cause.entity.as_ref().map_or("", |entity| entity.id.as_str());
    let kind = match cause.kind {
        CauseKind::Entity => "",
        CauseKind::Change => "change ",
        CauseKind::Metric => "metric ",
        CauseKind::LogTemplate => "log template ",
        CauseKind::Alert => "alert ",
    };
    match (cause.reference.as_str(), entity) {
        ("", entity) => short(entity).to_owned(),
        (reference, "") => format!("{kind}{reference}"),
        (reference, entity) if reference == entity => short(entity).to_owned(),
        (reference, entity) => format!("{kind}{reference} on {}", short(entity)),
    }
}

/// A share as a bar.
pub(crate) fn bar(share: f64, what: &str) -> Markup {
    let wide = (share.clamp(0.0, 1.0) * 100.0).round();
    html! {
        svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label={ (what) " " (percent(share)) } {
            rect.track width="100" height="8" {}
            rect.fill width=(wide) height="8" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::time::Span;

    use super::*;

    #[test]
    fn links_are_of_the_web_and_nothing_else() {
        for bad in
            ["javascript:alert(1)", " https://x", "data:text/html,x", "//x", "java\nscript:x", "https:x", "http://a b"]
        {
            assert!(!outside(bad, "x").into_string().contains("href"), "{bad}");
        }
        let good = outside("https://x.example/?a=1&b=\"", "<b>\u{202e}").into_string();
        assert!(
            good.contains("href=\"https://x.example/?a=1&amp;b=&quot;\"") && good.contains("&lt;b&gt;&lt;U+202E&gt;"),
            "{good}"
        );
    }

    #[test]
    fn spans_and_counts_read_at_a_glance() {
        let spans = [42, 119, 300, 7_200, 11_100, 400_000].map(|secs| span(Span::from_secs(secs)));
        assert_eq!(spans, ["42 s", "119 s", "5 min", "2 h", "3 h 5 min", "4 d"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((many(1, "alert"), many(2, "alert")), ("1 alert".to_owned(), "2 alerts".to_owned()));
    }
}
