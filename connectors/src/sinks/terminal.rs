//! Incident events on the terminal: one line for each, to be read by a person.
//!
//! A terminal remembers nothing: what was shown when the process died before it had noted so is
//! shown again. Whoever does not read it holds up nobody: lines are written on a thread of their own,
//! and while one is stuck the next attempt waits for it.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_engine::incident::{IncidentEvent, Verb};
use bellwether_engine::shown::safe;
use bellwether_engine::signal::Severity;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::sinks::{DeclaredSink, Delivered, Order, Outgoing, Sink, SinkError};

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

impl DeclaredSink for TerminalSinkConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        "the terminal".to_owned()
    }

    fn remembers(&self) -> bool {
        false
    }

    fn order(&self) -> Order {
        Order::EveryRevision
    }

    fn open(&self) -> BoxFuture<'_, Result<Box<dyn Sink>, SinkError>> {
        Box::pin(async { Ok(Box::new(TerminalSink::new(self.clone())) as Box<dyn Sink>) })
    }
}

/// Incident events on standard output, or on any writer.
pub(crate) struct TerminalSink<W> {
    config: TerminalSinkConfig,
    colour: bool,
    out: Arc<Mutex<W>>,
    /// What is being written; an attempt that was abandoned has left it behind.
    writing: Option<JoinHandle<std::io::Result<()>>>,
    /// Events of the abandoned attempt that are written when `writing` ends.
    underway: usize,
}

impl TerminalSink<std::io::Stdout> {
    /// On standard output.
    pub(crate) fn new(config: TerminalSinkConfig) -> TerminalSink<std::io::Stdout> {
        let out = std::io::stdout();
        let wanted = out.is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let colour = config.colour.unwrap_or(wanted);
        TerminalSink { colour, ..TerminalSink::on(config, out) }
    }
}

impl<W: Write + Send + 'static> TerminalSink<W> {
    /// On `out`, without colours unless the configuration asks for them.
    pub(crate) fn on(config: TerminalSinkConfig, out: W) -> TerminalSink<W> {
        let colour = config.colour.unwrap_or(false);
        TerminalSink { config, colour, out: Arc::new(Mutex::new(out)), writing: None, underway: 0 }
    }

    /// Waits for what is being written.
    async fn written(&mut self) -> std::io::Result<usize> {
        let Some(writing) = &mut self.writing else { return Ok(0) };
        let written = writing.await;
        self.writing = None;
        let underway = std::mem::take(&mut self.underway);
        written.map_err(std::io::Error::other)??;
        Ok(underway)
    }

    async fn write(&mut self, events: &[Outgoing]) -> std::io::Result<u64> {
        // An attempt that was abandoned has had the same events, or the first of them.
        let done = self.written().await?;
        let news = &events[done.min(events.len())..];
        let shown = news.iter().filter(|outgoing| self.config.updates || outgoing.event.verb != Verb::Updated);
        let lines: Vec<String> = shown.map(|outgoing| line(&outgoing.event, self.colour)).collect();
        let sent = lines.len() as u64;
        if !lines.is_empty() {
            let out = self.out.clone();
            self.underway = events.len();
            self.writing = Some(tokio::task::spawn_blocking(move || {
                let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
                lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
                out.flush()
            }));
            self.written().await?;
        }
        Ok(sent)
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
    let owner = record.owner.as_ref().map_or(String::new(), |o| format!("  → {}", safe(&o.team)));
    format!(
        "{}  {}  {:<12} {}  {}  [{}] {} alerts, rev {}{owner}",
        record.updated_at,
        paint(code, record.priority.name()),
        event.verb.to_string(),
        paint("2", &record.id),
        paint("1", &safe(&record.title)),
        event.tenant,
        record.alert_count,
        record.revision,
    )
}

impl<W: Write + Send + 'static> Sink for TerminalSink<W> {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(async move {
            match self.write(events).await {
                Ok(sent) => Ok(Delivered { sent, skipped: events.len() as u64 - sent }),
                // Nobody will ever read it again (`| head`): the other readers go on.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
                    Ok(Delivered { sent: 0, skipped: events.len() as u64 })
                }
                Err(error) => Err(SinkError::io(&self.config.name, error.to_string())),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks::tests::event;

    /// A writer whose text can be read by others.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn an_event_is_one_line_that_cannot_steer_the_terminal() {
        let mut outgoing = event("acme", 1, 1);
        let mut event = (*outgoing.event).clone();
        event.record.title = "bad\x1b[2J\r\nnews \u{202e}".to_owned();
        outgoing.event = event.into();
        let page = Page::default();
        let mut sink = TerminalSink::on(TerminalSinkConfig::default(), page.clone());
        assert_eq!(sink.deliver(&[outgoing]).await.expect("written").sent, 1);
        let text = String::from_utf8(page.0.lock().expect("not poisoned").clone()).expect("text");
        assert_eq!(text.lines().count(), 1);
        assert!(!text.contains(['\x1b', '\r', '\u{202e}']), "{text:?}");
        assert!(text.contains("P2") && text.contains("opened") && text.contains("[acme]"), "{text}");
    }
}
