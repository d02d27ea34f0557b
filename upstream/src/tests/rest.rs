//! A server that fails is left alone, and taken back; places are bounded.

use super::quick;
use super::script::{Script, Step};
use crate::{Ask, Client, Failure, Options, State};
use std::time::{Duration, Instant};

#[tokio::test]
async fn it_rests_and_is_taken_back() {
    let address = skyline_peers::port::free();
    let mut options = Options::new("graphite", format!("http://{address}"));
    options.pauses.failures = 2;
    options.pauses.first = Duration::from_secs(1);
    let client = Client::new(options).unwrap();
    for _ in 0..2 {
        assert_eq!(client.ask(Ask::get("/x")).await.unwrap_err().kind(), Failure::Connect);
    }
    assert!(!client.is_willing());
    let start = Instant::now();
    let error = client.ask(Ask::get("/x")).await.unwrap_err();
    assert_eq!(error.kind(), Failure::Resting);
    assert!(error.to_string().contains("failed 2 times in a row (last: connect)"), "{error}");
    assert!(start.elapsed() < Duration::from_millis(500));
    assert_eq!((client.health().state, client.health().rests), (State::Open, 1));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            drop(stream.read(&mut request).await);
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await);
        }
    });
    let limit = Instant::now() + Duration::from_secs(5);
    while client.ask(Ask::get("/x")).await.is_err() {
        assert!(Instant::now() < limit, "it is taken back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.health().state, State::Closed);
}

#[tokio::test]
async fn answers_that_speak_for_a_dead_server_count_and_others_do_not() {
    let of = |status: &'static str| async move {
        let server = Script::saying(&format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
        let mut options = quick(&server);
        options.pauses.failures = 2;
        let client = Client::new(options).unwrap();
        for _ in 0..3 {
            drop(client.ask(Ask::get("/x")).await);
        }
        client.health().state
    };
    assert_eq!(of("502 Bad Gateway").await, State::Open);
    assert_eq!(of("503 Service Unavailable").await, State::Open);
    assert_eq!(of("500 Internal Server Error").await, State::Closed);
    assert_eq!(of("429 Too Many Requests").await, State::Closed);
    assert_eq!(of("401 Unauthorized").await, State::Closed);
}

#[tokio::test]
async fn bodies_that_stall_count() {
    let server =
        Script::start(vec![Step::Say("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".into()), Step::Hold])
            .await;
    let mut options = quick(&server);
    options.pauses.failures = 2;
    let client = Client::new(options).unwrap();
    for _ in 0..2 {
        assert_eq!(client.ask(Ask::get("/x")).await.unwrap_err().kind(), Failure::Timeout);
    }
    assert_eq!(client.health().state, State::Open);
}

#[tokio::test]
async fn places_are_bounded_and_freed() {
    let server = Script::start(vec![Step::Hold]).await;
    let mut options = quick(&server);
    options.concurrent = 2;
    options.total = Duration::from_secs(5);
    options.idle = Duration::from_secs(5);
    let client = Client::new(options).unwrap();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.ask(Ask::get("/x")).await })
        })
        .collect();
    while server.seen().len() < 2 {
        tokio::task::yield_now().await;
    }
    let error = client.ask(Ask::get("/x").within(Duration::from_millis(100))).await.unwrap_err();
    assert_eq!(error.kind(), Failure::Busy, "{error}");
    for task in waiting {
        task.abort();
        drop(task.await);
    }
    assert_eq!(client.health().in_hand, 0);
}

#[tokio::test]
async fn a_server_says_how_long_it_wants_to_be_left_alone() {
    let server = Script::answering(|number, _| {
        let text = match number {
            0 => "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
            1 => "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
            2 => "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1e300\r\nContent-Length: 0\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        };
        vec![Step::Say(text.to_owned())]
    })
    .await;
    let client = Client::new(quick(&server)).unwrap();
    assert_eq!(client.wishes_rest(), None);
    client.ask(Ask::get("/x")).await.unwrap();
    let wish = client.wishes_rest().unwrap();
    assert!((6.0..=7.0).contains(&wish.as_secs_f64()), "{wish:?}");
    for _ in 1..4 {
        client.ask(Ask::get("/x")).await.unwrap();
        assert_eq!(client.wishes_rest(), None);
    }
}
