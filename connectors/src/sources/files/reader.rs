//! One file, chunk by chunk: blocking, and without a journal, so that a replay uses it too.

use std::fs::{File, Metadata};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bellwether_engine::signal::Batch;
use bellwether_engine::time::EventTime;
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use super::{FilesConfig, FilesError};
use crate::decode::parquet::ParquetDecoder;
use crate::decode::split::{LINE_BYTES_MAX, Piece, Splitter};
use crate::decode::{DecoderError, Format, LineDecoder};
use crate::intake::arrival_time;
use crate::intake::reject::{BadRow, Reason, Rejection};
use crate::intake::text::check_encoding;

/// Rows that make a chunk: large enough to amortise a batch, small enough to be prompt.
const CHUNK_ROWS: usize = 8_192;
/// Bytes that make a chunk, however few rows they are.
const CHUNK_BYTES: u64 = 8 << 20;
/// Bytes read at a time.
const READ_BYTES: usize = 256 << 10;

/// Rows of a file.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// What was decoded.
    pub batches: Vec<Batch>,
    /// What could not be.
    pub rejections: Vec<Rejection>,
    /// Where the file was read to, for [`FileReader::open`].
    pub cursor: Vec<u8>,
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It is not there.
    #[error("`{path}`: no such file")]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// What is in it cannot be read from here on.
    #[error("{0}")]
    Bad(Box<Rejection>),
    /// The configuration does not fit it.
    #[error(transparent)]
    Config(#[from] FilesError),
    /// Its lines cannot be decoded.
    #[error(transparent)]
    Decoder(#[from] DecoderError),
    /// The system refuses to read it.
    #[error("`{path}` cannot be read: {reason}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

/// What a cursor holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cursor {
    /// Which file it was: a file of the same name may be another one.
    inode: u64,
    /// Bytes read, unpacked; rows for Parquet.
    offset: u64,
    /// Lines read.
    line: u64,
}

/// Reads one file.
pub(crate) struct FileReader {
    source: String,
    tenant: String,
    path: PathBuf,
    cursor: Cursor,
    follow: bool,
    body: Body,
}

enum Body {
    Lines(Box<Lines>),
    Parquet(Box<ParquetDecoder>),
}

struct Lines {
    input: Input,
    decoder: LineDecoder,
    splitter: Splitter,
    buffer: Vec<u8>,
    /// The part of `buffer` that is not split yet.
    unread: std::ops::Range<usize>,
    /// Where in the file the bytes handed to the splitter end.
    split_to: u64,
    header_read: bool,
    ended: bool,
}

enum Input {
    Plain(File),
    Gz(Box<MultiGzDecoder<BufReader<File>>>),
    /// It cannot be read further.
    Ended,
}

impl Read for Input {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Input::Plain(file) => file.read(out),
            Input::Gz(decoder) => decoder.read(out),
            Input::Ended => Ok(0),
        }
    }
}

