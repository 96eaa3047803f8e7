//! Alerts that are told again and again, read without being parsed again.
//!
//! Prometheus repeats every firing alert each minute, word by word but for its end. So what the
//! text of an alert's `labels` and `annotations` means is remembered: sorted pairs, entity,
//! severity, fingerprint. Nearly always the alerts come in the order of the last time, so the
//! text is not even searched for: it is compared with the one that followed last time, and a
//! JSON object that the rest begins with is the object that stands there.
//!
//! Only texts that the JSON parser has accepted are remembered, so nothing is accepted that it
//! would refuse. The memory is bounded ([`BYTES_MAX`]); when it is full it starts anew.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use bellwether_engine::signal::{
    LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX, LABELS_MAX, Severity, alert_fingerprint, cut_to, sorted_labels,
};
use serde::de::IgnoredAny;
use xxhash_rust::xxh3::xxh3_128;

use crate::decode::json::{Text, TextMap};
use crate::resolve::entity_resolution::EntityResolver;
use crate::resolve::series_table::AsIs;

/// Bytes of texts remembered for one tenant, of labels and of annotations each: some 20,000
/// different alerts, and three times that much memory.
const BYTES_MAX: usize = 8 << 20;

/// What a text costs beside its bytes.
const TEXT_BYTES_BESIDE: usize = 200;

/// Longer texts are left to the JSON parser.
const TEXT_BYTES_MAX: usize = 4_096;

/// No text.
const NONE: usize = usize::MAX;

/// Pairs of texts in one piece.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pairs {
    text: Box<str>,
    /// Where each name and each value ends, by turns.
    ends: Box<[u32]>,
}

impl Pairs {
    /// These pairs, sorted by name.
    pub(super) fn sorted<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Pairs {
        let sorted = sorted_labels(pairs);
        let texts = || sorted.iter().flat_map(|(name, value)| [*name, *value]);
        let mut end = 0;
        let ends = texts().map(|text| {
            end += text.len() as u32;
            end
        });
        Pairs { ends: ends.collect(), text: texts().collect::<String>().into_boxed_str() }
    }

    /// True when there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// What they take.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.ends)
    }

    /// The same with names and values as long as they may be, and no more of them: nearly always the same piece.
    pub(super) fn within_limits(self: &Arc<Self>) -> Arc<Pairs> {
        let fits =
            |(name, value): (&str, &str)| name.len() <= LABEL_NAME_BYTES_MAX && value.len() <= LABEL_VALUE_BYTES_MAX;
        if self.ends.len() <= 2 * LABELS_MAX && self.iter().all(fits) {
            return self.clone();
        }
        let cut = |(name, value)| (cut_to(name, LABEL_NAME_BYTES_MAX), cut_to(value, LABEL_VALUE_BYTES_MAX));
        Arc::new(Pairs::sorted(self.iter().take(LABELS_MAX).map(cut)))
    }

    /// The pairs, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut from = 0;
        self.ends.chunks_exact(2).map(move |ends| {
            let (name, value) = (ends[0] as usize, ends[1] as usize);
            let pair = (&self.text[from..name], &self.text[name..value]);
            from = value;
            pair
        })
    }
}

/// What an alert's labels say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Identity {
    /// Those that are not empty.
    pub(super) labels: Arc<Pairs>,
    pub(super) name: Box<str>,
    pub(super) entity: Box<str>,
    pub(super) severity: Severity,
    pub(super) fingerprint: u64,
}

impl Identity {
    /// Of the alert of `source` with these labels.
    pub(super) fn of(labels: &TextMap<'_>, source: &str, resolver: &EntityResolver) -> Identity {
        let labels = Pairs::sorted(labels.pairs().filter(|(_, value)| !value.is_empty()));
        let pairs: Vec<(&str, &str)> = labels.iter().collect();
        let label = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let name = label("alertname").unwrap_or("unnamed");
        let entity = resolver.resolve("", &pairs);
        let severity = ["severity", "priority", "level"].iter().find_map(|name| label(name).and_then(Severity::read));
        let fingerprint = alert_fingerprint(source, name, &entity, &pairs);
        let (name, entity) = (name.into(), entity.into());
        let labels = Arc::new(labels);
        Identity { name, entity, severity: severity.unwrap_or_default(), fingerprint, labels }
    }
}

/// What was read from texts, each once.
struct Texts<T> {
    read: Vec<(Box<str>, T)>,
    by_text: HashMap<u128, usize, BuildHasherDefault<AsIs>>,
    bytes: usize,
}

impl<T> Default for Texts<T> {
    fn default() -> Texts<T> {
        Texts { read: Vec::new(), by_text: HashMap::default(), bytes: 0 }
    }
}

