//! Reading the journal without holding up the runtime: what reads files goes to a thread that may
//! block, and takes the reader along.

use skyline_journal::{Delivery, Error, Reader};
use std::panic::resume_unwind;
use tokio::task::spawn_blocking;

/// Points of one take from memory: about half a MiB of lines.
const FROM_MEMORY: usize = 8_192;
/// Points of one take from files.
const FROM_FILES: usize = 16_384;

/// What a take gave.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) deliveries: Vec<Delivery>,
    /// It was read from files: the destination is catching up.
    pub(crate) from_files: bool,
    pub(crate) outcome: Result<(), Error>,
}

/// Takes what comes next; `deliveries` is empty.
pub(crate) async fn take(mut reader: Reader, mut deliveries: Vec<Delivery>) -> (Reader, Taken) {
    if reader.in_memory() {
        let outcome = reader.take(FROM_MEMORY, &mut deliveries);
        return (reader, Taken { deliveries, from_files: false, outcome });
    }
    let (reader, (outcome, deliveries)) = away(reader, |reader| {
        let outcome = reader.take(FROM_FILES, &mut deliveries);
        (outcome, deliveries)
    })
    .await;
    (reader, Taken { deliveries, from_files: true, outcome })
}

/// Skips the oldest so that at most `points` wait; how many were skipped.
pub(super) async fn shed_to(reader: Reader, points: u64) -> (Reader, Result<u64, Error>) {
    away(reader, move |reader| reader.shed_to(points)).await
}

/// Does `work` on a thread that may block, with what it works on; gives that back.
pub(crate) async fn away<O: Send + 'static, T: Send + 'static>(
    mut object: O,
    work: impl FnOnce(&mut O) -> T + Send + 'static,
) -> (O, T) {
    let task = spawn_blocking(move || {
        let value = work(&mut object);
        (object, value)
    });
    match task.await {
        Ok(back) => back,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is being shut down: nothing of this task runs any more.
            Err(_) => std::future::pending().await,
        },
    }
}
