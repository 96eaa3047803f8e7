//! A file that is appended to, with room at its end.

use std::io;

use crate::host::DiskFile;

/// Zeros written beyond the end when the end reaches them: a sync within them has no new length and
/// no new blocks to make durable, only the bytes, which takes half the time.
const ROOM_BYTES: u64 = 1 << 20;

/// Longer appends do without: the zeros would cost as much as they save.
const ROOM_FOR_BYTES_MAX: usize = 16 << 10;

/// What is written at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// A file with room at its end.
pub(super) struct RoomyFile {
    file: Box<dyn DiskFile>,
    /// Where the next bytes go.
    end: u64,
    /// Where the zeros end.
    room: u64,
    /// How much room is made: no more than the file is to grow.
    more: u64,
}

impl RoomyFile {
    /// Goes on at the end of `file`, which is to grow to `bytes_max`.
    pub(super) fn at_the_end_of(file: Box<dyn DiskFile>, bytes_max: u64) -> io::Result<RoomyFile> {
        let end = file.bytes()?;
        Ok(RoomyFile { file, end, room: end, more: ROOM_BYTES.min(bytes_max) })
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        if self.end > self.room {
            self.room = self.end;
            if bytes.len() <= ROOM_FOR_BYTES_MAX {
                self.make_room()?;
            }
        }
        Ok(())
    }

    /// Makes room; on a full disk there is none, and none is needed.
    fn make_room(&mut self) -> io::Result<()> {
        let wanted = self.end + self.more;
        let mut room = self.end;
        while room < wanted {
            let zeros = &ZEROS[..ZEROS.len().min((wanted - room) as usize)];
            if self.file.write_at(zeros, room).is_err() {
                self.file.cut(self.end)?;
                room = self.end;
                break;
            }
            room += zeros.len() as u64;
        }
        self.room = room;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    pub(super) fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.file.cut(bytes)?;
        (self.end, self.room) = (bytes, bytes);
        Ok(())
    }
}

impl Drop for RoomyFile {
    /// Gives the room back. Who reads the file copes with zeros, too.
    fn drop(&mut self) {
        let _ = self.file.cut(self.end);
    }
}
