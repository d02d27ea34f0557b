//! When a job runs, and what counts as a run.

use super::*;
use crate::job::tests::job_of;
use proptest::prelude::*;
use skyline_conf::model::listen::WhenFull;
use skyline_conf::model::relay::Relay;
use skyline_conf::model::vista::Fetch;
use skyline_core::batch::{BatchBuilder, Listener, Origin, Source};
use skyline_journal::{Durability, Journal, Scope};
use skyline_peers::http::{Reply, Server};
use skyline_relay::intake::{Intake, Options};
use skyline_relay::route::Router;
use std::path::Path;
use tokio_util::sync::CancellationToken;

fn journal(folder: &Path) -> Journal {
    let options = skyline_journal::Options {
        dir: folder.join("journal"),
        max_bytes: 256 << 10,
        segment_bytes: 64 << 10,
        memory_bytes: 64 << 10,
        durability: Durability::Process,
        when_full: skyline_journal::WhenFull::Block,
        min_free_percent: 0.0,
    };
    Journal::open(options).unwrap().0
}

fn intake(folder: &Path, journal: &Journal) -> Intake {
    let options = Options {
        state_dir: folder.to_owned(),
        when_full: WhenFull::Shed,
        udp_when_full: WhenFull::Shed,
        clock: Clock::at(1_700_000_000.0),
    };
    let router = Router::of_settings(&Relay::default(), journal).unwrap();
    Intake::open(journal.clone(), router, options).unwrap()
}

/// Logs points until there is no room for any more.
async fn fill(intake: &Intake) {
    let source = Source { listener: Listener::PlaintextTcp, origin: Origin::Live };
    for points in [1_000, 10, 1] {
        loop {
            let mut batch = BatchBuilder::new(source, 1_700_000_000.0);
            for _ in 0..points {
                batch.point(b"some.metric", 1_700_000_000.0, 1.0).unwrap();
            }
            if intake.submit(batch.finish().unwrap()).await.is_none() {
                break;
            }
        }
    }
}

/// A run against a server that says the same to everybody; what was counted: whether it was called a good one, runs,
/// failures. `stop`: once the points wait for room in the journal, which is full.
async fn a_run(status: u16, says: &str, stop: bool) -> (bool, u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let says = says.to_owned();
    let server = Server::start(move |_| Reply::text(status, &says)).unwrap();
    let journal = journal(folder.path());
    let _reader = journal.reader("slow", Scope::Everything).unwrap();
    let intake = intake(folder.path(), &journal);
    if stop {
        fill(&intake).await;
    }
    let fetch = Fetch { name: "a".into(), url: server.url(), target: "t".into(), ..Fetch::default() };
    let job = job_of(Fetch { store_as: "a".into(), ..fetch }, folder.path());
    let (sink, mut cursor) =
        (Sink { intake: intake.clone(), stop: CancellationToken::new() }, job.load_cursor());
    let clock = Clock::at(1_700_000_000.0);
    let wait = async {
        while stop && intake.waiting() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if stop {
            sink.stop.cancel();
        }
    };
    let both = async { tokio::join!(once(&job, &clock, &mut cursor, &sink), wait) };
    let (good, ()) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    job.counts(|counts| {
        assert!(!counts.running);
        (good, counts.runs, counts.failures.values().sum())
    })
}

#[tokio::test]
async fn a_run_that_a_stop_ends_is_neither_good_nor_bad() {
    let one = r#"[{"target": "t", "datapoints": [[1, 1699999900]]}]"#;
    assert_eq!(a_run(200, one, false).await, (true, 1, 0));
    assert_eq!(a_run(500, "", false).await, (false, 0, 1));
    assert_eq!(a_run(200, one, true).await, (true, 0, 0));
}

#[test]
fn waits_grow_and_end_growing() {
    let check = |failures, every, expected: f64| {
        let got = after_failures(failures, every, 0.5);
        assert!((got - expected).abs() < 1e-9, "{failures} {every}: {got}");
    };
    check(1, 60.0, 5.0);
    check(2, 60.0, 10.0);
    check(100, 60.0, 300.0);
    check(1, 1.0, 1.0);
    check(100, 86_400.0, 3_600.0);
    assert!(after_failures(3, 60.0, 0.0) < after_failures(3, 60.0, 1.0));
}

#[test]
fn jobs_lie_apart() {
    let phases: Vec<f64> = (0..100).map(|i| phase(&format!("job-{i}"), 60.0)).collect();
    assert!(phases.iter().all(|p| (0.0..60.0).contains(p)));
    let early = phases.iter().filter(|p| **p < 30.0).count();
    assert!((25..75).contains(&early), "{early}");
}

proptest! {
    #[test]
    fn a_job_runs_once_an_interval(now in 1e9..2e9, every in 1.0..86_400.0, share in 0.0..1.0) {
        let phase = every * share;
        let wait = until_next(now, every, phase);
        prop_assert!(wait >= every * 0.1 && wait <= every * 1.1 + 1e-3);
        let off = (now + wait - phase).rem_euclid(every);
        prop_assert!(off < 1e-3 || every - off < 1e-3);
    }
}
