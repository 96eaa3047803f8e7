//! The grouper, by its facts.

use super::*;
use crate::group::{Begins, Names, NoTopology, name_hash, names_in, tokenize};
use proptest::prelude::*;

const SECOND: i64 = 1_000_000_000;

/// Entities 0..n in a row, each one step from the next.
struct Line(u32);

impl Distance for Line {
    fn within(&self, entity: u32, hops_max: u8, out: &mut Vec<(u32, f32)>) {
        let first = entity.saturating_sub(u32::from(hops_max));
        let last = (entity + u32::from(hops_max)).min(self.0 - 1);
        out.extend((first..=last).map(|other| (other, entity.abs_diff(other) as f32)));
    }

    fn knows(&self, entity: u32) -> bool {
        entity < self.0
    }
}

/// Saved and read again, in the form of checkpoints.
fn again(grouper: &Grouper) -> Grouper {
    postcard::from_bytes(&postcard::to_stdvec(grouper).expect("saves")).expect("reads")
}

fn words(text: &str) -> Vec<u32> {
    let mut out = Vec::new();
    tokenize(text, &mut out);
    out
}

fn alert(id: u64, second: i64, entity: u32, tokens: &[u32]) -> AlertView<'_> {
    AlertView {
        id,
        time_ns: second * SECOND,
        begins: Begins::Anywhere,
        kind: id as u32,
        entity,
        tokens,
        names: Names::default(),
    }
}

#[test]
fn neighbours_in_time_and_topology_group_and_far_ones_do_not() {
    let mut grouper = Grouper::new(GroupParams::default());
    let line = Line(100);
    let first = grouper.assign(&alert(1, 100, 10, &[]), &line);
    let near = grouper.assign(&alert(2, 110, 11, &[]), &line);
    let far = grouper.assign(&alert(3, 112, 80, &[]), &line);
    assert!(first.opened && near.group == first.group && near.linked_to == Some(1));
    assert_ne!(far.group, first.group);
    let passed = far.runner_up.expect("it was compared with the first group");
    assert_eq!(passed.group, first.group);
    assert!(passed.score < grouper.params().threshold);
}

/// Two rows of ten that nothing joins, and entities beyond of which only the part is known.
struct TwoRows;

impl Distance for TwoRows {
    fn within(&self, entity: u32, hops_max: u8, out: &mut Vec<(u32, f32)>) {
        Line(20).within(entity, hops_max, out);
        out.retain(|(other, _)| self.part(*other) == self.part(entity));
    }

    fn knows(&self, entity: u32) -> bool {
        entity < 20
    }

    fn part(&self, entity: u32) -> Option<u64> {
        (entity < 40).then(|| u64::from(entity / 10 % 2))
    }
}

#[test]
fn the_same_words_at_the_same_time_join_nothing_across_parts_that_nothing_joins() {
    let text = words("memory of the container is high");
    let group_of = |others: &[u32], entity: u32, names: Names<'_>| {
        let mut grouper = Grouper::new(GroupParams::default());
        for (id, other) in others.iter().enumerate() {
            grouper.assign(&alert(id as u64, 100, *other, &text), &TwoRows);
        }
        let last = grouper.assign(&AlertView { kind: 0, names, ..alert(9, 101, entity, &text) }, &TwoRows);
        grouper.group_of(0) == Some(last.group)
    };
    assert!(group_of(&[2], 8, Names::default()), "six steps away, in one part");
    assert!(!group_of(&[2], 12, Names::default()), "in another part");
    assert!(group_of(&[2], 25, Names::default()), "only its part is known");
    assert!(!group_of(&[2], 35, Names::default()), "the other part, no more is known");
    assert!(group_of(&[2], 55, Names::default()), "nothing is known of it: time and words do");
}

#[test]
fn a_text_that_names_the_other_joins_across_parts() {
    let mut grouper = Grouper::new(GroupParams::default());
    let (text, names) = (words("is down"), mentioned("waits for pay-db-3"));
    let named = Names { own: name_hash("pay-db-3"), mentioned: &[] };
    let first = grouper.assign(&AlertView { names: named, ..alert(1, 100, 2, &text) }, &TwoRows).group;
    let naming = Names { own: name_hash("shop-1"), mentioned: &names };
    assert_eq!(grouper.assign(&AlertView { names: naming, ..alert(2, 101, 12, &[]) }, &TwoRows).group, first);
}

