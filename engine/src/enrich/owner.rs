//! Who should act: the owning team, and of its people the one with the skill and the time.

use std::collections::BTreeMap;

use crate::entity::entity_name;
use crate::incident::Owner;
use crate::signal::Relation;
use crate::symbols::{Sym, Symbols};
use crate::topology::{Lookup, Topology, owners};

/// Steps up from an item without an owner: its host, what it is part of, what runs on it.
const STEPS_MAX: usize = 3;

/// The owner of `entity`: its catalogue entry, else an `owned_by` edge, else the owner of what
/// it is part of, runs on, or what runs on it; else the default team.
pub(super) fn find_owner(
    entity: Option<Sym>,
    lookup: &Lookup,
    topology: &Topology,
    entities: &Symbols,
    default_team: &str,
) -> Owner {
    let team = entity
        .and_then(|start| {
            let mut layer = vec![start];
            let mut seen = layer.clone();
            for _ in 0..=STEPS_MAX {
                if let Some(team) = layer.iter().find_map(|e| own(*e, lookup, topology, entities)) {
                    return Some(team);
                }
                layer = next_layer(&layer, &mut seen, topology, entities);
            }
            None
        })
        .unwrap_or_else(|| default_team.to_owned());
    let known = lookup.teams.get(&team);
    Owner {
        assignment_group: known
            .map(|t| t.assignment_group.clone())
            .filter(|group| !group.is_empty())
            .unwrap_or_else(|| team.clone()),
        escalation: known.map(|t| t.escalation.clone()).unwrap_or_default(),
        assignee: String::new(),
        team,
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

/// The member of `team` with most of the skills asked for and the most free capacity; `None`
/// when everybody is full. `load` counts the open incidents of each person.
pub(super) fn pick_assignee(
    team: &str,
    skills: &[String],
    lookup: &Lookup,
    load: &BTreeMap<String, u32>,
) -> Option<String> {
    let members = &lookup.teams.get(team)?.members;
    members
        .iter()
        .filter_map(|member| {
            let busy = load.get(&member.name).copied().unwrap_or(0);
            let free = member.capacity.checked_sub(busy).filter(|free| *free > 0)?;
            let fit = skills.iter().filter(|skill| member.skills.contains(skill)).count();
            Some((fit, free, std::cmp::Reverse(&member.name)))
        })
        .max()
        .map(|(_, _, name)| name.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Catalogue, Member, Team};

    #[test]
    fn the_free_person_with_the_skill_is_picked() {
        let member = |name: &str, skills: &[&str]| Member {
            name: name.into(),
            skills: skills.iter().map(|s| (*s).to_owned()).collect(),
            capacity: 1,
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
        assert_eq!(pick_assignee("db", &skills, &lookup, &load).as_deref(), Some("bo"));
        load.insert("bo".to_owned(), 1);
        assert_eq!(pick_assignee("db", &skills, &lookup, &load).as_deref(), Some("cy"));
        load.insert("cy".to_owned(), 1);
        load.insert("ana".to_owned(), 1);
        assert_eq!(pick_assignee("db", &skills, &lookup, &load), None);
    }
}
