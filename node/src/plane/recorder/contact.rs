//! Keeping in touch with the record: bringing in what waits in the file, and asking now and then whether it
//! is there.

use super::{Recorder, Told, Waiting};
use skyline_core::anomaly::Anomaly;
use skyline_sql::{Context, Error, Store};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Anomalies that are brought in at once.
const BATCH: usize = 500;
/// Pauses between attempts while the record is away.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Pause when a person has to act first.
const CONFIG_PAUSE: Duration = Duration::from_secs(10);
/// How often a record that has nothing to do is asked whether it is there.
const IDLE_PAUSE: Duration = Duration::from_secs(10);

/// What an attempt came to.
enum Outcome {
    /// The record took what there was.
    Up,
    Closed,
    /// Nothing was taken: why, and whether a person has to act.
    Away(String, bool),
}

/// The attempt that is under way, or when the next one is due. May be dropped from a `select!` at any time:
/// the attempt stays, and goes on as a task of its own while others use the record.
pub(super) struct Contact {
    store: Store,
    waiting: Waiting,
    told: Arc<Told>,
    attempt: Option<JoinHandle<Outcome>>,
    next: Instant,
    pause: Duration,
}

impl Contact {
    pub(super) fn new(recorder: &Recorder) -> Self {
        Self {
            store: recorder.store.clone(),
            waiting: recorder.waiting.clone(),
            told: Arc::clone(&recorder.told),
            attempt: None,
            next: Instant::now(),
            pause: SHORTEST_PAUSE,
        }
    }

    /// The next attempt; false when the record was closed.
    pub(super) async fn turn(&mut self) -> bool {
        tokio::time::sleep_until(self.next).await;
        let (store, waiting, told) = (&self.store, &self.waiting, &self.told);
        let attempt = self
            .attempt
            .get_or_insert_with(|| tokio::spawn(bring(store.clone(), waiting.clone(), Arc::clone(told))));
        let outcome = attempt.await;
        self.attempt = None;
        match outcome.unwrap_or_else(|error| Outcome::Away(error.to_string(), false)) {
            Outcome::Closed => return false,
            Outcome::Up => self.found(),
            Outcome::Away(why, needs_person) => self.away(&why, needs_person),
        }
        true
    }

    /// Something went wrong with the record elsewhere.
    pub(super) fn lost(&mut self, error: &Error) {
        self.away(&error.to_string(), !error.is_retry());
    }

    fn found(&mut self) {
        let left = self.waiting.count();
        if self.told.set_up() {
            tracing::info!(waiting = left, record = %self.store.place(), "the record takes anomalies again");
        }
        self.pause = SHORTEST_PAUSE;
        self.next = Instant::now() + if left > 0 { Duration::ZERO } else { IDLE_PAUSE };
    }

    fn away(&mut self, error: &str, needs_person: bool) {
        if self.told.set_away(error) {
            tracing::error!(error, "anomalies cannot be recorded; they wait");
        }
        self.next = Instant::now() + if needs_person { CONFIG_PAUSE } else { self.pause };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

impl Drop for Contact {
    fn drop(&mut self) {
        if let Some(attempt) = &self.attempt {
            attempt.abort();
        }
    }
}

/// Brings in the oldest of those that wait, or asks whether the record is there.
async fn bring(store: Store, waiting: Waiting, told: Arc<Told>) -> Outcome {
    let of = |error: Error| match error {
        Error::Closed { .. } => Outcome::Closed,
        error => Outcome::Away(error.to_string(), !error.is_retry()),
    };
    let file = |error: std::io::Error| Outcome::Away(format!("the file of waiting anomalies: {error}"), true);
    let (context, anomalies) = match waiting.peek(BATCH).await {
        Ok(Some(oldest)) => oldest,
        Ok(None) => return store.ping().await.map_or_else(of, |()| Outcome::Up),
        Err(error) => return file(error),
    };
    if let Err(error) = record(&store, &told, &context, &anomalies).await {
        return of(error);
    }
    waiting.taken().await.map_or_else(file, |()| Outcome::Up)
}

/// Records anomalies; one that can never be recorded is left out, and the others are not lost with it.
pub(super) async fn record(
    store: &Store,
    told: &Told,
    context: &Context,
    anomalies: &[Anomaly],
) -> Result<(), Error> {
    match store.record(anomalies, context).await {
        Err(Error::Data { .. }) => {}
        other => return other.map(drop),
    }
    for one in anomalies {
        match store.record(std::slice::from_ref(one), context).await {
            Err(error @ Error::Data { .. }) => {
                tracing::error!(%error, metric = one.metric, "an anomaly cannot be recorded and is left out");
                told.lost.fetch_add(1, Ordering::Relaxed);
            }
            other => other.map(drop)?,
        }
    }
    Ok(())
}
