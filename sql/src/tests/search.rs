//! Searches against a plain filter, and the borders that a filter does not show.

use super::{Home, anomaly, context, here, on_both, pages};
use crate::statement::Statement;
use crate::{Context, Error, Names, Order, Row, Search, Store};
use proptest::prelude::*;
use skyline_core::algorithm::Algorithm;
use skyline_core::anomaly::Anomaly;

on_both!(
    names_by_pattern,
    conditions_are_joined,
    new_rows_do_not_shift_pages,
    now_is_the_newest_of_each_metric
);

async fn metrics(store: &Store, search: Search) -> Vec<String> {
    pages(store, search).await.into_iter().map(|row| row.anomaly.metric).collect()
}

async fn names_by_pattern(home: Home) {
    let store = home.open().await;
    let names = ["a.b.c", "a.b_c", "a.bxc", "A.B.C", "a.b.c.d", "100%!", "größe.x"];
    let batch: Vec<_> = names.iter().enumerate().map(|(i, name)| anomaly(name, i as f64)).collect();
    store.record(&batch, &context()).await.expect("recorded");
    let check = async |pattern: &str, expected: &[&str]| {
        let search = Search {
            names: Some(Names::Like(pattern.to_owned())),
            order: Order::Ascending,
            ..Search::default()
        };
        assert_eq!(metrics(&store, search).await, expected, "{pattern}");
    };
    check("a.b.c", &["a.b.c"]).await;
    check("a.%", &["a.b.c", "a.b_c", "a.bxc", "a.b.c.d"]).await;
    check("%.c", &["a.b.c"]).await;
    check("a.%.%", &["a.b.c", "a.b.c.d"]).await;
    check("a.b_c", &["a.b_c"]).await;
    check("100%!", &["100%!"]).await;
    check("%!", &["100%!"]).await;
    check("gr%e.x", &["größe.x"]).await;
    check("%", &names).await;
    check("", &[]).await;
    check("'; DROP TABLE anomaly; --", &[]).await;
    let exact = |name: &str| Search { names: Some(Names::Exact(name.to_owned())), ..Search::default() };
    assert_eq!(metrics(&store, exact("A.B.C")).await, ["A.B.C"]);
    assert_eq!(metrics(&store, exact("a.%")).await, [""; 0]);
    let long = Search { names: Some(Names::Like("%a".repeat(2_000))), ..Search::default() };
    assert!(matches!(store.anomalies(&long).await, Err(Error::Data { .. })));
}

async fn conditions_are_joined(home: Home) {
    let store = home.open().await;
    let other = Context { host: "db01".to_owned(), app: "boundary".to_owned() };
    store
        .record(&[anomaly("a", 1.0), anomaly("a", 2.0), anomaly("b", 3.0)], &context())
        .await
        .expect("recorded");
    let few = Anomaly { triggered: [Algorithm::KsTest].into_iter().collect(), ..anomaly("a", 4.0) };
    store.record(&[few], &other).await.expect("recorded");
    let check = async |search: Search, expected: &[f64]| {
        let times: Vec<_> = pages(&store, search.clone()).await.iter().map(|r| r.anomaly.point.ts).collect();
        assert_eq!(times, expected, "{search:?}");
    };
    let any = Search::default;
    let exact = |name: &str| Some(Names::Exact(name.to_owned()));
    check(any(), &[4.0, 3.0, 2.0, 1.0]).await;
    check(Search { order: Order::Ascending, ..any() }, &[1.0, 2.0, 3.0, 4.0]).await;
    check(Search { from: Some(2.0), until: Some(3.0), ..any() }, &[3.0, 2.0]).await;
    check(Search { from: Some(5.0), ..any() }, &[]).await;
    check(Search { names: exact("a"), ..any() }, &[4.0, 2.0, 1.0]).await;
    check(Search { names: exact("a"), host: Some("web01".to_owned()), ..any() }, &[2.0, 1.0]).await;
    check(Search { app: Some("boundary".to_owned()), ..any() }, &[4.0]).await;
    check(Search { app: Some("nothing".to_owned()), ..any() }, &[]).await;
    check(Search { algorithm: Some(Algorithm::KsTest), ..any() }, &[4.0, 3.0, 2.0, 1.0]).await;
    check(Search { algorithm: Some(Algorithm::Grubbs), ..any() }, &[3.0, 2.0, 1.0]).await;
    check(Search { algorithm: Some(Algorithm::LeastSquares), ..any() }, &[]).await;
    check(Search { limit: 0, ..any() }, &[4.0, 3.0, 2.0, 1.0]).await;
    check(Search { limit: u32::MAX, ..any() }, &[4.0, 3.0, 2.0, 1.0]).await;
}

async fn new_rows_do_not_shift_pages(home: Home) {
    let store = home.open().await;
    let batch: Vec<_> = (0..10).map(|i| anomaly("a", f64::from(i))).collect();
    store.record(&batch, &context()).await.expect("recorded");
    let first = store.anomalies(&Search { limit: 4, ..Search::default() }).await.expect("a page");
    store.record(&[anomaly("a", 99.0), anomaly("b", 9.0)], &context()).await.expect("recorded");
    let rest = pages(&store, Search { limit: 4, cursor: first.next, ..Search::default() }).await;
    let times: Vec<_> = first.rows.iter().chain(&rest).map(|r| r.anomaly.point.ts).collect();
    assert_eq!(times, [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.0]);
}

