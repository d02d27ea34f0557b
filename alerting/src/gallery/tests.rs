//! Pictures of messages, from windows that answer in different ways and from servers on loopback.

use super::{Captions, WindowGallery};
use crate::channel::Gallery as _;
use crate::message::{Kind, Links, Member, Message, Origin, Severity};
use skyline_conf::model::Settings;
use skyline_conf::model::alerting::titles::Titles;
use skyline_conf::model::graphite::Server;
use skyline_core::clock::Clock;
use skyline_core::point::Datapoint;
use skyline_render_proxy::proxy::{Parts, Proxy};
use skyline_render_proxy::windows::{Later, Unanswered, Windows};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const END: f64 = 1_796_052_600.0;
const PATIENCE: Duration = Duration::from_secs(10);

/// A day of a metric, and names that are answered in other ways.
struct Day(AtomicU32);

impl Windows for Day {
    fn series<'a>(&'a self, name: &'a str, from: f64, until: f64) -> Later<'a, Option<Vec<Datapoint>>> {
        Box::pin(async move {
            let asked = self.0.fetch_add(1, Ordering::Relaxed);
            let day = (0..=1440_u32).map(|i| {
                let value = if i > 1430 { 90.0 } else { 10.0 + f64::from(i % 7) };
                let value = if name == "counter" { f64::from(i) * 1000.0 } else { value };
                Datapoint::new(END - 86_400.0 + 60.0 * f64::from(i), value)
            });
            let day = day.filter(|point| (from..=until).contains(&point.ts)).collect();
            match name {
                "off" => Err(Unanswered::Off),
                "unknown" => Ok(None),
                "busy at first" if asked < 3 => Err(Unanswered::Busy),
                "always busy" => Err(Unanswered::Busy),
                _ => Ok(Some(day)),
            }
        })
    }
}

fn message(kind: Kind, metric: &str) -> Message {
    let member = Member {
        metric: metric.to_owned(),
        since: END - 540.0,
        last: END,
        value: 90.0,
        peak: (END - 60.0, 90.0),
        mean: 13.0,
        stddev: 7.0,
        window_seconds: 86_400,
        counter: metric == "counter",
        triggered: Vec::new(),
        asked: 9,
        points: 10,
        ended: (kind == Kind::Ended).then_some(END),
        bound: None,
    };
    Message {
        key: "k".into(),
        incident: "i".into(),
        kind,
        number: 0,
        rule: "r".into(),
        channel: "email".into(),
        recipient: "a@b".into(),
        origin: Origin::Analyzer,
        severity: Severity::Warning,
        created: END,
        opened: END - 540.0,
        ended: None,
        members: vec![member],
        member_count: 1,
        repeat_seconds: None,
        lines: Vec::new(),
        links: Links::default(),
    }
}

fn gallery(patience: Duration) -> WindowGallery {
    let captions = Captions { titles: Titles::default(), zone: "Europe/Zurich".into() };
    WindowGallery::new(Arc::new(Day(AtomicU32::new(0))), captions, patience)
}

fn is_png(picture: Option<&Vec<u8>>) -> bool {
    picture.is_some_and(|png| png.starts_with(b"\x89PNG") && png.len() < 40_000)
}

#[tokio::test]
async fn every_kind_that_is_about_a_metric_has_its_chart() {
    let gallery = gallery(PATIENCE);
    for kind in [Kind::Opened, Kind::Updated, Kind::Ended, Kind::Escalated, Kind::Stale, Kind::Test] {
        let pictures = gallery.pictures(&message(kind, "a.b")).await;
        assert!(is_png(pictures.window.as_ref()), "{kind:?}");
        assert!(pictures.description.starts_with("a.b from "), "{kind:?}: {}", pictures.description);
        assert_eq!(pictures.graphite, None);
    }
    let nothing = Message { members: Vec::new(), ..message(Kind::HeldBack, "a.b") };
    assert_eq!(gallery.pictures(&nothing).await.window, None);
}

#[tokio::test]
async fn those_that_broke_with_the_first_stand_below_it() {
    let alone = gallery(PATIENCE).pictures(&message(Kind::Opened, "a.b")).await;
    let mut company = message(Kind::Opened, "a.b");
    for name in ["unknown", "c.d", "e.f", "g.h"] {
        company.members.extend(message(Kind::Opened, name).members);
    }
    let pictures = gallery(PATIENCE).pictures(&company).await;
    // One of them has no window any more, and the last finds no room.
    assert!(pictures.description.ends_with(" Below it: c.d, e.f."), "{}", pictures.description);
    let height = |png: Option<Vec<u8>>| u32::from_be_bytes(png.unwrap()[20..24].try_into().unwrap());
    assert_eq!((height(alone.window), height(pictures.window)), (308, 436));
}

