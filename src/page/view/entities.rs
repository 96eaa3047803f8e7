//! Services and entities: those in trouble first, then by how much they matter.

use std::collections::BTreeMap;

use bellwether_engine::EntityLine;
use bellwether_engine::catalogue::Criticality;
use bellwether_engine::time::EventTime;
use maud::{Markup, html};

use super::list::address;
use super::tenants::chooser;
use super::words::{ago, count, entity_at, many, priority, said, short};
use crate::page::eye::Unseen;
use crate::page::model::{Hurt, Scope};

/// Entities on one page.
pub(crate) const PAGE_LINES: usize = 50;
/// Kinds that may be chosen; an estate has a dozen.
const KINDS_MAX: usize = 40;
/// Longest text that is looked for.
const WORDS_BYTES_MAX: usize = 200;

/// What is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Search {
    pub(crate) words: String,
    pub(crate) kind: String,
    /// The how-manieth page, from 0.
    pub(crate) page: usize,
}

impl Search {
    /// As a query says it.
    pub(crate) fn of(parameter: impl Fn(&str) -> Option<String>) -> Search {
        let cut = |name: &str| -> String {
            let mut text = parameter(name).unwrap_or_default();
            while text.len() > WORDS_BYTES_MAX {
                text.pop();
            }
            text
        };
        let page = parameter("page").and_then(|page| page.parse().ok()).unwrap_or(0);
        Search { words: cut("q"), kind: cut("kind"), page }
    }

    /// Those that are looked for, what is in trouble first, then by how much they matter, then by name.
    pub(crate) fn find<'l>(&self, lines: &'l [EntityLine], hurt: &BTreeMap<Box<str>, Hurt>) -> Vec<&'l EntityLine> {
        let words: Vec<String> = self.words.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let fits = |line: &&EntityLine| {
            let kind = self.kind.is_empty() || kind_of(&line.name) == self.kind;
            kind && {
                let (name, owner) = (line.name.to_lowercase(), line.owner.to_lowercase());
                words.iter().all(|word| name.contains(word.as_str()) || owner.contains(word.as_str()))
            }
        };
        let mut found: Vec<&EntityLine> = lines.iter().filter(fits).collect();
        let trouble = |line: &EntityLine| hurt.get(&line.name).map_or((1, None), |hurt| (0, Some(hurt.worst)));
        found.sort_by_cached_key(|line| {
            (trouble(line), std::cmp::Reverse(line.criticality), rank(&line.name), line.name.clone())
        });
        found
    }

    fn address(&self, tenant: &str, page: usize) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("tenant", tenant).append_pair("q", &self.words).append_pair("kind", &self.kind);
        query.append_pair("page", &page.to_string());
        format!("/page/entities?{}", query.finish())
    }
}

/// `service` of `service:shop`.
pub(crate) fn kind_of(entity: &str) -> &str {
    entity.split_once(':').map_or("", |(kind, _)| kind)
}

/// What people look for comes first where nothing else decides.
fn rank(entity: &str) -> u8 {
    match kind_of(entity) {
        "business" | "business_service" => 0,
        "service" => 1,
        "host" => 2,
        _ => 3,
    }
}

/// Everything that the page shows.
pub(crate) struct Entities<'e> {
    pub(crate) now: EventTime,
    pub(crate) scope: &'e Scope,
    pub(crate) tenant: &'e str,
    /// The tenants that may be chosen.
    pub(crate) tenants: &'e [std::sync::Arc<str>],
    pub(crate) search: &'e Search,
    pub(crate) lines: &'e Result<std::sync::Arc<Vec<EntityLine>>, Unseen>,
    pub(crate) hurt: &'e BTreeMap<Box<str>, Hurt>,
}

/// The page.
pub(crate) fn page(shown: &Entities<'_>) -> Markup {
    html! {
        div.head {
            h1 { "Services and entities" }
            p.soft { "Everything that anything is known of: measured, logged, named by alerts, by the topology or by the catalogue. What is in trouble comes first." }
        }
        (chooser("/page/entities", shown.tenant, shown.tenants, shown.scope))
        section.card aria-label="Services and entities" {
            @match shown.lines {
                Err(why) => { p.soft { (why.to_string()) } }
                Ok(lines) if lines.is_empty() => { p.soft { "Nothing is known yet. What arrives is listed here within a minute." } }
                Ok(lines) => { (list(shown, lines)) }
            }
        }
    }
}

