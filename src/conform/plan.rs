//! What is sent: stories that each show one rule, told at once, in an order that is drawn.

use bellwether_engine::incident::{RECORD_BYTES_MAX, SchemaVersion, Verb};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};
use serde_json::json;

use super::rules::Rule;
use super::story::{Course, Delivery};
use super::texts::{TITLES, longest_description, longest_title};

/// Rounds of all stories at most: 1,000 are 110,000 deliveries, of which 1,000 have 64 KiB.
pub const ROUNDS_MAX: u16 = 1_000;

/// Incidents of one round have numbers below this.
const NUMBERS_OF_ROUND: u64 = 1_000;

/// Whose the incidents are.
const TENANT: &str = "acme";
/// Tenants that share ids with each other: a blank, a slash, a name that looks like a part of a subject.
const TENANTS: [&str; 5] = ["acme", "globex", "Acme Ltd. / EU", "acme.incident", "アクメ"];

/// The deliveries of a plan, in the order in which they are sent: all stories `rounds` times. What belongs to one story
/// stays in its order; between them it is drawn.
pub fn plan(seed: u64, rounds: u16) -> Vec<Delivery> {
    let mut stories = Vec::new();
    for round in 0..u64::from(rounds.clamp(1, ROUNDS_MAX)) {
        let mut book =
            Book { next: (seed % 1_000_000_007) * 1_000_000 + round * NUMBERS_OF_ROUND, stories: Vec::new() };
        book.fill();
        stories.extend(book.stories);
    }
    interleaved(stories, &mut Xoshiro256PlusPlus::seed_from_u64(seed))
}

/// One after the other, always the next of a story that is drawn by how much of it is left.
fn interleaved(stories: Vec<Vec<Delivery>>, draw: &mut Xoshiro256PlusPlus) -> Vec<Delivery> {
    let mut turns: Vec<usize> =
        stories.iter().enumerate().flat_map(|(story, told)| std::iter::repeat_n(story, told.len())).collect();
    for last in (1..turns.len()).rev() {
        let of = u64::try_from(last + 1).unwrap_or(u64::MAX);
        turns.swap(last, usize::try_from(draw.next_u64() % of).unwrap_or(last));
    }
    let mut left: Vec<std::vec::IntoIter<Delivery>> = stories.into_iter().map(Vec::into_iter).collect();
    turns.into_iter().filter_map(|story| left[story].next()).collect()
}

/// The stories of one round.
struct Book {
    /// The number of the next incident.
    next: u64,
    stories: Vec<Vec<Delivery>>,
}

impl Book {
    fn course(&mut self, rule: Rule) -> Course {
        self.course_of(rule, TENANT)
    }

    fn course_of(&mut self, rule: Rule, tenant: &str) -> Course {
        self.next += 1;
        Course::new(rule, tenant, self.next)
    }

    fn add(&mut self, story: Vec<Delivery>) {
        self.stories.push(story);
    }

    fn fill(&mut self) {
        self.repeated();
        self.reordered();
        self.missing();
        self.verbs_that_mislead();
        self.merges();
        self.parents();
        self.splits();
        self.returns();
        self.tenants();
        self.later_versions();
        self.texts();
        self.versions();
    }

    fn repeated(&mut self) {
        let one = self.course(Rule::Once);
        let [first, second, third] = [
            one.plain(1, Verb::Opened),
            one.plain(2, Verb::Acknowledged),
            one.tell(3, Verb::Resolved, |record| record.priority = bellwether_engine::incident::Priority::P2),
        ];
        let again = || [&first, &first, &second, &first, &second, &second, &third, &third];
        self.add(again().into_iter().cloned().collect());
        // The whole of it once more, as a receiver gets it whose place was lost.
        let other = self.course(Rule::Once);
        let told = [other.plain(1, Verb::Opened), other.plain(2, Verb::Updated), other.plain(3, Verb::Acknowledged)];
        self.add(told.iter().chain(&told).chain(&told).cloned().collect());
    }

    fn reordered(&mut self) {
        let one = self.course(Rule::Newest);
        self.add(vec![
            one.plain(1, Verb::Opened),
            one.tell(4, Verb::Resolved, |record| record.title = "Over".to_owned()),
            one.tell(3, Verb::Updated, |record| record.title = "Worse".to_owned()),
            one.plain(2, Verb::Acknowledged),
            one.plain(1, Verb::Opened),
        ]);
        // 10 is more than 9, also for whoever compares texts.
        let long = self.course(Rule::Newest);
        let told = |revision| long.tell(revision, Verb::Updated, |record| record.title = format!("Number {revision}"));
        let mut story = vec![long.plain(1, Verb::Opened)];
        story.extend([2, 3, 4, 5, 6, 8, 7, 10, 9, 11].map(told));
        story.push(long.plain(9, Verb::Updated));
        self.add(story);
    }

