//! Redis dies, hangs, comes back with and without its data, while points come in.

use super::{
    Held, NOW, Running, batch_of, count, in_redis, journal, options, server, settings, until,
    windows_in_redis, written,
};
use skyline_core::batch::Origin;
use skyline_journal::Journal;
use skyline_mirror::server::Server;
use skyline_peers::redis::{Options as Start, Redis, Sentinels};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

const METRICS: usize = 200;

/// Points for as long as it is not stopped: two hundred metrics, a hundred times a second.
struct Load {
    stop: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Load {
    fn start(journal: &Arc<Journal>, windows: &Arc<Held>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (until, journal, windows) = (Arc::clone(&stop), Arc::clone(journal), Arc::clone(windows));
        let task = tokio::spawn(async move {
            let names: Vec<_> = (0..METRICS).map(|n| format!("load.m{n}")).collect();
            let mut ts = NOW - 80_000.0;
            while !until.load(Ordering::Relaxed) {
                ts += 1.0;
                names.iter().for_each(|name| windows.put(name, ts as u64, ts / 7.0));
                let rows: Vec<_> = names.iter().map(|name| (name.as_str(), ts, ts / 7.0)).collect();
                journal.append(batch_of(Origin::Live, &rows)).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
        Self { stop, task }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
    }
}

async fn some() {
    tokio::time::sleep(Duration::from_millis(400)).await;
}

#[tokio::test]
async fn kills_pauses_and_restarts_lose_and_double_nothing() {
    let mut redis = Redis::start_with(&Start { keeps_data: true, ..Start::default() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(journal(folder.path(), 64 << 20));
    let windows = Arc::new(Held::default());
    let running = Running::start(&journal, server(&redis), options(), &windows);
    until(Duration::from_secs(10), "the first copy", async || !running.state.has_gap()).await;
    let load = Load::start(&journal, &windows);
    for _ in 0..3 {
        some().await;
        redis.restart().unwrap();
        some().await;
        redis.pause();
        // Longer than an answer is awaited.
        tokio::time::sleep(Duration::from_millis(1_300)).await;
        redis.resume();
        some().await;
        redis.kill().unwrap();
        some().await;
        assert!(running.state.is_stuck());
        redis.restart().unwrap();
    }
    load.stop().await;
    written(&journal).await;
    let found = in_redis(&server(&redis)).await;
    let doubles = count(&found) - count(&windows.all());
    // Of each pause one chunk at most may be carried out late.
    assert!(doubles <= 3 * 4_200, "{doubles}");
    assert_eq!(windows_in_redis(&server(&redis)).await, windows.all());
    assert!(!running.state.has_gap(), "nothing was lost, so nothing is mended");
    running.stop().await;
}

#[tokio::test]
async fn a_redis_that_comes_back_empty_is_filled_from_the_windows() {
    let mut redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(journal(folder.path(), 64 << 20));
    let windows = Arc::new(Held::default());
    windows.put("quiet", NOW as u64 - 60, 1.0);
    let running = Running::start(&journal, server(&redis), options(), &windows);
    let load = Load::start(&journal, &windows);
    some().await;
    redis.restart_empty().unwrap();
    let checked = server(&redis);
    until(Duration::from_secs(60), "all is there again", async || {
        !running.state.has_gap() && in_redis(&checked).await.len() == METRICS + 1
    })
    .await;
    some().await;
    // While it is idle too: what others have thrown away.
    load.stop().await;
    written(&journal).await;
    redis.cli(&["FLUSHALL"]).unwrap();
    until(Duration::from_secs(60), "all is there once more", async || {
        !running.state.has_gap() && windows_in_redis(&checked).await == windows.all()
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn what_the_log_had_to_drop_comes_from_the_windows() {
    let mut redis = Redis::start_with(&Start { keeps_data: true, ..Start::default() }).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(journal(folder.path(), 1 << 20));
    let windows = Arc::new(Held::default());
    let running = Running::start(&journal, server(&redis), options(), &windows);
    until(Duration::from_secs(10), "the first copy", async || !running.state.has_gap()).await;
    let load = Load::start(&journal, &windows);
    some().await;
    redis.kill().unwrap();
    until(Duration::from_secs(30), "the log drops points", async || {
        journal.ledgers().iter().any(|(name, ledger)| name == "redis" && ledger.shed > 10_000)
    })
    .await;
    redis.restart().unwrap();
    some().await;
    load.stop().await;
    written(&journal).await;
    until(Duration::from_secs(60), "the gap is mended", async || !running.state.has_gap()).await;
    assert_eq!(windows_in_redis(&server(&redis)).await, windows.all());
    running.stop().await;
}

/// A gap that is open when the node ends is found by the next.
#[tokio::test]
async fn a_gap_is_remembered() {
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(journal(folder.path(), 64 << 20));
    let windows = Arc::new(Held::default());
    windows.put("a", NOW as u64, 1.0);
    let running = Running::start(&journal, server(&redis), options(), &windows);
    journal.append(batch_of(Origin::Live, &[("a", NOW + 1.0, 1.0)])).await.unwrap();
    written(&journal).await;
    until(Duration::from_secs(5), "the gap is noted", async || {
        redis.cli(&["EXISTS", "skyline:test:mark:gap"]).unwrap() == "1"
    })
    .await;
    running.stop().await;
    assert_eq!(in_redis(&server(&redis)).await["a"].len(), 1);
    let running = Running::start(&journal, server(&redis), options(), &windows);
    until(Duration::from_secs(10), "it is mended", async || {
        in_redis(&server(&redis)).await["a"].len() == 2 && !running.state.has_gap()
    })
    .await;
    until(Duration::from_secs(5), "it is forgotten", async || {
        redis.cli(&["EXISTS", "skyline:test:mark:gap"]).unwrap() == "0"
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_fail_over_loses_nothing() {
    let mut sentinels = Sentinels::start("secret").unwrap();
    let mut settings = settings("");
    settings.kind = skyline_conf::model::redis::Kind::Sentinel;
    settings.servers = sentinels.addresses();
    settings.sentinel_master = Sentinels::MASTER.into();
    settings.password_file = sentinels.servers[1].password_file("secret").unwrap();
    let server = Server::new(&settings).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(journal(folder.path(), 64 << 20));
    let windows = Arc::new(Held::default());
    let running = Running::start(&journal, server.clone(), options(), &windows);
    let load = Load::start(&journal, &windows);
    some().await;
    sentinels.servers[0].kill().unwrap();
    until(Duration::from_secs(30), "the replica is master", async || {
        sentinels.master_port() == Some(sentinels.servers[1].port()) && !running.state.is_stuck()
    })
    .await;
    some().await;
    load.stop().await;
    written(&journal).await;
    until(Duration::from_secs(60), "no gap", async || !running.state.has_gap()).await;
    assert_eq!(windows_in_redis(&server).await, windows.all());
    running.stop().await;
}

/// Rights and wrongs: the points wait in the log until somebody has given the rights.
#[tokio::test]
async fn points_wait_while_rights_are_missing() {
    let rights = "user skyline on >secret ~metrics.* ~skyline:* +@read +@connection +append";
    let start = Start { password: Some("secret".into()), users: vec![rights.into()], ..Start::default() };
    let redis = Redis::start_with(&start).unwrap();
    let mut settings = settings(redis.tcp());
    settings.user = "skyline".into();
    settings.password_file = redis.password_file("secret").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), 64 << 20);
    let server = Server::new(&settings).unwrap();
    let running = Running::start(&journal, server.clone(), options(), &Arc::default());
    journal.append(batch_of(Origin::Live, &[("a", NOW, 1.0)])).await.unwrap();
    until(Duration::from_secs(5), "it is stuck", async || running.state.is_stuck()).await;
    let told = server.last_error().unwrap().to_string();
    assert!(told.contains("rights") && told.contains("ACL SETUSER"), "{told}");
    redis.cli(&["ACL", "SETUSER", "skyline", "+@write", "+@transaction", "+eval"]).unwrap();
    written(&journal).await;
    assert_eq!(in_redis(&server).await["a"], [(NOW, 1.0)]);
    running.stop().await;
}

/// A full Redis takes nothing; once it has room it takes all, each point once.
#[tokio::test]
async fn points_wait_while_redis_is_full() {
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let journal = journal(folder.path(), 64 << 20);
    let server = server(&redis);
    let running = Running::start(&journal, server.clone(), options(), &Arc::default());
    journal.append(batch_of(Origin::Live, &[("a", NOW, 1.0)])).await.unwrap();
    written(&journal).await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "1mb"]).unwrap();
    journal.append(batch_of(Origin::Live, &[("a", NOW + 1.0, 2.0), ("b", NOW, 3.0)])).await.unwrap();
    until(Duration::from_secs(5), "it is stuck", async || running.state.is_stuck()).await;
    until(Duration::from_secs(5), "it says why", async || {
        server.last_error().is_some_and(|error| error.to_string().contains("maxmemory"))
    })
    .await;
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    written(&journal).await;
    let found = in_redis(&server).await;
    assert_eq!((&found["a"][..], &found["b"][..]), (&[(NOW, 1.0), (NOW + 1.0, 2.0)][..], &[(NOW, 3.0)][..]));
    running.stop().await;
}