fn list(shown: &Entities<'_>, lines: &[EntityLine]) -> Markup {
    let search = shown.search;
    let found = search.find(lines, shown.hurt);
    let before = search.page.saturating_mul(PAGE_LINES);
    let page: Vec<&EntityLine> = found.iter().skip(before).take(PAGE_LINES).copied().collect();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    lines.iter().for_each(|line| *kinds.entry(kind_of(&line.name)).or_default() += 1);
    let in_trouble = found.iter().filter(|line| shown.hurt.contains_key(&line.name)).count();
    html! {
        form.search method="get" action="/page/entities" role="search" {
            input type="hidden" name="tenant" value=(shown.tenant);
            input #q type="search" name="q" value=(search.words) placeholder="name or owner" aria-label="Words to look for";
            select name="kind" aria-label="Kind" {
                option value="" { "of any kind" }
                @for (kind, number) in kinds.iter().filter(|(kind, _)| !kind.is_empty()).take(KINDS_MAX) {
                    option value=(kind) selected[*kind == search.kind] { (said(kind)) " (" (number) ")" }
                }
            }
            button { "Find" }
        }
        p.small.soft {
            (many(found.len() as u64, "entity").replace("entitys", "entities"))
            @if in_trouble > 0 { ", " strong { (in_trouble) } " in trouble" } @else if !found.is_empty() { ", none in trouble" }
            @if before > 0 { ", from the " (before + 1) "th" } "."
        }
        @if !page.is_empty() { (table(shown, &page)) }
        div.actions {
            @if search.page > 0 { a.button href=(search.address(shown.tenant, search.page - 1)) rel="prev" { "Back" } }
            @if found.len() > before + page.len() { a.button href=(search.address(shown.tenant, search.page + 1)) rel="next" { "On" } }
        }
    }
}

fn table(shown: &Entities<'_>, lines: &[&EntityLine]) -> Markup {
    html! {
        div.scroll {
            table.cards {
                thead { tr { th { "Entity" } th { "Health" } th { "Owner" } th { "Matters" } th.n { "Connections" } th.n { "Series" } } }
                tbody {
                    @for line in lines {
                        tr data-row=(line.name) {
                            td.what { a.title href=(entity_at(shown.tenant, &line.name)) { (said(short(&line.name))) } span.sub { (said(kind_of(&line.name))) } }
                            td data-name="health" { (health(shown.hurt.get(&line.name), shown.now)) }
                            td data-name="owner" { @if line.owner.is_empty() { span.faint { "nobody named" } } @else { (said(short(&line.owner))) } }
                            td.tight data-name="matters" { (matters(line.criticality)) }
                            td.n data-name="connections" { (count(u64::from(line.edges))) }
                            td.n data-name="series" { (count(u64::from(line.series))) }
                        }
                    }
                }
            }
        }
    }
}

/// What is open that hurts it.
pub(crate) fn health(hurt: Option<&Hurt>, now: EventTime) -> Markup {
    html! {
        @match hurt {
            None => { span.soft { "no open incident" } }
            Some(hurt) => {
                (priority(hurt.worst)) " " a href=(address(&hurt.id)) { (said(&hurt.title)) }
                " "
                span.sub { "for " (ago(hurt.since, now)) @if hurt.count > 1 { " · " (many(hurt.count as u64, "open incident")) } }
            }
        }
    }
}

/// How much it matters.
pub(crate) fn matters(criticality: Option<Criticality>) -> Markup {
    let word = criticality.map(|criticality| match criticality {
        Criticality::Critical => "critical",
        Criticality::High => "high",
        Criticality::Medium => "medium",
        Criticality::Low => "low",
    });
    html! {
        @match word {
            Some(word @ ("critical" | "high")) => { span.pill.acknowledged { (word) } }
            Some(word) => { span.pill { (word) } }
            None => { span.faint { "not said" } }
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::incident::Priority;

    use super::*;

    fn line(name: &str, owner: &str, criticality: Option<Criticality>) -> EntityLine {
        EntityLine { name: name.into(), owner: owner.into(), criticality, edges: 0, series: 0 }
    }

    #[test]
    fn what_is_in_trouble_comes_first_then_what_matters() {
        let lines = [
            line("host:a", "infra", None),
            line("host:z", "infra", None),
            line("service:shop", "web", Some(Criticality::Critical)),
            line("service:mail", "post", None),
        ];
        let hurt = Hurt {
            worst: Priority::P2,
            count: 1,
            id: "inc_1".into(),
            title: "DiskFull".into(),
            since: EventTime::from_secs(1),
        };
        let hurt = BTreeMap::from([("host:z".into(), hurt)]);
        let found = |words: &str, kind: &str| {
            let search = Search { words: words.into(), kind: kind.into(), page: 0 };
            search.find(&lines, &hurt).into_iter().map(|line| &*line.name).collect::<Vec<_>>()
        };
        assert_eq!(found("", ""), ["host:z", "service:shop", "service:mail", "host:a"]);
        assert_eq!((found("INFRA", "host"), found("web shop", "")), (vec!["host:z", "host:a"], vec!["service:shop"]));
    }
}
