//! The record behind its cache: two nodes with one record and one memcached see every write at once.

use super::{Home, anomaly, context, on_both};
use crate::{Options, Row, Search, Store, Verdict};
use skyline_conf::model::memcached::Memcached as Settings;
use skyline_core::clock::Clock;
use skyline_peers::memcached::Memcached;

on_both!(every_write_shows_at_once, a_memcached_that_is_away_changes_no_answer);

fn options(address: &str) -> Options {
    let memcached = Settings { address: address.to_owned(), keep_seconds: 600, ..Settings::default() };
    Options { memcached, clock: Clock::system(), join_seconds: 100, ..Options::default() }
}

/// All that pages ask.
async fn read(store: &Store) -> (Vec<Row>, Vec<Row>, Vec<Option<Row>>) {
    let page = store.anomalies(&Search::default()).await.expect("a page").rows;
    let latest = store.latest(0.5, 100).await.expect("the latest");
    let mut each = Vec::new();
    for id in 1..6 {
        each.push(store.anomaly(id).await.expect("one"));
    }
    (page, latest, each)
}

fn hits(store: &Store) -> f64 {
    let mut figures = Vec::new();
    store.figures(&mut figures);
    figures.iter().filter(|f| f.name == "skyline_cache_hits_total").map(|f| f.value).sum()
}

async fn every_write_shows_at_once(home: Home) {
    let memcached = Memcached::start().expect("memcached");
    let options = options(&memcached.address());
    let (a, b) = (home.open_with(options.clone()).await, home.open_with(options).await);
    let mut last = read(&a).await;
    assert!(last.0.is_empty());
    for write in 0..8 {
        // Both have all answers of before.
        for store in [&a, &b] {
            assert_eq!(read(store).await, last, "before write {write}");
        }
        let (writer, reader) = if write % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let record = |anomalies: Vec<_>| async move {
            writer.record(&anomalies, &context()).await.expect("recorded");
        };
        let id = || last.0.first().expect("a row").id;
        match write {
            0 => record(vec![anomaly("a", 10.0)]).await,
            1 => record(vec![anomaly("a", 50.0), anomaly("b", 20.0)]).await,
            2 => drop(writer.set_label(id(), Some("ours"), crate::SYSTEM).await.expect("labelled")),
            3 => drop(writer.set_verdict(id(), Verdict::Muted, None, crate::SYSTEM).await.expect("judged")),
            4 => drop(writer.set_label(id(), None, crate::SYSTEM).await.expect("labelled")),
            5 => drop(writer.remove_metric("b").await.expect("removed")),
            6 => record(vec![anomaly("c", 30.0), anomaly("d", 31.0)]).await,
            _ => drop(writer.purge(31.0).await.expect("purged")),
        }
        let fresh = read(&home.open().await).await;
        assert_ne!(fresh, last, "write {write} changes what is read");
        assert_eq!(read(reader).await, fresh, "another node, after write {write}");
        assert_eq!(read(writer).await, fresh, "its own node, after write {write}");
        last = fresh;
    }
    assert!(hits(&a) >= 56.0 && hits(&b) >= 56.0, "the cache was used: {} {}", hits(&a), hits(&b));
}

async fn a_memcached_that_is_away_changes_no_answer(home: Home) {
    let mut memcached = Memcached::start().expect("memcached");
    let store = home.open_with(options(&memcached.address())).await;
    for round in 0..4_u32 {
        let ts = 1_000.0 * f64::from(round + 1);
        store.record(&[anomaly("a", ts)], &context()).await.expect("recorded");
        assert_eq!(read(&store).await, read(&home.open().await).await, "round {round}");
        match round {
            0 => memcached.pause(),
            1 => memcached.kill().expect("killed"),
            _ => memcached.restart().expect("started"),
        }
    }
}