impl<T> Texts<T> {
    /// The object that `rest` begins with, and its length: first a guess, then by its whole text,
    /// then read by `make`. `None` for what is no object of texts, too long, or too much.
    fn find(&mut self, rest: &str, guess: usize, make: impl FnOnce(TextMap<'_>) -> T) -> Option<(usize, usize)> {
        if let Some((text, _)) = self.read.get(guess)
            && rest.as_bytes().starts_with(text.as_bytes())
        {
            return Some((guess, text.len()));
        }
        let length = value_length(rest).filter(|length| *length <= TEXT_BYTES_MAX && rest.starts_with('{'))?;
        let text = rest.get(..length)?;
        let key = xxh3_128(text.as_bytes());
        if let Some(at) = self.by_text.get(&key) {
            return Some((*at, length));
        }
        if self.is_full() {
            return None;
        }
        let made = make(serde_json::from_str(text).ok()?);
        let at = self.read.len();
        self.by_text.insert(key, at);
        self.read.push((text.into(), made));
        self.bytes += length + TEXT_BYTES_BESIDE;
        Some((at, length))
    }

    fn is_full(&self) -> bool {
        self.bytes >= BYTES_MAX
    }
}

/// One tenant's repeats.
#[derive(Default)]
pub(super) struct Repeats {
    labels: Texts<Identity>,
    annotations: Texts<Arc<Pairs>>,
    /// By labels: the labels and the annotations that came after them.
    after: Vec<(usize, usize)>,
    last: usize,
}

/// One alert as it stands in a request.
#[derive(Clone, Debug)]
pub(super) struct Heard<'a> {
    labels: usize,
    annotations: usize,
    pub(super) starts_at: Option<Cow<'a, str>>,
    pub(super) ends_at: Option<Cow<'a, str>>,
    pub(super) url: Option<Cow<'a, str>>,
    pub(super) status: Option<Cow<'a, str>>,
}

impl Repeats {
    /// The alerts of a request's `body`; `None` for everything that is not an array of objects as
    /// senders write it: then the JSON parser has the last word.
    pub(super) fn read<'a>(
        &mut self,
        body: &'a str,
        source: &str,
        resolver: &EntityResolver,
    ) -> Option<Vec<Heard<'a>>> {
        if self.labels.is_full() || self.annotations.is_full() {
            *self = Repeats::default();
        }
        let mut cursor = Cursor { text: body, at: 0 };
        let mut alerts = Vec::new();
        cursor.expect(b'[')?;
        if !cursor.eats(b']') {
            loop {
                alerts.push(self.alert(&mut cursor, source, resolver)?);
                if !cursor.eats(b',') {
                    break;
                }
            }
            cursor.expect(b']')?;
        }
        cursor.is_at_end().then_some(alerts)
    }

    /// What the labels of `heard` say.
    pub(super) fn identity(&self, heard: &Heard<'_>) -> &Identity {
        &self.labels.read[heard.labels].1
    }

    /// The annotations of `heard`.
    pub(super) fn annotations(&self, heard: &Heard<'_>) -> &Arc<Pairs> {
        &self.annotations.read[heard.annotations].1
    }

    fn alert<'a>(&mut self, cursor: &mut Cursor<'a>, source: &str, resolver: &EntityResolver) -> Option<Heard<'a>> {
        let (guess_labels, guess_annotations) = self.after.get(self.last).copied().unwrap_or((NONE, NONE));
        let (mut labels, mut annotations) = (None, None);
        let mut heard = Heard { labels: 0, annotations: 0, starts_at: None, ends_at: None, url: None, status: None };
        let mut told = [false; 4];
        let mut once = |which: usize| !std::mem::replace(&mut told[which], true);
        cursor.expect(b'{')?;
        if !cursor.eats(b'}') {
            loop {
                let key = cursor.string()?;
                cursor.expect(b':')?;
                match key.as_ref() {
                    "labels" if labels.is_none() => {
                        let make = |map: TextMap<'_>| Identity::of(&map, source, resolver);
                        let (at, length) = self.labels.find(cursor.rest(), guess_labels, make)?;
                        cursor.at += length;
                        labels = Some(at);
                    }
                    "annotations" if annotations.is_none() => {
                        let make = |map: TextMap<'_>| Arc::new(Pairs::sorted(map.pairs()));
                        let (at, length) = self.annotations.find(cursor.rest(), guess_annotations, make)?;
                        cursor.at += length;
                        annotations = Some(at);
                    }
                    "startsAt" if once(0) => heard.starts_at = cursor.optional_string()?,
                    "endsAt" if once(1) => heard.ends_at = cursor.optional_string()?,
                    "generatorURL" if once(2) => heard.url = cursor.optional_string()?,
                    "status" if once(3) => heard.status = cursor.optional_string()?,
                    "labels" | "annotations" | "startsAt" | "endsAt" | "generatorURL" | "status" => return None,
                    _ => cursor.skip()?,
                }
                if !cursor.eats(b',') {
                    break;
                }
            }
            cursor.expect(b'}')?;
        }
        heard.labels = match labels {
            Some(at) => at,
            None => self.labels.find("{}", NONE, |map| Identity::of(&map, source, resolver))?.0,
        };
        heard.annotations = match annotations {
            Some(at) => at,
            None => self.annotations.find("{}", NONE, |map| Arc::new(Pairs::sorted(map.pairs())))?.0,
        };
        self.after.resize(self.labels.read.len(), (NONE, NONE));
        if let Some(after) = self.after.get_mut(self.last) {
            *after = (heard.labels, heard.annotations);
        }
        self.last = heard.labels;
        Some(heard)
    }
}

