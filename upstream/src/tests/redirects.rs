//! Redirects against servers: how many, where to, and what goes along.

use super::quick;
use super::script::{Script, Step};
use crate::{Ask, Authorization, Client, Failure, HeaderValue};
use skyline_conf::secret::Secret;

fn to(place: &str, status: &str) -> String {
    format!("HTTP/1.1 {status}\r\nlocation: {place}\r\ncontent-length: 0\r\n\r\n")
}

#[tokio::test]
async fn three_are_followed() {
    let server = Script::answering(|number, _| {
        let text = if number == 3 {
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhere".to_owned()
        } else {
            to(&format!("/{number}"), "302 Found")
        };
        vec![Step::Say(text)]
    })
    .await;
    let client = Client::new(quick(&server)).unwrap();
    assert_eq!(&client.ask(Ask::get("/x")).await.unwrap().body[..], b"here");
    assert!(server.seen()[3].starts_with("GET /2 "));
}

#[tokio::test]
async fn a_loop_ends() {
    let server = Script::saying(&to("/x", "301 Moved Permanently")).await;
    let client = Client::new(quick(&server)).unwrap();
    let error = client.ask(Ask::get("/x")).await.unwrap_err();
    assert_eq!(error.kind(), Failure::Redirect);
    assert!(error.to_string().contains("after 3 others"), "{error}");
    assert_eq!(server.seen().len(), 4);
    // A proxy hands them on.
    let mut options = quick(&server);
    options.redirects = 0;
    assert_eq!(Client::new(options).unwrap().ask(Ask::get("/x")).await.unwrap().status, 301);
}

#[tokio::test]
async fn credentials_stay_at_home() {
    let other = Script::saying("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother").await;
    // Another host by name; the same machine.
    let place = format!("http://localhost:{}/y", other.address.port());
    let server = Script::saying(&to(&place, "307 Temporary Redirect")).await;
    let mut options = quick(&server);
    options.authorization = Authorization::Bearer(Secret::new("hunter2"));
    options.headers = vec![("x-api-key".into(), Secret::new("hunter2"))];
    let error = Client::new(options.clone()).unwrap().ask(Ask::get("/x")).await.unwrap_err();
    assert!(error.to_string().contains("which the settings do not name"), "{error}");
    assert!(other.seen().is_empty());
    options.other_hosts = vec!["localhost".into()];
    let mut question = Ask::post("/x", HeaderValue::from_static("text/plain"), "body");
    question.headers.insert("cookie", HeaderValue::from_static("hunter2"));
    let answer = Client::new(options).unwrap().ask(question).await.unwrap();
    assert_eq!(&answer.body[..], b"other");
    let (first, second) = (server.seen().remove(1), other.seen().remove(0));
    assert_eq!(first.matches("hunter2").count(), 3);
    assert!(!second.contains("hunter2"), "{second}");
    assert!(second.starts_with("POST /y ") && second.ends_with("body"), "{second}");
}

#[tokio::test]
async fn nothing_leads_to_the_inside() {
    for place in
        ["http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "//localhost.evil.org/", "http://"]
    {
        let server = Script::saying(&to(place, "302 Found")).await;
        let error = Client::new(quick(&server)).unwrap().ask(Ask::get("/x")).await.unwrap_err();
        assert_eq!(error.kind(), Failure::Redirect, "{place}: {error}");
    }
}
