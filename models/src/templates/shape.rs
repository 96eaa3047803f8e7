//! Cache from the shape of a line to its slot.
//!
//! The shape is the line with each digit replaced by `0`, eight bytes at a time. Two lines
//! of one shape have the same elements in the same places, because no verdict of the lexer
//! depends on which digit stands where. An entry stores its shape, and a hit compares it in
//! full: hash collisions cannot mix templates up. Digits that a template still shows as
//! text (`tty2`) are compared as well.

use super::lexer::mix;

/// Lines beyond this many bytes are not cached: rare, and a cache of them would be large.
const CACHED_BYTES_MAX: usize = 1024;
const WORDS_MAX: usize = CACHED_BYTES_MAX / 8;

/// Entries of a cache that has seen little; it grows with what it holds.
const ENTRIES_MIN: usize = 64;

/// Cache of shapes: two ways per set.
#[derive(Debug, Clone)]
pub(super) struct ShapeCache {
    entries: Vec<Entry>,
    entries_max: usize,
    filled: usize,
    mask: usize,
    /// Whether digits count as `0`, or as they stand.
    masked: bool,
    words: [u64; WORDS_MAX],
    used: usize,
    hash: u64,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    hash: u64,
    slot: u32,
    /// Generation of the slot when this entry was made.
    generation: u32,
    bytes: u32,
    shape: Vec<u64>,
    /// Stretches of the line whose digits the template shows, with their text.
    shown: Vec<(u32, Box<[u8]>)>,
}

impl ShapeCache {
    /// An empty cache. `entries_max` is rounded up to a power of two.
    pub(super) fn new(entries_max: usize, masked: bool) -> Self {
        let entries_max = entries_max.next_power_of_two().max(2);
        let size = entries_max.min(ENTRIES_MIN);
        let entries = vec![Entry::default(); size];
        Self { entries, entries_max, filled: 0, mask: size - 1, masked, words: [0; WORDS_MAX], used: 0, hash: 0 }
    }

    /// Has at most `entries_max` entries from now on, rounded up to a power of two. What is beyond is forgotten.
    pub(super) fn bound(&mut self, entries_max: usize) {
        let entries_max = entries_max.next_power_of_two().max(2);
        if entries_max < self.entries.len() {
            *self = Self::new(entries_max, self.masked);
        }
        self.entries_max = entries_max;
    }

    /// Four times the room; entries whose new set is full are forgotten.
    fn grow(&mut self) {
        let size = (self.entries.len() * 4).min(self.entries_max);
        let old = std::mem::replace(&mut self.entries, vec![Entry::default(); size]);
        self.mask = size - 1;
        self.filled = 0;
        for entry in old.into_iter().filter(|entry| entry.bytes > 0) {
            let set = entry.hash as usize & self.mask;
            let way = if self.entries[set].bytes == 0 { set } else { set ^ 1 };
            self.filled += usize::from(self.entries[way].bytes == 0);
            self.entries[way] = entry;
        }
    }

    /// Reads the shape of a line; `false` if the line is too long to be cached.
    pub(super) fn read(&mut self, line: &[u8]) -> bool {
        if line.is_empty() || line.len() > CACHED_BYTES_MAX {
            return false;
        }
        let masked = self.masked;
        let mut hash = line.len() as u64;
        let mut used = 0;
        let mut chunks = line.chunks_exact(8);
        for (chunk, word) in (&mut chunks).zip(self.words.iter_mut()) {
            *word = shape_word(masked, u64::from_le_bytes(chunk.try_into().expect("chunks of eight")));
            hash = mix(hash, *word);
            used += 1;
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut last = [0_u8; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.words[used] = shape_word(masked, u64::from_le_bytes(last));
            hash = mix(hash, self.words[used]);
            used += 1;
        }
        self.used = used;
        self.hash = hash;
        true
    }

    /// Slot and generation for the shape read last.
    pub(super) fn get(&self, line: &[u8]) -> Option<(u32, u32)> {
        let set = self.hash as usize & self.mask;
        [set, set ^ 1].into_iter().map(|way| &self.entries[way]).find_map(|entry| {
            let same = entry.hash == self.hash
                && entry.bytes as usize == line.len()
                && entry.shape == self.words[..self.used]
                && entry.shown.iter().all(|(at, text)| line[*at as usize..].starts_with(text));
            same.then_some((entry.slot, entry.generation))
        })
    }

    /// Remembers the shape read last. `shown` are the stretches whose digits must agree.
    pub(super) fn put(&mut self, line: &[u8], slot: u32, generation: u32, shown: &[(u32, u32)]) {
        if self.filled * 4 > self.entries.len() && self.entries.len() < self.entries_max {
            self.grow();
        }
        let set = self.hash as usize & self.mask;
        let newest = &self.entries[set];
        if newest.hash != self.hash || newest.shape != self.words[..self.used] {
            self.entries.swap(set, set ^ 1);
        }
        let entry = &mut self.entries[set];
        self.filled += usize::from(entry.bytes == 0);
        entry.hash = self.hash;
        entry.slot = slot;
        entry.generation = generation;
        entry.bytes = line.len() as u32;
        entry.shape.clear();
        entry.shape.extend_from_slice(&self.words[..self.used]);
        entry.shown.clear();
        entry.shown.extend(shown.iter().map(|&(start, end)| (start, line[start as usize..end as usize].into())));
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * ONES;

fn shape_word(masked: bool, word: u64) -> u64 {
    if masked { digits_masked(word) } else { word }
}

/// Replaces each ASCII digit of eight bytes with `0`.
fn digits_masked(word: u64) -> u64 {
    let value = word ^ (0x30 * ONES);
    let above_nine = (value & !HIGH) + 0x76 * ONES;
    let digit = !(above_nine | value) & HIGH;
    word & !((digit >> 7) * 0x0f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_that_is_a_digit_becomes_a_zero_and_no_other_changes() {
        for byte in 0..=255_u8 {
            let word = u64::from_le_bytes([byte, b'5', byte, 0, 255, byte, b':', byte]);
            let masked = digits_masked(word).to_le_bytes();
            let expected = if byte.is_ascii_digit() { b'0' } else { byte };
            assert_eq!(masked, [expected, b'0', expected, 0, 255, expected, b':', expected], "byte {byte}");
        }
    }

    #[test]
    fn shown_digits_must_agree() {
        let mut cache = ShapeCache::new(4, true);
        assert!(cache.read(b"login on tty2 at 17"));
        cache.put(b"login on tty2 at 17", 3, 1, &[(9, 13)]);
        assert!(cache.read(b"login on tty2 at 99"));
        assert_eq!(cache.get(b"login on tty2 at 99"), Some((3, 1)));
        assert!(cache.read(b"login on tty7 at 99"));
        assert_eq!(cache.get(b"login on tty7 at 99"), None);
    }
}
