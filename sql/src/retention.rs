//! Removing what is old or not wanted, and counting what is there.

use crate::error::Error;
use crate::pool::Store;
use std::sync::atomic::Ordering;

/// Anomalies removed in one transaction: recording goes on in between.
const CHUNK: i64 = 1_000;

/// What the record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Anomalies.
    pub anomalies: u64,
    /// Metrics with at least one, or that had one.
    pub metrics: u64,
}

impl Store {
    /// Removes anomalies whose point is older than `older_than` (seconds), and metrics that are left
    /// with none and were not seen since. Returns the number of anomalies removed.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now; what was removed before stays so.
    pub async fn purge(&self, older_than: f64) -> Result<u64, Error> {
        self.changing(self.purge_older(older_than)).await
    }

    async fn purge_older(&self, older_than: f64) -> Result<u64, Error> {
        let failed = |e| Error::of(self.path(), e);
        let mut removed = 0;
        loop {
            let done = sqlx::query(
                "DELETE FROM anomaly WHERE id IN (SELECT id FROM anomaly WHERE anomaly_ts < ? ORDER BY anomaly_ts LIMIT ?)",
            )
            .bind(older_than)
            .bind(CHUNK)
            .execute(self.writer())
            .await
            .map_err(failed)?
            .rows_affected();
            removed += done;
            self.totals().purged.fetch_add(done, Ordering::Relaxed);
            if done < CHUNK.unsigned_abs() {
                break;
            }
        }
        loop {
            let done = sqlx::query(
                "DELETE FROM metric WHERE id IN (SELECT m.id FROM metric m WHERE m.last_seen_at < ? \
                 AND NOT EXISTS (SELECT 1 FROM anomaly a WHERE a.metric_id = m.id) LIMIT ?)",
            )
            .bind(older_than)
            .bind(CHUNK)
            .execute(self.writer())
            .await
            .map_err(failed)?
            .rows_affected();
            if done < CHUNK.unsigned_abs() {
                return Ok(removed);
            }
        }
    }

    /// Removes a metric and all its anomalies; returns how many those were.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now.
    pub async fn remove_metric(&self, name: &str) -> Result<u64, Error> {
        self.changing(self.remove_named(name)).await
    }

    async fn remove_named(&self, name: &str) -> Result<u64, Error> {
        let failed = |e| Error::of(self.path(), e);
        let mut transaction = self.writer().begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        let removed =
            sqlx::query("DELETE FROM anomaly WHERE metric_id IN (SELECT id FROM metric WHERE name = ?)")
                .bind(name)
                .execute(&mut *transaction)
                .await
                .map_err(failed)?
                .rows_affected();
        sqlx::query("DELETE FROM metric WHERE name = ?")
            .bind(name)
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        Ok(removed)
    }

    /// Counts what is there. Reads an index from end to end: for a person's question, not for every second.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn counts(&self) -> Result<Counts, Error> {
        let (anomalies, metrics): (i64, i64) =
            sqlx::query_as("SELECT (SELECT count(*) FROM anomaly), (SELECT count(*) FROM metric)")
                .fetch_one(self.readers())
                .await
                .map_err(|e| Error::of(self.path(), e))?;
        Ok(Counts { anomalies: anomalies.unsigned_abs(), metrics: metrics.unsigned_abs() })
    }
}
