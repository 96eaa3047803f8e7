//! The neighbourhood of an incident: who depends on whom, where it began, in which order it spread, who may be next.
//!
//! What others depend on stands on the left, what people use on the right: trouble travels from left to right. Entities
//! of the incident come first, then those that touch most of them.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_engine::incident::{EntityRole, IncidentRecord};
use bellwether_engine::signal::Relation;
use bellwether_engine::time::EventTime;
use bellwether_engine::topology::NearEdge;
use maud::{Markup, html};

use super::words::{entity_at, said, short};

/// Entities shown.
const NODES_MAX: usize = 26;
/// Of them such as are no part of the incident.
const NEIGHBOURS_MAX: usize = 6;
/// Columns; what is deeper shares the first.
const COLUMNS_MAX: usize = 7;
const NODE_HEIGHT: f64 = 34.0;
const ROW_HEIGHT: f64 = 46.0;
const MARGIN: f64 = 16.0;
const WIDTH: f64 = 1_000.0;
const NAME_CHARS: usize = 22;

/// What an entity is to the incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Cause,
    Affected,
    Next,
    Near,
}

struct Node<'n> {
    name: &'n str,
    part: Part,
    /// The how-manieth to show trouble.
    order: Option<usize>,
    x: f64,
    y: f64,
}

/// `from` of an edge depends on `to`, so trouble travels from `to` to `from`; a part brings trouble to the whole.
fn travels(edge: &NearEdge) -> (&str, &str) {
    match edge.relation {
        Relation::PartOf => (&edge.from, &edge.to),
        _ => (&edge.to, &edge.from),
    }
}

/// The picture; nothing where no two of them are connected.
pub(crate) fn picture(
    record: &IncidentRecord,
    tenant: &str,
    onsets: &BTreeMap<String, EventTime>,
    near: &[NearEdge],
) -> Option<Markup> {
    let next = record.business_impact.iter().flat_map(|impact| &impact.next);
    let next: BTreeSet<&str> = next.map(|next| next.entity_id.as_str()).collect();
    let chosen = chosen(record, &next, near);
    let edges: Vec<(&str, &str, &NearEdge)> = near
        .iter()
        .map(|edge| (travels(edge), edge))
        .filter(|((from, to), _)| from != to && chosen.contains_key(from) && chosen.contains_key(to))
        .map(|((from, to), edge)| (from, to, edge))
        .collect();
    if edges.is_empty() {
        return None;
    }
    let nodes = placed(&chosen, &edges, onsets);
    let by_name: BTreeMap<&str, &Node<'_>> = nodes.iter().map(|node| (node.name, node)).collect();
    let rows = nodes.iter().map(|node| node.y).fold(0.0, f64::max);
    let columns: BTreeSet<i64> = nodes.iter().map(|node| node.x as i64).collect();
    let wide = width(columns.len());
    let height = rows + NODE_HEIGHT + MARGIN;
    let hot = |name: &str| matches!(by_name.get(name).map(|node| node.part), Some(Part::Cause | Part::Affected));
    Some(html! {
        div.scroll {
            svg.picture viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label="Neighbourhood: trouble travels from left to right" {
                @for (from, to, edge) in &edges {
                    (arrow(by_name[from], by_name[to], wide, hot(from) && hot(to), edge))
                }
                @for node in &nodes { a href=(entity_at(tenant, node.name)) { (boxed(node, wide)) } }
            }
        }
        p.legend {
            span { (key("cause")) "where it began" }
            span { (key("affected")) "in trouble" }
            @if !next.is_empty() { span { "dashed: may be next" } }
            span { "numbers: the order of first symptoms" }
        }
    })
}

fn key(class: &str) -> Markup {
    html! { svg viewBox="0 0 10 10" aria-hidden="true" { rect class={ "box " (class) } x="1" y="1" width="8" height="8" rx="2" {} } }
}

