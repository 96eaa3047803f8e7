//! What cannot be one fault: two entities, each in a state that began where it is.
//!
//! A full disk and an expired certificate of a service elsewhere may come in one minute, next to each other; they are
//! two faults, for neither brings the other about. Effects are another matter: slow answers come from whom
//! one waits for. So a group takes no condition that does not go with one it holds, and two groups that hold such do
//! not become one, whatever links them.

use super::grouper::Grouper;
use super::tables::{Distance, Member, NO_ENTITY};
use super::view::Begins;

/// Conditions looked at, the latest: of a storm some say enough.
const CONDITIONS_MAX: usize = 64;

impl Grouper {
    /// A condition in a group that does not go with what this alert reports.
    pub(super) fn against(&self, alert: &Member, group: u32, distance: &impl Distance) -> Option<u64> {
        if alert.begins == Begins::Anywhere {
            return None;
        }
        self.conditions_of(group).find(|other| self.are_two(alert, other, distance)).map(|other| other.id)
    }

    /// Two conditions, one of each group, that do not go together.
    pub(super) fn two_faults(&self, a: u32, b: u32, distance: &impl Distance) -> Option<(u64, u64)> {
        self.conditions_of(a).find_map(|one| Some((one.id, self.against(one, b, distance)?)))
    }

    fn conditions_of(&self, group: u32) -> impl Iterator<Item = &Member> {
        let latest = self.members.conditions().take(CONDITIONS_MAX);
        latest.map(|slot| self.members.get(slot)).filter(move |member| member.group == group)
    }

    /// Whether two conditions are two faults: of different entities and types, one a flaw, neither brings the other
    /// about, neither text names the other, and they never belonged together.
    fn are_two(&self, a: &Member, b: &Member, distance: &impl Distance) -> bool {
        let named = |by: &Member, of: &Member| by.mentioned.contains(&of.name);
        let brings = |from: &Member, to: &Member| distance.brings((from.entity, from.begins), (to.entity, to.begins));
        (a.begins == Begins::Here || b.begins == Begins::Here)
            && a.entity != b.entity
            && a.entity != NO_ENTITY
            && b.entity != NO_ENTITY
            && a.kind != b.kind
            && !named(a, b)
            && !named(b, a)
            && self.learned.score(a.kind, b.kind) <= 0.0
            && !brings(a, b)
            && !brings(b, a)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::{AlertView, GroupParams, Names};

    const SECOND: i64 = 1_000_000_000;

    /// Everything is near everything. Entities 0, 1 and 2 stand on each other in that order; demand on 0 reaches 5.
    struct Estate;

    impl Distance for Estate {
        fn within(&self, entity: u32, _hops_max: u8, out: &mut Vec<(u32, f32)>) {
            out.extend((0..10).filter(|other| *other != entity).map(|other| (other, 0.8)));
        }

        fn knows(&self, _entity: u32) -> bool {
            true
        }

        fn brings(&self, (from, what): (u32, Begins), (to, _): (u32, Begins)) -> bool {
            (from > to && from <= 2) || (what == Begins::Demand && (from, to) == (0, 5))
        }
    }

    fn alert(id: u64, begins: Begins, entity: u32) -> AlertView<'static> {
        let time_ns = (100 + id as i64) * SECOND;
        AlertView { id, time_ns, begins, kind: id as u32, entity, tokens: &[], names: Names::default() }
    }

    fn groups(alerts: &[AlertView<'_>]) -> Vec<usize> {
        let mut grouper = Grouper::new(GroupParams::default());
        for alert in alerts {
            grouper.assign(alert, &Estate);
        }
        let ids: Vec<_> = alerts.iter().map(|alert| grouper.group_of(alert.id)).collect();
        ids.iter().map(|id| ids.iter().position(|other| other == id).expect("it is there")).collect()
    }

    #[test]
    fn two_conditions_of_entities_that_do_not_stand_on_each_other_are_two_faults() {
        assert_eq!(groups(&[alert(1, Begins::Here, 3), alert(2, Begins::Here, 4)]), [0, 1]);
        assert_eq!(groups(&[alert(1, Begins::Strain, 3), alert(2, Begins::Here, 4)]), [0, 1]);
        assert_eq!(groups(&[alert(1, Begins::Strain, 3), alert(2, Begins::Strain, 4)]), [0, 0], "one load on both");
        assert_eq!(groups(&[alert(1, Begins::Here, 3), alert(2, Begins::Anywhere, 4)]), [0, 0], "an effect");
        assert_eq!(groups(&[alert(1, Begins::Here, 0), alert(2, Begins::Here, 2)]), [0, 0], "a service and its host");
        assert_eq!(groups(&[alert(1, Begins::Here, 2), alert(2, Begins::Here, 0)]), [0, 0], "the host first");
        let alike = AlertView { kind: 1, ..alert(2, Begins::Here, 4) };
        assert_eq!(groups(&[alert(1, Begins::Here, 3), alike]), [0, 0], "the same in two places");
    }

    #[test]
    fn demand_goes_with_what_it_reaches() {
        assert_eq!(groups(&[alert(1, Begins::Demand, 0), alert(2, Begins::Here, 5)]), [0, 0]);
        assert_eq!(groups(&[alert(1, Begins::Here, 0), alert(2, Begins::Here, 5)]), [0, 1]);
    }

    #[test]
    fn a_text_that_names_the_other_joins_them() {
        let named = Names { own: 7, mentioned: &[] };
        let naming = Names { own: 8, mentioned: &[7] };
        let of = |names: Names<'static>, id, entity| AlertView { names, ..alert(id, Begins::Here, entity) };
        assert_eq!(groups(&[of(named, 1, 3), of(naming, 2, 4)]), [0, 0]);
        assert_eq!(groups(&[of(naming, 1, 4), of(named, 2, 3)]), [0, 0]);
    }

    #[test]
    fn what_links_two_faults_joins_one_of_them_and_merges_none() {
        let told = groups(&[alert(1, Begins::Here, 3), alert(2, Begins::Here, 4), alert(3, Begins::Anywhere, 6)]);
        assert!(told == [0, 1, 0] || told == [0, 1, 1], "{told:?}");
    }

    #[test]
    fn why_an_alert_is_elsewhere_names_the_two_conditions() {
        let mut grouper = Grouper::new(GroupParams::default());
        let first = grouper.assign(&alert(1, Begins::Here, 3), &Estate).group;
        grouper.assign(&alert(2, Begins::Here, 4), &Estate);
        let why = grouper.why_not(2, first, &Estate).expect("it is in another");
        assert!(why.score >= why.threshold && why.apart == Some((2, 1)), "{why:?}");
    }

    #[test]
    fn a_restored_grouper_still_knows_what_is_apart() {
        let mut grouper = Grouper::new(GroupParams::default());
        grouper.assign(&alert(1, Begins::Here, 3), &Estate);
        let saved = postcard::to_stdvec(&grouper).expect("saves");
        let mut restored: Grouper = postcard::from_bytes(&saved).expect("reads");
        assert!(restored.assign(&alert(2, Begins::Here, 4), &Estate).opened);
    }
}