/// Goes through a JSON text.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next byte that is no white space, and goes there.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    fn eats(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    /// Goes past `byte` and the white space after it.
    fn expect(&mut self, byte: u8) -> Option<()> {
        self.eats(byte).then(|| {
            self.peek();
        })
    }

    /// A string: its characters as they stand there when none is escaped.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let rest = self.rest();
        let plain = rest.bytes().skip(1).position(|byte| byte == b'"' || byte == b'\\' || byte < b' ')?;
        if rest.as_bytes()[plain + 1] == b'"' {
            self.at += plain + 2;
            return Some(Cow::Borrowed(&rest[1..=plain]));
        }
        let length = value_length(rest)?;
        self.at += length;
        serde_json::from_str::<Text<'a>>(&rest[..length]).ok().map(|text| text.0)
    }

    /// A string or `null`.
    fn optional_string(&mut self) -> Option<Option<Cow<'a, str>>> {
        if self.rest().starts_with("null") {
            self.at += "null".len();
            return Some(None);
        }
        self.string().map(Some)
    }

    /// Goes past any value.
    fn skip(&mut self) -> Option<()> {
        let rest = self.rest();
        let length = value_length(rest)?;
        serde_json::from_str::<IgnoredAny>(&rest[..length]).ok()?;
        self.at += length;
        Some(())
    }
}

