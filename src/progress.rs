//! Progress bars on stderr, for anything longer than two seconds.
//!
//! They appear only when a person is watching (a terminal, no `--quiet`); a log gets nothing.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwether_engine::time::{EventTime, Span};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::wiring::gauges::Gauges;

static QUIET: OnceLock<bool> = OnceLock::new();

/// Bars appear after this long: what is over sooner needs none.
const APPEARS_AFTER: Duration = Duration::from_millis(1_500);

/// How often a shared bar looks at what was done.
const REPAINT_EVERY: Duration = Duration::from_millis(100);

/// Switches all bars off for the life of the process.
pub fn set_quiet(quiet: bool) {
    // The first word counts: it is said once, when the command line is read.
    let _ = QUIET.set(quiet);
}

/// Says on stderr what a user should know of a command's input; `--quiet` silences it.
pub fn note(text: &str) {
    if !QUIET.get().copied().unwrap_or(false) {
        // A closed stderr loses the note, not the work.
        let _ = writeln!(std::io::stderr(), "note: {text}");
    }
}

/// A bar over `total` of something; without a total, a spinner that counts.
pub fn bar(total: Option<u64>, what: &'static str) -> ProgressBar {
    let watched = std::io::stderr().is_terminal() && !QUIET.get().copied().unwrap_or(false);
    if !watched {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr_with_hz(10);
    let bar = ProgressBar::with_draw_target(total, target).with_message(what);
    let template = match total {
        Some(_) => "  {bar:28.cyan/dim} {percent:>3} %  {human_pos} of {human_len} {msg}  {per_sec:.dim}  {eta} left",
        None => "  {spinner:.cyan} {human_pos} {msg}  {per_sec:.dim}  {elapsed:.dim}",
    };
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    bar.set_style(style.progress_chars("━╸─"));
    bar
}

/// The same, shown only once it takes long.
pub fn late_bar(total: Option<u64>, what: &'static str) -> LateBar {
    LateBar { bar: None, total, what, began: std::time::Instant::now(), position: 0 }
}

/// A bar that waits before it appears.
#[derive(Debug)]
pub struct LateBar {
    bar: Option<ProgressBar>,
    total: Option<u64>,
    what: &'static str,
    began: std::time::Instant,
    position: u64,
}

impl LateBar {
    /// So much more is done.
    pub fn add(&mut self, amount: u64) {
        self.position += amount;
        if self.bar.is_none() && self.began.elapsed() >= APPEARS_AFTER {
            self.bar = Some(bar(self.total, self.what));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.position);
        }
    }

    /// Takes the bar away.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Keeps a bar at the number of signals folded, until the returned task is aborted.
pub fn follow(bar: &ProgressBar, gauges: &Arc<Gauges>) -> tokio::task::JoinHandle<()> {
    let (bar, gauges) = (bar.clone(), gauges.clone());
    tokio::spawn(async move {
        loop {
            bar.set_position(gauges.signals());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
}

/// A bar over the minutes of a story.
pub fn story_bar(lasts: Span) -> ProgressBar {
    let bar = bar(Some(lasts.0.unsigned_abs() / 1_000_000_000), "");
    let template = "  {bar:24.cyan/dim} {percent:>3} %  {msg}";
    bar.set_style(ProgressStyle::with_template(template).expect("the template is well-formed").progress_chars("━╸─"));
    bar
}

/// Keeps a story's bar at the time of the story, until the returned task is aborted.
pub fn follow_story(bar: &ProgressBar, gauges: &Arc<Gauges>, start: EventTime) -> tokio::task::JoinHandle<()> {
    let (bar, gauges) = (bar.clone(), gauges.clone());
    tokio::spawn(async move {
        loop {
            let at = gauges.time().max(start);
            bar.set_position(at.since(start).0.unsigned_abs() / 1_000_000_000);
            let clock = crate::report::time_of_day(at);
            bar.set_message(format!("{clock}  {} signals", crate::term::thousands(gauges.signals())));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
}

/// A bar that several threads push and that shows itself once the work takes long, whether or
/// not anything was finished by then. It goes away when dropped.
pub fn shared_bar(total: Option<u64>, what: &'static str) -> SharedBar {
    let position = Arc::new(AtomicU64::new(0));
    if !std::io::stderr().is_terminal() || QUIET.get().copied().unwrap_or(false) {
        return SharedBar { position, painter: None };
    }
    let (stop, stopped) = std::sync::mpsc::channel();
    let pushed = Arc::clone(&position);
    let paint = move || {
        let mut shown = None;
        let mut pause = APPEARS_AFTER;
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            pause = REPAINT_EVERY;
            let done = pushed.load(Ordering::Relaxed);
            let first = || {
                let bar = bar(total, what).with_position(done);
                // What was done unseen must not count as done in an instant.
                bar.reset_eta();
                bar
            };
            shown.get_or_insert_with(first).set_position(done);
        }
        if let Some(bar) = shown {
            bar.finish_and_clear();
        }
    };
    SharedBar { position, painter: Some((stop, std::thread::spawn(paint))) }
}

/// A bar that several threads push: see [`shared_bar`].
#[derive(Debug)]
pub struct SharedBar {
    position: Arc<AtomicU64>,
    painter: Option<(Sender<()>, JoinHandle<()>)>,
}

impl SharedBar {
    /// A bar that nobody sees, for work that is part of something larger.
    pub fn hidden() -> SharedBar {
        SharedBar { position: Arc::default(), painter: None }
    }

    /// So much more is done.
    pub fn add(&self, amount: u64) {
        self.position.fetch_add(amount, Ordering::Relaxed);
    }
}

impl Drop for SharedBar {
    fn drop(&mut self) {
        if let Some((stop, painter)) = self.painter.take() {
            drop(stop);
            // A painter that panicked has nothing left to show.
            let _ = painter.join();
        }
    }
}
