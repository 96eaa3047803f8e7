//! A reader of the log: which sink it is in front of, and where it begins.

use std::path::Path;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;

use super::cursor::{Cursor, CursorError, CursorFile, Parked};
use super::dead_letters::DeadLetters;
use super::delivery::{Deadline, Delivery, ReaderTotals};
use super::log::IncidentLog;
use super::readers::Readers;
use super::receiver::Receiver;
use crate::intake::arrival_time;
use crate::journal::Position;
use crate::sinks::{Order, Outgoing, Sink, SinkConfig, SinkError};

/// A reader that has not begun. Clones deliver to the same sink, each from a log of its own.
#[derive(Clone)]
pub struct Reader(Receiver);

impl Reader {
    /// For a sink that is open, whose receiver forgets what it has got.
    pub fn of(sink: Box<dyn Sink>) -> Reader {
        Reader(Receiver::of(sink))
    }

    /// For a configured sink. A receiver that is away is opened later.
    ///
    /// # Errors
    /// [`SinkError`] when what is configured cannot work.
    pub async fn configured(config: SinkConfig) -> Result<Reader, SinkError> {
        Ok(Reader(Receiver::configured(config).await?))
    }

    /// The same for a receiver that knows what it has, or does not, and is given up after so long.
    #[must_use]
    pub fn with(mut self, remembers: bool, give_up_after: Duration) -> Reader {
        (self.0.remembers, self.0.give_up_after) = (remembers, give_up_after);
        self
    }

    /// The same with another limit for an attempt.
    #[cfg(test)]
    pub(super) fn with_attempt_max(mut self, attempt_max: Duration) -> Reader {
        self.0.attempt_max = attempt_max;
        self
    }

    /// The same for a receiver that wants these revisions.
    #[must_use]
    pub fn with_order(mut self, order: Order) -> Reader {
        self.0.order = order;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Begins where the cursor in `folder` says; without a folder at the log's end, and nothing is kept.
    /// Where it begins is on disk when this returns: what comes is for it, whatever happens. The task is the caller's.
    ///
    /// `end` says after which record nothing follows; `told` sees every delivered batch.
    ///
    /// # Errors
    /// [`CursorError::Io`] when the disk does not take a new reader's cursor.
    pub fn begin(
        self,
        log: &IncidentLog,
        readers: &Readers,
        folder: Option<&Path>,
        end: watch::Receiver<Option<Position>>,
        deadline: Deadline,
        told: impl Fn(&[Outgoing]) + Send + 'static,
    ) -> Result<BoxFuture<'static, ReaderTotals>, CursorError> {
        let Resumed { cursor, kept, is_new } = self.resume(log, folder);
        let file = folder.map(|folder| CursorFile::new(folder, &self.0.name));
        match file.as_ref().filter(|_| kept) {
            Some(file) if is_new => file.save(&cursor)?,
            Some(file) => file.settle()?,
            None => {}
        }
        let place = readers.add(&self.0.name, Position(cursor.position));
        let delivery = Delivery {
            entries: None,
            folder: folder.map(Path::to_owned),
            file,
            dead_letters: folder.map(|folder| DeadLetters::new(folder, &self.0.name)),
            receiver: self.0,
            log: log.clone(),
            readers: readers.clone(),
            place,
            cursor,
            kept,
            end,
            deadline,
            told: Box::new(told),
            began: ReaderTotals::default(),
        };
        Ok(Box::pin(delivery.run()))
    }

    /// Where it goes on. A cursor that says nothing about this log stays as it is until a person has decided.
    fn resume(&self, log: &IncidentLog, folder: Option<&Path>) -> Resumed {
        let now = arrival_time();
        let at = |position: Position| Cursor::new(&self.0.name, log.identity(), position, now);
        let going_on = |cursor: Cursor| Resumed { cursor, kept: true, is_new: false };
        let anew = |position: Position| Resumed { cursor: at(position), kept: true, is_new: true };
        let Some(folder) = folder else { return Resumed { kept: false, ..anew(log.end()) } };
        let oldest = Position(log.first().0.saturating_sub(1));
        let loaded = CursorFile::new(folder, &self.0.name).load();
        let checked = loaded.and_then(|cursor| cursor.map(|c| c.check(log).map(|()| c)).transpose());
        match checked {
            Ok(Some(cursor)) if cursor.position < oldest.0 && cursor.parked.is_none() => {
                let (reader, at, first) = (self.0.name.clone(), cursor.position, log.first().0);
                let reason = CursorError::Gone { reader, at, first }.to_string();
                tracing::error!(reader = self.0.name, reason);
                going_on(Cursor { parked: Some(Parked { reason, since: now }), ..cursor })
            }
            Ok(Some(cursor)) => going_on(cursor),
            Ok(None) if self.0.remembers => anew(oldest),
            // A receiver that is new hears of what comes, not of a past that others have seen.
            Ok(None) => anew(log.end()),
            Err(error) if self.0.remembers && !matches!(error, CursorError::Io { .. }) => {
                tracing::warn!(%error, "the receiver knows what it has: everything in the log is offered again");
                anew(oldest)
            }
            Err(error) => {
                tracing::error!(%error, "the reader waits for a person");
                let parked = Some(Parked { reason: error.to_string(), since: now });
                Resumed { cursor: Cursor { parked, ..at(oldest) }, kept: false, is_new: false }
            }
        }
    }
}

/// Where a reader goes on.
struct Resumed {
    cursor: Cursor,
    /// Whether the cursor's file may be written.
    kept: bool,
    /// Whether the file says something else, or nothing.
    is_new: bool,
}