/// The entities that are shown, with what they are.
fn chosen<'r>(record: &'r IncidentRecord, next: &BTreeSet<&'r str>, near: &'r [NearEdge]) -> BTreeMap<&'r str, Part> {
    let mut chosen: BTreeMap<&str, Part> = BTreeMap::new();
    for entity in record.entities.iter().take(NODES_MAX) {
        let part = match entity.role {
            Some(EntityRole::Cause) => Part::Cause,
            Some(EntityRole::Affected) => Part::Affected,
            _ => Part::Near,
        };
        chosen.insert(&entity.id, part);
    }
    for name in next {
        if chosen.len() < NODES_MAX {
            chosen.entry(name).or_insert(Part::Next);
        }
    }
    let own: BTreeSet<&str> = chosen.keys().copied().collect();
    let mut touches: BTreeMap<&str, usize> = BTreeMap::new();
    for edge in near {
        for (one, other) in [(&edge.from, &edge.to), (&edge.to, &edge.from)] {
            if own.contains(one.as_str()) && !own.contains(other.as_str()) {
                *touches.entry(other).or_default() += 1;
            }
        }
    }
    let mut others: Vec<(&str, usize)> = touches.into_iter().collect();
    others.sort_by_key(|(name, touched)| (std::cmp::Reverse(*touched), *name));
    // A few neighbours are context; more would bury what matters.
    let room = (NODES_MAX - chosen.len()).min(NEIGHBOURS_MAX);
    for (name, _) in others.into_iter().take(room) {
        chosen.insert(name, Part::Near);
    }
    chosen
}

/// Columns by how much lies below an entity, rows so that edges cross little.
fn placed<'n>(
    chosen: &BTreeMap<&'n str, Part>,
    edges: &[(&str, &str, &NearEdge)],
    onsets: &BTreeMap<String, EventTime>,
) -> Vec<Node<'n>> {
    let mut depth: BTreeMap<&str, usize> = chosen.keys().map(|name| (*name, 0)).collect();
    // The longest way from what nothing lies below; a circle ends with the columns.
    for _ in 0..COLUMNS_MAX {
        for (from, to, _) in edges {
            let behind = (depth[from] + 1).min(COLUMNS_MAX - 1);
            if let Some(own) = depth.get_mut(to) {
                *own = (*own).max(behind);
            }
        }
    }
    let used: BTreeSet<usize> = depth.values().copied().collect();
    let column_of: BTreeMap<usize, usize> =
        used.into_iter().enumerate().map(|(column, depth)| (depth, column)).collect();
    let mut order: Vec<(&EventTime, &str)> = onsets
        .iter()
        .filter(|(name, _)| chosen.contains_key(name.as_str()))
        .map(|(name, at)| (at, name.as_str()))
        .collect();
    order.sort_unstable();
    let order: BTreeMap<&str, usize> =
        order.into_iter().enumerate().map(|(place, (_, name))| (name, place + 1)).collect();
    let mut columns: Vec<Vec<&'n str>> = vec![Vec::new(); column_of.len()];
    for name in chosen.keys() {
        columns[column_of[&depth[name]]].push(name);
    }
    let mut row: BTreeMap<&str, f64> = BTreeMap::new();
    for column in &mut columns {
        column.sort_by_key(|name| (order.get(name).copied().unwrap_or(usize::MAX), *name));
        column.iter().enumerate().for_each(|(place, name)| {
            row.insert(name, place as f64);
        });
    }
    // Each near the middle of what it is tied to, a few times over.
    for _ in 0..4 {
        for column in &mut columns {
            let middle = |name: &str| {
                let ties = edges.iter().filter_map(|(from, to, _)| match (*from == name, *to == name) {
                    (true, _) => row.get(to),
                    (_, true) => row.get(from),
                    _ => None,
                });
                let (sum, count) = ties.fold((0.0, 0.0), |(sum, count), row| (sum + row, count + 1.0));
                if count > 0.0 { sum / count } else { row.get(name).copied().unwrap_or(0.0) }
            };
            let mut wanted: Vec<(f64, &str)> = column.iter().map(|name| (middle(name), *name)).collect();
            wanted.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
            *column = wanted.into_iter().map(|(_, name)| name).collect();
            column.iter().enumerate().for_each(|(place, name)| {
                row.insert(name, place as f64);
            });
        }
    }
    let tallest = columns.iter().map(Vec::len).max().unwrap_or(1);
    let step = (WIDTH - 2.0 * MARGIN - width(columns.len())) / (columns.len().max(2) - 1) as f64;
    let mut nodes = Vec::new();
    for (place, column) in columns.iter().enumerate() {
        let shift = (tallest - column.len()) as f64 * ROW_HEIGHT / 2.0;
        for (row, name) in column.iter().enumerate() {
            let (x, y) = (MARGIN + step * place as f64, MARGIN + shift + ROW_HEIGHT * row as f64);
            nodes.push(Node { name, part: chosen[name], order: order.get(name).copied(), x, y });
        }
    }
    nodes
}

