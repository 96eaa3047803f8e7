//! What a user names on the command line, as sources and sinks.

use std::path::{Path, PathBuf};

use anyhow::Result;
use bellwether_connectors::nats::NatsConnection;
use bellwether_connectors::outbox::ReaderTotals;
use bellwether_connectors::sinks::nats::{NatsSink, NatsSinkConfig};
use bellwether_connectors::sources::files::{FilesConfig, FilesSource};
use bellwether_connectors::sources::stdin::{StdinConfig, StdinSource};
use bellwether_connectors::{RejectLog, Sink, Source};
use bellwether_engine::time::Span;

use crate::exit::UsageError;
use crate::wiring::merge::MergeFeed;

/// Standard input, where a file could be named.
pub(super) const STDIN: &str = "-";

/// Whose the rows of files are.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    /// The tenant.
    pub(super) tenant: &'a str,
    /// Who wrote log lines; by the name of their file when absent.
    pub(super) entity: Option<&'a str>,
}

impl Whose<'_> {
    /// Who wrote the log at `path`: `service:shop` for `shop.log`.
    fn writer_of(self, path: &Path) -> String {
        let entity = self.entity.map(str::to_owned).unwrap_or_else(|| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = name.strip_suffix(".gz").unwrap_or(&name);
            name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned()
        });
        if entity.contains(':') { entity } else { format!("service:{entity}") }
    }
}

/// Files, merged by time; each is read to its end.
///
/// # Errors
/// When one is not there, or its name does not say its format.
pub(super) fn merged(
    paths: &[PathBuf],
    whose: Whose<'_>,
    lateness: Span,
    speed: Option<f64>,
) -> Result<Box<dyn Source>> {
    let parts: Result<Vec<Box<dyn Source>>> = paths.iter().map(|path| file(path, whose)).collect();
    // Half the lateness: what the merge leaves out of order, the engine puts right.
    let merge = MergeFeed::new(parts?, Span(lateness.0 / 2));
    Ok(match speed {
        Some(speed) => Box::new(merge.at_speed(speed)),
        None => Box::new(merge),
    })
}

fn file(path: &Path, whose: Whose<'_>) -> Result<Box<dyn Source>> {
    let usage = |message: String| UsageError(message);
    if path == Path::new(STDIN) {
        return Ok(Box::new(StdinSource::new(StdinConfig::new(whose.tenant))?));
    }
    if path.is_dir() {
        let message = format!("`{}` is a folder without a journal: name its files", path.display());
        return Err(usage(message).into());
    }
    let mut config = FilesConfig::new(whose.tenant, vec![path.display().to_string()]);
    config.name = path.display().to_string();
    config.lines.entity = whose.writer_of(path);
    config.format_of(path).map_err(|error| usage(error.to_string()))?;
    config.files().map_err(|error| usage(error.to_string()))?;
    config.check().map_err(|error| usage(error.to_string()))?;
    Ok(Box::new(FilesSource::new(config)?))
}

/// The incident stream at a server.
///
/// # Errors
/// When no server answers, or it is too old.
pub(super) async fn nats_sink(url: &str) -> Result<Box<dyn Sink>> {
    let connection = NatsConnection { servers: vec![url.to_owned()], ..NatsConnection::default() };
    let sink = NatsSink::open(NatsSinkConfig { connection, ..NatsSinkConfig::default() }).await?;
    Ok(Box::new(sink))
}

/// Checks that every receiver has everything: a log in memory ends with the process.
///
/// # Errors
/// Names the first that has not, and why.
pub(super) fn all_delivered(readers: &[ReaderTotals]) -> Result<()> {
    match readers.iter().find(|reader| reader.left > 0) {
        Some(reader) => {
            let reason = reader.reason.as_deref().unwrap_or("there was no more time");
            anyhow::bail!("`{}` has not got {} events: {reason}", reader.name, reader.left)
        }
        None => Ok(()),
    }
}

/// Says on stderr which rows were refused, by reason, and shows the first.
///
/// # Errors
/// When stderr cannot be written.
pub(super) fn report_rejects(rejects: &RejectLog) -> std::io::Result<()> {
    use std::io::Write as _;
    if rejects.total() == 0 {
        return Ok(());
    }
    let mut out = std::io::stderr().lock();
    let counts = rejects.counts();
    let by_reason: Vec<String> =
        counts.iter().map(|((source, reason), count)| format!("{count} {} ({source})", reason.name())).collect();
    writeln!(out, "{} rows were refused: {}", rejects.total(), by_reason.join(", "))?;
    if let Some(first) = rejects.first() {
        writeln!(out, "  the first: {first}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_of_log_lines_is_named_or_told_by_their_file() {
        let of = |entity, path: &str| Whose { tenant: "t", entity }.writer_of(Path::new(path));
        assert_eq!(of(None, "logs/shop.log.gz"), "service:shop");
        assert_eq!(
            (of(Some("host:db-1"), "shop.log"), of(Some("db"), "shop.log")),
            ("host:db-1".to_owned(), "service:db".to_owned())
        );
    }
}
