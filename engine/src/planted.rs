//! Bugs that tests plant, to see that they are met or found. Builds without debug assertions, which all that are
//! handed out are, know none.

#[cfg(debug_assertions)]
use std::cell::Cell;

/// Of this tenant alone panics are planted.
#[cfg(debug_assertions)]
const TENANT: &str = "planted";

/// Panics when `what` of the tenant `planted` names the entity `service:panic-in-<stage>`.
#[cfg(debug_assertions)]
pub(crate) fn panic_if_planted(stage: &str, tenant: &str, what: &dyn std::fmt::Debug) {
    if tenant == TENANT && format!("{what:?}").contains(&format!("service:panic-in-{stage}")) {
        panic!("planted in {stage}");
    }
}

#[cfg(not(debug_assertions))]
pub(crate) fn panic_if_planted(_: &str, _: &str, _: &dyn std::fmt::Debug) {}

/// Makes the list of bugs.
macro_rules! bugs {
    ($($(#[$doc:meta])* $bug:ident,)*) => {
        /// A bug that is planted where its name stands in the code, for one thread.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Bug { $($(#[$doc])* $bug,)* }

        impl Bug {
            /// Every one.
            pub const ALL: &[Bug] = &[$(Bug::$bug,)*];
        }
    };
}

bugs! {
    /// The journal answers before the write is on disk.
    AnswerBeforeSync,
    /// A new segment is in its folder only in memory.
    SegmentNotInFolder,
    /// The journal drops its newest segment before there is another.
    NewestDropped,
    /// The journal drops segments that nobody has released.
    UnreleasedDropped,
    /// A source's cursor is not written beside its entries.
    MarkNotWritten,
    /// What is left of a write that a crash interrupted counts.
    HalfWriteKept,
    /// A torn tail is not cut before the next write.
    TornTailKept,
    /// A reader passes over the first entry of a segment.
    SegmentBeginSkipped,
    /// The journal's receipts are not read back.
    ReceiptsForgotten,
    /// A write's receipt is not written beside it.
    ReceiptNotWritten,
    /// A new segment does not repeat the receipts of those before.
    ReceiptsNotCarriedOn,
    /// A source's cursor is not repeated in a new segment.
    MarksNotCarriedOn,
    /// A key stays claimed although its write failed.
    ClaimOfFailedWrite,
    /// Who sends what is being stored is told that it is.
    BusyTakenForStored,
    /// A file takes its place before its bytes are on disk.
    ReplacedBeforeSync,
    /// A file takes its place in memory only.
    ReplacedNotInFolder,
    /// Entries that an older checkpoint needs are released.
    ReleasedTooFar,
    /// A checkpoint counts before the incident log is as far.
    CheckpointBeforeLog,
    /// A checkpoint says that it is one entry further than it is.
    CheckpointAhead,
    /// A checkpoint says that it is one entry less far than it is.
    CheckpointBehind,
    /// A checkpoint leaves out what waits for the watermark.
    WaitingNotSaved,
    /// What the engine tells again after a restart is logged again.
    ToldAgainLogged,
    /// The log says how far the engine is before it has the events.
    MarkBeforeEvents,
    /// The log counts as written before it is.
    LoggedBeforeWritten,
    /// Events for which the log has no room are let go.
    DroppedWhenFull,
    /// The log lets go of what only the fastest reader has.
    ReleasedByFastest,
    /// A cursor moves before its events are delivered.
    CursorBeforeDelivery,
    /// A cursor is not saved after a delivery.
    CursorNotSaved,
    /// An attempt that failed counts as a delivery.
    FailureTakenForDelivery,
    /// An attempt that failed is repeated without its first event.
    RetryWithoutFirst,
    /// A receiver that wants every revision gets the newest.
    OlderRevisionsPassedOver,
    /// A late alert is left out.
    LateLeftOut,
    /// A late alert acts before what has been processed.
    LateActsInThePast,
    /// The watermark of every tenant is that of the fastest.
    WatermarkOfTheFastest,
    /// A tick moves no watermark.
    TickIgnored,
}

#[cfg(debug_assertions)]
thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// Plants `bug` in everything that happens on this thread from here on, in the place of the one before.
#[cfg(debug_assertions)]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether `bug` is planted on this thread.
#[cfg(debug_assertions)]
pub fn has(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether `bug` is planted on this thread: never.
#[cfg(not(debug_assertions))]
pub const fn has(_: Bug) -> bool {
    false
}