#[test]
fn a_repeat_refreshes_its_alert_and_stays() {
    let mut grouper = Grouper::new(GroupParams::default());
    let first = grouper.assign(&alert(1, 100, 0, &[]), &NoTopology);
    let again = grouper.assign(&alert(1, 900, 0, &[]), &NoTopology);
    assert!(!again.fresh && again.group == first.group);
    assert_eq!((grouper.len(), grouper.counters().repeats), (1, 1));
    assert_eq!(grouper.groups()[0].last_ns, 900 * SECOND);
}

#[test]
fn an_alert_between_two_groups_merges_them_under_the_older_id() {
    let mut grouper = Grouper::new(GroupParams { hops_max: 2, ..GroupParams::default() });
    let line = Line(100);
    let left = grouper.assign(&alert(1, 100, 10, &[]), &line).group;
    let right = grouper.assign(&alert(2, 101, 14, &[]), &line).group;
    assert_ne!(left, right);
    let bridge = grouper.assign(&alert(3, 102, 12, &[]), &line);
    let joined = [left, right].contains(&bridge.group);
    assert!(joined, "the bridge joins one of them");
    if !bridge.merged.is_empty() {
        assert_eq!((bridge.group, bridge.merged.as_slice()), (left, [right].as_slice()));
        assert_eq!(grouper.alerts_of(left), [1, 2, 3]);
    }
    assert_eq!(grouper.groups().len() + bridge.merged.len(), 2);
}

#[test]
fn a_quiet_group_closes_and_its_alerts_leave_the_tables() {
    let mut grouper = Grouper::new(GroupParams::default());
    let first = grouper.assign(&alert(1, 0, 0, &[]), &NoTopology).group;
    let later = grouper.params().quiet_ns / SECOND * 2;
    let next = grouper.assign(&alert(1, later, 0, &[]), &NoTopology);
    assert!(next.fresh && next.opened && next.group != first);
    assert_eq!(grouper.take_closed(), [first]);
    assert_eq!(grouper.len(), 1);
}

#[test]
fn removing_the_last_alert_ends_the_group() {
    let mut grouper = Grouper::new(GroupParams::default());
    let group = grouper.assign(&alert(1, 0, 0, &[]), &NoTopology).group;
    assert_eq!(grouper.remove(1), Some(group));
    assert_eq!(grouper.remove(1), None);
    assert!(grouper.is_empty() && grouper.groups().is_empty());
}

#[test]
fn a_full_table_evicts_the_longest_unheard_and_counts_them() {
    let params = GroupParams { members_max: 32, ..GroupParams::default() };
    let mut grouper = Grouper::new(params);
    for id in 0..100 {
        grouper.assign(&alert(id, id as i64, id as u32 * 50, &[]), &NoTopology);
        assert!(grouper.len() <= 32);
    }
    assert_eq!(grouper.len() as u64 + grouper.counters().evicted, 100);
    assert!(grouper.group_of(99).is_some() && grouper.group_of(0).is_none());
}

#[test]
fn why_and_why_not_give_numbers_that_would_have_changed_the_decision() {
    let mut grouper = Grouper::new(GroupParams::default());
    let line = Line(100);
    let text = words("checkout latency high");
    let here = grouper.assign(&alert(1, 100, 10, &text), &line).group;
    grouper.assign(&alert(2, 105, 11, &text), &line);
    let other = grouper.assign(&alert(3, 106, 60, &words("disk full")), &line).group;
    let why = grouper.why(2, &line).expect("active");
    assert_eq!((why.group, why.links[0].alert), (here, 1));
    assert!(why.score >= why.threshold);
    let why_not = grouper.why_not(2, other, &line).expect("two groups");
    assert!(why_not.score < why_not.threshold && why_not.own_score >= why_not.threshold);
    let best = why_not.links[0];
    let topology = why_not.needed[1];
    assert_eq!(topology.now, best.evidence.topology);
    let value = topology.needed.expect("the same entity would have done");
    let changed = Evidence { topology: value, ..best.evidence };
    assert!((grouper.params().combine(&changed) - why_not.threshold).abs() < 1e-9);
    assert!(grouper.why_not(2, here, &line).is_none());
}