impl FileReader {
    /// Opens `path`, and goes on at `cursor` when that is of the same file.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn open(config: &FilesConfig, path: &Path, cursor: Option<&[u8]>) -> Result<FileReader, FileError> {
        let format = config.format_of(path)?;
        let file = File::open(path).map_err(|e| io_error(path, &e))?;
        let metadata = file.metadata().map_err(|e| io_error(path, &e))?;
        let packed = path.extension().is_some_and(|e| e == "gz");
        if config.follow && (packed || format == Format::Parquet) {
            return Err(FilesError::Followed { path: path.to_owned() }.into());
        }
        let from = resume(cursor, &metadata, packed || format == Format::Parquet);
        let mut reader = FileReader {
            source: config.name.clone(),
            tenant: config.tenant.clone(),
            path: path.to_owned(),
            cursor: Cursor { inode: metadata.ino(), ..Cursor::default() },
            follow: config.follow,
            body: match format {
                Format::Parquet => parquet_body(config, path, file, &metadata)?,
                format => lines_body(config, format, file, packed)?,
            },
        };
        reader.skip_to(from)?;
        Ok(reader)
    }

    /// The next rows; `None` at the end of the file, or for now when it is followed.
    ///
    /// # Errors
    /// [`FileError`]; the file cannot be read further.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Chunk>, FileError> {
        match &mut self.body {
            Body::Parquet(_) => self.next_parquet(),
            Body::Lines(_) => self.next_lines(self.follow),
        }
    }

    /// The last line of a followed file that has been replaced, which has no line break.
    ///
    /// # Errors
    /// [`FileError`].
    pub(crate) fn finish(&mut self) -> Result<Option<Chunk>, FileError> {
        self.next_lines(false)
    }

    /// True when the path now is another file, or the file became shorter.
    pub(crate) fn replaced(&self) -> bool {
        match std::fs::metadata(&self.path) {
            Ok(now) => now.ino() != self.cursor.inode || now.len() < self.cursor.offset,
            Err(_) => true,
        }
    }

    fn next_parquet(&mut self) -> Result<Option<Chunk>, FileError> {
        let Body::Parquet(decoder) = &mut self.body else {
            return Ok(None);
        };
        let chunk = match decoder.next_chunk() {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return Ok(None),
            Err(bad) => return Err(FileError::Bad(Box::new(self.whole(bad)))),
        };
        self.cursor.offset = chunk.rows;
        let rejections = chunk.bad.into_iter().map(|(row, bad)| self.place(bad, row, &[])).collect();
        Ok(Some(Chunk { batches: chunk.batches, rejections, cursor: self.cursor_bytes() }))
    }

    fn next_lines(&mut self, growing: bool) -> Result<Option<Chunk>, FileError> {
        let arrival = arrival_time();
        let mut rejections = Vec::new();
        let before = self.cursor;
        loop {
            let Body::Lines(lines) = &mut self.body else {
                return Ok(None);
            };
            let full = lines.decoder.signals().len() >= CHUNK_ROWS
                || rejections.len() >= CHUNK_ROWS
                || self.cursor.offset.saturating_sub(before.offset) >= CHUNK_BYTES;
            if full {
                break;
            }
            if lines.unread.is_empty() {
                let read = lines.fill();
                match read {
                    Ok(true) => {}
                    Ok(false) if growing || lines.ended => break,
                    Ok(false) => {
                        lines.ended = true;
                        let mut pieces = Vec::new();
                        let end = lines.split_to;
                        lines.splitter.finish(|piece| pieces.push(own(piece, end)));
                        for piece in pieces {
                            self.cursor.offset = piece.end;
                            self.take(piece, arrival, &mut rejections)?;
                        }
                        break;
                    }
                    // A packed file that is cut short: what came before is good.
                    Err(error) => {
                        let at = self.cursor.line + 1;
                        let bad = BadRow::new(
                            Reason::Syntax,
                            "",
                            format!("the file cannot be read beyond this line: {error}"),
                        );
                        rejections.push(self.place(bad, at, &[]));
                        self.end();
                        break;
                    }
                }
            }
            self.split(arrival, &mut rejections)?;
        }
        let tenant = self.tenant.clone();
        let Body::Lines(lines) = &mut self.body else {
            return Ok(None);
        };
        let batches = lines.decoder.take(&tenant);
        if batches.is_empty() && rejections.is_empty() && before == self.cursor {
            return Ok(None);
        }
        Ok(Some(Chunk { batches, rejections, cursor: self.cursor_bytes() }))
    }

    /// Splits what was read, until the chunk is full.
    fn split(&mut self, arrival: EventTime, rejections: &mut Vec<Rejection>) -> Result<(), FileError> {
        let Body::Lines(lines) = &mut self.body else {
            return Ok(());
        };
        let room = CHUNK_ROWS.saturating_sub(lines.decoder.signals().len());
        let mut pieces = Vec::new();
        let range = lines.unread.clone();
        let bytes = &lines.buffer[range.clone()];
        // Small steps, so that a chunk does not grow beyond its size by a whole buffer.
        let step = nth_line_end(bytes, room).unwrap_or(bytes.len());
        let base = lines.split_to;
        lines.splitter.push(&bytes[..step], |piece, used| pieces.push(own(piece, base + used as u64)));
        lines.split_to += step as u64;
        lines.unread = range.start + step..range.end;
        for piece in pieces {
            self.cursor.offset = piece.end;
            self.take(piece, arrival, rejections)?;
        }
        Ok(())
    }

    fn take(&mut self, piece: Owned, arrival: EventTime, rejections: &mut Vec<Rejection>) -> Result<(), FileError> {
        self.cursor.line += 1;
        let line = self.cursor.line;
        if line == 1
            && let Err(bad) = check_encoding(&piece.line)
        {
            return Err(FileError::Bad(Box::new(self.place(bad, 0, &piece.line))));
        }
        let Body::Lines(lines) = &mut self.body else {
            return Ok(());
        };
        if let Some(bytes) = piece.too_long {
            let detail = format!("the line has {bytes} bytes, at most {LINE_BYTES_MAX} are read");
            rejections.push(self.place(BadRow::new(Reason::TooLong, "", detail), line, &piece.line));
            return Ok(());
        }
        if lines.decoder.has_header() && !lines.header_read {
            lines.header_read = true;
            return match lines.decoder.header(&piece.line) {
                Ok(()) => Ok(()),
                Err(bad) => Err(FileError::Bad(Box::new(self.place(bad, line, &piece.line)))),
            };
        }
        if let Err(bad) = lines.decoder.line(&piece.line, arrival) {
            rejections.push(self.place(bad, line, &piece.line));
        }
        Ok(())
    }

    /// Goes to where an earlier reader stopped, without decoding again.
    fn skip_to(&mut self, from: Cursor) -> Result<(), FileError> {
        if from.offset == 0 {
            return Ok(());
        }
        match &mut self.body {
            Body::Parquet(_) => while self.cursor.offset < from.offset && self.next_parquet()?.is_some() {},
            Body::Lines(lines) if lines.decoder.has_header() => {
                // The header is needed; only a file's beginning has it.
                let mut rejections = Vec::new();
                while self.cursor.line == 0 {
                    let Body::Lines(lines) = &mut self.body else {
                        break;
                    };
                    if !lines.fill().map_err(|e| io_error(&self.path, &e))? {
                        break;
                    }
                    let bytes = &lines.buffer[lines.unread.clone()];
                    let step = nth_line_end(bytes, 1).unwrap_or(bytes.len());
                    lines.unread.end = lines.unread.start + step;
                    self.split(EventTime::MIN, &mut rejections)?;
                }
                self.seek(from)?;
            }
            Body::Lines(_) => self.seek(from)?,
        }
        Ok(())
    }

    fn seek(&mut self, from: Cursor) -> Result<(), FileError> {
        let path = self.path.clone();
        let Body::Lines(lines) = &mut self.body else {
            return Ok(());
        };
        let result = match &mut lines.input {
            Input::Plain(file) => file.seek(SeekFrom::Start(from.offset)).map(|_| ()),
            Input::Ended => Ok(()),
            Input::Gz(_) => {
                // A packed stream can only be read; what the header took is read already.
                let file = File::open(&path).map_err(|e| io_error(&path, &e))?;
                let mut fresh = MultiGzDecoder::new(BufReader::new(file));
                let skipped = std::io::copy(&mut (&mut fresh).take(from.offset), &mut std::io::sink());
                lines.input = Input::Gz(Box::new(fresh));
                skipped.map(|_| ())
            }
        };
        result.map_err(|e| io_error(&path, &e))?;
        lines.splitter.clear();
        lines.unread = 0..0;
        lines.split_to = from.offset;
        self.cursor.offset = from.offset;
        self.cursor.line = from.line;
        Ok(())
    }

    fn end(&mut self) {
        if let Body::Lines(lines) = &mut self.body {
            lines.ended = true;
            lines.unread = 0..0;
            lines.splitter.clear();
            lines.input = Input::Ended;
        }
    }

    fn place(&self, bad: BadRow, row: u64, raw: &[u8]) -> Rejection {
        bad.at(&self.source, &self.path.display().to_string(), row, raw)
    }

    fn whole(&self, bad: BadRow) -> Rejection {
        self.place(bad, 0, &[])
    }

    fn cursor_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.cursor).expect("numbers are JSON")
    }
}