    fn missing(&mut self) {
        let one = self.course(Rule::Gaps);
        self.add(vec![one.plain(1, Verb::Opened), one.tell(5, Verb::Acknowledged, |r| r.title = "Grown".to_owned())]);
        // A subscriber that came late: the beginning has gone.
        let late = self.course(Rule::Gaps);
        self.add(vec![late.plain(7, Verb::Updated), late.plain(9, Verb::Resolved)]);
        let over = self.course(Rule::Gaps);
        self.add(vec![over.plain(12, Verb::Closed)]);
    }

    fn verbs_that_mislead(&mut self) {
        use bellwether_engine::incident::IncidentStatus::{Acknowledged, Open, Resolved};
        for (verb, status) in [(Verb::Updated, Acknowledged), (Verb::Updated, Resolved), (Verb::Split, Acknowledged)] {
            let one = self.course(Rule::Status);
            let opened = one.plain(1, Verb::Opened);
            self.add(vec![opened, one.tell(2, verb, |record| record.status = status)]);
        }
        // `reopened` was missed.
        let one = self.course(Rule::Status);
        let back = one.tell(5, Verb::Updated, |record| record.status = Open);
        self.add(vec![one.plain(1, Verb::Opened), one.plain(2, Verb::Resolved), back]);
    }

    fn merges(&mut self) {
        let [first, second, third] = [(); 3].map(|()| self.course(Rule::Merged));
        let merged = |course: &Course, revision, into: &Course| {
            course.tell(revision, Verb::Merged, |record| record.merged_into = Some(into.id()))
        };
        self.add(vec![
            first.plain(1, Verb::Opened),
            merged(&first, 2, &second),
            // Opened after what names it; what is older than the end comes after it.
            second.plain(1, Verb::Opened),
            first.plain(1, Verb::Opened),
            merged(&second, 3, &third),
            second.plain(2, Verb::Acknowledged),
            merged(&first, 2, &second),
            third.plain(1, Verb::Opened),
            third.plain(2, Verb::Updated),
        ]);
    }

    fn parents(&mut self) {
        let [major, child, moved, orphan] = [(); 4].map(|()| self.course(Rule::Parent));
        let under = |course: &Course, revision, over: Option<String>| {
            course.tell(revision, Verb::Updated, |record| record.parent_id = over)
        };
        let nobody = self.course(Rule::Parent).id();
        self.add(vec![
            child.plain(1, Verb::Opened),
            under(&child, 2, Some(major.id())),
            moved.plain(1, Verb::Opened),
            under(&moved, 2, Some(major.id())),
            major.plain(1, Verb::Opened),
            // Not under it any more; and what is older says it is.
            under(&moved, 3, None),
            under(&moved, 2, Some(major.id())),
            under(&orphan, 2, Some(nobody)),
            major.plain(2, Verb::Resolved),
        ]);
    }

    fn splits(&mut self) {
        let [whole, part] = [(); 2].map(|()| self.course(Rule::Split));
        let parent = Some(whole.id());
        self.add(vec![
            whole.tell(1, Verb::Opened, |record| record.alert_count = 9),
            // The part may be there before it is told that it left.
            part.tell(1, Verb::Opened, |record| record.parent_id.clone_from(&parent)),
            whole.tell(2, Verb::Split, |record| record.alert_count = 4),
            part.tell(2, Verb::Resolved, |record| record.parent_id = parent),
        ]);
    }

    fn returns(&mut self) {
        let one = self.course(Rule::Reopened);
        self.add(vec![
            one.plain(1, Verb::Opened),
            one.plain(2, Verb::Resolved),
            one.plain(3, Verb::Reopened),
            one.plain(2, Verb::Resolved),
        ]);
        let over = self.course(Rule::Reopened);
        let mut story: Vec<Delivery> = vec![over.plain(1, Verb::Opened)];
        for round in 0..3 {
            story.extend([over.plain(2 + round * 2, Verb::Resolved), over.plain(3 + round * 2, Verb::Reopened)]);
        }
        self.add(story);
        let before = self.course(Rule::Recurrence);
        let mut after = self.course(Rule::Recurrence);
        after.record.dedup_key.clone_from(&before.record.dedup_key);
        let story = [before.plain(1, Verb::Opened), before.plain(2, Verb::Resolved), before.plain(3, Verb::Closed)];
        self.add(story.into_iter().chain([after.plain(1, Verb::Opened)]).collect());
    }

    fn tenants(&mut self) {
        self.next += 1;
        let verbs = [Verb::Updated, Verb::Acknowledged, Verb::Resolved, Verb::Updated, Verb::Closed];
        let story = TENANTS.iter().zip(verbs).flat_map(|(tenant, verb)| {
            let one = Course::new(Rule::Tenants, tenant, self.next);
            let titled = |told: &mut bellwether_engine::incident::IncidentRecord| told.title = format!("Of {tenant}");
            [one.plain(1, Verb::Opened), one.tell(2, verb, titled)]
        });
        let story = story.collect();
        self.add(story);
    }

