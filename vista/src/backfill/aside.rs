//! What computes or writes for long, away from the threads that listeners and destinations share.

use std::panic::resume_unwind;
use tokio::task::spawn_blocking;

/// Bytes that are looked through in place: less than the way to another thread costs.
const SMALL: usize = 64 << 10;

/// Does `work`, on a thread that may block.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is being shut down: nothing of this job runs any more.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Does what takes as long as `bytes` are many: there if they are.
pub(super) async fn reading<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= SMALL { work() } else { aside(work).await }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::current;

    #[tokio::test]
    async fn much_is_read_on_another_thread() {
        let here = current().id();
        assert_eq!(reading(SMALL, || current().id()).await, here);
        assert_ne!(reading(SMALL + 1, || current().id()).await, here);
    }
}
