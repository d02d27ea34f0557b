//! Removing what is old or not wanted, and counting what is there.

use crate::error::Error;
use crate::pool::Store;
use crate::record::name_hash;
use crate::statement::Statement;
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
    /// Removes anomalies whose point, or the last one that was counted with it, is older than `older_than`
    /// (seconds), and metrics that are left with none, were not seen since and of which nothing was learnt.
    /// Returns the number of anomalies removed.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now; what was removed before stays so.
    pub async fn purge(&self, older_than: f64) -> Result<u64, Error> {
        self.changing(self.purge_older(older_than)).await
    }

    async fn purge_older(&self, older_than: f64) -> Result<u64, Error> {
        let dialect = self.dialect();
        // MariaDB deletes neither from a table that the same statement reads nor by a list that has a limit.
        let old = dialect.pick(
            "DELETE FROM anomaly WHERE id IN (SELECT id FROM anomaly WHERE anomaly_ts < ? \
             AND (end_ts IS NULL OR end_ts < ?) ORDER BY anomaly_ts LIMIT ?)",
            "DELETE FROM anomaly WHERE anomaly_ts < ? AND (end_ts IS NULL OR end_ts < ?) \
             ORDER BY anomaly_ts LIMIT ?",
        );
        let mut removed = 0;
        loop {
            let statement = Statement::new(old).bind(older_than).bind(older_than).bind(CHUNK);
            // Given back each time: a file has one connection that writes, and who records waits for it.
            let done = self.writer().await?.execute(statement).await?.rows;
            removed += done;
            self.totals().purged.fetch_add(done, Ordering::Relaxed);
            if done < CHUNK.unsigned_abs() {
                break;
            }
        }
        const UNUSED: &str = "SELECT m.id FROM metric m WHERE m.last_seen_at < ? \
             AND NOT EXISTS (SELECT 1 FROM anomaly a WHERE a.metric_id = m.id) \
             AND NOT EXISTS (SELECT 1 FROM profile p WHERE p.metric_id = m.id) \
             AND NOT EXISTS (SELECT 1 FROM training_set t WHERE t.metric_id = m.id) \
             AND NOT EXISTS (SELECT 1 FROM correlation c WHERE c.metric_id = m.id) LIMIT ?";
        loop {
            let place = self.place();
            let mut session = self.writer().await?;
            let unused = session.fetch(Statement::new(UNUSED).bind(older_than).bind(CHUNK)).await?;
            let ids: Vec<i64> = unused
                .iter()
                .map(|row| row.first::<i64>().map_err(|e| Error::of(place, &e)))
                .collect::<Result<_, _>>()?;
            if ids.is_empty() {
                return Ok(removed);
            }
            let mut delete = Statement::new("DELETE FROM metric WHERE id IN ");
            delete.push_list(ids.iter().copied());
            // Seen again in between: it stays.
            delete.push(" AND last_seen_at < ").push_bind(older_than);
            if session.execute(delete).await?.rows < CHUNK.unsigned_abs() {
                return Ok(removed);
            }
        }
    }

    /// Removes a metric, all its anomalies and all that was learnt of it; returns how many anomalies those were.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be written now.
    pub async fn remove_metric(&self, name: &str) -> Result<u64, Error> {
        let hash = name_hash(name);
        let mut transaction = self.transaction().await?;
        let session = transaction.session();
        let anomalies = Statement::new(
            "DELETE FROM anomaly WHERE metric_id IN (SELECT id FROM metric WHERE name_hash = ?)",
        );
        let removed = session.execute(anomalies.bind(hash.clone())).await?.rows;
        session.execute(Statement::new("DELETE FROM metric WHERE name_hash = ?").bind(hash)).await?;
        transaction.commit().await?;
        Ok(removed)
    }

    /// Counts what is there. Reads an index from end to end: for a person's question, not for every second.
    ///
    /// # Errors
    /// [`Error::Retry`] when the database cannot be read now.
    pub async fn counts(&self) -> Result<Counts, Error> {
        let statement = Statement::new(
            "SELECT (SELECT count(*) FROM anomaly) AS anomalies, (SELECT count(*) FROM metric) AS metrics",
        );
        let row = self.reader().await?.fetch_one(statement).await?;
        let of = |column: &str| {
            let number = row.as_ref().map_or(Ok(0), |row| row.get::<i64>(column));
            number.map(i64::unsigned_abs).map_err(|e| Error::of(self.place(), &e))
        };
        Ok(Counts { anomalies: of("anomalies")?, metrics: of("metrics")? })
    }
}
