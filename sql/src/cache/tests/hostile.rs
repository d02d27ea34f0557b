//! What is not memcached, what is not what was put there, and names that try to be commands.

use super::{Node, Record, generation_key, settings};
use crate::cache::probe;
use skyline_conf::model::memcached::Memcached as Settings;
use skyline_core::health::State;
use skyline_peers::memcached::Memcached;
use skyline_peers::port;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

#[tokio::test]
async fn values_of_others_under_our_keys_are_not_taken() {
    let memcached = Memcached::start().unwrap();
    let (record, settings) = (Record::default(), settings(&memcached.address()));
    for garbage in [
        &b""[..],
        b"x",
        b"17",
        b"-1",
        b"\xff\xfe\r\nEND\r\n",
        &[b'7'; 30],
        &[b'x'; 999_999],
        &[b'y'; 1_040_000],
    ] {
        let (a, b) = (Node::new(&record, &settings), Node::new(&record, &settings));
        assert_eq!(a.read("q").await, b.read("q").await);
        let keys = memcached.has_keys(2).unwrap();
        for key in &keys {
            let mut command = format!("set {key} 9 0 {}\r\n", garbage.len()).into_bytes();
            command.extend_from_slice(garbage);
            command.extend_from_slice(b"\r\n");
            assert_eq!(memcached.say(&command).unwrap(), "STORED");
        }
        let (number, c) = (a.asked().cast_signed(), Node::new(&record, &settings));
        a.write(number).await;
        assert_eq!([a.read("q").await, b.read("q").await, c.read("q").await], [number; 3]);
        memcached.say(b"flush_all\r\n").unwrap();
    }
}

#[tokio::test]
async fn an_answer_to_another_question_is_not_taken() {
    let memcached = Memcached::start().unwrap();
    let (record, settings) = (Record::default(), settings(&memcached.address()));
    let (a, b) = (Node::new(&record, &settings), Node::new(&record, &settings));
    a.read("p").await;
    let before = memcached.has_keys(2).unwrap();
    a.read("q").await;
    let keys = memcached.has_keys(3).unwrap();
    let new = keys.iter().find(|key| !before.contains(key)).unwrap();
    let generation = generation_key(&memcached);
    let old = before.iter().find(|key| **key != generation).unwrap();
    // What a clash of hashes would look like: the answer to `p` lies where that to `q` is looked for.
    let mut stream = std::net::TcpStream::connect(memcached.address()).unwrap();
    stream.write_all(format!("get {old}\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"END\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let head = answer.iter().position(|b| *b == b'\n').unwrap() + 1;
    let value = &answer[head..answer.len() - "\r\nEND\r\n".len()];
    let mut command = format!("set {new} 0 0 {}\r\n", value.len()).into_bytes();
    command.extend_from_slice(value);
    command.extend_from_slice(b"\r\n");
    assert_eq!(memcached.say(&command).unwrap(), "STORED");
    let asked = b.asked();
    assert_eq!(b.read("q").await, 0);
    assert_eq!(b.asked(), asked + 1, "the record was asked");
}

#[tokio::test]
async fn names_are_no_commands() {
    let memcached = Memcached::start().unwrap();
    let node = Node::new(&Record::default(), &settings(&memcached.address()));
    let evil = "a\r\nset evil 0 0 1\r\nx\r\n";
    for question in [evil, "a b", "", &"x".repeat(5_000), "\u{0}", "get generation", "größe"] {
        assert_eq!((node.read(question).await, node.read(question).await), (0, 0));
    }
    assert_eq!(node.asked(), 7);
    let is_ours = |key: &String| {
        key.strip_prefix("skyline.")
            .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let keys = memcached.has_keys(8).unwrap();
    assert!(keys.iter().all(is_ours), "{keys:?}");
}

/// A server that answers everything with `answer`.
fn answers(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind(port::free()).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut asked = [0; 4_096];
            while stream.read(&mut asked).is_ok_and(|bytes| bytes > 0) {
                if stream.write_all(answer).is_err() {
                    break;
                }
            }
        }
    });
    address
}

#[tokio::test]
async fn servers_that_are_not_memcached() {
    for (answer, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "not memcached"),
        (b"VALUE k 0 99999999999999999\r\n", "larger than"),
        (b"VALUE k 0 999999999999\r\n", "larger than"),
        (&[b'x'; 4_096], "too long"),
        (b"\xff\xff\r\n", "not memcached"),
        (b"SERVER_ERROR out of memory\r\n", "SERVER_ERROR out of memory"),
        (b"", "no answer within"),
    ] {
        let node = Node::new(&Record::default(), &settings(&answers(answer)));
        node.write(4).await;
        assert_eq!(node.read("q").await, 4);
        let health = node.cache.health();
        let shown = String::from_utf8_lossy(answer.get(..30).unwrap_or(answer)).into_owned();
        assert!(health.state == State::Away && health.detail.contains(expected), "{shown}: {health:?}");
    }
}

#[tokio::test]
async fn the_probe_says_what_is_wrong() {
    let memcached = Memcached::start().unwrap();
    assert!(probe(&settings(&memcached.address())).await.unwrap().starts_with("1."));
    let check = async |settings: Settings, expected: &str| {
        let error = probe(&settings).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(settings(&port::free().to_string()), "nobody listens there").await;
    check(settings("/nonexistent/socket"), "/nonexistent/socket does not answer: No such file").await;
    check(settings(&answers(b"")), "no answer within 0.2 s").await;
    check(settings(&answers(b"220 mail ESMTP\r\n")), "220 mail ESMTP").await;
}
