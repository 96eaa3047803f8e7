//! Incident events on the terminal: one line for each, to be read by a person.
//!
//! A terminal remembers nothing, so what a restart gives again is shown again; use the NDJSON
//! or the NATS sink where that matters.

use std::io::{IsTerminal, Write};

use bellwether_engine::incident::{IncidentEvent, Verb};
use bellwether_engine::signal::Severity;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::sinks::{Delivered, Outgoing, Sink, SinkError};

/// How to show incident events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TerminalSinkConfig {
    /// Name in logs.
    pub name: String,
    /// Colours; by default when standard output is a terminal and `NO_COLOR` is not set.
    pub colour: Option<bool>,
    /// Show every revision, not only those that open, reopen, resolve, merge or close.
    pub updates: bool,
}

impl Default for TerminalSinkConfig {
    fn default() -> TerminalSinkConfig {
        TerminalSinkConfig { name: "terminal".to_owned(), colour: None, updates: false }
    }
}

/// Incident events on standard output, or on any writer.
pub struct TerminalSink<W> {
    config: TerminalSinkConfig,
    colour: bool,
    out: W,
}

impl TerminalSink<std::io::Stdout> {
    /// On standard output.
    pub fn new(config: TerminalSinkConfig) -> TerminalSink<std::io::Stdout> {
        let out = std::io::stdout();
        let wanted = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let colour = config.colour.unwrap_or(wanted);
        TerminalSink { config, colour, out }
    }
}

impl<W: Write> TerminalSink<W> {
    /// On `out`, without colours unless the configuration asks for them.
    pub fn on(config: TerminalSinkConfig, out: W) -> TerminalSink<W> {
        let colour = config.colour.unwrap_or(false);
        TerminalSink { config, colour, out }
    }
}

/// One line for one event.
pub fn line(event: &IncidentEvent, colour: bool) -> String {
    let record = &event.record;
    let paint = |code: &str, text: &str| {
        if colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    };
    let code = match record.severity {
        Severity::Critical => "1;31",
        Severity::Major => "31",
        Severity::Minor | Severity::Warning => "33",
        Severity::Info => "36",
    };
    let owner = record.owner.as_ref().map_or(String::new(), |o| format!("  → {}", plain(&o.team)));
    format!(
        "{}  {}  {:<12} {}  {}  [{}] {} alerts, rev {}{owner}",
        record.updated_at,
        paint(code, record.priority.name()),
        event.verb.to_string(),
        paint("2", &record.id),
        paint("1", &plain(&record.title)),
        event.tenant,
        record.alert_count,
        record.revision,
    )
}

/// Text without control and direction characters: telemetry must not steer a terminal.
pub fn plain(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

impl<W: Write + Send> Sink for TerminalSink<W> {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(async move {
            let mut sent = 0;
            let mut write = || -> std::io::Result<()> {
                for outgoing in events {
                    if self.config.updates || outgoing.event.verb != Verb::Updated {
                        writeln!(self.out, "{}", line(&outgoing.event, self.colour))?;
                        sent += 1;
                    }
                }
                self.out.flush()
            };
            write().map_err(|e| SinkError::io(&self.config.name, e.to_string()))?;
            Ok(Delivered {
                upto: events.last().map(|o| o.position).unwrap_or_default(),
                sent,
                skipped: events.len() as u64 - sent,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::sinks::tests::event;

    #[test]
    fn an_event_is_one_line_that_cannot_steer_the_terminal() {
        let mut outgoing = event("acme", 1, 1);
        let mut event = (*outgoing.event).clone();
        event.record.title = "bad\x1b[2J\r\nnews \u{202e}".to_owned();
        outgoing.event = event.into();
        let mut text = Vec::new();
        let mut sink = TerminalSink::on(TerminalSinkConfig::default(), &mut text);
        assert_eq!(block_on(sink.deliver(&[outgoing])).expect("written").sent, 1);
        let text = String::from_utf8(text).expect("text");
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains(['\x1b', '\r', '\u{202e}']), "{text:?}");
        assert!(text.contains("P2") && text.contains("opened") && text.contains("[acme]"), "{text}");
    }
}
