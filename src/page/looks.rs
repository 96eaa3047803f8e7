//! Looks at a tenant's estate through the engine: its entities, one of them, its alerts, and what stands beside them.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_engine::topology::EdgeView;
use bellwether_engine::{AlertsSeen, AlertsWanted, Engine, EntityLine, SeriesView, TemplateView};
use futures::future::BoxFuture;

use super::Page;
use super::eye::{Eye, Unseen};
use super::lately::{EntitySeen, Standing};
use super::points::{Describe, Meta};

/// Edges that are shown of an entity, the surest.
const EDGES_MAX: usize = 200;
/// Alerts of an entity that are shown.
const ALERTS_MAX: usize = 50;
/// Changes and log templates that are shown of a tenant.
const CHANGES_MAX: usize = 300;
const TEMPLATES_MAX: usize = 200;
/// Log templates that are read: as many as a tenant may have. Each shard of an engine has its own.
const TEMPLATES_READ_MAX: usize = 10_000;

impl Describe for Page {
    fn describe<'a>(&'a self, tenant: &'a Arc<str>, series: Vec<u64>) -> BoxFuture<'a, Vec<(u64, Option<Meta>)>> {
        Box::pin(async move {
            let (whose, asked) = (tenant.clone(), series.clone());
            let look = move |engine: &mut Engine| {
                let meta = |id: u64| engine.series(&whose, id).map(|view| meta_of(&view));
                asked.into_iter().map(|id| (id, meta(id))).collect::<Vec<_>>()
            };
            // Who cannot be asked now is asked with the next sample.
            self.eye.look(tenant, look).await.unwrap_or_else(|_| series.into_iter().map(|id| (id, None)).collect())
        })
    }
}

/// One of those that say the same, with the lines of all, those with most lines first; and how many there are.
fn merged(templates: Vec<TemplateView>) -> (Vec<TemplateView>, usize) {
    let mut by_text: HashMap<String, TemplateView> = HashMap::new();
    for template in templates {
        match by_text.get_mut(&template.text) {
            Some(known) => known.lines += template.lines,
            None => {
                by_text.insert(template.text.clone(), template);
            }
        }
    }
    let mut all: Vec<TemplateView> = by_text.into_values().collect();
    let known = all.len();
    all.sort_unstable_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.text.cmp(&b.text)));
    all.truncate(TEMPLATES_MAX);
    (all, known)
}

fn meta_of(view: &SeriesView<'_>) -> Meta {
    let labels = view.labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Meta { metric: view.name.into(), entity: view.entity.into(), unit: view.unit.into(), counter: view.counter, labels }
}

impl Eye {
    /// Every entity of a tenant, by name.
    pub(crate) async fn entities(&self, tenant: &Arc<str>) -> Result<Arc<Vec<EntityLine>>, Unseen> {
        if let Some(seen) = self.lately.entities.get(tenant) {
            return Ok(seen);
        }
        let whose = tenant.clone();
        let seen = self.look(tenant, move |engine| engine.entities(&whose)).await?;
        Ok(self.lately.entities.put(tenant.clone(), seen))
    }

    /// One entity of a tenant.
    pub(crate) async fn entity(&self, tenant: &Arc<str>, name: &str) -> Result<Arc<EntitySeen>, Unseen> {
        let key = (tenant.clone(), name.to_owned());
        if let Some(seen) = self.lately.entity.get(&key) {
            return Ok(seen);
        }
        let (whose, name) = key.clone();
        let look = move |engine: &mut Engine| EntitySeen {
            entity: engine.entity(&whose, &name, EDGES_MAX),
            alerts: engine
                .alerts(&whose, &AlertsWanted { entity: Some(name), max: ALERTS_MAX, ..AlertsWanted::default() }),
        };
        let seen = self.look(tenant, look).await?;
        Ok(self.lately.entity.put(key, seen))
    }

    /// The edges that begin at these entities.
    pub(crate) async fn edges(&self, tenant: &Arc<str>, from: Vec<String>) -> Result<Vec<EdgeView>, Unseen> {
        let whose = tenant.clone();
        let look = move |engine: &mut Engine| {
            let of = |name: &String| engine.entity(&whose, name, EDGES_MAX).map(|seen| seen.edges).unwrap_or_default();
            from.iter().flat_map(|name| of(name).into_iter().filter(|edge| edge.from == *name)).collect()
        };
        self.look(tenant, look).await
    }

    /// The alerts of a tenant that are asked for.
    pub(crate) async fn alerts(&self, tenant: &Arc<str>, wanted: AlertsWanted) -> Result<AlertsSeen, Unseen> {
        let whose = tenant.clone();
        self.look(tenant, move |engine| engine.alerts(&whose, &wanted)).await
    }

    /// What stands at a tenant.
    pub(crate) async fn standing(&self, tenant: &Arc<str>) -> Result<Arc<Standing>, Unseen> {
        if let Some(seen) = self.lately.standing.get(tenant) {
            return Ok(seen);
        }
        let whose = tenant.clone();
        let look = move |engine: &mut Engine| {
            let (templates, templates_known) = merged(engine.templates(&whose, TEMPLATES_READ_MAX).0);
            Standing {
                changes: engine.changes(&whose, CHANGES_MAX),
                templates,
                templates_known,
                problems: engine.problems(&whose),
                lessons: engine.lessons(&whose),
                judged: engine.labels(&whose).len(),
                delays: engine.delays(&whose),
            }
        };
        let seen = self.look(tenant, look).await?;
        Ok(self.lately.standing.put(tenant.clone(), seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_of_several_shards_that_say_the_same_are_one() {
        let one = |id: &str, text: &str, lines| TemplateView { id: id.to_owned(), text: text.to_owned(), lines };
        let (all, known) = merged(vec![one("a", "GET <*>", 7), one("b", "ok", 9), one("c", "GET <*>", 5)]);
        let shown: Vec<(&str, u64)> = all.iter().map(|one| (one.text.as_str(), one.lines)).collect();
        assert_eq!((shown, known), (vec![("GET <*>", 12), ("ok", 9)], 2));
    }
}
