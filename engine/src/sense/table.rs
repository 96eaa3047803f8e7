//! The shards of one tenant: its metric series and log streams with what watches them.

use std::sync::Arc;

use serde::Deserialize;

use super::compiled::CompiledSense;
use super::conventions::own_hash;
use super::line::LogLine;
use super::logs::LogShard;
use super::meta::{SeriesMeta, SeriesView};
use super::metrics::MetricShard;
use super::partners::Limits;
use super::sample::Sample;
#[cfg(test)]
use crate::pieces::Piece;
use crate::pieces::Pieces;
use crate::time::{EventTime, Span};

/// Logical shards per tenant. More than any machine has cores, few enough that empty ones cost
/// nothing; part of the checkpoint format.
const SHARDS: usize = 64;

/// The shard of a series or log stream.
pub(super) fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

/// Series and streams of one tenant. A checkpoint holds its fields in this order; [`write`](Shards::write) puts them
/// there.
#[derive(Debug, Deserialize)]
pub(crate) struct Shards {
    pub(super) metrics: Vec<MetricShard>,
    pub(super) logs: Vec<LogShard>,
    /// What series tell of the limits of others.
    pub(super) limits: Limits,
    series_count: usize,
    /// About how many bytes the series come to take.
    #[serde(skip)]
    series_bytes: usize,
    /// By which of the product's conventions the series are read.
    conventions: u64,
}

impl Default for Shards {
    fn default() -> Shards {
        Shards {
            metrics: (0..SHARDS).map(|_| MetricShard::default()).collect(),
            logs: (0..SHARDS).map(|_| LogShard::default()).collect(),
            limits: Limits::default(),
            series_count: 0,
            series_bytes: 0,
            conventions: own_hash(),
        }
    }
}

impl Shards {
    /// Reads the series of a checkpoint by this product's conventions, where it was written by another's.
    pub(crate) fn adopt(&mut self, sense: &CompiledSense) {
        if self.conventions == own_hash() {
            return;
        }
        self.conventions = own_hash();
        self.metrics.iter_mut().for_each(|shard| shard.adopt(sense));
        self.weigh();
    }

    /// Writes them for a checkpoint of `tenant`; the series of each shard are a piece of their own.
    pub(crate) fn write(&self, pieces: &mut Pieces, tenant: &Arc<str>) {
        pieces.count(self.metrics.len());
        for (number, shard) in self.metrics.iter().enumerate() {
            shard.write(pieces, tenant, number);
        }
        pieces.put(&self.logs);
        pieces.put(&self.limits);
        pieces.put(&self.series_count);
        pieces.put(&self.conventions);
    }

    /// From here on, what series are now is kept until it is written.
    pub(crate) fn keep(&mut self) {
        self.metrics.iter_mut().for_each(MetricShard::keep);
    }

    /// What was kept is not needed.
    pub(crate) fn let_go(&mut self) {
        self.metrics.iter_mut().for_each(MetricShard::let_go);
    }

    /// The series of a shard as they are.
    pub(crate) fn write_series(&self, shard: usize) -> Vec<u8> {
        self.metrics[shard].write_series()
    }

    /// Writes up to `most` further series of a shard as they were when [`keep`](Self::keep) was called. Answers all of
    /// them once there are no more.
    pub(crate) fn take_series(&mut self, shard: usize, most: usize) -> Option<Vec<u8>> {
        self.metrics[shard].take_series(most)
    }

