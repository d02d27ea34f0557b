//! The connection, against real servers: single, cluster, sentinels; and what is said when they refuse.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what all the tests share")]

use redis::{Value, cmd, pipe};
use skyline_conf::model::redis::{Kind, Layout, Redis as Settings};
use skyline_mirror::server::{Error, Server, What, probe};
use skyline_peers::redis::{Cluster, Options, Redis, Sentinels, self_signed};
use std::collections::HashSet;
use std::time::{Duration, Instant};

fn settings(server: impl Into<String>) -> Settings {
    Settings { servers: vec![server.into()], timeout_seconds: 1.0, ..Settings::default() }
}

async fn ping(server: &Server) -> Result<String, Error> {
    server.query(&cmd("PING")).await
}

/// Asks until it is answered.
async fn answered(server: &Server, limit: Duration) -> String {
    let start = Instant::now();
    loop {
        match ping(server).await {
            Ok(answer) => return answer,
            Err(error) => assert!(start.elapsed() < limit, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn advice(error: &Error) -> &str {
    match error {
        Error::Refused { advice, .. } => advice,
        other => panic!("not refused: {other:?}"),
    }
}

fn with_password(options: Options, redis: &Redis, server: String) -> Settings {
    let file = redis.password_file(options.password.as_deref().unwrap()).unwrap();
    Settings { password_file: file, ..settings(server) }
}

#[tokio::test]
async fn a_server_is_reached_over_its_socket_tcp_and_tls() {
    let options = Options {
        password: Some("p&%/ ö'\"".into()),
        tls: true,
        wants_certificate: true,
        ..Options::default()
    };
    let redis = Redis::start_with(&options).unwrap();
    let tls = |settings: Settings| Settings {
        ca_file: redis.file("ca.pem"),
        certificate_file: redis.file("client.pem"),
        ..settings
    };
    for address in [redis.unix(), redis.tcp(), redis.tls()] {
        let server = Server::new(&tls(with_password(options.clone(), &redis, address.clone()))).unwrap();
        assert!(!server.is_up());
        let mut pipeline = pipe();
        pipeline.cmd("SET").arg("a").arg(&address).cmd("APPEND").arg("a").arg("!").cmd("GET").arg("a");
        let values = server.run(&pipeline).await.unwrap();
        assert_eq!(values.last(), Some(&Value::BulkString(format!("{address}!").into())));
        assert!(server.is_up());
    }
    let no_certificate = Settings { certificate_file: "".into(), ..tls(settings(redis.tls())) };
    let no_authority = Settings { ca_file: "".into(), ..tls(settings(redis.tls())) };
    let other_name = tls(settings(redis.tls().replace("localhost", "127.0.0.1")));
    for (case, settings, key) in [
        (1, no_certificate, "redis.certificate_file"),
        (2, no_authority, "redis.ca_file"),
        (3, other_name, "the name that is in its certificate"),
    ] {
        let error = ping(&Server::new(&settings).unwrap()).await.unwrap_err();
        assert!(advice(&error).contains(key), "{case}: {error}");
    }
}

#[tokio::test]
async fn a_certificate_that_signed_itself_is_trusted_unless_it_is_an_authoritys() {
    for is_authority in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        self_signed(folder.path(), is_authority).unwrap();
        let certificates = Some(folder.path().to_owned());
        let redis = Redis::start_with(&Options { tls: true, certificates, ..Options::default() }).unwrap();
        let named = Settings { ca_file: folder.path().join("ca.pem"), ..settings(redis.tls()) };
        let outcome = ping(&Server::new(&named).unwrap()).await;
        if is_authority {
            let error = outcome.unwrap_err();
            assert!(advice(&error).contains("basicConstraints=CA:FALSE"), "{error}");
        } else {
            assert_eq!(outcome, Ok("PONG".to_owned()));
        }
    }
}

#[tokio::test]
async fn a_cluster_and_sentinels_are_reached_over_tls() {
    let cluster = Cluster::start_tls("secret").unwrap();
    let of = |addresses: Vec<String>, redis: &Redis| Settings {
        servers: addresses,
        password_file: redis.password_file("secret").unwrap(),
        ca_file: redis.file("ca.pem"),
        ..settings("")
    };
    let settings = Settings { kind: Kind::Cluster, ..of(cluster.addresses(), &cluster.nodes[0]) };
    let server = Server::new(&settings).unwrap();
    for n in 0..100 {
        server.query::<Value>(cmd("SET").arg(format!("skyline:{n}")).arg(n)).await.unwrap();
    }
    assert_eq!(pages(&server, What::Keys("skyline:*".into())).await.len(), 100);
    let mut whole = pipe();
    whole.atomic().cmd("UNLINK").arg("{t}a").arg("{t}b").cmd("SET").arg("{t}b").arg(2);
    assert_eq!(server.run(&whole).await.unwrap().len(), 2);
    assert!(probe(&settings).await.unwrap().is_cluster);
    let error = ping(&Server::new(&Settings { ca_file: "".into(), ..settings }).unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("redis.ca_file"), "{error}");
    drop(cluster);

    let mut sentinels = Sentinels::start_tls("secret").unwrap();
    let watched = Settings {
        kind: Kind::Sentinel,
        sentinel_master: Sentinels::MASTER.into(),
        ..of(sentinels.addresses(), &sentinels.servers[0])
    };
    let server = Server::new(&watched).unwrap();
    assert_eq!(server.query::<i64>(cmd("APPEND").arg("a").arg("x")).await, Ok(1));
    sentinels.servers[0].kill().unwrap();
    let start = Instant::now();
    while let Err(error) = server.query::<i64>(cmd("APPEND").arg("b").arg("x")).await {
        assert!(start.elapsed() < Duration::from_secs(30), "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(sentinels.servers[1].cli(&["GET", "b"]).unwrap(), "x");
}

#[tokio::test]
async fn what_is_refused_comes_with_advice_and_without_the_password() {
    let options = Options {
        password: Some("right".into()),
        users: vec!["user skyline on >right ~metrics.* +append +auth +ping".into()],
        ..Options::default()
    };
    let redis = Redis::start_with(&options).unwrap();
    let good = with_password(options, &redis, redis.tcp());
    let error = ping(&Server::new(&settings(redis.tcp())).unwrap()).await.unwrap_err();
    assert!(advice(&error).contains("password_file"), "{error}");

    let user = Server::new(&Settings { user: "skyline".into(), ..good.clone() }).unwrap();
    let mut pipeline = pipe();
    pipeline.cmd("APPEND").arg("metrics.a").arg("x").cmd("SADD").arg("metrics.unique_metrics").arg("x");
    let outcomes = user.run_each(&pipeline).await.unwrap();
    assert_eq!(outcomes[0], Ok(Value::Int(1)));
    let denied = outcomes[1].clone().unwrap_err();
    assert!(denied.to_string().contains("sadd") && advice(&denied).contains("ACL SETUSER"), "{denied}");

    let error = ping(&Server::new(&Settings { database: 99, ..good.clone() }).unwrap()).await.unwrap_err();
    assert!(advice(&error).contains("redis.database"), "{error}");
    let error =
        ping(&Server::new(&Settings { kind: Kind::Cluster, ..good.clone() }).unwrap()).await.unwrap_err();
    assert!(advice(&error).contains("redis.kind"), "{error}");
    let watched = Settings { kind: Kind::Sentinel, sentinel_master: "m".into(), ..good.clone() };
    let error = ping(&Server::new(&watched).unwrap()).await.unwrap_err();
    assert!(advice(&error).contains("redis.kind"), "{error}");

    let wrong = Settings { password_file: redis.password_file("sesame").unwrap(), ..good };
    let server = Server::new(&wrong).unwrap();
    let error = ping(&server).await.unwrap_err();
    assert!(advice(&error).contains("redis.user"), "{error}");
    assert!(!format!("{error:?} {error} {server:?} {wrong:?}").contains("sesame"));
}

#[tokio::test]
async fn a_full_one_a_replica_and_a_wrong_type_are_told_apart() {
    let full = Redis::start_with(&Options {
        arguments: ["--maxmemory", "1mb", "--maxmemory-policy", "noeviction"].map(str::to_owned).into(),
        ..Options::default()
    })
    .unwrap();
    let server = Server::new(&settings(full.tcp())).unwrap();
    let mut pipeline = pipe();
    for _ in 0..4 {
        pipeline.cmd("APPEND").arg("a").arg(vec![b'x'; 1 << 20]);
    }
    let error = server.run(&pipeline).await.unwrap_err();
    assert!(matches!(error, Error::Full(_)) && error.to_string().contains("maxmemory"), "{error}");

    let master = Redis::start().unwrap();
    let server = Server::new(&settings(master.tcp())).unwrap();
    let mut pipeline = pipe();
    pipeline.cmd("SET").arg("b").arg(1).cmd("SADD").arg("b").arg(1).cmd("APPEND").arg("b").arg(2);
    let outcomes = server.run_each(&pipeline).await.unwrap();
    assert!(matches!(outcomes[1], Err(Error::Command(_))) && outcomes[2] == Ok(Value::Int(2)));
    assert!(matches!(server.run(&pipeline).await, Err(Error::Command(_))) && server.is_up());
    pipeline.atomic();
    let outcomes = server.run_each(&pipeline).await.unwrap();
    assert!(matches!(outcomes[1], Err(Error::Command(_))) && outcomes[2] == Ok(Value::Int(2)));

    let of = vec!["--replicaof".into(), "127.0.0.1".into(), master.port().to_string()];
    let replica = Redis::start_with(&Options { arguments: of, ..Options::default() }).unwrap();
    let server = Server::new(&settings(replica.tcp())).unwrap();
    assert_eq!(server.query::<i64>(cmd("APPEND").arg("a").arg("x")).await, Err(Error::ReadOnly));
    // It would answer this; but then it would pass for one that takes the windows.
    assert_eq!(ping(&server).await, Err(Error::ReadOnly));
    assert!(!server.is_up() && server.refusal() == Some(Error::ReadOnly));
    assert!(probe(&settings(replica.tcp())).await.unwrap_err().what.contains("replica"));
}

#[tokio::test]
async fn a_dead_a_hung_and_a_restarted_server_are_survived() {
    let mut redis = Redis::start_with(&Options { keeps_data: true, ..Options::default() }).unwrap();
    let server = Server::new(&settings(redis.unix())).unwrap();
    assert_eq!(answered(&server, Duration::ZERO).await, "PONG");
    assert_eq!(server.connection(), 1);
    redis.restart().unwrap();
    answered(&server, Duration::from_secs(5)).await;
    assert_eq!(server.connection(), 2);

    redis.pause();
    let start = Instant::now();
    let error = ping(&server).await.unwrap_err();
    assert!(matches!(error, Error::Away(_)), "{error}");
    assert!((0.9..3.0).contains(&start.elapsed().as_secs_f64()), "{:?}", start.elapsed());
    assert!(!server.is_up());
    redis.resume();
    answered(&server, Duration::from_secs(5)).await;
    // The one that hung was given up.
    assert_eq!(server.connection(), 3);

    redis.kill().unwrap();
    let start = Instant::now();
    let mut failures = 0;
    while start.elapsed() < Duration::from_millis(500) {
        assert!(matches!(ping(&server).await, Err(Error::Away(_))));
        failures += 1;
    }
    assert!(failures > 10, "a question to a dead server does not wait: {failures}");
    redis.restart().unwrap();
    answered(&server, Duration::from_secs(5)).await;
    let mut figures = Vec::new();
    server.figures(&mut figures);
    let figure = |name: &str| figures.iter().find(|f| f.name == name).unwrap().value;
    assert!(server.is_up());
    assert_eq!(figure("skyline_redis_connects_total"), 4.0);
    assert!(figure("skyline_redis_failures_total") >= 3.0);
}

/// Counts the connections that are tried at a port where nobody answers.
#[tokio::test]
async fn a_connection_is_tried_once_a_second() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::new(&settings(format!("redis://{}", listener.local_addr().unwrap()))).unwrap();
    let counting = tokio::spawn(async move {
        let mut tried = 0;
        let until = tokio::time::Instant::now() + Duration::from_millis(2500);
        while let Ok(accepted) = tokio::time::timeout_at(until, listener.accept()).await {
            tried += 1;
            drop(accepted);
        }
        tried
    });
    while !counting.is_finished() {
        ping(&server).await.unwrap_err();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let tried = counting.await.unwrap();
    assert!((2..=3).contains(&tried), "{tried}");
}

async fn pages(server: &Server, what: What) -> HashSet<Vec<u8>> {
    let mut pages = server.scan(what);
    let mut found = HashSet::new();
    while let Some(page) = pages.next(100).await.unwrap() {
        found.extend(page);
    }
    assert!(pages.next(100).await.unwrap().is_none());
    found
}

#[tokio::test]
async fn a_cluster_is_written_read_and_followed_when_a_master_dies() {
    let mut cluster = Cluster::start(Some("secret")).unwrap();
    let file = cluster.nodes[0].password_file("secret").unwrap();
    let settings =
        Settings { kind: Kind::Cluster, servers: cluster.addresses(), password_file: file, ..settings("") };
    let server = Server::new(&settings).unwrap();
    let facts = probe(&settings).await.unwrap();
    assert!(facts.is_cluster && facts.version.starts_with('7'), "{facts:?}");
    for n in 0..300 {
        server.query::<Value>(cmd("SET").arg(format!("skyline:{n}")).arg(n)).await.unwrap();
    }
    assert_eq!(pages(&server, What::Keys("skyline:*".into())).await.len(), 300);
    let mut tagged = pipe();
    tagged.cmd("SET").arg("{t}a").arg(1).cmd("SET").arg("{t}b").arg(2);
    assert_eq!(server.run(&tagged).await.unwrap().len(), 2);
    let mut crossed = pipe();
    crossed.cmd("SET").arg("a").arg(1).cmd("SET").arg("b").arg(2);
    assert!(matches!(server.run(&crossed).await, Err(Error::Command(_))));
    let mut moved = settings.clone();
    moved.kind = Kind::Single;
    assert!(probe(&moved).await.unwrap_err().advice.contains("cluster"));

    let dead = cluster.masters()[0];
    cluster.nodes[dead].kill().unwrap();
    let start = Instant::now();
    let mut n = 0;
    while n < 300 {
        let outcome = server.query::<Value>(cmd("SET").arg(format!("skyline:{n}")).arg("again")).await;
        match outcome {
            Ok(_) => n += 1,
            Err(error) => {
                assert!(matches!(error, Error::Away(_) | Error::ReadOnly | Error::Loading), "{error:?}");
                assert!(start.elapsed() < Duration::from_secs(30), "{error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

#[tokio::test]
async fn sentinels_name_the_master_and_the_next() {
    let mut sentinels = Sentinels::start("secret").unwrap();
    sentinels.pause_sentinel(2);
    let mut servers = sentinels.addresses();
    servers.rotate_right(1);
    let settings = Settings {
        kind: Kind::Sentinel,
        servers,
        sentinel_master: Sentinels::MASTER.into(),
        password_file: sentinels.servers[0].password_file("secret").unwrap(),
        ..settings("")
    };
    let server = Server::new(&settings).unwrap();
    assert_eq!(server.query::<i64>(cmd("APPEND").arg("a").arg("x")).await, Ok(1));
    let unknown = Settings { sentinel_master: "other".into(), ..settings.clone() };
    let error = ping(&Server::new(&unknown).unwrap()).await.unwrap_err();
    assert!(advice(&error).contains("sentinel_master"), "{error}");

    sentinels.servers[0].kill().unwrap();
    let start = Instant::now();
    loop {
        match server.query::<i64>(cmd("APPEND").arg("b").arg("x")).await {
            Ok(_) => break,
            Err(error) => assert!(start.elapsed() < Duration::from_secs(30), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(sentinels.servers[1].cli(&["GET", "b"]).unwrap(), "x");
}

#[tokio::test]
async fn large_sets_are_read_in_pages() {
    let redis = Redis::start().unwrap();
    let server = Server::new(&settings(redis.unix())).unwrap();
    let mut pipeline = pipe();
    for n in 0..3_000 {
        pipeline.cmd("SADD").arg("set").arg(n);
        pipeline.cmd("SET").arg(format!("key{n}")).arg(n);
    }
    server.run(&pipeline).await.unwrap();
    assert_eq!(pages(&server, What::Members("set".into())).await.len(), 3_000);
    assert_eq!(pages(&server, What::Members("nothing".into())).await.len(), 0);
    assert_eq!(pages(&server, What::Keys("key*".into())).await.len(), 3_000);
}

#[tokio::test]
async fn the_probe_says_what_should_be_changed() {
    let arguments = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"].map(str::to_owned).into();
    let options =
        Options { password: Some("secret".into()), arguments, keeps_data: true, ..Options::default() };
    let mut redis = Redis::start_with(&options).unwrap();
    redis.cli(&["SADD", "metrics.unique_metrics", "metrics.a", "metrics.b"]).unwrap();
    let settings = Settings { layout: Layout::Compat, ..with_password(options, &redis, redis.tcp()) };
    let facts = probe(&settings).await.unwrap();
    assert!(facts.is_master && facts.ours == 2 && facts.max_memory == 100 << 20, "{facts:?}");
    assert!(facts.latency > Duration::ZERO && facts.persistence.contains("append-only"), "{facts:?}");
    assert!(facts.warnings.iter().any(|w| w.what.contains("allkeys-lru")), "{facts:?}");
    // It left nothing behind.
    assert_eq!(redis.cli(&["DBSIZE"]).unwrap(), "1");
    redis
        .cli(&["ACL", "SETUSER", "few", "on", ">secret", "~metrics.*", "~skyline:*", "+@all", "-eval"])
        .unwrap();
    let problem = probe(&Settings { user: "few".into(), ..settings.clone() }).await.unwrap_err();
    assert!(problem.what.contains("eval") && problem.advice.contains("ACL SETUSER"), "{problem}");
    redis.cli(&["ACL", "SETUSER", "few", "+eval", "resetkeys", "~metrics.*"]).unwrap();
    let problem = probe(&Settings { user: "few".into(), ..settings.clone() }).await.unwrap_err();
    assert!(problem.what.contains("keys"), "{problem}");
    redis.cli(&["ACL", "SETUSER", "few", "~skyline:*"]).unwrap();
    assert_eq!(probe(&Settings { user: "few".into(), ..settings.clone() }).await.unwrap().ours, 2);
    let problem = probe(&Settings { password_file: "".into(), ..settings.clone() }).await.unwrap_err();
    assert!(problem.what.contains("password"), "{problem}");
    redis.kill().unwrap();
    assert!(probe(&settings).await.unwrap_err().what.contains("does not answer"));
}

/// Each command of the layout is tried, those of Skyline's keys only if they are read.
#[tokio::test]
async fn the_probe_finds_rights_that_layout_chunks_lacks() {
    let arguments = ["--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"].map(str::to_owned).into();
    let options = Options { password: Some("secret".into()), arguments, ..Options::default() };
    let redis = Redis::start_with(&options).unwrap();
    let user = ["ACL", "SETUSER", "few", "on", ">secret", "~skyline:*", "+@all", "-expire"];
    redis.cli(&user).unwrap();
    let settings =
        Settings { user: "few".into(), adopt: false, ..with_password(options, &redis, redis.tcp()) };
    let problem = probe(&settings).await.unwrap_err();
    assert!(problem.what.contains("expire") && problem.advice.contains("ACL SETUSER"), "{problem}");
    redis.cli(&["ACL", "SETUSER", "few", "+expire"]).unwrap();
    let facts = probe(&settings).await.unwrap();
    // Its keys expire, so Redis would drop them.
    assert!(facts.warnings.iter().any(|w| w.what.contains("volatile-lru")), "{facts:?}");
    let problem = probe(&Settings { adopt: true, ..settings.clone() }).await.unwrap_err();
    assert!(problem.what.contains("keys"), "{problem}");
    redis.cli(&["ACL", "SETUSER", "few", "~metrics.*"]).unwrap();
    probe(&Settings { adopt: true, ..settings }).await.unwrap();
    assert_eq!(redis.cli(&["DBSIZE"]).unwrap(), "0");
}
