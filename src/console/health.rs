//! Whether the service has what it needs.

use serde_json::{Map, Value, json};

use crate::store::spool::Spool;
use crate::store::{self, Schema, Store, transfer};

const DATABASE: &str = "database";
const SCHEMA: &str = "schema";
const SPOOL: &str = "spool";

/// What was checked, each with what is wrong with it, if anything.
#[derive(Debug, PartialEq, Eq)]
pub struct Health(Vec<(&'static str, Option<String>)>);

impl Health {
    /// When the checks do not end.
    pub fn silent() -> Self {
        Self(vec![(DATABASE, Some("no answer within five seconds".to_owned()))])
    }

    /// The checks and their problems.
    pub fn checks(&self) -> impl Iterator<Item = (&'static str, Option<&str>)> {
        self.0.iter().map(|(check, problem)| (*check, problem.as_deref()))
    }

    /// Whether there is no problem.
    pub fn is_ready(&self) -> bool {
        self.0.iter().all(|(_, problem)| problem.is_none())
    }

    /// `{"ready": …, "stopping": …, "checks": {name: "ok" or the problem}}`.
    pub fn json(&self, stopping: bool) -> String {
        let checks: Map<String, Value> =
            self.checks().map(|(check, problem)| (check.to_owned(), problem.unwrap_or("ok").into())).collect();
        format!("{}\n", json!({"ready": self.is_ready() && !stopping, "stopping": stopping, "checks": checks}))
    }
}

/// Asks the database, compares its schema with this program's, sees that the data is here, and writes to an embedded one
/// and to the spool.
pub async fn look(store: Store, spool: Option<Spool>) -> Health {
    let mut checks = Vec::new();
    match store.schema().await {
        Ok(schema) => {
            // While nodes are upgraded one after the other, the old ones go on under the newer schema.
            let other = "it is not the schema of this program; see the version of the other nodes";
            let problem = use_database(&store).await.err().map(|error| error.to_string());
            checks.extend([(DATABASE, problem), (SCHEMA, (schema == Schema::Other).then(|| other.to_owned()))]);
        }
        Err(error) => checks.push((DATABASE, Some(error.to_string()))),
    }
    if let Some(spool) = spool {
        checks.push((SPOOL, spool.probe().await.err().map(|error| error.to_string())));
    }
    for (check, problem) in checks.iter().filter_map(|(check, problem)| Some((check, problem.as_deref()?))) {
        tracing::warn!(check, problem, "not ready");
    }
    Health(checks)
}

async fn use_database(store: &Store) -> store::Result<()> {
    transfer::refuse(&mut store.read().await?).await?;
    store.probe().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_is_enough_not_to_be_ready() {
        let health = Health(vec![(DATABASE, None), (SPOOL, Some("the disk is full".to_owned()))]);
        assert!(!health.is_ready());
        let expected = json!({"ready": false, "stopping": false,
            "checks": {"database": "ok", "spool": "the disk is full"}});
        assert_eq!(serde_json::from_str::<Value>(&health.json(false)).unwrap(), expected);
    }
}
