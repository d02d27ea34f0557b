//! Servers that are slow, endless, or speak nonsense; and those that are merely old.

use super::script::{Script, Step};
use super::{ask, quick};
use crate::{Ask, Authorization, Client, Failure, HeaderValue, Method, Options, State};
use http_body_util::BodyExt as _;
use skyline_conf::secret::Secret;
use std::time::{Duration, Instant};

/// A chunk of 64 bytes; and, without chunks, a line of a header that is none.
const CHUNK: &str = "40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde:\r\n";

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";

/// An error of that kind, in less than a second and a half.
async fn fails(steps: Vec<Step>, kind: Failure, words: &str) {
    let server = Script::start(steps).await;
    let start = Instant::now();
    let error = ask(quick(&server)).await.unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
    assert!(error.to_string().starts_with(&format!("graphite (http://{})", server.address)), "{error}");
    assert!(start.elapsed() < Duration::from_millis(1_500), "{:?}", start.elapsed());
}

fn say(text: impl Into<String>) -> Step {
    Step::Say(text.into())
}

#[tokio::test]
async fn slow_servers() {
    let slow = Duration::from_millis(150);
    fails(vec![Step::Hold], Failure::Timeout, "no answer within").await;
    fails(vec![say("HTTP/1.1 200 OK\r\nx: "), Step::Hold], Failure::Timeout, "no answer within").await;
    let body = vec![say(format!("{HEAD}content-length: 10\r\n\r\nabc")), Step::Hold];
    fails(body, Failure::Timeout, "no next piece of its answer within 0.2 s").await;
    // Each piece is in time; all of them are not.
    let mut drops = vec![say(format!("{HEAD}content-length: 100\r\n\r\n"))];
    drops.extend((0..20).flat_map(|_| [say("a"), Step::Wait(slow)]));
    fails(drops, Failure::Timeout, "no whole answer within 0.6 s").await;
}

#[tokio::test]
async fn long_answers() {
    let words = "longer than 10000 bytes";
    fails(vec![say(format!("{HEAD}content-length: 10001\r\n\r\n")), Step::Hold], Failure::TooLarge, words)
        .await;
    let endless = vec![say(format!("{HEAD}transfer-encoding: chunked\r\n\r\n")), Step::Repeat(CHUNK)];
    fails(endless, Failure::TooLarge, words).await;
    fails(
        vec![say(format!("{HEAD}connection: close\r\n\r\n")), Step::Repeat(CHUNK)],
        Failure::TooLarge,
        words,
    )
    .await;
    fails(
        vec![say(HEAD), Step::Repeat("x: 0123456789abcdef0123456789abcdef0123456789abcdef\r\n")],
        Failure::Broken,
        "",
    )
    .await;
}

#[tokio::test]
async fn broken_answers() {
    fails(vec![say("SSH-2.0-OpenSSH_9\r\n")], Failure::Broken, "broken").await;
    fails(vec![Step::Reset], Failure::Broken, "broken").await;
    fails(vec![], Failure::Broken, "broken").await;
    fails(vec![say(format!("{HEAD}content-length: 10\r\n\r\nabc"))], Failure::Broken, "broken").await;
    fails(vec![say(format!("{HEAD}content-length: 10\r\n\r\nabc")), Step::Reset], Failure::Broken, "broken")
        .await;
    let garbage = format!("{HEAD}transfer-encoding: chunked\r\n\r\nxyz\r\n");
    fails(vec![say(garbage)], Failure::Broken, "broken").await;
    let huge = format!("{HEAD}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc");
    fails(vec![say(huge)], Failure::Broken, "broken").await;
}

#[tokio::test]
async fn nobody_listens() {
    let mut options = Options::new("graphite", format!("http://{}", skyline_peers::port::free()));
    options.pauses.failures = 0;
    let error = ask(options.clone()).await.unwrap_err();
    assert_eq!(error.kind(), Failure::Connect);
    assert!(error.to_string().contains("refused"), "{error}");
    options.url = Secret::new("http://no-such-host.invalid");
    assert_eq!(ask(options).await.unwrap_err().kind(), Failure::Connect);
}

#[tokio::test]
async fn old_servers_are_understood() {
    let server = Script::saying("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold").await;
    let answer = ask(quick(&server)).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"old"[..]));
}

#[tokio::test]
async fn questions_go_out_as_they_are() {
    let server = Script::saying("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno").await;
    let mut options = quick(&server);
    options.url = Secret::new(format!("{}/api/datasources/proxy/1/", server.url()));
    options.headers = vec![("X-Org-Id".into(), Secret::new("7"))];
    options.authorization = Authorization::Basic("skyline".into(), Secret::new("hunter2"));
    let client = Client::new(options).unwrap();
    let target = "/render?target=a+b%20c&target[]=x{a,b}|y('%')&from=-1h&&x=\u{e4}";
    let mut question = Ask::post(target, HeaderValue::from_static("text/plain"), "body");
    question.headers.insert("authorization", HeaderValue::from_static("Basic of-somebody-else"));
    let answer = client.ask(question).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (404, &b"no"[..]));
    let seen = server.seen().remove(0);
    assert!(seen.starts_with(&format!("POST /api/datasources/proxy/1{target} HTTP/1.1\r\n")), "{seen}");
    assert!(seen.ends_with("\r\n\r\nbody"), "{seen}");
    for header in [
        "x-org-id: 7",
        "authorization: Basic c2t5bGluZTpodW50ZXIy",
        "content-type: text/plain",
        "content-length: 4",
        &format!("host: {}", server.address),
    ] {
        assert!(seen.contains(&format!("\r\n{header}\r\n")), "{header} in {seen}");
    }
    assert!(!format!("{client:?}").contains("hunter2"));
    assert!(!format!("{client:?}").contains("c2t5bGluZTpodW50ZXIy"));
}