/// How long the JSON value is that `text` begins with, if it is one.
fn value_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0usize;
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => {
                at += 1;
                loop {
                    at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
                    if bytes[at] == b'"' {
                        break;
                    }
                    at += 2;
                }
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ if depth > 0 => {}
            _ => {
                // A number, `true`, `false` or `null` ends where it cannot go on.
                let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
                return Some(bytes.iter().position(ends).unwrap_or(bytes.len()));
            }
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decode::Posted;
    use super::*;

    /// What the JSON parser makes of a request, in the same form as [`told`].
    fn parsed(body: &str, resolver: &EntityResolver) -> Option<Vec<String>> {
        let posted: Vec<Posted<'_>> = serde_json::from_str(body).ok()?;
        let shown = |posted: &Posted<'_>| {
            let identity = Identity::of(&posted.labels, "prometheus", resolver);
            let texts = [&posted.starts_at, &posted.ends_at, &posted.generator_url];
            let [starts, ends, url] = texts.map(|text| text.as_ref().map(|text| text.0.as_ref()));
            let texts = [starts, ends, url, posted.status.0.as_deref()];
            format!("{identity:?} {:?} {texts:?}", Pairs::sorted(posted.annotations.pairs()))
        };
        Some(posted.iter().map(shown).collect())
    }

    fn told(body: &str, repeats: &mut Repeats, resolver: &EntityResolver) -> Option<Vec<String>> {
        let heard = repeats.read(body, "prometheus", resolver)?;
        let shown = |heard: &Heard<'_>| {
            let texts = [&heard.starts_at, &heard.ends_at, &heard.url, &heard.status].map(Option::as_deref);
            format!("{:?} {:?} {texts:?}", repeats.identity(heard), repeats.annotations(heard))
        };
        Some(heard.iter().map(shown).collect())
    }

    #[test]
    fn alerts_are_read_as_the_parser_reads_them_the_first_time_and_again() {
        let (mut repeats, resolver) = (Repeats::default(), EntityResolver::default());
        let alert = |host: usize, summary: &str, ends: usize| {
            format!(
                r#"{{"annotations":{{"summary":"{summary}"}}, "endsAt":"2026-03-01T00:00:{ends:02}Z", "x":[1,{{"y":"}}"}}],
                    "labels":{{"alertname":"Disk","instance":"db-{host}:9100","severity":"page","empty":""}}}}"#
            )
        };
        for (order, ends) in [([1, 2, 3], 0), ([1, 2, 3], 1), ([3, 1, 2], 2), ([4, 2, 4], 3)] {
            let alerts: Vec<String> = order.iter().map(|host| alert(*host, "a \\\"b\\\"", ends)).collect();
            let body = format!(" [{}] ", alerts.join(" , "));
            assert_eq!(told(&body, &mut repeats, &resolver), parsed(&body, &resolver), "{body}");
            assert!(told(&body, &mut repeats, &resolver).is_some());
        }
        assert_eq!((repeats.labels.read.len(), repeats.annotations.read.len()), (4, 1));
        for odd in ["[]", r#"[{}]"#, r#"[{"labels":{},"startsAt":null}]"#, r#"[{"l\u0061bels":{"a":"b"}}]"#] {
            assert_eq!(told(odd, &mut repeats, &resolver), parsed(odd, &resolver), "{odd}");
        }
        assert_eq!(told(r#"[{"labels":null}]"#, &mut repeats, &resolver), None, "the parser's business");
    }

    #[test]
    fn a_memory_that_is_full_starts_anew() {
        let (mut repeats, resolver) = (Repeats::default(), EntityResolver::default());
        let filler = "x".repeat(TEXT_BYTES_MAX / 2);
        let mut left_to_the_parser = 0;
        for number in 0..3 * BYTES_MAX / TEXT_BYTES_MAX {
            let body = format!(r#"[{{"labels":{{"alertname":"a{number}","filler":"{filler}"}}}}]"#);
            match repeats.read(&body, "prometheus", &resolver) {
                Some(heard) => assert_eq!(&*repeats.identity(&heard[0]).name, format!("a{number}")),
                None => left_to_the_parser += 1,
            }
            assert!(repeats.labels.bytes < BYTES_MAX + 2 * TEXT_BYTES_MAX);
        }
        assert!(repeats.labels.read.len() < 3 * BYTES_MAX / TEXT_BYTES_MAX && left_to_the_parser < 3);
        let long = format!(r#"[{{"labels":{{"alertname":"{}"}}}}]"#, "x".repeat(TEXT_BYTES_MAX));
        assert!(repeats.read(&long, "prometheus", &resolver).is_none());
    }

    fn any_body() -> impl Strategy<Value = String> {
        let text = r#"[a-c"\\\n{}:, ]{0,6}"#.prop_map(|text| serde_json::Value::from(text).to_string());
        let scalar = prop_oneof![4 => text.clone(), 1 => Just("null".to_owned()), 1 => Just("-1.5e3".to_owned()),
            1 => Just("true".to_owned()), 1 => Just("[1,{\"a\":\"]\"}]".to_owned())];
        let map = proptest::collection::vec((text, scalar.clone()), 0..4).prop_map(|pairs| {
            let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            format!("{{{}}}", pairs.join(", "))
        });
        let field = prop_oneof![
            3 => map.clone().prop_map(|map| format!("\"labels\" :{map}")),
            2 => map.prop_map(|map| format!("\"annotations\": {map}")),
            3 => ("startsAt|endsAt|generatorURL|status|other", scalar).prop_map(|(name, value)| format!("\"{name}\":{value}")),
        ];
        let alert = proptest::collection::vec(field, 0..5).prop_map(|fields| format!("{{{}}}", fields.join(",")));
        proptest::collection::vec(alert, 0..4).prop_map(|alerts| format!("[{}]", alerts.join(",\n")))
    }

    proptest! {
        #![proptest_config(crate::fuzz::config())]

        #[test]
        fn what_is_read_is_what_the_parser_reads(
            bodies in proptest::collection::vec(any_body(), 1..4),
            at in any::<prop::sample::Index>(),
            with in any::<char>(),
        ) {
            let (mut repeats, resolver) = (Repeats::default(), EntityResolver::default());
            for body in bodies.iter().chain(&bodies) {
                let want = parsed(body, &resolver);
                // The parser takes numbers and the like for texts; senders write texts.
                let is_odd = ["null", "-1.5e3", "true", "[1,"].iter().any(|odd| body.contains(odd));
                match told(body, &mut repeats, &resolver) {
                    None => prop_assert!(want.is_none() || is_odd, "{}", body),
                    read => prop_assert_eq!(read, want, "{}", body),
                }
                let mut damaged: Vec<char> = body.chars().collect();
                let place = at.index(damaged.len());
                damaged[place] = with;
                let damaged: String = damaged.into_iter().collect();
                if let Some(read) = told(&damaged, &mut repeats, &resolver) {
                    prop_assert_eq!(Some(read), parsed(&damaged, &resolver), "{}", damaged);
                }
            }
        }
    }
}
