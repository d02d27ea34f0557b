//! Takes anomalies from the window threads into the record, and tells syslog.
//!
//! A thread's position moves past an anomaly only when it is recorded here, so a crash in between
//! finds it again from the journal; the record knows one anomaly by metric and time and
//! keeps it once.

use super::{Found, Shared};
use crate::syslog::Syslog;
use skyline_core::anomaly::Anomaly;
use skyline_core::clock::Clock;
use skyline_core::health::Standing;
use skyline_sql::{Context, Error, Store};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Groups taken at once.
const GROUPS: usize = 256;
/// Pauses between attempts while the record is away.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How the record does, for others to see.
#[derive(Debug)]
pub(crate) struct Told {
    /// Whether the record takes what it is given.
    pub(crate) standing: Standing,
    /// Anomalies that the record refused for what they are.
    pub(crate) lost: AtomicU64,
    /// Syslog lines that could not be sent.
    pub(crate) unsent: AtomicU64,
}

impl Told {
    /// Of a record that was opened at `place`.
    pub(crate) fn new(place: &str, now: f64) -> Self {
        let standing = Standing::unknown("record", place, now);
        Self { standing, lost: AtomicU64::new(0), unsent: AtomicU64::new(0) }
    }
}

/// What the recorder works with.
pub(crate) struct Recorder {
    pub(crate) store: Store,
    pub(crate) context: Context,
    pub(crate) shared: Vec<Arc<Shared>>,
    pub(crate) syslog: Option<Syslog>,
    pub(crate) told: Arc<Told>,
    pub(crate) clock: Clock,
    pub(crate) place: String,
}

impl Recorder {
    /// Runs until all threads have ended.
    pub(crate) async fn run(self, mut found: Receiver<Found>) {
        let mut groups = Vec::new();
        while found.recv_many(&mut groups, GROUPS).await > 0 {
            let anomalies: Vec<_> = groups.iter().flat_map(|g| g.anomalies.iter().cloned()).collect();
            if !self.record(&anomalies).await {
                // Closed: the node is stopping, and their positions stay before them.
                return;
            }
            for anomaly in &anomalies {
                tracing::info!(
                    metric = anomaly.metric,
                    ts = anomaly.point.ts,
                    value = anomaly.judged_value,
                    votes = anomaly.triggered.len(),
                    "anomaly"
                );
                if let Some(syslog) = &self.syslog
                    && !syslog.anomaly(anomaly).await
                {
                    self.told.unsent.fetch_add(1, Ordering::Relaxed);
                }
            }
            for group in groups.drain(..) {
                if let Some(shared) = self.shared.get(group.thread) {
                    shared.recorded.fetch_max(group.through, Ordering::AcqRel);
                }
            }
        }
    }

    /// Records anomalies, for as long as that takes; false when the record was closed.
    async fn record(&self, anomalies: &[Anomaly]) -> bool {
        let mut pause = SHORTEST_PAUSE;
        loop {
            let Err(error) = self.store.record(anomalies, &self.context).await else {
                self.told.standing.waits(0);
                self.told.standing.up(self.clock.now(), &self.place);
                return true;
            };
            match (&error, anomalies) {
                (Error::Closed { .. }, _) => return false,
                (Error::Data { .. }, [one]) => {
                    tracing::error!(%error, metric = one.metric, "an anomaly cannot be recorded and is left out");
                    self.told.lost.fetch_add(1, Ordering::Relaxed);
                    return true;
                }
                // One of them is in the way: the others are not to be lost with it.
                (Error::Data { .. }, many) => {
                    for anomaly in many {
                        if !Box::pin(self.record(std::slice::from_ref(anomaly))).await {
                            return false;
                        }
                    }
                    return true;
                }
                _ => {
                    let waiting = anomalies.len();
                    self.told.standing.waits(waiting as u64);
                    if self.told.standing.away(self.clock.now(), &error.to_string()) {
                        tracing::error!(%error, waiting, "anomalies cannot be recorded; they wait, and the journal keeps their points");
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}