#[tokio::test]
async fn what_cannot_be_asked() {
    let server = Script::saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let client = Client::new(quick(&server)).unwrap();
    for target in ["render", "/a/../b", "/a/%2e%2E/b", "/a/..", "/a b", "/a\r\nHost: x", "@other/"] {
        let error = client.ask(Ask::get(target)).await.unwrap_err();
        assert_eq!(error.kind(), Failure::Question, "{target}: {error}");
    }
    assert!(server.seen().is_empty());
    assert!(client.ask(Ask::get("/a..b/...?x=/../")).await.is_ok());
    let mut hook = quick(&server);
    hook.url = Secret::new(format!("{}/hook?token=hunter2", server.url()));
    let hook = Client::new(hook).unwrap();
    assert!(!hook.ask(Ask::get("/more")).await.unwrap_err().to_string().contains("hunter2"));
    assert!(hook.ask(Ask::get("")).await.is_ok());
    assert!(server.seen().last().unwrap().starts_with("GET /hook?token=hunter2 "));
}

#[tokio::test]
async fn settings_of_no_use_are_named() {
    let check = |change: &dyn Fn(&mut Options), words: &str| {
        let mut options = Options::new("graphite", "http://127.0.0.1");
        change(&mut options);
        let problem = Client::new(options).unwrap_err().to_string();
        assert!(problem.contains(words) && !problem.contains("hunter2"), "{problem}");
    };
    check(&|o| o.url = Secret::new("http://u:hunter2@h/"), "user or password");
    check(&|o| o.headers = vec![("a b".into(), Secret::new("hunter2"))], "no name of a header");
    check(&|o| o.headers = vec![("a".into(), Secret::new("hunter2\r\nx: y"))], "characters that no header");
    check(&|o| o.tls.ca_file = "/nowhere/ca.pem".into(), "/nowhere/ca.pem cannot be read");
    check(&|o| o.tls.ca_file = "/etc/hostname".into(), "/etc/hostname holds no certificate");
    check(&|o| o.tls.certificate_file = "/etc/hostname".into(), "/etc/hostname holds no certificate");
}

#[tokio::test]
async fn a_kept_connection_that_the_server_closed_is_no_failure() {
    // It promises to keep the connection and closes it after the answer, or before the next.
    let server = Script::start(vec![say(format!("{HEAD}content-length: 2\r\n\r\nok")), Step::Reset]).await;
    let client = Client::new(quick(&server)).unwrap();
    for _ in 0..20 {
        assert_eq!(&client.ask(Ask::get("/x")).await.unwrap().body[..], b"ok");
    }
}

/// Address of a server that says so many zeros, packed.
async fn packing(zeros: usize) -> String {
    use std::io::Write as _;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![b'0'; zeros]).unwrap();
    let packed = packed.finish().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut request = [0; 4096];
            let n = stream.read(&mut request).await.unwrap();
            assert!(String::from_utf8_lossy(&request[..n]).contains("accept-encoding: gzip"));
            let head = format!("{HEAD}content-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&packed).await.unwrap();
        }
    });
    url
}

#[tokio::test]
async fn gzip() {
    let check = async |zeros: usize, bound: usize| {
        let mut options = Options::new("graphite", packing(zeros).await);
        options.gzip = true;
        options.max_body = bound;
        match ask(options).await {
            Ok(answer) => {
                assert!(answer.body.iter().all(|byte| *byte == b'0') && answer.body.len() == zeros);
                assert!(!answer.headers.contains_key("content-encoding"));
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), Failure::TooLarge);
                false
            }
        }
    };
    for zeros in [9_000, 64 << 10, (64 << 10) + 1, 3 << 20] {
        assert!(check(zeros, 4 << 20).await && check(zeros, zeros).await, "{zeros}");
        // A bomb is cut off at the bound.
        assert!(!check(zeros, zeros - 1).await && !check(zeros, 8_000).await, "{zeros}");
    }
}

#[test]
fn what_is_long_is_unpacked_beside_the_runtime() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    for (zeros, beside) in [(64 << 10, 0), ((64 << 10) + 1, 1)] {
        let threads = Arc::new(AtomicU32::new(0));
        let started = Arc::clone(&threads);
        // All of it is one thread, but for what is done beside it.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .on_thread_start(move || {
                started.fetch_add(1, SeqCst);
            })
            .build()
            .unwrap();
        let length = runtime.block_on(async {
            let mut options = Options::new("graphite", packing(zeros).await);
            options.gzip = true;
            ask(options).await.unwrap().body.len()
        });
        assert_eq!((length, threads.load(SeqCst)), (zeros, beside));
    }
}

#[tokio::test]
async fn bodies_come_as_they_come_and_figures_tell() {
    let steps = vec![
        say(format!("{HEAD}transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")),
        Step::Wait(Duration::from_millis(100)),
        say("3\r\ndef\r\n0\r\n\r\n"),
    ];
    let server = Script::start(steps).await;
    let client = Client::new(quick(&server)).unwrap();
    let mut opened = client.open(Ask::get("/x")).await.unwrap();
    assert_eq!(client.health().in_hand, 1);
    let first = opened.body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&first[..], b"abc");
    assert_eq!(&opened.whole().await.unwrap().body[..], b"def");
    let health = client.health();
    assert_eq!((health.in_hand, health.asked, health.body_bytes), (0, 1, 6));
    assert_eq!((health.statuses, health.state), ([0, 1, 0, 0, 0], State::Closed));
    let head = client.ask(Ask::new(Method::HEAD, "/x")).await.unwrap();
    assert!(head.body.is_empty());
}
