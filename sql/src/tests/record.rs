//! The record as its callers see it: what goes in comes out, once, whatever happens in between.

use super::{Home, all, anomaly, context, here, on_both};
use crate::statement::Statement;
use crate::{Context, Counts, Error, Options, Recorded, Row, Store};
use proptest::prelude::*;
use skyline_core::algorithm::{Algorithm, AlgorithmSet};
use skyline_core::anomaly::Anomaly;
use skyline_core::clock::Clock;
use skyline_core::point::Datapoint;

on_both!(
    what_goes_in_comes_out,
    floats_that_are_no_numbers_come_back_as_nan,
    an_anomaly_is_known_by_metric_time_app_and_host,
    what_no_row_can_hold_does_not_hold_up_the_rest,
    rows_that_another_program_removed_are_made_again,
    a_big_batch_is_one_transaction,
    readers_see_whole_batches_while_others_write,
    created_at_comes_from_the_clock,
);

fn recorded(new: u64, known: u64) -> Recorded {
    Recorded { new, known, ..Recorded::default() }
}

async fn what_goes_in_comes_out(home: Home) {
    let store = home.open().await;
    let odd = Anomaly {
        metric: "größe;tag=wert.'\"%_\\".to_owned(),
        point: Datapoint::new(1_569_400_000.123_456_7, -1.0e-300),
        // MariaDB holds no infinite number.
        judged_value: if home.is_file() { f64::INFINITY } else { 1.0e300 },
        received: 1_569_400_000.9,
        asked: [Algorithm::Grubbs, Algorithm::KsTest].into_iter().collect(),
        triggered: [Algorithm::KsTest].into_iter().collect(),
        mean: 0.1 + 0.2,
        stddev: f64::MIN_POSITIVE,
        window_from: 1_569_313_600.5,
        window_points: u32::MAX,
        full_duration: u32::MAX,
        counter: true,
        seq: u64::MAX,
    };
    let none = Anomaly { asked: AlgorithmSet::EMPTY, triggered: AlgorithmSet::EMPTY, ..anomaly("a", 5.0) };
    assert_eq!(
        store.record(&[odd.clone(), none.clone()], &context()).await.expect("recorded"),
        recorded(2, 0)
    );
    let rows = all(&store).await;
    assert_eq!(rows.iter().map(|r| &r.anomaly).collect::<Vec<_>>(), [&none, &odd]);
    assert!(
        rows.iter()
            .all(|r| r.host == "web01" && r.app == "analyzer" && r.recurrences == 0 && r.ended.is_none())
    );
    let id = rows[1].id;
    assert_eq!(store.anomaly(id).await.expect("read").map(|r| r.anomaly), Some(odd));
    assert_eq!(store.anomaly(id + 100).await.expect("read"), None);
}

async fn floats_that_are_no_numbers_come_back_as_nan(home: Home) {
    let store = home.open().await;
    let nan = f64::NAN;
    let bad = Anomaly { judged_value: nan, mean: nan, stddev: nan, window_from: nan, ..anomaly("a", 1.0) };
    store.record(&[bad], &context()).await.expect("recorded");
    let row = all(&store).await.remove(0).anomaly;
    assert!([row.judged_value, row.mean, row.stddev, row.window_from].iter().all(|f| f.is_nan()));
}

async fn an_anomaly_is_known_by_metric_time_app_and_host(home: Home) {
    let store = home.open().await;
    let check = async |anomaly: Anomaly, host: &str, app: &str, expected| {
        let context = Context { host: host.to_owned(), app: app.to_owned() };
        assert_eq!(store.record(&[anomaly], &context).await.expect("recorded"), expected);
    };
    check(anomaly("a", 1.0), "h", "x", recorded(1, 0)).await;
    check(anomaly("a", 1.0), "h", "x", recorded(0, 1)).await;
    check(anomaly("A", 1.0), "h", "x", recorded(1, 0)).await;
    check(anomaly("a", 1.5), "h", "x", recorded(1, 0)).await;
    check(anomaly("a", 1.0), "g", "x", recorded(1, 0)).await;
    check(anomaly("a", 1.0), "h", "y", recorded(1, 0)).await;
    check(Anomaly { judged_value: 9.0, ..anomaly("a", 1.0) }, "h", "x", recorded(0, 1)).await;
    check(anomaly("a", 0.0), "h", "x", recorded(1, 0)).await;
    check(anomaly("a", -0.0), "h", "x", recorded(0, 1)).await;
    let twice = [anomaly("b", 1.0), anomaly("b", 1.0)];
    assert_eq!(store.record(&twice, &context()).await.expect("recorded"), recorded(1, 1));
    let first = all(&store).await.into_iter().find(|r| r.anomaly == anomaly("a", 1.0));
    assert!(first.is_some(), "the first one stands");
}

async fn what_no_row_can_hold_does_not_hold_up_the_rest(home: Home) {
    let store = home.open().await;
    let batch = [anomaly("a", f64::NAN), anomaly("b", 1.0), anomaly("c", f64::INFINITY)];
    let got = store.record(&batch, &context()).await.expect("recorded");
    assert_eq!(got, Recorded { new: 1, refused: 2, ..Recorded::default() });
    assert_eq!(store.counts().await.expect("counted"), Counts { anomalies: 1, metrics: 1 });
}

async fn rows_that_another_program_removed_are_made_again(home: Home) {
    let store = home.open().await;
    store.record(&[anomaly("a", 1.0)], &context()).await.expect("recorded");
    for table in ["DELETE FROM anomaly", "DELETE FROM host", "DELETE FROM algorithm", "DELETE FROM metric"] {
        store.writer().await.expect("a connection").execute(Statement::new(table)).await.expect("removed");
    }
    let error = store.record(&[anomaly("a", 1.0)], &context()).await.expect_err("ids of rows that are gone");
    assert!(error.is_retry(), "{error}");
    assert_eq!(store.record(&[anomaly("a", 1.0)], &context()).await.expect("recorded"), recorded(1, 0));
}

