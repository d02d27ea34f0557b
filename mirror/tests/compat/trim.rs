//! Trimming, alone and among others that write.

use super::{Held, NOW, Running, in_redis, journal, options, python, server, until};
use redis::cmd;
use skyline_core::clock::Clock;
use skyline_core::point::Datapoint;
use skyline_mirror::compat::Options;
use skyline_mirror::compat::pair;
use skyline_peers::redis::Redis;
use std::sync::Arc;
use std::time::Duration;

fn figure(running: &Running, name: &str) -> f64 {
    let mut figures = Vec::new();
    running.state.figures(&mut figures);
    figures.iter().find(|figure| figure.name == name).unwrap().value
}

fn trimming(
    redis: &Redis,
    folder: &std::path::Path,
    options: Options,
) -> (skyline_journal::Journal, Running) {
    let journal = journal(folder, 1 << 20);
    let options = Options { trim_every: Some(Duration::from_millis(10)), ..options };
    let running = Running::start(&journal, server(redis), options, &Arc::new(Held::default()));
    (journal, running)
}

async fn rounds(running: &Running, count: f64) {
    let from = figure(running, "skyline_redis_trim_rounds_total");
    until(Duration::from_secs(20), "rounds of trimming", async || {
        figure(running, "skyline_redis_trim_rounds_total") >= from + count
    })
    .await;
}

#[tokio::test]
async fn old_points_go_and_nothing_else() {
    let redis = Redis::start().unwrap();
    let script = r"
now = 1700000000
old = now - 87000
def put(name, *points):
    r.sadd('metrics.unique_metrics', 'metrics.' + name)
    for point in points:
        r.append('metrics.' + name, packb(point))
put('fresh', (now - 60, 1.0), (now, 2.0))
put('ageing', (old - 60, 1.0), (old, 2.0), (old + 1, 3), (now, None))
put('mixed', (now, 1.0), (now - 60, 2.0), (now, 3.0))
put('dead', (old - 60, 1.0), (old, 2.0))
put('gone')
put('ill', (old, 1.0))
r.append('metrics.ill', b'?')
r.sadd('metrics.unique_metrics', 'metrics.list', 'foreign')
r.lpush('metrics.list', 'x')
r.append('foreign', packb((1, 1.0)))
r.append('metrics.unlisted', packb((1, 1.0)))
";
    python::run(&redis, script, "");
    let folder = tempfile::tempdir().unwrap();
    let (_journal, running) = trimming(&redis, folder.path(), options());
    rounds(&running, 2.0).await;
    let script = r"
for key in sorted(r.keys('*')):
    if r.type(key) == b'string' and key != b'metrics.ill' and not key.startswith(b'skyline'):
        unpacker = Unpacker()
        unpacker.feed(r.get(key))
        print(key.decode(), [[ts - 1700000000, value] for ts, value in unpacker])
print(sorted(r.smembers('metrics.unique_metrics')))
print(r.strlen('metrics.ill'), r.llen('metrics.list'))
";
    let expected = "\
foreign [[-1699999999, 1.0]]
metrics.ageing [[-86999, 3], [0, None]]
metrics.fresh [[-60, 1.0], [0, 2.0]]
metrics.mixed [[-60, 2.0], [0, 3.0]]
metrics.unlisted [[-1699999999, 1.0]]
[b'foreign', b'metrics.ageing', b'metrics.fresh', b'metrics.ill', b'metrics.list', b'metrics.mixed']
16 1
";
    assert_eq!(python::run(&redis, script, ""), expected);
    assert_eq!(figure(&running, "skyline_redis_deleted_keys_total"), 1.0);
    // Of two windows, and the name without a key.
    assert_eq!(figure(&running, "skyline_redis_rewritten_keys_total"), 3.0);
    assert_eq!(figure(&running, "skyline_redis_dropped_points_total"), 5.0);
    running.stop().await;
}

/// The clock runs so fast that every round drops points, while another appends without rest.
#[tokio::test]
async fn no_point_of_another_writer_is_lost() {
    const KEYS: usize = 20;
    const WINDOW: u64 = 900;
    const REWRITTEN: f64 = 200.0;
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::at(NOW);
    let options = Options { clock: clock.clone(), full_duration: WINDOW as f64, grace: 0.0, ..options() };
    let (_journal, running) = trimming(&redis, folder.path(), options);
    let other = server(&redis);
    let (mut sent, mut rewritten) = (0_u64, 0.0);
    let start = std::time::Instant::now();
    // Until old points were dropped often enough, however fast this machine is.
    while sent < 2 * WINDOW || rewritten < REWRITTEN {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{rewritten} keys were rewritten after {sent} rounds"
        );
        let mut pipeline = redis::pipe();
        for key in 0..KEYS {
            let mut bytes = Vec::new();
            pair::encode(Datapoint::new(NOW + sent as f64, sent as f64), &mut bytes);
            let key = format!("metrics.{key}");
            pipeline.cmd("APPEND").arg(&key).arg(bytes).cmd("SADD").arg("metrics.unique_metrics").arg(key);
        }
        other.run(&pipeline).await.unwrap();
        clock.set(NOW + sent as f64);
        sent += 1;
        rewritten = figure(&running, "skyline_redis_rewritten_keys_total");
    }
    rounds(&running, 2.0).await;
    running.stop().await;
    let found = in_redis(&other).await;
    assert_eq!(found.len(), KEYS);
    let first = sent.saturating_sub(WINDOW);
    let expected: Vec<_> = (first..sent).map(|n| (NOW + n as f64, n as f64)).collect();
    for (key, points) in &found {
        assert_eq!(points, &expected, "{key}");
    }
}

/// A metric falls silent, is deleted, and comes back: the set must hold it again.
#[tokio::test]
async fn a_metric_that_comes_back_is_listed_again() {
    let redis = Redis::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::at(NOW);
    let (journal, running) = trimming(&redis, folder.path(), Options { clock: clock.clone(), ..options() });
    let write = async |ts: f64| {
        let mut builder = skyline_core::batch::BatchBuilder::new(
            skyline_core::batch::Source {
                listener: skyline_core::batch::Listener::PlaintextTcp,
                origin: skyline_core::batch::Origin::Live,
            },
            ts,
        );
        builder.point(b"a", ts, 1.0).unwrap();
        journal.append(builder.finish().unwrap()).await.unwrap();
        super::written(&journal).await;
    };
    write(NOW).await;
    assert_eq!(in_redis(&server(&redis)).await["a"], [(NOW, 1.0)]);
    clock.set(NOW + 90_000.0);
    until(Duration::from_secs(10), "it is deleted", async || in_redis(&server(&redis)).await.is_empty())
        .await;
    let exists: i64 = server(&redis).query(cmd("EXISTS").arg("metrics.a")).await.unwrap();
    assert_eq!(exists, 0);
    write(NOW + 90_000.0).await;
    assert_eq!(in_redis(&server(&redis)).await["a"], [(NOW + 90_000.0, 1.0)]);
    running.stop().await;
}
