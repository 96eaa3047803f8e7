//! `mention`: reads once, when an alert fires, which entities its texts name.

use crate::tables::Tables;
use crate::turn::{Item, Turn};

/// Takes the news of alerts that fire, and new catalogues.
pub(crate) fn take(item: Item, tables: &mut Tables, _turn: &mut Turn<'_>) -> Option<Item> {
    let Tables { known, alerts, estate, .. } = tables;
    match &item {
        Item::News { alert, news } if news.says_what_is() => {
            let mentioned = alerts.get(*alert).map(|alert| known.read(alert, &estate.names, &estate.entities));
            if let Some(mentioned) = mentioned {
                alerts.set_mentioned(*alert, mentioned);
            }
        }
        Item::NewCatalogue => {
            known.set_catalogue(&estate.lookup);
        }
        _ => {}
    }
    Some(item)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{Catalogue, CatalogueItem};
    use crate::dedup::{self, News};
    use crate::entity::name_of;
    use crate::event::Event;
    use crate::signal::AlertStatus;
    use crate::testing::{Bench, sensed};

    fn fire(bench: &mut Bench, text: &str) -> Box<[u32]> {
        let sensed =
            crate::alert::Sensed { summary: text.into(), ..sensed(1, 7, "Slow", "service:shop", AlertStatus::Firing) };
        bench.take(dedup::stage::take, 1, Item::Event(Event::Sensed(Box::new(sensed))));
        let done = bench.take(take, 1, Item::News { alert: 7, news: News::Fired });
        assert!(matches!(done.next, Some(Item::News { .. })), "it goes on");
        bench.tables.alerts.get(7).expect("known").mentioned.clone()
    }

    #[test]
    fn an_entity_that_is_known_is_read_and_its_own_is_not() {
        let mut bench = Bench::new();
        bench.tables.estate.entities.intern("db:orders");
        let named = fire(&mut bench, "shop waits for orders and for nobody");
        assert_eq!(*named, [name_of("db:orders")]);
    }

    #[test]
    fn other_names_of_a_catalogue_lead_to_the_one_name() {
        let mut bench = Bench::new();
        let item = CatalogueItem {
            entity: "db:orders".to_owned(),
            aliases: vec!["db:legacy".to_owned()],
            ..CatalogueItem::default()
        };
        let catalogue = Catalogue { services: vec![item], ..Catalogue::default() };
        bench.run(0, Item::Event(Event::Catalogue(catalogue.into())));
        assert_eq!(*fire(&mut bench, "no answer from legacy"), [name_of("db:orders")]);
    }

    #[test]
    fn a_recovery_reads_nothing() {
        let mut bench = Bench::new();
        bench.tables.estate.entities.intern("db:orders");
        fire(&mut bench, "nothing named");
        bench.take(take, 2, Item::News { alert: 7, news: News::Recovered });
        assert!(bench.tables.alerts.get(7).expect("known").mentioned.is_empty());
    }
}