#[tokio::test]
async fn a_restart_finds_everything() {
    let (dir, store) = here().await;
    let batch: Vec<_> = (0..1_234).map(|i| anomaly(&format!("m{}", i % 7), f64::from(i))).collect();
    store.record(&batch, &context()).await.expect("recorded");
    // The files as a killed process leaves them: copied while they are open, the WAL not yet folded in.
    let killed = dir.path().join("killed");
    std::fs::create_dir(&killed).expect("a folder");
    for file in ["anomalies.db", "anomalies.db-wal"] {
        std::fs::copy(dir.path().join(file), killed.join(file)).expect("copied");
    }
    let before = all(&store).await;
    store.close().await;
    assert!(matches!(store.counts().await, Err(Error::Closed { .. })));
    for path in [dir.path().join("anomalies.db"), killed.join("anomalies.db")] {
        let again = Store::open(&path).await.expect("opened");
        assert_eq!(all(&again).await, before);
        let replayed = again.record(&batch, &context()).await.expect("recorded");
        assert_eq!(replayed, recorded(0, 1_234));
        assert_eq!(all(&again).await, before);
        again.close().await;
    }
}

async fn readers_see_whole_batches_while_others_write(home: Home) {
    let store = home.open().await;
    let other = home.open().await;
    const BATCHES: u32 = 40;
    const SIZE: u32 = 25;
    let write = |store: Store, who: &'static str| {
        tokio::spawn(async move {
            for batch in 0..BATCHES {
                let rows: Vec<_> =
                    (0..SIZE).map(|i| anomaly(&format!("{who}.{i}"), f64::from(batch))).collect();
                store.record(&rows, &context()).await.expect("recorded");
            }
        })
    };
    let writers = [write(store.clone(), "one"), write(store.clone(), "two"), write(other, "three")];
    let reader = tokio::spawn({
        let store = store.clone();
        async move {
            let (mut seen, mut reads) = (0, 0);
            while seen < u64::from(3 * BATCHES * SIZE) {
                let Counts { anomalies, .. } = store.counts().await.expect("counted");
                assert!(anomalies >= seen && anomalies % u64::from(SIZE) == 0, "{anomalies} after {seen}");
                (seen, reads) = (anomalies, reads + 1);
            }
            reads
        }
    });
    for writer in writers {
        writer.await.expect("written");
    }
    assert!(reader.await.expect("read") > 0);
}

async fn a_big_batch_is_one_transaction(home: Home) {
    let store = home.open().await;
    let batch: Vec<_> = (0..5_000).map(|i| anomaly(&format!("metric.{i}"), 1.0)).collect();
    assert_eq!(store.record(&batch, &context()).await.expect("recorded"), recorded(5_000, 0));
    assert_eq!(store.counts().await.expect("counted"), Counts { anomalies: 5_000, metrics: 5_000 });
    let mut figures = Vec::new();
    store.figures(&mut figures);
    assert_eq!(figures[0].value, 5_000.0);
}

async fn created_at_comes_from_the_clock(home: Home) {
    let store = home.open_with(Options { clock: Clock::at(1_000.0), sync: true, ..Options::default() }).await;
    store.record(&[anomaly("a", 1.0)], &context()).await.expect("recorded");
    let mut session = store.reader().await.expect("a connection");
    let at = session.number(Statement::new("SELECT created_at FROM anomaly")).await.expect("read");
    assert_eq!(at, Some(1_000));
}

fn any_anomaly() -> impl Strategy<Value = Anomaly> {
    (0..4_u8, 0..6_u8, 0..0x200_u16, any::<u16>(), -5.0..5.0).prop_map(
        |(metric, ts, asked, triggered, value)| {
            let asked = AlgorithmSet::from_bits(asked);
            let triggered = AlgorithmSet::from_bits(triggered & asked.bits());
            let base = anomaly(&format!("m{metric}"), f64::from(ts) / 2.0);
            Anomaly { asked, triggered, judged_value: value, ..base }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_grouping_gives_the_same_rows(
        anomalies in proptest::collection::vec(any_anomaly(), 0..40),
        cuts in proptest::collection::vec(1..12_usize, 1..40),
        replay in 0..40_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (together, apart) = runtime.block_on(async {
            let (_dir, together) = here().await;
            together.record(&anomalies, &context()).await.expect("recorded");
            let (_dir, apart) = here().await;
            let (mut rest, mut new) = (&anomalies[..], 0);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (batch, after) = rest.split_at((*cut).min(rest.len()));
                new += apart.record(batch, &context()).await.expect("recorded").new;
                rest = after;
            }
            let again = &anomalies[replay.min(anomalies.len())..];
            let replayed = apart.record(again, &context()).await.expect("recorded");
            assert_eq!((replayed.new, replayed.known), (0, again.len() as u64));
            assert_eq!(new, apart.counts().await.expect("counted").anomalies);
            let plain = |rows: Vec<Row>| rows.into_iter().map(|r| (r.anomaly, r.host, r.app, r.recurrences)).collect::<Vec<_>>();
            let sort = |mut rows: Vec<(Anomaly, String, String, u64)>| {
                rows.sort_by(|(a, ..), (b, ..)| (a.point.ts, &a.metric).partial_cmp(&(b.point.ts, &b.metric)).expect("finite"));
                rows
            };
            (sort(plain(all(&together).await)), sort(plain(all(&apart).await)))
        });
        prop_assert_eq!(together, apart);
    }
}
