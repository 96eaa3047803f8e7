//! Articles that tell what to do, ranked by how well their words fit an incident.

use bellwether_models::desk::{Report, Similar};

use crate::catalogue::KnowledgeArticle;
use crate::incident::Article;

/// Articles that a record names.
const SHOWN: usize = 3;
/// What fits less says nothing about it.
const SCORE_MIN: f64 = 0.1;
/// So long after articles incidents are asked about, in seconds, that none counts as news.
const LONG_AFTER_S: i64 = 1 << 40;

/// A tenant's articles. Made of the catalogue, and anew when a checkpoint is restored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Knowledge {
    index: Similar,
    articles: Vec<(String, String)>,
}

impl Knowledge {
    /// Of a catalogue's articles.
    pub(crate) fn of(articles: &[KnowledgeArticle]) -> Knowledge {
        let mut knowledge = Knowledge::default();
        for article in articles {
            let report = Report { at_s: 0, summary: &article.title, description: &article.text };
            knowledge.index.learn(knowledge.articles.len() as u64, &report);
            knowledge.articles.push((article.id.clone(), article.title.clone()));
        }
        knowledge
    }

    /// The articles that fit best, best first.
    pub(super) fn fitting(&self, title: &str, words: &str) -> Vec<Article> {
        if self.articles.is_empty() {
            return Vec::new();
        }
        let asked = Report { at_s: LONG_AFTER_S, summary: title, description: words };
        let found = self.index.find(&asked, SHOWN);
        let fitting = found.into_iter().filter(|found| found.score >= SCORE_MIN);
        let named = fitting.filter_map(|found| Some((self.articles.get(found.id as usize)?, found.score)));
        let rounded = |score: f64| (score.min(1.0) * 1_000.0).round() / 1_000.0;
        named
            .map(|((id, title), score)| Article { id: id.clone(), title: title.clone(), score: rounded(score) })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn article(id: &str, title: &str, text: &str) -> KnowledgeArticle {
        KnowledgeArticle { id: id.into(), title: title.into(), text: text.into() }
    }

    #[test]
    fn the_article_about_it_comes_first_and_the_unlike_not_at_all() {
        let knowledge = Knowledge::of(&[
            article("disk.md", "A disk is full", "Find large files with du; vacuum the database; grow the volume."),
            article("certs.md", "Certificates expire", "Renew with certbot and reload nginx."),
        ]);
        let found = knowledge.fitting("DiskFull on db-1", "host db-1 disk full, database cannot write");
        assert_eq!(found.iter().map(|article| article.id.as_str()).collect::<Vec<_>>(), ["disk.md"]);
        assert!(found[0].score <= 1.0 && found[0].title == "A disk is full");
        assert_eq!(knowledge.fitting("zebra", ""), []);
        assert_eq!(Knowledge::default().fitting("disk", "full"), []);
    }
}