#[test]
fn a_group_that_lost_its_middle_falls_into_parts() {
    let mut grouper = Grouper::new(GroupParams { links_mean: 1, hops_max: 1, ..GroupParams::default() });
    let line = Line(100);
    let group = grouper.assign(&alert(1, 100, 10, &[]), &line).group;
    for (id, entity) in [(2, 11), (3, 12)] {
        assert_eq!(grouper.assign(&alert(id, 101, entity, &[]), &line).group, group);
    }
    assert_eq!(grouper.components(group, &line), [vec![1, 2, 3]]);
    grouper.remove(2);
    assert_eq!(grouper.components(group, &line), [vec![1], vec![3]]);
    let created = grouper.split(group, &line);
    assert_eq!(created.len(), 1);
    assert_eq!((grouper.alerts_of(group), grouper.alerts_of(created[0])), (vec![1], vec![3]));
}

/// Alerts over a small estate: (seconds, entity, word).
fn alerts() -> impl Strategy<Value = Vec<(i64, u32, u8)>> {
    prop::collection::vec((0_i64..600, 0_u32..40, 0_u8..6), 1..60)
}

fn run(input: &[(i64, u32, u8)], order: &[usize]) -> Vec<(u64, GroupId)> {
    let vocabulary: Vec<Vec<u32>> = (0..6).map(|word| words(&format!("word{word}x disk"))).collect();
    let mut views: Vec<AlertView<'_>> = order
        .iter()
        .map(|&index| {
            let (second, entity, word) = input[index];
            let kind = u32::from(word);
            let tokens = &vocabulary[word as usize];
            AlertView {
                id: index as u64,
                time_ns: second * SECOND,
                begins: Begins::Anywhere,
                kind,
                entity,
                tokens,
                names: Names::default(),
            }
        })
        .collect();
    let mut grouper = Grouper::new(GroupParams { members_max: 24, ..GroupParams::default() });
    let mut out = Vec::new();
    grouper.assign_batch(&mut views, &Line(40), &mut out);
    out.into_iter().map(|(id, assignment)| (id, assignment.group)).collect()
}

proptest! {
    #[test]
    fn the_order_of_arrival_within_a_batch_changes_nothing(input in alerts()) {
        let forward: Vec<usize> = (0..input.len()).collect();
        let backward: Vec<usize> = forward.iter().rev().copied().collect();
        prop_assert_eq!(run(&input, &forward), run(&input, &backward));
    }

    #[test]
    fn tables_agree_with_each_other_after_any_history(input in alerts()) {
        let mut grouper = Grouper::new(GroupParams { members_max: 24, ..GroupParams::default() });
        let mut sorted = input;
        sorted.sort_unstable();
        for (index, (second, entity, word)) in sorted.iter().enumerate() {
            let view = AlertView {
                id: index as u64 % 30,
                time_ns: second * SECOND,
                begins: Begins::Anywhere,
                kind: u32::from(*word),
                entity: *entity,
                tokens: &[],
                names: Names::default(),
            };
            let assignment = grouper.assign(&view, &Line(40));
            prop_assert_eq!(grouper.group_of(view.id), Some(assignment.group));
            if index % 7 == 3 {
                grouper.remove((index as u64 * 11) % 30);
            }
        }
        let listed: usize = grouper.groups().iter().map(|group| grouper.alerts_of(group.id).len()).sum();
        prop_assert_eq!(listed, grouper.len());
        prop_assert!(grouper.groups().iter().all(|group| group.alerts > 0));
    }
}

#[test]
fn a_restored_grouper_goes_on_as_the_original() {
    let line = Line(40);
    let mut original = Grouper::new(GroupParams { members_max: 24, ..GroupParams::default() });
    for id in 0..60_u64 {
        original.assign(&alert(id, id as i64 * 3, (id * 7 % 40) as u32, &words("disk full")), &line);
        if id % 5 == 4 {
            original.remove(id - 2);
        }
    }
    let mut restored = again(&original);
    for id in 60..120_u64 {
        let text = words("latency high");
        let next = alert(id, id as i64 * 3, (id * 11 % 40) as u32, &text);
        assert_eq!(original.assign(&next, &line), restored.assign(&next, &line), "alert {id}");
    }
    assert_eq!(original.groups(), restored.groups());
    assert_eq!(original.counters(), restored.counters());
}

