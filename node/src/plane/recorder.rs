//! Takes anomalies from the window threads into the record, and tells syslog.
//!
//! A thread's position moves past an anomaly only when it is recorded here, so a crash in between
//! finds it again from the journal; the record knows one anomaly by metric and time and
//! keeps it once.

use super::{Found, Shared};
use crate::syslog::Syslog;
use skyline_sql::{Context, Store};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Groups taken at once.
const GROUPS: usize = 256;

/// Runs until all threads have ended.
pub(crate) async fn run(
    mut found: Receiver<Found>,
    store: Store,
    context: Context,
    shared: Vec<Arc<Shared>>,
    syslog: Option<Syslog>,
) {
    let mut groups = Vec::new();
    while found.recv_many(&mut groups, GROUPS).await > 0 {
        let anomalies: Vec<_> = groups.iter().flat_map(|g| g.anomalies.iter().cloned()).collect();
        let mut pause = Duration::from_millis(50);
        loop {
            match store.record(&anomalies, &context, None).await {
                Ok(_) => break,
                Err(error) if !error.is_retry() => {
                    tracing::error!(%error, lost = anomalies.len(), "anomalies cannot be recorded");
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, waiting = anomalies.len(), "anomalies cannot be recorded, trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
        for anomaly in &anomalies {
            tracing::info!(
                metric = anomaly.metric,
                ts = anomaly.point.ts,
                value = anomaly.judged_value,
                votes = anomaly.triggered.len(),
                "anomaly"
            );
            if let Some(syslog) = &syslog {
                syslog.anomaly(anomaly).await;
            }
        }
        for group in groups.drain(..) {
            if let Some(shared) = shared.get(group.thread) {
                shared.recorded.fetch_max(group.through, Ordering::AcqRel);
            }
        }
    }
}
