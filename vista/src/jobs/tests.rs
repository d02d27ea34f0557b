//! Jobs that leave.

use super::*;
use std::time::Duration;
use tokio::sync::Barrier;

#[tokio::test]
async fn those_that_leave_end_at_the_same_time() {
    const JOBS: usize = 3;
    let all = Arc::new(Barrier::new(JOBS));
    let running = |name: usize| {
        let (stop, all) = (CancellationToken::new(), Arc::clone(&all));
        let mine = stop.clone();
        // Ends once all have been told to.
        let task = tokio::spawn(async move {
            mine.cancelled().await;
            all.wait().await;
        });
        Running { job: Arc::new(crate::job::tests::job(&format!("a.{name}"))), stop, task }
    };
    let leaving = (0..JOBS).map(running).collect();
    let ended = tokio::time::timeout(Duration::from_secs(20), ended(leaving)).await;
    assert_eq!(ended.expect("one was waited for before the others were told").len(), JOBS);
}
