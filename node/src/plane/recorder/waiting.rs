//! The file of anomalies that wait for the record, used from tasks: its reads and writes run on threads of
//! their own.

use super::Told;
use skyline_core::anomaly::Anomaly;
use skyline_sql::{Context, Spill};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The file; clones are the same. Without one nothing waits there.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    spill: Option<Arc<Mutex<Spill>>>,
    told: Arc<Told>,
    /// That it takes nothing was said.
    is_said: Arc<AtomicBool>,
}

impl Waiting {
    /// Opens the file. One that cannot be opened is done without: anomalies then wait in the journal.
    pub(crate) fn open(path: &Path, max_bytes: u64, sync: bool, told: &Arc<Told>) -> Self {
        let spill = match Spill::open(path, max_bytes, sync) {
            Ok((spill, found)) => {
                if found.damaged > 0 {
                    tracing::error!(
                        file = %path.display(), places = found.damaged,
                        "the file of waiting anomalies is damaged; what was there is left out"
                    );
                }
                if found.anomalies > 0 || found.cut_bytes > 0 {
                    tracing::info!(
                        file = %path.display(), waiting = found.anomalies, cut_bytes = found.cut_bytes,
                        "anomalies of the last run wait for the record"
                    );
                }
                Some(Arc::new(Mutex::new(spill)))
            }
            Err(error) => {
                tracing::error!(
                    file = %path.display(), %error,
                    "no anomalies can be kept while the record is away; they wait in the journal"
                );
                None
            }
        };
        if let Some(spill) = &spill {
            tell(told, &spill.lock().unwrap_or_else(PoisonError::into_inner));
        }
        Self { spill, told: Arc::clone(told), is_said: Arc::default() }
    }

    /// Anomalies in the file. Does not wait for a disk that is slow.
    pub(crate) fn count(&self) -> u64 {
        self.told.kept.load(Ordering::Acquire)
    }

    /// Adds anomalies; false when the file takes them not.
    pub(super) async fn append(&self, anomalies: &[Anomaly], context: &Context) -> bool {
        let (anomalies, context) = (anomalies.to_vec(), context.clone());
        let why = match self.on_file(move |spill| spill.append(&anomalies, &context)).await {
            Some(Ok(true)) => {
                self.is_said.store(false, Ordering::Relaxed);
                return true;
            }
            Some(Ok(false)) => "it is full (record.spill_bytes)".to_owned(),
            Some(Err(error)) => error.to_string(),
            None => "there is none".to_owned(),
        };
        if !self.is_said.swap(true, Ordering::Relaxed) {
            tracing::error!(
                why,
                "the file of waiting anomalies takes no more; they wait, and the journal keeps their points"
            );
        }
        false
    }

    /// The oldest ones.
    pub(super) async fn peek(&self, most: usize) -> io::Result<Option<(Context, Vec<Anomaly>)>> {
        self.on_file(move |spill| spill.peek(most)).await.unwrap_or(Ok(None))
    }

    /// Those that were peeked at are recorded.
    pub(super) async fn taken(&self) -> io::Result<()> {
        self.on_file(Spill::taken).await.unwrap_or(Ok(()))
    }

    async fn on_file<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Spill) -> io::Result<T> + Send + 'static,
    ) -> Option<io::Result<T>> {
        let spill = Arc::clone(self.spill.as_ref()?);
        let told = Arc::clone(&self.told);
        let work = move || {
            let mut spill = spill.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = work(&mut spill);
            tell(&told, &spill);
            outcome
        };
        let outcome = tokio::task::spawn_blocking(work).await;
        Some(outcome.unwrap_or_else(|error| Err(io::Error::other(error))))
    }
}

fn tell(told: &Told, spill: &Spill) {
    told.kept_bytes.store(spill.bytes(), Ordering::Relaxed);
    told.kept.store(spill.count(), Ordering::Release);
}