#[tokio::test]
async fn a_counter_is_drawn_by_its_increases() {
    let pictures = gallery(PATIENCE).pictures(&message(Kind::Opened, "counter")).await;
    assert!(
        pictures.description.contains("last 1000, lowest 1000, highest 1000"),
        "{}",
        pictures.description
    );
}

#[tokio::test]
async fn a_window_that_does_not_answer_leaves_the_picture_out_in_time() {
    for (metric, has_picture) in
        [("off", false), ("unknown", false), ("busy at first", true), ("always busy", false)]
    {
        let begin = Instant::now();
        let patience = if has_picture { PATIENCE } else { Duration::from_millis(300) };
        let gallery = gallery(patience);
        let pictures = gallery.pictures(&message(Kind::Opened, metric)).await;
        assert_eq!(is_png(pictures.window.as_ref()), has_picture, "{metric}");
        assert_eq!(gallery.late(), u64::from(metric == "always busy"), "{metric}");
        assert!(has_picture || begin.elapsed() < Duration::from_secs(5), "{metric}");
    }
    // A test shows a made-up series, whatever the window says.
    assert!(is_png(gallery(PATIENCE).pictures(&message(Kind::Test, "off")).await.window.as_ref()));
}

/// A server that answers every question with `answer` and hands out the questions.
async fn server(answer: &'static [u8]) -> (String, tokio::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/prefix", listener.local_addr().unwrap());
    let (sender, questions) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap_or(0);
            head.truncate(read);
            let first = String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned();
            let _told = sender.try_send(first);
            if answer.is_empty() {
                // Silent: until the client gives up.
                let _ended = stream.read(&mut [0]).await;
            }
            let _sent = stream.write_all(answer).await;
        }
    });
    (url, questions)
}

fn graphite(urls: &[String]) -> Proxy {
    let mut settings = Settings::default();
    settings.graphite.server =
        urls.iter().map(|url| Server { url: url.clone(), ..Server::default() }).collect();
    settings.render_proxy.graph_settings = "&width=588&bgcolor=000000".into();
    let clock = Clock::at(END);
    Proxy::new(Parts { settings: &settings, windows: None, links: None, clock }).unwrap()
}

const PICTURE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 12\r\nConnection: close\r\n\r\n\x89PNG\r\n\x1a\nabcd";
const PAGE: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>";

#[tokio::test]
async fn graphites_own_chart_is_asked_for_and_nothing_else_is_taken() {
    let (page, _questions) = server(PAGE).await;
    let without = gallery(PATIENCE).with_graphite(graphite(&[page]));
    assert_eq!(without.pictures(&message(Kind::Opened, "a.b")).await.graphite, None);
    let (url, mut questions) = server(PICTURE).await;
    let gallery = gallery(PATIENCE).with_graphite(graphite(&[url]));
    let pictures = gallery.pictures(&message(Kind::Opened, "counter")).await;
    assert_eq!(pictures.graphite.as_deref(), Some(b"\x89PNG\r\n\x1a\nabcd".as_slice()));
    let question = questions.recv().await.unwrap();
    let expected = "GET /prefix/render?from=1795966200&until=1796052600&target=cactiStyle%28nonNegativeDerivative%28counter%29%29\
                    &width=588&bgcolor=000000&title=Skyline%20Analyzer%20-%20ALERT%20at%2024%20hours%20-%20derivative%20graph\
                    %20-%2090&colorList=orange HTTP/1.1";
    assert_eq!(question, expected);
}

#[tokio::test]
async fn a_silent_graphite_costs_no_more_than_the_patience() {
    let (url, _questions) = server(b"").await;
    let begin = Instant::now();
    let gallery = gallery(Duration::from_secs(3)).with_graphite(graphite(&[url]));
    let pictures = gallery.pictures(&message(Kind::Opened, "a.b")).await;
    assert_eq!(pictures.graphite, None);
    assert!(is_png(pictures.window.as_ref()));
    assert!(begin.elapsed() < Duration::from_secs(8));
}
