//! The task as it runs.

use super::super::{Aggregator, Options, READER};
use super::restart::{Store, inputs, journal};
use super::*;
use crate::dest::Stop;
use skyline_conf::routing::Function::{Count, Sum};
use skyline_core::clock::Clock;
use skyline_core::figure::Figure;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

#[tokio::test(start_paused = true)]
async fn inputs_become_aggregates() {
    let dir = TempDir::new().unwrap();
    let journal = journal(dir.path());
    let (clock, store) = (Clock::at(1000.5), Store::default());
    let (tasks, stop) = (TaskTracker::new(), Stop::default());
    let options =
        || Options { state_dir: dir.path().to_owned(), clock: clock.clone(), limits: Limits::default() };
    let sum = Statement::Aggregate(aggregation("^in", &[("sum", Sum)], Then::FromTop));
    let start = |stop: &Stop| {
        Aggregator::start(options(), routing(vec![sum.clone()]), &journal, store.clone(), &tasks, stop)
            .unwrap()
    };
    let aggregator = start(&stop);
    let log = |value| journal.append(inputs(&journal, clock.now(), &[("in", 1000.0, value)], &[READER]));
    log(1.0).await.unwrap();
    log(2.0).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(aggregator.counts().inputs, 2);
    assert!(store.points().is_empty());
    clock.set(1015.0);
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(store.points(), [("sum 1000".to_owned(), 3.0)].into());
    // Saved in between, once ten seconds have passed.
    assert!(dir.path().join("aggregate").exists());
    // What is in the journal at a stop is read.
    log(4.0).await.unwrap();
    clock.set(1016.0);
    stop.drain.cancel();
    tasks.close();
    tasks.wait().await;
    assert_eq!(store.points(), [("sum 1000".to_owned(), 7.0)].into());
    let mut figures = Vec::new();
    aggregator.figures(&mut figures);
    let value = |name: &str| figures.iter().find(|f: &&Figure| f.name == name).unwrap().value;
    assert_eq!(value("skyline_aggregate_input_points_total"), 3.0);
    assert_eq!(value("skyline_aggregate_output_points_total"), 1.0);
    assert_eq!(value("skyline_aggregate_corrected_points_total"), 1.0);
    assert_eq!(value("skyline_aggregate_open_series"), 1.0);

    tasks.reopen();
    let stop = Stop::default();
    let aggregator = start(&stop);
    log(8.0).await.unwrap();
    clock.set(1017.0);
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(store.points(), [("sum 1000".to_owned(), 15.0)].into());
    // Another routing: what was not sent yet is sent, and new aggregations begin.
    log(16.0).await.unwrap();
    let count = Statement::Aggregate(aggregation("^in", &[("count", Count)], Then::FromTop));
    sleep(Duration::from_millis(100)).await;
    let (other, holders) = (Store::default(), Arc::strong_count(&store.is_full));
    aggregator.replace(routing(vec![count]), other.clone());
    sleep(Duration::from_millis(100)).await;
    log(1.0).await.unwrap();
    clock.set(1018.0);
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(store.points(), [("sum 1000".to_owned(), 31.0)].into(), "whose routing it is knows its way");
    assert_eq!(other.points(), [("count 1000".to_owned(), 1.0)].into());
    assert_eq!(Arc::strong_count(&store.is_full), holders - 1, "who took them before is let go");
    stop.abort.cancel();
    stop.drain.cancel();
    tasks.close();
    tasks.wait().await;
}