async fn now_is_the_newest_of_each_metric(home: Home) {
    let store = home.open().await;
    let batch = [anomaly("a", 10.0), anomaly("a", 70.0), anomaly("b", 65.0), anomaly("old", 9.0)];
    store.record(&batch, &context()).await.expect("recorded");
    // A point of long ago that came late is not what is anomalous now.
    let late = Anomaly { received: 71.0, ..anomaly("a", 20.0) };
    store.record(&[late], &context()).await.expect("recorded");
    let check = async |since, limit, expected: &[(&str, f64)]| {
        let rows = store.latest(since, limit).await.expect("read");
        let rows: Vec<_> = rows.iter().map(|r| (r.anomaly.metric.as_str(), r.anomaly.point.ts)).collect();
        assert_eq!(rows, expected);
    };
    check(60.0, 100, &[("a", 70.0), ("b", 65.0)]).await;
    check(0.0, 100, &[("a", 70.0), ("b", 65.0), ("old", 9.0)]).await;
    check(0.0, 1, &[("a", 70.0)]).await;
    check(70.25, 100, &[("a", 70.0)]).await;
    check(71.0, 100, &[]).await;
}

/// No search may read the whole table: each begins at an index.
#[tokio::test]
async fn searches_use_indexes() {
    let (_dir, store) = here().await;
    let batch: Vec<_> = (0..500).map(|i| anomaly(&format!("m{}", i % 50), f64::from(i))).collect();
    store.record(&batch, &context()).await.expect("recorded");
    let check = async |search: Search| {
        let mut explain = Statement::new("EXPLAIN QUERY PLAN ");
        let search_itself = crate::search::statement(&search, 10);
        explain.push(&search_itself.text).values = search_itself.values;
        let plan = store.reader().await.expect("a connection").fetch(explain).await.expect("a plan");
        let steps: Vec<String> = plan.iter().map(|row| row.get("detail").expect("text")).collect();
        assert!(
            steps.iter().any(|s| s.starts_with("SEARCH a USING") || s.starts_with("SCAN a USING INDEX anomaly_by_ts")),
            "{search:?}: {steps:#?}"
        );
        let sorted = steps.iter().any(|s| s == "USE TEMP B-TREE FOR ORDER BY");
        assert!(!sorted || matches!(search.names, Some(Names::Like(_))), "{search:?}: {steps:#?}");
    };
    let any = Search::default;
    check(any()).await;
    check(Search { from: Some(1.0), ..any() }).await;
    check(Search { names: Some(Names::Exact("m1".to_owned())), ..any() }).await;
    check(Search { names: Some(Names::Like("m1%".to_owned())), ..any() }).await;
    check(Search { cursor: "41d7629a38400000-1".parse().ok(), ..any() }).await;
    check(Search { algorithm: Some(Algorithm::KsTest), app: Some("analyzer".to_owned()), ..any() }).await;
}

fn fits(search: &Search, row: &Row) -> bool {
    let ts = row.anomaly.point.ts;
    let name = &row.anomaly.metric;
    search.from.is_none_or(|from| ts >= from)
        && search.until.is_none_or(|until| ts <= until)
        && search.app.as_ref().is_none_or(|app| *app == row.app)
        && search.algorithm.is_none_or(|a| row.anomaly.triggered.contains(a))
        && match &search.names {
            None => true,
            Some(Names::Exact(exact)) => name == exact,
            Some(Names::Like(like)) => {
                like.strip_suffix('%').map_or(name == like, |start| name.starts_with(start))
            }
        }
}

fn any_search() -> impl Strategy<Value = Search> {
    let time = || proptest::option::of((0..12_u8).prop_map(f64::from));
    let names = proptest::option::of(prop_oneof![
        "[ab][12]".prop_map(Names::Exact),
        "[ab][12]?%?".prop_map(Names::Like),
    ]);
    let app = proptest::option::of(prop_oneof![Just("x".to_owned()), Just("y".to_owned())]);
    let algorithm = proptest::option::of((0..9_usize).prop_map(|i| Algorithm::ALL[i]));
    (names, time(), time(), app, algorithm, 1..7_u32, any::<bool>()).prop_map(
        |(names, from, until, app, algorithm, limit, up)| {
            let order = if up { Order::Ascending } else { Order::Descending };
            Search { names, from, until, app, algorithm, limit, order, ..Search::default() }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pages_are_what_a_filter_leaves(
        rows in proptest::collection::vec(("[ab][12]", 0..12_u8, any::<u16>(), any::<bool>()), 0..40),
        searches in proptest::collection::vec(any_search(), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (_dir, store) = here().await;
            for (name, ts, votes, x) in &rows {
                let app = if *x { "x" } else { "y" }.to_owned();
                let triggered = skyline_core::algorithm::AlgorithmSet::from_bits(*votes);
                let anomaly = Anomaly { triggered, ..anomaly(name, f64::from(*ts)) };
                store.record(&[anomaly], &Context { host: "h".to_owned(), app }).await.expect("recorded");
            }
            let all = super::all(&store).await;
            for search in &searches {
                let mut expected: Vec<_> = all.iter().filter(|row| fits(search, row)).collect();
                if search.order == Order::Descending {
                    expected.reverse();
                }
                let found = pages(&store, search.clone()).await;
                assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{search:?}");
            }
        });
    }
}