impl Lines {
    /// Reads more; false at the end of what is there.
    fn fill(&mut self) -> std::io::Result<bool> {
        self.buffer.resize(READ_BYTES, 0);
        let read = self.input.read(&mut self.buffer)?;
        self.unread = 0..read;
        Ok(read > 0)
    }
}

/// A piece that outlives the splitter's borrow.
struct Owned {
    line: Vec<u8>,
    too_long: Option<u64>,
    /// Where in the file it ends.
    end: u64,
}

fn own(piece: Piece<'_>, end: u64) -> Owned {
    match piece {
        Piece::Line(line) => Owned { line: line.to_vec(), too_long: None, end },
        Piece::TooLong(head, bytes) => Owned { line: head.to_vec(), too_long: Some(bytes), end },
    }
}

/// The index after the `n`th line break.
fn nth_line_end(bytes: &[u8], n: usize) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).nth(n.max(1) - 1).map(|at| at + 1)
}

fn lines_body(config: &FilesConfig, format: Format, file: File, packed: bool) -> Result<Body, FileError> {
    if format == Format::Lines && config.lines.entity.is_empty() {
        return Err(FilesError::NoEntity.into());
    }
    let decoder = LineDecoder::new(format, &config.rows, &config.lines)?;
    let input = match packed {
        true => Input::Gz(Box::new(MultiGzDecoder::new(BufReader::new(file)))),
        false => Input::Plain(file),
    };
    Ok(Body::Lines(Box::new(Lines {
        input,
        splitter: Splitter::new(decoder.quoted()),
        decoder,
        buffer: Vec::new(),
        unread: 0..0,
        split_to: 0,
        header_read: false,
        ended: false,
    })))
}