/// An alert on `entity`, called `name`, with the words and names of `text`.
fn naming<'a>(id: u64, second: i64, name: &str, words: &'a [u32], mentioned: &'a [u32]) -> AlertView<'a> {
    let names = Names { own: name_hash(name), mentioned };
    AlertView {
        id,
        time_ns: second * SECOND,
        begins: Begins::Anywhere,
        kind: id as u32,
        entity: id as u32,
        tokens: words,
        names,
    }
}

fn mentioned(text: &str) -> Vec<u32> {
    let mut out = Vec::new();
    names_in(text, 0, |_| false, &mut out);
    out
}

#[test]
fn an_alert_joins_the_one_that_its_text_names_and_the_one_that_names_it() {
    // Sixty alerts of other trouble come between: neither is among the latest of all.
    for swapped in [false, true] {
        let mut grouper = Grouper::new(GroupParams::default());
        let text = mentioned("connection to pay-db-3:5432 refused");
        let (shop, db) = (naming(1, 100, "shop", &[1], &text), naming(2, 160, "pay-db-3", &[2], &[]));
        let (first, second) = if swapped { (db, AlertView { time_ns: 160 * SECOND, ..shop }) } else { (shop, db) };
        let first = AlertView { time_ns: 100 * SECOND, ..first };
        let one = grouper.assign(&first, &Line(0));
        for other in 0..60 {
            let noise = naming(100 + other, 110, "lone", &[], &[]);
            assert_ne!(grouper.assign(&noise, &Line(0)).group, one.group);
        }
        let two = grouper.assign(&second, &Line(0));
        assert_eq!((two.group, two.linked_to), (one.group, Some(first.id)), "swapped: {swapped}");
        assert!(two.evidence.text > 0.8 && two.evidence.topology < 0.1);
        let alone = Grouper::new(GroupParams { mention: 0.0, ..GroupParams::default() });
        let mut alone = alone;
        let apart = (alone.assign(&first, &Line(0)).group, alone.assign(&second, &Line(0)).group);
        assert_ne!(apart.0, apart.1);
    }
}

#[test]
fn a_name_that_stands_in_every_text_joins_nothing() {
    let text = mentioned("seen by prod-eu1");
    let joined = |texts_before: u64| {
        let mut grouper = Grouper::new(GroupParams::default());
        for id in 0..texts_before {
            grouper.assign(&naming(id, id as i64 * 1_000, "lone", &[], &text), &Line(0));
        }
        let last = grouper.assign(&naming(900, 300_000, "lone", &[], &text), &Line(0));
        let cluster = grouper.assign(&naming(901, 300_040, "prod-eu1", &[], &[]), &Line(0));
        cluster.group == last.group
    };
    assert!(joined(0) && !joined(200));
}

proptest! {
    #[test]
    fn names_are_indexed_as_the_alerts_come_and_go(steps in prop::collection::vec((0..20_u64, 0..4_u32, 0..4_u32, any::<bool>()), 1..120)) {
        let mut grouper = Grouper::new(GroupParams { members_max: 12, ..GroupParams::default() });
        for (at, (id, own, named, remove)) in steps.into_iter().enumerate() {
            if remove {
                grouper.remove(id);
            } else {
                let text = [named + 1];
                let names = Names { own: own + 1, mentioned: &text };
                let view = AlertView { id, time_ns: at as i64 * SECOND, begins: Begins::Anywhere, kind: 1, entity: id as u32, tokens: &[], names };
                grouper.assign(&view, &NoTopology);
            }
            for name in 1..6 {
                let newest_first: Vec<u32> = grouper.members.in_order().map(|(slot, _)| slot).collect::<Vec<_>>();
                let with = |of: &dyn Fn(&Member) -> bool| -> Vec<u32> {
                    newest_first.iter().rev().copied().filter(|slot| of(grouper.members.get(*slot))).collect()
                };
                let about: Vec<u32> = grouper.members.about(name).collect();
                prop_assert_eq!(about, with(&|member| member.name == name));
                let mentioning: Vec<u32> = grouper.members.mentioning(name).collect();
                prop_assert_eq!(mentioning, with(&|member| member.mentioned.contains(&name)));
            }
        }
        let restored = again(&grouper);
        for name in 1..6 {
            let ids = |of: &Grouper| -> Vec<u64> { of.members.mentioning(name).map(|slot| of.members.get(slot).id).collect() };
            prop_assert_eq!(ids(&grouper), ids(&restored));
        }
    }
}