    fn later_versions(&mut self) {
        for verb in ["escalated", "notified", "hibernated"] {
            let one = self.course(Rule::UnknownVerbs);
            let told = one.tell(2, Verb::Acknowledged, |record| record.title = format!("It was {verb}")).under(verb);
            self.add(vec![one.plain(1, Verb::Opened), told]);
        }
        let one = self.course(Rule::UnknownFields);
        self.add(vec![one.plain(1, Verb::Opened).strange(), one.plain(2, Verb::Acknowledged).strange()]);
    }

    fn texts(&mut self) {
        let longest = longest_title();
        for title in TITLES.iter().copied().chain([longest.as_str()]) {
            let one = self.course(Rule::Texts);
            let told = |record: &mut bellwether_engine::incident::IncidentRecord| {
                record.title = title.to_owned();
                record.summary = title.to_owned();
            };
            self.add(vec![one.plain(1, Verb::Opened), one.tell(2, Verb::Updated, told)]);
        }
        let one = self.course(Rule::Texts);
        let large = one.tell(2, Verb::Updated, |record| {
            record.title = "As large as may be".to_owned();
            record.description = longest_description();
            let bytes = serde_json::to_vec(&*record).map_or(0, |json| json.len());
            // One byte below what is not sent any more; the label takes some itself.
            let around = r#","pad":"""#.len();
            let room = RECORD_BYTES_MAX.saturating_sub(bytes + around + 1);
            record.labels.insert("pad".to_owned(), "x".repeat(room));
        });
        self.add(vec![one.plain(1, Verb::Opened), large]);
    }

    fn versions(&mut self) {
        let by = json!({"name": "gold", "resolve": {"by": "2026-03-01T18:00:00Z", "state": "on_track"}});
        let mut promised = |title: &str| {
            let mut one = self.course(Rule::Versions);
            one.record.sla = serde_json::from_value(by.clone()).ok();
            one.record.title = title.to_owned();
            one
        };
        let [old, new, both, back] = ["Version 1", "Version 2", "From 1 to 2", "And back"].map(&mut promised);
        let v1 = |delivery: Delivery| delivery.in_version(SchemaVersion::V1);
        self.add(vec![v1(old.plain(1, Verb::Opened)), v1(old.plain(2, Verb::Acknowledged))]);
        self.add(vec![new.plain(1, Verb::Opened), new.plain(2, Verb::Acknowledged)]);
        self.add(vec![v1(both.plain(1, Verb::Opened)), both.plain(2, Verb::Acknowledged)]);
        self.add(vec![back.plain(1, Verb::Opened), v1(back.plain(2, Verb::Acknowledged))]);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::conform::story::standing;

    #[test]
    fn a_plan_is_a_function_of_its_seed_and_stories_keep_their_order() {
        let lines =
            |seed| -> Vec<String> { plan(seed, 2).iter().map(|d| format!("{} {}", d.key(), d.record())).collect() };
        assert_eq!(lines(7), lines(7));
        assert_ne!(lines(7), lines(8));
        let reordered = |delivery: &&Delivery| delivery.rule == Rule::Newest && delivery.verb() == "resolved";
        assert_eq!(plan(7, 3).iter().filter(reordered).count(), 3);
    }

    #[test]
    fn every_rule_but_the_last_has_a_story_and_no_record_is_larger_than_the_stream_takes() {
        let sent = plan(1, 1);
        let shown: BTreeSet<Rule> = sent.iter().map(|delivery| delivery.rule).collect();
        assert_eq!(shown, Rule::ALL.into_iter().filter(|rule| *rule != Rule::NothingElse).collect());
        let sizes: Vec<usize> = sent.iter().map(|delivery| delivery.record().to_string().len()).collect();
        assert_eq!(sizes.iter().max(), Some(&(RECORD_BYTES_MAX - 1)));
    }

    #[test]
    fn records_without_strange_fields_are_valid_by_their_schema_and_rounds_share_no_incident() {
        use bellwether_engine::incident::record_schema;
        let valid = SchemaVersion::ALL.map(|version| {
            let schema = record_schema(version);
            (version.name(), jsonschema::validator_for(&schema).expect("a schema"))
        });
        let valid: BTreeMap<_, _> = valid.into_iter().collect();
        for delivery in plan(3, 1).iter().filter(|delivery| delivery.rule != Rule::UnknownFields) {
            let record = delivery.record();
            let version = record["schema_version"].as_str().expect("a version");
            let wrong: Vec<String> = valid[version].iter_errors(&record).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", delivery.key());
        }
        assert_eq!(standing(&plan(3, 4)).len(), 4 * standing(&plan(3, 1)).len());
    }
}
