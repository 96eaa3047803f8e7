//! What a text is about, as hashes of its words: names of code stay whole and give their parts too,
//! so that `getFileStatus` meets `FileStatus` and "file status".

use xxhash_rust::xxh3::xxh3_64;

/// Bits of a word's hash: 2^18 words are more than the technical vocabulary of a company, and their counts
/// take 1 MiB.
pub(super) const WORD_BITS: u32 = 18;
/// Shortest rest that an ending is cut off from.
const STEM_MIN: usize = 3;
/// Endings of English inflection; the first that fits is cut off.
const ENDINGS: [&str; 4] = ["ing", "ed", "es", "s"];

/// Calls `with` for each word of `text`.
pub(super) fn each_word(text: &str, mut with: impl FnMut(u32)) {
    let mut room = String::new();
    let joins = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '$');
    for token in text.split(|c: char| !joins(c)) {
        let token = token.trim_matches(['.', '-', '_', '$']);
        if token.is_empty() {
            continue;
        }
        with(hashed(token, &mut room));
        let mut parts = Parts(token).peekable();
        // A token that is one part is that part.
        if parts.peek().is_some_and(|first| first.len() < token.len()) {
            parts.filter(|part| part.chars().nth(1).is_some()).for_each(|part| with(hashed(part, &mut room)));
        }
    }
}

/// The parts of an identifier: runs of digits, and words as case tells them apart.
struct Parts<'a>(&'a str);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start_matches(|c: char| !c.is_alphanumeric());
        let first = rest.chars().next()?;
        let run = |is: fn(char) -> bool| rest.find(|c: char| !is(c)).unwrap_or(rest.len());
        let end = if first.is_numeric() {
            run(char::is_numeric)
        } else if first.is_uppercase() {
            let capitals = run(char::is_uppercase);
            let small = |c: char| c.is_alphabetic() && !c.is_uppercase();
            if rest[capitals..].starts_with(small) {
                // `HDFSClient`: the last capital begins the next word, unless it is the only one.
                let last = rest[..capitals].char_indices().next_back().map_or(0, |(at, _)| at);
                if last > 0 {
                    last
                } else {
                    capitals + rest[capitals..].find(|c| !small(c)).unwrap_or(rest.len() - capitals)
                }
            } else {
                capitals
            }
        } else {
            run(|c| c.is_alphabetic() && !c.is_uppercase())
        };
        let (part, rest) = rest.split_at(end);
        self.0 = rest;
        Some(part)
    }
}

fn hashed(word: &str, room: &mut String) -> u32 {
    room.clear();
    room.extend(word.chars().flat_map(char::to_lowercase));
    let stem = ENDINGS.iter().find_map(|ending| {
        let rest = room.strip_suffix(ending)?;
        (rest.chars().count() >= STEM_MIN).then_some(rest)
    });
    (xxh3_64(stem.unwrap_or(room).as_bytes()) >> (64 - WORD_BITS)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        each_word(text, |word| out.push(word));
        out
    }

    #[test]
    fn names_of_code_stay_whole_and_give_their_parts() {
        let parts = |token| Parts(token).collect::<Vec<_>>();
        assert_eq!(parts("HDFSClient2getFile"), ["HDFS", "Client", "2", "get", "File"]);
        assert_eq!(parts("java.io.IOException"), ["java", "io", "IO", "Exception"]);
        assert_eq!(parts("max_retries"), ["max", "retries"]);
        assert_eq!(parts("ÄrgerÜber"), ["Ärger", "Über"]);
        let all = words("S3AFileSystem");
        assert!(words("file system").iter().all(|word| all.contains(word)));
        assert!(all.contains(&words("s3afilesystem")[0]), "and the whole");
    }

    #[test]
    fn case_marks_and_inflection_do_not_tell_words_apart() {
        assert_eq!(words("Connecting, failed"), words("connects FAILS"));
        assert!(words("...--__").is_empty() && words("").is_empty());
        assert_ne!(words("bed"), words("b"), "short words keep their endings");
    }
}
