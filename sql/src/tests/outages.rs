//! A server that is down, killed, stopped or started again: errors say so, and nothing is lost or doubled.

use super::{all, anomaly, context};
use crate::{Error, Options, Store};
use skyline_conf::model::record::Record;
use skyline_peers::mariadb::MariaDb;
use std::time::{Duration, Instant};

fn settings(server: &str) -> Record {
    Record { server: server.to_owned(), user: "root".into(), ..Record::default() }
}

fn open(server: &str) -> Store {
    Store::open_server(&settings(server), Options { join_seconds: 900, ..Options::default() })
        .expect("an address")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_there_is_worth_a_retry() {
    let nobody = skyline_peers::port::free();
    for server in [format!("mysql://{nobody}/skyline"), "mysql:///skyline?socket=/no/such/socket".to_owned()]
    {
        let store = open(&server);
        let started = Instant::now();
        let error = store.ping().await.expect_err("nobody is there");
        assert!(error.is_retry(), "{error}");
        assert!(error.to_string().contains(&server), "{error}");
        assert!(started.elapsed() < Duration::from_secs(2), "the answer comes at once");
    }
    // A listener that says nothing is not waited for without end.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address");
    let started = Instant::now();
    let error = open(&format!("mysql://{address}/skyline")).ping().await.expect_err("silence");
    assert!(error.is_retry() && started.elapsed() < Duration::from_secs(8), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_be_killed_and_started_again() {
    let mut server = MariaDb::start().expect("a server");
    let database = server.database().expect("a database");
    let store = open(&database.url());
    let batch: Vec<_> = (0..50).map(|i| anomaly(&format!("m{i}"), 60.0)).collect();
    store.record(&batch[..20], &context()).await.expect("recorded");
    server.kill().expect("killed");
    let error = store.record(&batch, &context()).await.expect_err("it is gone");
    assert!(error.is_retry(), "{error}");
    server.restart().expect("started");
    // One of the kept connections may be found dead; after that all are new.
    let recorded = match store.record(&batch, &context()).await {
        Ok(recorded) => recorded,
        Err(error) => {
            assert!(error.is_retry(), "{error}");
            store.record(&batch, &context()).await.expect("recorded")
        }
    };
    assert_eq!((recorded.new, recorded.known), (30, 20));
    assert_eq!(all(&store).await.len(), 50);
}

/// Paused in the middle of a batch: the caller gets an error in time; once the server goes on, everything
/// is there once, whether it had been told to commit or not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_answering_is_given_up() {
    let mut server = MariaDb::start().expect("a server");
    let database = server.database().expect("a database");
    let store = open(&database.url());
    store.record(&[anomaly("before", 1.0)], &context()).await.expect("recorded");
    server.pause();
    let started = Instant::now();
    let batch: Vec<_> = (0..10).map(|i| anomaly(&format!("m{i}"), 60.0)).collect();
    let error = store.record(&batch, &context()).await.expect_err("no answer");
    assert!(error.is_retry() && error.to_string().contains("no answer"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(15));
    server.resume();
    store.record(&batch, &context()).await.expect("recorded");
    store.record(&batch, &context()).await.expect("recorded");
    let rows = all(&store).await;
    assert_eq!(rows.len(), 11);
    assert!(rows.iter().all(|row| row.recurrences == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_for_a_person() {
    let server = MariaDb::start().expect("a server");
    let database = server.database().expect("a database");
    database
        .run(&format!(
            "CREATE USER s@localhost IDENTIFIED BY 'geh&eim%/'; GRANT ALL ON {}.* TO s@localhost",
            database.name()
        ))
        .expect("made");
    let dir = tempfile::tempdir().expect("a folder");
    let password_file = dir.path().join("password");
    std::fs::write(&password_file, "wrong\n").expect("written");
    let settings =
        Record { user: "s".into(), password_file: password_file.clone(), ..settings(&database.url()) };
    let store = Store::open_server(&settings, Options::default()).expect("an address");
    let error = store.ping().await.expect_err("a wrong password");
    assert!(matches!(error, Error::Config { .. }), "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains("record.password_file") && !text.contains("wrong"), "{text}");
    // The file is read again at the next attempt.
    std::fs::write(&password_file, "geh&eim%/\n").expect("written");
    store.ping().await.expect("let in");
    assert!(!format!("{store:?}").contains("geh&eim"));
}

/// Runs openssl in `dir`; the arguments are cut at blanks.
fn openssl(dir: &std::path::Path, arguments: &str) {
    let output = std::process::Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output();
    let output = output.expect("openssl; `cargo xtask test` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_encrypted_connection_knows_its_server() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("name"), "subjectAltName=DNS:localhost\n").expect("written");
    openssl(
        dir.path(),
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=authority -days 2",
    );
    openssl(dir.path(), "req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=localhost");
    openssl(
        dir.path(),
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -out cert.pem -days 2 -extfile name",
    );
    let (cert, key) = (at("cert.pem"), at("key.pem"));
    let options = [
        "--ssl=1".to_owned(),
        format!("--ssl-cert={}", cert.display()),
        format!("--ssl-key={}", key.display()),
    ];
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let server = MariaDb::start_with(&options).expect("a server");
    let database = server.database().expect("a database");
    let port = server.address().port();
    let with = |host: &str, ca: &str| Record {
        tls: skyline_conf::model::record::Tls::Verified,
        ca_file: if ca.is_empty() { std::path::PathBuf::new() } else { at(ca) },
        ..settings(&format!("mysql://{host}:{port}/{}", database.name()))
    };
    let ping = async |settings: &Record| {
        Store::open_server(settings, Options::default()).expect("an address").ping().await
    };
    let good = with("localhost", "ca.pem");
    ping(&good).await.expect("a good certificate");
    // Of another authority, of another name: neither is spoken to.
    openssl(
        dir.path(),
        "req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -subj /CN=other -days 2",
    );
    for bad in [with("localhost", "other.pem"), with("localhost", ""), with("127.0.0.1", "ca.pem")] {
        let error = ping(&bad).await.expect_err("an unknown server");
        assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
        let problem = crate::probe(&bad, std::path::Path::new("")).await.expect_err("an unknown server");
        assert!(problem.advice.contains("record.ca_file"), "{problem:?}");
    }
}