fn parquet_body(config: &FilesConfig, path: &Path, file: File, metadata: &Metadata) -> Result<Body, FileError> {
    let bad = |bad: BadRow| {
        let file = path.display().to_string();
        FileError::Bad(Box::new(bad.at(&config.name, &file, 0, &[])))
    };
    if metadata.len() == 0 {
        return Err(bad(BadRow::new(Reason::Syntax, "", "the file is empty: a Parquet file has at least a footer")));
    }
    let decoder = ParquetDecoder::new(file, &config.rows, &config.tenant).map_err(bad)?;
    Ok(Body::Parquet(Box::new(decoder)))
}

/// Where to go on: at the cursor, if it is of this file as it is now.
fn resume(cursor: Option<&[u8]>, metadata: &Metadata, unpacked: bool) -> Cursor {
    let cursor: Option<Cursor> = cursor.and_then(|bytes| serde_json::from_slice(bytes).ok());
    cursor
        // The offset of a packed file is not one of the file on disk.
        .filter(|c| c.inode == metadata.ino() && (unpacked || c.offset <= metadata.len()))
        .unwrap_or_default()
}

pub(super) fn io_error(path: &Path, error: &std::io::Error) -> FileError {
    match error.kind() {
        std::io::ErrorKind::NotFound => FileError::Gone { path: path.to_owned() },
        _ => FileError::Io { path: path.to_owned(), reason: error.to_string() },
    }
}
