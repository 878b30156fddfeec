//! What happened and when: actions, messages, subscriptions.

use std::time::Duration;

use super::Writer;
use crate::domain::message::MessageState;
use crate::domain::segment::{ActionTest, Period, Received, Subscribed};
use crate::store::any;
use crate::store::lapses::unused;

impl Writer<'_> {
    pub(super) fn action(&mut self, test: &ActionTest) -> String {
        let kind = self.bind(test.kind.as_str());
        let mut sql = self.with_run("actions", test.campaign.as_deref(), test.topic.as_deref());
        sql += &format!(" AND x.kind = {kind}");
        if let Some(category) = &test.category {
            sql += &format!(" AND x.category = {}", self.bind(category.as_str()));
        }
        any(&format!("{sql} AND {}", self.when("x.at", &test.period)))
    }

    pub(super) fn received(&mut self, test: &Received) -> String {
        let sql = self.with_run("messages", test.campaign.as_deref(), test.topic.as_deref());
        let accepted = MessageState::Accepted.as_str();
        any(&format!("{sql} AND x.state = '{accepted}' AND {}", self.when("x.at", &test.period)))
    }

    /// `subscriptions` knows the last change of each; what was before it stands in the ledger.
    pub(super) fn subscribed(&mut self, test: &Subscribed) -> String {
        let at = self.at();
        let topic = test.topic.as_deref().map(|topic| format!(" AND u.topic = {}", self.bind(topic)));
        let began = |writer: &mut Self, column: &str| {
            let longer = test.longer_than.map(|d| format!(" AND {column} <= {}", writer.bind(writer.at.minus(d))));
            writer.when(column, &test.period) + &longer.unwrap_or_default()
        };
        let (since, granted) = (began(self, "u.since"), began(self, "c.at"));
        format!(
            "EXISTS (SELECT 1 FROM subscriptions u WHERE u.recipient_id = r.id{} AND CASE
                WHEN u.since <= {at} THEN u.subscribed AND {since}
                ELSE EXISTS (SELECT 1 FROM consents c WHERE c.recipient_id = u.recipient_id AND c.topic = u.topic
                    AND c.purpose = 'contact' AND c.granted AND {granted} AND NOT EXISTS (
                        SELECT 1 FROM consents d WHERE d.recipient_id = c.recipient_id AND d.topic = c.topic
                        AND d.purpose = c.purpose AND d.at <= {at} AND d.seq > c.seq)) END)",
            topic.unwrap_or_default(),
        )
    }

    pub(super) fn consent_lapses(&mut self, topic: Option<&str>, unused_for: Duration) -> String {
        let test =
            Subscribed { topic: topic.map(str::to_owned), longer_than: Some(unused_for), period: Period::default() };
        let (since, until) = (self.bind(self.at.minus(unused_for)), self.at());
        format!("({} AND {})", self.subscribed(&test), unused("r.id", &since, Some(&until)))
    }

    /// `column` lies in the period, and not after the instant.
    pub(super) fn when(&mut self, column: &str, period: &Period) -> String {
        let mut sql = format!("{column} <= {}", self.at());
        if let Some(within) = period.within {
            sql += &format!(" AND {column} > {}", self.bind(self.at.minus(within)));
        }
        if let Some(since) = period.since {
            sql += &format!(" AND {column} >= {}", self.bind(since));
        }
        if let Some(before) = period.before {
            sql += &format!(" AND {column} < {}", self.bind(before));
        }
        sql
    }

    /// A SELECT over a table `x` of the recipient's rows, tied to its runs where they are asked for.
    fn with_run(&mut self, table: &str, campaign: Option<&str>, topic: Option<&str>) -> String {
        let mut sql = format!("SELECT 1 FROM {table} x");
        if campaign.is_some() || topic.is_some() {
            sql += " JOIN runs n ON n.id = x.run_id";
        }
        sql += " WHERE x.recipient_id = r.id";
        if let Some(campaign) = campaign {
            sql += &format!(" AND n.campaign = {}", self.bind(campaign));
        }
        if let Some(topic) = topic {
            sql += &format!(" AND n.topic = {}", self.bind(topic));
        }
        sql
    }
}
