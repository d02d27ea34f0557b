//! Positions move on when an anomaly is recorded or kept, and only then.

use super::*;
use skyline_conf::model::record::Record;
use skyline_core::algorithm::AlgorithmSet;
use skyline_core::point::Datapoint;
use skyline_peers::mariadb::{Database, MariaDb};
use skyline_sql::Options;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Sender;

const LIMIT: Duration = Duration::from_secs(30);

fn anomaly(metric: &str, ts: f64) -> Anomaly {
    Anomaly {
        metric: metric.to_owned(),
        point: Datapoint::new(ts, 1.0),
        judged_value: 1.0,
        received: ts,
        asked: AlgorithmSet::ALL,
        triggered: AlgorithmSet::ALL,
        mean: 0.0,
        stddev: 1.0,
        window_from: 0.0,
        window_points: 10,
        full_duration: 86_400,
        counter: false,
        seq: 1,
    }
}

/// A recorder on a server of its own, with room for so many bytes.
struct Running {
    server: MariaDb,
    database: Database,
    folder: tempfile::TempDir,
    found: Sender<Found>,
    shared: Arc<Shared>,
    told: Arc<Told>,
}

impl Running {
    fn start(room: u64) -> Self {
        let server = MariaDb::start().unwrap();
        let database = server.database().unwrap();
        let settings = Record { server: database.url(), user: "root".into(), ..Record::default() };
        let store =
            Store::open_server(&settings, Options { join_seconds: 900, ..Options::default() }).unwrap();
        let (found, found_in) = tokio::sync::mpsc::channel(10);
        let (shared, told) = (Arc::new(Shared::default()), Arc::new(Told::default()));
        let folder = tempfile::tempdir().unwrap();
        let waiting = Waiting::open(&folder.path().join("anomalies.spill"), room, false, &told);
        let context = Context { host: "h".to_owned(), app: "analyzer".to_owned() };
        let recorder = Recorder {
            store,
            context,
            shared: vec![Arc::clone(&shared)],
            syslog: None,
            told: Arc::clone(&told),
            waiting,
            alerting: None,
        };
        tokio::spawn(recorder.run(found_in));
        Self { server, database, folder, found, shared, told }
    }

    async fn find(&self, anomalies: Vec<Anomaly>, through: u64) {
        self.found.send(Found { thread: 0, anomalies, through }).await.unwrap();
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < LIMIT, "still not: {what}; {:?}", self.told);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn position(&self) -> u64 {
        self.shared.recorded.load(Ordering::Acquire)
    }

    /// Metric, beginning, end and count of each row.
    fn rows(&self) -> Vec<String> {
        let listed = self.database.run(
            "SELECT m.name, a.anomaly_ts, COALESCE(a.end_ts, 0), a.recurrences FROM anomaly a \
             JOIN metric m ON m.id = a.metric_id ORDER BY m.name, a.anomaly_ts",
        );
        listed.unwrap_or_default().lines().map(|line| line.replace('\t', " ")).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_positions_wait_for_the_record() {
    let mut running = Running::start(0);
    running.find(vec![anomaly("a", 10.0)], 10).await;
    running.until("recorded", |r| r.position() == 10).await;
    running.server.kill().unwrap();
    running.find(vec![anomaly("a", 70.0)], 20).await;
    running.until("stuck", |r| r.told.stuck() == 1 && r.told.away().is_some()).await;
    assert_eq!(running.position(), 10, "neither recorded nor kept");
    running.server.restart().unwrap();
    running.until("recorded", |r| r.position() == 20 && r.told.stuck() == 0).await;
    running.until("up", |r| r.told.away().is_none()).await;
    assert_eq!(running.rows(), ["a 10 70 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_room_positions_move_on_until_it_is_full() {
    let mut running = Running::start(1_000);
    running.server.kill().unwrap();
    running.find(vec![anomaly("a", 10.0)], 10).await;
    running.find(vec![anomaly("a", 70.0)], 20).await;
    running.until("kept", |r| r.position() == 20 && r.told.kept.load(Ordering::Relaxed) == 2).await;
    assert!(running.folder.path().join("anomalies.spill").metadata().unwrap().len() > 200);
    let many = (0..20).map(|i| anomaly(&format!("b{i:02}"), 10.0)).collect();
    running.find(many, 30).await;
    running.until("stuck", |r| r.told.stuck() == 20).await;
    assert_eq!(running.position(), 20);
    running.server.restart().unwrap();
    running.until("recorded", |r| r.position() == 30 && r.told.kept.load(Ordering::Relaxed) == 0).await;
    let rows = running.rows();
    assert_eq!((rows.len(), rows[0].as_str(), rows[1].as_str()), (21, "a 10 70 1", "b00 10 0 0"), "{rows:?}");
    // And it goes on as before.
    running.find(vec![anomaly("a", 130.0)], 40).await;
    running.until("recorded", |r| r.position() == 40).await;
    assert_eq!(running.rows()[0], "a 10 130 2");
}
