//! Who should act: the owning team, and of its people the one with the skill and the time.

use std::collections::BTreeMap;

use crate::catalogue::Member;
use crate::entity::entity_name;
use crate::incident::Owner;
use crate::signal::Relation;
use crate::symbols::{Sym, Symbols};
use crate::time::EventTime;
use crate::topology::{Lookup, Topology, owners};

/// Steps up from an item without an owner: its host, what it is part of, what runs on it.
const STEPS_MAX: usize = 3;

/// The team that owns `entity`: its catalogue entry, else an `owned_by` edge, else that of what it is part of, runs
/// on, or what runs on it.
pub(super) fn owning_team(
    entity: Option<Sym>,
    lookup: &Lookup,
    topology: &Topology,
    entities: &Symbols,
) -> Option<String> {
    let mut layer = vec![entity?];
    let mut seen = layer.clone();
    for _ in 0..=STEPS_MAX {
        if let Some(team) = layer.iter().find_map(|e| own(*e, lookup, topology, entities)) {
            return Some(team);
        }
        layer = next_layer(&layer, &mut seen, topology, entities);
    }
    None
}

/// A team as an owner, with its queue and whom it calls.
pub(crate) fn owner_of(team: &str, lookup: &Lookup) -> Owner {
    let known = lookup.teams.get(team);
    Owner {
        assignment_group: known
            .map(|t| t.assignment_group.clone())
            .filter(|group| !group.is_empty())
            .unwrap_or_else(|| team.to_owned()),
        escalation: known.map(|t| t.escalation.clone()).unwrap_or_default(),
        assignee: String::new(),
        team: team.to_owned(),
    }
}

fn own(entity: Sym, lookup: &Lookup, topology: &Topology, entities: &Symbols) -> Option<String> {
    let listed =
        lookup.items.get(entities.text(entity)).map(|item| item.owner.clone()).filter(|owner| !owner.is_empty());
    listed.or_else(|| owners(topology, entities, entity).first().map(|team| entity_name(team).to_owned()))
}

/// The items one step away that would know the owner, by name.
fn next_layer(layer: &[Sym], seen: &mut Vec<Sym>, topology: &Topology, entities: &Symbols) -> Vec<Sym> {
    let mut next: Vec<Sym> = layer
        .iter()
        .flat_map(|entity| topology.edges(*entity))
        .filter(|edge| matches!(edge.relation, Relation::PartOf | Relation::RunsOn | Relation::ConnectsTo))
        .map(|edge| edge.other)
        .filter(|other| !seen.contains(other))
        .collect();
    next.sort_by_key(|entity| entities.text(*entity));
    next.dedup();
    next.truncate(64);
    seen.extend(&next);
    next
}

/// The member of `team` who is there at `now` with most of the skills asked for and the most free capacity; `None`
/// when nobody has capacity left or a team has no people.
pub(super) fn pick_assignee(
    team: &str,
    skills: &[String],
    lookup: &Lookup,
    load: &BTreeMap<String, u32>,
    now: EventTime,
) -> Option<String> {
    let members = lookup.teams.get(team)?.members.iter().filter(|member| is_there(member, lookup, now));
    members
        .filter_map(|member| {
            let busy = load.get(&member.name).copied().unwrap_or(0);
            let free = member.capacity.checked_sub(busy).filter(|free| *free > 0)?;
            let fit = skills.iter().filter(|skill| member.skills.contains(skill)).count();
            Some((fit, free, std::cmp::Reverse(&member.name)))
        })
        .max()
        .map(|(_, _, name)| name.0.clone())
}

/// Whether a person works at `now`.
fn is_there(member: &Member, lookup: &Lookup, now: EventTime) -> bool {
    let away = member.away.iter().any(|away| (away.from..away.to).contains(&now));
    let shift = lookup.calendars.get(&member.shift);
    !away && shift.is_none_or(|shift| shift.is_open(now))
}

/// Incidents that a team's people carry, and how many they could; `None` where it has no people.
pub(super) fn carried(team: &str, lookup: &Lookup, load: &BTreeMap<String, u32>) -> Option<(u32, u32)> {
    let members = &lookup.teams.get(team)?.members;
    let sum = |of: &dyn Fn(&Member) -> u32| members.iter().map(of).fold(0_u32, u32::saturating_add);
    let carried = sum(&|member| load.get(&member.name).copied().unwrap_or(0));
    (!members.is_empty()).then(|| (carried, sum(&|member| member.capacity)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Away, Catalogue, Team};
    use crate::testing::at;

    #[test]
    fn the_free_person_with_the_skill_is_picked() {
        let member = |name: &str, skills: &[&str]| Member {
            name: name.into(),
            skills: skills.iter().map(|s| (*s).to_owned()).collect(),
            capacity: 1,
            ..Member::default()
        };
        let lookup = Lookup::of(&Catalogue {
            teams: vec![Team {
                name: "db".into(),
                members: vec![member("ana", &[]), member("bo", &["postgres"]), member("cy", &["postgres"])],
                ..Team::default()
            }],
            ..Catalogue::default()
        });
        let skills = vec!["postgres".to_owned()];
        let mut load = BTreeMap::new();
        assert_eq!(pick_assignee("db", &skills, &lookup, &load, at(0)).as_deref(), Some("bo"));
        load.insert("bo".to_owned(), 1);
        assert_eq!(pick_assignee("db", &skills, &lookup, &load, at(0)).as_deref(), Some("cy"));
        load.insert("cy".to_owned(), 1);
        load.insert("ana".to_owned(), 1);
        assert_eq!(pick_assignee("db", &skills, &lookup, &load, at(0)), None);
    }

    #[test]
    fn who_is_away_or_off_shift_is_given_nothing() {
        let shift = serde_json::json!({"name": "day", "hours": ["mon-fri 08:00-16:00"]});
        let member = |name: &str| Member { name: name.into(), capacity: 1, ..Member::default() };
        let away = Away { from: at(0), to: at(86_400) };
        let lookup = Lookup::of(&Catalogue {
            calendars: vec![serde_json::from_value(shift).expect("a calendar")],
            teams: vec![Team {
                name: "db".into(),
                members: vec![
                    Member { away: vec![away], ..member("ana") },
                    Member { shift: "day".into(), ..member("bo") },
                ],
                ..Team::default()
            }],
            ..Catalogue::default()
        });
        let picked = |hour: i64| pick_assignee("db", &[], &lookup, &BTreeMap::new(), at(hour * 3_600));
        // A Thursday: at six nobody is there, at nine bo; on Friday at six ana is back.
        assert_eq!((picked(6), picked(9), picked(30)), (None, Some("bo".to_owned()), Some("ana".to_owned())));
        assert_eq!(carried("db", &lookup, &BTreeMap::from([("bo".to_owned(), 1)])), Some((1, 2)));
    }
}