/// The width of a box where there are so many columns.
fn width(columns: usize) -> f64 {
    ((WIDTH - 2.0 * MARGIN) / columns.max(1) as f64 * 0.72).clamp(96.0, 190.0)
}

fn boxed(node: &Node<'_>, wide: f64) -> Markup {
    let class = match node.part {
        Part::Cause => "node cause",
        Part::Affected => "node affected",
        Part::Next => "node next",
        Part::Near => "node",
    };
    let (kind, name) = node.name.split_once(':').unwrap_or(("", node.name));
    let chars = ((wide - 16.0) / 7.3) as usize;
    let cut = |text: &str, max: usize| -> String {
        let text = said(text);
        match text.chars().count() > max {
            true => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
            false => text,
        }
    };
    html! {
        g class=(class) {
            title { (said(node.name)) }
            rect x=(round(node.x)) y=(round(node.y)) width=(round(wide)) height=(NODE_HEIGHT) rx="6" {}
            text x=(round(node.x + 9.0)) y=(round(node.y + 13.0)) { (cut(kind, chars)) }
            text.strong x=(round(node.x + 9.0)) y=(round(node.y + 27.0)) { (cut(short(name), chars.min(NAME_CHARS))) }
            @if let Some(order) = node.order {
                circle.number cx=(round(node.x + wide)) cy=(round(node.y)) r="9" {}
                text x=(round(node.x + wide)) y=(round(node.y + 3.5)) { (order) }
            }
        }
    }
}

fn arrow(from: &Node<'_>, to: &Node<'_>, wide: f64, hot: bool, edge: &NearEdge) -> Markup {
    let half = NODE_HEIGHT / 2.0;
    // Within a column or against the stream the line leaves and enters on the right.
    let onward = to.x > from.x;
    let (x1, y1) = (from.x + wide, from.y + half);
    let (x2, y2) = (if onward { to.x - 6.0 } else { to.x + wide + 6.0 }, to.y + half);
    let bend = if onward { (x2 - x1) / 2.0 } else { 34.0 };
    let (c1, c2) = (x1 + bend, if onward { x2 - bend } else { x2 + bend });
    let head = if onward {
        format!("M{} {}l-6-3.5v7z", round(x2 + 6.0), round(y2))
    } else {
        format!("M{} {}l6-3.5v7z", round(x2 - 6.0), round(y2))
    };
    let heat = if hot { " hot" } else { "" };
    html! {
        path class={ "edge" (heat) } d={ "M" (round(x1)) " " (round(y1)) "C" (round(c1)) " " (round(y1)) " " (round(c2)) " " (round(y2)) " " (round(x2)) " " (round(y2)) } {
            title { (said(&edge.from)) " " (edge.relation.name().replace('_', " ")) " " (said(&edge.to)) }
        }
        path class={ "head" (heat) } d=(head) {}
    }
}

fn round(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, relation: Relation, to: &str) -> NearEdge {
        NearEdge { from: from.to_owned(), relation, to: to.to_owned(), confidence: 0.9 }
    }

    #[test]
    fn trouble_travels_from_left_to_right_and_a_circle_ends() {
        let chosen: BTreeMap<&str, Part> =
            ["service:a", "host:h", "business:b", "service:c"].map(|name| (name, Part::Near)).into();
        let near = [
            edge("service:a", Relation::RunsOn, "host:h"),
            edge("business:b", Relation::Calls, "service:a"),
            edge("service:a", Relation::Calls, "service:c"),
            edge("service:c", Relation::Calls, "service:a"),
        ];
        let edges: Vec<_> = near.iter().map(|edge| (travels(edge).0, travels(edge).1, edge)).collect();
        let nodes = placed(&chosen, &edges, &BTreeMap::new());
        let x = |name: &str| nodes.iter().find(|node| node.name == name).map(|node| node.x).expect("it is shown");
        assert!(x("host:h") < x("service:a") && x("service:a") <= x("business:b"));
        assert!(nodes.iter().all(|node| node.x + width(1) <= WIDTH + 100.0 && node.x >= 0.0));
    }
}