    /// As a checkpoint holds them.
    #[cfg(test)]
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut pieces = Pieces::default();
        self.write(&mut pieces, &"any".into());
        let bytes = pieces.into_list().into_iter().flat_map(|piece| match piece {
            Piece::Written(bytes) => bytes,
            Piece::Series(_, shard) => self.write_series(shard),
        });
        bytes.collect()
    }

    /// Rebuilds what a checkpoint leaves out.
    pub(crate) fn revive(&mut self) {
        self.logs.iter_mut().for_each(LogShard::revive);
        self.weigh();
    }

    /// Weighs every series anew.
    pub(super) fn weigh(&mut self) {
        self.series_bytes = self.metrics.iter().map(MetricShard::series_bytes).sum();
    }

    /// About how many bytes the series come to take.
    pub(crate) fn series_bytes(&self) -> usize {
        self.series_bytes
    }

    /// About how many bytes log streams and templates take.
    pub(crate) fn log_bytes(&self) -> usize {
        self.logs.iter().map(LogShard::bytes).sum()
    }

    /// About how many bytes samples and log lines take that wait for the watermark.
    pub(crate) fn waiting_bytes(&self) -> usize {
        let metrics: usize = self.metrics.iter().map(MetricShard::pending_bytes).sum();
        let logs: usize = self.logs.iter().map(|shard| shard.pending().bytes()).sum();
        metrics + logs
    }

    /// Whether a series is described.
    pub(crate) fn knows(&self, series: u64) -> bool {
        self.metrics[shard_of(series)].knows(series)
    }

    /// Describes a series unless it is known; answers `false` when there are too many.
    pub(crate) fn describe(
        &mut self,
        series: u64,
        meta: impl FnOnce() -> SeriesMeta,
        sense: &CompiledSense,
        series_max: usize,
    ) -> bool {
        let shard = &mut self.metrics[shard_of(series)];
        if shard.knows(series) {
            return true;
        }
        if self.series_count >= series_max {
            return false;
        }
        self.series_count += 1;
        self.series_bytes += shard.describe(series, meta, sense);
        true
    }

    /// A sample waits for the watermark.
    pub(crate) fn push_sample(&mut self, sample: Sample) {
        self.metrics[shard_of(sample.series)].push(sample);
    }

    /// A late sample waits, to act as of `acts` although it is older.
    pub(crate) fn push_late(&mut self, acts: EventTime, sample: Sample) {
        self.metrics[shard_of(sample.series)].push_late(acts, sample);
    }

    /// What a series is that is known.
    pub(crate) fn described(&self, series: u64) -> Option<&SeriesMeta> {
        self.metrics[shard_of(series)].described(series)
    }

    /// So much time has passed in which nobody listened: nobody was silent.
    pub(crate) fn pass_over(&mut self, unknown: Span) {
        self.metrics.iter_mut().for_each(|shard| shard.pass_over(unknown));
    }

    /// A log line waits for the watermark.
    pub(crate) fn push_line(&mut self, line: LogLine) {
        self.logs[shard_of(line.stream())].push(line);
    }

    /// The log lines that wait, shard by shard.
    pub(crate) fn waiting_lines(&self) -> impl Iterator<Item = &LogLine> {
        self.logs.iter().flat_map(|shard| shard.pending().iter())
    }

    /// Samples and log lines that wait for the watermark.
    pub(crate) fn waiting(&self) -> usize {
        let metrics: usize = self.metrics.iter().map(MetricShard::pending).sum();
        let logs: usize = self.logs.iter().map(|shard| shard.pending().len()).sum();
        metrics + logs
    }

    /// About how many samples and log lines act before `until`.
    pub(super) fn due(&self, until: EventTime) -> usize {
        let metrics: usize = self.metrics.iter().map(|shard| shard.due(until)).sum();
        let logs: usize = self.logs.iter().map(|shard| shard.pending().due(until)).sum();
        metrics + logs
    }

    /// What a series is.
    pub(crate) fn meta(&self, series: u64) -> Option<SeriesView<'_>> {
        self.metrics[shard_of(series)].meta(series)
    }

    /// Metric series with state.
    pub(crate) fn series(&self) -> usize {
        self.metrics.iter().map(MetricShard::series_count).sum()
    }

    /// Log streams with state.
    pub(crate) fn streams(&self) -> usize {
        self.logs.iter().map(LogShard::stream_count).sum()
    }

    /// Log templates.
    pub(crate) fn templates(&self) -> usize {
        self.logs.iter().map(LogShard::template_count).sum()
    }

    /// What log streams, templates and lines found no room.
    pub(crate) fn evicted(&self) -> u64 {
        self.logs.iter().map(LogShard::evicted).sum()
    }
}
