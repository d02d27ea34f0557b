//! Purging by age and removing one metric.

use super::{Home, all, anomaly, context, on_both};
use crate::Counts;
use crate::statement::Statement;

on_both!(what_is_older_goes, recording_goes_on_meanwhile, a_metric_goes_with_its_anomalies);

async fn what_is_older_goes(home: Home) {
    let store = home.open().await;
    let batch: Vec<_> = (0..2_500).map(|i| anomaly(&format!("m{i}"), f64::from(i))).collect();
    store.record(&batch, &context()).await.expect("recorded");
    let check = async |older_than, removed, anomalies, metrics| {
        assert_eq!(store.purge(older_than).await.expect("purged"), removed);
        assert_eq!(store.counts().await.expect("counted"), Counts { anomalies, metrics });
    };
    check(0.0, 0, 2_500, 2_500).await;
    check(2_100.0, 2_100, 400, 400).await;
    check(2_100.0, 0, 400, 400).await;
    check(2_100.5, 1, 399, 399).await;
    check(1e12, 399, 0, 0).await;
    let votes = Statement::new("SELECT count(*) FROM anomaly_algorithm");
    let orphans = store.reader().await.expect("a connection").number(votes).await.expect("counted");
    assert_eq!(orphans, Some(0));
}

async fn recording_goes_on_meanwhile(home: Home) {
    let store = home.open().await;
    let old: Vec<_> = (0..10_000).map(|i| anomaly(&format!("m{}", i % 3_000), f64::from(i))).collect();
    store.record(&old, &context()).await.expect("recorded");
    let purging = tokio::spawn({
        let store = store.clone();
        async move { store.purge(1e6).await }
    });
    let mut meanwhile = 0_u32;
    while !purging.is_finished() {
        meanwhile += 1;
        let new = anomaly("new", 1e6 + f64::from(meanwhile));
        store.record(&[new], &context()).await.expect("recorded at once");
    }
    assert_eq!(purging.await.expect("ended").expect("purged"), 10_000);
    // One in each pause between ten pieces and those of the metrics, at least some of them.
    assert!(meanwhile > 3, "{meanwhile}");
    assert_eq!(store.counts().await.expect("counted"), Counts { anomalies: meanwhile.into(), metrics: 1 });
}

async fn a_metric_goes_with_its_anomalies(home: Home) {
    let store = home.open().await;
    let batch = [anomaly("a", 1.0), anomaly("a", 2.0), anomaly("a.b", 1.0)];
    store.record(&batch, &context()).await.expect("recorded");
    let newest = all(&store).await.iter().map(|r| r.id).max().expect("rows");
    assert_eq!(store.remove_metric("a").await.expect("removed"), 2);
    assert_eq!(store.remove_metric("a").await.expect("removed"), 0);
    assert_eq!(store.remove_metric("a%").await.expect("removed"), 0);
    assert_eq!(store.counts().await.expect("counted"), Counts { anomalies: 1, metrics: 1 });
    store.remove_metric("a.b").await.expect("removed");
    store.record(&batch, &context()).await.expect("recorded again");
    assert!(all(&store).await.iter().all(|r| r.id > newest), "ids are never used twice");
}
