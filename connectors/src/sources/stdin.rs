//! Standard input: rows or lines from another program, to its end.
//!
//! Nothing can be read twice from a pipe, so there is no cursor: what was not yet in the
//! journal when the process died is lost with the pipe.

use std::sync::Arc;

use bellwether_engine::input::Input;
use bellwether_engine::signal::check_tenant;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::declared::{Found, Probe};
use crate::decode::split::{LINE_BYTES_MAX, Piece, Splitter};
use crate::decode::{Format, LineDecoder, LinesConfig, RowsConfig};
use crate::intake::reject::{BadRow, Reason};
use crate::intake::text::check_encoding;
use crate::intake::{Intake, Source, SourceError, Stop, arrival_time};
use crate::resolve::entity_resolution::EntityResolver;
use crate::sources::DeclaredSource;

/// Bytes read at a time; what one read brings becomes one group.
const READ_BYTES: usize = 256 << 10;

/// How to read standard input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StdinConfig {
    /// Name in logs.
    #[serde(default = "default_name")]
    pub name: String,
    /// Whose signals these are.
    pub tenant: String,
    /// `ndjson`, `csv` or `lines`.
    #[serde(default = "default_format")]
    pub format: Format,
    /// How rows become signals.
    #[serde(default)]
    pub rows: RowsConfig,
    /// How plain log lines become signals.
    #[serde(default)]
    pub lines: LinesConfig,
}

fn default_name() -> String {
    "stdin".to_owned()
}

fn default_format() -> Format {
    Format::Ndjson
}

impl StdinConfig {
    /// NDJSON of `tenant`.
    pub fn new(tenant: &str) -> StdinConfig {
        StdinConfig {
            name: default_name(),
            tenant: tenant.to_owned(),
            format: default_format(),
            rows: RowsConfig::default(),
            lines: LinesConfig::default(),
        }
    }
}

impl DeclaredSource for StdinConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        format!("{}: standard input", self.name)
    }

    fn probe(&self) -> Probe<'_> {
        Some(Box::pin(async { Ok(Found::of("standard input")) }))
    }

    fn build(&self, _: &Arc<EntityResolver>) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(StdinSource::new(self.clone())?))
    }
}

/// Standard input as a source.
pub struct StdinSource {
    config: StdinConfig,
    decoder: LineDecoder,
}

impl StdinSource {
    /// A source.
    ///
    /// # Errors
    /// [`SourceError::Config`] naming the key.
    pub fn new(config: StdinConfig) -> Result<StdinSource, SourceError> {
        let wrong = |reason: String| SourceError::config(&config.name, reason);
        check_tenant(&config.tenant).map_err(|e| wrong(e.to_string()))?;
        if config.format == Format::Lines && config.lines.entity.is_empty() {
            return Err(wrong("`lines.entity` is missing: who writes the log, `type:name`".to_owned()));
        }
        let decoder = LineDecoder::new(config.format, &config.rows, &config.lines).map_err(|e| wrong(e.to_string()))?;
        Ok(StdinSource { config, decoder })
    }
}

impl Source for StdinSource {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn run(self: Box<Self>, intake: Intake, stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(self.read_from(tokio::io::stdin(), intake, stop))
    }
}

impl StdinSource {
    async fn read_from(
        mut self: Box<Self>,
        mut input: impl AsyncRead + Unpin,
        intake: Intake,
        mut stop: Stop,
    ) -> Result<(), SourceError> {
        let mut splitter = Splitter::new(self.decoder.quoted());
        let mut buffer = vec![0; READ_BYTES];
        let mut line = 0;
        loop {
            let read = tokio::select! {
                read = input.read(&mut buffer) => read,
                () = stop.stopped() => return Ok(()),
            };
            let read = read.map_err(|e| SourceError::input(&self.config.name, e.to_string()))?;
            let mut broken = None;
            let mut take = |piece: Piece<'_>| {
                line += 1;
                if broken.is_none() {
                    broken = self.take(piece, line, &intake).err();
                }
            };
            match read {
                0 => splitter.finish(&mut take),
                _ => splitter.push(&buffer[..read], |piece, _| take(piece)),
            }
            if let Some(bad) = broken {
                return Err(SourceError::input(&self.config.name, bad.to_string()));
            }
            let inputs: Vec<Input> = self.decoder.signals().take_inputs(&self.config.tenant);
            if !inputs.is_empty() {
                let accepted = intake.accept(&inputs, None).await;
                accepted.map_err(|e| SourceError::accept(&self.config.name, e))?;
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Decodes a line; an error means that no line can be decoded.
    fn take(&mut self, piece: Piece<'_>, line: u64, intake: &Intake) -> Result<(), BadRow> {
        if let Piece::Line(head) | Piece::TooLong(head, _) = piece
            && line == 1
        {
            check_encoding(head)?;
        }
        let (bytes, result) = match piece {
            Piece::TooLong(head, bytes) => {
                let detail = format!("the line has {bytes} bytes, at most {LINE_BYTES_MAX} are read");
                (head, Err(BadRow::new(Reason::TooLong, "", detail)))
            }
            Piece::Line(bytes) if line == 1 && self.decoder.has_header() => {
                return self.decoder.header(bytes);
            }
            Piece::Line(bytes) => (bytes, self.decoder.line(bytes, arrival_time())),
        };
        if let Err(bad) = result {
            intake.reject(&bad.at(&self.config.name, "stdin", line, bytes));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::signal::SignalKind;

    use super::*;
    use crate::intake::reject::RejectLog;
    use crate::intake::stop_pair;
    use crate::journal::{JournalConfig, LocalJournal};

    #[tokio::test]
    async fn rows_are_accepted_and_bad_ones_counted() {
        let dir = tempfile::tempdir().expect("a folder");
        let (journal, _) = LocalJournal::open(&JournalConfig::new(dir.path())).expect("opens");
        let intake = Intake::new(Arc::new(journal), RejectLog::counting());
        let source: StdinConfig = serde_json::from_str(r#"{"tenant":"acme","format":"csv","rows":{"signal":"log"}}"#)
            .expect("a configuration");
        let source = Box::new(StdinSource::new(source).expect("a source"));
        let text = b"time,entity,body\n1772359200,host:a,\"two\nlines\"\n5,host:a,x\n1772359200,host:a,last";
        let (_stopper, stop) = stop_pair();
        source.read_from(&text[..], intake.clone(), stop).await.expect("reads");
        assert_eq!(intake.counts().rows(SignalKind::Log), 2);
        let rejection = intake.rejects().first().expect("a rejection");
        assert_eq!((rejection.row, rejection.column.as_str()), (3, "time"));
    }
}
