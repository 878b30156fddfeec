//! Clicks by link.

use super::hits::verdict;
use super::{HitCount, HitCounts, LinkFigures, Reports};
use crate::store::{Result, Session};

/// Links of a run in a report. A template may put a person's data into an address, so that there
/// can be as many addresses as people.
const LINKS: i64 = 100;

/// Run, url, category, verdict, messages, hits.
type Row = (i64, String, String, Option<String>, i64, i64);

/// Fills in the links, those first that most people followed.
pub(super) async fn count(session: &mut Session, reports: &mut Reports) -> Result<()> {
    let (runs, runs_args) = reports.among(2);
    let mut args = vec![LINKS.into()];
    args.extend(runs_args);
    let sql = format!(
        "WITH clicks AS (
            SELECT run_id, url, category, verdict, COUNT(DISTINCT recipient_id) AS messages, COUNT(*) AS total
            FROM hits WHERE kind = 'click' AND run_id IN ({runs}) GROUP BY run_id, url, category, verdict
         ), links AS (
            SELECT run_id, url, category, ROW_NUMBER() OVER (PARTITION BY run_id ORDER BY
                SUM(CASE WHEN verdict = 'human' THEN messages ELSE 0 END) DESC, SUM(total) DESC, url, category) AS place
            FROM clicks GROUP BY run_id, url, category
         )
         SELECT c.run_id, c.url, c.category, c.verdict, c.messages, c.total
         FROM links l JOIN clicks c ON c.run_id = l.run_id AND c.url = l.url AND c.category = l.category
         WHERE l.place <= $1 ORDER BY l.run_id, l.place"
    );
    for (run, url, category, word, messages, total) in session.all::<Row>(sql, args).await? {
        let category = Some(category).filter(|category| !category.is_empty());
        let links = &mut reports.of(run)?.links;
        if links.last().is_none_or(|link| link.url != url || link.category != category) {
            links.push(LinkFigures { url, category, clicks: HitCounts::default() });
        }
        if let Some(link) = links.last_mut() {
            link.clicks.set(verdict(word)?, HitCount { messages, total });
        }
    }
    Ok(())
}
