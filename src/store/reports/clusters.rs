//! What each cluster made of a run.

use std::collections::BTreeMap;

use super::{ClusterFigures, Reports, RunReport};
use crate::store::{Result, Session};

/// A person's cluster at the run's instant: later clicks would put everybody into the cluster of
/// what they clicked.
macro_rules! cluster_of {
    ($person:literal) => {
        concat!(
            "(SELECT s.cluster FROM cluster_spans s WHERE s.recipient_id = ",
            $person,
            " AND s.from_at <= r.at AND s.until_at > r.at ORDER BY s.ordinal DESC LIMIT 1)"
        )
    };
}

/// Fills in accepted messages and human clicks by cluster.
pub(super) async fn count(session: &mut Session, reports: &mut Reports) -> Result<()> {
    let (runs, args) = reports.among(1);
    let sql = format!(
        "SELECT m.run_id, {cluster}, COUNT(*) FROM messages m JOIN runs r ON r.id = m.run_id
         WHERE m.run_id IN ({runs}) AND m.state = 'accepted' GROUP BY 1, 2",
        cluster = cluster_of!("m.recipient_id"),
    );
    for (run, cluster, accepted) in session.all::<(i64, Option<String>, i64)>(sql, args.clone()).await? {
        of(reports.of(run)?, cluster).accepted = accepted;
    }
    let sql = format!(
        "SELECT h.run_id, {cluster}, h.category, COUNT(DISTINCT h.recipient_id) FROM hits h JOIN runs r ON r.id = h.run_id
         WHERE h.run_id IN ({runs}) AND h.kind = 'click' AND h.verdict = 'human' GROUP BY 1, 2, 3",
        cluster = cluster_of!("h.recipient_id"),
    );
    for (run, cluster, category, messages) in session.all::<(i64, Option<String>, String, i64)>(sql, args).await? {
        of(reports.of(run)?, cluster).clicked.insert(category, messages);
    }
    for report in &mut reports.list {
        // Named clusters in the order of names, then the rest.
        report.clusters.sort_by(|a, b| (a.cluster.is_none(), &a.cluster).cmp(&(b.cluster.is_none(), &b.cluster)));
    }
    Ok(())
}

fn of(report: &mut RunReport, cluster: Option<String>) -> &mut ClusterFigures {
    let clusters = &mut report.clusters;
    let place = clusters.iter().position(|c| c.cluster == cluster).unwrap_or_else(|| {
        clusters.push(ClusterFigures { cluster, accepted: 0, clicked: BTreeMap::new() });
        clusters.len() - 1
    });
    &mut clusters[place]
}
