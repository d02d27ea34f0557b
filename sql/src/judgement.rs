//! What became of an anomaly, and what people say of it.

use crate::account::{Change, audit};
use crate::error::Error;
use crate::pool::Store;
use crate::row::Verdict;
use crate::statement::Statement;
use serde_json::json;

/// Longest label, bytes.
const MAX_LABEL: usize = 255;

impl Store {
    /// Says what became of an anomaly; false when it is not there. `explained_by`: the `match_event` that
    /// explains it. `by`: who says so, [`crate::SYSTEM`] for the node itself.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now, or there is no such event or account.
    pub async fn set_verdict(
        &self,
        anomaly: i64,
        verdict: Verdict,
        explained_by: Option<i64>,
        by: i64,
    ) -> Result<bool, Error> {
        let now = self.now();
        let mut transaction = self.transaction().await?;
        let session = transaction.session();
        let place = self.place();
        let old = Statement::new("SELECT verdict, explained_by FROM anomaly WHERE id = ?").bind(anomaly);
        let Some(row) = session.fetch_one(old).await? else {
            return transaction.rollback().await.map(|()| false);
        };
        let failed = |e| Error::of(place, &e);
        let before: String = row.get("verdict").map_err(failed)?;
        let explained_before: Option<i64> = row.get("explained_by").map_err(failed)?;
        if (before.as_str(), explained_before) == (verdict.name(), explained_by) {
            return transaction.commit().await.map(|()| true);
        }
        let set = Statement::new("UPDATE anomaly SET verdict = ?, explained_by = ? WHERE id = ?");
        session.execute(set.bind(verdict.name()).bind(explained_by).bind(anomaly)).await?;
        let change = Change {
            by,
            action: "anomaly.verdict",
            table: "anomaly",
            row: anomaly,
            before: Some(json!({ "verdict": before, "explained_by": explained_before })),
            after: Some(json!({ "verdict": verdict.name(), "explained_by": explained_by })),
        };
        audit(session, now, change).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Labels an anomaly, or takes the label away; false when it is not there. `by`: who does so.
    ///
    /// # Errors
    /// [`Error::Data`] when the label is empty or too long; [`Error::Retry`] when there is no such account.
    pub async fn set_label(&self, anomaly: i64, label: Option<&str>, by: i64) -> Result<bool, Error> {
        if label.is_some_and(|text| text.is_empty() || text.len() > MAX_LABEL) {
            return Err(Error::data(self.place(), format!("a label has 1 to {MAX_LABEL} bytes")));
        }
        let now = self.now();
        let mut transaction = self.transaction().await?;
        let session = transaction.session();
        let place = self.place();
        let old = Statement::new("SELECT label, label_by FROM anomaly WHERE id = ?").bind(anomaly);
        let Some(row) = session.fetch_one(old).await? else {
            return transaction.rollback().await.map(|()| false);
        };
        let failed = |e| Error::of(place, &e);
        let before: Option<String> = row.get("label").map_err(failed)?;
        let before_by: Option<i64> = row.get("label_by").map_err(failed)?;
        let set = Statement::new("UPDATE anomaly SET label = ?, label_by = ? WHERE id = ?");
        let set = set.bind(label).bind(label.map(|_| by)).bind(anomaly);
        session.execute(set).await?;
        let change = Change {
            by,
            action: "anomaly.label",
            table: "anomaly",
            row: anomaly,
            before: Some(json!({ "label": before, "label_by": before_by })),
            after: Some(json!({ "label": label })),
        };
        audit(session, now, change).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
