//! The suite of template miners: whatever gives a line its template.

use super::Random;
use bellwether_models::templates::{Miner, MinerParams};

/// A miner as the suite sees it.
pub(super) trait TemplateMiner {
    /// Learns a line: the id of its template and the template.
    fn learn(&mut self, line: &str) -> (u64, String);

    /// Another one that goes on from here.
    fn restored(&self) -> Box<dyn TemplateMiner>;

    /// Templates held.
    fn len(&self) -> usize;
}

/// A miner with this many templates at most.
type New = fn(usize) -> Box<dyn TemplateMiner>;

/// Every implementation.
const SUBJECTS: [(&str, New); 1] = [("miner", |templates_max| {
    let params = MinerParams { templates_max, ..MinerParams::default() };
    Box::new(Miner::new(params.check().expect("in range")))
})];

impl TemplateMiner for Miner {
    fn learn(&mut self, line: &str) -> (u64, String) {
        let slot = Miner::learn(self, line).template;
        (self.id(slot), self.text(slot).to_owned())
    }

    fn restored(&self) -> Box<dyn TemplateMiner> {
        let saved = postcard::to_stdvec(self).expect("saves");
        Box::new(postcard::from_bytes::<Miner>(&saved).expect("reads"))
    }

    fn len(&self) -> usize {
        Miner::len(self)
    }
}

/// Lines of a few kinds with changing values.
fn lines(seed: u64, count: usize) -> Vec<String> {
    let mut random = Random::new(seed);
    let names = ["ann", "bob", "eve", "mallory", "trent", "victor"];
    let mut one = || {
        let (number, name) = (random.below(10_000), names[random.below(6) as usize]);
        match random.below(4) {
            0 => format!("opened port {number} for 10.0.{}.{}", number % 250, random.below(250)),
            1 => format!("session closed for user {name}"),
            2 => format!("took {}ms to read block blk_{number}", random.below(900)),
            _ => "disk is healthy".to_owned(),
        }
    };
    (0..count).map(|_| one()).collect()
}

/// Lines no program should write, and some do.
fn hostile(seed: u64, count: usize) -> Vec<String> {
    let mut random = Random::new(seed);
    let pieces =
        ["<*>", "<", "*", " ", "\t", "=", "\u{0}", "\u{feff}", "日本", "🦀", "[[", "0x", "::", "-1e999", "a,b;c|d"];
    let mut one = || {
        let length = random.below(40) + if random.below(50) == 0 { 9_000 } else { 0 };
        (0..length).map(|_| pieces[random.below(pieces.len() as u64) as usize]).collect()
    };
    (0..count).map(|_| one()).collect()
}

#[test]
fn equal_lines_in_equal_order_get_equal_templates() {
    for (name, new) in SUBJECTS {
        let (mut left, mut right) = (new(512), new(512));
        for line in [lines(1, 2000), hostile(2, 300)].concat() {
            assert_eq!(left.learn(&line), right.learn(&line), "{name}: {line:.80}");
        }
    }
}

#[test]
fn a_line_seen_again_at_once_has_the_same_id() {
    for (name, new) in SUBJECTS {
        let mut miner = new(512);
        for line in [lines(3, 1000), hostile(4, 200)].concat() {
            assert_eq!(miner.learn(&line).0, miner.learn(&line).0, "{name}: {line:.80}");
        }
    }
}

#[test]
fn lines_that_differ_in_a_number_share_a_template_and_words_of_meaning_do_not() {
    for (name, new) in SUBJECTS {
        let mut miner = new(512);
        lines(5, 2000).iter().for_each(|line| drop(miner.learn(line)));
        let (one, text) = miner.learn("opened port 11 for 10.0.0.1");
        assert_eq!(one, miner.learn("opened port 9999 for 10.0.3.4").0, "{name}");
        assert!(text.contains("<*>") && text.starts_with("opened port"), "{name}: {text}");
        assert_ne!(one, miner.learn("disk is healthy").0, "{name}");
    }
}

#[test]
fn ids_and_templates_survive_a_restart() {
    for (name, new) in SUBJECTS {
        let mut miner = new(512);
        lines(6, 1500).iter().for_each(|line| drop(miner.learn(line)));
        let mut restored = miner.restored();
        for line in [lines(7, 500), hostile(8, 100)].concat() {
            assert_eq!(miner.learn(&line), restored.learn(&line), "{name}: {line:.80}");
        }
    }
}

#[test]
fn no_more_templates_are_held_than_allowed() {
    for (name, new) in SUBJECTS {
        let mut miner = new(16);
        for line in hostile(9, 2000) {
            miner.learn(&line);
            assert!(miner.len() <= 16, "{name} holds {}", miner.len());
        }
    }
}
